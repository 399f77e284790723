//! Compares the schedule with a simple model: random bookings, reschedules, cancellations, holds, blocks, time off,
//! closures and the passing of time on one practitioner's morning, through the API of a real server.
//!
//! `PROPTEST_CASES` runs more of them, `PROPTEST_RNG_SEED` the same ones again; a failure is shrunk to the fewest steps.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::SignedDuration;
use legwork::clock::Clock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::app::runtime;
use crate::support::people::patient_json;
use crate::support::site::Site;
use crate::support::{App, Client, Clinic, Engine, START};

/// The number of 15-minute slots in the morning.
const SLOTS: usize = 12;
/// A Monday after the clock of every case.
const DAY: &str = "2026-05-04";
/// How many slots the three visit types take.
const LENGTHS: [usize; 3] = [1, 2, 4];
const ACTORS: usize = 3;
const PATIENTS: usize = 3;

/// Where a visit moves: anywhere, or near, so that it overlaps its old time.
#[derive(Debug, Clone, Copy)]
enum To {
    Start(usize),
    Later(usize),
    Earlier(usize),
}

#[derive(Debug, Clone)]
enum Step {
    Book { actor: usize, start: usize, kind: usize, patient: usize, with_hold: bool },
    Move { actor: usize, which: usize, to: To, with_hold: bool },
    Cancel { which: usize },
    Hold { actor: usize, start: usize, kind: usize },
    Release { actor: usize },
    Block { slot: usize },
    Unblock { slot: usize },
    Lapse { minutes: i64 },
    Away { from: usize, slots: usize, closed: bool },
    Back { which: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (actor, start, kind, patient, which) = (0..ACTORS, 0..SLOTS, 0..LENGTHS.len(), 0..PATIENTS, 0..60_usize);
    let to = prop_oneof![
        2 => start.clone().prop_map(To::Start),
        1 => (0..LENGTHS[2]).prop_map(To::Later),
        1 => (0..LENGTHS[2]).prop_map(To::Earlier),
    ];
    prop_oneof![
        6 => (actor.clone(), start.clone(), kind.clone(), patient, any::<bool>())
            .prop_map(|(actor, start, kind, patient, with_hold)| Step::Book { actor, start, kind, patient, with_hold }),
        6 => (actor.clone(), which.clone(), to, any::<bool>())
            .prop_map(|(actor, which, to, with_hold)| Step::Move { actor, which, to, with_hold }),
        2 => which.prop_map(|which| Step::Cancel { which }),
        4 => (actor.clone(), start.clone(), kind).prop_map(|(actor, start, kind)| Step::Hold { actor, start, kind }),
        1 => actor.prop_map(|actor| Step::Release { actor }),
        1 => start.clone().prop_map(|slot| Step::Block { slot }),
        2 => start.prop_map(|slot| Step::Unblock { slot }),
        2 => (1_i64..11).prop_map(|minutes| Step::Lapse { minutes }),
        2 => (0..SLOTS, 1..5_usize, any::<bool>()).prop_map(|(from, slots, closed)| Step::Away { from, slots, closed }),
        2 => (0..60_usize).prop_map(|which| Step::Back { which }),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    start: usize,
    kind: usize,
    until: i64,
}

#[derive(Debug, Clone)]
struct Visit {
    start: usize,
    kind: usize,
    patient: usize,
    live: bool,
}

impl Visit {
    fn covers(&self, slot: usize) -> bool {
        self.live && (self.start..self.start + LENGTHS[self.kind]).contains(&slot)
    }
}

/// The expected schedule: it checks every slot each time.
#[derive(Debug, Default)]
struct Model {
    minute: i64,
    blocked: BTreeSet<usize>,
    holds: [Option<Hold>; ACTORS],
    visits: Vec<Visit>,
    /// When the practitioner is away or the location closed: the first slot, the one after the last, and which of the two.
    away: Vec<(usize, usize, bool)>,
}

/// The expected response of a request: the status, and the code of an error.
type Expected = (u16, &'static str);
const TAKEN: Expected = (409, "slot_taken");
const GONE: Expected = (404, "not_found");

impl Model {
    /// Whether a visit fits, ignoring the caller's own hold and the visit that is to move.
    fn fits(&self, start: usize, kind: usize, own_hold: Option<usize>, own_visit: Option<usize>) -> bool {
        let end = start + LENGTHS[kind];
        end <= SLOTS
            && (start..end).all(|slot| {
                let taken = self.visits.iter().enumerate().any(|(n, visit)| Some(n) != own_visit && visit.covers(slot));
                let held = self.holds.iter().enumerate().any(|(actor, hold)| {
                    Some(actor) != own_hold
                        && hold.is_some_and(|hold| {
                            hold.until > self.minute && (hold.start..hold.start + LENGTHS[hold.kind]).contains(&slot)
                        })
                });
                !taken && !held && !self.blocked.contains(&slot) && !self.is_off(slot)
            })
    }

    /// Whether the schedule does not contain a slot.
    fn is_off(&self, slot: usize) -> bool {
        self.away.iter().any(|(from, to, _)| (*from..*to).contains(&slot))
    }

    /// Whether the slot exists: outside the schedule it stays while it is booked or blocked.
    fn is_there(&self, slot: usize) -> bool {
        !self.is_off(slot) || self.blocked.contains(&slot) || self.visits.iter().any(|visit| visit.covers(slot))
    }

    /// Why a visit needs attention.
    fn attention(&self, visit: &Visit) -> Option<&'static str> {
        let hit = |closed: bool| {
            self.away.iter().any(|(from, to, shut)| *shut == closed && (*from..*to).any(|slot| visit.covers(slot)))
        };
        // The reason is that of the first affected slot since the first change, which the model does not track.
        match (hit(false), hit(true)) {
            (false, false) => None,
            (true, false) => Some("time_off"),
            (false, true) => Some("closure"),
            (true, true) => Some("either"),
        }
    }

    fn busy(&self, patient: usize, start: usize, kind: usize, except: Option<usize>) -> bool {
        let span = start..start + LENGTHS[kind];
        let others = self.visits.iter().enumerate().filter(|(n, visit)| Some(*n) != except && visit.patient == patient);
        others.into_iter().any(|(_, visit)| span.clone().any(|slot| visit.covers(slot)))
    }

    /// The conflict of a visit. `hold` is the actor whose hold is sent.
    fn refusal(
        &self,
        (start, kind): (usize, usize),
        patient: usize,
        hold: Option<usize>,
        own: Option<usize>,
    ) -> Option<Expected> {
        if let Some(Hold { start: held, kind: for_kind, until }) = hold.and_then(|actor| self.holds[actor]) {
            if until <= self.minute {
                return Some((409, "hold_lapsed"));
            }
            if !self.is_there(start) {
                return Some(TAKEN);
            }
            if (held, for_kind) != (start, kind) {
                return Some((422, "validation_failed"));
            }
        }
        if !self.is_there(start) {
            return Some(TAKEN);
        }
        if !self.fits(start, kind, hold, own) {
            return Some(TAKEN);
        }
        self.busy(patient, start, kind, own).then_some((409, "patient_busy"))
    }

    fn free(&self, kind: usize) -> BTreeSet<usize> {
        (0..SLOTS).filter(|start| self.fits(*start, kind, None, None)).collect()
    }
}

/// One case: a practitioner and patients of its own, on a server that all cases share.
struct World<'a> {
    app: &'a App,
    actors: [Client; ACTORS],
    kinds: [String; 3],
    practitioner: String,
    location: String,
    patients: Vec<String>,
    slots: Vec<String>,
    /// The paths of what is in `model.away`.
    away: Vec<String>,
    model: Model,
    holds: [Option<String>; ACTORS],
    visits: Vec<String>,
}

impl<'a> World<'a> {
    async fn new(app: &'a App, clinic: &Clinic) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let actors = [app.desk().await, app.admin().await, app.doctor().await];
        let kinds = [&clinic.check, &clinic.follow_up, &clinic.new_visit].map(Clone::clone);
        let location = crate::support::clinic::location(&actors[1], "Case", "America/New_York").await;
        let body = json!({"name": "Dr. Case", "visit_type_ids": kinds, "location_ids": [location]});
        let practitioner = actors[1].post("/v1/practitioners", body).await.expect(201).id();
        let path = format!("/v1/practitioners/{practitioner}/availability");
        let etag = actors[1].get(&path).await.expect(200).etag();
        let morning = json!({"items": [{
            "weekday": "monday", "start": "09:00", "end": "12:00", "location_id": location,
            "valid_from": DAY, "valid_until": DAY,
        }]});
        actors[1].put(&path, &etag, morning).await.expect(200);
        let mut patients = Vec::new();
        for _ in 0..PATIENTS {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
            let body = patient_json(&format!("Case {number}"), &format!("case-{number}@patients.example"));
            patients.push(actors[0].post("/v1/patients", body).await.expect(201).id());
        }
        let mut world = Self {
            app,
            actors,
            kinds,
            practitioner,
            location,
            patients,
            slots: Vec::new(),
            away: Vec::new(),
            model: Model::default(),
            holds: Default::default(),
            visits: Vec::new(),
        };
        world.slots = world.search(0).await;
        assert_eq!(world.slots.len(), SLOTS);
        world
    }

