//! What an operation runs with. [`Context`] says who asks and in which request. Its methods open the database and hand the
//! operation a [`Tx`], which carries the connection, the environment, the actor and the time of one read or change.
//!
//! An operation is one function, `fn(&Context, input) -> Result<view>`. It checks the permission, decides, stores and enqueues
//! messages. Every front end calls the same functions, so authorisation is in one place.
//! [`Context::change`] adds the audit event in the transaction of the change, and [`Context::change_once`] the stored response of
//! an idempotent request.

pub mod access_lock;
mod once;
pub mod standing;

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::once::{KEPT_FOR, Once, forget, start_purge};
use crate::actor::{Action, Actor, Reach};
use crate::audit::recording::record;
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::UserId;

/// The party on whose behalf an operation runs.
pub trait Principal: Clone + Send + Sync + 'static {
    /// The signed-in caller; none if nobody is signed in.
    fn actor(&self) -> Option<&Actor>;

    /// The account; none for a caller who is not signed in.
    fn account(&self) -> Option<UserId> {
        self.actor().map(|actor| actor.user_id)
    }

    /// Whether it is an account of the clinic's staff.
    fn is_staff(&self) -> bool {
        self.actor().is_some_and(|actor| actor.role.is_staff())
    }
}

impl Principal for Actor {
    fn actor(&self) -> Option<&Actor> {
        Some(self)
    }
}

/// A caller who is not signed in, such as the holder of a link from a mail. Has the rights of a patient at most.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

impl Principal for Anonymous {
    fn actor(&self) -> Option<&Actor> {
        None
    }
}

impl FromRequest for Anonymous {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

/// A request in progress: who asks, and the environment that serves it. Cheap to clone.
pub struct Context<P = Actor> {
    /// The environment.
    pub env: Arc<Env>,
    /// Who asks.
    pub actor: P,
    /// What the audit event will say of the request.
    pub audit: AuditContext,
    /// The ids in the request's path. With the operation's id they tell apart what an idempotency key was used for.
    target: String,
}

impl<P: Clone> Clone for Context<P> {
    fn clone(&self) -> Self {
        Self {
            env: Arc::clone(&self.env),
            actor: self.actor.clone(),
            audit: self.audit.clone(),
            target: self.target.clone(),
        }
    }
}

/// The connection of one read or change, with everything that an operation needs beside its input.
pub struct Tx<'a, P = Actor> {
    /// The connection; in a change it is inside a transaction.
    pub conn: &'a mut Conn,
    /// The environment.
    pub env: &'a Env,
    /// Who asks.
    pub actor: &'a P,
    /// What the audit event will say of the request.
    pub audit: &'a AuditContext,
    /// The time at which this read or this attempt of the transaction began. All of it happens at this instant.
    pub now: Timestamp,
}

impl<'a, P> Tx<'a, P> {
    /// Uses a connection that is open, for a command or a background job that has no request.
    pub fn new(conn: &'a mut Conn, env: &'a Env, actor: &'a P, audit: &'a AuditContext) -> Self {
        Self { conn, env, actor, audit, now: env.now() }
    }
}

impl<P> Tx<'_, P> {
    /// The rest of the transaction as an account: of the owner of a link that proves its mailbox, or of a caller who may have a session.
    pub fn as_actor<'b>(&'b mut self, actor: &'b Actor) -> Tx<'b, Actor> {
        Tx { conn: &mut *self.conn, env: self.env, actor, audit: self.audit, now: self.now }
    }
}

/// The outcome of an attempt that may fail and still store something, such as a count of failures.
pub enum Attempt<T> {
    Succeeded(T),
    /// It failed. The transaction commits, and the caller gets this error.
    Failed(Error),
}

