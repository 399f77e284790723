//! Overbooking, and the visits of a practitioner who is away, on the desk's pages by their forms alone.

use serde_json::json;

use crate::support::booking::{book_nth, booking, post_booking};
use crate::support::clinic::free_slots;
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::visitor::{at_the_desk, plain};
use crate::support::{App, both, id};

both! {
    async fn the_desk_overbooks_with_a_reason_from_the_page_of_times(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let first = post_booking(&desk, booking(&slots[0], &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        let visitor = at_the_desk(&app).await;
        let times = |more: &str| format!("/desk/patients/{}/times?visit_type_id={}&date=2026-03-02{more}", ben.patient_id, clinic.check);
        let page = visitor.get(&times("")).await;
        assert!(page.expect(200).text.contains("Choose with whom, and show the times again."), "{}", page.text);
        let page = visitor.get(&times(&format!("&practitioner_id={}", clinic.practitioner_id))).await;
        let shown = &page.expect(200).text;
        assert!(shown.matches(": overbook\"").count() == 1 && shown.contains("9:15 AM Dr. Ada Vein, Monday, March 2, Main Street: overbook"), "{shown}");
        let book = format!("/desk/patients/{}/visits", ben.patient_id);
        let slot = [("slot_id", id(&slots[0]))];
        visitor.submit(&page, &book, &[("overbook", ""), slot[0]]).await.expect(409);
        let missing = visitor.submit(&page, &book, &[("overbook", "yes"), ("reason", " "), slot[0]]).await;
        assert!(missing.expect(422).text.contains("This was not done"), "{}", missing.text);
        let fields = [("overbook", "yes"), ("reason", "Wound check <b>"), slot[0]];
        let mut led = Vec::new();
        for _ in 0..2 {
            let booked = visitor.submit(&page, &book, &fields).await;
            led.push(booked.expect(303).header("location").to_owned());
        }
        assert_eq!(led[0], led[1], "pressed twice, booked once");
        let both = desk.get("/v1/appointments?overbooked=true").await.items();
        assert_eq!((both.len(), &both[0]["starts_at"], &both[0]["patient_id"]), (1, &first["starts_at"], &json!(ben.patient_id)));
        let visit = visitor.get(&format!("/desk/visits/{}", id(&both[0]))).await;
        assert!(plain(&visit.expect(200).text).contains("Wound check <b>") && visit.text.contains("overbooked"), "{}", visit.text);
        // A visit moves into shared time, too.
        let third = post_booking(&desk, booking(&slots[8], &clinic.check, &app.patient("eve").await.patient_id)).await.expect(201).body.clone();
        let path = format!("/desk/visits/{}", id(&third));
        let page = visitor.get(&format!("{path}/times?date=2026-03-02&practitioner_id={}", clinic.practitioner_id)).await;
        assert!(page.expect(200).text.contains("9:15 AM Dr. Ada Vein, Monday, March 2, Main Street: overbook"), "{}", page.text);
        visitor.submit(&page, &format!("{path}/reschedule"), &fields).await.expect(303);
        assert_eq!(desk.get("/v1/appointments?overbooked=true").await.items().len(), 2);
    }

    async fn the_slots_that_overbooking_can_take_are_those_of_other_visits(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let taken = async |kind: &str, day: &str| {
            let query = format!("visit_type_id={kind}&practitioner_id={}&date={day}", clinic.practitioner_id);
            desk.get(&format!("/v1/slots/taken?{query}")).await.items().iter().map(|slot| slot["id"].clone()).collect::<Vec<_>>()
        };
        assert!(taken(&clinic.check, "2026-03-02").await.is_empty());
        post_booking(&desk, booking(&slots[4], &clinic.follow_up, &ann.patient_id)).await.expect(201);
        desk.post(&format!("/v1/slots/{}/block", id(&slots[6])), json!({"reason": "meeting"})).await.expect(200);
        ben.post(&format!("/v1/slots/{}/hold", id(&slots[8])), json!({"visit_type_id": clinic.check})).await.expect(201);
        let ids = |numbers: &[usize]| numbers.iter().map(|n| slots[*n]["id"].clone()).collect::<Vec<_>>();
        // A longer visit would reach into the time before and after, but not into what is blocked or held.
        assert_eq!(taken(&clinic.check, "2026-03-02").await, ids(&[4, 5]));
        assert_eq!(taken(&clinic.follow_up, "2026-03-02").await, ids(&[3, 4]));
        assert!(taken(&clinic.check, "2026-03-03").await.is_empty());
        // Each of them can be taken, and no other one needs it.
        for (slot, status) in [(4, 201), (5, 201), (6, 409), (8, 409)] {
            let mut body = booking(&slots[slot], &clinic.check, &app.patient(&format!("p{slot}")).await.patient_id);
            body["overbook"] = json!({"reason": "Wound check"});
            post_booking(&desk, body).await.expect(status);
        }
        let nobody = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";
        let query = format!("practitioner_id={}&date=2026-03-02", clinic.practitioner_id);
        desk.get(&format!("/v1/slots/taken?visit_type_id={nobody}&{query}")).await.invalid("?visit_type_id", "unknown_reference");
        assert!(desk.get(&format!("/v1/slots/taken?visit_type_id={}&practitioner_id={nobody}&date=2026-03-02", clinic.check)).await.items().is_empty());
        ann.get(&format!("/v1/slots/taken?visit_type_id={}&{query}", clinic.check)).await.problem(403, "role_forbidden");
    }

    async fn the_visits_of_a_sick_day_are_moved_from_one_page(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut visits = Vec::new();
        for (nth, name) in [(0, "ann"), (8, "ben"), (16, "eve")] {
            visits.push(book_nth(&desk, &clinic.follow_up, nth, &app.patient(name).await.patient_id).await.body);
        }
        let visitor = at_the_desk(&app).await;
        let page = visitor.get("/desk/time-off").await;
        assert!(page.expect(200).text.contains("Nobody is away."), "{}", page.text);
        let away = FilledForm::to(&page, "time-off").with(&[("practitioner_id", &clinic.practitioner_id), ("day", "2026-03-02"), ("reason", "Ill <b>")]);
        let wrong = away.clone().with(&[("last_day", "2026-03-01")]).send(&visitor, "/desk/time-off").await;
        assert!(wrong.expect(422).text.contains("last_day: must be after"), "{}", wrong.text);
        let affected = led_to(&away.send(&visitor, "/desk/time-off").await);
        assert_eq!(led_to(&away.send(&visitor, "/desk/time-off").await), affected, "pressed twice, added once");
        let page = visitor.get(&affected).await;
        for fact in [
            "Dr. Ada Vein is away", "Monday, March 2, 2026 (Ill <b>)", "3 booked visits are affected", "ann Tester", "Do not move it now",
            "Each patient gets a mail about the new time, or is put on the list of calls.",
        ] {
            assert!(plain(&page.expect(200).text).contains(fact), "{fact} in {}", page.text);
        }
        // Two are moved to the first times, and one stays. Meanwhile somebody else moves one of the two.
        let moves = affected.split('?').next().expect("a path").to_owned() + "/moves";
        let kept = format!("move.{}", id(&visits[2]));
        let chosen = FilledForm::to(&page, "/moves").with(&[(&kept, "")]);
        desk.post(&format!("/v1/appointments/{}/cancel", id(&visits[1])), json!({"reason": "ill"})).await.expect(200);
        let some = visitor.get(&led_to(&chosen.send(&visitor, &moves).await)).await;
        let text = plain(&some.expect(200).text);
        assert!(text.contains("Not moved: 1. Moved: 1.") && text.contains("A visit has been changed meanwhile."), "{text}");
        let (moved, left) = text.split_once("booked visit is affected").expect("two parts");
        assert!(left.contains("eve Tester") && !left.contains("ann Tester"), "{text}");
        let now = desk.get(&format!("/v1/appointments/{}", id(&visits[0]))).await.body.clone();
        assert!(now["starts_at"].as_str() > Some("2026-03-03"), "{now}");
        // Who was moved where.
        assert!(moved.contains("ann Tester") && moved.contains("Tuesday, March 3, 2026, 9:00 AM (EST)"), "{text}");
        let rest = FilledForm::to(&some, "/moves");
        let done = rest.send(&visitor, &moves).await;
        let address = format!("moved={}&not_moved=0", id(&visits[2]));
        assert!(led_to(&done).contains(&address), "{}", led_to(&done));
        let end = visitor.get(&led_to(&done)).await;
        assert!(end.expect(200).text.contains("Moved: 1.") && end.text.contains("No booked visit is affected."), "{}", end.text);
        let none = visitor.submit(&end, &moves, &[]).await;
        assert_eq!(led_to(&none), affected);
        // The list has it, and it is deleted once.
        let list = visitor.get("/desk/time-off").await;
        assert!(list.expect(200).text.contains("Dr. Ada Vein"), "{}", list.text);
        let delete = affected.split('?').next().expect("a path").to_owned() + "/delete";
        for _ in 0..2 {
            visitor.submit(&list, &delete, &[]).await.expect(303);
        }
        assert!(visitor.get("/desk/time-off").await.text.contains("Nobody is away."));
        visitor.get(&affected).await.expect(404);
    }

    async fn a_sick_day_names_who_is_at_the_clinic_and_chooses_no_earlier_time(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let here = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        desk.post_empty(&format!("/v1/appointments/{}/check-in", id(&here))).await.expect(200);
        let slots = free_slots(&desk, &clinic.check).await;
        let friday = slots.iter().find(|slot| slot["starts_at"].as_str() > Some("2026-03-06")).expect("a slot");
        post_booking(&desk, booking(friday, &clinic.check, &ben.patient_id)).await.expect(201);
        let visitor = at_the_desk(&app).await;
        let list = visitor.get("/desk/time-off").await;
        let text = plain(&list.expect(200).text);
        assert!(text.contains("required><option value=\"\"></option>") && text.contains("(required; staff see it)"), "{text}");
        let away = FilledForm::to(&list, "time-off").with(&[("day", "2026-03-02"), ("reason", "Ill")]);
        let nobody = away.send(&visitor, "/desk/time-off").await;
        assert!(nobody.expect(422).text.contains("practitioner_id: must be chosen"), "{}", nobody.text);
        let who = [("practitioner_id", clinic.practitioner_id.as_str())];
        let today = led_to(&away.clone().with(&who).send(&visitor, "/desk/time-off").await);
        let page = visitor.get(&today).await;
        let text = plain(&page.expect(200).text);
        for fact in ["At the clinic now", "is here", "ann Tester", "No booked visit is affected."] {
            assert!(text.contains(fact), "{fact} in {text}");
        }
        // Until the end of April, so that only earlier times are left.
        let long = [who[0], ("day", "2026-03-06"), ("last_day", "2026-04-30"), ("form_key", "long")];
        let page = visitor.get(&led_to(&away.with(&long).send(&visitor, "/desk/time-off").await)).await;
        let text = plain(&page.expect(200).text);
        assert!(text.contains("1 booked visit is affected") && text.contains("(earlier: ask the patient first)"), "{text}");
        assert!(FilledForm::to(&page, "/moves").has_empty_move(), "{text}");
    }
}
