//! Row 19: what the audit trail records, and who can read it.

use std::process::{Command, Stdio};
use std::time::Duration;

use diesel::prelude::*;
use legwork::actor::Role;
use legwork::audit::AuditOutcome;
use legwork::db::schema::{audit_events, audit_seals};
use legwork::ids::{ObjectId, UserId};
use serde_json::{Value, json};

use super::audit_seals::some_history;
use crate::support::audit::{events_until, findings, stored};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::{self, Process};
use crate::support::site::{DATA_KEYS, Site};
use crate::support::{App, Client, Engine, app, both};

/// The events of an operation with an outcome.
fn of<'a>(events: &'a [Value], operation: &str, outcome: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["operation"] == operation && event["outcome"] == outcome).collect()
}

both! {
    async fn row_19_an_event_has_actor_operation_object_outcome_and_address(app: App) {
        let (admin, doctor) = (app.admin().await, app.doctor().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let path = format!("/v1/patients/{}/intakes", ann.patient_id);
        let headers = [("X-Request-Id", "the-first-draft"), ("Idempotency-Key", "one")];
        let draft = ann.post_with(&path, json!({"form": "rls-history"}), &headers).await;
        let id = draft.expect(201).id();
        // The event of a change is stored with the change.
        let events = admin.get("/v1/audit-events?operation=create_intake").await.items();
        assert_eq!(events.len(), 1, "{events:#?}");
        let event = &events[0];
        assert_eq!(event["actor_id"], *ann.user_id);
        assert_eq!((&event["role"], &event["outcome"]), (&json!("patient"), &json!("success")));
        assert_eq!((&event["patient_id"], &event["object_id"]), (&json!(ann.patient_id), &json!(id)));
        assert_eq!((&event["address"], &event["request_id"]), (&json!("127.0.0.1"), &json!("the-first-draft")));
        assert_eq!((&event["at"], &event["times"]), (&json!("2026-03-02T14:00:00Z"), &json!(1)));
        // A repeat has its own outcome.
        ann.post_with(&path, json!({"form": "rls-history"}), &headers).await.expect(201);
        events_until(&admin, "operation=create_intake", |events| of(events, "create_intake", "replayed").len() == 1).await;

        // Reads, and every kind of rejection.
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
        let events = events_until(&admin, &query, |events| {
            of(events, "get_patient", "success").len() == 1 && of(events, "get_patient", "refused").len() == 1
        })
        .await;
        assert_eq!(of(&events, "get_patient", "success")[0]["actor_id"], *doctor.user_id);
        let refused = of(&events, "get_patient", "refused")[0];
        assert_eq!((&refused["actor_id"], &refused["status"]), (&json!(bob.user_id), &json!(404)));
        let query = format!("actor_id={}&outcome=refused&operation=list_messages", bob.user_id);
        assert_eq!(events_until(&admin, &query, |events| events.len() == 1).await[0]["status"], 403);
        let times = |events: &[Value]| events.iter().filter_map(|event| event["times"].as_i64()).sum::<i64>();
        events_until(&admin, "outcome=refused&operation=create_session", |events| times(events) == 2).await;
        let forged = events_until(&admin, "outcome=refused&operation=get_patient", |events| events.len() == 2).await;
        assert!(forged.iter().any(|event| event["status"] == 401 && event["actor_id"].is_null()), "{forged:#?}");
    }

    async fn row_19_a_failed_sign_in_names_the_account_and_not_what_was_typed(app: App) {
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
        let tried = events_until(&admin, &query, |events| times(&of(events, "create_session", "refused")) == 3).await;
        for event in &tried {
            assert_eq!((&event["actor_id"], &event["status"]), (&Value::Null, &json!(401)));
            assert_eq!((&event["object_id"], &event["address"]), (&json!(ann.user_id), &json!("127.0.0.1")));
        }
        // Without an account there is no object, and the typed text is not stored.
        let all = events_until(&admin, "operation=create_session&outcome=refused", |events| {
            times(&events.iter().collect::<Vec<_>>()) == 6
        })
        .await;
        assert_eq!(times(&all.iter().filter(|event| event["object_id"].is_null()).collect::<Vec<_>>()), 3, "{all:#?}");
        let said = json!(all).to_string().to_lowercase();
        for typed in ["ann@", "mallory", "sesame"] {
            assert!(!said.contains(typed), "{typed} in {said}");
        }
        // The object of a successful sign-in is the session.
        let events = admin.get(&format!("/v1/audit-events?operation=create_session&actor_id={}", ann.user_id)).await.items();
        assert_ne!(of(&events, "create_session", "success")[0]["object_id"], *ann.user_id);
    }

    async fn row_19_of_many_rate_limited_requests_one_event_is_stored_for_each_caller(app: App) {
        let app = app.restart(&["--rate-limits", "enter=100/1m,public=1000/1m,read=2/60m,write=1000/1m"]);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        for (who, asks) in [(&ann, 60), (&bob, 5)] {
            for number in 0..asks {
                let reply = who.get("/v1/me").await;
                if number < 2 { reply.expect(200); } else { reply.problem(429, "rate_limited"); }
            }
        }
        // The same holds for throttled sign-ins: after the free attempts, each is rejected.
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
        stored(&app).await;
        let id = |who: &Client| who.user_id.parse::<uuid::Uuid>().expect("an id");
        let expected = [
            (Some(UserId(id(&ann))), None, 1),
            (Some(UserId(id(&bob))), None, 1),
            (None, Some(ObjectId(id(&ann))), 1),
        ];
        assert_eq!(noted().await, expected);
    }

    async fn row_19_a_flood_from_ever_new_networks_writes_few_refusals(app: App) {
        let email = app.patient("ann").await.email.clone();
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let mut sent_away = 0;
        for number in 0..80 {
            let from = format!("10.1.{number}.1");
            let body = json!({"email": email, "password": "Sesame-open-thyself"});
            let reply = app.anon().post_with("/v1/sessions", body, &[("X-Forwarded-For", &from)]).await;
            sent_away += i32::from(reply.status == 429);
        }
        assert_eq!(sent_away, 60, "from each network once, after twenty failures");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let noted: i64 = app.db(|tx| Ok(audit_events::table.filter(audit_events::status.eq(429)).count().get_result(tx)?)).await;
        assert_eq!(noted, 10);
    }

    async fn row_19_requests_of_strangers_that_succeed_without_effect_are_counted_and_changes_keep_their_events(app: App) {
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let client = app.anon();
        let requests = (0..100).map(|number| {
            let from = format!("10.2.{number}.1");
            let client = &client;
            async move {
                let body = json!({"email": format!("nobody{number}@example.org")});
                client.post_with("/v1/password-resets", body, &[("X-Forwarded-For", &from)]).await.expect(202);
            }
        });
        futures_util::future::join_all(requests).await;
        // A change of a stranger after the flood.
        let registration = json!({"email": "zoe@patients.example", "relation": "self", "patient": {
            "given_name": "Zoe", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
            "preferred_language": "en", "interpreter_needed": false}});
        let key = [("Idempotency-Key", "a-key-of-a-stranger")];
        for _ in 0..2 {
            app.anon().post_with("/v1/registrations", registration.clone(), &key).await.expect(202);
        }
        // The server stores its counts when it stops.
        let app = app.restart(&[]);
        let noted = app.db(|tx| {
            let all = audit_events::table.filter(audit_events::actor_id.is_null()).order(audit_events::id);
            Ok(all.select((audit_events::operation, audit_events::outcome, audit_events::times)).load::<(
                String, AuditOutcome, i32,
            )>(tx)?)
        }).await;
        let resets: Vec<i32> = noted.iter().filter(|line| line.0 == "request_password_reset").map(|line| line.2).collect();
        assert!(resets.len() <= 61, "{} lines", resets.len());
        assert_eq!(resets.iter().sum::<i32>(), 100, "none is lost");
        let registered = noted.iter().filter(|line| line.0 == "create_registration" && line.1 == AuditOutcome::Success);
        assert_eq!(registered.map(|line| line.2).collect::<Vec<_>>(), [1]);
        assert_eq!(findings(&app, None).await, Vec::<String>::new());
    }

    async fn row_19_random_ids_of_callers_without_a_session_are_counted_as_one_refusal(app: App) {
        let admin = app.admin().await;
        for number in 0..40 {
            let path = format!("/v1/patients/0199d0c2-7b20-7d41-8c11-2a6f0b7d3e{number:02}");
            app.anon().get(&path).await.expect(401);
        }
        let times = |events: &[Value]| events.iter().filter_map(|event| event["times"].as_i64()).sum::<i64>();
        let query = "operation=get_patient&outcome=refused";
        let events = events_until(&admin, query, |events| times(events) == 40).await;
        assert!(events.len() < 20, "{} lines", events.len());
        assert!(events.iter().all(|event| event["object_id"].is_null()), "{events:#?}");
    }

    async fn row_19_a_refusal_by_role_names_the_patient_of_the_path(app: App) {
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        desk.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.problem(403, "role_forbidden");
        let query = format!("patient_id={}&outcome=refused", ann.patient_id);
        let events = events_until(&admin, &query, |events| events.len() == 1).await;
        assert_eq!((&events[0]["operation"], &events[0]["role"]), (&json!("get_rls_timeline"), &json!("front_desk")));
    }

    async fn row_19_a_list_of_accounts_names_the_patients_whose_addresses_it_shows(app: App) {
        let (admin, ann, bob) = (app.admin().await, app.patient("ann").await, app.patient("bob").await);
        admin.get("/v1/users?role=patient").await.expect(200);
        admin.get(&format!("/v1/users/{}", bob.user_id)).await.expect(200);
        for (patient, operation) in [(&ann, "list_users"), (&bob, "list_users"), (&bob, "get_user")] {
            let query = format!("patient_id={}&operation={operation}", patient.patient_id);
            events_until(&admin, &query, |events| events.len() == 1).await;
        }
    }

    async fn row_19_no_other_spelling_of_a_path_bypasses_the_trail(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        // Paths with one escaped letter, which routing would decode, also in the object's id.
        for path in ["/v1/%70atients", "/v1/patient%73", "/%761/users", "/v1/%61udit-events"] {
            admin.get(path).await.problem(404, "not_found");
        }
        let escaped = ann.patient_id.replacen(&ann.patient_id[..1], &format!("%{:x}", ann.patient_id.as_bytes()[0]), 1);
        admin.get(&format!("/v1/patients/{escaped}")).await.problem(404, "not_found");
        admin.get(&format!("/v1/patients/{escaped}/export")).await.problem(404, "not_found");
        app.anon().post("/v1/%73essions", json!({"email": "a@b.example", "password": "x"})).await.problem(404, "not_found");
    }

    async fn row_19_wrong_passwords_codes_and_tokens_are_recorded_as_refused(app: App) {
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
            let events = events_until(&admin, &query, |events| events.len() == 1).await;
            assert_eq!((&events[0]["status"], &events[0]["address"]), (&json!(422), &json!("127.0.0.1")));
        }
        let by_ann = events_until(&admin, &format!("actor_id={}&outcome=refused", &*ann.user_id), |events| events.len() == 2).await;
        assert_eq!(by_ann[0]["role"], "patient");
        // Other invalid input is not recorded.
        ann.post("/v1/me/password", json!({"current_password": PASSWORD, "new_password": "short"})).await.expect(422);
        stored(&app).await;
        assert_eq!(admin.get("/v1/audit-events?operation=change_password").await.items().len(), 1);
    }

    async fn row_19_an_administrator_filters_the_trail_and_pages_through_it(app: App) {
        let admin = some_history(&app).await;
        for who in [app.desk().await, app.doctor().await, app.patient("bob").await.client] {
            who.get("/v1/audit-events").await.problem(403, "role_forbidden");
        }
        let desk = app.desk().await;
        let query = format!("actor_id={}&operation=get_patient&outcome=success", desk.user_id);
        let all = events_until(&admin, &query, |events| events.len() == 3).await;
        let first = admin.get(&format!("/v1/audit-events?{query}&limit=2")).await;
        let cursor = first.string("/next_cursor");
        let second = admin.get(&format!("/v1/audit-events?{query}&limit=2&cursor={cursor}")).await;
        assert_eq!([first.items(), second.items()].concat(), all);
        assert!(second.body["next_cursor"].is_null());
        admin.get("/v1/audit-events?from=2026-03-02T14:00:01Z").await.items();
        assert!(admin.get("/v1/audit-events?from=2026-03-02T14:00:01Z").await.items().is_empty());
        admin.get("/v1/audit-events?operation=Get%20Patient").await.invalid("?operation", "wrong_value");
        admin.get("/v1/audit-events?from=2026-03-02T14:00:00Z&to=2026-03-02T14:00:00Z").await.invalid("?to", "out_of_range");
        // Rejections without a token are counted, not listed one by one.
        for _ in 0..30 {
            app.anon().get("/v1/audit-events").await.expect(401);
        }
        let times = |events: &[Value]| events.iter().filter_map(|event| event["times"].as_i64()).sum::<i64>();
        let query = "operation=list_audit_events&outcome=refused";
        let refused = events_until(&admin, query, |events| times(events) == 33).await;
        assert!(refused.len() < 33, "{} lines", refused.len());
    }

    async fn row_19_only_the_patient_sees_who_used_the_record(app: App) {
        let (doctor, desk, admin) = (app.doctor().await, app.desk().await, app.admin().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let record = format!("/v1/patients/{}", ann.patient_id);
        for who in [&doctor, &desk, &ann.client] {
            who.get(&record).await.expect(200);
        }
        bob.get(&record).await.expect(404);
        let query = format!("patient_id={}&operation=get_patient", ann.patient_id);
        events_until(&admin, &query, |events| events.len() == 4).await;
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

/// Events of reads are stored before the service stops, and the commands read the trail next to it.
fn row_19_the_last_reads_are_stored_before_the_service_stops(engine: Engine) {
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
fn row_19_the_last_reads_are_stored_before_the_service_stops_sqlite() {
    row_19_the_last_reads_are_stored_before_the_service_stops(Engine::Sqlite);
}

#[test]
fn row_19_the_last_reads_are_stored_before_the_service_stops_postgres() {
    row_19_the_last_reads_are_stored_before_the_service_stops(Engine::Postgres);
}

/// Commands of the operator are in the trail as well.
fn row_19_commands_are_recorded(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("admin@clinic.example", Role::Admin);
    let ring = format!("new:+DA4nBV78l6jeU/5O1O+drrc5TvlRGDGLRCEhxQKIWE=,{DATA_KEYS}");
    let run = |keys: &str, arguments: &[&str]| {
        let output = process::command(&site).env("DATA_KEYS", keys).args(arguments).output().expect("run the program");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(DATA_KEYS, &["admin", "create", "--email", "boss@clinic.example"]);
    run(DATA_KEYS, &["admin", "reset", "--email", "boss@clinic.example"]);
    // No service runs that would seal them.
    let (events, seals): (i64, i64) = {
        let mut conn = site.connect();
        let events = audit_events::table.count().get_result(&mut conn).expect("a count");
        (events, audit_seals::table.count().get_result(&mut conn).expect("a count"))
    };
    assert!(events >= 2 && events == seals, "{events} events, {seals} seals");
    app::runtime().block_on(async {
        // The others run next to a server, which must know the new key first.
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
fn row_19_commands_are_recorded_sqlite() {
    row_19_commands_are_recorded(Engine::Sqlite);
}

#[test]
fn row_19_commands_are_recorded_postgres() {
    row_19_commands_are_recorded(Engine::Postgres);
}
