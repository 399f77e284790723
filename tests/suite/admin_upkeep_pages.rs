//! The pages of administrators for machine clients, the audit trail, the use of time, and the health of mails and keys.

use jiff::SignedDuration;
use serde_json::json;

use crate::support::audit::stored;
use crate::support::booking::book_nth;
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::smtp::Smtp;
use crate::support::visitor::{Visitor, plain};
use crate::support::{App, Client, Reply, both, eventually, id};

/// An administrator at a browser.
pub async fn administrator(app: &App) -> Visitor {
    app.admin().await;
    Visitor::signed_in(app.anon(), "admin@clinic.example").await
}

#[track_caller]
pub fn says(page: &Reply, parts: &[&str]) {
    let text = plain(&page.text);
    for part in parts {
        assert!(text.contains(part), "{part} in {}", page.text);
    }
}

/// The value that a page shows beside a term.
#[track_caller]
pub fn shown(page: &Reply, term: &str) -> String {
    let (_, rest) = page
        .text
        .split_once(&format!("<dt>{term}</dt><dd class=\"code\">"))
        .unwrap_or_else(|| panic!("no {term} in {}", page.text));
    plain(rest.split('<').next().expect("a value"))
}

/// Whether a client gets an access token with this secret.
async fn works(app: &App, client: &str, secret: &str) -> bool {
    let fields = [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)];
    app.anon().post_form("/oauth2/token", &fields, &[]).await.status == 200
}

