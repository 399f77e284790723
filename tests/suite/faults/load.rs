//! Clients that book, move, cancel, read and search at random, and record what they were told. They go on when the server is killed
//! and started again, and repeat each request with its key until they know its result.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::history::{Event, Span};
use crate::support::clinic;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::Process;
use crate::support::{app, eventually, id};

/// How many slots the clients compete for.
const SLOTS: usize = 50;
/// How many appointments a client has at most.
const OWN: usize = 2;
/// How long a client waits before it repeats a request.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a client repeats a request. It only bounds a test that fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the clients share.
pub struct Load {
    began: Instant,
    /// The present server, with an access token.
    server: RwLock<(String, String)>,
    patients: Vec<String>,
    visit_type: String,
    slots: Vec<Slot>,
    /// The search that returns those of the slots that are free.
    search: String,
    /// Every appointment that was acknowledged.
    known: Mutex<BTreeSet<String>>,
    history: Mutex<Vec<(Span, Event)>>,
    stop: AtomicBool,
    answered: AtomicUsize,
}

/// A slot. An appointment tells only its start.
struct Slot {
    id: String,
    starts_at: String,
}

/// An appointment that a client booked.
struct Own {
    id: String,
    version: u64,
}

struct Answer {
    span: Span,
    status: StatusCode,
    /// The version in the entity tag.
    version: Option<u64>,
    body: Value,
}

/// The responses after which a client repeats its request.
const OUTAGES: [StatusCode; 2] = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::INSUFFICIENT_STORAGE];

/// Sends a request and reads the whole response: its status, the version in its entity tag, and its body.
async fn complete(request: reqwest::RequestBuilder) -> reqwest::Result<(StatusCode, Option<u64>, String)> {
    let reply = request.send().await?;
    let version = reply.headers().get("ETag").and_then(|etag| etag.to_str().ok()?.trim_matches('"').parse().ok());
    Ok((reply.status(), version, reply.text().await?))
}

impl Load {
    /// Sets a clinic up with a patient for each client.
    pub async fn prepare(server: &Process, clients: usize) -> Self {
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let clinic = clinic::set_up(&admin).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let mut patients = Vec::new();
        for number in 0..clients {
            let body = patient_json("Pat", &format!("pat{number}@patients.example"));
            patients.push(desk.post("/v1/patients", body).await.expect(201).id());
        }
        // From the third day on, so that no slot starts during the test.
        let from = legwork::clock::Clock::System.now().jiff() + jiff::SignedDuration::from_hours(72);
        let search = format!("/v1/slots?visit_type_id={}&from={from}&limit={SLOTS}", clinic.check);
        let slots: Vec<Value> = desk.get(&search).await.items();
        assert_eq!(slots.len(), SLOTS);
        let text = |slot: &Value, member: &str| slot[member].as_str().expect("a text").to_owned();
        let end = text(slots.last().expect("a slot"), "ends_at");
        Self {
            began: Instant::now(),
            server: RwLock::default(),
            patients,
            visit_type: clinic.check.clone(),
            slots: slots.iter().map(|slot| Slot { id: text(slot, "id"), starts_at: text(slot, "starts_at") }).collect(),
            search: format!("{search}&to={end}"),
            known: Mutex::default(),
            history: Mutex::default(),
            stop: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
        }
    }

