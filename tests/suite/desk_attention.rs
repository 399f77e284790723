//! What the desk does about booked visits that cannot stay as they are.

use serde_json::json;

use crate::support::booking::{book, book_nth, path};
use crate::support::clinic::{free_slots, location, practitioner};
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::visitor::{Visitor, at_the_desk, plain};
use crate::support::{App, both, eventually, id};
use crate::waitlist_offers::wait_for;

both! {
    async fn the_desk_reads_which_time_the_patient_was_told_and_settles_it_with_one_button(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let mut visits = Vec::new();
        for (nth, patient) in [(8, &ann), (16, &ben)] {
            visits.push(book_nth(&desk, &clinic.check, nth, &patient.patient_id).await.expect(201).body.clone());
        }
        let zone = json!({"time_zone": "America/Chicago"});
        admin.update(&format!("/v1/locations/{}", clinic.location_id), zone).await.expect(200);
        let visitor = at_the_desk(&app).await;
        let list = eventually(async || {
            let page = visitor.get("/desk/calls").await;
            let text = plain(&page.expect(200).text);
            if text.matches("the patient was told").count() == 2 { Ok(text) } else { Err(text) }
        })
        .await;
        assert!(list.contains("ann Tester") && list.contains("ben Tester"), "{list}");

        let told = visits[0]["promised"]["local"].as_str().expect("a time").to_owned();
        let page = visitor.get(&format!("/desk/visits/{}", id(&visits[0]))).await;
        let text = plain(&page.expect(200).text);
        let clock: jiff::civil::DateTime = told.parse().expect("a time");
        let clock = clock.strftime("%A, %B %-d, %-I:%M %p").to_string();
        assert!(text.contains(&format!("the patient was told {clock}")), "{clock} in {text}");
        // Until staff decide, nobody is told another time, or confirms one.
        let mails = app.mails().await.len();
        for (client, step) in [(&desk, "links"), (&desk, "confirm"), (&ann, "confirm")] {
            let refused = client.post_empty(&path(&visits[0], &format!("/{step}"))).await;
            refused.problem(409, "status_conflict");
            assert!(refused.text.contains("decides which time counts"), "{}", refused.text);
        }
        assert_eq!(app.mails().await.len(), mails);
        assert!(!text.contains("Tell the patient again") && !text.contains("Patient confirms"), "{text}");
        let own = Visitor::signed_in(app.anon(), &ann.email).await;
        for address in ["/visits".to_owned(), format!("/visits/{}", id(&visits[0]))] {
            let seen = plain(&own.get(&address).await.expect(200).text);
            assert!(seen.contains("The clock of this place has changed") && !seen.contains("Yes, I will come"), "{seen}");
        }
        let kept = visitor.submit(&page, &format!("/desk/visits/{}/keep-told-time", id(&visits[0])), &[]).await;
        let kept = visitor.get(&led_to(&kept)).await;
        assert!(kept.expect(200).text.contains("The visit is at the time that the patient was told."), "{}", kept.text);
        let kept = desk.get(&path(&visits[0], "")).await.body;
        assert_eq!((&kept["promised"]["local"], kept.get("attention")), (&json!(told), None));
        assert_ne!(kept["starts_at"], visits[0]["starts_at"]);

        let page = visitor.get(&format!("/desk/visits/{}", id(&visits[1]))).await;
        let accepted = visitor.submit(&page, &format!("/desk/visits/{}/accept-time", id(&visits[1])), &[]).await;
        let accepted = visitor.get(&led_to(&accepted)).await;
        assert!(accepted.expect(200).text.contains("The visit stays at this time"), "{}", accepted.text);
        let accepted = desk.get(&path(&visits[1], "")).await.body;
        assert_eq!((&accepted["starts_at"], accepted.get("attention")), (&visits[1]["starts_at"], None));
        assert_ne!(accepted["promised"]["local"], visits[1]["promised"]["local"]);
        // Nothing is left to decide.
        let again = visitor.submit(&page, &format!("/desk/visits/{}/keep-told-time", id(&visits[1])), &[]).await;
        assert!(again.expect(409).text.contains("There is nothing to decide."), "{}", again.text);
        let list = visitor.get("/desk/calls").await;
        assert!(!list.expect(200).text.contains("ann Tester"), "{}", list.text);
    }

    async fn one_button_keeps_the_told_times_of_visits_that_are_in_each_others_way(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let mut visits = Vec::new();
        // An hour apart, by which the correction moves them.
        for (slot, patient) in [(&slots[40], &ann), (&slots[44], &ben)] {
            visits.push(book(&desk, slot, &clinic.check, &patient.patient_id).await.expect(201).body.clone());
        }
        admin.update(&format!("/v1/locations/{}", clinic.location_id), json!({"time_zone": "America/Chicago"})).await.expect(200);
        let visitor = at_the_desk(&app).await;
        let list = eventually(async || {
            let page = visitor.get("/desk/calls").await;
            if page.expect(200).text.matches("the patient was told").count() == 2 { Ok(page) } else { Err(page.text) }
        })
        .await;
        let done = FilledForm::to(&list, "/told-times").send(&visitor, "/desk/calls/told-times").await;
        assert!(!visitor.get(&led_to(&done)).await.expect(200).text.contains("the patient was told"));
        for visit in &visits {
            let kept = desk.get(&path(visit, "")).await.body;
            assert_eq!((&kept["promised"]["local"], kept.get("attention")), (&visit["promised"]["local"], None));
        }
    }

    async fn pages_of_the_desk_name_a_practitioner_and_a_kind_of_visit_that_are_no_longer_in_use(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let ann = app.patient("ann").await;
        let visit = book_nth(&desk, &clinic.check, 8, &ann.patient_id).await.expect(201).body.clone();
        for path in [format!("/v1/practitioners/{}", clinic.practitioner_id), format!("/v1/visit-types/{}", clinic.check)] {
            admin.update(&path, json!({"active": false})).await.expect(200);
        }
        let visitor = at_the_desk(&app).await;
        let pages = [format!("/desk/visits/{}", id(&visit)), format!("/desk/patients/{}", ann.patient_id), "/desk/calls".to_owned()];
        for page in pages {
            let page = visitor.get(&page).await;
            let text = plain(&page.expect(200).text);
            assert!(text.contains("Dr. Ada Vein") && text.contains("Check"), "{text}");
        }
    }

    async fn the_visits_of_a_series_are_moved_off_a_sick_day_without_counting_the_days_between(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let on = |day: &str| slots.iter().find(|slot| slot["starts_at"].as_str().is_some_and(|at| at.starts_with(day))).expect("a slot");
        let visits = json!([
            {"slot_id": on("2026-03-05")["id"], "visit_type_id": clinic.check},
            {"slot_id": on("2026-03-06")["id"], "visit_type_id": clinic.check, "min_gap_days": 1, "max_gap_days": 1},
        ]);
        let series = json!({"patient_id": ann.patient_id, "visits": visits});
        desk.post_with("/v1/appointment-series", series, &[("Idempotency-Key", "series")]).await.expect(201);
        let off = json!({"kind": "time_off", "starts_at": "2026-03-06T05:00:00Z", "ends_at": "2026-03-07T05:00:00Z", "reason": "Ill"});
        let off = desk.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), off).await.expect(201).id();
        let visitor = at_the_desk(&app).await;
        let page = visitor.get(&format!("/desk/time-off/{off}")).await;
        let moves = format!("/desk/time-off/{off}/moves");
        // The next free time is on the Monday after, and so too far from the first visit.
        let refused = visitor.get(&led_to(&FilledForm::to(page.expect(200), "/moves").send(&visitor, &moves).await)).await;
        let text = plain(&refused.expect(200).text);
        assert!(text.contains("Not moved: 1.") && text.contains("The days between visits of a series"), "{text}");
        let ignoring = FilledForm::to(&refused, "/moves").with(&[("ignore_gaps", "yes")]);
        let done = led_to(&ignoring.send(&visitor, &moves).await);
        assert!(done.contains("not_moved=0"), "{done}");
    }

    async fn a_patient_who_waits_for_an_earlier_time_is_moved_and_not_booked_twice(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 40, &ann.patient_id).await.expect(201).body.clone();
        let slots = free_slots(&desk, &clinic.check).await;
        wait_for(&desk, &ann.patient_id, &clinic.check, &slots[60], json!({"appointment_id": visit["id"]})).await;
        let visitor = at_the_desk(&app).await;
        let page = visitor.get("/desk/waitlist").await;
        assert!(page.expect(200).text.contains(&format!("desk/visits/{}/times", id(&visit))), "{}", page.text);
    }

    async fn time_off_at_all_places_is_read_by_the_clock_of_the_practitioners_places(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let denver = location(&admin, "Union Station", "America/Denver").await;
        let away = practitioner(&admin, "Dr. Denver", &denver, &[&clinic.check]).await;
        let visitor = at_the_desk(&app).await;
        let form = |more: &[(&str, &str)]| {
            let fields = [("practitioner_id", away.as_str()), ("day", "2026-03-11"), ("reason", "Dentist")];
            fields.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let send = async |more: &[(&str, &str)]| {
            let page = visitor.get("/desk/time-off").await;
            let fields = form(more);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            FilledForm::to(page.expect(200), "time-off").with(&fields).send(&visitor, "/desk/time-off").await
        };
        let path = format!("/v1/practitioners/{away}/exceptions");
        led_to(&send(&[("from", "13:00"), ("to", "17:00")]).await);
        let stored = desk.get(&path).await.items();
        assert_eq!((&stored[0]["starts_at"], &stored[0]["ends_at"]), (&json!("2026-03-11T19:00:00Z"), &json!("2026-03-11T23:00:00Z")));
        assert!(visitor.get("/desk/time-off").await.expect(200).text.contains("1:00 PM"));

        // With places in two zones, times need one of them.
        let both_places = json!({"location_ids": [denver, clinic.location_id]});
        admin.update(&format!("/v1/practitioners/{away}"), both_places).await.expect(200);
        let refused = send(&[("day", "2026-03-12"), ("from", "13:00"), ("to", "17:00")]).await;
        assert!(refused.expect(422).text.contains("different time zones"), "{}", refused.text);
    }

    async fn practitioners_enter_their_own_time_off_only(app: App) {
        let clinic = app.clinic().await;
        practitioner(&app.admin().await, "Dr. Other", &clinic.location_id, &[&clinic.check]).await;
        app.doctor().await;
        let doctor = Visitor::signed_in(app.anon(), &format!("doctor-{}@clinic.example", clinic.practitioner_id)).await;
        let page = doctor.get("/desk/time-off").await;
        assert!(page.expect(200).text.contains("Dr. Ada Vein") && !page.text.contains("Dr. Other"), "{}", page.text);
    }
}
