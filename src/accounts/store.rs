//! Users in the database.

use diesel::dsl::not;
use diesel::prelude::*;

use super::model::{EmailAddress, Purpose, User};
use super::one_time;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{patient_access, practitioners, users};
use crate::env::Env;
use crate::error::{Error, FieldCode, ProblemCode, Result};
use crate::http::paging::{Page, in_order};
use crate::ids::{PatientId, PractitionerId, UserId};

/// An account to create.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub email: EmailAddress,
    /// The owner's name; none for patients, whose name is in their record.
    pub name: Option<String>,
    /// The account's role.
    pub role: Role,
    /// The practitioner whose account it is; none for other roles.
    pub practitioner_id: Option<PractitionerId>,
    /// The hash as a PHC string; none until the owner of the mailbox sets a password.
    pub password_hash: Option<String>,
    /// A BCP 47 tag.
    pub preferred_language: String,
}

/// The person's account with this address; `key` is [`EmailAddress::key`].
pub fn find_by_email(conn: &mut Conn, key: &str) -> Result<Option<User>> {
    let people = users::table.filter(users::email_key.eq(key)).filter(not(users::is_client));
    Ok(people.select(User::as_select()).first(conn).optional()?)
}

/// The account with this id.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(conn: &mut Conn, id: UserId) -> Result<User> {
    Ok(users::table.find(id).select(User::as_select()).first(conn)?)
}

/// The account with this id, unless it is that of a machine client.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find_person(conn: &mut Conn, id: UserId) -> Result<User> {
    Ok(users::table.find(id).filter(not(users::is_client)).select(User::as_select()).first(conn)?)
}

/// The account with this id, locked until the transaction ends, unless it is that of a machine client.
///
/// # Errors
/// [`Error::NotFound`].
pub fn lock_person(tx: &mut Conn, id: UserId) -> Result<User> {
    lock(tx, id)?;
    find_person(tx, id)
}

/// The account with this id, locked until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`].
pub fn lock(tx: &mut Conn, id: UserId) -> Result<User> {
    if let Conn::Postgres(pg) = tx {
        users::table.find(id).select(users::version).for_update().first::<i32>(pg)?;
    }
    find(tx, id)
}

/// Creates an account.
///
/// # Errors
/// The conflict `email_taken`.
pub fn insert(tx: &mut Conn, env: &Env, new: &NewAccount) -> Result<User> {
    let now = env.now();
    let id: UserId = env.new_id();
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id),
            users::email.eq(new.email.as_str()),
            users::email_key.eq(new.email.key()),
            users::name.eq(&new.name),
            users::role.eq(new.role),
            users::practitioner_id.eq(new.practitioner_id),
            users::password_hash.eq(&new.password_hash),
            users::preferred_language.eq(&new.preferred_language),
            users::version.eq(1),
            users::created_at.eq(now),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    find(tx, id)
}

/// Creates the service account of a machine client. Its address leads nowhere (RFC 2606), and it has no password.
pub fn insert_client(tx: &mut Conn, env: &Env, name: &str, role: Role) -> Result<UserId> {
    let now = env.now();
    let id: UserId = env.new_id();
    let address = format!("{id}@clients.invalid");
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id),
            users::email.eq(&address),
            users::email_key.eq(&address),
            users::name.eq(name),
            users::role.eq(role),
            users::preferred_language.eq("en"),
            users::is_client.eq(true),
            users::version.eq(1),
            users::created_at.eq(now),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    Ok(id)
}

