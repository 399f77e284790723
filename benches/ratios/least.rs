//! The minimal actix-web program that runs the same SQL: one handler for each of the two requests.
//!
//! It runs the statements that the server logged, in their order, as cached prepared statements, and binds the same values
//! as the server. It checks, logs and seals nothing, and commits each booking separately.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, post, web};
use jiff::SignedDuration;
use legwork::appointments::code::ConfirmationCode;
use legwork::clock::{Clock, Entropy, Timestamp};
use legwork::http::Cursor;
use legwork::ids::{LocationId, PractitionerId, SlotId};
use legwork::scheduling::slots::fitting::{Finder, FreeSlot};
use legwork::scheduling::slots::free::{SlotView, first_chunk};
use legwork::scheduling::slots::search::SlotPage;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection};
use serde::Deserialize;
use uuid::Uuid;

use crate::Outcome;
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
        search: plan(&writer, &recorded.search, true)?,
        booking: plan(&writer, &recorded.booking, false)?,
        booked: recorded.booked,
        writer: Mutex::new(writer),
        readers: Mutex::default(),
        database: database.clone(),
        clock: Clock::System,
        entropy: Entropy::system(),
    });
    let app = move || {
        let reader = connect(&database, false);
        let app = App::new()
            .app_data(shared.clone())
            .service(list_slots)
            .service(list_slots_on_another_thread)
            .service(list_rows_on_another_thread)
            .service(create_appointment);
        // If this fails, the first request fails.
        if let Ok(reader) = reader { app.app_data(reader) } else { app }
    };
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
    search: Vec<Planned>,
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
    /// The end of the window of a search.
    Later,
    /// The number of slots that a search reads.
    Rows,
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
fn plan(conn: &Connection, statements: &[Statement], is_search: bool) -> Outcome<Vec<Planned>> {
    let mut planned = Vec::new();
    for Statement { sql, places } in statements {
        let reads_slots = is_search && sql.contains(" FROM `slots`");
        let sources = places
            .iter()
            .map(|place| source(conn, place, reads_slots).map_err(|error| format!("{error}: {sql}").into()));
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

fn source(conn: &Connection, Place { column: name, operator }: &Place, reads_slots: bool) -> Outcome<Source> {
    let (table, column) = name.split_once('.').unwrap_or(("", name));
    let newest = |column: &str| {
        let sql = format!("SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT 1");
        conn.query_row(&sql, [], |row| row.get::<_, Value>(0))
    };
    if operator == "VALUES" && newest(column)? == Value::Null {
        return Ok(Source::Fixed(Value::Null));
    }
    Ok(match (table, column, operator.as_str()) {
        (_, "LIMIT", _) if reads_slots => Source::Of(Fact::Rows),
        (_, "LIMIT" | "active", _) => Source::Fixed(Value::Integer(1)),
        // A search begins now, with whatever id.
        ("slots", "id", _) if reads_slots => Source::Fixed(blob(Uuid::nil())),
        ("slots", "starts_at", "<") if reads_slots => Source::Of(Fact::Later),
        ("slots", "starts_at", _) if reads_slots => Source::Of(Fact::Now),
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

    /// The recorded statement of a search that reads from a table.
    fn search_of(&self, table: &str) -> rusqlite::Result<&Planned> {
        let from = [format!("FROM `{table}`"), format!("FROM (`{table}`")];
        let mut found = self.search.iter().filter(|planned| from.iter().any(|from| planned.sql.contains(from)));
        found.next().ok_or(rusqlite::Error::InvalidQuery)
    }

    fn window(&self) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        (now, now.plus(SignedDuration::from_hours(31 * 24)))
    }

    /// The first `rows` free slots, whatever the visit.
    fn read(&self, conn: &Connection, rows: i64) -> rusqlite::Result<Vec<FreeSlot>> {
        let (now, later) = self.window();
        let facts = Facts::from([
            (Fact::Now, Value::Integer(now.as_micros())),
            (Fact::Later, Value::Integer(later.as_micros())),
            (Fact::Rows, Value::Integer(rows)),
        ]);
        let mut slots = Vec::new();
        let mut statement = self.bound(conn, self.search_of("slots")?, &facts)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            slots.push(FreeSlot {
                id: SlotId(Uuid::from_bytes(row.get(0)?)),
                practitioner_id: PractitionerId(Uuid::from_bytes(row.get(1)?)),
                location_id: LocationId(Uuid::from_bytes(row.get(2)?)),
                starts_at: instant(row.get(3)?)?,
                ends_at: instant(row.get(4)?)?,
                held_until: row.get::<_, Option<i64>>(5)?.map(instant).transpose()?,
            });
        }
        Ok(slots)
    }

    /// The first 50 slots in which a visit fits, with the server's statements and its rule.
    fn find(&self, conn: &Connection, visit_type: Uuid) -> rusqlite::Result<SlotPage> {
        let mut facts = Facts::from([(Fact::VisitType, blob(visit_type))]);
        let mut statement = self.bound(conn, self.search_of("visit_types")?, &facts)?;
        let minutes = statement.column_index("duration_minutes")?;
        let mut rows = statement.raw_query();
        let minutes: i32 = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?.get(minutes)?;
        let mut offering = HashSet::new();
        let mut statement = self.bound(conn, self.search_of("practitioner_visit_types")?, &facts)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            offering.insert(PractitionerId(Uuid::from_bytes(row.get(0)?)));
        }
        let duration = SignedDuration::from_mins(minutes.into());
        let (now, later) = self.window();
        let mut finder = Finder::new(duration, now);
        for slot in self.read(conn, first_chunk(offering.len(), minutes, 51))? {
            if offering.contains(&slot.practitioner_id) {
                let is_start = slot.starts_at < later;
                finder.add(slot, is_start);
            }
        }
        let mut zones: HashMap<LocationId, String> = HashMap::new();
        let mut items = Vec::new();
        for slot in finder.finish().take(51) {
            let time_zone = match zones.entry(slot.location_id) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(place) => {
                    facts.insert(Fact::Location, blob(slot.location_id.0));
                    let mut statement = self.bound(conn, self.search_of("locations")?, &facts)?;
                    let mut rows = statement.raw_query();
                    let zone = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?.get(0)?;
                    place.insert(zone).clone()
                }
            };
            items.push(view(slot, duration, time_zone));
        }
        let more = items.len() > 50;
        items.truncate(50);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|slot| Cursor { at: slot.starts_at, id: slot.id.0 }.write("slots"));
        Ok(SlotPage { items, next_cursor })
    }

    /// The first 50 rows of one range of an index, as a response of the same form: the least that a search could cost.
    fn rows(&self, conn: &Connection) -> rusqlite::Result<SlotPage> {
        let hour = SignedDuration::from_hours(1);
        let items = self.read(conn, 50)?.into_iter().map(|slot| view(slot, hour, "America/New_York".to_owned()));
        Ok(SlotPage { items: items.collect(), next_cursor: None })
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

fn view(slot: FreeSlot, duration: SignedDuration, time_zone: String) -> SlotView {
    SlotView {
        id: slot.id,
        practitioner_id: slot.practitioner_id,
        location_id: slot.location_id,
        starts_at: slot.starts_at,
        ends_at: slot.starts_at.plus(duration),
        time_zone,
    }
}

fn blob(id: Uuid) -> Value {
    Value::Blob(id.into_bytes().to_vec())
}

fn instant(micros: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_micros(micros).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, micros))
}

