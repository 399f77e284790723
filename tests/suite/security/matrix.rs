//! Row 1: who may call what, on whose data. The test calls every operation of the published document as every caller; the
//! responses must match `tests/data/authorisation.md`, and an operation that is missing there fails.
//!
//! After an intended change: `UPDATE_AUTHORISATION=1 cargo test --test suite row_01`, and review the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use legwork::actor::Role;
use legwork::scopes::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::clients::Machine;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, Client, Reply, both, clinic};

/// The callers, in the order of the table's columns. The guardian acts on a child, all others on Ann.
const CALLERS: [&str; 9] =
    ["nobody", "stranger", "owner", "guardian", "desk", "her doctor", "other doctor", "admin", "client"];
/// A text in Ann's record only.
const MARK: &str = "Annunziata";

/// One person's objects, by the first part of their paths.
struct Things(BTreeMap<&'static str, String>);

struct World {
    callers: BTreeMap<&'static str, Client>,
    emails: BTreeMap<&'static str, String>,
    /// Gives the access that each caller confirms: the giver is never the second person.
    giver: Client,
    ann: Things,
    child: Things,
}

impl World {
    async fn new(app: &App) -> Self {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let types = [clinic.new_visit.as_str(), clinic.check.as_str()];
        let other = clinic::practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &types).await;
        let ann = app.patient("ann").await;
        let body = json!({"given_name": MARK});
        desk.patch(&format!("/v1/patients/{}", ann.patient_id), "\"1\"", body).await.expect(200);
        let gina = app.patient("gina").await;
        let mut kim = patient_json("Kim", "kim@patients.example");
        kim["date_of_birth"] = json!("2011-05-05");
        let kim = desk.post("/v1/patients", kim).await.expect(201).id();
        let access = json!({"email": gina.email, "relation": "guardian"});
        desk.post(&format!("/v1/patients/{kim}/access"), access).await.expect(201);
        let bob = app.patient("bob").await;
        let callers = BTreeMap::from([
            ("nobody", app.anon()),
            ("stranger", bob.client.clone()),
            ("owner", ann.client.clone()),
            ("guardian", gina.client.clone()),
            ("desk", desk.clone()),
            ("her doctor", app.doctor().await.without_reason()),
            ("other doctor", app.doctor_of(&other).await.without_reason()),
            ("admin", admin.clone()),
            ("client", machine(app).await),
        ]);
        let emails = BTreeMap::from([
            ("stranger", bob.email.clone()),
            ("owner", ann.email.clone()),
            ("guardian", gina.email.clone()),
            ("desk", "desk@clinic.example".to_owned()),
            ("her doctor", format!("doctor-{}@clinic.example", clinic.practitioner_id)),
            ("other doctor", format!("doctor-{other}@clinic.example")),
            ("admin", "admin@clinic.example".to_owned()),
        ]);
        app.account("giver@clinic.example", Role::FrontDesk, None).await;
        let giver = app.anon().sign_in("giver@clinic.example", PASSWORD).await;
        let carer = app.patient("carl").await;
        let ann_things = things(app, &clinic, &ann.client, &ann.patient_id, &carer).await;
        let kim_things = things(app, &clinic, &gina.client, &kim, &carer).await;
        Self { callers, emails, giver, ann: ann_things, child: kim_things }
    }
}

