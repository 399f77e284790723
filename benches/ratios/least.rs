//! The minimal actix-web program: one handler for each of the two requests.
//!
//! A search reads plain rows from one range of an index, and responds with the same bytes as the server. A booking runs the statements that the
//! server logged, in their order, as cached prepared statements, and binds the same values as the server. It checks, logs and seals nothing,
//! and commits each booking separately.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, post, web};
use http_body_util::Full;
use hyper::Request;
use hyper::header::HOST;
use jiff::SignedDuration;
use legwork::appointments::code::ConfirmationCode;
use legwork::clock::{Clock, Entropy, Timestamp};
use legwork::http::Cursor;
use legwork::ids::{LocationId, PractitionerId, SlotId};
use legwork::scheduling::slots::free::SlotView;
use legwork::scheduling::slots::search::SlotPage;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection};
use serde::Deserialize;
use uuid::Uuid;

use crate::Outcome;
use crate::clinic::Prepared;
use crate::statements::{Place, Recorded, Statement};

/// The argument that runs this program; the folder follows.
pub const ARGUMENT: &str = "serve-the-least";
/// Its database file, a copy of the server's.
pub const DATABASE: &str = "least.db";
const RECORDED: &str = "recorded.json";

/// Copies the files that the program needs into the folder. The server must not run.
pub fn prepare(folder: &Path, recorded: &Recorded) -> Outcome<()> {
    let server = folder.join("data/legwork.db");
    // The journal next to the server's file is part of the database.
    Connection::open(&server)?.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    fs::copy(server, folder.join(DATABASE))?;
    fs::write(folder.join(RECORDED), serde_json::to_vec(recorded)?)?;
    Ok(())
}

/// Runs the program, with as many workers as the server.
pub fn serve(folder: &Path) -> Outcome<()> {
    let recorded: Recorded = serde_json::from_slice(&fs::read(folder.join(RECORDED))?)?;
    let database = folder.join(DATABASE);
    let writer = connect(&database, true)?;
    let shared = web::Data::new(Least {
        booking: plan(&writer, &recorded.booking)?,
        booked: recorded.booked,
        writer: Mutex::new(writer),
        readers: Mutex::default(),
        database,
        clock: Clock::System,
        entropy: Entropy::system(),
    });
    let app = move || App::new().app_data(shared.clone()).service(list_slots).service(create_appointment);
    actix_web::rt::System::new().block_on(async {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let server = HttpServer::new(app).workers(threads).bind(("127.0.0.1", 0))?;
        for address in server.addrs() {
            eprintln!("listening address={address}");
        }
        Ok(server.run().await?)
    })
}

/// A connection with the server's settings.
fn connect(database: &Path, writes: bool) -> Outcome<Connection> {
    let conn = Connection::open(database)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    conn.execute_batch(if writes {
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
    } else {
        "PRAGMA query_only = ON;"
    })?;
    Ok(conn)
}

struct Least {
    booking: Vec<Planned>,
    /// The response to a booking.
    booked: String,
    writer: Mutex<Connection>,
    /// The idle connections for the blocking threads.
    readers: Mutex<Vec<Connection>>,
    database: PathBuf,
    clock: Clock,
    entropy: Entropy,
}

/// A statement with the sources of its values.
struct Planned {
    sql: String,
    sources: Vec<Source>,
    /// Whether its result is the slot.
    finds_slot: bool,
}

/// The source of a value.
#[derive(Clone)]
enum Source {
    /// A constant.
    Fixed(Value),
    /// From the request.
    Of(Fact),
    /// A new id.
    NewId,
    /// New random bytes.
    Random,
    /// A new confirmation code.
    Code,
}

/// Values that differ between requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Fact {
    Now,
    Patient,
    VisitType,
    Slot,
    Practitioner,
    Location,
    StartsAt,
    EndsAt,
    Appointment,
    Key,
}

type Facts = HashMap<Fact, Value>;

/// Determines the source of each placeholder. Values that differ between requests are known by their column; all
/// others are as in the newest row of the table, which the server has just written.
fn plan(conn: &Connection, statements: &[Statement]) -> Outcome<Vec<Planned>> {
    let mut planned = Vec::new();
    for Statement { sql, places } in statements {
        let sources = places.iter().map(|place| source(conn, place).map_err(|error| format!("{error}: {sql}").into()));
        let sources = sources.collect::<Outcome<_>>()?;
        // The savepoint in the server's shared transaction becomes a separate transaction.
        let sql = match sql.split(' ').next() {
            Some("SAVEPOINT") => "BEGIN IMMEDIATE".into(),
            Some("RELEASE") => "COMMIT".into(),
            _ => sql.clone(),
        };
        let finds_slot = sql.starts_with("SELECT `slots`") && places.iter().any(|place| place.column == "slots.id");
        planned.push(Planned { sql, sources, finds_slot });
    }
    Ok(planned)
}

