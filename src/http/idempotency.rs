//! `Idempotency-Key`: the effect of a request, its stored answer and the key share one transaction, so that a repeat gets
//! the same answer and no second effect. A refused request is not stored: its transaction is rolled back.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, ETAG, LOCATION};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::etag;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::schema::{idempotency_keys, patient_access};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};
use crate::rounds;
use crate::sealed::{Place, Sealed};
use crate::trail::Trail;

/// How long a stored answer is kept at least.
pub const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(48);

/// The header's value; `None` where it was not sent.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    /// For operations that insist on it.
    ///
    /// # Errors
    /// 422 where it is missing.
    pub fn required(self) -> Result<Self> {
        if self.0.is_some() {
            return Ok(self);
        }
        Err(Error::invalid(
            "Idempotency-Key:",
            "required",
            "send a fresh random value, and the same one when you repeat this request",
        ))
    }
}

impl FromRequest for IdempotencyKey {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all("idempotency-key");
        let (first, second) = (values.next(), values.next());
        ready(match (first.map(|value| value.to_str()), second) {
            (None, _) => Ok(Self(None)),
            (Some(Ok(key)), None) if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => Err(Error::invalid(
                "Idempotency-Key:",
                "wrong_value",
                "must be one value of 1 to 255 visible ASCII characters",
            )),
        })
    }
}

/// What a creating request answers, in a form that can be stored and given again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    /// JSON, written once and given to every repeat as it is.
    body: Option<String>,
}

impl Answer {
    /// 201 with `Location`, `ETag` and the object.
    ///
    /// # Errors
    /// Only if the object cannot be serialised, which is a fault.
    pub fn created(location: String, version: i32, body: &impl Serialize) -> Result<Self> {
        Ok(Self { location: Some(location), etag: Some(etag::etag(version)), ..Self::json(201, body)? })
    }

    /// 200 with `ETag` and the object, for what changes an object and may be repeated.
    ///
    /// # Errors
    /// Only if the object cannot be serialised, which is a fault.
    pub fn changed(version: i32, body: &impl Serialize) -> Result<Self> {
        Ok(Self { etag: Some(etag::etag(version)), ..Self::json(200, body)? })
    }

    /// An object without `Location` and `ETag`.
    ///
    /// # Errors
    /// Only if the object cannot be serialised, which is a fault.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(|error| Error::internal("serialise an answer", error))?;
        Ok(Self { status, location: None, etag: None, body: Some(body) })
    }

    /// A status alone.
    pub fn empty(status: u16) -> Self {
        Self { status, location: None, etag: None, body: None }
    }

    fn respond(self, replayed: bool) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((ETAG, etag));
        }
        let mut response = match self.body {
            Some(body) => response.content_type(ContentType::json()).body(body),
            None => response.finish(),
        };
        if replayed {
            response.extensions_mut().insert(Replayed);
        }
        response
    }
}

/// Marks an answer that was given before: nothing was done this time.
#[derive(Debug, Clone, Copy)]
pub struct Replayed;

/// Decides whether a repeat may be given the stored answer, which is about this patient.
pub type Guard = Box<dyn Fn(&mut Conn, Option<PatientId>) -> Result<()> + Send>;

/// A request as it counts for its repeats.
pub struct Request<'a> {
    actor: Option<UserId>,
    operation: String,
    key: IdempotencyKey,
    body: &'a [u8],
    trail: Trail,
    guard: Option<Guard>,
}

impl<'a> Request<'a> {
    /// A request of who is signed in. `operation` is the operation's id, with the path's ids: `cancel_appointment 0199…`;
    /// `body` is the body's bytes.
    pub fn of(actor: &Actor, operation: String, key: IdempotencyKey, body: &'a [u8]) -> Self {
        Self { actor: Some(actor.user_id), ..Self::anonymous(&actor.trail, operation, key, body) }
    }

    /// A request of a caller who is not signed in.
    pub fn anonymous(trail: &Trail, operation: String, key: IdempotencyKey, body: &'a [u8]) -> Self {
        Self { actor: None, operation, key, body, trail: trail.clone(), guard: None }
    }

    /// Lets a repeat pass this check before it is given the stored answer: for what may no longer be shown by then.
    #[must_use]
    pub fn guarded(self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self }
    }
}

/// An answer as it is stored: with the patients whom the event of a repeat names.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    answer: Answer,
    /// The patient whom the request was about.
    #[serde(default)]
    patient: Option<PatientId>,
    /// The other patients whom the answer shows.
    #[serde(default)]
    shown: Vec<PatientId>,
}

impl Kept {
    fn new(answer: Answer, trail: &Trail) -> Self {
        let (patient, shown) = trail.patients();
        Self { answer, patient, shown }
    }

