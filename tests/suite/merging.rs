//! Duplicate records: merging them, and what leads from the old record to the new one. `merging_undo` has the undo.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use legwork::db::Conn;
use legwork::merging::{conflicts, moving};
use serde_json::{Value, json};

use crate::durability::ask;
use crate::support::audit::{findings, sealed};
use crate::support::booking::book_nth;
use crate::support::clinic::{Clinic, free_slots};
use crate::support::intakes::{begin, example, june, submitted};
use crate::support::people::patient_json;
use crate::support::{App, Client, Engine, Reply, book, both, eventually};

/// A record without an account.
pub(crate) async fn record(desk: &Client, name: &str) -> String {
    let mut body = patient_json(name, &format!("{}@records.example", name.to_lowercase()));
    body["identifiers"] = json!([{"system": "ehr", "value": name}]);
    desk.post("/v1/patients", body).await.expect(201).id()
}

pub(crate) fn path(patient: &str) -> String {
    format!("/v1/patients/{patient}")
}

pub(crate) async fn preview(desk: &Client, survivor: &str, duplicate: &str) -> Reply {
    desk.get(&format!("{}/merge-preview?duplicate_id={duplicate}", path(survivor))).await
}

/// Merges with the versions of the preview.
pub(crate) async fn merge_with(desk: &Client, survivor: &str, duplicate: &str, accounts: &[&str]) -> Reply {
    let (body, if_match) = request(desk, survivor, duplicate, accounts).await;
    desk.post_with(&format!("{}/merges", path(survivor)), body, &[("If-Match", &if_match)]).await
}

/// The body of a merge, and its `If-Match`.
pub(crate) async fn request(desk: &Client, survivor: &str, duplicate: &str, accounts: &[&str]) -> (Value, String) {
    let seen = preview(desk, survivor, duplicate).await;
    let versions = &seen.expect(200).body;
    let if_match = format!("\"{}\"", versions["patient_version"]);
    let body = json!({
        "duplicate_id": duplicate, "duplicate_version": versions["duplicate_version"], "reason": "Registered twice",
        "access_to_move": accounts,
    });
    (body, if_match)
}

pub(crate) async fn merge(desk: &Client, survivor: &str, duplicate: &str) -> Reply {
    merge_with(desk, survivor, duplicate, &[]).await
}

pub(crate) async fn undo(desk: &Client, merge: &Reply) -> Reply {
    desk.post_empty(&format!("{}/undo", merge.expect(201).location())).await
}

/// Gives a record something of everything.
async fn fill(app: &App, clinic: &Clinic, patient: &str, nth: usize) -> Vec<String> {
    let desk = app.desk().await;
    let visit = book_nth(&desk, &clinic.check, nth, patient).await;
    let draft = begin(&desk, patient).await;
    desk.update(&draft.location(), json!({"answers": {"safety": {"spreading_hot_redness": "yes"}}})).await.expect(200);
    let decision = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "paper"});
    let consent = desk.post(&format!("{}/consents", path(patient)), decision).await;
    let lab =
        json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
    let result = desk.post(&format!("{}/lab-results", path(patient)), lab).await;
    let follow_up = desk.post(&format!("{}/follow-ups", path(patient)), json!({"reason": "other"})).await;
    let waiting = json!({"patient_id": patient, "visit_type_id": clinic.new_visit});
    let entry = desk.post("/v1/waitlist-entries", waiting).await;
    let slots = free_slots(&desk, &clinic.check).await;
    let visits = [nth + 60, nth + 64].map(|slot| json!({"slot_id": slots[slot]["id"], "visit_type_id": clinic.check}));
    let series = json!({"patient_id": patient, "visits": visits});
    let key = format!("series-{patient}");
    let series = desk.post_with("/v1/appointment-series", series, &[("Idempotency-Key", &key)]).await;
    while legwork::waitlist::job::run(&app.env).await.expect("a round").has_more {}
    [visit, draft, consent, result, follow_up, entry, series].iter().map(|made| made.expect(201).location()).collect()
}

