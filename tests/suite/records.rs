//! For integrations: external identifiers, likely duplicates, lists of changes.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, both};

/// A record from the front desk.
async fn made(desk: &Client, changes: Value) -> Reply {
    let mut body = patient_json("Ann", "ann@patients.example");
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let reply = desk.post("/v1/patients", body).await;
    reply.expect(201);
    reply
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// The ids of a list, in its order.
async fn listed(client: &Client, path: &str) -> Vec<String> {
    ids(&client.get(path).await.expect(200).items())
}

/// The duplicates of a record as `id grade`.
async fn duplicates(desk: &Client, id: &str) -> Vec<String> {
    let items = desk.get(&format!("/v1/patients/{id}/duplicates")).await.expect(200).items();
    items
        .iter()
        .map(|item| format!("{} {}", item["id"].as_str().expect("an id"), item["grade"].as_str().expect("text")))
        .collect()
}

fn number(value: &str) -> Value {
    json!([{"system": "https://ehr.example/p", "value": value}])
}

both! {
    async fn a_patient_is_found_by_an_external_identifier(app: App) {
        let desk = app.desk().await;
        let both_systems = json!([{"system": "https://ehr.example/p", "value": "48213"}, {"system": "lab", "value": " 7|a "}]);
        let ann = made(&desk, json!({"identifiers": both_systems})).await;
        let shown = json!([{"system": "https://ehr.example/p", "value": "48213"}, {"system": "lab", "value": "7|a"}]);
        assert_eq!(ann.body["identifiers"], shown);
        let bea = made(&desk, json!({"given_name": "Bea", "identifiers": number("48214")})).await;
        let (ann, bea) = (ann.id(), bea.id());
        assert_eq!(desk.get(&format!("/v1/patients/{ann}")).await.body["identifiers"], shown);
        for (token, whom) in [
            ("https://ehr.example/p%7C48213", vec![&ann]), ("48213", vec![&ann]), ("%7C48214", vec![&bea]),
            ("https://ehr.example/p%7C", vec![&bea, &ann]), ("lab%7C7%7Ca", vec![&ann]), ("lab%7C48213", vec![]), ("4821", vec![]),
        ] {
            let found = listed(&desk, &format!("/v1/patients?identifier={token}")).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), whom, "{token}");
        }
        desk.get("/v1/patients?identifier=%7C").await.invalid("?identifier", "invalid_identifier");
        assert_eq!(listed(&desk, "/v1/patients?identifier=48213&q=bea").await, Vec::<String>::new());
    }

    async fn an_identifier_belongs_to_one_patient_and_the_conflict_names_both(app: App) {
        let desk = app.desk().await;
        let ann = made(&desk, json!({"identifiers": number("1")})).await.id();
        let mut body = patient_json("Bea", "bea@patients.example");
        body["identifiers"] = json!([{"system": "lab", "value": "1"}, {"system": "https://ehr.example/p", "value": "1"}]);
        let reply = desk.post("/v1/patients", body.clone()).await;
        let problem = reply.problem(409, "identifier_taken");
        assert_eq!((&problem["pointer"], &problem["taken_by"]), (&json!("/identifiers/1"), &json!(ann)));
        body["identifiers"] = json!([]);
        let bea = desk.post("/v1/patients", body).await;
        bea.expect(201);
        let path = format!("/v1/patients/{}", bea.id());
        desk.patch(&path, &bea.etag(), json!({"identifiers": number("1")})).await.problem(409, "identifier_taken");
        assert_eq!(desk.get(&path).await.etag(), bea.etag());

        // A removed identifier can be used by another patient, and the list is replaced as a whole.
        let changed = desk.update(&format!("/v1/patients/{ann}"), json!({"identifiers": null})).await;
        assert_eq!(changed.expect(200).body["identifiers"], json!([]));
        let changed = desk.patch(&path, &bea.etag(), json!({"identifiers": number("1")})).await;
        assert_eq!(changed.expect(200).body["identifiers"], number("1"));
        assert_eq!(listed(&desk, "/v1/patients?identifier=1").await, [bea.id()]);
        let swapped = json!({"identifiers": [{"system": "lab", "value": "1"}, {"system": "https://ehr.example/p", "value": "1"}]});
        desk.patch(&path, &changed.etag(), swapped).await.expect(200);

        for (identifiers, pointer, code) in [
            (json!([{"system": "My EHR", "value": "1"}]), "/identifiers/0/system", "invalid_system"),
            (json!([{"system": "ehr", "value": ""}]), "/identifiers/0/value", "required"),
            (json!([{"system": "ehr", "value": "1"}, {"system": "ehr", "value": "1"}]), "/identifiers/1", "duplicate"),
            (json!([{"system": "ehr", "value": "1", "use": "official"}]), "/identifiers/0/use", "unknown_field"),
            (json!([{"system": "ehr"}]), "/identifiers/0/value", "required"),
            ((0..21).map(|n| json!({"system": "ehr", "value": n.to_string()})).collect(), "/identifiers", "too_many"),
        ] {
            desk.patch(&path, "*", json!({"identifiers": identifiers})).await.invalid(pointer, code);
        }
    }

    async fn one_of_two_parallel_claims_of_an_identifier_succeeds(app: App) {
        let desk = app.desk().await;
        let claims = (0..6).map(|n| {
            let mut body = patient_json("Ann", &format!("ann{n}@patients.example"));
            body["identifiers"] = json!([{"system": "ehr", "value": "1"}, {"system": "lab", "value": n.to_string()}]);
            let desk = desk.clone();
            async move { desk.post("/v1/patients", body).await }
        });
        let replies = futures_util::future::join_all(claims).await;
        let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
        for refused in replies.iter().filter(|reply| reply.status == 409) {
            refused.problem(409, "identifier_taken");
        }
    }

    async fn patients_see_their_identifiers_and_cannot_set_them(app: App) {
        let (ann, desk, anon) = (app.patient("ann").await, app.desk().await, app.anon());
        let path = format!("/v1/patients/{}", ann.patient_id);
        desk.patch(&path, "*", json!({"identifiers": number("1")})).await.expect(200);
        assert_eq!(ann.get(&path).await.body["identifiers"], number("1"));
        ann.patch(&path, "*", json!({"identifiers": []})).await.invalid("/identifiers", "forbidden_field");
        let mut patient = patient_json("Bea", "bea@example.org");
        patient["identifiers"] = number("2");
        let registration = json!({"email": "bea@example.org", "relation": "self", "patient": patient});
        anon.post("/v1/registrations", registration).await.invalid("/patient/identifiers", "forbidden_field");
    }

    async fn staff_see_the_identifiers_of_a_practitioner(app: App) {
        let (clinic, admin, desk, anon, ann) = (app.clinic().await, app.admin().await, app.desk().await, app.anon(), app.patient("ann").await);
        let path = format!("/v1/practitioners/{}", clinic.practitioner_id);
        let before = admin.get(&path).await;
        assert_eq!(before.body["identifiers"], json!([]));
        let npi = json!([{"system": "npi", "value": "1234567893"}]);
        let changed = admin.patch(&path, &before.etag(), json!({"identifiers": npi})).await;
        assert_eq!(changed.expect(200).body["identifiers"], npi);
        assert_eq!(listed(&desk, "/v1/practitioners?identifier=npi%7C1234567893").await, std::slice::from_ref(&clinic.practitioner_id));
        assert_eq!(listed(&desk, "/v1/practitioners?identifier=npi%7C7").await, Vec::<String>::new());
        for stranger in [&anon, &ann.client] {
            assert_eq!(stranger.get(&path).await.body["identifiers"], Value::Null);
            assert_eq!(stranger.get("/v1/practitioners").await.items()[0]["identifiers"], Value::Null);
        }
        anon.get("/v1/practitioners?identifier=1234567893").await.problem(401, "unauthenticated");
        ann.get("/v1/practitioners?identifier=1234567893").await.problem(403, "role_forbidden");
        desk.patch(&path, "*", json!({"identifiers": []})).await.problem(403, "role_forbidden");
        let other = json!({"name": "Dr. Bo Vein", "identifiers": npi});
        let refused = admin.post("/v1/practitioners", other).await;
        assert_eq!(refused.problem(409, "identifier_taken")["taken_by"], json!(clinic.practitioner_id));
        let other = json!({"name": "Dr. Bo Vein", "identifiers": [{"system": "npi", "value": "2"}]});
        let made = admin.post("/v1/practitioners", other).await;
        assert_eq!(made.expect(201).body["identifiers"], json!([{"system": "npi", "value": "2"}]));
        admin.patch(&made.location(), &made.etag(), json!({"identifiers": npi})).await.problem(409, "identifier_taken");
    }

    async fn staff_set_identifiers_of_an_appointment_when_booking_and_later(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let body = |at: usize, identifiers: Value| json!({
            "slot_id": slots[at]["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id, "identifiers": identifiers,
        });
        let key = |key: &'static str| [("Idempotency-Key", key)];
        ann.post_with("/v1/appointments", body(0, number("V-1")), &key("a")).await.invalid("/identifiers", "forbidden_field");
        let first = desk.post_with("/v1/appointments", body(0, number("V-1")), &key("b")).await;
        assert_eq!(first.expect(201).body["identifiers"], number("V-1"));
        desk.post_with("/v1/appointments", body(2, number("V-1")), &key("c")).await.problem(409, "identifier_taken");
        let second = ann.post_with("/v1/appointments", body(2, json!([])), &key("d")).await;
        second.expect(201);

        app.clock.advance(SignedDuration::from_mins(1));
        let path = second.location();
        let patch = json!({"identifiers": number("V-2"), "note": "Needs the lift."});
        ann.patch(&path, &second.etag(), patch.clone()).await.problem(403, "role_forbidden");
        desk.patch(&path, "", patch.clone()).await.problem(428, "precondition_required");
        let changed = desk.patch(&path, &second.etag(), patch.clone()).await;
        changed.expect(200);
        assert_eq!((&changed.body["identifiers"], &changed.body["note"]), (&number("V-2"), &json!("Needs the lift.")));
        assert_eq!(changed.body["updated_at"], "2026-03-02T14:01:00Z");
        assert_eq!(changed.body["status"], "booked");
        desk.patch(&path, &second.etag(), patch.clone()).await.problem(412, "stale");
        assert_eq!(desk.patch(&path, &changed.etag(), patch).await.expect(200).etag(), changed.etag(), "no change");
        let seen = ann.get(&path).await;
        assert_eq!((&seen.body["identifiers"], &seen.body["note"]), (&number("V-2"), &json!("Needs the lift.")));
        desk.patch(&path, "*", json!({"identifiers": number("V-1")})).await.problem(409, "identifier_taken");
        desk.patch(&path, "*", json!({"note": "x".repeat(1001)})).await.invalid("/note", "too_long");
        desk.patch(&path, "*", json!({"status": "fulfilled"})).await.invalid("/status", "unknown_field");
        let history = desk.get(&format!("{path}/history")).await.items();
        assert_eq!(history.iter().map(|line| line["step"].clone()).collect::<Vec<_>>(), ["book", "amend"]);
        assert_eq!(app.mails_to(&ann.email).await.len(), 2, "the bookings'; none for a note");

        for (query, whom) in [("https://ehr.example/p%7CV-2", vec![&second]), ("V-1", vec![&first]), ("https://ehr.example/p%7C", vec![&first, &second]), ("V", vec![])] {
            for client in [&desk, &ann.client] {
                let found = listed(client, &format!("/v1/appointments?identifier={query}")).await;
                assert_eq!(found, whom.iter().map(|reply| reply.id()).collect::<Vec<_>>(), "{query}");
            }
        }
        let bea = app.patient("bea").await;
        assert_eq!(listed(&bea, "/v1/appointments?identifier=V-1").await, Vec::<String>::new());
        bea.patch(&path, "*", json!({"note": "mine"})).await.problem(403, "role_forbidden");
        let cleared = desk.patch(&path, "*", json!({"identifiers": null, "note": null})).await;
        assert_eq!((&cleared.expect(200).body["identifiers"], &cleared.body["note"]), (&json!([]), &Value::Null));
    }

    async fn undo_of_an_amended_appointment_is_allowed_on_its_day_only(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let slot = free_slots(&desk, &clinic.check).await[0].clone();
        let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id});
        let path = desk.post_with("/v1/appointments", body, &[("Idempotency-Key", "k")]).await.expect(201).location();
        desk.post_empty(&format!("{path}/check-in")).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24));
        desk.patch(&path, "*", json!({"note": "Came late."})).await.expect(200);
        let undone = app.desk().await.post(&format!("{path}/undo"), json!({"reason": "a mistake"})).await;
        undone.problem(409, "status_conflict");
    }

    async fn a_patch_without_changes_keeps_the_version(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        let ann = made(&admin, json!({"identifiers": number("1")})).await;
        app.clock.advance(SignedDuration::from_mins(1));
        for (path, same) in [
            (ann.location(), json!({"phone": "+1 202 555 0123", "identifiers": number("1")})),
            (format!("/v1/locations/{}", clinic.location_id), json!({"name": "Main Street"})),
            (format!("/v1/visit-types/{}", clinic.check), json!({"duration_minutes": 15})),
            (format!("/v1/practitioners/{}", clinic.practitioner_id), json!({"location_ids": [clinic.location_id], "active": true})),
            (format!("/v1/users/{}", admin.user_id), json!({"disabled": false})),
        ] {
            let before = admin.get(&path).await;
            for patch in [json!({}), same] {
                let mut after = admin.patch(&path, &before.etag(), patch).await;
                after.expect(200);
                // Other members of a change.
                for told in ["affected_appointments", "affected_total"] {
                    after.body.as_object_mut().expect("an object").remove(told);
                }
                assert_eq!((after.etag(), &after.body), (before.etag(), &before.body), "{path}");
            }
        }
    }

    async fn the_front_desk_gets_likely_duplicates_with_grades_and_reasons(app: App) {
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let contact = json!({"given_name": "Ann", "family_name": "Tester"});
        let twin = made(&desk, json!({"given_name": "Beth"})).await;
        assert_eq!(twin.body["duplicates"], json!([]), "twins share birth date and phone");
        let same = made(&desk, contact.clone()).await;
        let told = &same.body["duplicates"];
        assert_eq!(told[0]["id"], json!(ann.patient_id));
        assert_eq!(told[0]["grade"], "certain");
        assert_eq!(told[0]["reasons"], json!(["same_names", "same_birth_date", "same_phone", "same_email"]));
        assert_eq!(&told[0]["family_name"], "Tester");
        assert!(told[0]["mrn"].as_str().is_some_and(|number| number.starts_with("LW-")), "{told}");
        assert_eq!(told.as_array().map(Vec::len), Some(1));
        let slip = made(&desk, json!({"date_of_birth": "1967-09-15", "email": null})).await;
        let typo = made(&desk, json!({"given_name": "Anne", "phone": "+12025550199", "email": null})).await;
        let (ann, same, slip, typo) = (ann.patient_id.clone(), same.id(), slip.id(), typo.id());
        let expected = [format!("{same} certain"), format!("{slip} probable"), format!("{typo} probable")];
        assert_eq!(duplicates(&desk, &ann).await, expected);
        assert_eq!(duplicates(&desk, &slip).await, [format!("{ann} probable"), format!("{same} probable")]);
        // A corrected record is no duplicate any more.
        let put_right = json!({"given_name": "Dora", "date_of_birth": "1980-01-31"});
        desk.patch(&format!("/v1/patients/{same}"), "*", put_right).await.expect(200);
        assert_eq!(duplicates(&desk, &ann).await, [format!("{slip} probable"), format!("{typo} probable")]);
    }

    async fn the_list_of_duplicates_is_bounded_and_has_a_fixed_order(app: App) {
        let desk = app.desk().await;
        let mut all = Vec::new();
        for n in 0..23 {
            let phone = if n == 22 { "+12025550123".to_owned() } else { format!("+120255502{n:02}") };
            all.push(made(&desk, json!({"phone": phone, "email": null})).await.id());
        }
        let one = made(&desk, json!({"email": null})).await;
        let told = ids(one.body["duplicates"].as_array().expect("a list"));
        assert_eq!(told.len(), 20);
        assert_eq!(told[0], all[22], "the certain one first");
        assert_eq!(told[1..], all[..19], "then the oldest");
    }

    async fn only_staff_get_likely_duplicates(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        made(&desk, json!({"given_name": "ann"})).await;
        let path = format!("/v1/patients/{}", ann.patient_id);
        ann.get(&format!("{path}/duplicates")).await.problem(403, "role_forbidden");
        app.anon().get(&format!("{path}/duplicates")).await.problem(401, "unauthenticated");
        desk.get("/v1/patients/0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01/duplicates").await.problem(404, "not_found");
        for reply in [ann.get(&path).await, ann.patch(&path, "*", json!({"phone": "+12025550188"})).await, desk.get(&path).await] {
            assert!(reply.expect(200).body.get("duplicates").is_none());
        }
        let patient = patient_json("ann", "new@example.org");
        let registration = json!({"email": "new@example.org", "relation": "self", "patient": patient});
        let reply = app.anon().post("/v1/registrations", registration).await;
        reply.expect(202);
        assert_eq!(reply.text, "");
    }

    async fn an_integration_pages_through_the_changes_of_patients(app: App) {
        let desk = app.desk().await;
        let mut all = Vec::new();
        for given_name in ["Ann", "Bea", "Cyd", "Dora", "Eve"] {
            all.push(made(&desk, json!({"given_name": given_name})).await.id());
            app.clock.advance(SignedDuration::from_mins(1));
        }
        let since = "updated_since=2026-03-02T14:00:00Z";
        let first = desk.get(&format!("/v1/patients?{since}&limit=2")).await;
        assert_eq!(ids(&first.items()), all[..2]);
        assert_eq!(first.string("/next_updated_since"), "2026-03-02T14:04:00Z");
        // Records that change meanwhile come once, at the end; a change of related data counts as well.
        desk.patch(&format!("/v1/patients/{}", all[2]), "*", json!({"phone": "+12025550177"})).await.expect(200);
        app.clock.advance(SignedDuration::from_mins(1));
        let consent = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "paper"});
        desk.post(&format!("/v1/patients/{}/consents", all[0]), consent).await.expect(201);
        let (mut seen, mut cursor) = (Vec::new(), first.string("/next_cursor"));
        loop {
            let page = desk.get(&format!("/v1/patients?{since}&limit=2&cursor={cursor}")).await;
            assert!(page.expect(200).body.get("next_updated_since").is_none());
            seen.extend(ids(&page.items()));
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(seen, [&all[3], &all[4], &all[2], &all[0]].map(Clone::clone));
        let next = first.string("/next_updated_since");
        let again = listed(&desk, &format!("/v1/patients?updated_since={next}")).await;
        assert_eq!(again, [&all[4], &all[2], &all[0]].map(Clone::clone));
        // A cursor is valid only for the order of its list.
        desk.get(&format!("/v1/patients?cursor={cursor}")).await.invalid("?cursor", "invalid_cursor");
        desk.get("/v1/patients?updated_since=yesterday").await.invalid("?updated_since", "wrong_type");
        let all = desk.get("/v1/patients").await;
        assert!(all.body.get("next_updated_since").is_none());
        let filtered = listed(&desk, &format!("/v1/patients?{since}&q=ann")).await;
        assert_eq!(filtered.len(), 1);
    }

    async fn cancelled_and_rescheduled_appointments_are_among_the_changes(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let mut all = Vec::new();
        for at in [0, 2, 4] {
            let body = json!({"slot_id": slots[at]["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id});
            let key = format!("k{at}");
            all.push(ann.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await.expect(201).id());
            app.clock.advance(SignedDuration::from_secs(10));
        }
        let since = "2026-03-02T14:00:30Z";
        let path = |rest: &str| format!("/v1/appointments?updated_since={since}{rest}");
        assert_eq!(listed(&desk, &path("")).await, Vec::<String>::new());
        desk.post(&format!("/v1/appointments/{}/reschedule", all[2]), json!({"slot_id": slots[6]["id"]})).await.expect(200);
        app.clock.advance(SignedDuration::from_secs(10));
        ann.post(&format!("/v1/appointments/{}/cancel", all[0]), json!({"reason": "ill"})).await.expect(200);
        for client in [&desk, &ann.client] {
            assert_eq!(listed(client, &path("")).await, [all[2].clone(), all[0].clone()]);
        }
        let first = desk.get(&path("&limit=1")).await;
        assert_eq!(first.string("/next_updated_since"), "2026-03-02T14:00:30Z", "it never goes back");
        let cursor = first.string("/next_cursor");
        assert_eq!(listed(&desk, &path(&format!("&limit=1&cursor={cursor}"))).await, [all[0].clone()]);
        assert_eq!(listed(&desk, &path("&status=cancelled")).await, [all[0].clone()]);
        assert_eq!(listed(&app.patient("bea").await.client, &path("")).await, Vec::<String>::new());
        desk.get(&format!("/v1/appointments?cursor={cursor}")).await.invalid("?cursor", "invalid_cursor");
    }

    async fn the_changes_of_intakes_tell_where_to_continue(app: App) {
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let intake = ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-history"})).await;
        intake.expect(201);
        let page = doctor.get("/v1/intakes?updated_since=2026-03-02T13:00:00Z").await;
        assert_eq!(ids(&page.expect(200).items()), [intake.id()]);
        assert_eq!(page.string("/next_updated_since"), "2026-03-02T13:59:00Z");
        assert!(doctor.get("/v1/intakes").await.body.get("next_updated_since").is_none());
    }
}
