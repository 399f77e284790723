//! The service checks what the document says about bodies and queries: the test breaks each rule of each schema, one at a
//! time, and each error names its place in the words of the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, both};

const NOBODY: &str = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";

/// The handlers read values of these schemas themselves, in the order that a draft needs.
const OWN_READERS: [&str; 3] = ["RlsAnswers", "RlsLab", "RlsReview"];

/// A credential decides first here, and one that is too long is a wrong one: a refusal of it is as good. What else they take is
/// looked at only after the credential.
const BY_CREDENTIAL: [&str; 12] = [
    "accept_invitation",
    "cancel_appointment_link",
    "change_email",
    "change_password",
    "confirm_password_reset",
    "confirm_second_factor",
    "create_session",
    "disable_second_factor",
    "refresh_session",
    "renew_recovery_codes",
    "verify_email",
    "view_appointment_link",
];

/// Words of the language that the service is written in. No caller should have to know them.
const RUST_WORDS: [&str; 24] = [
    "struct",
    "enum",
    "variant",
    "tuple",
    "sequence",
    "map",
    "unit",
    "newtype",
    "expected",
    "option",
    "vec",
    "serde",
    "bool",
    "boolean",
    "str",
    "u8",
    "u16",
    "u32",
    "u64",
    "i32",
    "i64",
    "usize",
    "f64",
    "identifier",
];

struct Operation {
    id: String,
    method: Method,
    path: String,
    is_public: bool,
    value: Value,
}

fn document() -> Value {
    serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON")
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, value) in item.as_object().expect("operations") {
            let Some(id) = value["operationId"].as_str() else { continue };
            let mut value = value.clone();
            for parameter in value["parameters"].as_array_mut().into_iter().flatten() {
                *parameter = resolve(document, parameter).1.clone();
            }
            all.push(Operation {
                id: id.to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.replace("{user_id}", NOBODY),
                is_public: value["security"].as_array().is_none_or(Vec::is_empty),
                value,
            });
        }
    }
    all
}

/// The name of the schema that is referred to, if one is, and the schema itself without `null` among its alternatives.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> (Option<&'a str>, &'a Value, bool) {
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let other = alternatives.iter().find(|one| one["type"] != "null").expect("an alternative");
        let (name, schema, _) = resolve(document, other);
        return (name, schema, true);
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next();
        let (_, schema, nullable) = resolve(document, document.pointer(&reference[1..]).expect("a schema"));
        return (name, schema, nullable);
    }
    (None, schema, schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null")))
}

fn kind(schema: &Value) -> &str {
    let kinds = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
    kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
}

/// A valid value of a schema, to break at one place.
fn sample(document: &Value, schema: &Value) -> Value {
    let (_, schema, _) = resolve(document, schema);
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)).or_else(|| schema["enum"].get(0))
    {
        return example.clone();
    }
    match kind(schema) {
        "array" => json!([sample(document, &schema["items"])]),
        "object" => json!({}),
        "integer" | "number" => schema["minimum"].clone(),
        "boolean" => json!(true),
        _ if schema["format"] == "uuid" => json!(NOBODY),
        _ => json!("x".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).expect("small"))),
    }
}

/// A body that breaks one rule, and the expected error.
struct Broken {
    body: Value,
    pointer: String,
    /// One of these codes; if empty, any code.
    codes: Vec<&'static str>,
    /// Whether a handler checks it, which requires that the caller gets that far.
    by_handler: bool,
}

struct Breaker<'a> {
    document: &'a Value,
    /// Whether values of the schemas in [`OWN_READERS`] are broken as well.
    own_readers: bool,
    found: Vec<Broken>,
}

