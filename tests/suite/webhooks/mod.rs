//! Webhooks: events that are sent to receivers, in order and with nothing missing, whatever the receivers do.

mod delivery;
mod failing;
mod instances;
mod kills;
mod lying;
mod managing;
mod pages;
mod receiver;
mod verification;

use diesel::prelude::*;
use legwork::db::Conn;
use legwork::db::schema::events;
use legwork::ids::ObjectId;
use serde_json::{Value, json};

use self::receiver::Receiver;
use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, eventually};

/// The setting with which webhooks reach receivers of tests.
pub const OPENED: [&str; 2] = ["--webhook-allowed-networks", "127.0.0.1"];

/// A server that reaches receivers of tests.
pub fn opened(app: App) -> App {
    app.restart(&OPENED)
}

/// A webhook that an administrator has created.
pub struct Hook {
    pub id: String,
    pub secret: String,
    pub admin: Client,
}

impl Hook {
    /// Creates a webhook for all events.
    pub async fn new(app: &App, receiver: &Receiver) -> Self {
        Self::of(&app.admin().await, json!({"url": receiver.url})).await
    }

    pub async fn of(admin: &Client, body: Value) -> Self {
        let created = admin.post("/v1/webhooks", body).await;
        let id = created.expect(201).id();
        Self { id, secret: created.string("/secret"), admin: admin.clone() }
    }

    /// The path of the webhook, followed by `rest`.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/webhooks/{}{rest}", self.id)
    }

    pub async fn read(&self) -> Reply {
        self.admin.get(&self.path("")).await
    }

    pub async fn delivery(&self) -> Value {
        self.admin.get(&self.path("/delivery")).await.expect(200).body.clone()
    }

    /// The log, newest first.
    pub async fn attempts(&self) -> Vec<Value> {
        self.admin.get(&self.path("/attempts?limit=200")).await.items()
    }

    pub async fn set(&self, changes: Value) -> Reply {
        self.admin.update(&self.path(""), changes).await
    }

    /// Waits until the state of the delivery has this member.
    pub async fn until(&self, member: &str, expected: Value) -> Value {
        eventually(async || match self.delivery().await {
            delivery if delivery[member] == expected => Ok(delivery),
            delivery => Err(delivery.to_string()),
        })
        .await
    }

    pub async fn until_status(&self, status: &str) -> Reply {
        eventually(async || match self.read().await {
            reply if reply.body["status"] == status => Ok(reply),
            reply => Err(reply.text),
        })
        .await
    }
}

/// Causes an event.
pub async fn change(app: &App, name: &str) {
    let email = format!("{}@patients.example", name.to_lowercase());
    app.desk().await.post("/v1/patients", patient_json(name, &email)).await.expect(201);
}

/// Writes many changes, as the triggers do: of ten objects, whose versions rise.
pub fn write_events(conn: &mut Conn, from: i32, count: i32) {
    for number in from..from + count {
        let subject = ObjectId(uuid::Uuid::from_u128(1_000 + u128::try_from(number % 10).expect("small")));
        diesel::insert_into(events::table)
            .values((
                events::kind.eq("appointment.updated"),
                events::subject_type.eq("appointment"),
                events::subject_id.eq(subject),
                events::subject_version.eq(number / 10 + 1),
            ))
            .execute(conn)
            .expect("an event");
    }
}
