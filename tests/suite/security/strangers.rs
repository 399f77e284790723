//! Row 27: strangers cannot hold every time of a calendar.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};
use legwork::db::Conn;
use serde_json::{Value, json};

use crate::holds::{hold, hold_with, is_free};
use crate::support::clinic::{free_slots, hours, practitioner, put_hours};
use crate::support::{App, both, eventually};

/// The starts on the first day of the clock.
async fn of_monday(app: &App, visit_type: &str) -> Vec<Value> {
    let mut slots = free_slots(&app.anon(), visit_type).await;
    slots.retain(|slot| slot["starts_at"].as_str().is_some_and(|at| at.starts_with("2026-03-02")));
    slots
}

/// How many visits fit one after the other into these starts.
fn one_after_the_other(starts: &[Value], minutes: i64) -> usize {
    let (mut count, mut free_from) = (0, Timestamp::MIN);
    for start in
        starts.iter().map(|slot| slot["starts_at"].as_str().expect("a start").parse::<Timestamp>().expect("an instant"))
    {
        if start >= free_from {
            count += 1;
            free_from = start + SignedDuration::from_mins(minutes);
        }
    }
    count
}

both! {
    async fn row_27_the_times_that_one_address_and_one_network_hold_are_limited(app: App) {
        let clinic = app.clinic().await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        // The times are of several days, so that the limit of a day is not reached.
        let mut slots = slots.iter().step_by(5);
        let first = app.anon_at("127.1.1.1");
        let mut held = Vec::new();
        for slot in slots.by_ref().take(4) {
            held.push(hold(&first, slot, &clinic.check).await.expect(201).clone());
        }
        let next = slots.next().expect("a slot");
        let refused = hold(&first, next, &clinic.check).await;
        let detail = refused.problem(409, "hold_limit")["detail"].as_str().expect("text").to_owned();
        assert!(detail.contains("sign in") && detail.contains("call the clinic"), "{detail}");
        // One that replaces another is not one more.
        let secret = held[0].string("/secret");
        hold_with(&first, next, &clinic.check, &[("Hold-Secret", &secret)]).await.expect(201);
        // Neighbours are not affected until the network is full.
        for neighbour in 2..5 {
            let neighbour = app.anon_at(&format!("127.1.1.{neighbour}"));
            for slot in slots.by_ref().take(4) {
                hold(&neighbour, slot, &clinic.check).await.expect(201);
            }
        }
        let next = slots.next().expect("a slot");
        hold(&app.anon_at("127.1.1.9"), next, &clinic.check).await.problem(409, "hold_limit");
        hold(&app.anon_at("127.1.2.1"), next, &clinic.check).await.expect(201);
        // Accounts have no such limit, whatever strangers at their address do.
        let next = slots.next().expect("a slot");
        let ann = app.patient("ann").await;
        for neighbour in 0..4 {
            hold(&app.anon(), slots.nth(neighbour).expect("a slot"), &clinic.check).await.expect(201);
        }
        hold(&app.anon(), next, &clinic.check).await.problem(409, "hold_limit");
        hold(&ann, next, &clinic.check).await.expect(201);
        // What lapsed no longer counts.
        app.clock.advance(SignedDuration::from_mins(10));
        hold(&first, next, &clinic.check).await.expect(201);
    }

    async fn row_27_strangers_with_many_networks_hold_only_a_share_of_a_day(app: App) {
        let clinic = app.clinic().await;
        let slots = of_monday(&app, &clinic.check).await;
        // 9:00 has begun.
        assert_eq!(slots.len(), 31);
        let strangers: Vec<_> = (0..31).map(|number| app.anon_at(&format!("127.2.{number}.1"))).collect();
        let replies = join_all(strangers.iter().zip(&slots).map(|(stranger, slot)| hold(stranger, slot, &clinic.check))).await;
        assert!(replies.iter().any(|reply| reply.status == 201));
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            reply.problem(409, "hold_limit");
        }
        for (kind, minutes, without) in [(&clinic.check, 15, 31), (&clinic.follow_up, 30, 15), (&clinic.new_visit, 60, 7)] {
            let left = one_after_the_other(&of_monday(&app, kind).await, minutes);
            assert!(2 * left >= without && left < without, "{left} visits of {minutes} minutes");
        }
        let left = of_monday(&app, &clinic.check).await;
        // Another day is open to strangers, and the rest of this one to accounts.
        let tuesday = free_slots(&app.anon(), &clinic.check).await.into_iter().find(|slot| {
            slot["starts_at"].as_str().is_some_and(|at| at.starts_with("2026-03-03"))
        });
        hold(&strangers[0], &tuesday.expect("a slot"), &clinic.check).await.expect(201);
        let ann = app.patient("ann").await;
        hold(&ann, &left[0], &clinic.check).await.expect(201);
        let desk = app.desk().await;
        for slot in &left[1..6] {
            hold(&desk, slot, &clinic.check).await.expect(201);
        }
    }

    async fn row_27_short_holds_with_gaps_leave_half_of_the_longer_visits_of_a_day(app: App) {
        let clinic = app.clinic().await;
        let tuesday = |slots: Vec<Value>| -> Vec<Value> {
            slots.into_iter().filter(|slot| slot["starts_at"].as_str().is_some_and(|at| at.starts_with("2026-03-03"))).collect()
        };
        let starts = tuesday(free_slots(&app.anon(), &clinic.follow_up).await);
        assert_eq!(one_after_the_other(&tuesday(free_slots(&app.anon(), &clinic.new_visit).await), 60), 8);
        // Half an hour each, with three quarters of an hour between them.
        let mut refused = 0;
        for (number, slot) in starts.iter().skip(3).step_by(5).enumerate() {
            let reply = hold(&app.anon_at(&format!("127.5.{number}.1")), slot, &clinic.follow_up).await;
            refused += usize::from(reply.status == 409);
        }
        assert!(refused > 0);
        assert_eq!(one_after_the_other(&tuesday(free_slots(&app.anon(), &clinic.new_visit).await), 60), 4);
    }

    async fn row_27_strangers_leave_half_of_the_visits_that_need_a_device(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let body = json!({"name": "Scanner", "capacities": [{"location_id": clinic.location_id, "units": 1}]});
        let scanner = admin.post("/v1/resources", body).await.expect(201).id();
        let kind = async |minutes: u32| {
            let body = json!({
                "name": "Scan", "public_name": "Visit", "duration_minutes": minutes, "online_bookable": true, "resource_ids": [scanner],
            });
            admin.post("/v1/visit-types", body).await.expect(201).id()
        };
        let (short, long) = (kind(30).await, kind(60).await);
        let mut doctors = Vec::new();
        for name in ["Dr. One", "Dr. Two"] {
            doctors.push(practitioner(&admin, name, &clinic.location_id, &[&short, &long]).await);
        }
        let of_tuesday = async |visit: &str, doctor: &str| {
            let path = format!("/v1/slots?visit_type_id={visit}&practitioner_id={doctor}&date=2026-03-03&limit=200");
            app.anon().get(&path).await.items()
        };
        let times = [of_tuesday(&short, &doctors[0]).await, of_tuesday(&short, &doctors[1]).await];
        // In turn with each practitioner, so that no practitioner's day is half taken.
        for (turn, number) in (3..times[0].len()).step_by(5).enumerate() {
            hold(&app.anon_at(&format!("127.6.{turn}.1")), &times[turn % 2][number], &short).await;
        }
        let left = one_after_the_other(&of_tuesday(&long, &doctors[0]).await, 60);
        assert!((4..8).contains(&left), "{left} of 8");
    }

    async fn row_27_strangers_leave_half_of_the_visits_across_midnight(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let body = json!({"name": "Bed", "capacities": [{"location_id": clinic.location_id, "units": 4}]});
        let bed = admin.post("/v1/resources", body).await.expect(201).id();
        let body = json!({
            "name": "Night", "public_name": "Night", "duration_minutes": 480, "online_bookable": true, "resource_ids": [bed],
        });
        let night = admin.post("/v1/visit-types", body).await.expect(201).id();
        let evening = hours(&clinic.location_id, "tuesday", "22:00", "24:00");
        let morning = hours(&clinic.location_id, "wednesday", "00:00", "06:00");
        let mut doctors = Vec::new();
        for name in ["Dr. One", "Dr. Two", "Dr. Three", "Dr. Four"] {
            let doctor = practitioner(&admin, name, &clinic.location_id, &[&night]).await;
            put_hours(&admin, &doctor, json!([evening, morning])).await.expect(200);
            doctors.push(doctor);
        }
        let mut held = 0;
        for (number, doctor) in doctors.iter().enumerate() {
            let path = format!("/v1/slots?visit_type_id={night}&practitioner_id={doctor}&limit=1");
            let first = app.anon().get(&path).await.items().remove(0);
            let reply = hold(&app.anon_at(&format!("127.7.{number}.1")), &first, &night).await;
            held += usize::from(reply.status == 201);
        }
        assert_eq!(held, 2);
    }

    async fn row_27_the_last_visit_of_a_full_day_is_open_to_a_stranger(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = of_monday(&app, &clinic.check).await;
        for slot in &slots[4..] {
            desk.post(&format!("/v1/slots/{}/block", crate::support::id(slot)), serde_json::json!({"reason": "Full"})).await.expect(200);
        }
        let hours = of_monday(&app, &clinic.new_visit).await;
        assert_eq!(hours.len(), 1);
        hold(&app.anon(), &hours[0], &clinic.new_visit).await.expect(201);
        assert!(!is_free(&desk, &slots[0], &clinic.check).await);
    }

    async fn row_27_parallel_holds_of_one_address_keep_to_the_limit(app: App) {
        let clinic = app.clinic().await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let stranger = app.anon_at("127.3.3.3");
        let replies = join_all(slots.iter().step_by(7).take(16).map(|slot| hold(&stranger, slot, &clinic.check))).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 4);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            reply.problem(409, "hold_limit");
        }
    }

    /// Each decision looks at a whole day. Those that wait for it must not have the connections that others need.
    async fn row_27_strangers_who_wait_for_a_decision_leave_the_database_to_others(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let key = legwork::db::advisory_lock::STRANGERS_HOLDS;
        let mut other = app.site.connect();
        let is_postgres = matches!(other, Conn::Postgres(_));
        let mut lock = |what: &str| {
            if is_postgres {
                other.batch_execute(&format!("SELECT {what}({key})")).expect("an advisory lock");
            }
        };
        lock("pg_advisory_lock");
        let strangers: Vec<_> = (0..24).map(|number| app.anon_at(&format!("127.7.{number}.1"))).collect();
        let holds = join_all(strangers.iter().zip(&slots).map(|(stranger, slot)| hold(stranger, slot, &clinic.check)));
        let others = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            for _ in 0..3 {
                desk.get("/v1/patients?q=ann").await.expect(200);
            }
            lock("pg_advisory_unlock");
        };
        let (replies, ()) = join(holds, others).await;
        assert!(replies.iter().any(|reply| reply.status == 201));
        // On a slow machine some wait too long.
        assert!(replies.iter().all(|reply| [201, 409, 503].contains(&reply.status)));
    }

    /// A stranger may hold and release without end, so such events are counted and not stored one by one.
    async fn row_27_holds_of_strangers_do_not_fill_the_audit_trail(app: App) {
        let clinic = app.clinic().await;
        let admin = app.admin().await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let mut secret = String::new();
        for turn in 0..80 {
            let stranger = app.anon_at(&format!("127.4.{turn}.1"));
            let held = hold_with(&stranger, &slots[turn % 2], &clinic.check, &[("Hold-Secret", secret.as_str())][..usize::from(turn > 0)]).await;
            secret = held.expect(201).string("/secret");
        }
        eventually(async || {
            let events = admin.get("/v1/audit-events?operation=create_hold&limit=200").await.expect(200).items();
            let count = events.len();
            if (1..=60).contains(&count) { Ok(()) } else { Err(format!("{count} events")) }
        }).await;
    }
}