    /// Tells the clients which server to use.
    pub async fn use_server(&self, server: &Process) {
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let token = desk.token().await.expect("signed in");
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = (server.base.clone(), token);
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests were answered. Fails if there is no progress.
    pub async fn until_answered(&self, more: usize) {
        let wanted = self.answered() + more;
        while self.answered() < wanted {
            let before = self.answered();
            eventually(async || if self.answered() > before { Ok(()) } else { Err(format!("{before} answers")) }).await;
        }
    }

    /// Ends the clients after their present request.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// What was recorded.
    pub fn history(&self) -> Vec<(Span, Event)> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a client for each patient until [`stop`](Self::stop).
    pub async fn run(&self, seed: u64) {
        let clients = self.patients.iter().zip(0_u64..).map(|(patient, number)| self.client(patient, seed + number));
        futures_util::future::join_all(clients).await;
    }

    async fn client(&self, patient: &str, seed: u64) {
        let (mut random, http) = (StdRng::seed_from_u64(seed), app::http_client());
        let (mut own, mut count): (Vec<Own>, u64) = (Vec::new(), 0);
        while !self.stop.load(Ordering::Relaxed) {
            count += 1;
            let key = format!("{seed}-{count}");
            let slot = &self.slots[random.random_range(0..self.slots.len())];
            match random.random_range(0..10) {
                0..=3 if own.len() < OWN => {
                    let body = json!({"slot_id": slot.id, "visit_type_id": self.visit_type, "patient_id": patient});
                    let answer = self.write(&http, "/v1/appointments", &key, None, &body).await;
                    own.extend(self.wrote(answer, slot, true));
                }
                4..=6 if !own.is_empty() => {
                    let at = random.random_range(0..own.len());
                    let path = format!("/v1/appointments/{}/reschedule", own[at].id);
                    let body = json!({"slot_id": slot.id});
                    let answer = self.write(&http, &path, &key, Some(own[at].version), &body).await;
                    if let Some(moved) = self.wrote(answer, slot, true) {
                        own[at] = moved;
                    }
                }
                7 if !own.is_empty() => {
                    let gone = own.swap_remove(random.random_range(0..own.len()));
                    let path = format!("/v1/appointments/{}/cancel", gone.id);
                    let body = json!({"reason": "A test."});
                    let answer = self.write(&http, &path, &key, Some(gone.version), &body).await;
                    assert!(self.wrote(answer, slot, false).is_some(), "an appointment of {patient} was not cancelled");
                }
                8 => self.search(&http).await,
                _ => {
                    if let Some(appointment) = self.any_known(&mut random) {
                        self.read(&http, &appointment).await;
                    }
                }
            }
        }
    }

    async fn write(&self, http: &reqwest::Client, path: &str, key: &str, version: Option<u64>, body: &Value) -> Answer {
        self.send(|base, token| {
            let mut request = http.request(Method::POST, format!("{base}{path}")).bearer_auth(token).json(body);
            if let Some(version) = version {
                request = request.header("If-Match", format!("\"{version}\""));
            }
            request.header("Idempotency-Key", key)
        })
        .await
    }

    /// Sends a request until it is answered by something else than an outage. Fails after [`PATIENCE`].
    async fn send(&self, request: impl Fn(&str, &str) -> reqwest::RequestBuilder) -> Answer {
        let (sent, until) = (self.now(), Instant::now() + PATIENCE);
        let mut outage = String::new();
        while Instant::now() < until {
            let (base, token) = self.server.read().unwrap_or_else(PoisonError::into_inner).clone();
            match complete(request(&base, &token)).await {
                Ok((status, version, text)) if !OUTAGES.contains(&status) => {
                    assert!(!status.is_server_error() && status != StatusCode::UNAUTHORIZED, "{status} {text}");
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
                    return Answer { span: Span { sent, answered: self.now() }, status, version, body };
                }
                Ok((status, _, text)) => outage = format!("{status} {text}"),
                Err(error) => outage = format!("{error:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("an outage of {PATIENCE:?}: {outage}");
    }

    /// Records a request for a slot or a cancellation, and returns the appointment; none if the slot was taken.
    fn wrote(&self, answer: Answer, wanted: &Slot, has_slot: bool) -> Option<Own> {
        let Answer { span, status, version, body } = answer;
        let slot = wanted.starts_at.clone();
        if status == StatusCode::CONFLICT && body["code"] == "slot_taken" {
            self.record(span, Event::Refused { slot });
            return None;
        }
        assert!(status.is_success(), "{status} {body}");
        let own = Own { id: id(&body).to_owned(), version: version.expect("an entity tag") };
        let (appointment, version) = (own.id.clone(), own.version);
        self.record(span, Event::Wrote { appointment, version, slot: has_slot.then_some(slot) });
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(own.id.clone());
        Some(own)
    }

    fn any_known(&self, random: &mut StdRng) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().nth(random.random_range(0..known.len().max(1))).cloned()
    }

    /// Reads every appointment that was ever acknowledged, and searches.
    pub async fn read_all(&self) {
        let http = app::http_client();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for appointment in &known {
            self.read(&http, appointment).await;
        }
        self.search(&http).await;
    }

    async fn read(&self, http: &reqwest::Client, appointment: &str) {
        let path = format!("/v1/appointments/{appointment}");
        let answer = self.send(|base, token| http.get(format!("{base}{path}")).bearer_auth(token)).await;
        let Answer { span, status, version, body } = answer;
        assert_eq!(status, StatusCode::OK, "an appointment that was acknowledged is gone: {body}");
        let is_live = body["status"] != "cancelled";
        let slot = is_live.then(|| body["starts_at"].as_str().expect("an instant").to_owned());
        let (appointment, version) = (appointment.to_owned(), version.expect("an entity tag"));
        self.record(span, Event::Read { appointment, version, slot });
    }

    async fn search(&self, http: &reqwest::Client) {
        let path = &self.search;
        let answer = self.send(|base, token| http.get(format!("{base}{path}")).bearer_auth(token)).await;
        let free: HashSet<&str> = answer.body["items"].as_array().expect("a page").iter().map(id).collect();
        for Slot { id, starts_at } in &self.slots {
            let slot = starts_at.clone();
            let event = if free.contains(id.as_str()) { Event::Free { slot } } else { Event::NotFree { slot } };
            self.record(answer.span, event);
        }
    }

    fn record(&self, span: Span, event: Event) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push((span, event));
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("a short test")
    }
}
