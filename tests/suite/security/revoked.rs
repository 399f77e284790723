//! Stored responses and mailed links end with the access of their account.

use diesel::prelude::*;
use legwork::db::schema::{idempotency_keys, users};
use legwork::ids::UserId;
use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, both};

const PASSWORD: &str = "violet otter hums at dawn";

/// Rosa, and the id of her son with this birth date.
async fn rosa(app: &App, born: &str) -> (Client, String) {
    let tim = json!({
        "given_name": "Tim", "family_name": "Example", "date_of_birth": born, "administrative_sex": "male",
        "preferred_language": "en", "interpreter_needed": false
    });
    let body = json!({"email": "rosa@example.org", "relation": "parent", "name": "Rosa Example", "patient": tim});
    let rosa = app.registered(body, PASSWORD).await;
    let tim = rosa.get("/v1/me").await.string("/patients/0/id");
    (rosa, tim)
}

async fn begin_intake(who: &Client, patient: &str) -> Reply {
    let path = format!("/v1/patients/{patient}/intakes");
    who.post_with(&path, json!({"form": "rls-history"}), &[("Idempotency-Key", "once")]).await
}

async fn revoke(app: &App, who: &Client, patient: &str) {
    app.desk().await.delete(&format!("/v1/patients/{patient}/access/{}", who.user_id)).await.expect(204);
}

/// Books a time on Thursday. Returns the token in the mail to the account.
async fn booked(app: &App, who: &Client, visit_type: &str, patient: &str) -> String {
    let email = who.get("/v1/me").await.string("/user/email");
    let before = app.mails_to(&email).await.len();
    book_nth(who, visit_type, 100, patient).await;
    let mails = app.mails_to(&email).await;
    assert_eq!(mails.len(), before + 1);
    mails[before].token()
}

async fn view(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/appointment-links/view", json!({"token": token})).await
}

async fn cancel(app: &App, token: &str) -> Reply {
    let key = [("Idempotency-Key", "once-and-again")];
    app.anon().post_with("/v1/appointment-links/cancel", json!({"token": token}), &key).await
}

/// The number of stored responses of the account.
async fn kept(app: &App, who: &Client) -> i64 {
    let id: UserId = who.user_id.parse().expect("an id");
    app.db(move |tx| Ok(idempotency_keys::table.filter(idempotency_keys::actor_id.eq(id)).count().get_result(tx)?))
        .await
}

both! {
    async fn row_01_a_stored_response_is_not_repeated_after_the_access_was_revoked(app: App) {
        let (rosa, tim) = rosa(&app, "2010-07-04").await;
        let first = begin_intake(&rosa, &tim).await;
        first.expect(201);
        assert_eq!(begin_intake(&rosa, &tim).await.expect(201).text, first.text);
        revoke(&app, &rosa, &tim).await;
        begin_intake(&rosa, &tim).await.problem(404, "not_found");
        assert_eq!(kept(&app, &rosa).await, 0);
    }

    async fn row_01_a_stored_response_is_not_repeated_after_the_access_ended_on_a_birthday(app: App) {
        let (rosa, tim) = rosa(&app, "2008-03-04").await;
        let first = begin_intake(&rosa, &tim).await;
        first.expect(201);
        // The day before and the birthday, in the clinic's time zone.
        app.clock.set("2026-03-03T12:00:00Z".parse().expect("an instant"));
        assert_eq!(begin_intake(&rosa, &tim).await.expect(201).text, first.text);
        app.clock.set("2026-03-04T12:00:00Z".parse().expect("an instant"));
        begin_intake(&rosa, &tim).await.problem(404, "not_found");
    }

    async fn row_13_stored_responses_are_deleted_when_an_account_changes_role_or_is_disabled(app: App) {
        let (admin, desk) = (app.admin().await, app.desk().await);
        let path = format!("/v1/users/{}", desk.user_id);
        let register = async |key: &str| {
            desk.post_with("/v1/patients", patient_json("Ann", "ann@patients.example"), &[("Idempotency-Key", key)]).await.expect(201).id()
        };
        let change = async |change: Value| {
            admin.update(&path, change).await.expect(200);
        };
        assert_eq!(register("a").await, register("a").await);
        change(json!({"name": "Dana Desk"})).await;
        assert_eq!(kept(&app, &desk).await, 1, "another name is no other reach");
        change(json!({"role": "admin"})).await;
        assert_eq!(kept(&app, &desk).await, 0);
        register("b").await;
        assert_eq!(kept(&app, &desk).await, 1);
        change(json!({"disabled": true})).await;
        assert_eq!(kept(&app, &desk).await, 0);
    }

    async fn row_01_a_mailed_link_ends_when_the_access_is_revoked(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app, "2010-07-04").await;
        let token = booked(&app, &rosa, &clinic.follow_up, &tim).await;
        let other = booked(&app, &rosa, &clinic.follow_up, &tim).await;
        view(&app, &token).await.expect(200);
        cancel(&app, &other).await.expect(200);
        cancel(&app, &other).await.expect(200);
        revoke(&app, &rosa, &tim).await;
        view(&app, &token).await.problem(404, "not_found");
        cancel(&app, &token).await.problem(404, "not_found");
        // Nor is the stored response repeated.
        cancel(&app, &other).await.problem(404, "not_found");
    }

    async fn row_01_a_mailed_link_ends_on_the_birthday_and_when_the_account_is_disabled(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app, "2008-03-05").await;
        let token = booked(&app, &rosa, &clinic.follow_up, &tim).await;
        app.clock.set("2026-03-05T04:59:00Z".parse().expect("an instant"));
        view(&app, &token).await.expect(200);
        let admin = app.admin().await;
        let path = format!("/v1/users/{}", rosa.user_id);
        for (disabled, status) in [(true, 404), (false, 200)] {
            admin.update(&path, json!({"disabled": disabled})).await.expect(200);
            view(&app, &token).await.expect(status);
        }
        // Midnight in New York.
        app.clock.set("2026-03-05T05:00:00Z".parse().expect("an instant"));
        view(&app, &token).await.problem(404, "not_found");
    }

    async fn row_01_the_patients_own_link_needs_no_account(app: App) {
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        let token = booked(&app, &ann, &clinic.follow_up, &ann.patient_id).await;
        // The mail went to the address that the front desk entered.
        revoke(&app, &ann, &ann.patient_id).await;
        view(&app, &token).await.expect(200);
    }

    async fn row_01_a_link_that_went_to_a_wrong_address_ends_when_the_address_is_corrected(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let token = booked(&app, &ann, &clinic.follow_up, &ann.patient_id).await;
        let path = format!("/v1/patients/{}", ann.patient_id);
        desk.update(&path, json!({"email": "ANN@patients.example"})).await.expect(200);
        view(&app, &token).await.expect(200);
        desk.update(&path, json!({"email": "anne@patients.example"})).await.expect(200);
        view(&app, &token).await.problem(404, "not_found");
        cancel(&app, &token).await.problem(404, "not_found");
    }

    async fn row_01_a_link_that_was_mailed_to_an_account_ends_when_the_account_has_another_address(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app, "2010-07-04").await;
        let token = booked(&app, &rosa, &clinic.follow_up, &tim).await;
        let id: UserId = rosa.user_id.parse().expect("an id");
        app.db(move |tx| Ok(diesel::update(users::table.find(id)).set(users::email.eq("new@patients.example")).execute(tx)?)).await;
        view(&app, &token).await.problem(404, "not_found");
    }
}