/// The tables with a column `patient_id`.
fn tables(conn: &mut Conn) -> Vec<String> {
    let sql = match conn {
        Conn::Sqlite(_) => {
            "SELECT m.name AS line FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name = 'patient_id' ORDER BY 1"
        }
        Conn::Postgres(_) => {
            "SELECT table_name::text AS line FROM information_schema.columns
             WHERE table_schema = current_schema() AND column_name = 'patient_id' ORDER BY 1"
        }
    };
    ask(conn, sql)
}

/// Every row of these tables, byte for byte, but for its version and the time of its last change.
fn rows(conn: &mut Conn, tables: &[&str]) -> BTreeMap<String, Vec<String>> {
    let dump = |table: &&str| {
        let sql = match conn {
            Conn::Sqlite(_) => {
                let columns = ask(
                    conn,
                    &format!(
                        "SELECT 'quote(' || name || ')' AS line FROM pragma_table_info('{table}') WHERE name NOT IN ('version', 'updated_at')"
                    ),
                );
                format!("SELECT {} AS line FROM {table} ORDER BY 1", columns.join(" || '|' || "))
            }
            Conn::Postgres(_) => {
                format!("SELECT (to_jsonb(t) - 'version' - 'updated_at')::text AS line FROM {table} t ORDER BY 1")
            }
        };
        ((*table).to_owned(), ask(conn, &sql))
    };
    tables.iter().map(dump).collect()
}

/// What an undo restores: all rows that follow, and the other rows about patients.
fn state(app: &App) -> BTreeMap<String, Vec<String>> {
    let mut names = moving::MOVED.to_vec();
    names.extend([
        "patient_identifiers",
        "patient_name_prefixes",
        "patient_invitations",
        "access_givers",
        "record_openings",
    ]);
    let mut conn = app.site.connect();
    let mut found = rows(&mut conn, &names);
    // Mails about the merge are new, and so is the guard of the record that remained.
    let _ = (found.remove("messages"), found.remove("record_guards"));
    let record = "SELECT mrn || identifiers || CASE WHEN replaced_by IS NULL THEN '' ELSE ' replaced' END AS line FROM patients ORDER BY 1";
    found.insert("patients".into(), ask(&mut conn, record));
    found
}

pub(crate) async fn patient_of(client: &Client, place: &str) -> String {
    client.get(place).await.expect(200).string("/patient_id")
}

async fn reasons(reply: &Reply) -> BTreeSet<String> {
    let list = reply.body["conflicts"].as_array().expect("conflicts");
    list.iter().map(|conflict| conflict["reason"].as_str().expect("a reason").to_owned()).collect()
}

