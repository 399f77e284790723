//! Idempotent requests: the effect, its stored result and the key share one transaction, so that a repeat gets the same response
//! and has no second effect. A rejected request is not stored, because its transaction is rolled back.

use actix_web::web::Bytes;
use aws_lc_rs::digest;
use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Context, Principal, Tx};
use crate::clock::Timestamp;
use crate::db::schema::{idempotency_keys, patient_access};
use crate::db::{Conn, advisory_lock, per_backend};
use crate::env::Env;
use crate::error::{Error, FieldCode, ProblemCode, Result};
use crate::ids::{PatientId, UserId};
use crate::periodic;
use crate::scopes::Scopes;
use crate::sealed::{Place, Sealed};

/// How long a stored result is kept: twice the 24 hours that the API promises.
pub const KEPT_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(48);

/// Decides whether a repeat may have the stored result, which is about this patient.
type Guard<P> = fn(&mut Tx<P>, Option<PatientId>) -> Result<()>;

/// How a repeat of a request is recognised.
#[derive(Clone)]
pub struct Once<P = crate::actor::Actor> {
    key: Option<String>,
    body: Bytes,
    guard: Option<Guard<P>>,
}

impl<P: Principal> Once<P> {
    /// A request with this key and these bytes. Without a key every request has an effect of its own.
    pub fn new(key: Option<String>, body: Bytes) -> Self {
        Self { key, body, guard: None }
    }

    /// For operations that must not run without a key.
    ///
    /// # Errors
    /// A broken rule if there is no key.
    pub fn required(self) -> Result<Self> {
        if self.key.is_some() {
            return Ok(self);
        }
        Err(Error::invalid(
            "Idempotency-Key:",
            FieldCode::Required,
            "send a unique value of your choice, and the same value when you retry this request",
        ))
    }

    /// A part of the request that has an effect of its own, with the bytes that decide about it. No caller can send its key, which has a
    /// space.
    #[must_use]
    pub fn part(&self, part: &str, body: Bytes) -> Self {
        Self { key: self.key.as_ref().map(|key| format!("{key} {part}")), body, guard: self.guard }
    }

    /// Whether the request has a key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Checks a repeat with `guard` before it gets the stored result: for data that the caller may have lost access to since.
    #[must_use]
    pub fn guarded(self, guard: Guard<P>) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// The request that the key identifies; none without a key.
    pub(super) fn request(self, context: &Context<P>) -> Option<Request<P>> {
        Some(Request {
            account: context.actor.account().unwrap_or(NO_ACCOUNT),
            scopes: context.actor.actor().and_then(|actor| actor.client_scopes.clone()),
            operation: format!("{} {}", context.audit.operation(), context.target).trim_end().to_owned(),
            key: self.key?,
            body: self.body,
            guard: self.guard,
        })
    }
}

/// A request that has an idempotency key.
pub(super) struct Request<P> {
    /// The account, or [`NO_ACCOUNT`].
    account: UserId,
    /// The scopes of a machine client's token. A token with fewer does not get what one with more was shown.
    scopes: Option<Scopes>,
    /// The operation's id with the ids in the path.
    operation: String,
    key: String,
    body: Bytes,
    guard: Option<Guard<P>>,
}

/// The account of callers who are not signed in.
const NO_ACCOUNT: UserId = UserId(uuid::Uuid::nil());

/// The seed of the locks' hashes, so that they differ from other advisory locks.
const LOCKS: i64 = 4_703_213_190_281_734;

#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
struct Row {
    result: Sealed<Stored>,
    created_at: Timestamp,
}

/// A stored result, with the patients whom the audit event of a repeat names.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    /// SHA-256 of the request. It is in the encrypted value, so it needs no key of its own and outlives every key.
    request: Vec<u8>,
    /// JSON, as the caller was shown it.
    result: String,
    /// The patient whom the request was about.
    patient: Option<PatientId>,
    /// The other patients whom the result shows.
    shown: Vec<PatientId>,
    /// The object that the request created or changed.
    object: Option<uuid::Uuid>,
    /// The scopes of the machine client's token.
    #[serde(default)]
    scopes: Option<String>,
}

impl<P> Request<P> {
    fn place(&self) -> Place {
        Place::new("idempotency_keys", "result", self.account.0)
    }

    /// A digest of the operation and the body.
    fn digest(&self) -> Vec<u8> {
        let length = self.operation.len().to_be_bytes();
        let parts: [&[u8]; 3] = [&length, self.operation.as_bytes(), &self.body];
        digest::digest(&digest::SHA256, &parts.concat()).as_ref().to_vec()
    }