/// One object of each kind for one person: an appointment, a draft, a flag, a hold …
async fn things(app: &App, clinic: &clinic::Clinic, holder: &Client, patient: &str, carer: &Client) -> Things {
    let desk = app.desk().await;
    let mut slots = clinic::free_slots(holder, &clinic.check).await;
    slots.retain(|slot| slot["practitioner_id"] == clinic.practitioner_id.as_str());
    let id = |slot: usize| slots[slot]["id"].as_str().expect("an id").to_owned();
    let body = json!({"slot_id": id(0), "visit_type_id": clinic.check, "patient_id": patient, "note": MARK});
    let appointment =
        holder.post_with("/v1/appointments", body, &[("Idempotency-Key", patient)]).await.expect(201).id();
    let intake =
        holder.post(&format!("/v1/patients/{patient}/intakes"), json!({"form": "rls-history"})).await.expect(201).id();
    let answers = json!({"answers": {"safety": {"spreading_hot_redness": "yes"}}});
    holder.patch(&format!("/v1/intakes/{intake}"), "\"1\"", answers).await.expect(200);
    let flags = desk.get(&format!("/v1/intake-flags?patient_id={patient}")).await.items();
    let hold = holder.post(&format!("/v1/slots/{}/hold", id(4)), json!({"visit_type_id": clinic.check})).await;
    let visits = [20, 24].map(|slot| json!({"slot_id": id(slot), "visit_type_id": clinic.check}));
    let series = json!({"patient_id": patient, "visits": visits});
    let key = format!("series-{patient}");
    let series = desk.post_with("/v1/appointment-series", series, &[("Idempotency-Key", &key)]).await.expect(201).id();
    let messages = desk.get("/v1/messages").await.items();
    let decision = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "paper"});
    let consent = desk.post(&format!("/v1/patients/{patient}/consents"), decision).await.expect(201).id();
    let lab =
        json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
    let result = desk.post(&format!("/v1/patients/{patient}/lab-results"), lab).await.expect(201).id();
    let asked = json!({"reason": "other"});
    let follow_up = desk.post(&format!("/v1/patients/{patient}/follow-ups"), asked).await.expect(201).id();
    let waiting = json!({"patient_id": patient, "visit_type_id": clinic.new_visit});
    let waitlist_entry = desk.post("/v1/waitlist-entries", waiting).await.expect(201).id();
    while legwork::waitlist::job::run(&app.env).await.expect("a round").has_more {}
    let offers = desk.get(&format!("/v1/waitlist-offers?patient_id={patient}")).await.items();
    let (duplicate, merge) = merged(&desk, patient).await;
    Things(BTreeMap::from([
        ("patients", patient.to_owned()),
        ("duplicates", duplicate),
        ("patient-merges", merge),
        ("patient-retirements", retired(&desk).await),
        ("appointments", appointment),
        ("appointment-series", series),
        ("intakes", intake),
        ("intake-flags", text(&flags[0]["id"])),
        ("holds", hold.expect(201).string("/id")),
        ("consents", consent),
        ("lab-results", result),
        ("follow-ups", follow_up),
        ("waitlist-entries", waitlist_entry),
        ("waitlist-offers", text(&offers[0]["id"])),
        ("clients", String::new()),
        ("webhooks", "none".to_owned()),
        ("secrets", String::new()),
        ("slots", id(8)),
        ("calendar-feeds", "no-such-feed".to_owned()),
        ("other slots", id(12)),
        ("messages", text(&messages[0]["id"])),
        ("practitioners", clinic.practitioner_id.clone()),
        ("locations", clinic.location_id.clone()),
        ("visit-types", clinic.check.clone()),
        ("resources", resource(app).await),
        ("closures", closure(app, &clinic.location_id).await),
        ("exceptions", exception(app, &clinic.practitioner_id).await),
        ("users", holder.user_id.clone()),
        ("carer", carer.user_id.clone()),
    ]))
}

/// A machine client of the front desk with all scopes.
async fn machine(app: &App) -> Client {
    let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    Machine::new(app, &scopes).await.caller(app).await
}

/// A record that was merged into another one, both without an account, and the merge.
async fn merged(desk: &Client, patient: &str) -> (String, String) {
    let mut records = Vec::new();
    for name in ["Kept", "Twice"] {
        let body = patient_json(name, &format!("{patient}@{name}.example"));
        records.push(desk.post("/v1/patients", body).await.expect(201).id());
    }
    let body = json!({"duplicate_id": records[1], "duplicate_version": 1, "reason": "Registered twice"});
    let path = format!("/v1/patients/{}/merges", records[0]);
    let made = desk.post_with(&path, body, &[("If-Match", "\"1\"")]).await;
    (records.remove(1), made.expect(201).id())
}

