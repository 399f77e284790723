//! The version of the zone data that the database records: that of the newest data with which an instance has started.
//!
//! An instance with other data must not publish time slots: it would undo what the newer rules give. It can still book the published ones,
//! because these are instants.

use diesel::prelude::*;

use super::{Zones, is_older};
use crate::clock::Timestamp;
use crate::db::schema::zone_data;
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};

/// How the data of this process relates to the recorded version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is the recorded version.
    Current,
    /// The database records this other version.
    Other(String),
}

/// Seconds after which a change of a schedule may be retried: another instance may serve it at once.
const RETRY_AFTER: u32 = 5;

/// Records the version of this process's data, unless the recorded version is newer. Versions without an order count as newer: the
/// last one to start wins. Returns the version that was recorded before, and how the data relates to the one recorded now.
pub fn adopt(conn: &mut Conn, zones: &Zones, now: Timestamp) -> Result<(Option<String>, Standing)> {
    conn.transaction(|conn| {
        let before = read_locked(conn)?;
        let own = zones.version();
        match &before {
            Some(recorded) if recorded == own => return Ok((before, Standing::Current)),
            Some(recorded) if is_older(own, recorded) => {
                let recorded = recorded.clone();
                return Ok((before, Standing::Other(recorded)));
            }
            Some(_) => {
                diesel::update(zone_data::table.find(ONLY))
                    .set((zone_data::version.eq(own), zone_data::recorded_at.eq(now)))
                    .execute(conn)?;
            }
            None => {
                let row = (zone_data::id.eq(ONLY), zone_data::version.eq(own), zone_data::recorded_at.eq(now));
                per_backend!(conn, conn => diesel::insert_into(zone_data::table)
                    .values(row)
                    .on_conflict_do_nothing()
                    .execute(conn))?;
            }
        }
        Ok((before, Standing::Current))
    })
}

/// Returns how the data of this process relates to the recorded version. Without a recorded version it is current.
pub fn standing(conn: &mut Conn, zones: &Zones) -> Result<Standing> {
    let recorded: Option<String> = zone_data::table.find(ONLY).select(zone_data::version).first(conn).optional()?;
    Ok(recorded.filter(|recorded| recorded != zones.version()).map_or(Standing::Current, Standing::Other))
}

/// Requires that this process has the recorded data. Publishing calls it with the practitioner locked, so that an instance whose data
/// became outdated meanwhile cannot publish after the newer one.
///
/// # Errors
/// [`Error::Unavailable`].
pub fn require_current(conn: &mut Conn, zones: &Zones) -> Result<()> {
    match standing(conn, zones)? {
        Standing::Current => Ok(()),
        Standing::Other(recorded) => Err(Error::unavailable(RETRY_AFTER, outdated(zones, &recorded))),
    }
}

/// Returns what is wrong with this process's data, and the remedy, for the log and the doctor.
pub fn outdated(zones: &Zones, recorded: &str) -> String {
    format!(
        "the data of time zones is {}, but the database records {recorded}, so this instance publishes no time slots. Set TZ_DATA to data of \
         that version, or update the program",
        zones.version()
    )
}

/// The id of the table's only row.
const ONLY: i32 = 1;

fn read_locked(conn: &mut Conn) -> Result<Option<String>> {
    let row = zone_data::table.find(ONLY).select(zone_data::version);
    Ok(match conn {
        Conn::Postgres(conn) => row.for_update().first(conn).optional()?,
        Conn::Sqlite(conn) => row.first(conn).optional()?,
    })
}
