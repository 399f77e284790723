//! New versions of the texts to consent to.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::people::patient_json;
use crate::support::{App, Client, both};

const DOCUMENTS: &str = "/v1/consent-documents";

fn new_version(english: &str) -> Value {
    json!({"type": "treatment", "texts": [{"language": "en", "text": english}, {"language": "es", "text": "# Nuevo"}]})
}

async fn texts(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("{DOCUMENTS}{query}")).await.expect(200);
    let items = client.get(&format!("{DOCUMENTS}{query}")).await.items();
    items.into_iter().map(|item| json!([item["type"], item["version"], item["language"], item["text"]])).collect()
}

both! {
    async fn a_new_version_is_outstanding_for_each_patient_until_they_decide_on_it(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let record = format!("/v1/patients/{}", ann.patient_id);
        let outstanding = async || ann.get(&record).await.body["consents_outstanding"].clone();
        let decide = async |document: &str, version: &str| {
            let body = json!({"type": document, "version": version, "decision": "accepted"});
            ann.post(&format!("{record}/consents"), body).await
        };
        decide("treatment", "1").await.expect(201);
        decide("privacy_notice", "1").await.expect(201);
        assert_eq!(outstanding().await, json!([]));

        let key = [("Idempotency-Key", "version-2")];
        let published = admin.post_with(DOCUMENTS, new_version("# New"), &key).await;
        assert_eq!(published.expect(201).body["version"], "2");
        assert_eq!(published.body["texts"][1]["published_at"], "2026-03-02T14:00:00Z");
        let repeated = admin.post_with(DOCUMENTS, new_version("# New"), &key).await;
        assert_eq!(repeated.expect(201).body, published.body);
        assert_eq!(app.anon().get(&published.location()).await.items(), [published.body["texts"][0].clone()]);

        assert_eq!(outstanding().await, json!(["treatment"]));
        decide("treatment", "1").await.expect(201);
        assert_eq!(outstanding().await, json!(["treatment"]), "an earlier version is recorded, and settles nothing");
        decide("treatment", "3").await.invalid("/version", "unknown_version");
        decide("privacy_notice", "2").await.invalid("/version", "unknown_version");
        decide("treatment", "2").await.expect(201);
        assert_eq!(outstanding().await, json!([]));
        let found = app.desk().await.get("/v1/patients?q=ann").await.items();
        assert_eq!(found[0]["consents_outstanding"], json!([]));
    }

    async fn each_version_stays_readable_in_its_languages(app: App) {
        let anon = app.anon();
        let first = texts(&anon, "?type=treatment").await;
        app.admin().await.post(DOCUMENTS, new_version("# New")).await.expect(201);
        assert_eq!(texts(&anon, "?type=treatment&version=1").await, first);
        for (query, language, text) in [("", "en", "# New"), ("?language=es-MX", "es", "# Nuevo"), ("?language=fr", "en", "# New")] {
            let shown = texts(&anon, query).await;
            assert_eq!(shown[0], json!(["treatment", "2", language, text]), "{query}");
            assert_eq!((&shown[1][0], &shown[1][1]), (&json!("privacy_notice"), &json!("1")), "{query}");
        }
        anon.get(&format!("{DOCUMENTS}?type=treatment&version=3")).await.invalid("?version", "unknown_version");
        anon.get(&format!("{DOCUMENTS}?type=treatment&version=01")).await.invalid("?version", "unknown_version");
        anon.get(&format!("{DOCUMENTS}?version=1")).await.invalid("?type", "required");
    }

    async fn a_registration_decides_on_the_new_version(app: App) {
        app.admin().await.post(DOCUMENTS, new_version("# New")).await.expect(201);
        let registration = |version: &str| {
            let mut patient = patient_json("Bea", "bea@example.org");
            patient.as_object_mut().expect("an object").remove("email");
            json!({"email": "bea@example.org", "relation": "self", "patient": patient, "consents": [
                {"type": "treatment", "version": version, "decision": "accepted"}
            ]})
        };
        let reply = app.anon().post("/v1/registrations", registration("3")).await;
        reply.invalid("/consents/0/version", "unknown_version");
        let bea = app.registered(registration("2"), "amber heron folds paper").await;
        let record = format!("/v1/patients/{}", bea.get("/v1/me").await.string("/patients/0/id"));
        assert_eq!(bea.get(&record).await.body["consents_outstanding"], json!(["privacy_notice"]));
    }

    async fn administrators_who_publish_at_the_same_time_get_consecutive_versions(app: App) {
        let admin = app.admin().await;
        let replies = join_all((0..8).map(|n| admin.post(DOCUMENTS, new_version(&format!("# Text {n}"))))).await;
        let mut versions: Vec<_> = replies.iter().map(|reply| reply.expect(201).string("/version")).collect();
        versions.sort();
        assert_eq!(versions, ["2", "3", "4", "5", "6", "7", "8", "9"]);
    }

    async fn only_administrators_publish_and_the_input_is_checked(app: App) {
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        desk.post(DOCUMENTS, new_version("# New")).await.problem(403, "role_forbidden");
        ann.post(DOCUMENTS, new_version("# New")).await.problem(403, "role_forbidden");
        app.anon().post(DOCUMENTS, new_version("# New")).await.problem(401, "unauthenticated");
        let with = |texts: Value| json!({"type": "treatment", "texts": texts});
        let english = json!({"language": "en", "text": "# New"});
        for (texts, pointer, code) in [
            (json!([]), "/texts", "required"),
            (json!([{"language": "es", "text": "# Nuevo"}]), "/texts", "required"),
            (json!([english, english]), "/texts/1/language", "duplicate"),
            (json!([english, {"language": "x", "text": "# X"}]), "/texts/1/language", "invalid_language"),
            (json!([english, {"language": "es", "text": " "}]), "/texts/1/text", "required"),
            (json!([{"language": "en", "text": "x".repeat(20_001)}]), "/texts/0/text", "too_long"),
            (json!(vec![english.clone(); 11]), "/texts", "too_many"),
        ] {
            admin.post(DOCUMENTS, with(texts)).await.invalid(pointer, code);
        }
        admin.post(DOCUMENTS, json!({"type": "research", "texts": [english]})).await.invalid("/type", "not_an_option");
        assert_eq!(texts(&app.anon(), "?type=treatment").await[0][1], "1");
    }
}