/// The retirement of a record of no patient.
async fn retired(desk: &Client) -> String {
    let mistake = desk.post("/v1/patients", patient_json("Mistake", "mistake@nobody.example")).await.expect(201).id();
    let body = json!({"reason": "Typed by mistake"});
    let path = format!("/v1/patients/{mistake}/retirements");
    desk.post_with(&path, body, &[("If-Match", "\"1\"")]).await.expect(201).id()
}

/// A resource that no visit needs.
async fn resource(app: &App) -> String {
    app.admin().await.post("/v1/resources", json!({"name": "Duplex scanner"})).await.expect(201).id()
}

/// A closure, some years from now.
async fn closure(app: &App, location: &str) -> String {
    let closed = json!({"closures": [{"date": "2029-12-25", "name": "Christmas"}]});
    let path = format!("/v1/locations/{location}/closures");
    app.admin().await.post(&path, closed).await.expect(200);
    text(&app.admin().await.get(&path).await.items()[0]["id"])
}

/// A practitioner's day off, some years from now.
async fn exception(app: &App, practitioner: &str) -> String {
    let off = json!({
        "kind": "time_off", "starts_at": "2029-12-20T00:00:00Z", "ends_at": "2029-12-21T00:00:00Z", "reason": "Away",
    });
    let made = app.admin().await.post(&format!("/v1/practitioners/{practitioner}/exceptions"), off).await;
    made.expect(201).id()
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// An operation of the document.
pub(super) struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    public: bool,
    pub body: Option<Value>,
    /// The members of the body.
    members: Vec<String>,
}

impl Operation {
    /// Whether the body has no such member in the document.
    pub(super) fn is_unknown(&self, member: &str) -> bool {
        self.members.iter().all(|known| known != member)
    }

    /// Whether it is about the caller's own account.
    fn is_about_oneself(&self) -> bool {
        self.path.starts_with("/v1/me") || self.path.starts_with("/v1/sessions")
    }

    /// Whether it may end sessions. Such operations come last, and every caller signs in again for each of them.
    fn may_end_sessions(&self) -> bool {
        self.is_about_oneself() || self.path.starts_with("/v1/users/")
    }
}

pub(super) fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON");
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(id) = operation["operationId"].as_str() else { continue };
            all.push(Operation {
                id: id.to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                public: operation["security"].as_array().is_none_or(Vec::is_empty),
                body: example(&document, operation),
                members: members(&document, operation),
            });
        }
    }
    all.sort_by_key(|operation| (operation.may_end_sessions(), operation.id.clone()));
    all
}