impl Breaker<'_> {
    fn note(&mut self, base: &Value, pointer: &str, wrong: Value, codes: &[&'static str], by_handler: bool) {
        let mut body = base.clone();
        *body.pointer_mut(pointer).expect("a place") = wrong;
        // Handlers have more precise codes.
        let codes = if by_handler { Vec::new() } else { codes.to_vec() };
        self.found.push(Broken { body, pointer: pointer.to_owned(), codes, by_handler });
    }

    /// Breaks the value at `pointer` in `base` against each rule of `schema`.
    fn walk(&mut self, schema: &Value, base: &Value, pointer: &str, by_handler: bool) {
        let (name, schema, nullable) = resolve(self.document, schema);
        let is_own = name.is_some_and(|name| OWN_READERS.contains(&name));
        if is_own && !self.own_readers {
            return;
        }
        let is_whole = pointer.is_empty();
        let by_handler = by_handler || is_own;
        let wrong = ["wrong_type", "not_an_option"];
        // In a merge patch, null removes an answer.
        if !nullable && (!by_handler || is_whole) {
            self.note(base, pointer, json!(null), &wrong, by_handler);
        }
        let others = match kind(schema) {
            "string" => vec![json!(5), json!(false), json!(["x"]), json!({"x": null})],
            "integer" => vec![json!("7"), json!(7.5), json!({}), json!(true)],
            "number" => vec![json!("7"), json!([7])],
            "boolean" => vec![json!("true"), json!(0)],
            "array" => vec![json!("x"), json!({}), json!(5)],
            _ => vec![json!("x"), json!([]), json!([1]), json!(5)],
        };
        for value in others {
            self.note(base, pointer, value, &wrong, by_handler);
        }
        self.limits(schema, base, pointer, by_handler);
        match kind(schema) {
            "array" => {
                let mut base = base.clone();
                *base.pointer_mut(pointer).expect("a place") = json!([sample(self.document, &schema["items"])]);
                self.walk(&schema["items"], &base, &format!("{pointer}/0"), by_handler);
            }
            "object" => self.members(schema, base, pointer, by_handler),
            _ => {}
        }
    }

    fn members(&mut self, schema: &Value, base: &Value, pointer: &str, by_handler: bool) {
        let with = |base: &mut Value, name: &str, value: Value| {
            let object = base.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
            object.insert(name.to_owned(), value);
        };
        let mut body = base.clone();
        with(&mut body, "is_admin", json!(true));
        let codes = vec!["unknown_field"];
        self.found.push(Broken { body, pointer: format!("{pointer}/is_admin"), codes, by_handler });
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut body = base.clone();
            body.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(name);
            let codes = vec!["required"];
            self.found.push(Broken { body, pointer: format!("{pointer}/{name}"), codes, by_handler });
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let mut base = base.clone();
            with(&mut base, name, sample(self.document, schema));
            self.walk(schema, &base, &format!("{pointer}/{name}"), by_handler);
        }
    }

    /// Exceeds each limit by one. The handlers check limits together with their other rules.
    fn limits(&mut self, schema: &Value, base: &Value, pointer: &str, by_handler: bool) {
        let size = |name: &str| schema[name].as_u64().map(|size| usize::try_from(size).expect("small"));
        let items = |number| json!(vec![sample(self.document, &schema["items"]); number]);
        let text = |length| json!("x".repeat(length));
        let past = [
            size("maxLength").map(|most| text(most + 1)),
            size("minLength").filter(|least| *least > 0).map(|least| text(least - 1)),
            schema["maximum"].as_i64().map(|most| json!(most + 1)),
            schema["minimum"].as_i64().map(|least| json!(least - 1)),
            size("maxItems").map(|most| items(most + 1)),
            size("minItems").filter(|least| *least > 0).map(|least| items(least - 1)),
            schema.get("pattern").map(|_| json!("?9")),
        ];
        for value in past.into_iter().flatten() {
            self.note(base, pointer, value, &[], true);
        }
        if schema.get("enum").is_some() {
            self.note(base, pointer, json!("no-such-option"), &["not_an_option"], by_handler);
        }
        if schema.get("format").is_some_and(|format| kind(schema) == "string" && format.is_string()) {
            self.note(base, pointer, json!("tomorrow"), &["wrong_type"], by_handler);
        }
    }
}

fn media(operation: &Operation) -> Option<(String, Value)> {
    let content = operation.value["requestBody"]["content"].as_object()?;
    let (media, content) = content.iter().next()?;
    Some((media.clone(), content["schema"].clone()))
}

fn broken(document: &Value, operation: &Operation) -> Vec<Broken> {
    let Some((_, schema)) = media(operation) else { return Vec::new() };
    // Answers of a submitted intake are read like those of a draft.
    let mut breaker = Breaker { document, own_readers: operation.id != "amend_intake", found: Vec::new() };
    breaker.walk(&schema, &sample(document, &schema), "", false);
    breaker.found
}

/// What is wrong with the response to a body that breaks a rule.
fn fault(reply: &Reply, broken: &Broken) -> Option<String> {
    if reply.status != 422 || reply.body["code"] != "validation_failed" {
        return Some(format!("{} {}", reply.status, reply.body["code"]));
    }
    let errors = reply.body["errors"].as_array().expect("errors");
    let is_told = errors.iter().any(|error| {
        error["pointer"] == broken.pointer.as_str()
            && (broken.codes.is_empty() || broken.codes.iter().any(|code| error["code"] == *code))
    });
    if !is_told {
        return Some(format!("not told: {errors:?}"));
    }
    for error in errors {
        let pointer = error["pointer"].as_str().expect("a pointer");
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let is_missing = error["code"] == "required" && broken.body.pointer(parent).is_some();
        if broken.body.pointer(pointer).is_none() && !is_missing {
            return Some(format!("points nowhere: {error}"));
        }
    }
    rust_words(errors)
}

