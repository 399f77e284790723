//! Accounts of every role, inserted into the database and signed in through the API.

use std::ops::Deref;
use std::sync::OnceLock;

use argon2::Params;
use diesel::prelude::*;
use legwork::accounts::passwords::hashing::{REQUIRED, hash_now};
use legwork::actor::Role;
use legwork::clock::Timestamp;
use legwork::db::Conn;
use legwork::db::schema::{patient_access, users};
use legwork::ids::{PatientId, PractitionerId, UserId};
use serde_json::{Value, json};

use super::{App, Client};

/// The password of every test account.
pub const PASSWORD: &str = "quiet-legs-at-midnight-7";

/// A signed-in patient: a [`Client`] with its record.
#[derive(Clone)]
pub struct Patient {
    pub client: Client,
    #[expect(clippy::struct_field_names, reason = "what the API calls it")]
    /// The account holder's own record.
    pub patient_id: String,
    pub email: String,
}

impl Deref for Patient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The hash of [`PASSWORD`] for all accounts: one as the program requires it, and a cheap one for the tests' own servers.
pub fn password_hash(params: &Params) -> &'static str {
    static REQUIRED_HASH: OnceLock<String> = OnceLock::new();
    static CHEAP_HASH: OnceLock<String> = OnceLock::new();
    let cell = if *params == REQUIRED { &REQUIRED_HASH } else { &CHEAP_HASH };
    cell.get_or_init(|| hash_now(PASSWORD, &[7; 16], params).expect("a hash"))
}

impl App {
    pub async fn admin(&self) -> Client {
        self.staff("admin", Role::Admin, None).await
    }

    pub async fn desk(&self) -> Client {
        self.staff("desk", Role::FrontDesk, None).await
    }

    /// The account of the clinic's practitioner, or of none before [`App::clinic`] was called. It sends an `Access-Reason`
    /// with every request, because it treats few of the tests' patients.
    pub async fn doctor(&self) -> Client {
        match self.practitioner_id.get() {
            Some(id) => self.doctor_of(id).await,
            None => self.staff("doctor", Role::Practitioner, None).await,
        }
    }

    /// The account of this practitioner.
    pub async fn doctor_of(&self, practitioner_id: &str) -> Client {
        let id = practitioner_id.parse().expect("a practitioner's id");
        self.staff(&format!("doctor-{practitioner_id}"), Role::Practitioner, Some(id)).await
    }

    /// Creates a patient with a record and a verified account, and signs in. Each name can be used once.
    pub async fn patient(&self, name: &str) -> Patient {
        let email = format!("{name}@patients.example");
        let desk = self.desk().await;
        let reply = desk.post("/v1/patients", patient_json(name, &email)).await;
        reply.expect(201);
        let patient_id = reply.id();
        let user_id = self.account(&email, Role::Patient, None).await;
        let id: PatientId = patient_id.parse().expect("a patient's id");
        let now = self.clock.now();
        self.db(move |tx| {
            let row = (
                patient_access::user_id.eq(user_id),
                patient_access::patient_id.eq(id),
                patient_access::relation.eq("self"),
                patient_access::verified_at.eq(now),
                patient_access::created_at.eq(now),
            );
            Ok(diesel::insert_into(patient_access::table).values(row).execute(tx)?)
        })
        .await;
        Patient { client: self.anon().sign_in(&email, PASSWORD).await, patient_id, email }
    }

    async fn staff(&self, name: &str, role: Role, practitioner_id: Option<PractitionerId>) -> Client {
        let mut people = self.people.lock().await;
        if let Some(client) = people.get(name) {
            return client.clone();
        }
        let email = format!("{name}@clinic.example");
        self.account(&email, role, practitioner_id).await;
        let mut client = self.anon().sign_in(&email, PASSWORD).await;
        if role == Role::Practitioner {
            client = client.with_reason("Covering for a colleague");
        }
        people.insert(name.to_owned(), client.clone());
        client
    }

    /// Registers online, verifies the address with the link in the mail, sets a password, and signs in.
    pub async fn registered(&self, body: Value, password: &str) -> Client {
        let email = body["email"].as_str().expect("an address").to_owned();
        self.anon().post("/v1/registrations", body).await.expect(202);
        self.verified(&email, password).await;
        self.anon().sign_in(&email, password).await
    }

    /// Verifies an address with the link in its last mail, and sets a password.
    pub async fn verified(&self, email: &str, password: &str) {
        let token = self.mails_to(email).await.last().expect("a mail").token();
        let verified = self.anon().post("/v1/email-verifications", json!({"token": token})).await;
        let token = verified.expect(200).body["password_token"].clone();
        let confirmation = json!({"token": token, "new_password": password});
        self.anon().post("/v1/password-resets/confirm", confirmation).await.expect(204);
    }

    /// A verified account with [`PASSWORD`].
    pub async fn account(&self, email: &str, role: Role, practitioner_id: Option<PractitionerId>) -> UserId {
        let (id, now): (UserId, _) = (self.env.new_id(), self.clock.now());
        let (email, hash) = (email.to_owned(), password_hash(&self.env.password_params));
        self.db(move |tx| insert_account(tx, id, now, (&email, hash), role, practitioner_id)).await;
        id
    }
}

/// Inserts a verified account into a database.
pub fn insert_account(
    conn: &mut Conn,
    id: UserId,
    now: Timestamp,
    (email, password_hash): (&str, &str),
    role: Role,
    practitioner_id: Option<PractitionerId>,
) -> legwork::error::Result<()> {
    let row = (
        users::id.eq(id),
        users::email.eq(email),
        users::email_key.eq(email.to_lowercase()),
        users::name.eq(email),
        users::role.eq(role.as_str()),
        users::practitioner_id.eq(practitioner_id),
        users::password_hash.eq(password_hash),
        users::preferred_language.eq("en"),
        users::email_verified_at.eq(now),
        users::version.eq(1),
        users::created_at.eq(now),
        users::updated_at.eq(now),
    );
    diesel::insert_into(users::table).values(row).execute(conn)?;
    Ok(())
}

/// The body of a new record at the front desk.
pub fn patient_json(name: &str, email: &str) -> Value {
    json!({
        "given_name": name,
        "family_name": "Tester",
        "date_of_birth": "1967-09-14",
        "administrative_sex": "female",
        "email": email,
        "phone": "+12025550123",
        "preferred_language": "en",
        "interpreter_needed": false,
    })
}