impl<P: Principal> Context<P> {
    /// Runs a closure that only reads.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Tx<P>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let context = self.clone();
        self.env.db.read(move |conn| work(&mut context.tx(conn))).await
    }

    /// Runs a closure as one transaction, together with its audit event: everything is stored, or nothing.
    ///
    /// The event names the object in the request's path, unless the closure notes another one
    /// ([`AuditContext::note_object`]). The closure may run more than once ([`Db::write`](crate::db::Db::write)).
    pub async fn change<T, F>(&self, work: F) -> Result<T>
    where
        F: Fn(&mut Tx<P>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.write(move |tx| recorded(tx, &work)).await
    }

    /// Like [`change`](Self::change), after the other changes of the caller's account have ended: for what ends the caller's own session. Later
    /// changes wait for it. Two changes of one account that wait inside of their transaction ([`access_lock::wait`]) would deadlock.
    pub async fn change_alone<T, F>(&self, work: F) -> Result<T>
    where
        F: Fn(&mut Tx<P>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.transaction(access_lock::wait, move |tx| recorded(tx, &work)).await
    }

    /// Runs a closure as one transaction that may store events beside the request's own one. Once it has committed, the sealing loop
    /// looks its events up, and the changes in the event log get their numbers.
    ///
    /// # Errors
    /// The closure's own; unauthenticated, if the caller's session has ended since the request was authenticated.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: Fn(&mut Tx<P>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.transaction(access_lock::share, work).await
    }

    async fn transaction<T, F>(&self, lock: fn(&mut Conn, UserId) -> Result<()>, work: F) -> Result<T>
    where
        F: Fn(&mut Tx<P>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (context, noted) = (self.clone(), self.audit.noted());
        let written = self.env.db.write(move |conn| {
            context.audit.begin_transaction(&noted);
            if let Some(actor) = context.actor.actor() {
                lock(conn, actor.user_id)?;
                standing::require(conn, actor)?;
            }
            work(&mut context.tx(conn))
        });
        let done = written.await?;
        self.env.audit.committed(self.audit.take_stored());
        self.env.written.send_replace(());
        Ok(done)
    }

    /// Like [`change_alone`](Self::change_alone), because a signed-in caller attempts to change credentials or to close the account; but also
    /// commits what a failed attempt stored. Only a success records the audit event.
    ///
    /// # Errors
    /// The closure's own, after which nothing is stored; the error of [`Attempt::Failed`].
    pub async fn attempt<T, F>(&self, work: F) -> Result<T>
    where
        F: Fn(&mut Tx<P>) -> Result<Attempt<T>> + Send + 'static,
        T: Send + 'static,
    {
        let attempt = self.transaction(access_lock::wait, move |tx| {
            let attempt = work(tx)?;
            if matches!(attempt, Attempt::Succeeded(_)) {
                tx.record()?;
            }
            Ok(attempt)
        });
        match attempt.await? {
            Attempt::Succeeded(done) => Ok(done),
            Attempt::Failed(error) => Err(error),
        }
    }

    /// Like [`change`](Self::change), once for all requests that have the same caller, operation and idempotency key. A repeat
    /// returns the stored result, and its audit event names the same patients.
    ///
    /// # Errors
    /// The closure's own, and those of the guard of `once`; [`Error::KeyReused`] if the key came with another body; the conflict
    /// `request_in_progress` while the first request still runs. The result of a failed request is not stored.
    pub async fn change_once<T, F>(&self, once: Once<P>, work: F) -> Result<T>
    where
        F: Fn(&mut Tx<P>) -> Result<T> + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let Some(request) = once.request(self) else { return self.change(work).await };
        let (result, is_repeat) = self
            .write(move |tx| {
                if let Some(stored) = request.stored(tx)? {
                    return Ok((stored, true));
                }
                let done = work(tx)?;
                tx.record()?;
                request.store(tx, &done)?;
                Ok((done, false))
            })
            .await?;
        if is_repeat {
            self.audit.note_replayed();
        }
        Ok(result)
    }

    fn tx<'a>(&'a self, conn: &'a mut Conn) -> Tx<'a, P> {
        Tx::new(conn, &self.env, &self.actor, &self.audit)
    }
}

/// Does the work of a change, and records its event.
fn recorded<P, T>(tx: &mut Tx<P>, work: &impl Fn(&mut Tx<P>) -> Result<T>) -> Result<T> {
    let done = work(tx)?;
    tx.record()?;
    Ok(done)
}

impl Context<Anonymous> {
    /// A page that only reads what everyone may read. It is no operation, so it has no event.
    pub fn of_page(env: Arc<Env>) -> Self {
        Self { env, actor: Anonymous, audit: AuditContext::of_command("page"), target: String::new() }
    }

    /// The same request on behalf of the caller that a form identifies.
    #[must_use]
    pub fn acting_as<P>(&self, actor: P) -> Context<P> {
        let Self { env, audit, target, .. } = self.clone();
        Context { env, actor, audit, target }
    }
}

impl Context {
    /// A part of the request with an audit event of its own, for an operation that stores several changes.
    #[must_use]
    pub fn aside(&self, operation: &str, object: uuid::Uuid) -> Self {
        Self { audit: self.audit.aside(operation, object), ..self.clone() }
    }

    /// Requires that the caller's role may do this at all.
    ///
    /// # Errors
    /// [`Error::RoleForbidden`].
    pub fn require(&self, action: Action) -> Result<Reach> {
        self.actor.require(action)
    }

    /// Whether the caller is on the clinic's staff.
    pub fn is_staff(&self) -> bool {
        self.actor.role.is_staff()
    }
}

impl<P> Tx<'_, P> {
    /// Ends a request that succeeds and changes nothing. It has no event in the transaction: the middleware notes or counts it.
    pub fn unchanged(&self) -> Result<()> {
        self.audit.note_unchanged();
        Ok(())
    }

    /// Stores the event of the change. The middleware notes that of a request which changed nothing.
    fn record(&mut self) -> Result<()> {
        if self.audit.notes().unchanged {
            return Ok(());
        }
        record(self.conn, self.env, self.audit, None)
    }
}

impl<P> FromRequest for Context<P>
where
    P: Principal + FromRequest<Error = Error, Future = Ready<Result<P>>>,
{
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut context = || {
            let env = request.app_data::<web::Data<Env>>().cloned().ok_or_else(|| Error::fault("no environment"))?;
            let actor = P::from_request(request, payload).into_inner()?;
            let audit = AuditContext::from_request(request, payload).into_inner()?;
            let ids = request.match_info();
            if let Some(id) = ids.get("id").and_then(|id| id.parse().ok()) {
                audit.note_object(id);
            }
            // An id has several spellings, which are one target.
            let canonical = |id: &str| id.parse::<uuid::Uuid>().map_or_else(|_| id.to_owned(), |id| id.to_string());
            let target = ids.iter().map(|(_, id)| canonical(id)).collect::<Vec<_>>().join(" ");
            Ok(Self { env: env.into_inner(), actor, audit, target })
        };
        ready(context())
    }
}
