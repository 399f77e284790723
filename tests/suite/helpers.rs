//! A patient invites a helper, ends the helper's access, and closes the account.

use serde_json::json;

use crate::holds::hold;
use crate::support::booking::{booking, post_booking};
use crate::support::clinic::free_slots;
use crate::support::families::{PASSWORD as CHOSEN, access};
use crate::support::mails::Mail;
use crate::support::people::{PASSWORD, Patient, patient_json};
use crate::support::{App, Client, Reply, both};

fn invitations(patient: &Patient) -> String {
    format!("/v1/patients/{}/invitations", patient.patient_id)
}

async fn invite(patient: &Patient, email: &str) -> Reply {
    patient.post(&invitations(patient), json!({"email": email, "relation": "caregiver"})).await
}

async fn accept(app: &App, token: &str) -> Reply {
    let body = json!({"token": token, "new_password": CHOSEN, "name": "Carl Carer"});
    app.anon().post("/v1/invitations/accept", body).await
}

async fn last_token(app: &App, email: &str) -> String {
    app.mails_to(email).await.pop().expect("a mail").token()
}

async fn close(client: &Client) -> Reply {
    client.post("/v1/me/close", json!({"current_password": PASSWORD})).await
}

both! {
    async fn a_patient_invites_a_helper_who_acts_at_once_until_the_patient_ends_it(app: App) {
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        ann.post(&invitations(&ann), json!({"email": "carl@example.org", "relation": "self"})).await.invalid("/relation", "not_an_option");
        let sent = invite(&ann, "carl@example.org").await;
        assert_eq!((sent.expect(202).string("/email"), sent.string("/relation")), ("carl@example.org".into(), "caregiver".into()));
        accept(&app, &last_token(&app, "carl@example.org").await).await.expect(204);
        let carl = app.anon().sign_in("carl@example.org", CHOSEN).await;
        let me = carl.get("/v1/me").await;
        assert_eq!(me.string("/patients/0/id"), ann.patient_id);
        assert_eq!(me.body["patients"][0]["relation_verified"], false);
        let slot = free_slots(&carl, &clinic.check).await[3].clone();
        post_booking(&carl, booking(&slot, &clinic.check, &ann.patient_id)).await.expect(201);
        // The patient hears of it, with a link that stops it.
        let mails = app.mails_to(&ann.email).await;
        let told = mails.iter().find(|mail| mail.text.contains("/stop-access#token=")).expect("a mail about the access");
        assert!(told.text.contains("you gave an account access"), "{}", told.text);
        // A helper decides about nobody's access.
        carl.post(&invitations(&ann), json!({"email": "more@example.org", "relation": "caregiver"})).await.problem(403, "patient_only");
        carl.get(&invitations(&ann)).await.problem(403, "patient_only");
        ann.delete(&format!("{}/{}", access(&ann.patient_id), carl.user_id)).await.expect(204);
        carl.get(&format!("/v1/patients/{}", ann.patient_id)).await.problem(404, "not_found");
    }

    async fn an_invitation_to_a_mistyped_address_is_withdrawn(app: App) {
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let wrong = invite(&ann, "cral@example.org").await.expect(202).id();
        let path = format!("/v1/invitations/{wrong}");
        assert_eq!(ann.get(&invitations(&ann)).await.items()[0]["id"], wrong.as_str());
        bob.get(&invitations(&ann)).await.problem(404, "not_found");
        bob.delete(&path).await.problem(404, "not_found");
        ann.delete(&path).await.expect(204);
        ann.delete(&path).await.problem(404, "not_found");
        assert!(ann.get(&invitations(&ann)).await.items().is_empty());
        accept(&app, &last_token(&app, "cral@example.org").await).await.invalid("/token", "invalid_token");
        // Staff see and withdraw invitations as well.
        let other = invite(&ann, "carl@example.org").await.expect(202).id();
        let desk = app.desk().await;
        assert_eq!(desk.get(&invitations(&ann)).await.items().len(), 1);
        desk.delete(&format!("/v1/invitations/{other}")).await.expect(204);
    }

    async fn an_account_invites_five_times_an_hour(app: App) {
        let ann = app.patient("ann").await;
        for turn in 0..5 {
            invite(&ann, &format!("helper{turn}@example.org")).await.expect(202);
        }
        invite(&ann, "helper5@example.org").await.problem(429, "too_many_changes");
        assert!(app.mails_to("helper5@example.org").await.is_empty());
    }

    async fn invitations_of_patients_do_not_use_up_those_of_staff(app: App) {
        let (ann, desk, admin) = (app.patient("ann").await, app.desk().await, app.admin().await);
        for _ in 0..5 {
            invite(&ann, "vera@example.org").await.expect(202);
        }
        let record = desk.post("/v1/patients", patient_json("Vera", "vera@example.org")).await.expect(201).id();
        let invitations = format!("/v1/patients/{record}/invitations");
        let own = json!({"email": "vera@example.org", "relation": "self"});
        for _ in 0..5 {
            desk.post(&invitations, own.clone()).await.expect(202);
        }
        admin.post(&invitations, own).await.problem(429, "mailbox_full");
    }

    async fn a_patient_does_not_learn_that_others_have_invited_an_address(app: App) {
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let record = desk.post("/v1/patients", patient_json("Vera", "vera@example.org")).await.expect(201).id();
        let own = json!({"email": "vera@example.org", "relation": "self"});
        desk.post(&format!("/v1/patients/{record}/invitations"), own).await.expect(202);
        // All responses are the same, whether or not they made a mail.
        let first = invite(&ann, "vera@example.org").await.expect(202).body.clone();
        for _ in 1..5 {
            assert_eq!(invite(&ann, "vera@example.org").await.expect(202).body, first);
        }
        let mails = app.mails_to("vera@example.org").await;
        assert_eq!(mails.len(), 5, "the mailbox gets no more");
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await;
        let told = export.expect(200).body["messages"].to_string();
        assert!(!told.contains("patient_invitation"), "{told}");
        // Others do not keep the first mail of another patient from the mailbox.
        invite(&bob, "vera@example.org").await.expect(202);
        let known: Vec<_> = mails.iter().map(Mail::token).collect();
        let tokens = app.mails_to("vera@example.org").await.iter().map(Mail::token).collect::<Vec<_>>();
        let new: Vec<_> = tokens.iter().filter(|token| !known.contains(token)).collect();
        assert_eq!(new.len(), 1);
        accept(&app, new[0]).await.expect(204);
        // The desk's link and the last one that ann had mailed still work.
        let mut accepted = 0;
        for token in known {
            let reply = app.anon().post("/v1/invitations/accept", json!({"token": token})).await;
            accepted += usize::from(reply.status == 204);
        }
        assert_eq!(accepted, 2);
    }

    async fn an_invitation_does_not_tell_whose_address_it_is_sent_to(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let staff = desk.get("/v1/me").await.string("/user/email");
        let (known, unknown) = (invite(&ann, &staff).await, invite(&ann, "carl@example.org").await);
        assert_eq!((known.status, unknown.status), (202, 202));
        let body = json!({"token": last_token(&app, &staff).await});
        app.anon().post("/v1/invitations/accept", body).await.problem(409, "account_is_staff");
    }

    async fn an_invitation_ends_with_the_account_that_sent_it(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        invite(&ann, "carl@example.org").await.expect(202);
        desk.delete(&format!("{}/{}", access(&ann.patient_id), ann.user_id)).await.expect(204);
        let token = last_token(&app, "carl@example.org").await;
        accept(&app, &token).await.invalid("/token", "invalid_token");
    }

    async fn a_patient_closes_the_account_and_the_clinic_keeps_the_record(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let slots = free_slots(&ann, &clinic.check).await;
        let visit = post_booking(&ann, booking(&slots[3], &clinic.check, &ann.patient_id)).await.expect(201).id();
        hold(&ann, &slots[9], &clinic.check).await.expect(201);
        invite(&ann, "carl@example.org").await.expect(202);
        let refused = ann.post("/v1/me/close", json!({"current_password": "a wrong password"})).await;
        refused.invalid("/current_password", "wrong_password");
        ann.get("/v1/me").await.expect(200);
        close(&ann).await.expect(204);
        ann.get("/v1/me").await.problem(401, "unauthenticated");
        app.anon().post("/v1/sessions", json!({"email": ann.email, "password": PASSWORD})).await.expect(401);
        let notice = app.mails_to(&ann.email).await.pop().expect("a mail").text;
        assert!(notice.contains("is closed") && notice.contains("stay booked"), "{notice}");
        // The invitation does not outlive the account, and the held time is free.
        accept(&app, &last_token(&app, "carl@example.org").await).await.invalid("/token", "invalid_token");
        let free = free_slots(&app.anon(), &clinic.check).await;
        assert!(free.iter().any(|slot| slot["id"] == slots[9]["id"]));
        // The record, its visit and its contact stay.
        let record = desk.get(&format!("/v1/patients/{}", ann.patient_id)).await;
        assert_eq!(record.expect(200).string("/email"), ann.email);
        assert_eq!(desk.get(&format!("/v1/appointments/{visit}")).await.string("/status"), "booked");
        assert!(desk.get(&access(&ann.patient_id)).await.items().is_empty());
        let account = app.admin().await.get(&format!("/v1/users/{}", ann.user_id)).await;
        assert!(account.expect(200).string("/email").ends_with("@removed.invalid"));
        assert_eq!(account.body["disabled"], true);
        // The address may have another account, which sees nothing of the record.
        let again = json!({
            "email": ann.email, "relation": "self",
            "patient": {"given_name": "Ann", "family_name": "Again", "date_of_birth": "1980-01-01", "administrative_sex": "female",
                "preferred_language": "en", "interpreter_needed": false},
        });
        let anew = app.registered(again, CHOSEN).await;
        assert_ne!(anew.get("/v1/me").await.string("/patients/0/id"), ann.patient_id);
    }

    async fn the_accounts_of_staff_are_closed_by_administrators_alone(app: App) {
        close(&app.desk().await).await.problem(403, "role_forbidden");
        close(&app.admin().await).await.problem(403, "role_forbidden");
    }
}
