//! The law of the clinic's time zone changes: summer time ends on the day after.

use serde_json::{Value, json};

use legwork::appointments::zone_changes::scanning;
use legwork::scheduling::hours::publishing;

use super::world::World;
use crate::support::Client;

impl World {
    /// Publishes and scans, as the background jobs do soon after the start with the new rules. The desk then keeps the local time of some
    /// visits, accepts the new one of others, and leaves the rest.
    pub async fn adopt_law(&mut self) {
        publishing::publish_all(&self.app.env).await.expect("published");
        scanning::scan(&self.app.env).await.expect("scanned");
        self.model.law = Some(self.now());
        let now = self.now();
        let affected = self.model.visits.iter().filter(|(_, visit)| self.model.is_affected(visit, now));
        let affected: Vec<String> = affected.map(|(id, _)| id.clone()).collect();
        assert!(affected.len() > 2, "the law changes the time of {} visits", affected.len());
        let kept: Vec<&String> = affected.iter().step_by(3).take(50).collect();
        let reply = self.desk.post("/v1/zone-changes/resolve", json!({"appointment_ids": kept})).await;
        let kept = reply.expect(200).body["kept"].as_array().expect("visits").clone();
        let mut changed: Vec<String> = kept.iter().map(|id| id.as_str().expect("an id").to_owned()).collect();
        for id in affected.iter().skip(1).step_by(3) {
            self.desk.post_empty(&format!("/v1/appointments/{id}/accept-time")).await.expect(200);
            changed.push(id.clone());
        }
        for id in changed {
            let visit = self.desk.get(&format!("/v1/appointments/{id}")).await.expect(200).body.clone();
            self.moved(&id, &visit);
        }
        self.watch("law").await;
    }
}

/// The visits that need attention with the reason, and those that do not.
pub async fn attention(client: &Client) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    for needs in [true, false] {
        let mut path = format!("/v1/appointments?needs_attention={needs}&limit=200");
        loop {
            let page = client.get(&path).await;
            let listed = page.items();
            all.extend(listed.iter().map(|visit| {
                let reason = needs.then(|| visit["attention"]["reason"].as_str().unwrap_or("none").to_owned());
                (visit["id"].as_str().expect("an id").to_owned(), reason)
            }));
            let Value::String(next) = &page.body["next_cursor"] else { break };
            path = format!("/v1/appointments?needs_attention={needs}&limit=200&cursor={next}");
        }
    }
    all
}
