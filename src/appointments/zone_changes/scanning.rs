//! Finds the booked visits whose instant does not show the promised time, once for each version of the zone data, and after a change of a
//! location's zone (`locations.zone_scan_due`).
//!
//! Each appointment has the version with which it was last compared. So an interrupted scan resumes where it stopped, and a visit that an
//! instance with older data books meanwhile is found by the next run. Without anything to do, a run reads no appointment.

use std::time::Duration;

use diesel::prelude::*;
use tokio::sync::watch::Receiver;

use crate::appointment_status::AppointmentStatus;
use crate::appointments::promise::Promise;
use crate::clock::Timestamp;
use crate::db::schema::{appointments, locations};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, LocationId};
use crate::periodic;
use crate::zones::Zones;
use crate::zones::recorded::{self, Standing};

/// The interval of the runs.
const INTERVAL: Duration = Duration::from_hours(1);
/// The appointments of one transaction. While it runs, none of them can be moved.
const BATCH: i64 = 200;

/// The counts of a scan.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// The appointments that had no promise and got that of their current local time.
    pub promised: usize,
    /// The compared visits.
    pub compared: usize,
    /// The compared visits whose instant does not show the promised time.
    pub changed: usize,
}

/// Fills missing promises, and compares the booked visits that were compared with other zone data. Does nothing if the database records
/// other data than this process has.
pub async fn scan(env: &Env) -> Result<Scanned> {
    let zones = env.config.zones.clone();
    let mut scanned = Scanned::default();
    if env.db.read(move |conn| recorded::standing(conn, &zones)).await? != Standing::Current {
        return Ok(scanned);
    }
    loop {
        let zones = env.config.zones.clone();
        let filled = env.db.write(move |conn| fill(conn, &zones)).await?;
        scanned.promised += filled;
        if filled == 0 {
            break;
        }
    }
    loop {
        let now = env.now();
        if !env.db.write(move |conn| reset(conn, now)).await? {
            break;
        }
    }
    loop {
        let (zones, now) = (env.config.zones.clone(), env.now());
        let (compared, changed) = env.db.write(move |conn| compare(conn, &zones, now)).await?;
        scanned.compared += compared;
        scanned.changed += changed;
        if compared == 0 {
            return Ok(scanned);
        }
    }
}

/// Starts the periodic scan. It also runs when a location has got another time zone.
pub fn start(env: &Env, stopping: Receiver<bool>) {
    let (env, waiting) = (env.clone(), env.clone());
    let work = async move || {
        run(&env).await;
        INTERVAL
    };
    periodic::start_woken(stopping, async move || waiting.zone_written.notified().await, work);
}

async fn run(env: &Env) {
    match scan(env).await {
        Ok(Scanned { promised: 0, compared: 0, .. }) => {}
        Ok(Scanned { promised, compared, changed }) => {
            tracing::info!(promised, compared, changed, "appointments compared with the data of time zones");
        }
        Err(error) => tracing::warn!(%error, "appointments could not be compared with the data of time zones"),
    }
}

/// Promises the current local time of some appointments that have no promise: what their mails said, unless the law changed since.
/// Returns their number.
pub fn fill(conn: &mut Conn, zones: &Zones) -> Result<usize> {
    let rows: Vec<(AppointmentId, Timestamp, String)> = per_backend!(conn, conn => appointments::table
        .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
        .filter(appointments::promised_local.is_null())
        .order(appointments::id)
        .limit(BATCH)
        .select((appointments::id, appointments::starts_at, locations::time_zone))
        .load(conn))?;
    for (id, starts_at, zone) in &rows {
        let promise = Promise::of(*starts_at, zone, zones)?;
        per_backend!(conn, conn => diesel::update(
            appointments::table
                .filter(appointments::id.eq(id))
                .filter(appointments::starts_at.eq(starts_at))
                .filter(appointments::promised_local.is_null())
        )
        .set((
            appointments::promised_local.eq(&promise.promised_local),
            appointments::promised_zone.eq(&promise.promised_zone),
            appointments::promised_tz.eq(&promise.promised_tz),
            appointments::zone_checked.eq(&promise.zone_checked),
        ))
        .execute(conn))?;
    }
    Ok(rows.len())
}

/// Comes before the name of every version of zone data.
const NOT_COMPARED: &str = "";

