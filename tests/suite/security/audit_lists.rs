//! Row 19: the events of lists and searches name the patients they show, and changes of that are found.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use legwork::audit::patient_ids::PatientIds;
use legwork::audit::purge;
use legwork::db::schema::{audit_event_patients, audit_events, patient_access};
use legwork::ids::{AuditEventId, PatientId, UserId};
use serde_json::{Value, json};

use crate::durability::ask;
use crate::resources::{chairs, free, practitioners};
use crate::support::audit::{findings, sealed, tamper};
use crate::support::clinic::{Clinic, practitioner};
use crate::support::people::patient_json;
use crate::support::{App, Client, Engine, Patient, Reply, book, both, eventually, not_empty};

/// Members of a schema that show a patient.
const TELLING: [&str; 4] = ["patient_id", "mrn", "date_of_birth", "display_name"];

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("a schema"),
        None => schema,
    }
}

/// The parts of a schema.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let members = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values);
    let choices = ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    let inner = ["items", "additionalProperties"].into_iter().filter_map(|key| schema.get(key));
    members.chain(choices).chain(inner)
}

/// Whether a schema shows a patient, or, with `listed`, has a list of such schemas.
fn tells(document: &Value, schema: &Value, listed: bool, within: &[&str]) -> bool {
    let mut within = within.to_vec();
    if let Some(reference) = schema["$ref"].as_str() {
        if within.contains(&reference) {
            return false;
        }
        within.push(reference);
    }
    let schema = resolved(document, schema);
    if listed && schema.get("items").is_some_and(|items| tells(document, items, false, &within)) {
        return true;
    }
    let has = |name: &&str| schema["properties"].get(name).is_some();
    !listed && TELLING.iter().any(has) || parts(schema).any(|part| tells(document, part, listed, &within))
}

/// The operations whose response has a list that shows patients, with their paths.
fn lists() -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON");
    let mut lists = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("operations").values() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            let good = operation["responses"].as_object().expect("responses").iter();
            let answers = good
                .filter(|(status, _)| status.starts_with('2'))
                .filter_map(|(_, answer)| answer["content"].as_object());
            let mut schemas = answers.flat_map(serde_json::Map::values).map(|media| &media["schema"]);
            if schemas.any(|schema| tells(&document, schema, true, &[])) {
                lists.insert(id.to_owned(), path.clone());
            }
        }
    }
    lists
}

/// A clinic with two patients that have every kind of data.
struct World<'a> {
    app: &'a App,
    clinic: Clinic,
    ann: Patient,
    bob: Patient,
    admin: Client,
    desk: Client,
    doctor: Client,
    /// The number of practitioners with visits so far.
    visited: Cell<usize>,
}

impl<'a> World<'a> {
    async fn new(app: &'a App) -> Self {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let (admin, desk, doctor) = (app.admin().await, app.desk().await, app.doctor().await);
        let world = Self { app, clinic, ann, bob, admin, desk, doctor, visited: Cell::new(0) };
        for patient in [&world.ann, &world.bob] {
            let record = format!("/v1/patients/{}", patient.patient_id);
            // With a reason, because there is no visit yet.
            world.doctor.get(&format!("{record}/rls-timeline")).await.expect(200);
            let draft = patient.post(&format!("{record}/intakes"), json!({"form": "rls-history"})).await;
            let answers = json!({"answers": {"safety": {"spreading_hot_redness": "yes"}}});
            patient.patch(&draft.expect(201).location(), &draft.etag(), answers).await.expect(200);
            let lab = json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
            world.desk.post(&format!("{record}/lab-results"), lab).await.expect(201);
        }
        world.book_both(&world.clinic.practitioner_id, "").await;
        world
    }

    /// Books a visit for both patients, on this day or the next free one.
    async fn book_both(&self, practitioner: &str, day: &str) {
        let turn = self.visited.replace(self.visited.get() + 1);
        let path = format!("/v1/slots?visit_type_id={}&practitioner_id={practitioner}&limit=200", self.clinic.check);
        let mut slots = self.desk.get(&path).await.items();
        slots.retain(|slot| slot["starts_at"].as_str().expect("text").starts_with(day));
        // A patient cannot have two visits at the same time.
        for (slot, patient) in [(2 * turn, &self.ann), (2 * turn + 1, &self.bob)] {
            let body = json!({"slot_id": slots[slot % slots.len()]["id"], "visit_type_id": self.clinic.check, "patient_id": patient.patient_id});
            let key = format!("{turn}-{slot}");
            self.desk.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await.expect(201);
        }
    }

