//! The audit trail: what stands in it, that it is sealed, and that no change of it goes unnoticed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use legwork::actor::Role;
use legwork::audit::verify::{KnownHead, verify};
use legwork::audit::{purge, seal};
use legwork::db::Conn;
use legwork::db::schema::{audit_events, audit_purges, audit_seals};
use legwork::ids::{ObjectId, UserId};
use serde_json::{Value, json};

use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::{self, Process};
use crate::support::site::{DATA_KEYS, Site};
use crate::support::{App, Client, Engine, app, both};

/// Asks for a page of the trail until it is as it should be: what is no change is written a moment later.
async fn until(admin: &Client, query: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let events = admin.get(&format!("/v1/audit-events?limit=200&{query}")).await.items();
        if holds(&events) {
            return events;
        }
        assert!(Instant::now() < patience, "{query}: {events:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The events that say this, in any order.
fn of<'a>(events: &'a [Value], operation: &str, outcome: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["operation"] == operation && event["outcome"] == outcome).collect()
}

/// Waits until every event has its seal.
async fn sealed(app: &App) {
    let patience = Instant::now() + Duration::from_secs(10);
    while app.db(|tx| seal::oldest_unsealed(tx, seal::VERY_LATE)).await.is_some() {
        assert!(Instant::now() < patience, "events wait for their seals");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Some events, all of them written and sealed.
async fn some_history(app: &App) -> Client {
    let (admin, desk) = (app.admin().await, app.desk().await);
    let ann = app.patient("ann").await;
    for _ in 0..3 {
        desk.get(&format!("/v1/patients/{}", ann.patient_id)).await.expect(200);
    }
    until(&admin, "operation=get_patient", |events| events.len() == 3).await;
    // That the trail was read is an event as well.
    tokio::time::sleep(Duration::from_millis(600)).await;
    sealed(app).await;
    admin
}

/// Changes the trail as somebody might who has the database to themselves.
async fn tamper(app: &App, sql: &str) {
    let sql = sql.to_owned();
    app.db(move |tx| {
        match tx {
            Conn::Postgres(tx) => {
                for table in ["audit_events", "audit_seals", "audit_purges"] {
                    tx.batch_execute(&format!("ALTER TABLE {table} DISABLE TRIGGER ALL"))?;
                }
                tx.batch_execute(&sql)?;
            }
            Conn::Sqlite(tx) => {
                for trigger in [
                    "events_append_only",
                    "seals_append_only",
                    "events_purged_only",
                    "seals_purged_only",
                    "seals_no_replace",
                ] {
                    tx.batch_execute(&format!("DROP TRIGGER IF EXISTS audit_{trigger}"))?;
                }
                tx.batch_execute(&sql)?;
            }
        }
        Ok(())
    })
    .await;
}

/// The findings about the trail as it is.
async fn findings(app: &App, head: Option<KnownHead>) -> Vec<String> {
    verify(&app.env, head).await.expect("checked").findings
}

async fn head(app: &App) -> KnownHead {
    app.db(seal::head).await.to_string().parse().expect("a head")
}

/// An audit event of the middle of the trail, as SQL names it.
const ONE: &str = "(SELECT event_id FROM audit_seals WHERE seq = 2)";

both! {
    async fn row_19_an_event_says_who_did_what_to_whom_how_it_ended_and_from_where(app: App) {
        let (admin, doctor) = (app.admin().await, app.doctor().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let path = format!("/v1/patients/{}/intakes", ann.patient_id);
        let headers = [("X-Request-Id", "the-first-draft"), ("Idempotency-Key", "one")];
        let draft = ann.post_with(&path, json!({"form": "rls-history"}), &headers).await;
        let id = draft.expect(201).id();
        // What changes something is there with the answer.
        let events = admin.get("/v1/audit-events?operation=create_intake").await.items();
        assert_eq!(events.len(), 1, "{events:#?}");
        let event = &events[0];
        assert_eq!(event["actor_id"], *ann.user_id);
        assert_eq!((&event["role"], &event["outcome"]), (&json!("patient"), &json!("success")));
        assert_eq!((&event["patient_id"], &event["object_id"]), (&json!(ann.patient_id), &json!(id)));
        assert_eq!((&event["address"], &event["request_id"]), (&json!("127.0.0.1"), &json!("the-first-draft")));
        assert_eq!((&event["at"], &event["times"]), (&json!("2026-03-02T14:00:00Z"), &json!(1)));
        // A repeat is told from the deed.
        ann.post_with(&path, json!({"form": "rls-history"}), &headers).await.expect(201);
        until(&admin, "operation=create_intake", |events| of(events, "create_intake", "replayed").len() == 1).await;

        // Reads, and refusals of every kind.
        let record = format!("/v1/patients/{}", ann.patient_id);
        doctor.get(&record).await.expect(200);
        bob.get(&record).await.problem(404, "not_found");
        bob.get("/v1/messages").await.problem(403, "role_forbidden");
        app.anon().with_token("forged").get(&record).await.expect(401);
        for _ in 0..2 {
            let wrong = json!({"email": ann.email, "password": "not-the-password-of-ann"});
            app.anon().post("/v1/sessions", wrong).await.expect(401);
        }
        let query = format!("patient_id={}", ann.patient_id);
        let events = until(&admin, &query, |events| {
            of(events, "get_patient", "success").len() == 1 && of(events, "get_patient", "refused").len() == 1
        })
        .await;
        assert_eq!(of(&events, "get_patient", "success")[0]["actor_id"], *doctor.user_id);
        let refused = of(&events, "get_patient", "refused")[0];
        assert_eq!((&refused["actor_id"], &refused["status"]), (&json!(bob.user_id), &json!(404)));
        let query = format!("actor_id={}&outcome=refused&operation=list_messages", bob.user_id);
        assert_eq!(until(&admin, &query, |events| events.len() == 1).await[0]["status"], 403);
        let times = |events: &[Value]| events.iter().filter_map(|event| event["times"].as_i64()).sum::<i64>();
        until(&admin, "outcome=refused&operation=create_session", |events| times(events) == 2).await;
        let forged = until(&admin, "outcome=refused&operation=get_patient", |events| events.len() == 2).await;
        assert!(forged.iter().any(|event| event["status"] == 401 && event["actor_id"].is_null()), "{forged:#?}");
    }

    async fn row_19_a_failed_log_in_says_whose_account_was_tried_and_not_what_was_typed(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let wrong = async |email: &str| {
            app.anon().post("/v1/sessions", json!({"email": email, "password": "Sesame-open-thyself"})).await
        };
        for _ in 0..3 {
            wrong("ANN@patients.example").await.problem(401, "invalid_credentials");
            wrong("mallory-typed-this@example.org").await.problem(401, "invalid_credentials");
        }
        let times = |events: &[&Value]| events.iter().filter_map(|event| event["times"].as_i64()).sum::<i64>();
        let query = format!("object_id={}&operation=create_session", ann.user_id);
        let tried = until(&admin, &query, |events| times(&of(events, "create_session", "refused")) == 3).await;
        for event in &tried {
            assert_eq!((&event["actor_id"], &event["status"]), (&Value::Null, &json!(401)));
            assert_eq!((&event["object_id"], &event["address"]), (&json!(ann.user_id), &json!("127.0.0.1")));
        }
        // Who has no account is nobody, and what was typed stands nowhere.
        let all = until(&admin, "operation=create_session&outcome=refused", |events| {
            times(&events.iter().collect::<Vec<_>>()) == 6
        })
        .await;
        assert_eq!(times(&all.iter().filter(|event| event["object_id"].is_null()).collect::<Vec<_>>()), 3, "{all:#?}");
        let said = json!(all).to_string().to_lowercase();
        for typed in ["ann@", "mallory", "sesame"] {
            assert!(!said.contains(typed), "{typed} in {said}");
        }
        // A log-in that succeeds is about the session that it opens.
        let events = admin.get(&format!("/v1/audit-events?operation=create_session&actor_id={}", ann.user_id)).await.items();
        assert_ne!(of(&events, "create_session", "success")[0]["object_id"], *ann.user_id);
    }

    async fn row_19_of_a_flood_one_refusal_is_written_down_for_each_caller(app: App) {
        let app = app.restart(&["--rate-limits", "enter=100/1m,public=1000/1m,read=2/60m,write=1000/1m"]);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        for (who, asks) in [(&ann, 60), (&bob, 5)] {
            for number in 0..asks {
                let reply = who.get("/v1/me").await;
                if number < 2 { reply.expect(200); } else { reply.problem(429, "rate_limited"); }
            }
        }
        // The throttle of passwords counts in the same way: beyond the free ones, each try is sent away.
        let guess = json!({"email": ann.email, "password": "Sesame-open-thyself"});
        let mut sent_away = 0;
        for _ in 0..20 {
            sent_away += i32::from(app.anon().post("/v1/sessions", guess.clone()).await.status == 429);
        }
        assert!(sent_away >= 14, "{sent_away}");
        let noted = async || -> Vec<(Option<UserId>, Option<ObjectId>, i32)> {
            app.db(|tx| {
                let refused = audit_events::table.filter(audit_events::status.eq(429)).order(audit_events::id);
                Ok(refused.select((audit_events::actor_id, audit_events::object_id, audit_events::times)).load(tx)?)
            })
            .await
        };
        let patience = Instant::now() + Duration::from_secs(10);
        while noted().await.len() < 3 {
            assert!(Instant::now() < patience, "{:?}", noted().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        let id = |who: &Client| who.user_id.parse::<uuid::Uuid>().expect("an id");
        let expected = [
            (Some(UserId(id(&ann))), None, 1),
            (Some(UserId(id(&bob))), None, 1),
            (None, Some(ObjectId(id(&ann))), 1),
        ];
        assert_eq!(noted().await, expected);
    }

    async fn row_19_no_other_spelling_of_a_path_gets_past_the_trail(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        // What routing would decode: of each path one letter, also in the part that names the object.
        for path in ["/v1/%70atients", "/v1/patient%73", "/%761/users", "/v1/%61udit-events"] {
            admin.get(path).await.problem(404, "not_found");
        }
        let escaped = ann.patient_id.replacen(&ann.patient_id[..1], &format!("%{:x}", ann.patient_id.as_bytes()[0]), 1);
        admin.get(&format!("/v1/patients/{escaped}")).await.problem(404, "not_found");
        admin.get(&format!("/v1/patients/{escaped}/export")).await.problem(404, "not_found");
        app.anon().post("/v1/%73essions", json!({"email": "a@b.example", "password": "x"})).await.problem(404, "not_found");
    }

    async fn row_19_wrong_proofs_of_who_one_is_are_refusals(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let change = json!({"current_password": "is it this one?", "new_password": "violet otter hums at dawn"});
        ann.post("/v1/me/password", change).await.invalid("/current_password", "wrong_password");
        let change = json!({"current_password": "is it this one?", "new_email": "mine@patients.example"});
        ann.post("/v1/me/email", change).await.invalid("/current_password", "wrong_password");
        let reset = json!({"token": "guessed", "new_password": "violet otter hums at dawn"});
        app.anon().post("/v1/password-resets/confirm", reset).await.invalid("/token", "invalid_token");
        app.anon().post("/v1/email-verifications", json!({"token": "guessed"})).await.invalid("/token", "invalid_token");
        for operation in ["change_password", "change_email", "confirm_password_reset", "verify_email"] {
            let query = format!("operation={operation}&outcome=refused");
            let events = until(&admin, &query, |events| events.len() == 1).await;
            assert_eq!((&events[0]["status"], &events[0]["address"]), (&json!(422), &json!("127.0.0.1")));
        }
        let by_ann = until(&admin, &format!("actor_id={}&outcome=refused", &*ann.user_id), |events| events.len() == 2).await;
        assert_eq!(by_ann[0]["role"], "patient");
        // Other wrong input is none of the trail's business.
        ann.post("/v1/me/password", json!({"current_password": PASSWORD, "new_password": "short"})).await.expect(422);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(admin.get("/v1/audit-events?operation=change_password").await.items().len(), 1);
    }

    async fn row_19_a_reason_that_was_taken_away_is_found(app: App) {
        let doctor = app.doctor().await;
        let ann = app.patient("ann").await;
        doctor.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.expect(200);
        app.admin().await.get("/v1/audit-events?operation=open_record").await.items();
        tokio::time::sleep(Duration::from_millis(600)).await;
        sealed(&app).await;
        assert!(findings(&app, None).await.is_empty());
        app.db(|tx| Ok(tx.batch_execute("DELETE FROM record_openings")?)).await;
        let found = findings(&app, None).await;
        assert!(found.len() == 1 && found[0].contains("the reason of event"), "{found:?}");
    }

    async fn row_19_a_reason_that_was_changed_is_found_and_the_others_can_still_be_read(app: App) {
        let (admin, doctor) = (app.admin().await, app.doctor().await);
        for name in ["ann", "bob"] {
            let patient = app.patient(name).await;
            doctor.get(&format!("/v1/patients/{}/rls-timeline", patient.patient_id)).await.expect(200);
        }
        let events = admin.get("/v1/audit-events?operation=open_record").await.items();
        let reason = events[0]["reason"].clone();
        assert!(reason.is_string(), "{events:#?}");
        tokio::time::sleep(Duration::from_millis(600)).await;
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
            (format!("reason = {empty}"), "cannot be read"),
            (format!("reason = {other}"), "cannot be read"),
            (format!("opened_at = opened_at - {hour}"), "stands at another time"),
            (format!("expires_at = opened_at + 8 * {day}"), "for longer than"),
            ("patient_id = (SELECT patient_id FROM kept ORDER BY id DESC LIMIT 1)".to_owned(), "another account or patient"),
        ] {
            let sql = format!("UPDATE record_openings SET {change} {one}");
            app.db(move |tx| Ok(tx.batch_execute(&sql)?)).await;
            let found = findings(&app, None).await;
            assert!(found.len() == 1 && found[0].contains(words), "{change}: {found:?}");
            let events = admin.get("/v1/audit-events?operation=open_record").await.items();
            let reasons: Vec<_> = events.iter().map(|event| &event["reason"]).collect();
            let first = if words == "cannot be read" { &Value::Null } else { &reason };
            // The newest first.
            assert_eq!(reasons, [&reason, first], "{change}");
            let back = ["patient_id", "reason", "opened_at", "expires_at"]
                .map(|column| format!("{column} = (SELECT {column} FROM kept WHERE kept.id = record_openings.id)"));
            let sql = format!("UPDATE record_openings SET {}", back.join(", "));
            app.db(move |tx| Ok(tx.batch_execute(&sql)?)).await;
            assert_eq!(findings(&app, None).await, Vec::<String>::new(), "put back after {change}");
        }
    }

    async fn row_19_the_database_refuses_to_change_or_delete_an_event_or_a_seal(app: App) {
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

    async fn row_19_whatever_is_done_to_the_trail_behind_the_service_is_found(app: App) {
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

        // Two events change places in the chain: seq 2 and 3.
        let swap = "UPDATE audit_seals SET seq = -2 WHERE seq = 2; UPDATE audit_seals SET seq = 2 WHERE seq = 3; \
            UPDATE audit_seals SET seq = 3 WHERE seq = -2";
        tamper(&app, swap).await;
        found("reordered", "seal 2").await;
        tamper(&app, swap).await;

        tamper(&app, "CREATE TABLE kept AS SELECT * FROM audit_seals WHERE seq = 2; DELETE FROM audit_seals WHERE seq = 2").await;
        found("a seal taken away", "seals 2 to 2 are missing").await;
        // The service would seal the event anew; the chain has its gap all the same.
        tamper(&app, "DELETE FROM audit_seals WHERE event_id IN (SELECT event_id FROM kept); \
            INSERT INTO audit_seals SELECT * FROM kept; DROP TABLE kept").await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new(), "put back as it was");

        let forged = format!("INSERT INTO audit_events SELECT {id}, at, actor_id, role, operation, outcome, status, patient_id, \
            object_id, address, request_id, times, key_id, {blob}, shown FROM audit_events WHERE id = {ONE}",
            id = if app.engine == Engine::Postgres { "'00000000-0000-7000-8000-000000000001'::uuid" } else { "x'00000000000070008000000000000001'" });
        tamper(&app, &forged).await;
        found("put in", "not written by this service").await;
        // Sealed or not by now, it stays found.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        found("put in and sealed", "not written by this service").await;

        tamper(&app, &format!("DELETE FROM audit_events WHERE id = {ONE}")).await;
        found("removed", "was removed").await;
    }

    async fn row_19_a_cut_tail_shows_against_a_head_that_was_written_down(app: App) {
        some_history(&app).await;
        let known = head(&app).await;
        tamper(&app, "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_seals WHERE seq > 3); \
            DELETE FROM audit_seals WHERE seq > 3").await;
        assert_eq!(findings(&app, None).await, Vec::<String>::new(), "by itself a shorter chain is whole");
        let findings = findings(&app, Some(known)).await;
        assert!(findings.iter().any(|finding| finding.contains("the end is cut off")), "{findings:#?}");
    }

    async fn row_19_an_old_event_without_a_seal_is_found(app: App) {
        some_history(&app).await;
        app.clock.advance(jiff::SignedDuration::from_hours(24));
        app.admin().await.get("/v1/me").await.expect(200);
        until(&app.admin().await, "operation=get_me", |events| events.len() == 1).await;
        sealed(&app).await;
        // A day back the service does not look for what came late.
        tamper(&app, "DELETE FROM audit_seals WHERE seq = 2").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let findings = findings(&app, None).await;
        assert!(findings.iter().any(|finding| finding.contains("has no seal")), "{findings:#?}");
    }

    async fn row_19_a_purge_removes_whole_sealed_stretches_and_the_rest_still_holds(app: App) {
        let admin = some_history(&app).await;
        let before = app.clock.now().plus(jiff::SignedDuration::from_secs(1));
        app.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
        admin.get("/v1/me").await.expect(200);
        until(&admin, "operation=get_me", |events| events.len() == 1).await;
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
        // Who has the database could write a purge down themselves; but not sign it.
        let blob = if app.engine == Engine::Postgres { "decode('00', 'hex')" } else { "x'00'" };
        let forged = format!("INSERT INTO audit_purges SELECT seq, hmac, at, p.key_id, {blob} \
            FROM audit_seals, audit_purges p ORDER BY seq LIMIT 1");
        app.db(move |tx| Ok(tx.batch_execute(&forged)?)).await;
        let findings = findings(&app, None).await;
        assert!(findings.iter().any(|finding| finding.contains("was not made by this service")), "{findings:#?}");
    }

    async fn row_19_an_administrator_filters_the_trail_and_pages_through_it(app: App) {
        let admin = some_history(&app).await;
        for who in [app.desk().await, app.doctor().await, app.patient("bob").await.client] {
            who.get("/v1/audit-events").await.problem(403, "role_forbidden");
        }
        let desk = app.desk().await;
        let query = format!("actor_id={}&operation=get_patient&outcome=success", desk.user_id);
        let all = until(&admin, &query, |events| events.len() == 3).await;
        let first = admin.get(&format!("/v1/audit-events?{query}&limit=2")).await;
        let cursor = first.string("/next_cursor");
        let second = admin.get(&format!("/v1/audit-events?{query}&limit=2&cursor={cursor}")).await;
        assert_eq!([first.items(), second.items()].concat(), all);
        assert!(second.body["next_cursor"].is_null());
        admin.get("/v1/audit-events?from=2026-03-02T14:00:01Z").await.items();
        assert!(admin.get("/v1/audit-events?from=2026-03-02T14:00:01Z").await.items().is_empty());
        admin.get("/v1/audit-events?operation=Get%20Patient").await.invalid("?operation", "wrong_value");
        admin.get("/v1/audit-events?from=2026-03-02T14:00:00Z&to=2026-03-02T14:00:00Z").await.invalid("?to", "out_of_range");
        // Refusals that no token came with are counted, not listed one by one.
        for _ in 0..30 {
            app.anon().get("/v1/audit-events").await.expect(401);
        }
        let times = |events: &[Value]| events.iter().filter_map(|event| event["times"].as_i64()).sum::<i64>();
        let query = "operation=list_audit_events&outcome=refused";
        let refused = until(&admin, query, |events| times(events) == 33).await;
        assert!(refused.len() < 33, "{} lines", refused.len());
    }

    async fn row_19_a_patient_sees_who_used_the_record_and_no_stranger_does(app: App) {
        let (doctor, desk, admin) = (app.doctor().await, app.desk().await, app.admin().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let record = format!("/v1/patients/{}", ann.patient_id);
        for who in [&doctor, &desk, &ann.client] {
            who.get(&record).await.expect(200);
        }
        bob.get(&record).await.expect(404);
        let query = format!("patient_id={}&operation=get_patient", ann.patient_id);
        until(&admin, &query, |events| events.len() == 4).await;
        let path = format!("{record}/audit-events");
        let seen: Vec<_> = ann.get(&path).await.items();
        let reads: Vec<_> = seen.iter().filter(|event| event["operation"] == "get_patient").collect();
        assert_eq!(reads.len(), 3, "{seen:#?}");
        let by = |role: &str| *reads.iter().find(|event| event["role"] == role).expect("a read by this role");
        assert_eq!(by("practitioner")["name"], "doctor@clinic.example", "an account without a doctor's name has its own");
        assert!(by("front_desk")["name"].is_null());
        assert_eq!((&by("patient")["is_you"], &by("front_desk")["is_you"]), (&json!(true), &json!(false)));
        assert_eq!(by("patient")["description"], "Read a patient's record");
        for event in &seen {
            assert!(event.get("address").is_none() && event.get("actor_id").is_none(), "{event}");
        }
        bob.get(&path).await.problem(404, "not_found");
        desk.get(&path).await.problem(403, "role_forbidden");
        admin.get(&path).await.expect(200);
    }
}

fn run(site: &Site, arguments: &[&str]) -> (bool, String) {
    let output = process::command(site).args(arguments).output().expect("run the program");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Reads are written down before the service ends, and the commands look at the trail beside it.
fn row_19_what_was_read_last_is_there_after_the_end_of_the_service(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("admin@clinic.example", Role::Admin);
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let ann = admin.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
        let (good, said) = run(&site, &["audit", "verify"]);
        assert!(good, "{said}");
        for _ in 0..50 {
            admin.get(&format!("/v1/patients/{ann}")).await.expect(200);
        }
        let stopped = Command::new("kill").arg(server.child.id().to_string()).stdout(Stdio::null()).status();
        assert!(stopped.expect("kill").success());
        assert!(server.wait(Duration::from_secs(20)).expect("it ends").success(), "{}", server.log());
    });
    let mut conn = site.connect();
    let reads = audit_events::table.filter(audit_events::operation.eq("get_patient")).count();
    assert_eq!(reads.get_result::<i64>(&mut conn).expect("a count"), 50);
    let (events, seals): (i64, i64) = (
        audit_events::table.count().get_result(&mut conn).expect("a count"),
        audit_seals::table.count().get_result(&mut conn).expect("a count"),
    );
    assert_eq!(events, seals, "all of them are sealed");
    drop(conn);
    let (good, head) = run(&site, &["audit", "head"]);
    assert!(good, "{head}");
    let (good, said) = run(&site, &["audit", "verify", "--head", head.trim()]);
    assert!(good && said.contains(head.trim()), "{said}");
    let ahead = format!("{}:{}", events + 1, "ab".repeat(32));
    let (good, said) = run(&site, &["audit", "verify", "--head", &ahead]);
    assert!(!good && said.contains("cut off"), "{said}");
}

#[test]
fn row_19_what_was_read_last_is_there_after_the_end_of_the_service_sqlite() {
    row_19_what_was_read_last_is_there_after_the_end_of_the_service(Engine::Sqlite);
}

#[test]
fn row_19_what_was_read_last_is_there_after_the_end_of_the_service_postgres() {
    row_19_what_was_read_last_is_there_after_the_end_of_the_service(Engine::Postgres);
}

/// What the operator does stands in the trail as well.
fn row_19_what_is_done_from_the_command_line_is_written_down(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("admin@clinic.example", Role::Admin);
    let ring = format!("new:+DA4nBV78l6jeU/5O1O+drrc5TvlRGDGLRCEhxQKIWE=,{DATA_KEYS}");
    let run = |keys: &str, arguments: &[&str]| {
        let output = process::command(&site).env("DATA_KEYS", keys).args(arguments).output().expect("run the program");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(DATA_KEYS, &["admin", "create", "--email", "boss@clinic.example"]);
    run(DATA_KEYS, &["admin", "reset", "--email", "boss@clinic.example"]);
    app::runtime().block_on(async {
        // The others beside a server, which must know the new key first.
        let server = Process::start(&site, &[("DATA_KEYS", &ring)]).await;
        run(&ring, &["keys", "rotate"]);
        run(&ring, &["keys", "retire", "test"]);
        run(&ring, &["purge", "--dry-run"]);
        run(&ring, &["purge"]);
        run(&ring, &["keys", "list"]);
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let events = admin.get("/v1/audit-events").await.items();
        let by_command: Vec<_> = events.iter().rev().filter(|event| event["actor_name"] == "command line").collect();
        let operations: Vec<_> = by_command.iter().map(|event| event["operation"].as_str().expect("text")).collect();
        assert_eq!(operations, ["create_admin", "reset_admin", "rotate_data_keys", "retire_data_key", "purge"]);
        let boss = &by_command[0]["object_id"];
        assert!(boss.is_string() && *boss == by_command[1]["object_id"], "{by_command:#?}");
        for event in by_command {
            assert_eq!(
                (&event["actor_id"], &event["role"], &event["address"]),
                (&Value::Null, &Value::Null, &Value::Null)
            );
        }
        let (good, said) = {
            let output = process::command(&site).env("DATA_KEYS", &ring).args(["audit", "verify"]).output();
            let output = output.expect("run the program");
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert!(good, "{said}");
    });
}

#[test]
fn row_19_what_is_done_from_the_command_line_is_written_down_sqlite() {
    row_19_what_is_done_from_the_command_line_is_written_down(Engine::Sqlite);
}

#[test]
fn row_19_what_is_done_from_the_command_line_is_written_down_postgres() {
    row_19_what_is_done_from_the_command_line_is_written_down(Engine::Postgres);
}
