//! Row 19: the running service detects events that the database loses or does not store, and changed triggers.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use legwork::db::Conn;
use legwork::db::schema::{audit_event_patients, audit_events};
use serde_json::json;

use crate::support::audit::{findings, sealed};
use crate::support::process::Process;
use crate::support::{App, both, eventually};

/// Waits until readiness fails with these words.
async fn not_ready_for(app: &App, words: &str) {
    eventually(async || {
        let reply = app.anon().get("/health/ready").await;
        if reply.status == 503 && reply.string("/detail").contains(words) { Ok(()) } else { Err(reply.text) }
    })
    .await;
}

async fn ready(app: &App) {
    eventually(async || {
        let reply = app.anon().get("/health/ready").await;
        if reply.status == 200 { Ok(()) } else { Err(reply.text) }
    })
    .await;
}

/// Runs the SQL of the engine.
async fn run(app: &App, postgres: &'static str, sqlite: &'static str) {
    app.db(move |tx| {
        match tx {
            Conn::Postgres(tx) => tx.batch_execute(postgres),
            Conn::Sqlite(tx) => tx.batch_execute(sqlite),
        }?;
        Ok(())
    })
    .await;
}

/// Deletes each event in the transaction that stores it. The insert still reports one row.
async fn delete_new_events(app: &App) {
    run(
        app,
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN DELETE FROM audit_events WHERE id = NEW.id; RETURN NULL; END $$;
         ALTER TABLE audit_events DISABLE TRIGGER audit_events_purged_only;
         CREATE TRIGGER quiet AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION forget()",
        "CREATE TABLE kept AS SELECT sql FROM sqlite_schema WHERE name = 'audit_events_purged_only';
         DROP TRIGGER audit_events_purged_only;
         CREATE TRIGGER quiet AFTER INSERT ON audit_events BEGIN DELETE FROM audit_events WHERE id = NEW.id; END",
    )
    .await;
}

async fn keep_new_events(app: &App) {
    app.db(|tx| {
        match tx {
            Conn::Postgres(tx) => tx.batch_execute(
                "DROP TRIGGER quiet ON audit_events; ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_purged_only",
            )?,
            Conn::Sqlite(tx) => {
                #[derive(QueryableByName)]
                struct Kept {
                    #[diesel(sql_type = diesel::sql_types::Text)]
                    sql: String,
                }
                let kept: Kept = diesel::sql_query("SELECT sql FROM kept").get_result(tx)?;
                tx.batch_execute(&format!("DROP TRIGGER quiet; DROP TABLE kept; {}", kept.sql))?;
            }
        }
        Ok(())
    })
    .await;
}

both! {
    async fn row_19_a_committed_event_that_the_database_does_not_have_ends_readiness(app: App) {
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        sealed(&app).await;
        ready(&app).await;
        let record = format!("/v1/patients/{}", bob.patient_id);
        let etag = desk.get(&record).await.etag();
        delete_new_events(&app).await;
        desk.patch(&record, &etag, json!({"phone": "+1 212 555 0199"})).await.expect(200);
        // Also if the trigger is removed again before the next check.
        keep_new_events(&app).await;
        not_ready_for(&app, "committed audit events").await;
        let changes: i64 = app
            .db(|tx| Ok(audit_events::table.filter(audit_events::operation.eq("update_patient")).count().get_result(tx)?))
            .await;
        assert_eq!(changes, 0, "the event is gone");
        let metrics = app.anon().get("/metrics").await.text;
        assert!(!metrics.contains("legwork_audit_events_missing_total 0"), "{metrics}");
    }

    async fn row_19_the_event_of_a_read_that_the_database_does_not_have_ends_readiness(app: App) {
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        sealed(&app).await;
        delete_new_events(&app).await;
        desk.get(&format!("/v1/patients/{}", bob.patient_id)).await.expect(200);
        not_ready_for(&app, "committed audit events").await;
    }

    async fn row_19_events_that_are_kept_and_purged_leave_the_service_ready(app: App) {
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        for _ in 0..3 {
            desk.get(&format!("/v1/patients/{}", bob.patient_id)).await.expect(200);
        }
        sealed(&app).await;
        app.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
        let (env, before) = (app.env.clone(), app.clock.now());
        assert!(app.db(move |tx| legwork::audit::purge::purge(tx, &env, before)).await > 3);
        desk.get("/v1/visit-types").await;
        sealed(&app).await;
        ready(&app).await;
        let metrics = app.anon().get("/metrics").await.text;
        assert!(metrics.contains("legwork_audit_events_missing_total 0"), "{metrics}");
    }

    async fn row_19_a_changed_trigger_ends_readiness_and_is_found(app: App) {
        ready(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        // An addition, a definition under an old name, and a removal.
        run(
            &app,
            "CREATE RULE quiet AS ON INSERT TO audit_seals WHERE false DO INSTEAD NOTHING",
            "CREATE TRIGGER quiet AFTER INSERT ON audit_seals BEGIN SELECT 1; END",
        ).await;
        not_ready_for(&app, "audit_seals quiet").await;
        run(&app, "DROP RULE quiet ON audit_seals", "DROP TRIGGER quiet").await;
        ready(&app).await;
        run(
            &app,
            "CREATE OR REPLACE FUNCTION audit_seals_purged_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
            "DROP TRIGGER audit_seals_purged_only;
             CREATE TRIGGER audit_seals_purged_only BEFORE DELETE ON audit_seals BEGIN SELECT 1; END",
        ).await;
        not_ready_for(&app, "audit_seals_purged_only (table and name) was changed").await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("audit_seals_purged_only"), "{found:?}");
        run(
            &app,
            "DROP TRIGGER audit_seals_purged_only ON audit_seals",
            "DROP TRIGGER audit_seals_purged_only",
        ).await;
        not_ready_for(&app, "audit_seals_purged_only (table and name) was removed").await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("was removed"), "{found:?}");
    }

    async fn row_19_events_that_the_database_does_not_store_end_readiness_after_a_while(app: App) {
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        sealed(&app).await;
        run(
            &app,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
             CREATE TRIGGER broken BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION fail()",
            "CREATE TRIGGER broken BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no'); END",
        ).await;
        desk.get(&format!("/v1/patients/{}", bob.patient_id)).await.expect(200);
        app.clock.advance(jiff::SignedDuration::from_mins(1));
        not_ready_for(&app, "Audit events cannot be stored").await;
        run(&app, "DROP TRIGGER broken ON audit_events", "DROP TRIGGER broken").await;
        ready(&app).await;
        let reads: i64 = app
            .db(|tx| Ok(audit_events::table.filter(audit_events::operation.eq("get_patient")).count().get_result(tx)?))
            .await;
        assert_eq!(reads, 1, "no event is lost");
    }
}

