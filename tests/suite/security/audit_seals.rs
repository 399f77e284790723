//! Row 19: the audit trail is append-only and sealed, and every change of it is found.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use legwork::audit::sealing::seal_all;
use legwork::audit::verify::KnownHead;
use legwork::audit::{purge, seal};
use legwork::db::schema::{audit_events, audit_purges, audit_seals};
use legwork::db::{Conn, advisory_lock};
use serde_json::{Value, json};

use crate::support::audit::{findings, sealed, tamper, tamper_with};
use crate::support::process::Process;
use crate::support::{App, Client, Engine, both};

/// Three reads of a record, all of them stored and sealed. Returns the administrator.
pub(super) async fn some_history(app: &App) -> Client {
    let (admin, desk) = (app.admin().await, app.desk().await);
    let ann = app.patient("ann").await;
    for _ in 0..3 {
        desk.get(&format!("/v1/patients/{}", ann.patient_id)).await.expect(200);
    }
    sealed(app).await;
    admin
}

async fn head(app: &App) -> KnownHead {
    app.db(seal::head).await.to_string().parse().expect("a head")
}

/// The id of an event in the middle of the trail, in SQL.
const ONE: &str = "(SELECT event_id FROM audit_seals WHERE seq = 2)";

both! {
    async fn row_19_a_deleted_reason_is_found(app: App) {
        let doctor = app.doctor().await;
        let ann = app.patient("ann").await;
        doctor.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.expect(200);
        app.admin().await.get("/v1/audit-events?operation=open_record").await.items();
        sealed(&app).await;
        assert!(findings(&app, None).await.is_empty());
        app.db(|tx| Ok(tx.batch_execute("DELETE FROM record_openings")?)).await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("the reason of event"), "{found:?}");
    }

    async fn row_19_a_changed_reason_is_found_and_the_others_can_still_be_read(app: App) {
        let (admin, doctor) = (app.admin().await, app.doctor().await);
        for name in ["ann", "bob"] {
            let patient = app.patient(name).await;
            doctor.get(&format!("/v1/patients/{}/rls-timeline", patient.patient_id)).await.expect(200);
        }
        let events = admin.get("/v1/audit-events?operation=open_record").await.items();
        let reason = events[0]["reason"].clone();
        assert!(reason.is_string(), "{events:#?}");
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        let (empty, hour, day) = match app.engine {
            Engine::Postgres => ("''::bytea", "interval '1 hour'", "interval '1 day'"),
            Engine::Sqlite => ("x''", "3600000000", "86400000000"),
        };
        app.db(|tx| Ok(tx.batch_execute("CREATE TABLE kept AS SELECT * FROM record_openings")?)).await;
        let one = "WHERE id = (SELECT id FROM kept ORDER BY id LIMIT 1)";
        let other = "(SELECT reason FROM kept ORDER BY id DESC LIMIT 1)";
        for (change, words) in [
            (format!("reason = {empty}"), "cannot be decrypted"),
            (format!("reason = {other}"), "cannot be decrypted"),
            (format!("opened_at = opened_at - {hour}"), "has another time"),
            (format!("expires_at = opened_at + 8 * {day}"), "for longer than"),
            ("patient_id = (SELECT patient_id FROM kept ORDER BY id DESC LIMIT 1)".to_owned(), "another account or patient"),
        ] {
            let sql = format!("UPDATE record_openings SET {change} {one}");
            app.db(move |tx| Ok(tx.batch_execute(&sql)?)).await;
            let found = findings(&app, None).await;
            assert!(found.len() == 1 && found[0].contains(words), "{change}: {found:?}");
            let events = admin.get("/v1/audit-events?operation=open_record").await.items();
            let reasons: Vec<_> = events.iter().map(|event| &event["reason"]).collect();
            let first = if words == "cannot be decrypted" { &Value::Null } else { &reason };
            // The newest first.
            assert_eq!(reasons, [&reason, first], "{change}");
            let back = ["patient_id", "reason", "opened_at", "expires_at"]
                .map(|column| format!("{column} = (SELECT {column} FROM kept WHERE kept.id = record_openings.id)"));
            let sql = format!("UPDATE record_openings SET {}", back.join(", "));
            app.db(move |tx| Ok(tx.batch_execute(&sql)?)).await;
            assert_eq!(findings(&app, None).await, Vec::<String>::new(), "put back after {change}");
        }
    }

    async fn row_19_the_database_rejects_changes_and_deletions_of_events_and_seals(app: App) {
        some_history(&app).await;
        let mut attempts = vec![
            "UPDATE audit_events SET operation = 'nothing'",
            "DELETE FROM audit_events",
            "UPDATE audit_seals SET seq = seq + 1000",
            "DELETE FROM audit_seals",
        ];
        if app.engine == Engine::Postgres {
            attempts.extend(["TRUNCATE audit_events", "TRUNCATE audit_seals", "TRUNCATE audit_purges"]);
        }
        for sql in attempts {
            let refused = app.env.db.write(move |tx| Ok(tx.batch_execute(sql)?)).await;
            let error = refused.expect_err(sql).to_string();
            assert!(error.contains("audit_append_only"), "{sql}: {error}");
        }
        if app.engine == Engine::Sqlite {
            let replace = "REPLACE INTO audit_events SELECT id, at, actor_id, role, 'nothing', outcome, status, patient_id, \
                object_id, address, request_id, times, key_id, mac, shown FROM audit_events";
            app.db(move |tx| Ok(tx.batch_execute(replace)?)).await;
        }
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }

    async fn row_19_every_change_of_the_trail_outside_the_service_is_found(app: App) {
        some_history(&app).await;
        let known = head(&app).await;
        assert_eq!(findings(&app, Some(known.clone())).await, Vec::<String>::new());
        let blob = if app.engine == Engine::Postgres { "decode('00', 'hex')" } else { "x'00'" };
        let found = async |what: &str, words: &str| {
            let findings = findings(&app, None).await;
            assert!(findings.iter().any(|finding| finding.contains(words)), "{what}: {findings:#?}");
        };

        tamper(&app, &format!("UPDATE audit_events SET times = 7 WHERE id = {ONE}")).await;
        found("edited", "was edited").await;
        tamper(&app, &format!("UPDATE audit_events SET times = 1 WHERE id = {ONE}")).await;

        // Two events swap their places in the chain: seq 2 and 3.
        let swap = "UPDATE audit_seals SET seq = -2 WHERE seq = 2; UPDATE audit_seals SET seq = 2 WHERE seq = 3; \
            UPDATE audit_seals SET seq = 3 WHERE seq = -2";
        tamper(&app, swap).await;
        found("reordered", "seal 2").await;
        tamper(&app, swap).await;

        tamper(&app, "CREATE TABLE kept AS SELECT * FROM audit_seals WHERE seq = 2; DELETE FROM audit_seals WHERE seq = 2").await;
        found("a seal taken away", "seals 2 to 2 are missing").await;
        // The service would seal the event again, but the gap in the chain stays.
        tamper(&app, "DELETE FROM audit_seals WHERE event_id IN (SELECT event_id FROM kept); \
            INSERT INTO audit_seals SELECT * FROM kept; DROP TABLE kept").await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new(), "put back as it was");

        let forged = format!("INSERT INTO audit_events SELECT {id}, at, actor_id, role, operation, outcome, status, patient_id, \
            object_id, address, request_id, times, key_id, {blob}, shown FROM audit_events WHERE id = {ONE}",
            id = if app.engine == Engine::Postgres { "'00000000-0000-7000-8000-000000000001'::uuid" } else { "x'00000000000070008000000000000001'" });
        tamper(&app, &forged).await;
        found("put in", "not written by this service").await;
        sealed(&app).await;
        found("put in and sealed", "not written by this service").await;

        tamper(&app, &format!("DELETE FROM audit_events WHERE id = {ONE}")).await;
        found("removed", "was removed").await;
    }

    async fn row_19_a_removed_end_of_the_trail_is_found_with_a_recorded_head(app: App) {
        some_history(&app).await;
        let known = head(&app).await;
        tamper(&app, "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_seals WHERE seq > 3); \
            DELETE FROM audit_seals WHERE seq > 3").await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new(), "by itself a shorter chain is whole");
        let findings = findings(&app, Some(known)).await;
        assert!(findings.iter().any(|finding| finding.contains("the end is cut off")), "{findings:#?}");
    }

    async fn row_19_a_change_whose_event_the_database_drops_is_rejected(app: App) {
        some_history(&app).await;
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        app.db(|tx| {
            match tx {
                Conn::Postgres(tx) => tx.batch_execute(
                    "CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                     CREATE TRIGGER quiet BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION drop_it()",
                ),
                Conn::Sqlite(tx) => {
                    tx.batch_execute("CREATE TRIGGER quiet BEFORE INSERT ON AUDIT_EVENTS BEGIN SELECT RAISE(IGNORE); END")
                }
            }?;
            Ok(())
        })
        .await;
        let record = format!("/v1/patients/{}", bob.patient_id);
        let etag = desk.get(&record).await.etag();
        desk.patch(&record, &etag, json!({"phone": "+1 212 555 0199"})).await.expect(500);
        assert_eq!(desk.get(&record).await.etag(), etag, "nothing was changed");
        let found = findings(&app, None).await;
        assert!(found.iter().any(|finding| finding.contains("This program did not create the trigger, rule or child table")), "{found:?}");
        let refusal = Process::try_start(&app.site).await.err().expect("the service does not start");
        assert!(refusal.contains("audit_events quiet") || refusal.contains("AUDIT_EVENTS quiet"), "{refusal}");
    }

    async fn row_19_an_old_event_without_a_seal_is_found(app: App) {
        some_history(&app).await;
        app.clock.advance(jiff::SignedDuration::from_hours(24));
        app.admin().await.get("/v1/me").await.expect(200);
        sealed(&app).await;
        tamper(&app, "DELETE FROM audit_seals WHERE seq = 2").await;
        // The regular search for events without a seal does not reach back a day.
        seal_all(&app.env, seal::LATE).await.expect("sealed");
        let findings = findings(&app, None).await;
        assert!(findings.iter().any(|finding| finding.contains("has no seal")), "{findings:#?}");
    }

    async fn row_19_a_chain_that_was_deleted_and_sealed_again_is_found_by_the_time_of_its_seals(app: App) {
        let desk = app.desk().await;
        some_history(&app).await;
        app.clock.advance(jiff::SignedDuration::from_hours(1));
        desk.get("/v1/patients").await.expect(200);
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        let set = match app.engine {
            Engine::Postgres => ("at - interval '1 hour'", "at + interval '1 hour'"),
            Engine::Sqlite => ("at - 3600000000", "at + 3600000000"),
        };
        tamper(&app, &format!("UPDATE audit_seals SET at = {} WHERE seq = 2", set.0)).await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("or the seal was changed"), "{found:?}");
        tamper(&app, &format!("UPDATE audit_seals SET at = {} WHERE seq = 2", set.1)).await;

        tamper(&app, &format!("DELETE FROM audit_events WHERE id = {ONE}; DELETE FROM audit_seals WHERE seq >= 2")).await;
        sealed(&app).await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("sealed more than ten minutes after"), "{found:?}");
        // The operator found an explanation, and stored a new head.
        assert_eq!(findings(&app, Some(head(&app).await)).await, Vec::<String>::new());
        app.admin().await.get("/v1/me").await.expect(200);
    }

    async fn row_19_seals_from_before_they_had_a_time_still_verify(app: App) {
        some_history(&app).await;
        let signer = app.env.signer.clone();
        tamper_with(&app, move |tx| {
            // The service seals meanwhile, and only one can.
            advisory_lock::wait_for_key(tx, advisory_lock::SEALING)?;
            tx.batch_execute("DELETE FROM audit_seals")?;
            // As an earlier version sealed.
            assert!(seal::seal(tx, &signer, seal::VERY_LATE, None)? > 3);
            Ok(())
        })
        .await;
        app.clock.advance(jiff::SignedDuration::from_hours(1));
        app.admin().await.get("/v1/me").await.expect(200);
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }

    async fn row_19_events_are_sealed_after_the_clock_of_a_server_was_ahead(app: App) {
        let hours = jiff::SignedDuration::from_hours(3);
        app.clock.advance(hours);
        some_history(&app).await;
        app.clock.advance(-hours);
        app.patient("bob").await;
        sealed(&app).await;
        // Not by what the search for unsealed events finds, which this test is about.
        let unsealed = app.db(|tx| {
            let sealed = audit_seals::table.select(audit_seals::event_id);
            Ok(audit_events::table.filter(audit_events::id.ne_all(sealed)).count().get_result::<i64>(tx)?)
        });
        assert_eq!(unsealed.await, 0);
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }

    async fn row_19_a_purge_removes_sealed_events_and_the_rest_still_verifies(app: App) {
        let admin = some_history(&app).await;
        let before = app.clock.now().plus(jiff::SignedDuration::from_secs(1));
        app.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
        admin.get("/v1/me").await.expect(200);
        sealed(&app).await;
        let known = head(&app).await;
        let env = app.env.clone();
        let gone = app.db(move |tx| purge::purge(tx, &env, before)).await;
        assert!(gone > 3, "{gone}");
        assert_eq!(findings(&app, Some(known)).await, Vec::<String>::new());
        let (left, purges) = app
            .db(|tx| Ok((audit_events::table.count().get_result::<i64>(tx)?, audit_purges::table.count().get_result::<i64>(tx)?)))
            .await;
        assert!((1..10).contains(&left), "{left}");
        assert_eq!(purges, 1);
        let env = app.env.clone();
        assert_eq!(app.db(move |tx| purge::purge(tx, &env, before)).await, 0, "there is nothing more");
        // An attacker with the database can insert a purge, but not sign it.
        let blob = if app.engine == Engine::Postgres { "decode('00', 'hex')" } else { "x'00'" };
        let forged = format!("INSERT INTO audit_purges SELECT seq, hmac, p.at, p.key_id, {blob} \
            FROM audit_seals, audit_purges p ORDER BY seq LIMIT 1");
        app.db(move |tx| Ok(tx.batch_execute(&forged)?)).await;
        let findings = findings(&app, None).await;
        assert!(findings.iter().any(|finding| finding.contains("was not made by this service")), "{findings:#?}");
    }

    async fn row_19_an_emptied_trail_and_a_record_that_was_opened_without_an_event_are_found(app: App) {
        some_history(&app).await;
        let doctor = app.doctor().await;
        let bob = app.patient("bob").await;
        doctor.get(&format!("/v1/patients/{}/rls-timeline", bob.patient_id)).await.expect(200);
        tokio::time::sleep(Duration::from_millis(600)).await;
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        let id = if app.engine == Engine::Postgres { "'00000000-0000-7000-8000-000000000001'::uuid" } else { "x'00000000000070008000000000000001'" };
        tamper(&app, &format!("INSERT INTO record_openings SELECT {id}, user_id, patient_id, reason, opened_at, expires_at FROM record_openings")).await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("no event has opening"), "{found:?}");
        tamper(&app, "DELETE FROM record_openings; DELETE FROM audit_seals; DELETE FROM audit_events").await;
        let found = findings(&app, None).await;
        assert!(found.iter().any(|finding| finding.contains("the trail is empty although there are accounts")), "{found:?}");
    }
}

#[test]
fn row_19_an_index_that_hides_events_from_lists_is_found() {
    crate::support::app::run(Engine::Sqlite, async |app: App| {
        some_history(&app).await;
        sealed(&app).await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
        app.db(|tx| {
            let Conn::Sqlite(tx) = tx else { return Ok(()) };
            let whole = "CREATE INDEX audit_events_operation ON audit_events (operation, at, id)";
            tx.batch_execute(&format!(
                "DROP INDEX audit_events_operation; {whole} WHERE times > 1000000; PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = '{whole}' WHERE name = 'audit_events_operation'; PRAGMA writable_schema = OFF"
            ))?;
            Ok(())
        })
        .await;
        let found = findings(&app, None).await;
        assert!(found.iter().any(|finding| finding.contains("audit_events_operation")), "{found:#?}");
    });
}