/// Marks some visits to come, at a location that has another time zone, as not compared. Without such visits the location is done. Returns
/// whether there may be more. Each run is a transaction of its own that locks only appointments.
pub fn reset(conn: &mut Conn, now: Timestamp) -> Result<bool> {
    let due = locations::table.filter(locations::zone_scan_due).order(locations::id);
    let due: Option<(LocationId, i32)> = due.select((locations::id, locations::version)).first(conn).optional()?;
    let Some((location, version)) = due else { return Ok(false) };
    let to_come = appointments::table
        .filter(appointments::location_id.eq(location))
        .filter(appointments::status.eq(AppointmentStatus::Booked))
        .filter(appointments::starts_at.gt(now))
        .filter(appointments::zone_checked.ne(NOT_COMPARED))
        .order((appointments::starts_at, appointments::id))
        .limit(BATCH)
        .select(appointments::id);
    let some: Vec<AppointmentId> = match conn {
        Conn::Postgres(conn) => to_come.for_no_key_update().load(conn)?,
        Conn::Sqlite(conn) => to_come.load(conn)?,
    };
    if some.is_empty() {
        // With another version, the zone may be another one again.
        let done = locations::table.filter(locations::id.eq(location)).filter(locations::version.eq(version));
        diesel::update(done).set(locations::zone_scan_due.eq(false)).execute(conn)?;
    } else {
        diesel::update(appointments::table.filter(appointments::id.eq_any(some)))
            .set(appointments::zone_checked.eq(NOT_COMPARED))
            .execute(conn)?;
    }
    Ok(true)
}

/// Compares some booked visits that were compared with other data. Returns how many, and how many of them do not show the promised time.
pub fn compare(conn: &mut Conn, zones: &Zones, now: Timestamp) -> Result<(usize, usize)> {
    let mut rows = unchecked(conn, zones.version(), Side::Below)?;
    if rows.is_empty() {
        rows = unchecked(conn, zones.version(), Side::Above)?;
    }
    let (mut kept, mut changed) = (Vec::new(), Vec::new());
    for (id, starts_at, zone, promise) in &rows {
        // A visit that has begun needs no call.
        let is_kept = *starts_at <= now || promise.is_kept(*starts_at, zone, zones)?;
        (if is_kept { &mut kept } else { &mut changed }).push(*id);
    }
    let checked = appointments::zone_checked.eq(zones.version());
    if !kept.is_empty() {
        per_backend!(conn, conn => diesel::update(appointments::table.filter(appointments::id.eq_any(kept)))
            .set((checked, appointments::zone_changed_since.eq(None::<Timestamp>)))
            .execute(conn))?;
    }
    let number = changed.len();
    if number > 0 {
        // With yet another version the time stays.
        let since = diesel::dsl::case_when(
            appointments::zone_changed_since.is_null(),
            Some(now).into_sql::<diesel::sql_types::Nullable<crate::db::types::Instant>>(),
        )
        .otherwise(appointments::zone_changed_since);
        per_backend!(conn, conn => diesel::update(appointments::table.filter(appointments::id.eq_any(changed)))
            .set((appointments::zone_checked.eq(zones.version()), appointments::zone_changed_since.eq(since)))
            .execute(conn))?;
    }
    Ok((rows.len(), number))
}

/// The versions on one side of the current one in the order of the index, which a condition "is another one" cannot use.
#[derive(Clone, Copy)]
enum Side {
    Below,
    Above,
}

/// A visit with the time zone of its location.
type Unchecked = (AppointmentId, Timestamp, String, Promise);

/// Locks some booked visits that were compared with versions on one side.
fn unchecked(conn: &mut Conn, version: &str, side: Side) -> Result<Vec<Unchecked>> {
    /// The query for one engine. Only PostgreSQL locks rows.
    macro_rules! booked {
        ($condition:expr) => {
            appointments::table
                .filter(appointments::status.eq(AppointmentStatus::Booked))
                .filter(appointments::promised_local.is_not_null())
                .filter($condition)
                .order((appointments::status, appointments::zone_checked, appointments::id))
                .limit(BATCH)
                .select((
                    appointments::id,
                    appointments::starts_at,
                    locations::table
                        .filter(locations::id.eq(appointments::location_id))
                        .select(locations::time_zone)
                        .single_value()
                        .assume_not_null(),
                    Promise::as_select(),
                ))
        };
    }
    let (below, above) = (appointments::zone_checked.lt(version), appointments::zone_checked.gt(version));
    Ok(match (conn, side) {
        (Conn::Postgres(conn), Side::Below) => booked!(below).for_no_key_update().load(conn)?,
        (Conn::Postgres(conn), Side::Above) => booked!(above).for_no_key_update().load(conn)?,
        (Conn::Sqlite(conn), Side::Below) => booked!(below).load(conn)?,
        (Conn::Sqlite(conn), Side::Above) => booked!(above).load(conn)?,
    })
}
