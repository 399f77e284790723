//! The ids of the patients whom a response showed, as a column of their event.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Binary;

use crate::ids::PatientId;

/// The bytes of an id.
const ID: usize = 16;

/// Patients' ids in ascending order, one after the other as bytes. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Binary)]
pub struct PatientIds(Vec<u8>);

impl PatientIds {
    /// Takes ids in ascending order. Returns none for an empty list.
    pub fn new(ids: &[PatientId]) -> Option<Self> {
        (!ids.is_empty()).then(|| Self(ids.iter().flat_map(|id| *id.0.as_bytes()).collect()))
    }

    /// Returns the bytes for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number of ids.
    pub fn count(&self) -> usize {
        self.0.len() / ID
    }

    /// Returns the ids.
    pub fn ids(&self) -> impl Iterator<Item = PatientId> {
        self.0.chunks_exact(ID).filter_map(|bytes| uuid::Uuid::from_slice(bytes).ok()).map(PatientId)
    }
}

// Accepts any bytes. The HMAC shows whether they are what was signed.
impl<DB: Backend> FromSql<Binary, DB> for PatientIds
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Vec::<u8>::from_sql(value).map(Self)
    }
}

impl<DB: Backend> ToSql<Binary, DB> for PatientIds
where
    [u8]: ToSql<Binary, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_slice().to_sql(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_were_written() {
        let ids: Vec<_> = (1..=3).map(|number| PatientId(uuid::Uuid::from_u128(number))).collect();
        let shown = PatientIds::new(&ids).expect("some");
        assert_eq!((shown.ids().collect::<Vec<_>>(), shown.count()), (ids, 3));
        assert_eq!(PatientIds::new(&[]), None);
        // A person with access to the database may write any bytes.
        assert_eq!(PatientIds(vec![7; 17]).ids().count(), 1);
    }
}