fn source(conn: &Connection, Place { column: name, operator }: &Place) -> Outcome<Source> {
    let (table, column) = name.split_once('.').unwrap_or(("", name));
    let newest = |column: &str| {
        let sql = format!("SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT 1");
        conn.query_row(&sql, [], |row| row.get::<_, Value>(0))
    };
    if operator == "VALUES" && newest(column)? == Value::Null {
        return Ok(Source::Fixed(Value::Null));
    }
    Ok(match (table, column, operator.as_str()) {
        (_, "LIMIT" | "active", _) => Source::Fixed(Value::Integer(1)),
        // Taking a slot ends its hold, and the booking account is no practitioner's.
        ("slots", "held_until", "=") | (_, "hold_id", _) | ("users", "practitioner_id", _) => {
            Source::Fixed(Value::Null)
        }
        (_, "status", "=" | "IN" | "!=") => Source::Fixed(Value::Text("booked".into())),
        ("appointments", "id", _) | (_, "appointment_id" | "object_id", _) => Source::Of(Fact::Appointment),
        ("patients", "id", _) | (_, "patient_id", _) => Source::Of(Fact::Patient),
        ("slots", "id", _) => Source::Of(Fact::Slot),
        ("visit_types", "id", _) | (_, "visit_type_id", _) => Source::Of(Fact::VisitType),
        ("practitioners", "id", _) | (_, "owner_id" | "practitioner_id", _) => Source::Of(Fact::Practitioner),
        ("locations", "id", _) | (_, "location_id", _) => Source::Of(Fact::Location),
        // A visit overlaps what begins before its end and ends after its start.
        (_, "starts_at", "<") | (_, "ends_at", "VALUES") => Source::Of(Fact::EndsAt),
        (_, "starts_at" | "ends_at", _) => Source::Of(Fact::StartsAt),
        (_, "key", _) => Source::Of(Fact::Key),
        (_, "id", "VALUES") => Source::NewId,
        (_, "confirmation_code", _) => Source::Code,
        (_, "token_hash", _) => Source::Random,
        (_, "at" | "created_at" | "updated_at" | "due_at" | "held_until" | "expires_at" | "last_used_at", _) => {
            Source::Of(Fact::Now)
        }
        ("", _, _) => return Err(format!("nobody knows what {column} is").into()),
        _ => Source::Fixed(newest(column)?),
    })
}