#[test]
fn row_19_a_disabled_trigger_and_row_security_end_readiness() {
    crate::support::app::run(crate::support::Engine::Postgres, async |app: App| {
        for (change, back, words) in [
            (
                "ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only",
                "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_append_only",
                "was changed or disabled",
            ),
            (
                "ALTER TABLE audit_seals ENABLE TRIGGER audit_seals_append_only",
                "ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_append_only",
                "was changed or disabled",
            ),
            (
                "ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE audit_events DISABLE ROW LEVEL SECURITY",
                "audit_events row security",
            ),
            // A constraint of a child table can leave its events out of filtered lists.
            (
                "CREATE TABLE hidden_events (CHECK (operation = '')) INHERITS (audit_events)",
                "DROP TABLE hidden_events",
                "audit_events child table hidden_events",
            ),
        ] {
            run(&app, change, "").await;
            not_ready_for(&app, words).await;
            run(&app, back, "").await;
            ready(&app).await;
        }
    });
}

#[test]
fn row_19_a_schema_that_the_database_puts_before_ours_is_not_used() {
    crate::support::app::run(crate::support::Engine::Postgres, async |app: App| {
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        run(
            &app,
            "CREATE SCHEMA other; CREATE TABLE other.patients (LIKE public.patients); CREATE TABLE other.audit_events (LIKE public.audit_events);
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = other, public', current_database()); END $$",
            "",
        )
        .await;
        // The service makes new connections.
        run(
            &app,
            "DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid(); END $$",
            "",
        )
        .await;
        for _ in 0..5 {
            eventually(async || {
                let reply = desk.get(&format!("/v1/patients/{}", bob.patient_id)).await;
                if reply.status == 200 { Ok(()) } else { Err(reply.text) }
            })
            .await;
        }
        let hidden: i64 = app
            .db(|tx| {
                let Conn::Postgres(tx) = tx else { return Ok(0) };
                let count = diesel::dsl::sql::<diesel::sql_types::BigInt>("(SELECT count(*) FROM other.audit_events)");
                Ok(diesel::select(count).get_result(tx)?)
            })
            .await;
        assert_eq!(hidden, 0, "no event went to the other schema");
        ready(&app).await;
        // The next start would find no tables there, and create an empty clinic.
        run(&app, "DROP TABLE other.patients, other.audit_events", "").await;
        let refusal = Process::try_start(&app.site).await.err().expect("the service does not start");
        assert!(refusal.contains("are in the schema public") && refusal.contains("search path"), "{refusal}");
    });
}

#[test]
fn row_19_a_session_in_the_role_of_a_replica_does_not_change_the_trail() {
    crate::support::app::run(crate::support::Engine::Postgres, async |app: App| {
        app.patient("ann").await;
        app.patient("bob").await;
        app.desk().await.get("/v1/patients").await.expect(200);
        eventually(async || {
            let shown: i64 = app.db(|tx| Ok(audit_event_patients::table.count().get_result(tx)?)).await;
            if shown > 0 { Ok(()) } else { Err("the list has no event yet".to_owned()) }
        })
        .await;
        for change in [
            "DELETE FROM audit_event_patients",
            "DELETE FROM audit_events",
            "UPDATE audit_events SET operation = 'x'",
            "TRUNCATE audit_purges",
        ] {
            app.db(move |tx| {
                let Conn::Postgres(pg) = tx else { return Ok(()) };
                let changed = pg.transaction(|pg| {
                    pg.batch_execute(&format!("SET LOCAL session_replication_role = replica; {change}"))
                });
                let error = changed.expect_err(change).to_string();
                assert!(error.contains("audit_append_only"), "{change}: {error}");
                Ok(())
            })
            .await;
        }
    });
}
