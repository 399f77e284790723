//! Patients who wait for a time that is taken. The model knows when nothing takes it any more, whatever freed it, and who is asked then.

use jiff::SignedDuration;
use legwork::clock::Timestamp;
use serde_json::{Value, json};

use super::model::{Closed, FIRST_DAY_OF_LAW, Freed, Queue};
use super::world::{World, address};
use crate::waitlist_offers::{OFFERS, offers, run};

/// No offer is made of a time that begins sooner; an offer is open for two hours.
const TOO_SOON: SignedDuration = SignedDuration::from_hours(3);

/// A practitioner's time.
type Time = (String, Timestamp);

impl World {
    /// The number of patients who book. The others only wait.
    pub fn bookers(&self) -> usize {
        self.patients.len() / 2
    }

    /// Whether patients may begin to wait for a time. The law changes what their wishes mean, so before it they wait for times that it leaves
    /// alone.
    fn can_be_wished(&self, (practitioner, starts_at): &Time) -> bool {
        let is_later = *starts_at > self.now().plus(SignedDuration::from_hours(20));
        let is_lasting = self.model.law.is_some() || *starts_at < self.local(FIRST_DAY_OF_LAW, 0);
        is_later && is_lasting && !self.model.queues.contains_key(&(practitioner.clone(), *starts_at))
    }

    /// One to three patients wait for a time.
    async fn line_up(&mut self, time: Time) {
        let local = time.1.in_zone(&self.model.zone(self.now()));
        let minute = |later| local.saturating_add(jiff::Span::new().minutes(later)).strftime("%H:%M").to_string();
        for _ in 0..=self.below(3) {
            let patient = self.bookers() + self.model.waited;
            let Some(id) = self.patients.get(patient) else { return };
            self.model.waited += 1;
            let mut entry = json!({
                "patient_id": id, "visit_type_id": self.visit_types[0], "practitioner_ids": [time.0],
                "from_date": local.date().to_string(), "to_date": local.date().to_string(),
                "from_time": minute(0), "to_time": minute(1),
            });
            let (urgency, place) = [("urgent", 0), ("soon", 1), ("routine", 2)][self.below(3)];
            entry["urgency"] = json!(urgency);
            self.desk.post("/v1/waitlist-entries", entry).await.expect(201);
            let queue = self.model.queues.entry(time.clone()).or_default();
            queue.waiting.push((place, patient));
            // The sort is stable: who came first is first.
            queue.waiting.sort_by_key(|(place, _)| *place);
        }
    }

    /// Patients wait for the time of somebody's visit.
    pub async fn wait_for_visit(&mut self) {
        let times = self.model.visits.values().filter(|visit| visit.is_live());
        let times = times.map(|visit| (visit.practitioner.clone(), visit.starts_at()));
        let times: Vec<Time> = times.filter(|time| self.can_be_wished(time)).collect();
        if !times.is_empty() {
            let time = times[self.below(times.len())].clone();
            self.line_up(time).await;
        }
    }

    /// A free time of a check that can be wished, with its slot.
    async fn wishable(&mut self) -> Option<(Value, Time)> {
        let check = self.visit_types[0].clone();
        let slot = self.free(&check).await?;
        let text = |member: &str| slot[member].as_str().expect("a text").to_owned();
        let time = (text("practitioner_id"), text("starts_at").parse().expect("an instant"));
        self.can_be_wished(&time).then_some((slot, time))
    }

    fn close(&mut self, (practitioner, from): Time, lapses: Option<Timestamp>, slot: Option<String>) {
        let to = from.plus(SignedDuration::from_mins(15));
        self.model.closed.push(Closed { practitioner, from, to, lapses, slot });
    }

    /// The desk blocks a time, for which patients then wait.
    pub async fn block(&mut self) {
        let Some((slot, time)) = self.wishable().await else { return };
        let id = slot["id"].as_str().expect("an id").to_owned();
        self.desk.post(&format!("/v1/slots/{id}/block"), json!({"reason": "Repair"})).await.expect(200);
        self.close(time.clone(), None, Some(id));
        self.line_up(time).await;
    }

    /// The oldest block ends.
    pub async fn unblock(&mut self) {
        let Some(place) = self.model.closed.iter().position(|closed| closed.slot.is_some()) else { return };
        let closed = self.model.closed.remove(place);
        // A blocked slot outside the hours of the new law is gone.
        let _ = self.desk.post_empty(&format!("/v1/slots/{}/unblock", closed.slot.unwrap_or_default())).await;
        self.watch("unblocked").await;
    }

