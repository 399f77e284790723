//! Users in the database.

use diesel::prelude::*;

use super::model::{EmailAddress, Purpose, User};
use super::one_time;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{practitioners, users};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Cursor, Limit};
use crate::ids::{PractitionerId, UserId};

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The address.
    pub email: EmailAddress,
    /// The holder's name; a patient's own account goes by the record's.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// The doctor whose account it is.
    pub practitioner_id: Option<PractitionerId>,
    /// The PHC string; none until the owner of the mailbox sets a password.
    pub password_hash: Option<String>,
    /// BCP 47.
    pub preferred_language: String,
}

/// The account with this address; `key` is [`EmailAddress::key`].
///
/// # Errors
/// The database's.
pub fn find_by_email(conn: &mut Conn, key: &str) -> Result<Option<User>> {
    Ok(users::table.filter(users::email_key.eq(key)).select(User::as_select()).first(conn).optional()?)
}

/// The account with this id.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(conn: &mut Conn, id: UserId) -> Result<User> {
    Ok(users::table.find(id).select(User::as_select()).first(conn)?)
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

/// Makes an account.
///
/// # Errors
/// A conflict where the address is taken.
pub fn insert(tx: &mut Conn, env: &Env, new: &NewUser) -> Result<User> {
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

/// Writes a user's changeable fields; the version grows by one.
///
/// # Errors
/// The database's.
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

/// Verifies the address of an account that was never verified, and drops a password that was set before: the link proves the
/// mailbox, not who set the password.
///
/// # Errors
/// The database's.
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

/// Notes that the address was shown to be theirs. The password stays: whoever calls this has just had it set.
///
/// # Errors
/// The database's.
pub fn mark_verified(tx: &mut Conn, id: UserId, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(id).filter(users::email_verified_at.is_null()))
        .set((users::email_verified_at.eq(now), users::updated_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

/// Makes another address the account's. Whoever has the link in a mail to it reads its mailbox.
///
/// # Errors
/// A conflict where another account has it meanwhile.
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
    Ok(())
}

/// Notes since when signing in takes a code, or that it no longer does.
///
/// # Errors
/// The database's.
pub fn set_second_factor(tx: &mut Conn, user: &User, since: Option<Timestamp>, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(user.id))
        .set((users::second_factor_at.eq(since), users::version.eq(user.version + 1), users::updated_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

/// Replaces a hash by a stronger one of the same password, unless the password was changed meanwhile.
///
/// # Errors
/// The database's.
pub fn rehash(tx: &mut Conn, id: UserId, old: &str, new: &str) -> Result<()> {
    diesel::update(users::table.find(id).filter(users::password_hash.eq(old)))
        .set(users::password_hash.eq(new))
        .execute(tx)?;
    Ok(())
}

/// Sets the password.
///
/// # Errors
/// The database's.
pub fn set_password(tx: &mut Conn, id: UserId, hash: &str, now: Timestamp) -> Result<()> {
    diesel::update(users::table.find(id))
        .set((users::password_hash.eq(hash), users::updated_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

/// A page of accounts, oldest first.
///
/// # Errors
/// The database's.
pub fn list(conn: &mut Conn, role: Option<Role>, after: Option<Cursor>, limit: Limit) -> Result<Vec<User>> {
    let mut query = users::table.select(User::as_select()).into_boxed();
    if let Some(role) = role {
        query = query.filter(users::role.eq(role));
    }
    if let Some(Cursor { at, id }) = after {
        query = query.filter(users::created_at.gt(at).or(users::created_at.eq(at).and(users::id.gt(UserId(id)))));
    }
    Ok(query.order((users::created_at, users::id)).limit(limit.query()).load(conn)?)
}

/// Whether there is such a doctor. The table is scheduling's; this asks no more than that.
///
/// # Errors
/// A broken rule at `/practitioner_id`.
pub fn require_practitioner(conn: &mut Conn, id: PractitionerId) -> Result<()> {
    let there: i64 = practitioners::table.find(id).count().get_result(conn)?;
    if there > 0 {
        Ok(())
    } else {
        Err(Error::invalid("/practitioner_id", "unknown_reference", "there is no such practitioner"))
    }
}

/// Sees to it that an administrator who can sign in remains besides `id`. Locks them all, so that two administrators who
/// dismiss each other at once do not both succeed.
///
/// # Errors
/// A conflict where none would.
pub fn require_another_admin(tx: &mut Conn, id: UserId) -> Result<()> {
    let admins = users::table
        .filter(users::role.eq(Role::Admin))
        .filter(users::disabled_at.is_null())
        .filter(users::password_hash.is_not_null())
        .order(users::id)
        .select(users::id);
    let admins: Vec<UserId> = match tx {
        Conn::Postgres(pg) => admins.for_update().load(pg)?,
        Conn::Sqlite(sqlite) => admins.load(sqlite)?,
    };
    if admins.iter().any(|admin| *admin != id) {
        Ok(())
    } else {
        Err(Error::conflict("last_admin", "This is the last administrator who can sign in."))
    }
}

/// Makes an account that was never verified anew: the earlier password, name and language are gone, and so are its links.
///
/// # Errors
/// The database's.
pub fn replace_unverified(tx: &mut Conn, user: &User, new: &NewUser, now: Timestamp) -> Result<User> {
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
    for purpose in Purpose::ALL {
        one_time::void(tx, user.id, *purpose, now)?;
    }
    find(tx, user.id)
}
