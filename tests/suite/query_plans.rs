//! Queries use an index, however large the tables are.

use std::sync::{Arc, Mutex};

use diesel::connection::{Connection, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::Text;
use legwork::appointments::zone_changes::scanning;
use legwork::clock::Timestamp;
use legwork::context::Tx;
use legwork::db::Conn;
use legwork::db::schema::patients;
use legwork::http::paging::{Direction, Page};
use legwork::http::{Cursor, Limit};
use legwork::identifiers::Token;
use legwork::patients::model::Patient;
use legwork::patients::records::searching::{self, Search};
use legwork::scheduling::slots::free::{SlotQuery, free};
use legwork::scheduling::slots::offering::Offering;
use legwork::{appointments, patients as people};

use crate::support::clinic::location;
use crate::support::{App, Engine, both};

/// Enough rows that a planner avoids a table scan.
const MANY: u32 = 20_000;

/// Generated patients, with as many different birth dates as possible.
fn crowd(conn: &mut Conn) {
    let columns = "INSERT INTO patients (id, mrn, given_name, family_name, date_of_birth, administrative_sex, phone, \
        phone_reversed, email, email_key, email_confirmed, preferred_language, interpreter_needed, details, identifiers, version, \
        created_at, updated_at)";
    let sql = match conn {
        Conn::Sqlite(_) => format!(
            "{columns} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
             SELECT randomblob(16), 'M-' || i, 'Given' || i, 'Family' || i, date('1940-01-01', '+' || (i % 25000) || ' days'), \
             'other', '+1' || i, i || '1', i || '@x.example', i || '@x.example', 1, 'en', 0, x'00', '[]', 1, i, i FROM n; \
             INSERT INTO patient_identifiers SELECT 'ehr', mrn, id FROM patients WHERE mrn LIKE 'M-%';"
        ),
        Conn::Postgres(_) => format!(
            "{columns} SELECT gen_random_uuid(), 'M-' || i, 'Given' || i, 'Family' || i, DATE '1940-01-01' + i % 25000, \
             'other', '+1' || i, i || '1', i || '@x.example', i || '@x.example', true, 'en', false, '\\x00', '[]', 1, \
             to_timestamp(i), to_timestamp(i) FROM generate_series(1, {MANY}) i; \
             INSERT INTO patient_identifiers SELECT 'ehr', mrn, id FROM patients WHERE mrn LIKE 'M-%'; ANALYZE;"
        ),
    };
    conn.batch_execute(&sql).expect("a crowd");
}

/// The SQL of every query that `work` runs, with its placeholders.
fn queries(conn: &mut Conn, work: impl FnOnce(&mut Conn)) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&seen);
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            heard.lock().expect("a list").push(query.to_string());
        }
    });
    work(conn);
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let seen = seen.lock().expect("a list");
    // diesel looks up PostgreSQL's type ids once.
    let own = seen.iter().filter(|query| !query.contains("\"pg_type\""));
    own.map(|query| query.split(" -- binds").next().unwrap_or_default().to_owned()).collect()
}

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// The engine's plan for any values.
fn plan(conn: &mut Conn, sql: &str) -> String {
    match conn {
        Conn::Sqlite(conn) => {
            let steps: Vec<SqliteStep> =
                diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).expect("a plan");
            steps.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("\n")
        }
        Conn::Postgres(conn) => {
            let places = (1..100).take_while(|place| sql.contains(&format!("${place}"))).count();
            let nulls = vec!["NULL"; places].join(", ");
            conn.batch_execute(&format!("SET plan_cache_mode = force_generic_plan; PREPARE hot AS {sql}"))
                .expect("prepared");
            let execute = if places == 0 { "hot".to_owned() } else { format!("hot({nulls})") };
            let steps: Vec<PostgresStep> =
                diesel::sql_query(format!("EXPLAIN EXECUTE {execute}")).load(conn).expect("a plan");
            conn.batch_execute("DEALLOCATE hot").expect("forgotten");
            steps.into_iter().map(|step| step.line).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Checks that each query of `work` uses the named index, and that none scans a table.
#[track_caller]
fn by_index(conn: &mut Conn, table: &str, indexes: &[&str], work: impl FnOnce(&mut Conn)) {
    let queries = queries(conn, work);
    assert_eq!(queries.len(), indexes.len(), "{queries:#?}");
    for (sql, index) in queries.iter().zip(indexes) {
        let plan = plan(conn, sql);
        assert!(plan.contains(index), "no {index} in\n{plan}\nof {sql}");
        // A partial index has no more rows than the query wants.
        let rest = plan.replace(&format!("SCAN {table} USING INDEX {index}"), "");
        let whole = [format!("Seq Scan on {table}"), format!("SCAN {table}")];
        assert!(!whole.iter().any(|step| rest.contains(step)), "{plan}\nof {sql}");
    }
}

/// Free slots of a quarter of an hour, one after the other.
fn free_slots(conn: &mut Conn, practitioner: &str, location: &str) {
    let (practitioner, location) = (practitioner.replace('-', ""), location.replace('-', ""));
    let sql = match conn {
        Conn::Sqlite(_) => format!(
            "INSERT INTO slots (id, practitioner_id, location_id, starts_at, ends_at)
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             SELECT randomblob(16), x'{practitioner}', x'{location}', i * 900000000, i * 900000000 + 900000000 FROM n"
        ),
        Conn::Postgres(_) => format!(
            "INSERT INTO slots (id, practitioner_id, location_id, starts_at, ends_at)
             SELECT gen_random_uuid(), '{practitioner}', '{location}', to_timestamp(i * 900), to_timestamp(i * 900 + 900)
             FROM generate_series(0, {MANY}) i"
        ),
    };
    conn.batch_execute(&sql).expect("slots");
}

/// The page of the list of patients behind a cursor.
fn page_of_patients(direction: Direction, after: Option<Cursor>) -> Page {
    Page { list: "patients", direction, limit: Limit::new(None).expect("the default"), after }
}

both! {
    async fn a_search_reads_one_range_of_an_index_in_its_order_with_and_without_statistics(app: App) {
        let clinic = app.clinic().await;
        let mut conn = app.site.connect();
        conn.batch_execute("DELETE FROM slots").expect("no slots");
        free_slots(&mut conn, &clinic.practitioner_id, &clinic.location_id);
        // One location among others: each hundredth slot is there.
        let elsewhere = location(&app.admin().await, "Branch", "America/New_York").await;
        let (each_hundredth, id) = match app.engine {
            Engine::Sqlite => ("starts_at / 900000000 % 100 = 0", format!("x'{}'", elsewhere.replace('-', ""))),
            Engine::Postgres => ("extract(epoch FROM starts_at)::bigint / 900 % 100 = 0", format!("'{elsewhere}'")),
        };
        conn.batch_execute(&format!("UPDATE slots SET location_id = {id} WHERE {each_hundredth}")).expect("moved");
        let visit = Offering::find(&mut conn, &app.env, clinic.check.parse().expect("an id")).expect("the visit type");
        let from = Timestamp::from_micros(0).expect("an instant");
        let everyone = SlotQuery::new(&visit, from, from, true);
        let practitioners = vec![clinic.practitioner_id.parse().expect("an id")];
        let locations = vec![elsewhere.parse().expect("an id")];
        let queries_by_index = [
            (["slots_free ", "slots_free "], everyone.clone()),
            (["slots_free_location ", "slots_free_location "], SlotQuery { locations, ..everyone.clone() }),
            // The unique index on practitioner and start serves as well: most slots are free.
            (["slots_free_practitioner ", if app.engine == Engine::Sqlite { "autoindex_slots" } else { "slots_start " }], SlotQuery { practitioners, ..everyone }),
        ];
        for statistics in [false, true] {
            if statistics {
                conn.batch_execute("ANALYZE").expect("statistics");
            }
            for (indexes, query) in &queries_by_index {
                let all = queries(&mut conn, |conn| {
                    assert!(!free(conn, &visit, query, 21).expect("slots").is_empty());
                });
                let of_slots: Vec<_> = all.iter().filter(|sql| sql.contains("FROM `slots`") || sql.contains("FROM \"slots\"")).collect();
                assert_eq!(of_slots.len(), 1, "read in one chunk: {all:#?}");
                assert_eq!(all.len(), 1, "{all:#?}");
                let plan = plan(&mut conn, of_slots[0]);
                // Without statistics, PostgreSQL takes the table for empty, and any range in the right order for equally good.
                let any_range = !statistics && app.engine == Engine::Postgres && plan.contains("slots_free");
                let is_used = any_range || indexes.iter().any(|index| plan.contains(index));
                assert!(is_used, "none of {indexes:?}, statistics: {statistics}:\n{plan}");
                let sorts = ["Sort", "TEMP B-TREE", "SCAN slots", "Seq Scan"];
                assert!(!sorts.iter().any(|step| plan.contains(step)), "statistics: {statistics}:\n{plan}");
            }
        }
    }

    async fn likely_duplicates_are_found_by_birth_date_phone_and_email(app: App) {
        let mut conn = app.site.connect();
        crowd(&mut conn);
        let patient: Patient = patients::table
            .filter(patients::mrn.eq("M-77"))
            .select(Patient::as_select())
            .first(&mut conn)
            .expect("one of them");
        by_index(&mut conn, "patients", &["patients_date_of_birth", "patients_phone", "patients_email"], |conn| {
            assert!(people::duplicates::of(conn, &patient).expect("an answer").is_empty());
        });
    }

    async fn changes_and_identifiers_are_found_without_a_table_scan(app: App) {
        let mut conn = app.site.connect();
        crowd(&mut conn);
        let page = page_of_patients(Direction::Ascending, None);
        let since = Search { updated_since: Timestamp::from_micros(0), ..Search::default() };
        by_index(&mut conn, "patients", &["patients_updated"], |conn| {
            assert_eq!(searching::find(conn, &since, &page).expect("a page").len(), 51);
        });
        // For a rare value, PostgreSQL may also use the index on the value alone.
        let whole = if app.engine == Engine::Sqlite { "autoindex_patient_identifiers" } else { "using patient_identifiers_" };
        for (token, index) in [("ehr|M-9", whole), ("M-9", "patient_identifiers_value")] {
            let identifier = Some(Token::parse(token).expect("a token"));
            let named = Search { identifier, ..Search::default() };
            by_index(&mut conn, "patients", &[index], |conn| {
                assert_eq!(searching::find(conn, &named, &page).expect("a page").len(), 1);
            });
        }
    }

    async fn a_search_by_names_reads_one_page_of_an_index_with_and_without_statistics(app: App) {
        let mut conn = app.site.connect();
        crowd(&mut conn);
        // All patients have the frequent names, one has the rare one.
        let rows = |prefix: &str| format!("INSERT INTO patient_name_prefixes (prefix, created_at, patient_id)
            SELECT {prefix}, created_at, id FROM patients WHERE mrn LIKE 'M-%';");
        conn.batch_execute(&[rows("'f'"), rows("'given'"), rows("lower(family_name)")].concat()).expect("names");
        let newest = |after| page_of_patients(Direction::Descending, after);
        let named = |words: &[&str]| Search { words: words.iter().map(|word| (*word).to_owned()).collect(), ..Search::default() };
        let last = searching::find(&mut conn, &named(&["f"]), &newest(None)).expect("a page").pop().expect("the last").patient;
        assert_eq!(last.mrn, format!("M-{}", MANY - 50));
        let after = Some(Cursor { at: last.created_at, id: last.id.0 });
        let born = |words: &[&str]| Search { date_of_birth: Some(last.date_of_birth), ..named(words) };
        for statistics in [false, true] {
            if statistics {
                conn.batch_execute("ANALYZE").expect("statistics");
            }
            // The search, the page, the patients found, and the number of statements: one more for each word that is not rare.
            for (search, page, found, statements) in [
                (named(&["f"]), newest(None), 51, 1),
                (named(&["f"]), newest(after), 51, 1),
                (named(&["f"]), page_of_patients(Direction::Ascending, after), 50, 1),
                (named(&["f", "given"]), newest(after), 51, 3),
                (named(&["f", "given", "family77"]), newest(None), 1, 2),
                (named(&["family77"]), newest(after), 1, 1),
                (born(&["f", "given"]), newest(None), 1, 1),
            ] {
                let all = queries(&mut conn, |conn| {
                    assert_eq!(searching::find(conn, &search, &page).expect("a page").len(), found);
                });
                assert_eq!(all.len(), statements, "{all:#?}");
                for sql in &all {
                    let plan = plan(&mut conn, sql);
                    let (by_prefix, by_patient) = match app.engine {
                        Engine::Sqlite => (
                            "patient_name_prefixes USING PRIMARY KEY (prefix=?",
                            "others USING PRIMARY KEY (prefix=? AND created_at=? AND patient_id=?)",
                        ),
                        Engine::Postgres => (
                            "using patient_name_prefixes_pkey on patient_name_prefixes",
                            "using patient_name_prefixes_pkey on patient_name_prefixes others",
                        ),
                    };
                    assert!(plan.contains(by_prefix), "statistics: {statistics}:\n{plan}\nof {sql}");
                    assert!(!sql.contains("others") || plan.contains(by_patient), "statistics: {statistics}:\n{plan}\nof {sql}");
                    let reads_all = ["Seq Scan on patient", "Hash Join", "Hash Semi Join", "Merge", "SCAN patient"];
                    assert!(!reads_all.iter().any(|step| plan.contains(step)), "statistics: {statistics}:\n{plan}\nof {sql}");
                }
            }
        }
    }

    async fn a_search_with_a_typing_mistake_reads_a_few_rows_for_each_way_to_begin_the_word(app: App) {
        let mut conn = app.site.connect();
        crowd(&mut conn);
        for prefix in ["'f'", "'family'", "'given'", "lower(family_name)"] {
            conn.batch_execute(&format!("INSERT INTO patient_name_prefixes (prefix, created_at, patient_id)
                SELECT {prefix}, created_at, id FROM patients WHERE mrn LIKE 'M-%';")).expect("names");
        }
        let page = page_of_patients(Direction::Descending, None);
        let mistaken = |words: &[&str]| Search { words: words.iter().map(|word| (*word).to_owned()).collect(), ..Search::default() };
        for statistics in [false, true] {
            if statistics {
                conn.batch_execute("ANALYZE").expect("statistics");
            }
            // All patients have the name; the newest of each beginning are looked at.
            for (search, found, statements) in [(mistaken(&["famliy"]), 20, 2), (mistaken(&["family", "gvien19999"]), 1, 2)] {
                let all = queries(&mut conn, |conn| {
                    assert_eq!(searching::find_near(conn, &search, &page, 0).expect("a page").len(), found);
                });
                assert_eq!(all.len(), statements, "{all:#?}");
                for sql in &all {
                    let plan = plan(&mut conn, sql);
                    let reads_all = ["Seq Scan on patient", "Hash Join", "Hash Semi Join", "Merge", "SCAN patient", "SCAN near"];
                    assert!(!reads_all.iter().any(|step| plan.contains(step)), "statistics: {statistics}:\n{plan}\nof {sql}");
                }
            }
        }
    }

    async fn the_changes_of_appointments_are_read_in_index_order(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let mut conn = app.site.connect();
        // Cancelled appointments, which conflict with none.
        let minute = if app.engine == Engine::Sqlite { "60" } else { "INTERVAL '1 minute'" };
        let select = |uuid: &str, rows: &str, at: &str| format!(
            "INSERT INTO appointments (id, patient_id, practitioner_id, location_id, visit_type_id, starts_at, ends_at, \
             status, confirmation_code, sequence, identifiers, version, created_at, updated_at, busy_from, busy_until) \
             SELECT {uuid}, p.id, d.id, l.id, v.id, {at}, {at} + {minute}, 'cancelled', 'C' || i, 0, '[]', 1, {at}, {at}, {at}, {at} + {minute} \
             FROM {rows}, patients p, practitioners d, locations l, visit_types v WHERE v.name = 'Check';"
        );
        let sql = match app.engine {
            Engine::Sqlite => format!(
                "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
                 SELECT i FROM n; {}",
                select("randomblob(16)", "n", "i * 1000000")
            ),
            Engine::Postgres => {
                format!("{} ANALYZE;", select("gen_random_uuid()", &format!("generate_series(1, {MANY}) i"), "to_timestamp(i)"))
            }
        };
        conn.batch_execute(&sql).expect("appointments");
        let actor = legwork::actor::Actor {
            user_id: desk.user_id.parse().expect("an id"),
            session_id: app.env.new_id(),
            role: legwork::actor::Role::FrontDesk,
            practitioner_id: None,
            client_scopes: None, access_reason: None,
            audit: legwork::audit_context::AuditContext::of_command("plans"),
        };
        let filter = appointments::queries::Filter { updated_since: Timestamp::from_micros(0), ..Default::default() };
        let page = Page::largest("appointments", Direction::Ascending);
        by_index(&mut conn, "appointments", &["appointments_updated"], |conn| {
            let (rows, _) = appointments::queries::page(
                &mut Tx::new(conn, &app.env, &actor, &actor.audit),
                &filter,
                &page,
            ).expect("a page");
            assert_eq!(rows.len(), 200);
            assert_eq!(rows[0].appointment.patient_id.to_string(), ann.patient_id);
            assert_eq!(rows[0].appointment.practitioner_id.to_string(), clinic.practitioner_id);
        });
        // Of the cancelled visits, none is to be looked at.
        by_index(&mut conn, "appointments", &["appointments_remind"], |conn| {
            let now = app.env.now();
            assert!(appointments::reminders::planning::due(conn, now, 200).expect("visits").is_empty());
        });
        // All have a promise, and none is to be compared with other data of time zones.
        conn.batch_execute("UPDATE appointments SET promised_local = '1970-01-01T00:00:00', promised_zone = 'UTC',
            promised_tz = '2020a', zone_checked = '2020a'; ANALYZE;").expect("promises");
        let (zones, now) = (&app.env.config.zones, app.env.now());
        by_index(&mut conn, "appointments", &["appointments_unpromised"], |conn| {
            assert_eq!(scanning::fill(conn, zones).expect("promises"), 0);
        });
        by_index(&mut conn, "appointments", &["appointments_zone_checked", "appointments_zone_checked"], |conn| {
            assert_eq!(scanning::compare(conn, zones, now).expect("visits"), (0, 0));
        });
        free_slots(&mut conn, &clinic.practitioner_id, &clinic.location_id);
        let day = "1970-01-05".parse().expect("a day");
        let sheet = queries(&mut conn, |conn| {
            let location = clinic.location_id.parse().expect("an id");
            let tx = &mut Tx::new(conn, &app.env, &actor, &actor.audit);
            appointments::day_sheet::load(tx, location, Some(day)).expect("a day sheet");
        });
        for (table, index) in [("appointments", "appointments_"), ("slots", "slots_")] {
            let reads = |sql: &&String| sql.replace('`', "\"").contains(&format!("(\"{table}\" INNER JOIN"));
            let sql = sheet.iter().find(reads).unwrap_or_else(|| panic!("{table} in {sheet:#?}"));
            let plan = plan(&mut conn, sql);
            assert!(plan.contains(index), "no {index} in\n{plan}\nof {sql}");
            let whole = [format!("Seq Scan on {table}"), format!("SCAN {table}")];
            assert!(!whole.iter().any(|step| plan.contains(step)), "{plan}\nof {sql}");
        }
    }

    async fn the_job_of_the_waitlist_finds_its_work_by_indexes_however_many_entries_and_offers_have_ended(app: App) {
        let (ann, clinic) = (app.patient("ann").await, app.clinic().await);
        let mut conn = app.site.connect();
        let columns = "INSERT INTO waitlist_entries (id, patient_id, visit_type_id, status, urgency, wishes, to_date, version, created_by, \
            created_at, updated_at)";
        let offers = "INSERT INTO waitlist_offers (id, entry_id, patient_id, slot_id, practitioner_id, location_id, starts_at, ends_at, \
            status, way, expires_at, version, created_at, updated_at)";
        let (bare, day) = (|id: &str| id.replace('-', ""), clinic.practitioner_id.as_str());
        let (patient, kind, place) = (bare(&ann.patient_id), bare(&clinic.check), bare(&clinic.location_id));
        let sql = match app.engine {
            Engine::Sqlite => format!(
                "{columns} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
                 SELECT randomblob(16), x'{patient}', x'{kind}', 'expired', 'routine', '{{}}', '2026-01-01', 1, u.id, i, i
                 FROM n, (SELECT id FROM users LIMIT 1) u;
                 {offers} SELECT randomblob(16), id, patient_id, id, x'{}', x'{place}', created_at, created_at + 1, 'lapsed', 'mail',
                 created_at, 1, created_at, created_at FROM waitlist_entries;
                 INSERT INTO freed_times (day, due_at) SELECT 0, 9000000000000000 FROM waitlist_entries; ANALYZE;",
                bare(day)
            ),
            Engine::Postgres => format!(
                "{columns} SELECT gen_random_uuid(), '{patient}', '{kind}', 'expired', 'routine', '{{}}', '2026-01-01', 1, u.id,
                 to_timestamp(i), to_timestamp(i) FROM generate_series(1, {MANY}) i, (SELECT id FROM users LIMIT 1) u;
                 {offers} SELECT gen_random_uuid(), id, patient_id, id, '{day}', '{place}', created_at, created_at + INTERVAL '1 minute',
                 'lapsed', 'mail', created_at, 1, created_at, created_at FROM waitlist_entries;
                 INSERT INTO freed_times (day, due_at) SELECT 'epoch', '2200-01-01' FROM waitlist_entries; ANALYZE;"
            ),
        };
        conn.batch_execute(&sql).expect("a past");
        let audit = legwork::audit_context::AuditContext::of_command("plans");
        let reads = queries(&mut conn, |conn| {
            let anonymous = legwork::context::Anonymous;
            legwork::waitlist::job::due(&mut Tx::new(conn, &app.env, &anonymous, &audit)).expect("what is due");
        });
        let indexes = ["waitlist_offers_open", "waitlist_offers_held", "waitlist_entries_last_day", "waitlist_entries_search", "freed_times_due"];
        let own: Vec<_> = reads.iter().filter(|sql| sql.contains("waitlist_") || sql.contains("freed_times")).collect();
        assert_eq!(own.len(), indexes.len(), "{own:#?}");
        for (sql, index) in own.into_iter().zip(indexes) {
            let plan = plan(&mut conn, sql);
            assert!(plan.contains(index), "no {index} in\n{plan}\nof {sql}");
        }
    }

    async fn the_list_of_machine_clients_reads_no_other_accounts(app: App) {
        let mut conn = app.site.connect();
        let columns = "INSERT INTO users (id, email, email_key, role, preferred_language, version, created_at, updated_at)";
        let sql = match app.engine {
            Engine::Sqlite => format!(
                "{columns} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
                 SELECT randomblob(16), i || '@x.example', i || '@x.example', 'patient', 'en', 1, i, i FROM n; ANALYZE;"
            ),
            Engine::Postgres => format!(
                "{columns} SELECT gen_random_uuid(), i || '@x.example', i || '@x.example', 'patient', 'en', 1, to_timestamp(i), to_timestamp(i)
                 FROM generate_series(1, {MANY}) i; ANALYZE;"
            ),
        };
        conn.batch_execute(&sql).expect("accounts");
        let page = Page::largest("clients", Direction::Ascending);
        let now: Timestamp = crate::support::START.parse().expect("an instant");
        let reads = queries(&mut conn, |conn| {
            legwork::accounts::clients::store::list(conn, &page, now).expect("a page");
        });
        let plan = plan(&mut conn, &reads[0]);
        assert!(plan.contains("users_clients"), "{plan}\nof {}", reads[0]);
    }

    async fn the_access_log_of_a_record_is_found_through_an_index(app: App) {
        let mut conn = app.site.connect();
        let row = |uuid: &str, at: &str, from: &str| format!(
            "INSERT INTO audit_events (id, at, operation, outcome, patient_id, times, key_id, mac) \
             SELECT {uuid}, {at}, 'get_patient', 'success', {uuid}, 1, {uuid}, {mac} FROM {from}; \
             INSERT INTO audit_event_patients SELECT {uuid}, at, id FROM audit_events;",
            mac = if app.engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" }
        );
        let sql = match app.engine {
            Engine::Sqlite => format!(
                "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
                 SELECT i FROM n; {}",
                row("randomblob(16)", "i", "n")
            ),
            Engine::Postgres => {
                format!("{} ANALYZE;", row("gen_random_uuid()", "to_timestamp(i)", &format!("generate_series(1, {MANY}) i")))
            }
        };
        crowd(&mut conn);
        app.admin().await;
        let (new_id, none) = if app.engine == Engine::Sqlite { ("randomblob(16)", "x'00'") } else { ("gen_random_uuid()", "'\\x00'") };
        let merges = format!(
            "INSERT INTO patient_merges (id, survivor_id, duplicate_id, reason, merged_by, merged_at, undone_by, undone_at) \
             SELECT {new_id}, k.id, d.id, {none}, u.id, d.created_at, u.id, d.created_at \
             FROM patients d, (SELECT id FROM patients ORDER BY id LIMIT 1) k, (SELECT id FROM users LIMIT 1) u WHERE d.id <> k.id;"
        );
        conn.batch_execute(&format!("{merges} {sql}")).expect("merges and events");
        let patient = Some(app.env.new_id());
        let outcome = Some(legwork::audit::AuditOutcome::Success);
        let filter = legwork::audit::store::Filter { patient_id: patient, outcome, ..Default::default() };
        let page = Page::largest("audit-events", Direction::Descending);
        let among = if app.engine == Engine::Sqlite { "audit_event_patients USING PRIMARY KEY" } else { "audit_event_patients_pkey" };
        // Both tables' names begin with this.
        by_index(&mut conn, "audit_event", &["patients_replaced_by", "patient_merges_duplicate", "audit_events_patient", among], |conn| {
            assert!(legwork::audit::store::list(conn, &filter, &page).expect("a page").is_empty());
        });
    }

    async fn reports_and_counts_read_ranges_of_indexes(app: App) {
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        let mut conn = app.site.connect();
        if app.engine == Engine::Postgres {
            // Small tables are best scanned.
            conn.batch_execute("ANALYZE; SET enable_seqscan = off").expect("a setting");
        }
        let (from, to): (Timestamp, Timestamp) = ("2026-03-01T00:00:00Z".parse().expect("an instant"), "2026-06-01T00:00:00Z".parse().expect("an instant"));
        let (location, practitioner) = (clinic.location_id.parse().expect("an id"), clinic.practitioner_id.parse().expect("an id"));
        for (location_id, practitioner_id) in [(None, None), (Some(location), None), (None, Some(practitioner)), (Some(location), Some(practitioner))] {
            let of = appointments::counting::Of { location_id, practitioner_id };
            by_index(&mut conn, "appointments", &["appointments_"], |conn| {
                appointments::counting::starting(conn, of, (from, to)).expect("visits");
            });
            by_index(&mut conn, "slots", &["slots_"], |conn| {
                legwork::scheduling::slots::unused::starting(conn, location_id, practitioner_id, (from, to)).expect("slots");
            });
            by_index(&mut conn, "waitlist_offers", &["waitlist_offers_claimed"], |conn| {
                legwork::waitlist::fills::starting(conn, location_id, practitioner_id, (from, to)).expect("offers");
            });
        }
        by_index(&mut conn, "appointments", &["appointments_missed"], |conn| {
            let patient = ann.patient_id.parse().expect("an id");
            legwork::patients::missed_visits::of(conn, &[patient]).expect("counts");
        });
    }
}
