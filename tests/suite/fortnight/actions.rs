//! What people do in an hour, through the API.

use legwork::clock::Timestamp;
use serde_json::{Value, json};

use super::model::{Freed, Term, Visit};
use super::world::{World, address};
use crate::support::booking::booking;
use crate::waitlist_offers::{OFFERS, offers, run, wait_for};

/// No visit begins later.
const LAST: &str = "2026-03-20T22:00:00Z";

impl World {
    /// A free time of any kind for a visit type.
    async fn free(&mut self, visit_type: &str) -> Option<Value> {
        let from = self.now().plus(jiff::SignedDuration::from_hours(1 + i64::try_from(self.below(240)).expect("few")));
        let path = format!("/v1/slots?visit_type_id={visit_type}&from={from}&to={LAST}&limit=30");
        let reply = self.desk.get(&path).await;
        if reply.status != 200 {
            return None;
        }
        let slots = reply.items();
        (!slots.is_empty()).then(|| slots[self.below(slots.len())].clone())
    }

    /// The body of a booking that somebody may want, and for whom.
    pub async fn wish(&mut self) -> Option<(Value, usize)> {
        let (kind, patient) = (self.below(self.visit_types.len()), self.below(self.patients.len()));
        let visit_type = self.visit_types[kind].clone();
        let slot = self.free(&visit_type).await?;
        Some((booking(&slot, &visit_type, &self.patients[patient]), patient))
    }

    /// A visit that is not over, by chance.
    fn upcoming(&mut self) -> Option<String> {
        let now = self.now();
        let live = self.model.visits.iter().filter(|(_, visit)| visit.is_live() && visit.starts_at() > now);
        let live: Vec<String> = live.map(|(id, _)| id.clone()).collect();
        (!live.is_empty()).then(|| live[self.below(live.len())].clone())
    }

    pub async fn book(&mut self) {
        let Some((body, patient)) = self.wish().await else { return };
        let key = self.key();
        let reply = self.desk.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await;
        match reply.status {
            201 => self.booked(&reply.body, patient),
            // The patient is elsewhere at that time, or has enough visits.
            409 => {}
            _ => panic!("{}", reply.text),
        }
    }

    /// Keeps a time for somebody on the phone, who then wants it or not.
    pub async fn hold(&mut self) {
        let Some((mut body, patient)) = self.wish().await else { return };
        let path = format!("/v1/slots/{}/hold", body["slot_id"].as_str().expect("an id"));
        let held = self.desk.post(&path, json!({"visit_type_id": body["visit_type_id"]})).await;
        let hold = held.expect(201).id();
        if self.below(2) == 0 {
            self.desk.delete(&format!("/v1/holds/{hold}")).await.expect(204);
            return;
        }
        body["hold_id"] = json!(hold);
        let key = self.key();
        let reply = self.desk.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await;
        if reply.status == 201 {
            self.booked(&reply.body, patient);
        }
    }

    pub async fn move_one(&mut self) {
        let Some(id) = self.upcoming() else { return };
        let kind = self.model.visits[&id].kind.clone();
        let Some(slot) = self.free(&kind).await else { return };
        let reply = self.desk.post(&format!("/v1/appointments/{id}/reschedule"), json!({"slot_id": slot["id"]})).await;
        if reply.status == 200 {
            self.moved(&id, &reply.body);
        }
    }

    fn moved(&mut self, id: &str, appointment: &Value) {
        let text = |member: &str| appointment[member].as_str().expect("a text");
        let now = self.now();
        let visit = self.model.visits.get_mut(id).expect("a visit");
        visit.terms.last_mut().expect("a term").until = Some(now);
        visit.terms.push(Term { told: now, starts_at: text("starts_at").parse().expect("an instant"), until: None });
        text("practitioner_id").clone_into(&mut visit.practitioner);
    }

    pub async fn cancel(&mut self) {
        if let Some(id) = self.upcoming() {
            self.cancel_this(&id).await;
        }
    }

    async fn cancel_this(&mut self, id: &str) {
        let reply = self.desk.post(&format!("/v1/appointments/{id}/cancel"), json!({"reason": "ill"})).await;
        reply.expect(200);
        let (now, follow_up) = (self.now(), self.visit_types[1].clone());
        let visit = self.model.visits.get_mut(id).expect("a visit");
        visit.terms.last_mut().expect("a term").until = Some(now);
        visit.status = "cancelled";
        let notice = jiff::SignedDuration::from_mins(if visit.kind == follow_up { 1440 } else { 0 });
        visit.late = visit.starts_at().minus(notice) < now;
    }

    /// The patient cancels with the link of the last mail about the only visit.
    pub async fn cancel_by_link(&mut self) {
        let Some(id) = self.upcoming() else { return };
        let visit = &self.model.visits[&id];
        let (patient, to) = (visit.patient, address(visit.patient));
        let is_only = self.model.visits.values().filter(|visit| visit.patient == patient).count() == 1;
        let Some(token) = self.last_token(&to, "").filter(|_| is_only) else { return };
        let reply = self.app.anon().post("/v1/appointment-links/cancel", json!({"token": token})).await;
        let now = self.now();
        let visit = self.model.visits.get_mut(&id).expect("a visit");
        if reply.status == 200 {
            visit.terms.last_mut().expect("a term").until = Some(now);
            visit.status = "cancelled";
        }
    }

    /// The token of the last mail to an address whose subject has these words.
    fn last_token(&self, to: &str, words: &str) -> Option<String> {
        let mut mails = self.model.received.iter().rev().filter(|mail| mail.to == to && mail.subject.contains(words));
        let (_, rest) = mails.next()?.text.split_once("#token=")?;
        Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.~".contains(*c)).collect())
    }