fn rust_words(errors: &[Value]) -> Option<String> {
    let words = |error: &Value| {
        let detail = error["detail"].as_str().expect("a detail").to_lowercase();
        detail.split(|c: char| !c.is_alphanumeric()).any(|word| RUST_WORDS.contains(&word))
    };
    errors.iter().find(|error| words(error)).map(|error| format!("speaks of Rust: {error}"))
}

/// Invalid texts for a query parameter of this schema.
fn wrong_texts(schema: &Value) -> Vec<String> {
    let size = |limit: &str| schema[limit].as_u64().map(|size| usize::try_from(size).expect("small"));
    let mut values: Vec<String> = match kind(schema) {
        "integer" => {
            let (least, most) =
                (schema["minimum"].as_i64().expect("a limit"), schema["maximum"].as_i64().expect("a limit"));
            vec!["ten".into(), "1.5".into(), (most + 1).to_string(), (least - 1).to_string()]
        }
        "boolean" => vec!["yes".into(), "1".into()],
        _ if schema.get("enum").is_some() || schema.get("format").is_some() => vec!["no-such-option".into()],
        _ => Vec::new(),
    };
    values.extend(size("maxLength").map(|most| "x".repeat(most + 1)));
    values.extend(size("minLength").map(|least| "x".repeat(least - 1)));
    values
}

async fn send(client: &Client, operation: &Operation, path: &str, body: &Value) -> Reply {
    let (media, _) = media(operation).expect("a body");
    let headers = [("Content-Type", media.as_str()), ("If-Match", "*"), ("Idempotency-Key", "broken")];
    client.send(operation.method.clone(), path, &headers, Some(body.clone())).await
}

both! {
    /// The bodies come from the document, so that no operation, member or limit is left out.
    async fn every_rule_of_every_body_in_the_document_is_checked_and_its_error_has_a_pointer(app: App) {
        let document = document();
        app.clinic().await;
        let (ann, anon) = (app.patient("ann").await, app.anon());
        let staff = [app.doctor().await, app.desk().await, app.admin().await];
        let draft = ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-history"})).await;
        let draft = draft.expect(201).id();
        let (mut asked, mut findings) = (0, Vec::new());
        for operation in operations(&document) {
            let thing = match operation.path.split('/').nth(2) {
                Some("intakes") => &draft,
                Some("patients") => &ann.patient_id,
                Some("users") => &ann.user_id,
                _ => NOBODY,
            };
            let path = operation.path.replace("{id}", thing);
            for broken in broken(&document, &operation) {
                asked += 1;
                let callers = match (operation.is_public, broken.by_handler) {
                    (true, _) => std::slice::from_ref(&anon),
                    (false, false) => &staff[2..],
                    // A caller with the role.
                    (false, true) => &staff[..],
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
                let others = others.map(|other| format!("&{}={NOBODY}", other["name"].as_str().expect("a name"))).collect::<Vec<_>>().concat();
                for value in wrong_texts(resolve(&document, &parameter["schema"]).1) {
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
                    let reply = callers[if operation.is_public { 0 } else { 2 }].get(&format!("{path}?{typo}=x")).await;
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
            assert!(reply.text.contains("must be an integer from 5 to 240"), "{}", reply.text);
        }
        for minutes in ["1e3", "1e300", "1e999"] {
            admin.send_raw(Method::POST, "/v1/locations", &headers, body(minutes)).await.invalid("/slot_minutes", "out_of_range");
        }
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
        for (given, kept) in [("Spanish", "es"), ("español", "es"), ("inglés", "en"), ("spa-MX", "es-MX"), ("ES-mx", "es-MX"), ("pt", "pt")] {
            let mut record = patient_json("Ann", "ann@patients.example");
            record["given_name"] = json!(format!("Ann {kept}"));
            record["preferred_language"] = json!(given);
            let made = desk.post("/v1/patients?", record).await;
            assert_eq!(made.expect(201).string("/preferred_language"), kept, "{given}");
        }
        for wrong in ["Portuguese", "sp", "us", "en_US", "nonsense"] {
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
        let other = ann.get(&format!("/v1/users/{NOBODY}?nonsense=1")).await;
        assert!(other.body.get("allowed_roles").is_none(), "{}", other.text);
    }
}