both! {
    async fn a_machine_client_shows_its_secret_once_and_is_revoked(app: App) {
        app.clinic().await;
        let (visitor, admin) = (administrator(&app).await, app.admin().await);
        let new = visitor.get("/admin/clients/new?lang=en").await;
        let form = FilledForm::to(&new, "/clients/new").with(&[("name", "Phone <b>system")]);
        let wrong = form.send(&visitor, "/admin/clients/new").await;
        says(wrong.expect(422), &["What it may do: Please", "value=\"Phone <b>system\""]);
        let form = FilledForm::to(&wrong, "/clients/new").with(&[("scopes", "slots:read")]);
        let created = form.send(&visitor, "/admin/clients/new").await;
        says(created.expect(201), &["it is not shown again", "Phone <b>system", "https://legwork.example/oauth2/token"]);
        assert_eq!(created.header("cache-control"), "no-store");
        let (client, secret) = (shown(&created, "client_id"), shown(&created, "client_secret"));
        assert!(works(&app, &client, &secret).await);
        // A browser shows the answer to the second of two clicks.
        let again = form.send(&visitor, "/admin/clients/new").await;
        assert_eq!((shown(again.expect(201), "client_id"), shown(&again, "client_secret")), (client.clone(), secret.clone()));
        assert_eq!(admin.get("/v1/clients").await.items().len(), 1);
        let path = format!("/admin/clients/{client}");
        let secrets = visitor.get(&format!("{path}/secrets?lang=en")).await;
        says(secrets.expect(200), &["Phone <b>system", "Last used", "Monday, March 2, 2026"]);
        for page in [&secrets, &visitor.get(&format!("{path}?lang=en")).await, &visitor.get("/admin/clients?lang=en").await] {
            assert!(!page.text.contains(&secret) && !page.text.contains("Phone <b>"), "{}", page.text);
        }
        // A new secret, once; the older one works on for a day.
        let rotate = FilledForm::to(&secrets, "/secrets?").with(&[("overlap_hours", "24")]);
        let renewed = rotate.send(&visitor, &format!("{path}/secrets")).await;
        let second = shown(renewed.expect(201), "client_secret");
        let again = rotate.send(&visitor, &format!("{path}/secrets")).await;
        assert_eq!(shown(again.expect(201), "client_secret"), second);
        assert_eq!(admin.get(&format!("/v1/clients/{client}")).await.body["secrets"].as_array().map(Vec::len), Some(2));
        assert!(works(&app, &client, &secret).await && works(&app, &client, &second).await && secret != second);
        let secrets = visitor.get(&format!("{path}/secrets?lang=en")).await;
        says(secrets.expect(200), &["Stops working Tuesday, March 3, 2026"]);
        says(visitor.get("/admin/health?lang=en").await.expect(200), &["Secrets that end soon", "Phone <b>system"]);
        // The first one is ended by hand.
        let first = id(&admin.get(&format!("/v1/clients/{client}")).await.body["secrets"][0]).to_owned();
        for _ in 0..2 {
            let ended = visitor.submit(&secrets, &format!("{path}/secrets/{first}/end"), &[]).await;
            assert_eq!(led_to(&ended), format!("{path}/secrets?did=saved&lang=en"));
        }
        assert!(!works(&app, &client, &secret).await && works(&app, &client, &second).await);
        // Permissions, with somebody else's change between.
        let old = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path).with(&[("name", "Phones")]);
        admin.update(&format!("/v1/clients/{client}"), json!({"scopes": ["slots:read", "appointments:read"]})).await.expect(200);
        let stale = old.send(&visitor, &path).await;
        says(stale.expect(412), &["What it may do: was", "value=\"Phones\"", "value=\"appointments:read\" checked"]);
        FilledForm::to(&stale, &path).send(&visitor, &path).await.expect(303);
        let stored = admin.get(&format!("/v1/clients/{client}")).await.body;
        assert_eq!((&stored["name"], stored["scopes"].as_array().map(Vec::len)), (&json!("Phones"), Some(2)));
        let page = visitor.get(&format!("{path}?lang=en")).await;
        for _ in 0..2 {
            assert_eq!(led_to(&visitor.submit(&page, &format!("{path}/revoke"), &[]).await), "/admin/clients?did=saved&lang=en");
        }
        assert!(!works(&app, &client, &second).await);
        says(visitor.get("/admin/clients?lang=en").await.expect(200), &["Front desk, revoked"]);
        assert_eq!(led_to(&visitor.get(&format!("{path}?lang=en")).await), format!("{path}/secrets?lang=en"));
        says(visitor.get(&format!("{path}/secrets?lang=en")).await.expect(200), &["revoked for ever"]);
        says(visitor.submit(&page, &format!("{path}/secrets/{first}/end"), &[]).await.expect(409), &["This was not done"]);
        says(FilledForm::to(&page, &path).with(&[("name", "Again")]).send(&visitor, &path).await.expect(409), &["Not saved yet"]);
    }

    async fn the_audit_trail_is_searched(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let visitor = administrator(&app).await;
        desk.get("/v1/audit-events").await.expect(403);
        stored(&app).await;
        let about = visitor.get(&format!("/admin/audit?patient_id={}&operation=create_appointment&lang=en", ann.patient_id)).await;
        says(about.expect(200), &["desk@clinic.example", "Front desk", "create_appointment", "Monday, March 2, 2026", &format!("object_id={}", id(&visit))]);
        let object = visitor.get(&format!("/admin/audit?object_id={}&lang=en", id(&visit))).await;
        says(object.expect(200), &["create_appointment", "The patient's card"]);
        let refused = visitor.get("/admin/audit?outcome=refused&operation=list_audit_events&lang=es").await;
        says(refused.expect(200), &["rechazado", "(403)", "Recepción"]);
        says(visitor.get("/admin/audit?from_day=2026-03-03&lang=en").await.expect(200), &["Nothing was found."]);
        says(visitor.get("/admin/audit?from_day=2026-03-02&to_day=2026-03-02&lang=en").await.expect(200), &["create_location"]);
        for wrong in ["patient_id=ann", "operation=DROP+TABLE", "outcome=bad", "from_day=2026-03-03&to_day=2026-03-01", "from_day=soon", "cursor=x"] {
            let page = visitor.get(&format!("/admin/audit?{wrong}&lang=en")).await;
            says(page.expect(422), &["This cannot be searched for"]);
        }
        let bad = visitor.get("/admin/audit?operation=%22%3E%3Cscript%3E&lang=en").await;
        assert!(!bad.expect(422).text.contains("<script>"), "{}", bad.text);
        // More than a page.
        for _ in 0..55 {
            desk.get(&format!("/v1/patients/{}", ann.patient_id)).await.expect(200);
        }
        stored(&app).await;
        let first = visitor.get("/admin/audit?operation=get_patient&lang=en").await;
        let more = plain(first.expect(200).text.split("class=\"turn\"").nth(1).expect("more").split("href=\"").nth(1).expect("a link").split('"').next().expect("its end"));
        let second = visitor.get(&format!("/{}", more.trim_start_matches("../"))).await;
        says(second.expect(200), &["get_patient"]);
        // Who searched for a patient is in the trail, too.
        stored(&app).await;
        let searches = app.admin().await.get(&format!("/v1/audit-events?operation=list_audit_events&outcome=success&patient_id={}", ann.patient_id)).await.items();
        assert!(!searches.is_empty());
    }

    async fn the_use_of_time_is_shown_by_day(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        book_nth(&desk, &clinic.new_visit, 0, &ann.patient_id).await;
        let visitor = administrator(&app).await;
        let page = visitor.get("/admin/utilisation?from=2026-03-02&to=2026-03-06&lang=en").await;
        says(page.expect(200), &["Monday, March 2", "Friday, March 6", "Main Street", "Dr. Ada Vein", "value=\"2026-03-06\""]);
        let report = app.admin().await.get("/v1/reports/utilisation?from=2026-03-02&to=2026-03-06").await.body;
        says(&page, &[&format!("<dd>{} %</dd>", report["total"]["utilisation_percent"]), &format!("<dd>{}</dd>", report["total"]["booked_visits"])]);
        says(visitor.get(&format!("/admin/utilisation?practitioner_id={}&lang=es", clinic.practitioner_id)).await.expect(200), &["Uso del tiempo"]);
        says(visitor.get("/admin/utilisation?from=2025-01-01&to=2025-01-02&lang=en").await.expect(200), &["Nothing in this period."]);
        for wrong in ["from=2026-03-06&to=2026-03-02", "from=2020-01-01&to=2026-03-02", "from=soon", "location_id=x"] {
            says(visitor.get(&format!("/admin/utilisation?{wrong}&lang=en")).await.expect(422), &["This period is not possible"]);
        }
    }

    async fn a_clinic_without_a_mail_server_is_told_so(app: App) {
        app.clinic().await;
        let health = administrator(&app).await.get("/admin/health?lang=en").await;
        says(health.expect(200), &["No mail server is set", "Could not be sent</dt><dd>0", "Data keys</dt><dd>1"]);
    }

    async fn mails_that_wait_or_failed_are_counted(app: App) {
        // The mail server is away, and refuses the mail afterwards.
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        app.clinic().await;
        let admin = app.admin().await;
        let body = json!({"email": "dana@clinic.example", "name": "Dana Desk", "role": "front_desk"});
        admin.post("/v1/users", body).await.expect(201);
        until(&admin, "pending", "connection").await;
        app.clock.advance(SignedDuration::from_mins(20));
        let visitor = Visitor::signed_in(app.anon(), "admin@clinic.example").await;
        let waiting = visitor.get("/admin/health?lang=en").await;
        says(waiting.expect(200), &["A mail waits since Monday, March 2, 2026", "To be sent now</dt><dd>1"]);
        assert!(!waiting.text.contains("No mail server is set"), "{}", waiting.text);
        says(visitor.get("/admin/health?lang=es").await.expect(200), &["Un correo espera desde:"]);
        smtp.reopen();
        smtp.answer(&[550]);
        app.clock.advance(SignedDuration::from_hours(1));
        until(&admin, "failed", "smtp_550").await;
        says(visitor.get("/admin/health?lang=en").await.expect(200), &["1× smtp_550", "Send them again, or call"]);
    }
}

/// Waits until there is a message of this status with this error.
async fn until(admin: &Client, status: &str, error: &str) {
    eventually(async || {
        let found = admin.get(&format!("/v1/messages?status={status}")).await.items();
        if found.iter().any(|message| message["last_error"] == error) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}