impl Least {
    /// Runs a statement, to its last row.
    fn run(&self, conn: &Connection, planned: &Planned, facts: &mut Facts) -> rusqlite::Result<()> {
        let mut statement = self.bound(conn, planned, facts)?;
        if statement.column_count() == 0 {
            return statement.raw_execute().map(|_| ());
        }
        let columns =
            ["practitioner_id", "location_id", "starts_at", "ends_at"].map(|name| statement.column_index(name));
        let count = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            for column in 0..count {
                std::hint::black_box(row.get_ref(column)?);
            }
            if planned.finds_slot {
                let facts_of_slot = [Fact::Practitioner, Fact::Location, Fact::StartsAt, Fact::EndsAt];
                for (fact, column) in facts_of_slot.into_iter().zip(&columns) {
                    if let Ok(column) = column {
                        facts.insert(fact, row.get(*column)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// A prepared statement with its values.
    fn bound<'conn>(
        &self,
        conn: &'conn Connection,
        planned: &Planned,
        facts: &Facts,
    ) -> rusqlite::Result<CachedStatement<'conn>> {
        let mut statement = conn.prepare_cached(&planned.sql)?;
        for (index, source) in planned.sources.iter().enumerate() {
            let index = index + 1;
            match source {
                Source::Fixed(value) => statement.raw_bind_parameter(index, value)?,
                Source::Of(fact) => statement.raw_bind_parameter(index, facts.get(fact))?,
                Source::NewId => statement.raw_bind_parameter(index, self.new_id().into_bytes())?,
                Source::Random => statement.raw_bind_parameter(index, self.entropy.bytes::<32>())?,
                Source::Code => statement.raw_bind_parameter(index, ConfirmationCode::draw(&self.entropy).as_str())?,
            }
        }
        Ok(statement)
    }

    fn new_id(&self) -> Uuid {
        self.entropy.uuid(self.clock.now())
    }

    /// Books a slot in its own transaction. Returns the appointment's id.
    fn book(&self, booking: &Booking, key: String) -> rusqlite::Result<Uuid> {
        let id = self.new_id();
        let mut facts = Facts::from([
            (Fact::Now, Value::Integer(self.clock.now().as_micros())),
            (Fact::VisitType, blob(booking.visit_type_id)),
            (Fact::Patient, blob(booking.patient_id)),
            (Fact::Slot, blob(booking.slot_id)),
            (Fact::Appointment, blob(id)),
            (Fact::Key, Value::Text(key)),
        ]);
        let conn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.booking.iter().try_for_each(|planned| self.run(&conn, planned, &mut facts));
        if done.is_err() && !conn.is_autocommit() {
            conn.execute_batch("ROLLBACK")?;
        }
        done.map(|()| id)
    }
}

/// The first free slots from a time on, as the server shows them.
fn find(conn: &Connection, search: &Search) -> rusqlite::Result<SlotPage> {
    let mut statement = conn.prepare_cached(RANGE)?;
    let from = search.from.as_micros();
    let mut rows = statement.query((from, search.limit + 1))?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let starts_at = row.get(3)?;
        let starts_at =
            Timestamp::from_micros(starts_at).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, starts_at))?;
        items.push(SlotView {
            id: SlotId(Uuid::from_bytes(row.get(0)?)),
            practitioner_id: PractitionerId(Uuid::from_bytes(row.get(1)?)),
            location_id: LocationId(Uuid::from_bytes(row.get(2)?)),
            starts_at,
            ends_at: starts_at.plus(SignedDuration::from_mins(search.minutes)),
            time_zone: "America/New_York".to_owned(),
        });
    }
    let limit = usize::try_from(search.limit).unwrap_or_default();
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|slot| Cursor { at: slot.starts_at, id: slot.id.0 }.write("slots"));
    Ok(SlotPage { items, next_cursor, included: None })
}

fn blob(id: Uuid) -> Value {
    Value::Blob(id.into_bytes().to_vec())
}

/// The range of the index `slots_free` that a search needs at least.
const RANGE: &str = "SELECT id, practitioner_id, location_id, starts_at, ends_at FROM slots
    WHERE appointment_id IS NULL AND blocked_reason IS NULL AND starts_at >= ? ORDER BY starts_at, id LIMIT ?";

#[derive(Deserialize)]
struct Search {
    from: Timestamp,
    limit: i64,
    /// The duration of the visit.
    minutes: i64,
}

/// The request of this program for the same page as the server's.
pub fn search(from: &str, limit: usize, minutes: usize) -> Prepared {
    let path = format!("/v1/slots?from={from}&limit={limit}&minutes={minutes}");
    Request::get(path).header(HOST, "127.0.0.1").body(Full::default()).unwrap_or_default()
}

/// A query runs on a thread that may block, as actix-web recommends.
#[get("/v1/slots")]
async fn list_slots(query: web::Query<Search>, least: web::Data<Least>) -> actix_web::Result<HttpResponse> {
    let program = least.into_inner();
    let page = web::block(move || {
        let rest = || program.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = rest().pop();
        let conn = resting.map_or_else(|| connect(&program.database, false), Ok).map_err(|error| error.to_string())?;
        let page = find(&conn, &query).map_err(|error| error.to_string());
        rest().push(conn);
        page
    });
    let page = page.await?.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().json(page))
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "what the API calls them")]
struct Booking {
    slot_id: Uuid,
    visit_type_id: Uuid,
    patient_id: Uuid,
}

/// A commit waits for the disk, so it runs on a blocking thread.
#[post("/v1/appointments")]
async fn create_appointment(
    request: HttpRequest,
    booking: web::Json<Booking>,
    least: web::Data<Least>,
) -> actix_web::Result<HttpResponse> {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let program = least.clone();
    let id = web::block(move || program.book(&booking, key)).await?.map_err(ErrorInternalServerError)?;
    let location = (LOCATION, format!("/v1/appointments/{id}"));
    Ok(HttpResponse::Created().insert_header(location).content_type(ContentType::json()).body(least.booked.clone()))
}