    /// A practitioner with visits of both.
    async fn visited(&self) -> String {
        let id = self.practitioner().await;
        self.book_both(&id, "").await;
        id
    }

    async fn practitioner(&self) -> String {
        practitioner(&self.admin, "Dr. Otto Elsewhere", &self.clinic.location_id, &[&self.clinic.check]).await
    }

    /// Adds time off in which a practitioner has visits of both.
    async fn sick_days(&self) -> Reply {
        let path = format!("/v1/practitioners/{}/exceptions", self.visited().await);
        let off = json!({"kind": "time_off", "starts_at": "2026-03-02T05:00:00Z", "ends_at": "2026-04-02T05:00:00Z", "reason": "Ill"});
        self.admin.post(&path, off).await
    }

    /// Sends a request of an operation that lists several patients.
    async fn ask(&self, operation: &str) -> Reply {
        let Self { admin, desk, doctor, ann, clinic, .. } = self;
        let record = format!("/v1/patients/{}", ann.patient_id);
        let location = format!("/v1/locations/{}", clinic.location_id);
        match operation {
            "list_appointments" => desk.get("/v1/appointments").await,
            "get_agenda" => {
                desk.get(&format!("/v1/practitioners/{}/agenda?date=2026-03-02", clinic.practitioner_id)).await
            }
            "get_day_sheet" => desk.get(&format!("{location}/day-sheet?date=2026-03-02")).await,
            "list_events" => {
                let unnumbered = "SELECT kind AS line FROM events WHERE seq IS NULL";
                eventually(async || match ask(&mut self.app.site.connect(), unnumbered).len() {
                    0 => Ok(()),
                    waiting => Err(format!("{waiting} wait")),
                })
                .await;
                desk.get("/v1/events").await
            }
            "list_intakes" => desk.get("/v1/intakes").await,
            "list_intake_flags" => doctor.get("/v1/intake-flags").await,
            "list_messages" => desk.get("/v1/messages").await,
            "list_patients" => desk.get("/v1/patients?q=tester").await,
            "create_patient" => desk.post("/v1/patients", patient_json("ann", "ann-again@patients.example")).await,
            "list_patient_duplicates" | "get_patient_merge_preview" | "list_patient_merges" => {
                self.ask_about_a_second_record(operation).await
            }
            "get_current_user" => {
                self.act_for_bob().await;
                ann.get("/v1/me").await
            }
            // The events contain only ids, except for the reasons of break-glass access.
            "list_audit_events" => admin.get("/v1/audit-events?operation=open_record").await,
            // About one patient.
            "list_patient_retirements" => desk.get(&format!("{record}/retirements")).await,
            "get_patient_export" => doctor.get(&format!("{record}/export")).await,
            "list_patient_intakes" => desk.get(&format!("{record}/intakes")).await,
            "list_follow_ups" => {
                for patient in [ann, &self.bob] {
                    let path = format!("/v1/patients/{}/follow-ups", patient.patient_id);
                    desk.post(&path, json!({"reason": "other"})).await.expect(201);
                }
                desk.get("/v1/follow-ups").await
            }
            "list_waitlist_entries" => {
                self.both_wait(&clinic.check).await;
                desk.get("/v1/waitlist-entries").await
            }
            "list_waitlist_offers" => {
                self.both_wait(&clinic.follow_up).await;
                while legwork::waitlist::job::run(&self.app.env).await.expect("a round").has_more {}
                desk.get("/v1/waitlist-offers").await
            }
            "list_patient_follow_ups" => {
                desk.post(&format!("{record}/follow-ups"), json!({"reason": "other"})).await;
                desk.get(&format!("{record}/follow-ups")).await
            }
            "create_appointment_series" => self.series().await,
            "get_appointment_series" => ann.get(&self.series().await.location()).await,
            "list_lab_results" => doctor.get(&format!("{record}/lab-results")).await,
            "list_lab_result_versions" => {
                let results = doctor.get(&format!("{record}/lab-results")).await.items();
                let result = format!("/v1/lab-results/{}", results[0]["id"].as_str().expect("an id"));
                let lab = json!({"test": "ferritin", "value": 24, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
                let correction = json!({"result": lab, "reason": "The digits were swapped"});
                desk.post(&format!("{result}/correct"), correction).await.expect(200);
                doctor.get(&format!("{result}/versions")).await
            }
            other => self.change_plans(other).await,
        }
    }

    /// Sends a change of plans that affects visits of several patients.
    async fn change_plans(&self, operation: &str) -> Reply {
        let Self { admin, desk, ann, clinic, .. } = self;
        let location = format!("/v1/locations/{}", clinic.location_id);
        match operation {
            "create_exception" => self.sick_days().await,
            "get_affected_appointments" => {
                let added = self.sick_days().await.expect(201).location();
                admin.get(&format!("{added}/affected-appointments")).await
            }
            "delete_exception" => {
                let practitioner = self.practitioner().await;
                let extra = json!({"kind": "extra_hours", "starts_at": "2026-03-07T14:00:00Z", "ends_at": "2026-03-07T20:00:00Z",
                    "location_id": clinic.location_id, "reason": "The waiting list"});
                let added = admin.post(&format!("/v1/practitioners/{practitioner}/exceptions"), extra).await;
                self.book_both(&practitioner, "2026-03-07").await;
                admin.delete(&added.expect(201).location()).await
            }
            "replace_availability" => {
                let path = format!("/v1/practitioners/{}/availability", self.visited().await);
                admin.replace(&path, json!({"items": []})).await
            }
            "update_practitioner" => {
                let path = format!("/v1/practitioners/{}", self.visited().await);
                admin.update(&path, json!({"active": false})).await
            }
            "create_closures" => {
                let days = (2..=6).map(|day| json!({"date": format!("2026-03-0{day}"), "name": "Burst pipe"}));
                admin.post(&format!("{location}/closures"), json!({"closures": days.collect::<Vec<_>>()})).await
            }
            "update_location" => {
                self.visited().await;
                admin.update(&location, json!({"time_zone": "Asia/Tokyo"})).await
            }
            "update_resource" => {
                let chairs = chairs(admin, clinic, 2).await;
                let doctor = practitioners(admin, clinic, &chairs.visit, 1).await.remove(0);
                for (patient, slot) in
                    [ann, &self.bob].into_iter().zip(free(desk, &chairs.visit, &doctor).await.iter().step_by(4))
                {
                    book(desk, slot, &chairs.visit, &patient.patient_id).await.expect(201);
                }
                admin.update(&format!("/v1/resources/{}", chairs.resource), json!({"capacities": []})).await
            }
            other => {
                panic!("{other} lists what tells of patients: say here how it is asked, so that it shows two of them")
            }
        }
    }

    /// Sends a request of an operation that shows another record of Ann.
    async fn ask_about_a_second_record(&self, operation: &str) -> Reply {
        let desk = &self.desk;
        let record = format!("/v1/patients/{}", self.ann.patient_id);
        let again = desk.post("/v1/patients", patient_json("ann", &format!("{operation}@patients.example"))).await;
        let second = again.expect(201).id();
        match operation {
            "list_patient_duplicates" => desk.get(&format!("{record}/duplicates")).await,
            "get_patient_merge_preview" => desk.get(&format!("{record}/merge-preview?duplicate_id={second}")).await,
            _ => {
                let kept =
                    desk.post("/v1/patients", patient_json("kept", "kept@patients.example")).await.expect(201).id();
                let merges = format!("/v1/patients/{kept}/merges");
                let body = json!({"duplicate_id": second, "duplicate_version": 1, "reason": "Registered twice"});
                desk.post_with(&merges, body, &[("If-Match", "\"1\"")]).await.expect(201);
                desk.get(&merges).await
            }
        }
    }

    /// Puts both patients on the waitlist.
    async fn both_wait(&self, visit_type: &str) {
        for patient in [&self.ann, &self.bob] {
            let entry = json!({"patient_id": patient.patient_id, "visit_type_id": visit_type});
            self.desk.post("/v1/waitlist-entries", entry).await.expect(201);
        }
    }

    /// Books a series for Ann.
    async fn series(&self) -> Reply {
        let turn = self.visited.replace(self.visited.get() + 1);
        let mut visits = Vec::new();
        for date in ["2026-03-24", "2026-03-31"] {
            let path = format!("/v1/slots?visit_type_id={}&date={date}&limit=200", self.clinic.check);
            let slots = self.desk.get(&path).await.items();
            visits.push(json!({"slot_id": slots[turn]["id"], "visit_type_id": self.clinic.check}));
        }
        let body = json!({"patient_id": self.ann.patient_id, "visits": visits});
        let key = format!("series-{turn}");
        self.desk.post_with("/v1/appointment-series", body, &[("Idempotency-Key", &key)]).await
    }

    /// Gives Ann access to Bob's record.
    async fn act_for_bob(&self) {
        let row = (
            patient_access::user_id.eq(self.ann.user_id.parse::<UserId>().expect("an id")),
            patient_access::patient_id.eq(id(&self.bob.patient_id)),
            patient_access::relation.eq("caregiver"),
            patient_access::created_at.eq(self.app.clock.now()),
        );
        self.app.db(move |tx| Ok(diesel::insert_into(patient_access::table).values(row).execute(tx)?)).await;
    }
}

fn id(text: &str) -> PatientId {
    text.parse().expect("an id")
}

/// Every patient whose id is somewhere in a response.
fn found(body: &Value, known: &BTreeSet<PatientId>) -> BTreeSet<PatientId> {
    match body {
        Value::String(text) => text.parse().ok().filter(|id| known.contains(id)).into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(|item| found(item, known)).collect(),
        Value::Object(members) => members.values().flat_map(|member| found(member, known)).collect(),
        _ => BTreeSet::new(),
    }
}

/// The event of a request, with the patient and the other patients that it names.
async fn event(app: &App, reply: &Reply) -> (AuditEventId, Option<PatientId>, BTreeSet<PatientId>) {
    eventually(async || {
        let request = reply.header("x-request-id").to_owned();
        let row = app
            .db(move |tx| {
                let event = audit_events::table.filter(audit_events::request_id.eq(&request));
                let columns = (audit_events::id, audit_events::patient_id, audit_events::shown);
                Ok(event
                    .select(columns)
                    .first::<(AuditEventId, Option<PatientId>, Option<PatientIds>)>(tx)
                    .optional()?)
            })
            .await;
        let (id, patient, shown) = row.ok_or_else(|| format!("{} left no event", reply.request))?;
        Ok((id, patient, shown.iter().flat_map(PatientIds::ids).collect()))
    })
    .await
}

/// The rows of an event.
async fn rows(app: &App, event: AuditEventId) -> BTreeSet<PatientId> {
    app.db(move |tx| {
        let rows = audit_event_patients::table.filter(audit_event_patients::event_id.eq(event));
        Ok(rows.select(audit_event_patients::patient_id).load::<PatientId>(tx)?.into_iter().collect())
    })
    .await
}

both! {
    async fn row_19_the_event_of_a_list_names_every_patient_it_shows(app: App) {
        let world = World::new(&app).await;
        let mut seen_by_ann = BTreeSet::new();
        for (operation, path) in lists() {
            let reply = world.ask(&operation).await;
            assert!((200..300).contains(&reply.status), "{operation}: {}", reply.text);
            let known = app.db(|tx| {
                use legwork::db::schema::patients;
                Ok(patients::table.select(patients::id).load::<PatientId>(tx)?.into_iter().collect::<BTreeSet<_>>())
            }).await;
            let shown = found(&reply.body, &known);
            let (event, patient, others) = event(&app, &reply).await;
            let named: BTreeSet<_> = others.iter().copied().chain(patient).collect();
            let is_asked_about = path.starts_with("/v1/patients/{id}/").then(|| id(reply.request.split('/').nth(3).expect("an id")));
            let expected: BTreeSet<_> = shown.iter().copied().chain(is_asked_about).collect();
            assert_eq!(named, expected, "{operation} names whom it shows");
            assert_eq!(rows(&app, event).await, others, "{operation} has a row of each");
            // A response should show several patients, unless the operation is about one.
            let is_one_of = |operations: &[&str]| operations.contains(&operation.as_str());
            let one = ["get_patient_export", "list_patient_intakes", "list_patient_follow_ups", "create_appointment_series",
                "get_appointment_series", "list_lab_results", "list_lab_result_versions", "list_patient_retirements"];
            let of_one = is_one_of(&one);
            let is_about = is_asked_about.is_some() || is_one_of(&["create_patient", "list_lab_result_versions", "create_appointment_series", "get_appointment_series"]);
            assert_eq!((named.len() == 1, patient.is_some()), (of_one, is_about), "{operation}: {named:?}");
            if named.contains(&id(&world.ann.patient_id)) {
                seen_by_ann.insert(operation);
            }
        }
        assert!(seen_by_ann.len() > 15, "{seen_by_ann:?}");
        let log = world.ann.get(&format!("/v1/patients/{}/audit-events?limit=200", world.ann.patient_id)).await.items();
        let logged: BTreeSet<_> = log.iter().map(|line| line["operation"].as_str().expect("text").to_owned()).collect();
        assert!(logged.is_superset(&seen_by_ann), "{:?}", seen_by_ann.difference(&logged));
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }

    async fn row_19_a_patient_sees_that_a_search_found_them_but_not_its_words(app: App) {
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let reply = desk.get("/v1/patients?q=tester").await;
        assert_eq!(reply.items().len(), 2);
        // A search that finds one patient, and one that finds none.
        let alone = desk.get("/v1/patients?q=bob").await;
        let nobody = desk.get("/v1/patients?q=zacharias").await;
        assert!(nobody.items().is_empty());
        for reply in [&reply, &alone, &nobody] {
            event(&app, reply).await;
        }
        let searches = async |who: &Patient, query: &str| {
            let path = format!("/v1/patients/{}/audit-events?{query}", who.patient_id);
            let lines = who.get(&path).await.items();
            lines.into_iter().filter(|line| line["operation"] == "list_patients").collect::<Vec<_>>()
        };
        let seen = searches(&ann, "").await;
        assert_eq!(seen, [json!({
            "at": "2026-03-02T14:00:00Z", "role": "front_desk", "name": null, "is_you": false,
            "operation": "list_patients", "description": "Search patients"
        })]);
        assert_eq!(searches(&bob, "").await.len(), 2, "once among others, once alone");
        assert!(searches(&ann, "from=2026-03-02T14:00:01Z").await.is_empty());
        assert!(searches(&ann, "to=2026-03-02T14:00:00Z").await.is_empty());
        // An administrator finds the event by the patient, and the patients by the event.
        let path = format!("/v1/audit-events?operation=list_patients&patient_id={}", ann.patient_id);
        let events = app.admin().await.get(&path).await.items();
        assert_eq!(events.len(), 1, "{events:#?}");
        assert_eq!((&events[0]["patient_id"], &events[0]["shown_patient_ids"]), (&Value::Null, &json!([ann.patient_id, bob.patient_id])));
        // The export shows the same.
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await;
        let told = export.expect(200).body["audit_events"].as_array().expect("a list").clone();
        assert_eq!(told.iter().filter(|event| event["operation"] == "list_patients").count(), 1);
    }

    /// Otherwise the owner of a record with the data of somebody else would learn that the clinic has registered that person.
    async fn row_08_a_patient_learns_of_what_was_done_with_another_record_as_of_a_list(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let own = ann.get(&format!("/v1/patients/{}", ann.patient_id)).await.body.clone();
        let mut same = json!({"phone": "+12025550177", "preferred_language": "en", "interpreter_needed": false});
        for member in ["given_name", "family_name", "date_of_birth", "administrative_sex"] {
            same[member] = own[member].clone();
        }
        let created = desk.post("/v1/patients", same).await;
        assert_eq!(created.expect(201).body["duplicates"][0]["id"], json!(ann.patient_id), "{}", created.text);
        event(&app, &created).await;
        let log = ann.get(&format!("/v1/patients/{}/audit-events", ann.patient_id)).await.items();
        let by_desk: Vec<_> = log.iter().filter(|line| line["role"] == "front_desk").map(|line| line["operation"].clone()).collect();
        // The desk has created both records.
        assert_eq!(by_desk, ["list_patients", "create_patient"]);
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await;
        let told = export.expect(200).body["audit_events"].as_array().expect("a list").clone();
        assert_eq!(told.iter().filter(|line| line["operation"] == "create_patient").count(), 1, "{told:?}");
    }

    async fn row_19_the_access_log_pages_through_both_kinds_of_events_in_order(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        app.patient("bob").await;
        for turn in 0..12 {
            let path = if turn % 3 == 0 { format!("/v1/patients/{}", ann.patient_id) } else { "/v1/patients?q=tester".into() };
            event(&app, &desk.get(&path).await).await;
            // Some have the same instant.
            app.clock.advance(jiff::SignedDuration::from_secs(turn % 2));
        }
        let path = format!("/v1/audit-events?patient_id={}&actor_id={}&outcome=success", ann.patient_id, desk.user_id);
        let admin = app.admin().await;
        let all = admin.get(&format!("{path}&limit=200")).await.items();
        assert_eq!(all.iter().filter(|event| event["operation"] == "list_patients").count(), 8);
        let mut paged: Vec<Value> = Vec::new();
        let mut next = String::new();
        loop {
            let page = admin.get(&format!("{path}&limit=3{next}")).await;
            paged.extend(page.items());
            assert!(page.items().len() <= 3);
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            next = format!("&cursor={cursor}");
        }
        assert_eq!(paged, all);
    }

    async fn row_19_the_event_of_a_rejected_list_names_no_patient(app: App) {
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let refused = ann.get("/v1/patients?q=tester").await;
        refused.problem(403, "role_forbidden");
        let (_, patient, others) = event(&app, &refused).await;
        assert!(patient.is_none() && others.is_empty());
        drop(bob);
    }

    async fn row_19_a_patient_removed_from_or_added_to_an_event_is_found(app: App) {
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let other = desk.post("/v1/patients", patient_json("zoe", "zoe@patients.example")).await.expect(201).id();
        let reply = desk.get("/v1/patients").await;
        let (list, _, others) = event(&app, &reply).await;
        assert_eq!(others.len(), 3);
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        let literal = |id: &str| match app.engine {
            Engine::Postgres => format!("'{id}'::uuid"),
            Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        };
        let (row, at) = (literal(&list.to_string()), "(SELECT at FROM audit_events WHERE id = e.event_id)");

        // The database rejects it.
        let mut attempts = vec!["UPDATE audit_event_patients SET at = at", "DELETE FROM audit_event_patients"];
        if app.engine == Engine::Postgres {
            attempts.push("TRUNCATE audit_event_patients");
        }
        for sql in attempts {
            let refused = app.env.db.write(move |tx| Ok(tx.batch_execute(sql)?)).await;
            let error = refused.expect_err(sql).to_string();
            assert!(error.contains("audit_append_only"), "{sql}: {error}");
        }

        // Changes by an attacker with the database are found.
        tamper(&app, &format!("DELETE FROM audit_event_patients WHERE event_id = {row} AND patient_id = {}", literal(&ann.patient_id))).await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("1 of the patients"), "{found:?}");
        let put_back = format!("INSERT INTO audit_event_patients SELECT {}, {at}, e.event_id FROM audit_seals e WHERE e.event_id = {row}", literal(&ann.patient_id));
        tamper(&app, &put_back).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new(), "put back as it was");

        // An event without patients, a patient it does not show, and an event that does not exist.
        let search = desk.get(&format!("/v1/patients/{}", bob.patient_id)).await;
        let (about_bob, ..) = event(&app, &search).await;
        sealed(&app).await;
        let about_bob = literal(&about_bob.to_string());
        let nothing = literal("00000000-0000-7000-8000-000000000001");
        for (event, patient) in [(about_bob, &other), (row.clone(), &"00000000-0000-7000-8000-000000000002".to_owned()), (nothing.clone(), &other)] {
            let patient = literal(patient);
            tamper(&app, &format!("INSERT INTO audit_event_patients SELECT {patient}, at, {event} FROM audit_events WHERE id = {row}")).await;
            let found = findings(&app, None).await;
            assert!(found.len() == 1 && found[0].contains("does not show a patient"), "{found:?}");
            tamper(&app, &format!("DELETE FROM audit_event_patients WHERE event_id = {event} AND patient_id = {patient}")).await;
        }
        assert_eq!(findings(&app, None).await, Vec::<String>::new());

        // The event itself.
        tamper(&app, &format!("UPDATE audit_events SET shown = NULL WHERE id = {row}")).await;
        let found = findings(&app, None).await;
        assert!(found.iter().any(|finding| finding.contains("was edited")), "{found:?}");
    }