#[derive(Deserialize)]
struct Search {
    visit_type_id: Uuid,
}

/// The path prefix of a search that runs on a blocking thread.
pub const BLOCKING: &str = "/blocking";
/// The path prefix of the plain rows, also read on a blocking thread.
pub const PLAIN: &str = "/plain";

/// The search as actix-web recommends it, so that no query blocks a worker.
#[get("/blocking/v1/slots")]
async fn list_slots_on_another_thread(
    query: web::Query<Search>,
    least: web::Data<Least>,
) -> actix_web::Result<HttpResponse> {
    let visit_type = query.visit_type_id;
    on_another_thread(least, move |least, conn| least.find(conn, visit_type)).await
}

#[get("/plain/v1/slots")]
async fn list_rows_on_another_thread(least: web::Data<Least>) -> actix_web::Result<HttpResponse> {
    on_another_thread(least, Least::rows).await
}

async fn on_another_thread(
    least: web::Data<Least>,
    find: impl FnOnce(&Least, &Connection) -> rusqlite::Result<SlotPage> + Send + 'static,
) -> actix_web::Result<HttpResponse> {
    let program = least.into_inner();
    let page = web::block(move || {
        let rest = || program.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = rest().pop();
        let conn = resting.map_or_else(|| connect(&program.database, false), Ok).map_err(|error| error.to_string())?;
        let page = find(&program, &conn).map_err(|error| error.to_string());
        rest().push(conn);
        page
    });
    let page = page.await?.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().json(page))
}

/// The fastest way: a query takes less than a millisecond, so the worker itself runs it, on its own connection.
#[get("/v1/slots")]
async fn list_slots(
    request: HttpRequest,
    query: web::Query<Search>,
    least: web::Data<Least>,
) -> actix_web::Result<HttpResponse> {
    let conn = request.app_data::<Connection>().ok_or_else(|| ErrorInternalServerError("no database"))?;
    let page = least.find(conn, query.visit_type_id).map_err(ErrorInternalServerError)?;
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
