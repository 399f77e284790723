//! The service checks what the document says about bodies and queries: the test breaks each rule of each schema, one at a
//! time, and each error names its place in the words of the API.

use reqwest::Method;
use serde_json::{Value, json};

use super::broken_input::{
    BY_CREDENTIAL, NOBODY, bodies, document, fault, operations, refused_null, rust_words, send, wrong_texts,
};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, both};

both! {
    /// The bodies come from the document, so that no operation, member or limit is left out.
    async fn every_rule_of_every_body_in_the_document_is_checked_and_its_error_has_a_pointer(app: App) {
        let document = document();
        app.clinic().await;
        let (ann, anon) = (app.patient("ann").await, app.anon());
        let staff = [app.admin().await, app.desk().await, app.doctor().await];
        let draft = ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-history"})).await;
        let draft = draft.expect(201).id();
        let client = json!({"name": "Robot", "role": "front_desk", "scopes": ["slots:read"]});
        let client = staff[0].post("/v1/clients", client).await.expect(201).id();
        let webhook = json!({"url": "https://systems.example/legwork"});
        let webhook = staff[0].post("/v1/webhooks", webhook).await.expect(201).id();
        let (mut asked, mut findings) = (0, Vec::new());
        for operation in operations(&document) {
            let thing = match operation.path.split('/').nth(2) {
                Some("intakes") => &draft,
                Some("patients") => &ann.patient_id,
                Some("users") => &ann.user_id,
                Some("clients") => &client,
                Some("webhooks") => &webhook,
                _ => NOBODY,
            };
            let path = operation.path.replace("{id}", thing);
            let (all_broken, nulls) = bodies(&document, &operation);
            for null in nulls {
                for caller in if operation.is_public { std::slice::from_ref(&anon) } else { &staff[..] } {
                    let reply = send(caller, &operation, &path, &null.body).await;
                    findings.extend(refused_null(&reply, &null).map(|error| format!("{}: null: {error}", operation.id)));
                    if reply.status != 403 {
                        break;
                    }
                }
            }
            for broken in all_broken {
                asked += 1;
                let callers = match operation.is_public {
                    true => std::slice::from_ref(&anon),
                    // Staff do not close their accounts.
                    false if operation.id == "close_account" => std::slice::from_ref(&ann.client),
                    // A caller with the role.
                    false => &staff[..],
                };
                let mut fault_found = None;
                for caller in callers {
                    let reply = send(caller, &operation, &path, &broken.body).await;
                    fault_found = fault(&reply, &broken);
                    if broken.by_handler && BY_CREDENTIAL.contains(&operation.id.as_str()) {
                        fault_found = (!(400..500).contains(&reply.status)).then(|| reply.text.clone());
                    }
                    if fault_found.is_none() {
                        break;
                    }
                }
                findings.extend(fault_found.map(|fault| {
                    let place = if broken.pointer.is_empty() { "the body" } else { &broken.pointer };
                    let value = broken.body.pointer(&broken.pointer).map(|value| value.to_string().chars().take(60).collect::<String>());
                    format!("{}: {place} = {value:?}: {fault}", operation.id)
                }));
            }
        }
        assert!(asked > 1500, "{asked}");
        assert!(findings.is_empty(), "{} of {asked}:\n{}", findings.len(), findings.join("\n"));
    }

    async fn every_rule_of_every_query_in_the_document_is_checked_and_a_similar_parameter_is_suggested(app: App) {
        let document = document();
        let (mut asked, mut findings) = (0, Vec::new());
        for operation in operations(&document) {
            let parameters: Vec<_> = operation.value["parameters"].as_array().into_iter().flatten()
                .filter(|parameter| parameter["in"] == "query").collect();
            let path = operation.path.replace("{id}", NOBODY);
            let callers = [app.anon(), app.doctor().await, app.admin().await];
            for parameter in &parameters {
                let name = parameter["name"].as_str().expect("a name");
                let others = parameters.iter().filter(|other| other["required"] == true && other["name"] != name);
                let fitting = |other: &Value| if other["schema"]["format"] == "date" { "2026-03-02" } else { NOBODY };
                let others = others.map(|other| format!("&{}={}", other["name"].as_str().expect("a name"), fitting(other))).collect::<Vec<_>>().concat();
                for value in wrong_texts(&document, &parameter["schema"]) {
                    asked += 1;
                    let mut finding = None;
                    for caller in &callers {
                        let reply = caller.get(&format!("{path}?{name}={value}{others}")).await;
                        let errors = reply.body["errors"].as_array().cloned().unwrap_or_default();
                        let is_told = reply.status == 422 && errors.iter().any(|error| error["pointer"] == format!("?{name}"));
                        let is_fine = is_told && rust_words(&errors).is_none();
                        finding = (!is_fine).then(|| format!("{}: {} {}", reply.request, reply.status, reply.text));
                        if is_fine {
                            break;
                        }
                    }
                    findings.extend(finding);
                }
                if name.len() > 3 {
                    let typo = &name[..name.len() - 1];
                    let mut reply = callers[if operation.is_public { 0 } else { 2 }].get(&format!("{path}?{typo}=x")).await;
                    if reply.status == 403 {
                        reply = callers[1].get(&format!("{path}?{typo}=x")).await;
                    }
                    reply.invalid(&format!("?{typo}"), "unknown_parameter");
                    if !reply.text.contains(&format!("did you mean `{name}`?")) {
                        findings.push(format!("{}: {}", reply.request, reply.text));
                    }
                }
            }
        }
        assert!(asked > 150, "{asked}");
        assert!(findings.is_empty(), "{} of {asked}:\n{}", findings.len(), findings.join("\n"));
    }

    async fn one_response_lists_every_error_of_a_body(app: App) {
        let desk = app.desk().await;
        let reply = desk.post("/v1/patients", json!({})).await;
        for member in ["family_name", "date_of_birth", "administrative_sex", "preferred_language", "interpreter_needed"] {
            reply.invalid(&format!("/{member}"), "required");
        }
        let mut record = patient_json("Ann", "ann@patients.example");
        record["administrative_sex"] = json!(5);
        record["race"] = json!(["white", "other", "declined", "asian", "white", "other", "asian", "white"]);
        record["interpreter_needed"] = json!("no");
        record["address"] = json!({"line1": 7, "country": "US"});
        record["prefered_name"] = json!("Annie");
        let reply = desk.post("/v1/patients", record).await;
        reply.invalid("/administrative_sex", "wrong_type").invalid("/race", "too_many").invalid("/interpreter_needed", "wrong_type");
        reply.invalid("/address/line1", "wrong_type").invalid("/address/city", "required").invalid("/prefered_name", "unknown_field");
        assert!(reply.text.contains("did you mean `preferred_name`?"), "{}", reply.text);
        let mut record = patient_json("Ann", "ann@patients.example");
        record["administrative_sex"] = json!(null);
        desk.post("/v1/patients", record).await.invalid("/administrative_sex", "wrong_type");
    }

    async fn an_integer_with_a_zero_fraction_is_accepted(app: App) {
        let admin = app.admin().await;
        let body = |minutes: &str| {
            format!(r#"{{"name": "Pier", "address": "1 Pier", "phone": "+12025550100", "country": "US",
                "time_zone": "America/New_York", "slot_minutes": {minutes}}}"#).into_bytes()
        };
        let headers = [("Content-Type", "application/json")];
        for minutes in ["15", "15.0", "1.5e1", "150e-1"] {
            let made = admin.send_raw(Method::POST, "/v1/locations", &headers, body(minutes)).await;
            assert_eq!(made.expect(201).body["slot_minutes"].to_string(), "15", "{minutes}");
        }
        for minutes in ["15.5", "\"15\"", "true"] {
            let reply = admin.send_raw(Method::POST, "/v1/locations", &headers, body(minutes)).await;
            reply.invalid("/slot_minutes", "wrong_type");
            assert!(reply.text.contains("must be one of 5, 10, 15"), "{}", reply.text);
        }
        for (minutes, code) in [("7", "not_an_option"), ("1e3", "not_an_option"), ("1e300", "not_an_option"), ("1e999", "out_of_range")] {
            admin.send_raw(Method::POST, "/v1/locations", &headers, body(minutes)).await.invalid("/slot_minutes", code);
        }
    }

    async fn a_code_has_its_limit_also_where_none_is_needed(app: App) {
        let ann = app.patient("ann").await;
        let body = json!({"email": ann.email, "password": PASSWORD, "totp_code": "0".repeat(65)});
        app.anon().post("/v1/sessions", body).await.invalid("/totp_code", "too_long");
        let body = json!({"current_password": PASSWORD, "new_password": "another-quiet-night-9", "totp_code": "0".repeat(65)});
        ann.post("/v1/me/password", body).await.invalid("/totp_code", "too_long");
    }

    async fn every_country_member_accepts_existing_countries_only(app: App) {
        let (admin, desk) = (app.admin().await, app.desk().await);
        let location = |country: &str| json!({
            "name": "Pier", "address": "1 Pier", "phone": "+12025550100", "country": country,
            "time_zone": "America/New_York", "slot_minutes": 15,
        });
        let patient = |country: &str| {
            let mut record = patient_json("Ann", "ann@patients.example");
            record["address"] = json!({"line1": "1 Elm Street", "city": "Albany", "country": country});
            record
        };
        let made = admin.post("/v1/locations", location("us")).await;
        assert_eq!(made.expect(201).string("/country"), "US");
        let ann = desk.post("/v1/patients", patient("mx")).await;
        assert_eq!(ann.expect(201).string("/address/country"), "MX");
        for wrong in ["ZZ", "XX", "UK", "EU", "USA"] {
            admin.post("/v1/locations", location(wrong)).await.invalid("/country", "invalid_country");
            admin.patch(&made.location(), "*", json!({"country": wrong})).await.invalid("/country", "invalid_country");
            desk.post("/v1/patients", patient(wrong)).await.invalid("/address/country", "invalid_country");
            desk.patch(&ann.location(), "*", json!({"address": {"country": wrong}})).await.invalid("/address/country", "invalid_country");
        }
    }

    async fn a_language_is_normalised_to_its_tag_or_rejected(app: App) {
        let desk = app.desk().await;
        for (given, kept) in [("Spanish", "es"), ("español", "es"), ("inglés", "en"), ("spa-MX", "es-MX"), ("ES-mx", "es-MX"), ("pt", "pt"), ("Portuguese", "pt")] {
            let mut record = patient_json("Ann", "ann@patients.example");
            record["given_name"] = json!(format!("Ann {kept}"));
            record["preferred_language"] = json!(given);
            let made = desk.post("/v1/patients?", record).await;
            assert_eq!(made.expect(201).string("/preferred_language"), kept, "{given}");
        }
        for wrong in ["Elvish", "sp", "us", "en_US", "nonsense"] {
            let mut record = patient_json("Ann", "ann@patients.example");
            record["preferred_language"] = json!(wrong);
            let refused = desk.post("/v1/patients", record).await;
            assert!(refused.invalid("/preferred_language", "invalid_language").text.contains("BCP 47"), "{}", refused.text);
        }
        let english = desk.get("/v1/consent-documents?language=English").await;
        assert_eq!(english.expect(200).body, desk.get("/v1/consent-documents?language=en").await.body);
    }

    async fn a_role_error_names_the_roles_that_have_the_permission(app: App) {
        let ann = app.patient("ann").await;
        for (reply, roles) in [
            (ann.get("/v1/users").await, json!(["admin"])),
            (ann.get("/v1/patients").await, json!(["front_desk", "practitioner", "admin"])),
            (app.doctor().await.get("/v1/messages").await, json!(["front_desk", "admin"])),
            (app.desk().await.get(&format!("/v1/patients/{}/export", ann.patient_id)).await, json!(["patient", "practitioner", "admin"])),
        ] {
            let problem = reply.problem(403, "role_forbidden");
            assert_eq!(problem["allowed_roles"], roles, "{}", reply.request);
            let detail = problem["detail"].as_str().expect("a detail");
            for role in roles.as_array().expect("roles") {
                assert!(detail.contains(role.as_str().expect("a role")), "{detail}");
            }
        }
        let other = app.admin().await.get(&format!("/v1/users/{NOBODY}?nonsense=1")).await;
        assert!(other.body.get("allowed_roles").is_none(), "{}", other.text);
    }
}
