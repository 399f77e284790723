//! Row 27: one person with many accounts cannot book every time of a calendar.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::holds::hold;
use crate::support::clinic::free_slots;
use crate::support::{App, Client, Clinic, Patient, Reply, booking, both};
use crate::waitlist_offers::{offers, run, wait_for};

const CHOSEN: &str = "violet otter hums at dawn";

/// Registers, verifies from this client's address and signs in.
async fn new_account(app: &App, client: Client, number: usize) -> Patient {
    let email = format!("new{number}@domain.example");
    let body = json!({
        "email": email, "relation": "self",
        "patient": {"given_name": "Nia", "family_name": format!("Newcomer{number}"), "date_of_birth": "1967-09-14",
            "administrative_sex": "female", "preferred_language": "en", "interpreter_needed": false},
    });
    client.post("/v1/registrations", body).await.expect(202);
    let token = app.mails_to(&email).await.last().expect("a mail").token();
    let verified = client.post("/v1/email-verifications", json!({"token": token})).await;
    let password = json!({"token": verified.expect(200).string("/password_token"), "new_password": CHOSEN});
    client.post("/v1/password-resets/confirm", password).await.expect(204);
    let client = client.sign_in(&email, CHOSEN).await;
    let patient_id = client.get("/v1/me").await.string("/patients/0/id");
    Patient { client, patient_id, email }
}

/// Free times of several days.
async fn times(app: &App, clinic: &Clinic) -> Vec<Value> {
    free_slots(&app.anon(), &clinic.check).await.into_iter().step_by(3).collect()
}

async fn book(patient: &Patient, slot: &Value, clinic: &Clinic) -> Reply {
    booking::book(&patient.client, slot, &clinic.check, &patient.patient_id).await
}

/// An address at which a new account has as many visits as all new accounts there may have.
async fn with_all_places_taken(app: App) -> (App, Clinic, Vec<Value>, Patient) {
    let app = app.restart(&["--new-account-visits-per-address", "2"]);
    let clinic = app.clinic().await;
    let slots = times(&app, &clinic).await;
    let first = new_account(&app, app.anon_at("127.3.1.1"), 1).await;
    for slot in &slots[..2] {
        book(&first, slot, &clinic).await.expect(201);
    }
    (app, clinic, slots, first)
}

