//! Operations on the link of a code that a person types in instead of following the link of the same mail.

use super::origin::Origin;
use super::throttle::Throttle;
use super::typed_code::{CodeSpace, TypedCode};
use crate::context::{Anonymous, Attempt, Context, Tx};
use crate::db::Conn;
use crate::error::{Check, Error, Result};

/// A code as it was typed.
#[derive(Clone)]
pub struct TypedLink {
    /// The code.
    pub code: String,
    /// Where it was typed. Wrong codes are counted per address, and over all addresses.
    pub origin: Origin,
}

/// Runs an operation on the link of a typed code. `find` finds it by the code's digest.
///
/// # Errors
/// Those of `run`; a broken rule if it cannot be a code; [`Error::NotFound`] and [`Error::TooMany`] after wrong codes.
pub async fn with_code<L, T: Send + 'static>(
    context: &Context<Anonymous>,
    space: CodeSpace,
    typed: TypedLink,
    find: fn(&mut Conn, &[u8]) -> Result<L>,
    run: impl Fn(&mut Tx<Anonymous>, L) -> Result<T> + Send + Sync + 'static,
) -> Result<T>
where
    L: 'static,
{
    context
        .attempt(move |tx| match find_by_code(tx, space, &typed, find)? {
            Attempt::Succeeded(link) => run(tx, link).map(Attempt::Succeeded),
            Attempt::Failed(error) => Ok(Attempt::Failed(error)),
        })
        .await
}

/// Finds the link of a typed code. Counts a wrong code, after some of which the caller has to wait.
///
/// # Errors
/// A broken rule if it cannot be a code; nothing is counted then, because people mistype.
fn find_by_code<L>(
    tx: &mut Tx<Anonymous>,
    space: CodeSpace,
    typed: &TypedLink,
    find: fn(&mut Conn, &[u8]) -> Result<L>,
) -> Result<Attempt<L>> {
    let mut check = Check::new();
    let code = check.field("/code", TypedCode::parse(&typed.code));
    check.done()?;
    let Some(code) = code else { return Err(Error::fault("a code is neither right nor wrong")) };
    let throttle = Throttle::for_typed_code(tx.env, space, &typed.origin);
    if let Some(wait) = throttle.admit(tx.conn, tx.now)? {
        return Ok(Attempt::Failed(wait.into()));
    }
    match find(tx.conn, &code.digest(tx.env, space)) {
        Ok(link) => Ok(Attempt::Succeeded(link)),
        Err(Error::NotFound) => {
            throttle.record_failure(tx.conn, tx.now)?;
            Ok(Attempt::Failed(Error::NotFound))
        }
        Err(other) => Err(other),
    }
}