    /// The desk holds a time, for which patients then wait, and forgets it.
    pub async fn hold_and_forget(&mut self) {
        let Some((slot, time)) = self.wishable().await else { return };
        let path = format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id"));
        let held = self.desk.post(&path, json!({"visit_type_id": self.visit_types[0]})).await;
        let lapses = held.expect(201).string("/expires_at").parse().expect("an instant");
        self.close(time.clone(), Some(lapses), None);
        self.line_up(time).await;
    }

    /// A patient who has a time for which others wait cancels or moves the visit.
    pub async fn give_up(&mut self, moves: bool) {
        let soon = self.now().plus(TOO_SOON * 2);
        let is_wished = |practitioner: &str, from: Timestamp, to: Timestamp| {
            self.model.queues.iter().any(|((other, at), queue)| {
                other == practitioner && (from..to).contains(at) && *at > soon && !queue.waiting.is_empty()
            })
        };
        let found =
            self.model.visits.iter().find(|(_, visit)| {
                visit.is_live() && is_wished(&visit.practitioner, visit.starts_at(), visit.ends_at())
            });
        let Some(id) = found.map(|(id, _)| id.clone()) else { return };
        if moves { self.move_this(&id).await } else { self.cancel_this(&id).await }
    }

    /// Runs the job of the waitlist, compares the open offers with those that the model expects, and lets patients answer the new ones.
    /// `cause` is what may have freed a time.
    pub async fn watch(&mut self, mut cause: &'static str) {
        loop {
            run(&self.app).await;
            let mut declined = false;
            for patient in self.compare(cause).await {
                declined |= self.answer(patient).await;
            }
            if !declined {
                return;
            }
            cause = "declined";
        }
    }

    /// Compares the open offers with those that the model expects. Returns the patients with a new one.
    async fn compare(&mut self, cause: &'static str) -> Vec<usize> {
        let now = self.now();
        let open = self.desk.get(&format!("{OFFERS}?status=offered&limit=200")).await.items();
        let mut new = Vec::new();
        self.model.queues.retain(|(_, starts_at), _| *starts_at > now.plus(TOO_SOON));
        for time in self.model.queues.keys().cloned().collect::<Vec<_>>() {
            let offers = open
                .iter()
                .filter(|offer| offer["practitioner_id"] == *time.0 && offer["starts_at"] == time.1.to_string());
            let end = |offer: &Value| offer["expires_at"].as_str().expect("an end").parse().expect("an instant");
            let offers = offers.filter_map(|offer| {
                Some((self.patients.iter().position(|id| offer["patient_id"] == **id)?, end(offer)))
            });
            let offers: Vec<(usize, Timestamp)> = offers.collect();
            let is_free = self.model.is_free(&time, now);
            let queue = self.model.queues.get_mut(&time).expect("a queue");
            let has_lapsed = queue.open.is_some_and(|(_, end)| end <= now);
            if has_lapsed {
                queue.open = None;
            }
            let next = if is_free && queue.open.is_none() { queue.next() } else { None };
            let first = next.or(queue.open.map(|(patient, _)| patient));
            let offered: Vec<usize> = offers.iter().map(|(patient, _)| *patient).collect();
            if next.is_some() || offered != first.into_iter().collect::<Vec<_>>() {
                let by = if has_lapsed { "lapsed offer" } else { cause };
                self.model.freed.push(Freed { starts_at: time.1, by, first, offered });
            }
            if next.is_some() {
                queue.open = offers.into_iter().find(|(patient, _)| Some(*patient) == next);
                new.extend(next.filter(|_| queue.open.is_some()));
            }
        }
        new
    }

    /// Answers an offer with the link in its mail, or lets it lapse. Returns whether the patient declined.
    async fn answer(&mut self, patient: usize) -> bool {
        self.settle().await;
        let Some(step) = [Some("claim"), Some("decline"), Some("decline"), None][self.below(4)] else { return false };
        // While the mail server is away, nobody can answer.
        let Some(token) = self.last_token(&address(patient), "A time is free") else { return false };
        let reply = self.app.anon().post(&format!("/v1/waitlist-offer-links/{step}"), json!({"token": token})).await;
        reply.expect(200);
        let queue = |queue: &&mut Queue| queue.open.is_some_and(|(other, _)| other == patient);
        self.model.queues.values_mut().find(queue).expect("a queue").open = None;
        if step == "decline" {
            return true;
        }
        let offer = offers(&self.desk, &self.patients[patient]).await.pop().expect("the offer");
        let appointment =
            self.desk.get(&format!("/v1/appointments/{}", offer["appointment_id"].as_str().expect("a visit"))).await;
        self.booked(&appointment.expect(200).body, patient);
        self.model.claims += 1;
        false
    }
}