    fn note(&self, trail: &Trail) {
        if let Some(patient) = self.patient {
            trail.note_patient(patient);
        }
        trail.note_shown(self.shown.iter().copied());
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
struct Stored {
    fingerprint: Vec<u8>,
    answer: Sealed<Kept>,
    created_at: Timestamp,
}

/// Runs `effect` once for all requests of one actor, operation and key, and answers each of them alike.
///
/// A repeat notes on its trail the patients whom the first request's event named, and passes the request's guard.
///
/// # Errors
/// The effect's own, and the guard's; [`Error::KeyReused`] where the key came with another body; a conflict where a twin is still at it.
pub async fn run<F>(env: &Env, request: Request<'_>, effect: F) -> Result<HttpResponse>
where
    F: Fn(&mut Conn) -> Result<Answer> + Send + 'static,
{
    let Request { actor, operation, key, body, trail, guard } = request;
    let Some(key) = key.0 else {
        return env.db.write(effect).await.map(|answer| answer.respond(false));
    };
    let body = body.to_vec();
    let actor = actor.unwrap_or(UserId(uuid::Uuid::nil()));
    let (sealer, clock) = (env.sealer.clone(), env.clock.clone());
    let (answer, replayed) = env
        .db
        .write(move |tx| {
            claim(tx, actor, &operation, &key)?;
            let stored = per_backend!(tx, tx => idempotency_keys::table
                .find((actor, &operation, &key))
                .select(Stored::as_select())
                .first(tx))
            .optional()?;
            let place = Place::new("idempotency_keys", "answer", actor.0);
            let stored = match stored {
                Some(stored) if is_outlived(tx, actor, stored.created_at, clock.now())? => {
                    diesel::delete(idempotency_keys::table.find((actor, &operation, &key))).execute(tx)?;
                    None
                }
                stored => stored,
            };
            if let Some(stored) = stored {
                if !sealer.is_fingerprint(&stored.fingerprint, &[operation.as_bytes(), &body]) {
                    return Err(Error::KeyReused);
                }
                let kept = sealer.open(place, &stored.answer)?;
                kept.note(&trail);
                if let Some(guard) = &guard {
                    guard(tx, kept.patient)?;
                }
                return Ok((kept.answer, true));
            }
            let kept = Kept::new(effect(tx)?, &trail);
            let sealed = sealer.seal(place, &kept)?;
            per_backend!(tx, tx => diesel::insert_into(idempotency_keys::table)
                .values((
                    idempotency_keys::actor_id.eq(actor),
                    idempotency_keys::operation.eq(&operation),
                    idempotency_keys::key.eq(&key),
                    idempotency_keys::fingerprint.eq(sealer.fingerprint(&[operation.as_bytes(), &body])),
                    idempotency_keys::status.eq(i32::from(kept.answer.status)),
                    idempotency_keys::answer.eq(&sealed),
                    idempotency_keys::created_at.eq(clock.now()),
                ))
                .execute(tx))?;
            Ok((kept.answer, false))
        })
        .await?;
    Ok(answer.respond(replayed))
}

/// Makes sure that no twin is at work. SQLite's writes are serial; on PostgreSQL an insert would wait for its twin and
/// drain the pool, so a lock is tried first and a twin told at once.
fn claim(tx: &mut Conn, actor: UserId, operation: &str, key: &str) -> Result<()> {
    let Conn::Postgres(tx) = tx else { return Ok(()) };
    let name = format!("{actor} {operation} {key}");
    let free = diesel::select(
        diesel::dsl::sql::<diesel::sql_types::Bool>("pg_try_advisory_xact_lock(hashtextextended(")
            .bind::<diesel::sql_types::Text, _>(name)
            .sql(", 4703213190281734))"),
    )
    .get_result::<bool>(tx)?;
    if free {
        Ok(())
    } else {
        Err(Error::conflict("request_in_progress", "A request with this Idempotency-Key is still at work. Repeat it."))
    }
}

/// Forgets what an account was answered. Whoever narrows what it may do or see calls this in the same transaction: a repeat
/// must not show what a first request would no longer be shown.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Conn, actor: UserId) -> Result<()> {
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::actor_id.eq(actor))).execute(tx)?;
    Ok(())
}

/// Whether access to somebody has ended by the clock since the account was answered. The table is patients'; this asks no
/// more than that.
fn is_outlived(tx: &mut Conn, actor: UserId, answered: Timestamp, now: Timestamp) -> Result<bool> {
    let ended: i64 = patient_access::table
        .filter(patient_access::user_id.eq(actor))
        .filter(patient_access::ends_at.gt(answered))
        .filter(patient_access::ends_at.le(now))
        .count()
        .get_result(tx)?;
    Ok(ended > 0)
}

/// Forgets the answers that are older than [`KEPT`], and says how many.
///
/// # Errors
/// The database's.
pub fn purge(tx: &mut Conn, now: Timestamp) -> Result<usize> {
    Ok(diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.lt(now.minus(KEPT)))).execute(tx)?)
}

/// Purges once an hour until told to stop.
pub fn start_purge(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    rounds::start(stopping, async move || {
        let clock = env.clock.clone();
        if let Err(error) = env.db.write(move |tx| purge(tx, clock.now())).await {
            tracing::warn!(%error, "stored answers could not be purged");
        }
        std::time::Duration::from_hours(1)
    });
}
