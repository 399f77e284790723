//! One case on a real server, beside its model.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::model::{Expected, GONE, Hold, Model, TAKEN, Visit, busy};
use super::{ACTORS, DAY, KINDS, PATIENTS, SLOTS, STRANGER, Step, To, WITH_CHAIR};
use crate::support::people::patient_json;
use crate::support::{App, Client, Clinic};

/// One case: a practitioner and patients of its own, on a server that all cases share.
pub(super) struct World<'a> {
    app: &'a App,
    actors: [Client; ACTORS],
    kinds: Vec<String>,
    practitioner: String,
    location: String,
    /// The resource that some visits need.
    chair: String,
    patients: Vec<String>,
    slots: Vec<String>,
    /// The paths of what is in `model.away`.
    away: Vec<String>,
    model: Model,
    holds: [Option<String>; ACTORS + 1],
    /// The secret of the stranger's hold.
    secret: String,
    visits: Vec<String>,
}

impl<'a> World<'a> {
    pub async fn new(app: &'a App, clinic: &Clinic) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let actors = [app.desk().await, app.admin().await, app.doctor().await];
        let mut kinds = vec![clinic.check.clone(), clinic.follow_up.clone(), clinic.new_visit.clone()];
        let location = crate::support::clinic::location(&actors[1], "Case", "America/New_York").await;
        let body = json!({"name": "Chair", "capacities": [{"location_id": location, "units": 1}]});
        let chair = actors[1].post("/v1/resources", body).await.expect(201).id();
        for (kind, (before, visit, after)) in KINDS.iter().enumerate().skip(kinds.len()) {
            let needs = if kind < WITH_CHAIR { json!([]) } else { json!([chair]) };
            let body = json!({
                "name": "Case", "public_name": "Visit", "duration_minutes": visit * 15, "online_bookable": true,
                "buffer_before_minutes": before * 15, "buffer_after_minutes": after * 15,
                "resource_ids": needs,
            });
            kinds.push(actors[1].post("/v1/visit-types", body).await.expect(201).id());
        }
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
            chair,
            patients,
            slots: Vec::new(),
            away: Vec::new(),
            model: Model { chairs: 1, ..Model::default() },
            holds: Default::default(),
            secret: String::new(),
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

    pub async fn take(&mut self, step: &Step) {
        match *step {
            Step::Book { actor, start, kind, patient, with_hold, overbook } => {
                let hold = (with_hold && self.model.holds[actor].is_some()).then_some(actor);
                let outcome = self.model.outcome((start, kind), patient, hold, None, overbook);
                let body = json!({
                    "slot_id": self.slots[start], "visit_type_id": self.kinds[kind], "patient_id": self.patients[patient],
                    "hold_id": hold.and_then(|actor| self.holds[actor].clone()), "overbook": wish(overbook),
                });
                let expected = outcome.map_or_else(|refusal| refusal, |_| (201, ""));
                let body = self.post(actor, "/v1/appointments".into(), body, expected).await;
                if let Ok((overbooked, chair)) = outcome {
                    self.visits.push(body["id"].as_str().expect("an id").to_owned());
                    self.model.visits.push(Visit { start, kind, patient, live: true, overbooked, chair });
                    self.model.take(self.visits.len() - 1);
                    self.use_up(hold);
                }
            }
            Step::Series { actor, patient, ref visits } => self.book_series(actor, patient, visits).await,
            Step::Move { actor, which, to, with_hold, overbook } => {
                let Some(which) = which.checked_rem(self.visits.len()) else { return };
                let visit = self.model.visits[which].clone();
                let start = match to {
                    To::Start(start) => start,
                    To::Later(by) => (visit.start + by).min(SLOTS - 1),
                    To::Earlier(by) => visit.start.saturating_sub(by),
                };
                let hold = (with_hold && self.model.holds[actor].is_some()).then_some(actor);
                let outcome = if visit.live {
                    self.model.outcome((start, visit.kind), visit.patient, hold, Some(which), overbook)
                } else {
                    Err((409, "status_conflict"))
                };
                let path = format!("/v1/appointments/{}/reschedule", self.visits[which]);
                let hold_id = hold.and_then(|actor| self.holds[actor].clone());
                // The model does not know the order that the visits of a series keep.
                let body = json!({
                    "slot_id": self.slots[start], "hold_id": hold_id, "overbook": wish(overbook), "ignore_gaps": true,
                });
                let expected = outcome.map_or_else(|refusal| refusal, |_| (200, ""));
                self.post(actor, path, body, expected).await;
                if let Ok((overbooked, chair)) = outcome {
                    let heirs = self.model.leave(which);
                    let visit = &mut self.model.visits[which];
                    (visit.start, visit.overbooked, visit.chair) = (start, overbooked, chair);
                    self.model.take(which);
                    self.model.unmark(heirs);
                    self.use_up(hold);
                }
            }
            Step::Cancel { which } => self.cancel(which).await,
            Step::Hold { actor, start, kind } => {
                let fits = self.model.fits(start, kind, Some(actor), None);
                let path = format!("/v1/slots/{}/hold", self.slots[start]);
                let body = json!({"visit_type_id": self.kinds[kind]});
                let expected = if fits { (201, "") } else { TAKEN };
                let body = if actor == STRANGER {
                    self.hold_as_stranger(&path, body, expected).await
                } else {
                    self.post(actor, path, body, expected).await
                };
                if fits {
                    self.holds[actor] = Some(body["id"].as_str().expect("an id").to_owned());
                    let chair = self.model.chair(start, kind, Some(actor), None).expect("a chair");
                    let until = self.model.minute + 10;
                    self.model.holds[actor] = Some(Hold { start, kind, until, chair });
                }
            }
            Step::Release { actor } => self.release(actor).await,
            Step::TakeOver { actor, patient } => self.take_over(actor, patient).await,
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
            Step::Chairs { units } => {
                let body = json!({"capacities": [{"location_id": self.location, "units": units}]});
                self.actors[1].update(&format!("/v1/resources/{}", self.chair), body).await.expect(200);
                self.model.chairs = units;
            }
            Step::Lapse { minutes } => {
                self.app.clock.advance(SignedDuration::from_mins(minutes));
                self.model.minute += minutes;
            }
            Step::Away { from, slots, closed } => self.leave(from, (from + slots).min(SLOTS), closed).await,
            Step::Back { which } => self.come_back(which).await,
        }
    }

    /// Cancels a visit, if there is one. Its time passes to a visit that shares it.
    async fn cancel(&mut self, which: usize) {
        let Some(which) = which.checked_rem(self.visits.len()) else { return };
        let expected = if self.model.visits[which].live { (200, "") } else { (409, "status_conflict") };
        let heirs = self.model.leave(which);
        let visit = &mut self.model.visits[which];
        (visit.live, visit.overbooked) = (false, false);
        self.model.unmark(heirs);
        let path = format!("/v1/appointments/{}/cancel", self.visits[which]);
        self.post(0, path, json!({"reason": "a case"}), expected).await;
    }

    /// Books visits together, all or none of them.
    async fn book_series(&mut self, actor: usize, patient: usize, visits: &[(usize, usize)]) {
        let before = self.model.visits.len();
        // That each slot exists is checked first.
        let mut outcome = if visits.iter().all(|(start, _)| self.model.is_there(*start)) { Ok(()) } else { Err(TAKEN) };
        for (start, kind) in visits.iter().copied() {
            let visit = outcome.and_then(|()| self.model.outcome((start, kind), patient, None, None, false));
            outcome = visit.map(|(overbooked, chair)| {
                self.model.visits.push(Visit { start, kind, patient, live: true, overbooked, chair });
            });
        }
        let wanted = visits
            .iter()
            .map(|(start, kind)| json!({"slot_id": self.slots[*start], "visit_type_id": self.kinds[*kind]}));
        let body = json!({"patient_id": self.patients[patient], "visits": wanted.collect::<Vec<_>>()});
        let expected = outcome.map_or_else(|refusal| refusal, |()| (201, ""));
        let body = self.post(actor, "/v1/appointment-series".into(), body, expected).await;
        if outcome.is_err() {
            return self.model.visits.truncate(before);
        }
        for visit in body["visits"].as_array().expect("the visits") {
            self.visits.push(visit["appointment"]["id"].as_str().expect("an id").to_owned());
            self.model.take(self.visits.len() - 1);
        }
    }

    async fn release(&mut self, actor: usize) {
        let Some(hold) = self.holds[actor].clone() else { return };
        let path = format!("/v1/holds/{hold}");
        if actor == STRANGER {
            let headers = [("Hold-Secret", self.secret.as_str())];
            self.app.anon().send(reqwest::Method::DELETE, &path, &headers, None).await.expect(204);
        } else {
            self.actors[actor].delete(&path).await.expect(204);
        }
        self.use_up(Some(actor));
    }

    /// Books the stranger's hold with its secret.
    async fn take_over(&mut self, actor: usize, patient: usize) {
        let (Some(hold), Some(Hold { start, kind, .. })) = (self.holds[STRANGER].clone(), self.model.holds[STRANGER])
        else {
            return;
        };
        let outcome = self.model.outcome((start, kind), patient, Some(STRANGER), None, false);
        let body = json!({
            "slot_id": self.slots[start], "visit_type_id": self.kinds[kind], "patient_id": self.patients[patient],
            "hold_id": hold, "hold_secret": self.secret,
        });
        let body = self
            .post(actor, "/v1/appointments".into(), body, outcome.map_or_else(|refusal| refusal, |_| (201, "")))
            .await;
        if let Ok((overbooked, chair)) = outcome {
            self.visits.push(body["id"].as_str().expect("an id").to_owned());
            self.model.visits.push(Visit { start, kind, patient, live: true, overbooked, chair });
            self.model.take(self.visits.len() - 1);
            self.use_up(Some(STRANGER));
        }
    }

    /// Holds without a session, in place of the stranger's earlier hold.
    async fn hold_as_stranger(&mut self, path: &str, body: Value, (status, code): Expected) -> Value {
        let headers = [("Hold-Secret", self.secret.as_str())];
        let headers = if self.secret.is_empty() { &[][..] } else { &headers };
        let reply = self.app.anon().post_with(path, body, headers).await;
        if code.is_empty() {
            self.secret = reply.expect(status).string("/secret");
        } else {
            reply.problem(status, code);
        }
        reply.body
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
            let span = busy(hold.start, hold.kind).expect("a hold within the morning");
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

    pub async fn compare(&self, kind: usize) {
        let free: BTreeSet<_> = self.search(kind).await.into_iter().collect();
        let expected = self.model.free(kind).into_iter().map(|start| self.slots[start].clone()).collect();
        assert_eq!(free, expected, "the free starts for visits of {:?} slots", KINDS[kind]);
    }

    pub async fn compare_visits(&self) {
        let path = format!("/v1/appointments?practitioner_id={}&limit=200", self.practitioner);
        let items = self.actors[0].get(&path).await.items();
        assert_eq!(items.len(), self.visits.len());
        for (id, visit) in self.visits.iter().zip(&self.model.visits) {
            let item = items.iter().find(|item| item["id"] == **id).expect("the appointment");
            assert_eq!(item["status"], if visit.live { "booked" } else { "cancelled" });
            assert_eq!(item["overbooked"], visit.overbooked, "{id}");
            assert_eq!(item["resources"][0]["unit"], json!(visit.chair), "{id}");
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

/// The member `overbook` of a body.
fn wish(overbook: bool) -> Value {
    if overbook { json!({"reason": "a case"}) } else { Value::Null }
}

/// 9:00 in New York, in daylight saving time.
fn nine() -> legwork::clock::Timestamp {
    format!("{DAY}T13:00:00Z").parse().expect("an instant")
}