/// The members of an operation's body in the document.
fn members(document: &Value, operation: &Value) -> Vec<String> {
    let media = operation["requestBody"]["content"].as_object().and_then(|content| content.values().next());
    let Some(schema) = media.map(|media| &media["schema"]) else { return Vec::new() };
    let reference = schema["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    let schema = reference.map_or(schema, |reference| document.pointer(reference).expect("a schema"));
    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// The example body in the document.
fn example(document: &Value, operation: &Value) -> Option<Value> {
    let content = operation["requestBody"]["content"].as_object()?;
    // The form of a token request is not JSON.
    let schema = &content.iter().find(|(media, _)| media.ends_with("json"))?.1["schema"];
    let resolve = |schema: &Value| match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("a schema").clone(),
        None => schema.clone(),
    };
    let schema = resolve(schema);
    let example = match schema["type"].as_str() {
        Some("array") if schema.get("example").is_none() => json!([resolve(&schema["items"])["example"]]),
        _ => schema["example"].clone(),
    };
    // The schemas of the form's sections are generated, without examples.
    let example = match operation["operationId"].as_str() {
        Some("review_intake") => json!({"mimic_review": "not_solely_explained"}),
        Some("create_lab_result") => {
            json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"})
        }
        _ => example,
    };
    assert!(!example.is_null(), "no example of the body of {}", operation["operationId"]);
    Some(example)
}

impl Things {
    /// The operation's path with this person's object in it, and the parameters that the operation requires.
    fn path(&self, operation: &Operation) -> String {
        let mut parts = operation.path.split('/').skip(2);
        let kind = parts.next().unwrap_or_default();
        let visit_type = &self.0["visit-types"];
        let query = match operation.id.as_str() {
            "get_patient_merge_preview" => format!("?duplicate_id={}", self.0["duplicates"]),
            "list_slots" => format!("?visit_type_id={visit_type}"),
            "list_slot_days" => format!("?visit_type_id={visit_type}&from_date=2026-03-02&to_date=2026-03-03"),
            "list_taken_slots" => {
                format!("?visit_type_id={visit_type}&practitioner_id={}&date=2026-03-03", self.0["practitioners"])
            }
            _ => String::new(),
        };
        if !operation.path.contains('{') {
            return format!("{}{query}", operation.path);
        }
        let id = self.0.get(kind).unwrap_or_else(|| panic!("{}: the matrix has nothing under /{kind}/", operation.id));
        let path = operation.path.replace("{id}", id).replace("{token}", id).replace("{user_id}", &self.0["carer"]);
        format!("{}{query}", path.replace("{secret_id}", &self.0["secrets"]))
    }

    /// The example with this person's objects in it, so that only the caller makes the difference.
    fn fill(&self, body: &mut Value) {
        match body {
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Value::Object(members) => {
                // A hold belongs to its account; without one, every caller is in the same position.
                members.remove("hold_id");
                for (name, value) in members.iter_mut() {
                    let kind = match name.as_str() {
                        "patient_id" => "patients",
                        "duplicate_id" => "duplicates",
                        "visit_type_id" | "visit_type_ids" => "visit-types",
                        "slot_id" => "other slots",
                        "location_id" | "location_ids" => "locations",
                        "resource_ids" => "resources",
                        "practitioner_id" => "practitioners",
                        "current_password" | "new_password" => {
                            *value = json!(PASSWORD);
                            continue;
                        }
                        _ => {
                            self.fill(value);
                            continue;
                        }
                    };
                    *value = if value.is_array() { json!([self.0[kind]]) } else { json!(self.0[kind]) };
                }
            }
            _ => {}
        }
    }
}

/// What a response says about the caller's permission, whether or not the call then succeeds.
fn verdict(operation: &Operation, caller: &str, reply: &Reply) -> &'static str {
    let (status, code) = (reply.status, reply.body["code"].as_str().unwrap_or_default());
    match status {
        200..500 if operation.public && ![401, 403].contains(&status) => "public",
        200..300 | 409 | 412 => "yes",
        401 => "sign in",
        403 if code == "reason_required" => "with reason",
        403 if code == "insufficient_scope" => "closed",
        403 => "no",
        404 => "hidden",
        // An invalid request about the caller's own account reveals nothing about others.
        422 if operation.is_about_oneself() => "yes",
        _ => {
            println!(
                "{} answered the {caller} {status} {code}: that says nothing about rights
{}",
                operation.id, reply.text
            );
            "?"
        }
    }
}