/// Stores the fields of a user that administrators change, and increments the version.
pub fn update(tx: &mut Conn, user: &User, now: Timestamp) -> Result<User> {
    diesel::update(users::table.find(user.id))
        .set((
            users::name.eq(&user.name),
            users::role.eq(user.role),
            users::practitioner_id.eq(user.practitioner_id),
            users::disabled_at.eq(user.disabled_at),
            users::version.eq(user.version + 1),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    find(tx, user.id)
}

/// Verifies the address of an account for the first time, and deletes a password that was set before. The link proves control of the
/// mailbox, but not that its owner set the password.
pub fn verify(tx: &mut Conn, user: &User, now: Timestamp) -> Result<User> {
    diesel::update(users::table.find(user.id).filter(users::email_verified_at.is_null()))
        .set((
            users::email_verified_at.eq(now),
            users::password_hash.eq(None::<String>),
            users::version.eq(user.version + 1),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    find(tx, user.id)
}

/// Verifies the address and keeps the password. For callers that have just set it for the mailbox's owner.
pub fn mark_verified(tx: &mut Conn, id: UserId, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(id).filter(users::email_verified_at.is_null()))
        .set((users::email_verified_at.eq(now), users::updated_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

/// Ends what earlier credentials of the account gave: its device tokens, because it gets a new generation, and the links in its mails.
/// Every change of how an account signs in goes through here. The caller decides which sessions end.
pub fn end_earlier_credentials(tx: &mut Conn, id: UserId, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(id))
        .set(users::credential_generation.eq(users::credential_generation + 1))
        .execute(tx)?;
    one_time::void_all(tx, id, now)
}

/// Changes the account's address, and ends what earlier credentials gave. The address counts as verified, because a link was mailed
/// to it.
///
/// # Errors
/// The conflict `email_taken` if another account has it by now.
pub fn set_email(tx: &mut Conn, user: &User, email: &EmailAddress, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(user.id))
        .set((
            users::email.eq(email.as_str()),
            users::email_key.eq(email.key()),
            users::email_verified_at.eq(now),
            users::version.eq(user.version + 1),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    one_time::forget_visits(tx, user.id)?;
    end_earlier_credentials(tx, user.id, now)
}

/// Switches the second factor on since this time, or off, and ends what earlier credentials gave. Returns the account after the change.
pub fn set_second_factor(tx: &mut Conn, user: &User, since: Option<Timestamp>, now: Timestamp) -> Result<User> {
    diesel::update(users::table.find(user.id))
        .set((users::second_factor_at.eq(since), users::version.eq(user.version + 1), users::updated_at.eq(now)))
        .execute(tx)?;
    end_earlier_credentials(tx, user.id, now)?;
    find(tx, user.id)
}

/// Replaces a hash by a stronger one of the same password, unless the password has changed.
pub fn rehash(tx: &mut Conn, id: UserId, old: &str, new: &str) -> Result<()> {
    diesel::update(users::table.find(id).filter(users::password_hash.eq(old)))
        .set(users::password_hash.eq(new))
        .execute(tx)?;
    Ok(())
}

/// Returns the placeholder for the address of an account that lost it and keeps its row.
pub fn removed_address(id: UserId) -> String {
    format!("{id}@removed.invalid")
}

/// Takes an address from the registration that has it and was never verified, so that the owner of the mailbox can get another account
/// with it. The registration's links stop working. It is deleted at the end of its retention, with its unused records.
pub fn take_from_registration(tx: &mut Conn, email: &EmailAddress, now: Timestamp) -> Result<()> {
    let Some(found) = find_by_email(tx, &email.key())? else { return Ok(()) };
    // The lock keeps it from being verified meanwhile.
    let user = lock(tx, found.id)?;
    if !user.is_registration() {
        return Ok(());
    }
    let address = removed_address(user.id);
    diesel::update(users::table.find(user.id))
        .set((
            users::email.eq(&address),
            users::email_key.eq(&address),
            users::version.eq(user.version + 1),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    one_time::void_all(tx, user.id, now)
}

/// Sets the password, and ends what earlier credentials gave.
pub fn set_password(tx: &mut Conn, id: UserId, hash: &str, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(id))
        .set((users::password_hash.eq(hash), users::updated_at.eq(now)))
        .execute(tx)?;
    end_earlier_credentials(tx, id, now)
}

/// A page of the accounts of people by creation.
pub fn list(conn: &mut Conn, role: Option<Role>, page: &Page) -> Result<Vec<User>> {
    let mut query = users::table.filter(not(users::is_client)).select(User::as_select()).into_boxed();
    if let Some(role) = role {
        query = query.filter(users::role.eq(role));
    }
    Ok(in_order!(query, page, users::created_at, users::id, UserId).load(conn)?)
}

/// The patients to whose records accounts have access. An account shows the address at which such a patient is reached, so audit events
/// name them. The table belongs to patients; this reads ids only.
pub fn patients_of(conn: &mut Conn, users: &[User]) -> Result<Vec<PatientId>> {
    let accounts: Vec<UserId> = users.iter().filter(|user| !user.role.is_staff()).map(|user| user.id).collect();
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let linked = patient_access::table.filter(patient_access::user_id.eq_any(accounts));
    Ok(linked.select(patient_access::patient_id).distinct().load(conn)?)
}

/// Requires that the practitioner exists. The table belongs to scheduling; this only checks for the id.
///
/// # Errors
/// A broken rule at `/practitioner_id`.
pub fn require_practitioner(conn: &mut Conn, id: PractitionerId) -> Result<()> {
    let there: i64 = practitioners::table.find(id).count().get_result(conn)?;
    if there > 0 {
        Ok(())
    } else {
        Err(Error::invalid("/practitioner_id", FieldCode::UnknownReference, "does not exist"))
    }
}

/// Requires that another administrator besides `id` can sign in, which machine clients cannot. Locks all administrators, so that two who disable each other at the
/// same time do not both succeed.
///
/// # Errors
/// The conflict `last_admin`.
pub fn require_another_admin(tx: &mut Conn, id: UserId) -> Result<()> {
    let admins = users::table
        .filter(users::role.eq(Role::Admin))
        .filter(users::disabled_at.is_null())
        .filter(users::password_hash.is_not_null())
        .filter(not(users::is_client))
        .order(users::id)
        .select(users::id);
    let admins: Vec<UserId> = match tx {
        Conn::Postgres(pg) => admins.for_update().load(pg)?,
        Conn::Sqlite(sqlite) => admins.load(sqlite)?,
    };
    if admins.iter().any(|admin| *admin != id) {
        Ok(())
    } else {
        Err(Error::conflict(ProblemCode::LastAdmin, "This is the last administrator who can sign in."))
    }
}

/// Loads the administrators who can sign in, which machine clients cannot.
pub fn admins(conn: &mut Conn) -> Result<Vec<User>> {
    let admins: Vec<User> = users::table
        .filter(users::role.eq(Role::Admin))
        .filter(not(users::is_client))
        .order(users::id)
        .select(User::as_select())
        .load(conn)?;
    Ok(admins.into_iter().filter(User::can_sign_in).collect())
}

/// Replaces the password, name and language of an account that was never verified, and voids its links, except those that verify the
/// address ([`super::verification`]). The caller has locked the account.
///
/// # Errors
/// [`Error::Retry`] if the address was taken from it before the lock ([`take_from_registration`]).
pub fn replace_unverified(tx: &mut Conn, user: &User, new: &NewAccount, now: Timestamp) -> Result<User> {
    if user.email_key != new.email.key() {
        return Err(Error::Retry);
    }
    diesel::update(users::table.find(user.id))
        .set((
            users::email.eq(new.email.as_str()),
            users::name.eq(&new.name),
            users::password_hash.eq(&new.password_hash),
            users::preferred_language.eq(&new.preferred_language),
            users::version.eq(user.version + 1),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    for purpose in Purpose::ALL.iter().filter(|purpose| **purpose != Purpose::VerifyEmail) {
        one_time::void(tx, user.id, *purpose, now)?;
    }
    find(tx, user.id)
}