    /// Patients come, or do not.
    pub async fn receive(&mut self) {
        let now = self.now();
        let begun = self.model.visits.iter().filter(|(_, visit)| visit.is_live() && visit.starts_at() < now);
        for id in begun.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let (action, status) = if self.below(5) == 0 { ("no-show", "noshow") } else { ("check-in", "checked-in") };
            let reply = self.desk.post_empty(&format!("/v1/appointments/{id}/{action}")).await;
            if reply.status == 200 {
                self.model.visits.get_mut(&id).expect("a visit").status = status;
            }
        }
    }

    /// Three patients wait for a time that somebody has. It becomes free, and they are asked in turn.
    pub async fn wait_and_free(&mut self) {
        let (now, check) = (self.now(), self.visit_types[0].clone());
        let soon = now.plus(jiff::SignedDuration::from_hours(20));
        let is_first = |at: Timestamp| self.model.freed.iter().all(|freed| freed.starts_at != at);
        let is_of_check = |visit: &Visit| visit.is_live() && visit.kind == check && visit.starts_at() > soon;
        let of_check = self.model.visits.iter().filter(|(_, visit)| is_of_check(visit) && is_first(visit.starts_at()));
        let of_check: Vec<_> =
            of_check.map(|(id, visit)| (id.clone(), visit.starts_at(), visit.practitioner.clone())).collect();
        if of_check.is_empty() {
            return;
        }
        let (id, starts_at, practitioner) = of_check[self.below(of_check.len())].clone();
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let patient = self.below(self.patients.len());
            // Who has a visit may be busy then, and who has waited before may have an offer.
            if self.model.visits.values().any(|visit| visit.patient == patient) || !self.model.waited.insert(patient) {
                continue;
            }
            let (urgency, place) = [("urgent", 0), ("soon", 1), ("routine", 2)][self.below(3)];
            let more = json!({"urgency": urgency, "practitioner_ids": [practitioner]});
            let time = json!({"starts_at": starts_at.to_string()});
            wait_for(&self.desk, &self.patients[patient], &check, &time, more).await;
            waiting.push((place, patient));
        }
        self.cancel_this(&id).await;
        while !waiting.is_empty() {
            run(&self.app).await;
            // The sort is stable: who came first is first.
            waiting.sort_by_key(|(place, _)| *place);
            let (_, first) = waiting.remove(0);
            let offered = self.asked(starts_at).await;
            let asked = offered.first().copied();
            self.model.freed.push(Freed { starts_at, first: Some(first), offered });
            if asked != Some(first) || self.answer(first).await {
                return;
            }
        }
    }

    /// The patients with an open offer of this time.
    async fn asked(&self, starts_at: Timestamp) -> Vec<usize> {
        let open = self.desk.get(&format!("{OFFERS}?status=offered&limit=200")).await.items();
        let of_time = open.iter().filter(|offer| offer["starts_at"] == starts_at.to_string());
        of_time.filter_map(|offer| self.patients.iter().position(|id| offer["patient_id"] == **id)).collect()
    }

    /// Answers an offer with the link in its mail. Returns whether the time is gone, or stays offered because the mail has not come.
    async fn answer(&mut self, patient: usize) -> bool {
        self.settle().await;
        let Some(token) = self.last_token(&address(patient), "A time is free") else { return true };
        let step = ["claim", "decline", "decline"][self.below(3)];
        let reply = self.app.anon().post(&format!("/v1/waitlist-offer-links/{step}"), json!({"token": token})).await;
        reply.expect(200);
        if step == "decline" {
            return false;
        }
        let offer = offers(&self.desk, &self.patients[patient]).await.pop().expect("the offer");
        let appointment =
            self.desk.get(&format!("/v1/appointments/{}", offer["appointment_id"].as_str().expect("a visit"))).await;
        self.booked(&appointment.expect(200).body, patient);
        self.model.claims += 1;
        true
    }

    /// A practitioner is ill on a day: the desk takes the times that are proposed.
    pub async fn ill(&mut self, (from, to): (Timestamp, Timestamp)) {
        let off = json!({"kind": "time_off", "starts_at": from, "ends_at": to, "reason": "Ill"});
        let added = self.desk.post(&format!("/v1/practitioners/{}/exceptions", self.practitioners[0]), off).await;
        let affected = self.desk.get(&format!("{}/affected-appointments", added.expect(201).location())).await;
        let visits = affected.expect(200).body["affected_appointments"].as_array().expect("visits").clone();
        let with_times = visits.iter().filter(|visit| visit["proposals"][0]["id"].is_string());
        let to_first = |visit: &Value| json!({"appointment_id": visit["id"], "version": visit["version"], "slot_id": visit["proposals"][0]["id"]});
        let moves: Vec<_> = with_times.map(to_first).collect();
        if moves.is_empty() {
            return;
        }
        let key = self.key();
        let reply = self
            .desk
            .post_with("/v1/appointments/reschedule", json!({"moves": moves}), &[("Idempotency-Key", &key)])
            .await;
        for moved in reply.expect(200).body["moved"].as_array().expect("visits").clone() {
            let id = moved["appointment_id"].as_str().expect("an id");
            let visit = self.desk.get(&format!("/v1/appointments/{id}")).await.expect(200).body.clone();
            assert_eq!(visit["starts_at"], moved["starts_at"]);
            self.moved(id, &visit);
        }
    }
}