/// Restores objects that an earlier caller may have removed, so that every caller finds the same.
async fn renew(world: &mut World, app: &App, operation: &Operation) {
    let (giver, holders) = (world.giver.clone(), [world.callers["owner"].clone(), world.callers["guardian"].clone()]);
    for (things, holder) in [&mut world.ann, &mut world.child].into_iter().zip(holders) {
        let patient = things.0["patients"].clone();
        match operation.id.as_str() {
            "get_client" | "update_client" | "delete_client" | "create_client_secret" | "delete_client_secret" => {
                let machine = Machine::new(app, &["slots:read"]).await;
                let secrets = app.admin().await.get(&machine.path("")).await;
                things.0.insert("secrets", secrets.string("/secrets/0/id"));
                things.0.insert("clients", machine.id);
            }
            id if id.contains("webhook") => {
                let admin = app.admin().await;
                if admin.get(&format!("/v1/webhooks/{}", things.0["webhooks"])).await.status != 200 {
                    let webhook = json!({"url": "https://systems.example/legwork"});
                    let webhook = admin.post("/v1/webhooks", webhook).await;
                    things.0.insert("webhooks", webhook.expect(201).id());
                }
            }
            "delete_intake" => {
                let path = format!("/v1/patients/{patient}/intakes");
                let drafts = holder.get(&path).await.items();
                let open = drafts.iter().find(|intake| intake["status"] == "in-progress");
                let id = match open {
                    Some(draft) => text(&draft["id"]),
                    None => holder.post(&path, json!({"form": "rls-history"})).await.expect(201).id(),
                };
                things.0.insert("intakes", id);
            }
            "delete_hold" | "get_hold" | "renew_hold" => {
                // Earlier callers may hold the first slots.
                let slots = clinic::free_slots(&holder, &things.0["visit-types"]).await;
                let slot = text(&slots.last().expect("a free time")["id"]);
                let hold = json!({"visit_type_id": things.0["visit-types"]});
                let held = holder.post(&format!("/v1/slots/{slot}/hold"), hold).await;
                things.0.insert("holds", held.expect(201).id());
            }
            "delete_closure" | "get_closure" => {
                things.0.insert("closures", closure(app, &things.0["locations"]).await);
            }
            "delete_exception" | "get_exception" | "get_affected_appointments" => {
                things.0.insert("exceptions", exception(app, &things.0["practitioners"]).await);
            }
            "get_calendar_feed" => {
                let path = format!("/v1/practitioners/{}/calendar-feed", things.0["practitioners"]);
                app.admin().await.post_empty(&path).await.expect(201);
            }
            "confirm_patient_access" | "delete_patient_access" | "get_patient_access" => {
                // The visit that established the care relationship was cancelled; a repeat would not book another.
                let slots = clinic::free_slots(&holder, &things.0["visit-types"]).await;
                let mut own = slots.iter().filter(|slot| slot["practitioner_id"] == things.0["practitioners"].as_str());
                let slot = own.nth(40).expect("a free time")["id"].clone();
                let visit = json!({"slot_id": slot, "visit_type_id": things.0["visit-types"], "patient_id": patient});
                let key = format!("anew-{patient}");
                holder.post_with("/v1/appointments", visit, &[("Idempotency-Key", &key)]).await;
                let carer = json!({"email": "carl@patients.example", "relation": "caregiver"});
                giver.post(&format!("/v1/patients/{patient}/access"), carer).await;
            }
            "delete_patient_invitation" => {
                let carer = json!({"email": format!("{}@patients.example", &patient[30..]), "relation": "caregiver"});
                let path = format!("/v1/patients/{patient}/invitations");
                if giver.get(&path).await.items().is_empty() {
                    giver.post(&path, carer).await.expect(202);
                }
                let open = giver.get(&path).await.items();
                things.0.insert("invitations", text(&open.last().expect("an invitation")["id"]));
            }
            "delete_session" => {
                let caller = if holder.user_id == world.callers["owner"].user_id { "owner" } else { "guardian" };
                let fresh = app.anon().sign_in(&world.emails[caller], PASSWORD).await;
                let sessions = fresh.get("/v1/sessions").await.items();
                let current = sessions.iter().find(|session| session["current"] == true).expect("the session");
                things.0.insert("sessions", text(&current["id"]));
            }
            _ => {}
        }
    }
}