both! {
    async fn row_27_new_accounts_at_one_address_and_in_one_network_book_a_few_visits_together(app: App) {
        let app = app.restart(&["--new-account-visits-per-address", "2"]);
        let clinic = app.clinic().await;
        let slots = times(&app, &clinic).await;
        let first = new_account(&app, app.anon_at("127.3.1.1"), 1).await;
        let second = new_account(&app, app.anon_at("127.3.1.1"), 2).await;
        book(&first, &slots[0], &clinic).await.expect(201);
        // What an account holds counts for the others, and not for itself.
        hold(&second.client, &slots[3], &clinic.check).await.expect(201);
        let held = hold(&second.client, &slots[1], &clinic.check).await;
        book(&first, &slots[2], &clinic).await.problem(409, "new_account_limit");
        hold(&first.client, &slots[2], &clinic.check).await.problem(409, "new_account_limit");
        let mut body = booking::booking(&slots[1], &clinic.check, &second.patient_id);
        body["hold_id"] = held.expect(201).body["id"].clone();
        booking::post_booking(&second.client, body).await.expect(201);
        // The network has four times as many.
        for (number, address) in [(3, "127.3.1.2"), (4, "127.3.1.3"), (5, "127.3.1.4")] {
            let neighbour = new_account(&app, app.anon_at(address), number).await;
            book(&neighbour, &slots[2 * number], &clinic).await.expect(201);
            book(&neighbour, &slots[2 * number + 1], &clinic).await.expect(201);
        }
        let last = new_account(&app, app.anon_at("127.3.1.5"), 6).await;
        let detail = book(&last, &slots[12], &clinic).await.problem(409, "new_account_limit")["detail"].clone();
        assert!(detail.as_str().expect("text").contains("call the clinic"), "{detail}");
        // Other networks, staff, and accounts of earlier days have no such limit.
        let elsewhere = new_account(&app, app.anon_at("127.3.2.1"), 7).await;
        book(&elsewhere, &slots[12], &clinic).await.expect(201);
        booking::book(&app.desk().await, &slots[13], &clinic.check, &last.patient_id).await.expect(201);
        app.clock.advance(SignedDuration::from_hours(24));
        let known = app.anon_at("127.3.1.5").sign_in(&last.email, CHOSEN).await;
        let known = Patient { client: known, ..last };
        book(&known, times(&app, &clinic).await.last().expect("a time"), &clinic).await.expect(201);
    }

    async fn row_27_new_accounts_that_book_at_the_same_time_keep_their_limit(app: App) {
        let app = app.restart(&["--new-account-visits-per-address", "3"]);
        let clinic = app.clinic().await;
        let slots = times(&app, &clinic).await;
        let mut accounts = Vec::new();
        for number in 0..12 {
            accounts.push(new_account(&app, app.anon_at("127.4.1.1"), number).await);
        }
        let replies = join_all(accounts.iter().zip(&slots).map(|(account, slot)| book(account, slot, &clinic))).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 3);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            reply.problem(409, "new_account_limit");
        }
    }

    async fn row_27_accounts_of_invited_helpers_are_new_accounts_too(app: App) {
        let (app, clinic, slots, first) = with_all_places_taken(app).await;
        let invite = json!({"email": "new1+helper@domain.example", "relation": "caregiver"});
        first.post(&format!("/v1/patients/{}/invitations", first.patient_id), invite).await.expect(202);
        let token = app.mails_to("new1+helper@domain.example").await.last().expect("a mail").token();
        let accept = json!({"token": token, "new_password": CHOSEN, "name": "Nia's Helper"});
        let anon = app.anon_at("127.3.1.1");
        anon.post("/v1/invitations/accept", accept).await.expect(204);
        let helper = anon.sign_in("new1+helper@domain.example", CHOSEN).await;
        booking::book(&helper, &slots[2], &clinic.check, &first.patient_id).await.problem(409, "new_account_limit");
    }

    async fn row_27_the_visits_of_a_closed_account_go_on_counting(app: App) {
        let (app, clinic, slots, first) = with_all_places_taken(app).await;
        first.post("/v1/me/close", json!({"current_password": CHOSEN})).await.expect(204);
        let again = new_account(&app, app.anon_at("127.3.1.1"), 1).await;
        book(&again, &slots[2], &clinic).await.problem(409, "new_account_limit");
        let admin = app.admin().await;
        let events = admin.get(&format!("/v1/audit-events?operation=close_account&patient_id={}", first.patient_id)).await;
        assert_eq!(events.expect(200).items().len(), 1, "the event names the patient");
    }

    async fn row_27_times_that_move_a_visit_count_beside_it(app: App) {
        let app = app.restart(&["--new-account-visits-per-address", "2"]);
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = times(&app, &clinic).await;
        let (mut accounts, mut visits) = (Vec::new(), Vec::new());
        for number in 0..2 {
            let account = new_account(&app, app.anon_at("127.3.1.1"), number).await;
            visits.push(book(&account, &slots[number + 30], &clinic).await.expect(201).body.clone());
            accounts.push(account);
        }
        let hold_to_move = async |number: usize, slot: usize| {
            let body = json!({"visit_type_id": clinic.check, "appointment_id": visits[number]["id"]});
            accounts[number].post(&format!("/v1/slots/{}/hold", slots[slot]["id"].as_str().expect("an id")), body).await
        };
        // One of them may move a visit although all places are taken, and the other one then may not.
        let held = hold_to_move(0, 0).await.expect(201).id();
        hold_to_move(1, 1).await.problem(409, "new_account_limit");
        accounts[0].delete(&format!("/v1/holds/{held}")).await.expect(204);
        // An offer of an earlier time counts in the same way.
        for (number, slot) in [(0, 20), (1, 24)] {
            let more = json!({"appointment_id": visits[number]["id"]});
            wait_for(&accounts[number], &accounts[number].patient_id, &clinic.check, &slots[slot], more).await;
            run(&app).await;
        }
        assert_eq!(offers(&desk, &accounts[0].patient_id).await.len(), 1);
        assert!(offers(&desk, &accounts[1].patient_id).await.is_empty());
    }

    async fn row_27_a_link_whose_visit_is_one_too_many_verifies_the_address_all_the_same(app: App) {
        let app = app.restart(&["--new-account-visits-per-address", "1"]);
        let clinic = app.clinic().await;
        let slots = times(&app, &clinic).await;
        let first = new_account(&app, app.anon(), 1).await;
        book(&first, &slots[0], &clinic).await.expect(201);
        let held = hold(&app.anon(), &slots[1], &clinic.check).await;
        let email = "new2@domain.example";
        let body = json!({
            "email": email, "relation": "self",
            "patient": {"given_name": "Nia", "family_name": "Second", "date_of_birth": "1967-09-14",
                "administrative_sex": "female", "preferred_language": "en", "interpreter_needed": false},
            "appointment": {"hold_id": held.expect(201).body["id"], "hold_secret": held.body["secret"]},
        });
        app.anon().post("/v1/registrations", body).await.expect(202);
        let token = app.mails_to(email).await.last().expect("a mail").token();
        let verified = app.anon().post("/v1/email-verifications", json!({"token": token})).await;
        assert_eq!(verified.expect(200).body["not_booked"]["code"], "new_account_limit");
        verified.string("/password_token");
    }
}