    /// Returns the result of the first request, if this is a repeat. Otherwise no other request with the key runs until the end
    /// of the transaction.
    pub(super) fn stored<T: DeserializeOwned>(&self, tx: &mut Tx<P>) -> Result<Option<T>> {
        self.lock(tx.conn)?;
        let id = (self.account, &self.operation, &self.key);
        let row: Option<Row> = per_backend!(tx.conn, conn => idempotency_keys::table
            .find(id)
            .select(Row::as_select())
            .first(conn)
            .optional())?;
        let Some(row) = row else { return Ok(None) };
        if has_lost_access(tx.conn, self.account, row.created_at, tx.now)? {
            diesel::delete(idempotency_keys::table.find(id)).execute(tx.conn)?;
            return Ok(None);
        }
        let stored = tx.env.sealer.open(self.place(), &row.result)?;
        if stored.request != self.digest() || self.lacks(stored.scopes.as_deref())? {
            return Err(Error::KeyReused);
        }
        if let Some(patient) = stored.patient {
            tx.audit.note_patient(patient);
        }
        tx.audit.note_shown(stored.shown);
        if let Some(object) = stored.object {
            tx.audit.note_object(object);
        }
        if let Some(guard) = self.guard {
            guard(tx, stored.patient)?;
        }
        serde_json::from_str(&stored.result).map(Some).map_err(|error| Error::internal("read a stored result", error))
    }

    /// Whether a machine client's token lacks some of the scopes with which the result was shown.
    fn lacks(&self, shown_with: Option<&str>) -> Result<bool> {
        let (Some(scopes), Some(shown_with)) = (&self.scopes, shown_with) else { return Ok(false) };
        let shown_with: Scopes =
            shown_with.parse().map_err(|error| Error::internal("read a result's scopes", error))?;
        Ok(!shown_with.are_within(scopes))
    }

    /// Stores the result of the first request.
    pub(super) fn store(&self, tx: &mut Tx<P>, result: &impl Serialize) -> Result<()> {
        let (patient, shown) = tx.audit.patients();
        let result = serde_json::to_string(result).map_err(|error| Error::internal("store a result", error))?;
        let object = tx.audit.notes().object;
        let scopes = self.scopes.as_ref().map(ToString::to_string);
        let stored = Stored { request: self.digest(), result, patient, shown, object, scopes };
        let sealed = tx.env.sealer.seal(self.place(), &stored)?;
        per_backend!(tx.conn, conn => diesel::insert_into(idempotency_keys::table)
            .values((
                idempotency_keys::actor_id.eq(self.account),
                idempotency_keys::operation.eq(&self.operation),
                idempotency_keys::key.eq(&self.key),
                idempotency_keys::result.eq(&sealed),
                idempotency_keys::created_at.eq(tx.now),
            ))
            .execute(conn))?;
        Ok(())
    }

    /// Rejects the request while another one with the key runs. SQLite's writes are serial. On PostgreSQL an insert would wait
    /// for the other transaction and drain the pool, so it tries a lock first. A request without a session waits: a refusal would show how
    /// long the other transaction ran, and with it whether an address has an account.
    fn lock(&self, conn: &mut Conn) -> Result<()> {
        let Conn::Postgres(conn) = conn else { return Ok(()) };
        let name = format!("{} {} {}", self.account, self.operation, self.key);
        if self.account == NO_ACCOUNT {
            return Ok(advisory_lock::wait(conn, &name, LOCKS)?);
        }
        if advisory_lock::try_take(conn, &name, LOCKS)? {
            return Ok(());
        }
        let detail = "A request with this Idempotency-Key is still running. Retry it in a moment.";
        Err(Error::conflict(ProblemCode::RequestInProgress, detail))
    }
}

/// Deletes the stored results of an account. Call it in the transaction that reduces what the account may do or see.
pub fn forget(conn: &mut Conn, account: UserId) -> Result<()> {
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::actor_id.eq(account))).execute(conn)?;
    Ok(())
}

/// Returns whether any of the account's access grants expired after the result was stored. The table belongs to patients; an
/// expiry has no transaction that could call [`forget`].
fn has_lost_access(conn: &mut Conn, account: UserId, stored_at: Timestamp, now: Timestamp) -> Result<bool> {
    let expired: i64 = patient_access::table
        .filter(patient_access::user_id.eq(account))
        .filter(patient_access::ends_at.gt(stored_at))
        .filter(patient_access::ends_at.le(now))
        .count()
        .get_result(conn)?;
    Ok(expired > 0)
}

/// Starts the periodic task that deletes results older than [`KEPT_FOR`], once an hour.
pub fn start_purge(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    periodic::start(stopping, async move || {
        let oldest = env.now().minus(KEPT_FOR);
        let purge = env.db.write(move |conn| {
            let expired = idempotency_keys::table.filter(idempotency_keys::created_at.lt(oldest));
            Ok(diesel::delete(expired).execute(conn)?)
        });
        if let Err(error) = purge.await {
            tracing::warn!(%error, "stored results could not be purged");
        }
        std::time::Duration::from_hours(1)
    });
}