/// Calls an operation as every caller. Returns the line of the table.
async fn line(world: &mut World, app: &App, operation: &Operation) -> Vec<&'static str> {
    let mut line = Vec::new();
    for caller in CALLERS {
        renew(world, app, operation).await;
        let things = if caller == "guardian" { &world.child } else { &world.ann };
        let client = match world.emails.get(caller) {
            Some(email) if operation.may_end_sessions() => app.anon().sign_in(email, PASSWORD).await,
            _ => world.callers[caller].clone(),
        };
        let mut body = operation.body.clone();
        if operation.public {
            // A body is sent empty, because the permission is checked first.
            body = body.map(|_| json!({}));
        } else if let Some(body) = &mut body {
            things.fill(body);
            if operation.id == "create_patient" && ["stranger", "owner", "guardian"].contains(&caller) {
                body["relation"] = json!("parent");
            }
            match operation.id.as_str() {
                "create_consent" => {
                    let signer = if caller == "guardian" { "gina" } else { MARK };
                    body["signer"] = json!(format!("{signer} Tester"));
                }
                "create_patient_access" => body["email"] = json!("carl@patients.example"),
                "create_webhook_redelivery" => *body = json!({"from_seq": 1, "through_seq": 1}),
                "skip_webhook_events" => {
                    let path = format!("/v1/webhooks/{}/delivery", things.0["webhooks"]);
                    let delivery = app.admin().await.get(&path).await;
                    body["through_seq"] = delivery.expect(200).body["newest_seq"].clone();
                }
                // The account that the example would disable is still needed.
                "update_user" => body["disabled"] = json!(false),
                "update_practitioner" => body["active"] = json!(true),
                // The account is still needed.
                "close_account" => body["current_password"] = json!("a wrong password"),
                _ => {}
            }
        }
        let key = caller.replace(' ', "-");
        let mut headers = vec![("If-Match", "\"1\"")];
        // Callers without a session must not send a key with a hold.
        if caller != "nobody" {
            headers.push(("Idempotency-Key", key.as_str()));
        }
        if operation.method == Method::PATCH {
            headers.push(("Content-Type", "application/merge-patch+json"));
        }
        let reply = client.send(operation.method.clone(), &things.path(operation), &headers, body).await;
        if caller == "stranger" {
            let hers = [MARK, things.0["patients"].as_str()];
            // The request contained it, and every path does.
            let told =
                reply.body.as_object().is_some_and(|body| body.contains_key("errors") || body.contains_key("instance"));
            assert!(
                told || !hers.iter().any(|mark| reply.text.contains(mark)),
                "{} tells a stranger of Ann",
                operation.id
            );
        }
        line.push(verdict(operation, caller, &reply));
    }
    line
}

fn table() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/authorisation.md")
}

/// Compares with the committed table, or writes it if requested.
fn check(lines: &[(String, Vec<&'static str>)]) {
    let mut text = String::from(INTRODUCTION);
    let _ = writeln!(text, "| operation | {} |", CALLERS.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(CALLERS.len()));
    for (operation, line) in lines {
        let _ = writeln!(text, "| `{operation}` | {} |", line.join(" | "));
    }
    if std::env::var_os("UPDATE_AUTHORISATION").is_some() {
        std::fs::write(table(), &text).expect("write the table");
    }
    assert!(!text.contains("| ? |"), "see above: some requests were no valid ones");
    let committed = std::fs::read_to_string(table()).expect("the table");
    let (found, said): (Vec<_>, Vec<_>) = (text.lines().collect(), committed.lines().collect());
    let differs: Vec<_> = found.iter().filter(|line| !said.contains(line)).collect();
    assert!(found == said, "the table does not match the responses:\n{differs:#?}");
}

const INTRODUCTION: &str = "\
# Who may call what

Generated by `tests/suite/security/matrix.rs`. The test calls every operation of the published document as every caller, on both
engines, and fails if a response differs from this table. All callers act on Ann's data, except the guardian, who acts on the
data of a child. `her doctor` is a practitioner with whom Ann has an appointment. `client` is a machine client with the role of the
front desk and all scopes: it may do what `desk` may, except what is closed to clients.

`public`: no authentication needed. `sign in`: 401. `no`: the role lacks the permission, 403. `hidden`: 404, as if the object did
not exist. `with reason`: 403 without an `Access-Reason`. `closed`: 403, machine clients have no scope for it. `yes`: the operation succeeds, or fails only for the state of the
object (409, 412). Lists are `yes` for every caller with the role, and show patients only their own data. The test also checks
that no response to the stranger contains data about Ann.

";

both! {
    async fn row_01_every_caller_may_do_what_the_table_says_and_nothing_else(app: App) {
        let mut world = World::new(&app).await;
        let mut lines = Vec::new();
        for operation in operations() {
            let line = line(&mut world, &app, &operation).await;
            lines.push((operation.id, line));
        }
        lines.sort();
        check(&lines);
    }
}
