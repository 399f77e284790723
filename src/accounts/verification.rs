//! Links that verify a registered address. Each belongs to the registration that it was mailed for.
//!
//! Every caller can register any address, so several registrations may wait for the owner of one mailbox. The first is stored as an
//! account with a record. A later one of another caller does not replace it: it is sealed into its own link, and replaces the first
//! when that link is used. So a stranger's registration never changes what the owner's link does. A caller who registers again
//! replaces only their own registration.

use diesel::prelude::*;
use serde::Deserialize;

use super::linked_visit::LinkedVisit;
use super::model::{EmailAddress, Purpose, User};
use super::one_time::{self, Extra};
use super::origin::Origin;
use super::store;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{one_time_tokens, patient_access, patients, users};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{HoldId, OneTimeTokenId, UserId};
use crate::messages::model::{Mail, MessageKind, RegistrationMail};
use crate::messages::outbox;
use crate::sealed::Sealed;

/// A caller who requests links to an address, under keyed hashes.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The address and the caller.
    caller: Vec<u8>,
    /// The address and the caller's site.
    site: Vec<u8>,
}

impl Requester {
    /// The caller of a request for this address. `email_key` is [`super::model::EmailAddress::key`].
    pub fn new(env: &Env, email_key: &str, origin: &Origin) -> Self {
        let key = |what: &[u8], from: Vec<u8>| env.sealer.fingerprint(&[what, email_key.as_bytes(), &from]);
        Self { caller: key(b"registration", origin.caller()), site: key(b"registration site", origin.site()) }
    }
}

/// Returns whether the mailbox may get another verification link at the request of this caller. If the mailbox has reached its limit
/// of the hour, a caller still gets one if no link was sent at the request of the caller's site in this hour, so that others cannot use
/// up the owner's. It counts who asked for the mail, also if the link is for another caller's registration.
///
/// The user must be locked.
pub fn has_room(tx: &mut Conn, env: &Env, user: &User, requester: &Requester) -> Result<bool> {
    let recent: i64 = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user.id))
        .filter(one_time_tokens::purpose.eq(Purpose::VerifyEmail))
        .filter(one_time_tokens::requested_from.eq(&requester.site))
        .filter(one_time_tokens::created_at.gt(env.now().minus(outbox::WINDOW)))
        .count()
        .get_result(tx)?;
    if recent == 0 {
        return outbox::has_room_for_first(tx, env, &user.email, MessageKind::VerifyEmail);
    }
    outbox::has_room(tx, env, &user.email, MessageKind::VerifyEmail)
}

/// Returns whether a link that another caller requested can still verify the registration that the account holds.
pub fn belongs_to_another(tx: &mut Conn, user: UserId, requester: &Requester, now: Timestamp) -> Result<bool> {
    let of_account: Vec<Option<Vec<u8>>> = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(Purpose::VerifyEmail))
        .filter(one_time_tokens::used_at.is_null())
        .filter(one_time_tokens::expires_at.gt(now))
        .filter(one_time_tokens::registration.is_null())
        .select(one_time_tokens::requested_by)
        .load(tx)?;
    Ok(of_account.iter().any(|by| by.as_ref() != Some(&requester.caller)))
}

/// Creates the link for the registration that the account holds, and voids its earlier links.
pub fn issue(
    tx: &mut Conn,
    env: &Env,
    user: UserId,
    requester: &Requester,
    visit: Option<&LinkedVisit>,
) -> Result<String> {
    let of_account = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(Purpose::VerifyEmail))
        .filter(one_time_tokens::used_at.is_null())
        .filter(one_time_tokens::registration.is_null());
    diesel::update(of_account).set(one_time::ended!(env.now())).execute(tx)?;
    insert(tx, env, user, requester, None, visit)
}

/// Creates the link for a registration that waits beside the one that the account holds.
pub fn issue_waiting(
    tx: &mut Conn,
    env: &Env,
    user: UserId,
    requester: &Requester,
    registration: &str,
    visit: Option<&LinkedVisit>,
) -> Result<String> {
    insert(tx, env, user, requester, Some(registration), visit)
}

/// A link that works, or that has expired without being used.
#[derive(Queryable, Selectable)]
#[diesel(table_name = one_time_tokens)]
struct OpenLink {
    id: OneTimeTokenId,
    requested_by: Option<Vec<u8>>,
    registration: Option<Sealed<String>>,
    visit: Option<Sealed<LinkedVisit>>,
}

