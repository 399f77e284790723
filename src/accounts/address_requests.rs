//! A row for each request about an address, written before the address is looked up.
//!
//! A request about an address without an account would otherwise change nothing. Changes of others wait for the commit of a request, on SQLite
//! with its flush, so their times would tell who has an account.

use diesel::prelude::*;

use crate::context::{Anonymous, Tx};
use crate::db::schema::address_requests;
use crate::error::Result;
use crate::ids::AddressRequestId;

/// Stores that there was a request, and nothing of it.
pub fn note(tx: &mut Tx<Anonymous>) -> Result<()> {
    let row = (address_requests::id.eq(AddressRequestId(tx.env.new_id())), address_requests::requested_at.eq(tx.now));
    diesel::insert_into(address_requests::table).values(row).execute(tx.conn)?;
    Ok(())
}
