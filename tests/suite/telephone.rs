//! Phone numbers in national form, as input and as shown in the clinic's country.

use serde_json::{Value, json};

use crate::support::people::patient_json;
use crate::support::{App, Client, both};

/// A location in a country.
async fn location(admin: &Client, country: &str, phone: &str, zone: &str) -> Value {
    let body = json!({
        "name": "Main Street", "address": "1 Main Street, Springfield", "phone": phone, "country": country, "time_zone": zone,
        "slot_minutes": 15,
    });
    admin.post("/v1/locations", body).await.expect(201).body.clone()
}

fn patient(changes: Value) -> Value {
    let mut body = patient_json("Ann", "ann@patients.example");
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn home(country: &str) -> Value {
    json!({"line1": "1 Elm Street", "city": "Springfield", "country": country})
}

both! {
    async fn a_national_phone_number_is_read_by_the_country_of_the_address_or_the_clinic(app: App) {
        let (admin, desk) = (app.admin().await, app.desk().await);
        // Without a location, the country is unknown.
        desk.post("/v1/patients", patient(json!({"phone": "(617) 555-0123"}))).await.invalid("/phone", "invalid_phone");
        location(&admin, "US", "(617) 555-0140", "America/New_York").await;
        for (typed, address, stored) in [
            ("(617) 555-0123", Value::Null, "+16175550123"),
            ("617.555.0123", home("US"), "+16175550123"),
            ("020 7946 0958", home("GB"), "+442079460958"),
            ("+44 20 7946 0958", Value::Null, "+442079460958"),
        ] {
            let contact = json!({"name": "Rosa", "phone": typed});
            let body = patient(json!({"phone": typed, "address": address, "emergency_contact": contact}));
            let reply = desk.post("/v1/patients", body).await;
            assert_eq!(reply.expect(201).body["phone"], stored);
            assert_eq!(reply.body["emergency_contact"]["phone"], stored);
        }
        for wrong in ["555-0123", "(617) 555-012", "617 555 0123 ext. 4", "020 7946 0958", "call me"] {
            let reply = desk.post("/v1/patients", patient(json!({"phone": wrong}))).await;
            reply.invalid("/phone", "invalid_phone");
        }
        let contact = json!({"name": "Rosa", "phone": "555"});
        desk.post("/v1/patients", patient(json!({"emergency_contact": contact}))).await.invalid("/emergency_contact/phone", "invalid_phone");
    }

    async fn a_phone_number_is_read_alike_in_changes_and_new_records(app: App) {
        let (admin, desk) = (app.admin().await, app.desk().await);
        location(&admin, "US", "+16175550140", "America/New_York").await;
        let made = desk.post("/v1/patients", patient(json!({}))).await;
        let path = made.expect(201).location();
        let changed = desk.patch(&path, &made.etag(), json!({"phone": "(617) 555-0199"})).await;
        assert_eq!(changed.expect(200).body["phone"], "+16175550199");
        desk.patch(&path, &changed.etag(), json!({"phone": "555-0199"})).await.invalid("/phone", "invalid_phone");
        let moved = desk.patch(&path, &changed.etag(), json!({"phone": "020 7946 0958", "address": home("GB")})).await;
        assert_eq!(moved.expect(200).body["phone"], "+442079460958");
        // Changes of other members keep it.
        let named = desk.patch(&path, &moved.etag(), json!({"preferred_name": "Annie"})).await;
        assert_eq!(named.expect(200).body["phone"], "+442079460958");
    }

    async fn registration_accepts_a_phone_number_in_national_form(app: App) {
        location(&app.admin().await, "US", "+16175550140", "America/New_York").await;
        let body = |phone: &str| json!({
            "email": "ann@example.org", "relation": "self",
            "patient": {"given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14",
                "administrative_sex": "female", "phone": phone, "preferred_language": "en", "interpreter_needed": false},
        });
        app.anon().post("/v1/registrations", body("555-0123")).await.invalid("/patient/phone", "invalid_phone");
        app.anon().post("/v1/registrations", body("617-555-0123")).await.expect(202);
        let found = app.desk().await.get("/v1/patients?phone=%2B16175550123").await.items();
        assert_eq!(found.len(), 1);
    }

    async fn a_search_finds_a_phone_number_in_national_form(app: App) {
        let (admin, desk) = (app.admin().await, app.desk().await);
        location(&admin, "GB", "020 7946 0100", "Europe/London").await;
        desk.post("/v1/patients", patient(json!({"phone": "020 7946 0958"}))).await.expect(201);
        desk.post("/v1/patients", patient(json!({"phone": "+12025550958"}))).await.expect(201);
        for (typed, found) in
            [("020+7946+0958", 1), ("(020)+7946-0958", 1), ("%2B442079460958", 1), ("2079460958", 1), ("0958", 2), ("020+7946+0959", 0)]
        {
            assert_eq!(desk.get(&format!("/v1/patients?phone={typed}")).await.items().len(), found, "{typed}");
        }
        for wrong in ["958", "x0958", "%2B44"] {
            desk.get(&format!("/v1/patients?phone={wrong}")).await.invalid("?phone", "invalid_phone");
        }
    }

    async fn a_location_has_a_phone_number_of_its_country_and_shows_it_in_national_form(app: App) {
        let admin = app.admin().await;
        let london = location(&admin, "GB", "020 7946 0100", "Europe/London").await;
        assert_eq!((&london["phone"], &london["phone_display"]), (&json!("+442079460100"), &json!("020 7946 0100")));
        let path = format!("/v1/locations/{}", london["id"].as_str().expect("an id"));
        let etag = admin.get(&path).await.etag();
        admin.patch(&path, &etag, json!({"phone": "(617) 555-0140"})).await.invalid("/phone", "invalid_phone");
        let moved = json!({"phone": "(617) 555-0140", "country": "US", "time_zone": "America/New_York"});
        let reply = admin.patch(&path, &etag, moved).await;
        assert_eq!(reply.expect(200).body["phone"], "+16175550140");
        assert_eq!(reply.body["phone_display"], "(617) 555-0140");
    }

    async fn mails_pages_and_links_show_the_national_form_and_dial_the_international_number(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = crate::support::clinic::free_slots(&ann, &clinic.check).await[20]["id"].clone();
        let body = json!({"slot_id": slot, "visit_type_id": clinic.check, "patient_id": ann.patient_id});
        ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "k")]).await.expect(201);
        let mail = app.mails_to(&ann.email).await.remove(0);
        // Long lines of a calendar entry are folded.
        let entry = mail.ics.as_ref().expect("an invitation").replace("\r\n ", "");
        for words in [&mail.text, &mail.html, &entry] {
            assert!(words.contains("(202) 555-0100"), "{words}");
        }
        assert!(mail.html.contains("tel:+12025550100") && !mail.text.contains("+1202"), "{}", mail.text);
        let linked = app.anon().post("/v1/appointment-links/view", json!({"token": mail.token()})).await;
        assert_eq!(linked.string("/location/phone_display"), "(202) 555-0100");
        assert_eq!(linked.string("/location/phone"), "+12025550100");
        for page in ["/", "/appointment"] {
            let text = app.anon().get_with(page, &[("Accept", "text/html")]).await.text;
            assert!(text.contains("<a href=\"tel:+12025550100\">(202) 555-0100</a>"), "{text}");
        }
        // The clinic's number, in whichever form the operator set it.
        let app = app.restart(&["--clinic-phone", "617-555-0140"]);
        let text = app.anon().get("/verify-email").await.text;
        assert!(text.contains("<a href=\"tel:+16175550140\">(617) 555-0140</a>"), "{text}");
    }
}