    /// The ids of the free starts for a kind of visit.
    async fn search(&self, kind: usize) -> Vec<String> {
        let items = self.free(kind).await;
        items.iter().map(|slot| slot["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// Reads the ids of the free slots: slots that the schedule contains again have new ids.
    async fn learn(&mut self) {
        for slot in self.free(0).await {
            let start: legwork::clock::Timestamp =
                slot["starts_at"].as_str().expect("a start").parse().expect("an instant");
            let number = usize::try_from(start.since(nine()).as_mins() / 15).expect("after nine");
            slot["id"].as_str().expect("an id").clone_into(&mut self.slots[number]);
        }
    }

    async fn free(&self, kind: usize) -> Vec<Value> {
        let path = format!(
            "/v1/slots?visit_type_id={}&practitioner_id={}&from={DAY}T00:00:00Z&to={DAY}T23:00:00Z&limit=200",
            self.kinds[kind], self.practitioner
        );
        self.actors[0].get(&path).await.items()
    }

    async fn post(&self, actor: usize, path: String, body: Value, expected: Expected) -> Value {
        static KEYS: AtomicU32 = AtomicU32::new(0);
        let key = format!("case-{}", KEYS.fetch_add(1, Ordering::Relaxed));
        let reply = self.actors[actor].post_with(&path, body, &[("Idempotency-Key", &key)]).await;
        match expected {
            (status, "") => drop(reply.expect(status)),
            (status, code) => drop(reply.problem(status, code)),
        }
        if expected == TAKEN && !path.ends_with("block") {
            assert!(reply.body["next_free"].is_array(), "{path} {}", reply.text);
        }
        reply.body
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Book { actor, start, kind, patient, with_hold } => {
                let hold = (with_hold && self.model.holds[actor].is_some()).then_some(actor);
                let refusal = self.model.refusal((start, kind), patient, hold, None);
                let body = json!({
                    "slot_id": self.slots[start], "visit_type_id": self.kinds[kind], "patient_id": self.patients[patient],
                    "hold_id": hold.and_then(|actor| self.holds[actor].clone()),
                });
                let body = self.post(actor, "/v1/appointments".into(), body, refusal.unwrap_or((201, ""))).await;
                if refusal.is_none() {
                    self.visits.push(body["id"].as_str().expect("an id").to_owned());
                    self.model.visits.push(Visit { start, kind, patient, live: true });
                    self.use_up(hold);
                }
            }
            Step::Move { actor, which, to, with_hold } => {
                let Some(which) = which.checked_rem(self.visits.len()) else { return };
                let visit = self.model.visits[which].clone();
                let start = match to {
                    To::Start(start) => start,
                    To::Later(by) => (visit.start + by).min(SLOTS - 1),
                    To::Earlier(by) => visit.start.saturating_sub(by),
                };
                let hold = (with_hold && self.model.holds[actor].is_some()).then_some(actor);
                let refusal = if visit.live {
                    self.model.refusal((start, visit.kind), visit.patient, hold, Some(which))
                } else {
                    Some((409, "status_conflict"))
                };
                let path = format!("/v1/appointments/{}/reschedule", self.visits[which]);
                let hold_id = hold.and_then(|actor| self.holds[actor].clone());
                let body = json!({"slot_id": self.slots[start], "hold_id": hold_id});
                self.post(actor, path, body, refusal.unwrap_or((200, ""))).await;
                if refusal.is_none() {
                    self.model.visits[which].start = start;
                    self.use_up(hold);
                }
            }
            Step::Cancel { which } => {
                let Some(which) = which.checked_rem(self.visits.len()) else { return };
                let visit = &mut self.model.visits[which];
                let expected = if visit.live { (200, "") } else { (409, "status_conflict") };
                visit.live = false;
                let path = format!("/v1/appointments/{}/cancel", self.visits[which]);
                self.post(0, path, json!({"reason": "a case"}), expected).await;
            }
            Step::Hold { actor, start, kind } => {
                let fits = self.model.fits(start, kind, Some(actor), None);
                let path = format!("/v1/slots/{}/hold", self.slots[start]);
                let body = json!({"visit_type_id": self.kinds[kind]});
                let body = self.post(actor, path, body, if fits { (201, "") } else { TAKEN }).await;
                if fits {
                    self.holds[actor] = Some(body["id"].as_str().expect("an id").to_owned());
                    self.model.holds[actor] = Some(Hold { start, kind, until: self.model.minute + 10 });
                }
            }
            Step::Release { actor } => {
                let Some(hold) = self.holds[actor].clone() else { return };
                self.actors[actor].delete(&format!("/v1/holds/{hold}")).await.expect(204);
                self.use_up(Some(actor));
            }
            Step::Block { slot } => {
                let blocked = self.model.blocked.contains(&slot);
                let possible = blocked || self.model.fits(slot, 0, None, None);
                let refusal = if self.model.is_there(slot) { TAKEN } else { GONE };
                let path = format!("/v1/slots/{}/block", self.slots[slot]);
                self.post(0, path, json!({"reason": "a case"}), if possible { (200, "") } else { refusal }).await;
                if possible {
                    self.model.blocked.insert(slot);
                }
            }
            Step::Unblock { slot } => {
                let expected = if self.model.is_there(slot) { 200 } else { 404 };
                self.actors[0].post_empty(&format!("/v1/slots/{}/unblock", self.slots[slot])).await.expect(expected);
                self.model.blocked.remove(&slot);
            }
            Step::Lapse { minutes } => {
                self.app.clock.advance(SignedDuration::from_mins(minutes));
                self.model.minute += minutes;
            }
            Step::Away { from, slots, closed } => self.leave(from, (from + slots).min(SLOTS), closed).await,
            Step::Back { which } => self.come_back(which).await,
        }
    }

    /// The practitioner is away, or the location closed, from one slot until before another.
    async fn leave(&mut self, from: usize, to: usize, closed: bool) {
        let at = |slot: usize| nine().plus(SignedDuration::from_mins(i64::try_from(slot * 15).expect("small")));
        let same = self.model.away.contains(&(from, to, closed));
        if closed {
            let path = format!("/v1/locations/{}/closures", self.location);
            let body = json!({"closures": [{"starts_at": at(from), "ends_at": at(to), "name": "a case"}]});
            let reply = self.actors[1].post(&path, body).await;
            let id = reply.expect(200).string("/items/0/id");
            if !same {
                self.away.push(format!("/v1/closures/{id}"));
            }
        } else {
            let path = format!("/v1/practitioners/{}/exceptions", self.practitioner);
            let body = json!({"kind": "time_off", "starts_at": at(from), "ends_at": at(to), "reason": "a case"});
            let reply = self.actors[0].post(&path, body).await;
            self.away.push(reply.expect(201).location());
        }
        if !closed || !same {
            self.model.away.push((from, to, closed));
        }
        let minute = self.model.minute;
        for hold in self.model.holds.iter_mut().flatten() {
            let span = hold.start..hold.start + LENGTHS[hold.kind];
            if hold.until > minute && span.into_iter().any(|slot| (from..to).contains(&slot)) {
                hold.until = minute;
            }
        }
    }

    async fn come_back(&mut self, which: usize) {
        let Some(which) = which.checked_rem(self.away.len()) else { return };
        let path = self.away.remove(which);
        let expected = if path.contains("closures") { 204 } else { 200 };
        self.actors[1].delete(&path).await.expect(expected);
        self.model.away.remove(which);
        self.learn().await;
    }

    fn use_up(&mut self, hold: Option<usize>) {
        if let Some(actor) = hold {
            self.holds[actor] = None;
            self.model.holds[actor] = None;
        }
    }

    async fn compare(&self, kind: usize) {
        let free: BTreeSet<_> = self.search(kind).await.into_iter().collect();
        let expected = self.model.free(kind).into_iter().map(|start| self.slots[start].clone()).collect();
        assert_eq!(free, expected, "the free starts for visits of {} slots", LENGTHS[kind]);
    }

    async fn compare_visits(&self) {
        let path = format!("/v1/appointments?practitioner_id={}&limit=200", self.practitioner);
        let items = self.actors[0].get(&path).await.items();
        assert_eq!(items.len(), self.visits.len());
        for (id, visit) in self.visits.iter().zip(&self.model.visits) {
            let item = items.iter().find(|item| item["id"] == **id).expect("the appointment");
            assert_eq!(item["status"], if visit.live { "booked" } else { "cancelled" });
            let attention = item["attention"]["reason"].as_str();
            match self.model.attention(visit) {
                Some("either") => assert!(attention.is_some(), "{id}"),
                expected => assert_eq!(attention, expected, "{id}"),
            }
            let minutes = i64::try_from(visit.start * 15).expect("small");
            let start = nine().plus(SignedDuration::from_mins(minutes));
            assert_eq!(item["starts_at"], start.to_string(), "{id}");
        }
    }
}

/// 9:00 in New York, in daylight saving time.
fn nine() -> legwork::clock::Timestamp {
    format!("{DAY}T13:00:00Z").parse().expect("an instant")
}

fn the_schedule_agrees_with_its_model(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    let app = App::start(site, Clock::manual(START.parse().expect("an instant")), &[]);
    let runtime = runtime();
    let clinic = runtime.block_on(app.clinic());
    let mut config = Config { failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 20;
    }
    let cases = prop::collection::vec(any_step(), 1..40);
    let outcome = TestRunner::new(config).run(&cases, |steps| {
        runtime.block_on(async {
            let mut world = World::new(&app, &clinic).await;
            for (n, step) in steps.iter().enumerate() {
                world.take(step).await;
                world.compare(n % LENGTHS.len()).await;
            }
            for kind in 0..LENGTHS.len() {
                world.compare(kind).await;
            }
            world.compare_visits().await;
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn the_schedule_agrees_with_its_model_on_sqlite() {
    the_schedule_agrees_with_its_model(Engine::Sqlite);
}

#[test]
fn the_schedule_agrees_with_its_model_on_postgres() {
    the_schedule_agrees_with_its_model(Engine::Postgres);
}
