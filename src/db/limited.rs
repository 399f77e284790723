//! A query with a limit that may be part of its text. PostgreSQL keeps the general plan of a prepared query only if it looks as cheap as a
//! plan for the bound values. Of a bound limit it assumes in advance that a tenth of all rows is read, so it planned each short page anew.

use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType};

use super::Conn;

/// The short limits that are texts, so that there are few prepared queries.
const SHORT: [(i64, &str); 3] = [(4, " LIMIT 4"), (16, " LIMIT 16"), (64, " LIMIT 64")];

/// The most rows that a query returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The number of rows.
    pub rows: i64,
    text: Option<&'static str>,
}

impl Limit {
    /// At least `rows`: on PostgreSQL a short limit is rounded up to one that is a text.
    pub fn at_least(rows: i64, conn: &Conn) -> Self {
        let short = match conn {
            Conn::Sqlite(_) => None,
            Conn::Postgres(_) => SHORT.into_iter().find(|(most, _)| rows <= *most),
        };
        short.map_or(Self { rows, text: None }, |(rows, text)| Self { rows, text: Some(text) })
    }
}

/// A query that ends with a limit. Its text identifies it.
#[derive(Debug, Clone, Copy)]
pub struct Limited<Q> {
    query: Q,
    limit: Limit,
}

/// Limits a query that has no limit, no offset and no lock.
pub fn limited<Q>(query: Q, limit: Limit) -> Limited<Q> {
    Limited { query, limit }
}

impl<Q: Query> Query for Limited<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Limited<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, C> RunQueryDsl<C> for Limited<Q> {}

impl<Q, DB> QueryFragment<DB> for Limited<Q>
where
    DB: Backend + HasSqlType<BigInt>,
    Q: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        if let Some(text) = self.limit.text {
            out.push_sql(text);
            return Ok(());
        }
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit.rows)
    }
}
