//! Changes that wait on PostgreSQL for another transaction, which then commits: each decides by what it reads after it has the lock.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use futures_util::future::join;
use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::db::Conn;
use legwork::db::schema::{intakes, patient_access, users};
use legwork::ids::{IntakeId, PatientId, UserId};
use legwork::privacy::records;
use serde_json::{Value, json};

use crate::clients::Machine;
use crate::support::clinic::free_slots;
use crate::support::families::{access, person, registered, registration};
use crate::support::intakes::{example, june, submitted};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, Client, Engine, Reply, app, eventually};
use crate::waitlist_offers::{run as offer, wait_for};

/// Runs each statement on a connection of the test's own.
fn execute(conn: &mut Conn, statements: &[String]) {
    let Conn::Postgres(conn) = conn else { panic!("not PostgreSQL") };
    for statement in statements {
        diesel::sql_query(statement).execute(conn).expect("the test's own statement");
    }
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The number of connections to the database that wait for a lock.
fn waiting(conn: &mut Conn) -> i64 {
    let Conn::Postgres(conn) = conn else { panic!("not PostgreSQL") };
    let sql = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    diesel::sql_query(sql).get_result::<Waiting>(conn).expect("a count").count
}

/// Waits until at least so many connections wait for a lock.
async fn until_waiting(app: &App, count: i64) {
    let mut observer = app.site.connect();
    eventually(async || if waiting(&mut observer) >= count { Ok(()) } else { Err("nothing waits".to_owned()) }).await;
}

/// Begins a request while a transaction with these statements is open, and commits the transaction when the request waits for it.
async fn beside<T>(app: &App, statements: &[String], request: impl Future<Output = T>) -> T {
    beside_both(app, statements, (request, 1)).await
}

/// Like [`beside`], for requests that wait on so many connections.
async fn beside_both<T>(app: &App, statements: &[String], (requests, count): (impl Future<Output = T>, i64)) -> T {
    let mut own = app.site.connect();
    execute(&mut own, &["BEGIN".into()]);
    execute(&mut own, statements);
    let commit = async {
        until_waiting(app, count).await;
        execute(&mut own, &["COMMIT".into()]);
    };
    join(requests, commit).await.0
}

/// Runs a change that waits for the lock of a record, and what ends its permission as soon as it waits. Fails unless both wait at once: an
/// end that does not wait for the change would be done. The responses may come in either order.
async fn end_beside(
    app: &App,
    patient: &str,
    change: impl Future<Output = Reply>,
    end: impl Future<Output = Reply>,
) -> (Reply, Reply) {
    let lock = format!("SELECT id FROM patients WHERE id = '{patient}' FOR UPDATE");
    let end = async {
        until_waiting(app, 1).await;
        end.await
    };
    beside_both(app, &[lock], (join(change, end), 2)).await
}

/// Bob, who has registered for a child, and an adult's record that nobody has access to.
async fn bob_and_ida(app: &App) -> (Client, String) {
    let bob =
        registered(app, registration("bob@example.org", "guardian", "Bob Other", person("Kim", "2015-07-04"))).await;
    let ida = app.desk().await.post("/v1/patients", patient_json("Ida", "ida@example.org")).await.expect(201).id();
    (bob, ida)
}

/// Makes a test on PostgreSQL of each function. SQLite's writes are serial.
macro_rules! on_postgres {
    ($(async fn $name:ident($app:ident: App) $body:block)*) => {$(
        #[test]
        fn $name() {
            app::run(Engine::Postgres, async |$app: App| $body);
        }
    )*};
}

on_postgres! {
    async fn access_given_beside_a_correction_of_the_birth_date_ends_by_the_corrected_one(app: App) {
        let (_, ida) = bob_and_ida(&app).await;
        let correction = format!("UPDATE patients SET date_of_birth = '2015-07-04' WHERE id = '{ida}'");
        let given = json!({"email": "bob@example.org", "relation": "guardian"});
        let desk = app.desk().await;
        let (path, request) = (access(&ida), given);
        let given = beside(&app, &[correction], desk.post(&path, request)).await;
        assert_eq!(given.expect(201).body["ends_on"], "2033-07-04");
    }

    async fn a_confirmation_beside_a_correction_of_the_birth_date_is_kept(app: App) {
        let (bob, ida) = bob_and_ida(&app).await;
        let desk = app.desk().await;
        let given = json!({"email": "bob@example.org", "relation": "guardian"});
        assert_eq!(desk.post(&access(&ida), given).await.expect(201).body["confirmation_required"], true);
        let admin = app.admin().await.user_id;
        let confirmation = format!(
            "UPDATE patient_access SET pending = false, confirmed_at = now(), confirmed_by = '{admin}' \
             WHERE patient_id = '{ida}' AND user_id = '{}'",
            bob.user_id
        );
        let path = format!("/v1/patients/{ida}");
        let corrected = desk.update(&path, json!({"date_of_birth": "2015-07-04"}));
        beside(&app, &[confirmation], corrected).await.expect(200);
        let (ida, bob): (PatientId, UserId) = (ida.parse().expect("an id"), bob.user_id.parse().expect("an id"));
        let row = patient_access::table.find((bob, ida));
        let (pending, is_confirmed) = app
            .db(move |tx| {
                let columns = (patient_access::pending, patient_access::confirmed_by.is_not_null());
                Ok(row.select(columns).first::<(bool, bool)>(tx)?)
            })
            .await;
        assert!(is_confirmed && !pending);
    }

    async fn access_that_a_patient_ends_beside_a_merge_is_to_be_ended_in_the_joined_record(app: App) {
        let ann = app.patient("ann").await;
        let (bob, kept) = bob_and_ida(&app).await;
        let helps = json!({"email": "bob@example.org", "relation": "caregiver"});
        let desk = app.desk().await;
        let given = desk.post(&access(&ann.patient_id), helps).await;
        given.expect(201);
        let merge = format!("UPDATE patients SET replaced_by = '{kept}', version = version + 1 WHERE id = '{}'", ann.patient_id);
        let end = format!("{}/{}", access(&ann.patient_id), bob.user_id);
        beside(&app, &[merge], ann.delete(&end)).await.problem(409, "patient_merged");
        let (ann, bob): (PatientId, UserId) = (ann.patient_id.parse().expect("an id"), bob.user_id.parse().expect("an id"));
        let row = patient_access::table.find((bob, ann)).select(patient_access::stopped_at.is_null());
        assert!(app.db(move |tx| Ok(row.first::<bool>(tx)?)).await, "nothing was ended in the record that nobody uses");
    }

    async fn the_end_of_a_permission_waits_for_the_change_in_progress(app: App) {
        let admin = app.admin().await;
        let (bob, ida) = bob_and_ida(&app).await;
        let give = json!({"email": "bob@example.org", "relation": "guardian"});
        let path = access(&ida);

        let desk = app.desk().await;
        let account = format!("/v1/users/{}", desk.user_id);
        let disable = admin.update(&account, json!({"disabled": true}));
        let (given, disabled) = Box::pin(end_beside(&app, &ida, desk.post(&path, give.clone()), disable)).await;
        assert_eq!((given.status, disabled.status), (201, 200));
        desk.get(&path).await.expect(401);
        admin.delete(&format!("{path}/{}", bob.user_id)).await.expect(204);

        let note = json!({"preferred_name": "Idalia"});
        app.account("sam@clinic.example", Role::FrontDesk, None).await;
        let sam = app.anon().sign_in("sam@clinic.example", PASSWORD).await;
        let version = admin.get(&format!("/v1/patients/{ida}")).await.etag();
        let ida_path = format!("/v1/patients/{ida}");
        let sign_out = sam.delete("/v1/sessions/current");
        let (changed, ended) = Box::pin(end_beside(&app, &ida, sam.patch(&ida_path, &version, note), sign_out)).await;
        assert_eq!((changed.status, ended.status), (200, 204));

        let machine = Machine::new(&app, &["patients:write"]).await;
        let caller = machine.caller(&app).await;
        let version = admin.get(&ida_path).await.etag();
        let rename = caller.patch(&ida_path, &version, json!({"preferred_name": "Idalie"}));
        let (changed, ended) = Box::pin(end_beside(&app, &ida, rename, admin.delete(&machine.path("")))).await;
        assert_eq!((changed.status, ended.status), (200, 204));
        caller.patch(&ida_path, "\"1\"", json!({"preferred_name": "Ida"})).await.expect(401);
    }

    async fn an_account_is_closed_after_its_changes_in_progress(app: App) {
        let ann = app.patient("ann").await;
        let path = format!("/v1/patients/{}", ann.patient_id);
        let version = ann.get(&path).await.etag();
        let other = app.anon().sign_in(&ann.email, PASSWORD).await;
        let change = ann.patch(&path, &version, json!({"preferred_name": "Annie"}));
        let close = other.post("/v1/me/close", json!({"current_password": PASSWORD}));
        let (changed, closed) = Box::pin(end_beside(&app, &ann.patient_id, change, close)).await;
        assert_eq!((changed.status, closed.status), (200, 204));
        ann.patch(&path, "\"2\"", json!({"preferred_name": "Ann"})).await.expect(401);
    }

    async fn holds_of_new_accounts_at_one_address_that_wait_for_slots_keep_its_limit(app: App) {
        let app = app.restart(&["--new-account-visits-per-address", "1"]);
        let clinic = app.clinic().await;
        let mut people = Vec::new();
        for name in ["bob", "eva"] {
            let email = format!("{name}@example.org");
            people.push(registered(&app, registration(&email, "parent", "Parent Other", person("Kim", "2015-07-04"))).await);
        }
        let slots = free_slots(&people[0], &clinic.check).await;
        let hold = async |who: &Client, slot: &Value| {
            let path = format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id"));
            who.post(&path, json!({"visit_type_id": clinic.check})).await
        };
        let both = join(hold(&people[0], &slots[0]), hold(&people[1], &slots[20]));
        let (one, other) = beside_both(&app, &["SELECT id FROM slots FOR UPDATE".into()], (both, 2)).await;
        let (held, refused) = if one.status == 201 { (one, other) } else { (other, one) };
        held.expect(201);
        refused.problem(409, "new_account_limit");
    }

    async fn the_end_of_an_invitation_waits_for_its_acceptance(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let tim = desk.post("/v1/patients", patient_json("Tim", "tim@example.org")).await.expect(201).id();
        let invitation = json!({"email": "carl@example.org", "relation": "caregiver"});
        desk.post(&format!("/v1/patients/{tim}/invitations"), invitation).await.expect(202);
        let token = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        let anon = app.anon();
        let accept = anon.post("/v1/invitations/accept", json!({"token": token, "new_password": "amber heron folds paper"}));
        let account = format!("/v1/users/{}", desk.user_id);
        let disable = admin.update(&account, json!({"disabled": true}));
        let (accepted, disabled) = Box::pin(end_beside(&app, &tim, accept, disable)).await;
        assert_eq!((accepted.status, disabled.status), (204, 200));
    }

    async fn an_offer_is_not_claimed_by_a_link_whose_address_the_record_has_lost(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let ida = desk.post("/v1/patients", patient_json("Ida", "ida@example.org")).await.expect(201).id();
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        wait_for(&desk, &ida, &clinic.check, &slot, json!({})).await;
        offer(&app).await;
        let token = app.mails_to("ida@example.org").await.pop().expect("a mail").token();
        let change = format!("UPDATE patients SET email = 'x@example.org', email_key = 'x@example.org' WHERE id = '{ida}'");
        let anon = app.anon();
        let claim = anon.post("/v1/waitlist-offer-links/claim", json!({"token": token}));
        beside(&app, &[change], claim).await.problem(404, "not_found");
        assert!(desk.get(&format!("/v1/appointments?patient_id={ida}")).await.items().is_empty());
    }

    async fn findings_that_are_computed_beside_a_merge_are_those_of_the_joined_record(app: App) {
        let app = june(app);
        let ann = app.patient("ann").await;
        let kept = app.desk().await.post("/v1/patients", patient_json("Ida", "ida@example.org")).await.expect(201).id();
        let path = submitted(&app.doctor().await, &ann.patient_id, example()).await;
        let id: IntakeId = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
        let due = app.env.now();
        app.db(move |tx| Ok(diesel::update(intakes::table.find(id)).set(intakes::due_at.eq(due)).execute(tx)?)).await;
        let merge = [
            format!("UPDATE intakes SET patient_id = '{kept}' WHERE id = '{}'", id.0),
            format!("UPDATE patients SET replaced_by = '{kept}', version = version + 1 WHERE id = '{}'", ann.patient_id),
        ];
        let computed = Box::pin(beside(&app, &merge, legwork::intake::due::compute_due(&app.env))).await;
        assert_eq!(computed.expect("computed"), 1);
        let next: Option<legwork::clock::Timestamp> =
            app.db(move |tx| Ok(intakes::table.find(id).select(intakes::due_at).first(tx)?)).await;
        assert_ne!(next, Some(due.plus(SignedDuration::from_hours(24))), "set aside like one whose findings cannot be computed");
    }

    async fn an_account_that_gets_a_patient_beside_the_deletion_of_its_last_one_stays_open(app: App) {
        let ann = app.patient("ann").await;
        let other = app.desk().await.post("/v1/patients", patient_json("Ida", "ida@example.org")).await.expect(201).id();
        app.clock.advance(SignedDuration::from_hours(24 * 366 * 40));
        let (env, now) = (app.env.clone(), app.env.now());
        let given = [
            format!("SELECT id FROM users WHERE id = '{}' FOR UPDATE", ann.user_id),
            format!(
                "INSERT INTO patient_access SELECT (jsonb_populate_record(a, '{{\"patient_id\": \"{other}\", \"relation\": \"guardian\"}}')).* \
                 FROM patient_access a WHERE user_id = '{}'",
                ann.user_id
            ),
        ];
        let id: PatientId = ann.patient_id.parse().expect("an id");
        let deletion = app.env.db.write(move |tx| records::remove(tx, &env, now, id.0));
        assert!(Box::pin(beside(&app, &given, deletion)).await.expect("deleted"));
        let account: UserId = ann.user_id.parse().expect("an id");
        let is_open: bool =
            app.db(move |tx| Ok(users::table.find(account).select(users::disabled_at.is_null()).first(tx)?)).await;
        assert!(is_open, "an account that acts for a patient is not closed");
    }
}