both! {
    async fn a_merge_moves_everything_and_its_undo_restores_it_byte_for_byte(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let places = fill(&app, &clinic, &old, 0).await;
        let seen = preview(&desk, &kept, &old).await;
        let moves = &seen.expect(200).body["moves"];
        for (member, count) in [
            ("appointments", 3), ("appointment_series", 1), ("consents", 1), ("follow_ups", 1), ("identifiers", 1), ("intake_flags", 2),
            ("intakes", 1), ("lab_results", 1), ("waitlist_entries", 1), ("waitlist_offers", 1),
        ] {
            assert_eq!(moves[member], count, "{member}");
        }
        assert_eq!((&seen.body["conflicts"], &seen.body["access"]), (&json!([]), &json!([])));

        let before = state(&app);
        let merged = merge(&desk, &kept, &old).await;
        let body = merged.expect(201).body.clone();
        assert_eq!((&body["patient_id"], &body["duplicate_id"]), (&json!(kept), &json!(old)));
        assert_eq!(body["undo_until"], "2026-04-01T14:00:00Z");
        assert_eq!(desk.get(&merged.location()).await.expect(200).body, body);
        assert_eq!(desk.get(&format!("{}/merges", path(&old))).await.items(), std::slice::from_ref(&body));
        let mut conn = app.site.connect();
        let replaced = desk.get(&path(&old)).await;
        assert_eq!(replaced.expect(200).body["replaced_by"], json!(kept));
        assert_eq!(replaced.body["active"], false);
        for place in &places {
            if !place.contains("lab-results") && !place.contains("consents") {
                assert_eq!(patient_of(&desk, place).await, kept, "{place}");
            }
        }
        for table in moving::MOVED {
            let left = ask(&mut conn, &format!(
                "SELECT 'left' AS line FROM {table} t INNER JOIN patients p ON p.id = t.patient_id WHERE p.replaced_by IS NOT NULL"
            ));
            assert!(left.is_empty(), "{table}");
        }
        let found = desk.get("/v1/patients?identifier=ehr|Anne").await.items();
        assert_eq!(found[0]["id"], json!(kept));
        assert_eq!(found[0]["identifiers"].as_array().map(Vec::len), Some(2));

        let undone = undo(&desk, &merged).await;
        assert_eq!(undone.expect(200).body["undone_at"], "2026-03-02T14:00:00Z");
        let after = state(&app);
        for (table, rows) in &before {
            assert_eq!(rows, &after[table], "{table}");
        }
        for place in &places {
            if !place.contains("lab-results") && !place.contains("consents") {
                assert_eq!(patient_of(&desk, place).await, old, "{place}");
            }
        }
        let doctor = app.doctor().await;
        assert_eq!(doctor.get(&format!("{}/lab-results", path(&old))).await.items().len(), 1);
        undo(&desk, &merged).await.problem(409, "already_undone");
        let page = desk.get("/v1/events?after=0&limit=200").await.items();
        assert!(page.iter().all(|event| event["seq"].is_i64()));
        let kinds = eventually(async || {
            let events = desk.get("/v1/events?after=0&limit=200&types=patient.merged,patient.merge_undone").await.items();
            if events.len() == 2 { Ok(events) } else { Err(format!("{events:?}")) }
        }).await;
        assert!(kinds.iter().all(|event| event["subject_id"] == json!(old)), "{kinds:?}");
    }

    async fn the_findings_of_a_history_take_the_results_of_the_other_record_into_account(app: App) {
        let app = june(app);
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let history = submitted(&doctor, &kept, example()).await;
        for (test, value, unit) in [("ferritin", 300, "ng/mL"), ("tsat", 40, "%")] {
            let lab = json!({"test": test, "value": value, "unit": unit, "collected_on": "2026-06-01", "source": "lab_report"});
            desk.post(&format!("{}/lab-results", path(&old)), lab).await.expect(201);
        }
        let findings = async || {
            while legwork::intake::due::compute_due(&app.env).await.expect("computed") > 0 {}
            doctor.get(&history).await.expect(200).body["computed"].clone()
        };
        let alone = findings().await;
        let merged = merge(&desk, &kept, &old).await;
        let together = findings().await;
        assert_eq!(alone["iron_review_band"], "ferritin_le_75_or_tsat_lt_20");
        assert_eq!(together["iron_review_band"], "above_thresholds");
        undo(&desk, &merged).await.expect(200);
        assert_eq!(findings().await, alone);
    }

    async fn the_old_id_leads_to_the_new_record(app: App) {
        let clinic = app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let number = desk.get(&path(&old)).await.string("/mrn");
        merge(&desk, &kept, &old).await.expect(201);
        let slot = free_slots(&desk, &clinic.check).await[0].clone();
        let decision = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "paper"});
        let lab = json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
        let refused = [
            book(&desk, &slot, &clinic.check, &old).await,
            desk.post(&format!("{}/intakes", path(&old)), json!({"form": "rls-history"})).await,
            desk.post(&format!("{}/consents", path(&old)), decision).await,
            desk.post(&format!("{}/lab-results", path(&old)), lab).await,
            desk.post(&format!("{}/follow-ups", path(&old)), json!({"reason": "other"})).await,
            desk.post("/v1/waitlist-entries", json!({"patient_id": old, "visit_type_id": clinic.check})).await,
            doctor.post(&format!("{}/invitations", path(&old)), json!({"email": "new@example.org", "relation": "self"})).await,
            desk.update(&path(&old), json!({"pronouns": "she/her"})).await,
            preview(&desk, &old, &kept).await,
            preview(&desk, &kept, &old).await,
        ];
        for reply in refused {
            assert_eq!(reply.problem(409, "patient_merged")["replaced_by"], json!(kept), "{}", reply.request);
        }
        // A search shows the record in use; a number of an old letter and a reader of changes find the other one as well.
        let ids = async |query: &str| -> Vec<Value> {
            desk.get(&format!("/v1/patients?{query}")).await.items().iter().map(|item| item["id"].clone()).collect()
        };
        assert_eq!(ids("q=tester").await, [json!(kept)]);
        assert_eq!(ids("date_of_birth=1967-09-14").await, [json!(kept)]);
        assert_eq!(ids("date_of_birth=1967-09-14&include_inactive=true").await.len(), 2);
        assert_eq!(ids(&format!("mrn={number}")).await, [json!(old)]);
        assert_eq!(ids("updated_since=2026-03-02T13:00:00Z").await.len(), 2);
        assert!(desk.get(&format!("{}/duplicates", path(&kept))).await.items().is_empty());
    }

    async fn only_the_front_desk_and_administrators_merge_and_under_both_versions(app: App) {
        let (desk, doctor, ann) = (app.desk().await, app.doctor().await, app.patient("ann").await);
        let (kept, old) = (record(&desk, "Bea").await, record(&desk, "Beate").await);
        let merges = format!("{}/merges", path(&kept));
        let body = json!({"duplicate_id": old, "duplicate_version": 1, "reason": "Registered twice"});
        for other in [&doctor, &ann.client] {
            preview(other, &kept, &old).await.problem(403, "role_forbidden");
            other.post_with(&merges, body.clone(), &[("If-Match", "\"1\"")]).await.problem(403, "role_forbidden");
        }
        let with = |member: &str, value: Value| { let mut body = body.clone(); body[member] = value; body };
        let send = async |body: Value, version: &str| desk.post_with(&merges, body, &[("If-Match", version)]).await;
        desk.post(&merges, body.clone()).await.problem(428, "precondition_required");
        send(body.clone(), "\"7\"").await.problem(412, "stale");
        send(with("duplicate_version", json!(7)), "\"1\"").await.problem(412, "stale");
        send(with("duplicate_id", json!(kept)), "\"1\"").await.invalid("/duplicate_id", "same_record");
        send(with("duplicate_id", json!("00000000-0000-0000-0000-000000000000")), "\"1\"").await.invalid("/duplicate_id", "unknown_reference");
        send(with("reason", json!("x".repeat(501))), "\"1\"").await.invalid("/reason", "too_long");
        let many: Vec<_> = (0..21).map(|n| format!("00000000-0000-0000-0000-0000000000{n:02}")).collect();
        send(with("access_to_move", json!(many)), "\"1\"").await.invalid("/access_to_move", "too_many");
        send(with("access_to_move", json!([many[0], many[0]])), "\"1\"").await.invalid("/access_to_move", "duplicate");
        send(with("access_to_move", json!([ann.user_id])), "\"1\"").await.invalid("/access_to_move/0", "not_an_option");
        preview(&desk, &kept, &kept).await.invalid("?duplicate_id", "same_record");
        assert_eq!(desk.get(&path(&old)).await.body["replaced_by"], Value::Null, "nothing was stored");
        send(body, "\"1\"").await.expect(201);
    }

    async fn what_a_patient_has_once_hinders_a_merge_until_it_is_resolved(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (ann, anne) = (app.patient("ann").await, app.patient("anne").await);
        let other = crate::support::clinic::practitioner(&app.admin().await, "Dr. Other", &clinic.location_id, &[&clinic.check]).await;
        crate::support::clinic::put_hours(&app.admin().await, &other, crate::support::clinic::weekly_hours(&clinic.location_id)).await;
        for patient in [&ann, &anne] {
            begin(patient, &patient.patient_id).await;
            desk.post(&format!("{}/follow-ups", path(&patient.patient_id)), json!({"reason": "other"})).await.expect(201);
            desk.post("/v1/waitlist-entries", json!({"patient_id": patient.patient_id, "visit_type_id": clinic.new_visit})).await.expect(201);
        }
        while legwork::waitlist::job::run(&app.env).await.expect("a round").has_more {}
        let slots = free_slots(&desk, &clinic.check).await;
        let start = slots.iter().find(|slot| slots.iter().filter(|other| other["starts_at"] == slot["starts_at"]).count() == 2);
        let at: Vec<_> = slots.iter().filter(|slot| slot["starts_at"] == start.expect("two practitioners")["starts_at"]).collect();
        book(&desk, at[0], &clinic.check, &ann.patient_id).await.expect(201);
        let visit = book(&desk, at[1], &clinic.check, &anne.patient_id).await;
        let seen = preview(&desk, &ann.patient_id, &anne.patient_id).await;
        let expected = ["overlapping_appointments", "open_intakes", "open_follow_ups", "waitlist_entries", "waitlist_offers", "own_accounts", "other_accounts"];
        assert_eq!(reasons(&seen).await, expected.map(str::to_owned).into());
        let visits: Vec<_> = seen.body["conflicts"].as_array().expect("a list").iter().filter(|it| it["reason"] == "overlapping_appointments").collect();
        assert_eq!(visits[0]["duplicate_object_id"], json!(visit.id()));
        let refused = merge(&desk, &ann.patient_id, &anne.patient_id).await;
        refused.problem(409, "merge_conflicts");
        assert_eq!(reasons(&refused).await.len(), expected.len());
        desk.post(&format!("{}/cancel", visit.location()), json!({"reason": "Twice"})).await.expect(200);
        assert_eq!(reasons(&preview(&desk, &ann.patient_id, &anne.patient_id).await).await.len(), expected.len() - 1);
    }

    async fn old_ids_lead_to_the_last_record_and_the_later_merge_is_undone_first(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (a, b, c) = (record(&desk, "Ada").await, record(&desk, "Adah").await, record(&desk, "Adahr").await);
        let visit = book_nth(&desk, &clinic.check, 0, &a).await.location();
        let first = merge(&desk, &b, &a).await;
        first.expect(201);
        let second = merge(&desk, &c, &b).await;
        second.expect(201);
        let replaced_by = async |id: &str| desk.get(&path(id)).await.body["replaced_by"].clone();
        assert_eq!((replaced_by(&a).await, replaced_by(&b).await), (json!(c), json!(c)));
        assert_eq!(patient_of(&desk, &visit).await, c);
        undo(&desk, &first).await.problem(409, "merged_since");
        undo(&desk, &second).await.expect(200);
        undo(&desk, &first).await.expect(200);
        assert_eq!(patient_of(&desk, &visit).await, a);
        let first = merge(&desk, &b, &a).await;
        first.expect(201);
        assert_eq!((replaced_by(&a).await, replaced_by(&b).await), (json!(b), Value::Null));
        assert_eq!(patient_of(&desk, &visit).await, b);
        app.clock.advance(SignedDuration::from_hours(24 * 30));
        let desk = app.anon().sign_in("desk@clinic.example", crate::support::people::PASSWORD).await;
        undo(&desk, &first).await.problem(409, "undo_period_over");
        assert_eq!(desk.get(&path(&a)).await.body["replaced_by"], json!(b));
    }

    async fn the_trail_stays_whole_and_the_uses_of_both_records_are_united(app: App) {
        let (desk, admin, doctor) = (app.desk().await, app.admin().await, app.doctor().await);
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        doctor.get(&path(&old)).await.expect(200);
        let merged = merge(&desk, &kept, &old).await;
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        let log = async |id: &str| admin.get(&format!("{}/audit-events?limit=200", path(id))).await.items();
        let reads = |events: &[Value]| events.iter().filter(|event| event["role"] == "practitioner" && event["operation"] == "get_patient").count();
        let united = log(&kept).await;
        assert_eq!(reads(&united), 1);
        assert_eq!(united.iter().filter(|event| event["operation"] == "create_patient_merge").count(), 1);
        let export = doctor.get(&format!("{}/export", path(&kept))).await;
        assert_eq!(export.expect(200).body["merged_patients"][0]["id"], json!(old));
        // What followed may have been shown as part of the record that remained.
        app.clock.advance(SignedDuration::from_mins(1));
        doctor.get(&path(&kept)).await.expect(200);
        sealed(&app).await;
        assert_eq!((reads(&log(&kept).await), reads(&log(&old).await)), (2, 2));
        app.clock.advance(SignedDuration::from_mins(1));
        undo(&desk, &merged).await.expect(200);
        app.clock.advance(SignedDuration::from_mins(1));
        doctor.get(&path(&kept)).await.expect(200);
        sealed(&app).await;
        assert_eq!((reads(&log(&kept).await), reads(&log(&old).await)), (2, 2));
    }

    async fn every_table_and_every_constraint_of_patients_is_decided_for_a_merge(app: App) {
        let mut conn = app.site.connect();
        let found: BTreeSet<_> = tables(&mut conn).into_iter().collect();
        let stays = moving::STAYS.iter().map(|(table, _)| *table);
        let decided: BTreeSet<_> = moving::MOVED.iter().copied().chain(stays).map(str::to_owned).collect();
        assert_eq!(found, decided, "say in src/patients/merging/moving.rs what a merge does with the new table");
        let sql = match app.site.engine {
            Engine::Sqlite => {
                "SELECT DISTINCT i.name AS line FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
                 WHERE m.type = 'table' AND i.\"unique\" AND i.origin = 'c' AND c.name = 'patient_id' ORDER BY 1"
            }
            Engine::Postgres => {
                "SELECT c.relname::text AS line FROM pg_index i INNER JOIN pg_class c ON c.oid = i.indexrelid
                 INNER JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                 WHERE (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary AND a.attname = 'patient_id' ORDER BY 1"
            }
        };
        let unique: BTreeSet<_> = ask(&mut conn, sql).into_iter().collect();
        // The rows of this table stay.
        let unique: BTreeSet<_> = unique.into_iter().filter(|name| name != "patient_retirements_current").collect();
        let mut known: BTreeSet<_> = conflicts::RULES.iter().map(|rule| rule.constraint.to_owned()).collect();
        if app.site.engine == Engine::Sqlite {
            // A trigger.
            known.remove("appointments_patient_overlap");
        }
        assert_eq!(unique, known, "say in src/patients/merging/conflicts.rs how the new constraint hinders a merge");
    }

    async fn every_reference_between_objects_of_patients_is_checked_by_the_doctor_command(app: App) {
        let sql = match app.site.engine {
            Engine::Sqlite => {
                "SELECT m.name || '.' || f.\"from\" || ' ' || f.\"table\" AS line FROM sqlite_master m, pragma_foreign_key_list(m.name) f
                 WHERE m.type = 'table'"
            }
            Engine::Postgres => {
                "SELECT t.relname || '.' || a.attname || ' ' || o.relname AS line FROM pg_constraint c
                 INNER JOIN pg_class t ON t.oid = c.conrelid INNER JOIN pg_class o ON o.oid = c.confrelid
                 INNER JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'"
            }
        };
        let moved = |table: &str| moving::MOVED.contains(&table);
        let found: BTreeSet<String> = ask(&mut app.site.connect(), sql).into_iter().filter(|line| {
            let (from, target) = line.split_once(' ').expect("two tables");
            let table = from.split('.').next().expect("a table");
            moved(target) && (moved(table) || table == "appointment_series_visits") && target != "appointment_series"
        }).collect();
        let checked = legwork::doctor::records::REFERENCES.map(|(table, column, target)| format!("{table}.{column} {target}"));
        assert_eq!(found, checked.into(), "add the new reference to src/doctor/records.rs");
    }
}
