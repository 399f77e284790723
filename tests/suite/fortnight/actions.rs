//! What people do in an hour, through the API.

use legwork::clock::Timestamp;
use serde_json::{Value, json};

use super::model::{Closed, Term};
use super::world::{World, address};
use crate::support::booking::booking;

/// No visit begins later.
const LAST: &str = "2026-03-20T22:00:00Z";

impl World {
    /// A free time of any kind for a visit type.
    pub async fn free(&mut self, visit_type: &str) -> Option<Value> {
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
        let (kind, patient) = (self.below(self.visit_types.len()), self.below(self.bookers()));
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
        if let Some(id) = self.upcoming() {
            self.move_this(&id).await;
        }
    }

    pub async fn move_this(&mut self, id: &str) {
        let kind = self.model.visits[id].kind.clone();
        let Some(slot) = self.free(&kind).await else { return };
        let reply = self.desk.post(&format!("/v1/appointments/{id}/reschedule"), json!({"slot_id": slot["id"]})).await;
        if reply.status == 200 {
            self.moved(id, &reply.body);
            self.watch("moved").await;
        }
    }

    /// Remembers the new time of a visit.
    pub fn moved(&mut self, id: &str, appointment: &Value) {
        let now = self.now();
        let visit = self.model.visits.get_mut(id).expect("a visit");
        visit.terms.last_mut().expect("a term").until = Some(now);
        visit.terms.push(Term::of(appointment, now));
        appointment["practitioner_id"].as_str().expect("an id").clone_into(&mut visit.practitioner);
    }

    pub async fn cancel(&mut self) {
        if let Some(id) = self.upcoming() {
            self.cancel_this(&id).await;
        }
    }

    pub async fn cancel_this(&mut self, id: &str) {
        let reply = self.desk.post(&format!("/v1/appointments/{id}/cancel"), json!({"reason": "ill"})).await;
        reply.expect(200);
        let (now, follow_up) = (self.now(), self.visit_types[1].clone());
        // The clinic's own change of hours makes no cancellation late.
        let is_off_plan = self.model.is_off_plan(&self.model.visits[id], now);
        let visit = self.model.visits.get_mut(id).expect("a visit");
        visit.terms.last_mut().expect("a term").until = Some(now);
        visit.status = "cancelled";
        let notice = jiff::SignedDuration::from_mins(if visit.kind == follow_up { 1440 } else { 0 });
        visit.late = !is_off_plan && visit.starts_at().minus(notice) < now;
        self.watch("cancelled").await;
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
            self.watch("cancelled by link").await;
        }
    }

    /// The token of the last mail to an address whose subject has these words.
    pub fn last_token(&self, to: &str, words: &str) -> Option<String> {
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

    /// A practitioner is ill on a day: the desk takes the times that are proposed.
    pub async fn ill(&mut self, (from, to): (Timestamp, Timestamp)) {
        let off = json!({"kind": "time_off", "starts_at": from, "ends_at": to, "reason": "Ill"});
        let practitioner = self.practitioners[0].clone();
        let added = self.desk.post(&format!("/v1/practitioners/{practitioner}/exceptions"), off).await;
        // Offers of these times are withdrawn.
        for ((other, at), queue) in &mut self.model.queues {
            if *other == practitioner && (from..to).contains(at) {
                queue.open = None;
            }
        }
        self.model.closed.push(Closed { practitioner, from, to, lapses: None, slot: None });
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
        self.watch("moved").await;
    }
}
