//! Merges of records beside other changes of them.

use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};
use legwork::appointments::reminders::sending;
use serde_json::{Value, json};

use crate::merging::{merge, path, patient_of, record, request, undo};
use crate::reminders::reminding;
use crate::support::booking::book_nth;
use crate::support::clinic::free_slots;
use crate::support::families::{access, person, registered, registration};
use crate::support::intakes::june;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, book, both};

both! {
    async fn access_that_is_given_beside_a_merge_waits_for_a_second_person_or_hinders_it(app: App) {
        let desk = app.desk().await;
        let bob = registered(&app, registration("bob@example.org", "guardian", "Bob Other", person("Kim", "2015-07-04"))).await;
        for round in 0..8 {
            let mut body = patient_json("Dora", "bob@example.org");
            body["family_name"] = json!(format!("Fresh{round}"));
            let fresh = desk.post("/v1/patients", body).await.expect(201).id();
            let victim = record(&desk, &format!("Vic{round}")).await;
            let (body, version) = request(&desk, &fresh, &victim, &[]).await;
            let merges = format!("{}/merges", path(&fresh));
            let (grants, given) = (access(&fresh), json!({"email": "bob@example.org", "relation": "self"}));
            let pause = std::time::Duration::from_millis(round);
            let late = async { tokio::time::sleep(pause).await; desk.post_with(&merges, body, &[("If-Match", &version)]).await };
            let (given, merged) = join(desk.post(&grants, given), late).await;
            let reads = bob.get(&path(&fresh)).await.status == 200;
            assert!(!(merged.status == 201 && reads), "{} {}", given.text, merged.text);
            if given.status == 201 {
                let bob_id = given.string("/user_id");
                desk.delete(&format!("{grants}/{bob_id}")).await.expect(204);
            }
        }
    }

    async fn of_two_merges_of_one_record_at_once_one_succeeds(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        for round in 0..4 {
            let (a, b) = (record(&desk, &format!("Ida{round}")).await, record(&desk, &format!("Idah{round}")).await);
            let visit = book_nth(&desk, &clinic.check, round, &a).await.location();
            let (this, that) = (request(&desk, &a, &b, &[]).await, request(&desk, &b, &a, &[]).await);
            let send = async |id: &str, (body, version): (Value, String)| {
                desk.post_with(&format!("{}/merges", path(id)), body, &[("If-Match", &version)]).await
            };
            let (one, other) = join(send(&a, this), send(&b, that)).await;
            let (won, lost) = if one.status == 201 { (&one, &other) } else { (&other, &one) };
            won.expect(201);
            assert!(lost.status == 409 || lost.status == 412, "{}", lost.text);
            assert_eq!(patient_of(&desk, &visit).await, won.string("/patient_id"));
        }
    }

    async fn a_booking_beside_a_merge_is_refused_or_follows(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        for round in 0..4 {
            let (kept, old) = (record(&desk, &format!("Eva{round}")).await, record(&desk, &format!("Evah{round}")).await);
            let slots = free_slots(&desk, &clinic.check).await;
            let bookings = join_all(slots.iter().step_by(4).take(4).map(|slot| book(&desk, slot, &clinic.check, &old)));
            let (merged, booked) = join(merge(&desk, &kept, &old), bookings).await;
            merged.expect(201);
            for reply in booked {
                match reply.status {
                    201 => assert_eq!(patient_of(&desk, &reply.location()).await, kept),
                    _ => assert_eq!(reply.problem(409, "patient_merged")["replaced_by"], json!(kept)),
                }
            }
        }
    }

    async fn an_acknowledgement_beside_a_merge_or_its_undo_lasts_or_hinders_the_undo(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        for round in 0..12 {
            let (kept, old) = (record(&desk, &format!("Lea{round}")).await, record(&desk, &format!("Leah{round}")).await);
            // A practitioner without a visit would give a reason, and storing that waits for the merge.
            book_nth(&desk, &clinic.check, round * 2, &kept).await;
            let lab = json!({"test": "hemoglobin", "value": 5, "unit": "g/dL", "collected_on": "2026-06-01", "source": "lab_report"});
            desk.post(&format!("{}/lab-results", path(&kept)), lab).await.expect(201);
            let flag = doctor.get(&format!("/v1/intake-flags?patient_id={kept}")).await.items()[0]["id"].clone();
            let acknowledge = async |pause: usize| {
                tokio::time::sleep(std::time::Duration::from_millis(pause as u64)).await;
                let flag = flag.as_str().expect("an id");
                doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({"note": "Called the ambulance"})).await
            };
            let undone = if round % 2 == 0 {
                let (body, version) = request(&desk, &kept, &old, &[]).await;
                let merges = format!("{}/merges", path(&kept));
                let (merged, done) = join(desk.post_with(&merges, body, &[("If-Match", &version)]), acknowledge(round * 2)).await;
                done.expect(200);
                undo(&desk, merged.expect(201)).await
            } else {
                let merged = merge(&desk, &kept, &old).await;
                let (undone, done) = join(undo(&desk, &merged), acknowledge(round * 8)).await;
                done.expect(200);
                undone
            };
            if undone.status != 200 {
                undone.problem(409, "used_since_merge");
            }
            let listed = doctor.get(&format!("/v1/intake-flags?patient_id={kept}&acknowledged=true")).await.items();
            assert_eq!((listed.len(), &listed[0]["note"]), (1, &json!("Called the ambulance")), "round {round}");
        }
    }

    async fn a_link_that_is_used_beside_an_undo_changes_the_visit_or_hinders_the_undo(app: App) {
        let app = reminding(app, &[]);
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (mut merged, mut last) = (Vec::new(), String::new());
        for round in 0..4 {
            let (kept, old) = (record(&desk, &format!("Kia{round}")).await, record(&desk, &format!("Kiah{round}")).await);
            let visit = book_nth(&desk, &clinic.check, 40, &old).await;
            last = visit.string("/starts_at");
            merged.push((round, merge(&desk, &kept, &old).await, visit.location(), old));
        }
        // A reminder is not sent while the mail of the booking waits.
        app.mails().await;
        let last: Timestamp = last.parse().expect("a time");
        app.clock.advance(last.duration_since(app.env.now().jiff()) - SignedDuration::from_mins(110));
        sending::run(&app.env).await.expect("a run");
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        for (round, merge, visit, old) in merged {
            let mail = app.mails_to(&format!("kia{round}@records.example")).await.pop().expect("a reminder");
            let cancel = json!({"token": mail.token(), "reason": "ill"});
            let address = format!("{}/undo", merge.expect(201).location());
            let undo = desk.post_empty(&address);
            let pause = std::time::Duration::from_millis(round);
            let anon = app.anon();
            let late = async { tokio::time::sleep(pause).await; anon.post("/v1/appointment-links/cancel", cancel).await };
            let (undone, cancelled) = join(undo, late).await;
            let status = desk.get(&visit).await.string("/status");
            if undone.status == 200 {
                cancelled.problem(404, "not_found");
                assert_eq!((status.as_str(), patient_of(&desk, &visit).await), ("booked", old));
            } else {
                undone.problem(409, "used_since_merge");
                cancelled.expect(200);
            }
        }
    }

    async fn a_mailed_link_of_an_account_changes_nothing_after_the_undo_that_takes_its_access_back(app: App) {
        let app = reminding(app, &[]);
        let clinic = app.clinic().await;
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (mut merged, mut last) = (Vec::new(), String::new());
        for round in 0..4 {
            // The visits of a minor are mailed to the parents.
            let minor = async |name: &str| {
                let mut body = patient_json(name, &format!("{name}{round}@records.example"));
                body["date_of_birth"] = json!("2015-07-04");
                desk.post("/v1/patients", body).await.expect(201).id()
            };
            let (kept, old, parent) = (minor("mia").await, minor("miah").await, app.patient(&format!("pat{round}")).await);
            desk.post(&access(&old), json!({"email": parent.email, "relation": "parent"})).await.expect(201);
            let visit = book_nth(&desk, &clinic.check, 40, &kept).await;
            last = visit.string("/starts_at");
            let (body, version) = request(&desk, &kept, &old, &[&parent.user_id]).await;
            let merge = desk.post_with(&format!("{}/merges", path(&kept)), body, &[("If-Match", &version)]).await;
            admin.post_empty(&format!("{}/{}/confirm", access(&kept), parent.user_id)).await;
            merged.push((round, merge.expect(201).location(), visit.location(), parent.email.clone()));
        }
        // A reminder is not sent while the mail of the booking waits.
        app.mails().await;
        let last: Timestamp = last.parse().expect("a time");
        app.clock.advance(last.duration_since(app.env.now().jiff()) - SignedDuration::from_mins(110));
        sending::run(&app.env).await.expect("a run");
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        for (round, merge, visit, account) in merged {
            let mail = app.mails_to(&account).await.pop().expect("a reminder");
            let cancel = json!({"token": mail.token(), "reason": "ill"});
            let (address, anon) = (format!("{merge}/undo"), app.anon());
            let pause = std::time::Duration::from_millis(8 * round);
            let late = async { tokio::time::sleep(pause).await; anon.post("/v1/appointment-links/cancel", cancel).await };
            let (undone, cancelled) = join(desk.post_empty(&address), late).await;
            let status = desk.get(&visit).await.string("/status");
            if undone.status == 200 {
                cancelled.problem(404, "not_found");
                assert_eq!(status, "booked");
            } else {
                undone.problem(409, "used_since_merge");
                cancelled.expect(200);
            }
        }
    }

    async fn a_practitioner_changes_nothing_after_the_undo_of_the_merge_that_brought_the_care_relationship(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await.without_reason());
        for round in 0..6 {
            let (kept, old) = (record(&desk, &format!("Noa{round}")).await, record(&desk, &format!("Noah{round}")).await);
            book_nth(&desk, &clinic.check, round * 2, &old).await;
            let merged = merge(&desk, &kept, &old).await;
            let intakes = format!("{}/intakes", path(&kept));
            let pause = std::time::Duration::from_millis(6 * round as u64);
            let late = async { tokio::time::sleep(pause).await; doctor.post(&intakes, json!({"form": "rls-history"})).await };
            let (undone, begun) = join(undo(&desk, &merged), late).await;
            if undone.status == 200 {
                begun.problem(403, "reason_required");
            } else {
                undone.problem(409, "used_since_merge");
                begun.expect(201);
            }
        }
    }

    async fn an_account_whose_access_moved_changes_nothing_after_the_undo_that_takes_it_back(app: App) {
        let clinic = app.clinic().await;
        let (desk, admin) = (app.desk().await, app.admin().await);
        for round in 0..4 {
            let (kept, old) = (record(&desk, &format!("Lea{round}")).await, app.patient(&format!("leah{round}")).await);
            let visit = book_nth(&desk, &clinic.check, 60, &kept).await.location();
            let (body, version) = request(&desk, &kept, &old.patient_id, &[&old.user_id]).await;
            let merged = desk.post_with(&format!("{}/merges", path(&kept)), body, &[("If-Match", &version)]).await;
            admin.post_empty(&format!("{}/{}/confirm", access(&kept), old.user_id)).await.expect(200);
            old.get(&visit).await.expect(200);
            let address = format!("{}/undo", merged.expect(201).location());
            let cancel = format!("{visit}/cancel");
            let pause = std::time::Duration::from_millis(4 * round);
            let late = async { tokio::time::sleep(pause).await; old.post(&cancel, json!({"reason": "ill"})).await };
            let (undone, cancelled) = join(desk.post_empty(&address), late).await;
            if undone.status == 200 {
                cancelled.problem(404, "not_found");
            } else {
                undone.problem(409, "used_since_merge");
                cancelled.expect(200);
            }
        }
    }
}
