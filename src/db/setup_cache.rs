//! What was derived from the clinic's set-up. It is kept until the set-up changes, on whichever instance and by whatever command: each
//! change gives the table `setup_state` another random token.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::prelude::*;
use uuid::Uuid;

use super::schema::setup_state;
use super::{Conn, per_backend};
use crate::error::Result;

/// The values of one state of the set-up, by type and id. Cheap to clone.
#[derive(Clone, Default)]
pub struct SetupCache(Arc<Mutex<Values>>);

#[derive(Default)]
struct Values {
    token: Vec<u8>,
    values: HashMap<(TypeId, Uuid), Arc<dyn Any + Send + Sync>>,
}

impl SetupCache {
    /// Returns the value of an id. Loads it if the set-up has changed since the last time.
    ///
    /// # Errors
    /// Those of `load`. An error is not kept.
    pub fn get<T: Any + Send + Sync>(
        &self,
        conn: &mut Conn,
        id: Uuid,
        load: impl FnOnce(&mut Conn) -> Result<T>,
    ) -> Result<Arc<T>> {
        // Read before the value: if the set-up changes in between, the next call sees another token and loads again. A transaction that
        // is rolled back had a token of its own.
        let current = setup_state::table.find(1).select(setup_state::token);
        let token: Vec<u8> = per_backend!(conn, conn => current.first(conn))?;
        let key = (TypeId::of::<T>(), id);
        if let Some(found) = self.found(&token, key) {
            return Ok(found);
        }
        let loaded = Arc::new(load(conn)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.token != token {
            *kept = Values { token, values: HashMap::new() };
        }
        kept.values.insert(key, loaded.clone());
        Ok(loaded)
    }

    fn found<T: Any + Send + Sync>(&self, token: &[u8], key: (TypeId, Uuid)) -> Option<Arc<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.values.get(&key).filter(|_| kept.token == token)?;
        found.clone().downcast().ok()
    }
}
