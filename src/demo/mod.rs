//! The demo clinic: two locations in two time zones, four practitioners, three visit types, their slots, and people. Owns the
//! table `database_marks`.

mod clinic;
mod intakes;
pub mod mailbox;
mod people;

use std::net::SocketAddr;

use diesel::prelude::*;
use jiff::SignedDuration;

use crate::accounts::passwords::hashing::hash_now;
use crate::actor::Role;
use crate::audit;
use crate::config::Settings;
use crate::db::schema::{database_marks, locations, users};
use crate::db::{self, Conn, Target, migrate};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::intake;

/// The password of all demo accounts.
pub const PASSWORD: &str = "restful-nights-demo";
/// The domain of all demo accounts. Mail to it goes nowhere (RFC 2606).
pub const DOMAIN: &str = "demo.legwork.example";

/// The row of `database_marks` that marks a database as a demo. It is written in the transaction that fills the database.
const MARK: &str = "demo";

/// No event of the demo is older.
const OLDEST_EVENT: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Fills an empty database. Keeps an existing demo, and rejects any other database.
///
/// # Errors
/// A text for the operator.
pub async fn fill(env: &Env) -> Result<(), String> {
    // If several start at the same time, one fills the database, and the others find the demo.
    let _lock = migrate::lock_alone(&env.config.target)?;
    let shared = env.clone();
    let filled = env.db.write(move |tx| fill_empty(tx, &shared)).await.map_err(|error| match error {
        Error::Conflict(conflict) => conflict.detail,
        other => other.to_string(),
    })?;
    if filled {
        intake::due::compute_due(env).await.map_err(|error| error.to_string())?;
        env.mail_written.notify_one();
        tracing::info!("filled the database with the demo clinic");
    }
    Ok(())
}

/// Rejects addresses that others reach.
///
/// # Errors
/// A text for the operator.
pub fn check_addresses(settings: &Settings) -> Result<(), String> {
    if [Some(settings.listen_addr), settings.health_addr].iter().flatten().any(|addr| !addr.ip().is_loopback()) {
        return Err("--demo has published passwords, so it listens on loopback addresses only".into());
    }
    Ok(())
}

/// Rejects the real use of a demo, because the passwords of its accounts are published. The schema must be current.
///
/// # Errors
/// A text for the operator.
pub fn reject(target: &Target) -> Result<(), String> {
    let mut conn = db::connect(target)?;
    if is_demo(&mut conn).map_err(|error| format!("read whether the database is a demo: {error}"))? {
        return Err("this database is a demo, and the passwords of its accounts are published. Start it with \
            `legwork serve --demo`, or name another database in DATABASE_URL."
            .into());
    }
    Ok(())
}

fn is_demo(conn: &mut Conn) -> Result<bool> {
    let marks: i64 = database_marks::table.find(MARK).count().get_result(conn)?;
    Ok(marks > 0)
}

/// Returns whether it filled the database now.
fn fill_empty(tx: &mut Conn, env: &Env) -> Result<bool> {
    if is_demo(tx)? {
        return Ok(false);
    }
    let (accounts, places): (i64, i64) =
        (users::table.count().get_result(tx)?, locations::table.count().get_result(tx)?);
    if accounts + places > 0 {
        return Err(Error::fault("--demo needs an empty database or an earlier demo. This one is in use"));
    }
    diesel::insert_into(database_marks::table).values(database_marks::name.eq(MARK)).execute(tx)?;
    // Only if it is needed, because it takes 19 MiB.
    let hash = hash_now(PASSWORD, &env.entropy.bytes(), &env.password_params)?;
    let clinic = clinic::fill(tx, env)?;
    people::fill(tx, env, &hash, &clinic)?;
    // The demo's events are in the past, where no event should be without a seal.
    audit::seal::seal(tx, &env.signer, OLDEST_EVENT, None)?;
    Ok(true)
}

/// The accounts of the demo's people, whose password is [`PASSWORD`].
pub fn accounts() -> impl Iterator<Item = (Role, String)> {
    let roles = [Role::Admin, Role::FrontDesk, Role::Practitioner, Role::Patient];
    roles.into_iter().map(|role| (role, format!("{}@{DOMAIN}", people::mailbox(role))))
}

/// Returns the text for the person who started the demo.
pub fn welcome(env: &Env, addr: SocketAddr) -> String {
    let accounts: Vec<_> = accounts().map(|(_, address)| format!("  {address}")).collect();
    let mail = match &env.config.settings.smtp_url {
        Some(_) => "go to SMTP_URL".to_owned(),
        None => format!("http://{addr}/demo/mails"),
    };
    format!(
        "\nThe demo clinic is open.\n\n  Book a visit   http://{addr}/book\n  Documentation  http://{addr}/docs/\n  OpenAPI        http://{addr}/openapi.json\n  \
         Mails          {mail}\n\nSign in at http://{addr}/sign-in, or at POST /v1/sessions, password {PASSWORD}:\n{}\n",
        accounts.join("\n")
    )
}