/// Creates a new link for the caller's own registration, or for the newest one if this caller has none, and the mail with it. The older
/// link of that registration stops working; other links stay valid.
pub fn renew(tx: &mut Conn, env: &Env, user: &User, requester: &Requester) -> Result<Mail> {
    let open: Vec<OpenLink> = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user.id))
        .filter(one_time_tokens::purpose.eq(Purpose::VerifyEmail))
        .filter(one_time_tokens::used_at.is_null())
        .order((one_time_tokens::created_at.desc(), one_time_tokens::id.desc()))
        .select(OpenLink::as_select())
        .load(tx)?;
    let own = open.iter().find(|link| link.requested_by.as_ref() == Some(&requester.caller));
    let Some(link) = own.or(open.first()) else {
        let token = issue(tx, env, user.id, requester, None)?;
        return Ok(Mail::VerifyEmail { token, registration: stored_names(tx, user)?, reservation: None });
    };
    let place = one_time::registration_place(link.id);
    let registration = link.registration.as_ref().map(|sealed| env.sealer.open(place, sealed)).transpose()?;
    let visit =
        link.visit.as_ref().map(|sealed| env.sealer.open(one_time::visit_place(link.id), sealed)).transpose()?;
    end(tx, link.id, env.now())?;
    let requested_by = link.requested_by.as_deref();
    let requested_from = Some(requester.site.as_slice());
    let (registration, visit) = (registration.as_deref(), visit.as_ref());
    let extra = Extra { requested_by, requested_from, registration, visit, ..Extra::default() };
    let token = one_time::insert(tx, env, user.id, Purpose::VerifyEmail, extra)?;
    let names = match registration {
        Some(typed) => serde_json::from_str::<Typed>(typed).ok().map(|typed| typed.names()),
        None => stored_names(tx, user)?,
    };
    // A reservation that has lapsed is not mentioned again.
    let reservation = match visit {
        Some(LinkedVisit::Reserved(visit)) if visit.mail.reserved_until > env.now() => Some(visit.mail.clone()),
        _ => None,
    };
    Ok(Mail::VerifyEmail { token, registration: names, reservation })
}

/// The names in a registration that waits in its link.
#[derive(Deserialize)]
struct Typed {
    relation: String,
    name: Option<String>,
    patient: TypedPatient,
}

#[derive(Deserialize)]
struct TypedPatient {
    given_name: Option<String>,
    family_name: String,
}

impl Typed {
    fn names(&self) -> RegistrationMail {
        let TypedPatient { given_name, family_name } = &self.patient;
        RegistrationMail::new(&self.relation, self.name.as_deref(), given_name.as_deref(), family_name)
    }
}

/// The names in the registration that the account holds. The tables belong to patients; this reads names only.
fn stored_names(conn: &mut Conn, user: &User) -> Result<Option<RegistrationMail>> {
    let record: Option<(String, Option<String>, String)> = patient_access::table
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(patient_access::user_id.eq(user.id))
        .order((patient_access::created_at, patient_access::patient_id))
        .select((patient_access::relation, patients::given_name, patients::family_name))
        .first(conn)
        .optional()?;
    Ok(record.map(|(relation, given_name, family_name)| {
        RegistrationMail::new(&relation, user.name.as_deref(), given_name.as_deref(), &family_name)
    }))
}

/// Voids the links to other addresses than `email` that book the visit of this hold. Returns for each the account that holds its
/// registration, locked; none if the registration waited in the link, and so is deleted with it.
pub fn void_other_addresses(
    tx: &mut Conn,
    hold: HoldId,
    email: &EmailAddress,
    now: Timestamp,
) -> Result<Vec<Option<UserId>>> {
    let others: Vec<(OneTimeTokenId, UserId, Option<Sealed<String>>)> = one_time_tokens::table
        .inner_join(users::table)
        .filter(one_time_tokens::hold_id.eq(hold))
        .filter(users::email_key.ne(email.key()))
        .order(users::id)
        .select((one_time_tokens::id, users::id, one_time_tokens::registration))
        .load(tx)?;
    let mut voided = Vec::new();
    for (link, user, waiting) in others {
        // The lock comes first, as when the link is followed.
        store::lock(tx, user)?;
        let open = one_time_tokens::table.find(link).filter(one_time_tokens::used_at.is_null());
        let was_open = diesel::update(open).set(one_time::ended!(now)).execute(tx)? > 0;
        if was_open {
            voided.push(waiting.is_none().then_some(user));
        }
    }
    Ok(voided)
}

/// Voids the caller's earlier link, and creates another one.
fn insert(
    tx: &mut Conn,
    env: &Env,
    user: UserId,
    requester: &Requester,
    registration: Option<&str>,
    visit: Option<&LinkedVisit>,
) -> Result<String> {
    let own: Vec<OneTimeTokenId> = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(Purpose::VerifyEmail))
        .filter(one_time_tokens::used_at.is_null())
        .filter(one_time_tokens::requested_by.eq(&requester.caller))
        .select(one_time_tokens::id)
        .load(tx)?;
    for id in own {
        end(tx, id, env.now())?;
    }
    let (requested_by, requested_from) = (Some(requester.caller.as_slice()), Some(requester.site.as_slice()));
    let extra = Extra { requested_by, requested_from, registration, visit, ..Extra::default() };
    one_time::insert(tx, env, user, Purpose::VerifyEmail, extra)
}

fn end(tx: &mut Conn, id: OneTimeTokenId, now: Timestamp) -> Result<()> {
    diesel::update(one_time_tokens::table.find(id)).set(one_time::ended!(now)).execute(tx)?;
    Ok(())
}
