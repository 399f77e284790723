//! The stored links of the mails with offers. A link that was mailed to an account works while the account may act for the patient. Every
//! link ends with the offered time, and when its recipient has another address: the earlier one may have been another person's.

use diesel::prelude::*;

use super::offer::{self, Offer};
use crate::accounts::typed_code::{CodeSpace, TypedCode};
use crate::accounts::{store as accounts, tokens};
use crate::appointments::link_tokens::were_revoked;
use crate::context::{Principal, Tx};
use crate::db::Conn;
use crate::db::schema::waitlist_offer_links;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{UserId, WaitlistOfferId, WaitlistOfferLinkId};
use crate::patients::records::model::email_key;
use crate::patients::{access, store as records};

/// The codes of offers.
pub(super) const CODES: CodeSpace = CodeSpace("waitlist offer");

/// A link in a mail.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = waitlist_offer_links)]
pub(super) struct Link {
    id: WaitlistOfferLinkId,
    pub offer_id: WaitlistOfferId,
    /// The account that it was mailed to; none for the address in the record.
    pub user_id: Option<UserId>,
    address_digest: Vec<u8>,
}

/// Creates a link and returns its token and the code to type in. Only digests of them, and of the address, are stored.
pub(super) fn issue<P>(
    tx: &mut Tx<P>,
    offer: WaitlistOfferId,
    account: Option<UserId>,
    email: &str,
) -> Result<(String, TypedCode)> {
    let id: WaitlistOfferLinkId = tx.env.new_id();
    let token = tokens::opaque(&tx.env.entropy);
    let code = TypedCode::draw(&tx.env.entropy);
    diesel::insert_into(waitlist_offer_links::table)
        .values((
            waitlist_offer_links::id.eq(id),
            waitlist_offer_links::offer_id.eq(offer),
            waitlist_offer_links::user_id.eq(account),
            waitlist_offer_links::address_digest.eq(tx.env.sealer.fingerprint(&address(&id, &email_key(email)))),
            waitlist_offer_links::token_hash.eq(tokens::hash(&token)),
            waitlist_offer_links::code_digest.eq(code.digest(tx.env, CODES)),
            waitlist_offer_links::created_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok((token, code))
}

/// What the digest of an address is computed from. A code and a token find the link, so neither can be a part of it.
fn address<'a>(id: &'a WaitlistOfferLinkId, key: &'a str) -> [&'a [u8]; 3] {
    [b"waitlist offer address", id.0.as_bytes(), key.as_bytes()]
}

/// Returns whether a link was mailed to an address.
pub(super) fn was_mailed_to(env: &Env, link: &Link, email: &str) -> bool {
    env.sealer.is_fingerprint(&link.address_digest, &address(&link.id, &email_key(email)))
}

/// Finds a link by its token.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find(conn: &mut Conn, token: &str) -> Result<Link> {
    let link = waitlist_offer_links::table.filter(waitlist_offer_links::token_hash.eq(tokens::hash(token)));
    Ok(link.select(Link::as_select()).first(conn)?)
}

/// Finds a link by the digest of its code.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find_by_code(conn: &mut Conn, digest: &[u8]) -> Result<Link> {
    let link = waitlist_offer_links::table.filter(waitlist_offer_links::code_digest.eq(digest));
    Ok(link.select(Link::as_select()).first(conn)?)
}

/// Loads the links of an offer.
pub(super) fn of_offer(conn: &mut Conn, offer: WaitlistOfferId) -> Result<Vec<Link>> {
    let links = waitlist_offer_links::table.filter(waitlist_offer_links::offer_id.eq(offer));
    Ok(links.select(Link::as_select()).load(conn)?)
}

/// Loads the offer of a link that works.
///
/// # Errors
/// [`Error::NotFound`], whatever the reason.
pub(super) fn look_up(tx: &mut Tx<impl Principal>, link: &Link) -> Result<Offer> {
    let found = offer::find(tx.conn, link.offer_id)?;
    let address = match link.user_id {
        Some(account) if access::account_may_act_for(tx.conn, tx.now, account, found.patient_id)? => {
            Some(accounts::find(tx.conn, account)?.email)
        }
        Some(_) => None,
        None => records::find_authorised(tx.conn, found.patient_id)?.email,
    };
    let is_recipients = address.is_some_and(|address| was_mailed_to(tx.env, link, &address));
    // The staff who revoke the links of a visit mean this one too.
    let is_revoked = match found.appointment_id {
        Some(visit) => were_revoked(tx.conn, visit)?,
        None => false,
    };
    if !is_recipients || is_revoked || found.ends_at <= tx.now {
        return Err(Error::NotFound);
    }
    tx.audit.note_patient(found.patient_id);
    tx.audit.note_object(found.id.0);
    Ok(found)
}