    async fn row_19_a_purge_also_removes_the_patients_of_its_events(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        app.patient("bob").await;
        for _ in 0..3 {
            event(&app, &desk.get("/v1/patients").await).await;
        }
        sealed(&app).await;
        let before = app.clock.now().plus(jiff::SignedDuration::from_secs(1));
        app.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
        event(&app, &desk.get("/v1/patients").await).await;
        sealed(&app).await;
        let count = async || app.db(|tx| Ok(audit_event_patients::table.count().get_result::<i64>(tx)?)).await;
        assert_eq!(count().await, 8);
        let env = app.env.clone();
        assert!(app.db(move |tx| purge::purge(tx, &env, before)).await > 3);
        assert_eq!(count().await, 2);
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        let log = ann.get(&format!("/v1/patients/{}/audit-events", ann.patient_id)).await.items();
        assert_eq!(log.iter().filter(|line| line["operation"] == "list_patients").count(), 1);
    }

    async fn row_19_the_trail_of_a_demo_verifies_when_fresh_and_after_a_day_of_use(app: App) {
        legwork::demo::fill(&app.env).await.expect("filled");
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        // The reasons of the demo data belong to the same records as their events.
        let strange = app.db(|tx| {
            use legwork::db::schema::record_openings;
            let openings = record_openings::table
                .inner_join(audit_events::table.on(audit_events::object_id.eq(diesel::dsl::sql::<diesel::sql_types::Nullable<legwork::db::types::Uid>>("record_openings.id"))))
                .select((record_openings::patient_id, audit_events::patient_id));
            let rows: Vec<(PatientId, Option<PatientId>)> = openings.load(tx)?;
            assert!(rows.len() >= 3, "{}", rows.len());
            Ok(rows.into_iter().filter(|(opened, named)| Some(*opened) != *named).count())
        }).await;
        assert_eq!(strange, 0);

        let account = async |name: &str| {
            app.anon().sign_in(&format!("{name}@{}", legwork::demo::DOMAIN), legwork::demo::PASSWORD).await
        };
        let (admin, desk, doctor) = (account("admin").await, account("desk").await, account("doctor").await);
        let patients = desk.get("/v1/patients").await.items();
        let visit_type = desk.get("/v1/visit-types").await.items()[1]["id"].as_str().expect("an id").to_owned();
        let free = desk.get(&format!("/v1/slots?visit_type_id={visit_type}&limit=200")).await.items();
        for (turn, patient) in patients.iter().enumerate().take(3) {
            let body = json!({"slot_id": free[20 + 10 * turn]["id"], "visit_type_id": visit_type, "patient_id": patient["id"]});
            let booked = desk.post_with("/v1/appointments", body, &[("Idempotency-Key", &turn.to_string())]).await;
            assert!([201, 409].contains(&booked.status), "{}", booked.text);
        }
        for patient in not_empty(&patients) {
            let path = format!("/v1/patients/{}/rls-timeline", patient["id"].as_str().expect("an id"));
            doctor.get_with(&path, &[("Access-Reason", "Covering for a colleague")]).await.expect(200);
        }
        for path in ["/v1/intake-flags", "/v1/appointments", "/v1/intakes"] {
            doctor.get(path).await.expect(200);
        }
        sealed(&app).await;
        app.clock.advance(jiff::SignedDuration::from_hours(24));
        for rule in legwork::privacy::retention::RULES {
            rule.apply(&app.env).await.expect("applied");
        }
        event(&app, &admin.get("/v1/audit-events").await).await;
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }
}
