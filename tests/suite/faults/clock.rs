//! A machine whose clock is set back and forward while the service runs.

use serde_json::json;

use crate::appointments::act;
use crate::events::{assert_whole, read_all};
use crate::reminders::{again, at, booked_at, reminders_to, reminding};
use crate::support::audit::{findings, sealed};
use crate::support::booking::path;
use crate::support::{App, both, id};

const DESK: &str = "desk@clinic.example";

both! {
    async fn a_clock_that_is_set_back_and_forward_loses_nothing_and_tells_nobody_twice(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        app.desk().await;
        let first = booked_at(&app, &again(&app, DESK).await, &clinic.check, &ann.patient_id, "2026-03-18T14:00:00Z").await;
        sealed(&app).await;
        assert_eq!(at(&app, "2026-03-12T14:00:00Z").await, 1, "seven days before");
        sealed(&app).await;

        // Two days back. Whoever signs in again goes on.
        assert_eq!(at(&app, "2026-03-10T14:00:00Z").await, 0);
        let (desk, own) = (again(&app, DESK).await, again(&app, &ann.email).await);
        let second = booked_at(&app, &desk, &clinic.check, &ann.patient_id, "2026-03-19T14:00:00Z").await;
        act(&own, &first, "confirm").await.expect(200);
        let gone = booked_at(&app, &own, &clinic.check, &ann.patient_id, "2026-03-20T14:00:00Z").await;
        own.post(&path(&gone, "/cancel"), json!({"reason": "Too late"})).await.expect(200);
        app.mails().await;
        sealed(&app).await;

        // Where it was, and on: what was sent is not sent again.
        assert_eq!(at(&app, "2026-03-12T14:05:00Z").await, 1, "seven days before the second visit");
        sealed(&app).await;
        assert_eq!(at(&app, "2026-03-16T15:00:00Z").await, 1, "two days before the first visit");
        sealed(&app).await;
        assert_eq!(at(&app, "2026-03-15T15:00:00Z").await, 0);
        assert_eq!(at(&app, "2026-03-16T15:00:00Z").await, 0);
        assert_eq!(reminders_to(&app, &ann.email).await.len(), 3);

        let desk = again(&app, DESK).await;
        let visits = desk.get(&format!("/v1/appointments?patient_id={}", ann.patient_id)).await.items();
        let standing: Vec<_> = visits.iter().map(|visit| (id(visit), visit["status"].as_str().expect("a status"))).collect();
        assert_eq!(standing, [(id(&first), "booked"), (id(&second), "booked"), (id(&gone), "cancelled")]);
        assert_whole(&read_all(&desk, 0, "").await.0);
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }
}
