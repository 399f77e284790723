//! Raw SQL inside a diesel query. Unlike `diesel::dsl::sql`, it allows the query to stay prepared. That is safe because
//! there are few different texts: they come from code, never from input.

use std::borrow::Cow;
use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, TypedExpressionType, ValidGrouping, is_aggregate,
};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, SingleValue};

use super::types::Instant;
use crate::clock::Timestamp;

/// An expression of the type `ST` whose values are instants.
#[derive(Debug, Clone)]
pub struct RawSql<ST> {
    parts: Vec<Part>,
    sql_type: PhantomData<ST>,
}

#[derive(Debug, Clone)]
enum Part {
    Sql(Cow<'static, str>),
    Value(Timestamp),
}

impl<ST> RawSql<ST> {
    /// Begins with this SQL.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { parts: vec![Part::Sql(sql.into())], sql_type: PhantomData }
    }

    /// Appends a value.
    #[must_use]
    pub fn bind(mut self, value: Timestamp) -> Self {
        self.parts.push(Part::Value(value));
        self
    }

    /// Appends this SQL.
    #[must_use]
    pub fn sql(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.parts.push(Part::Sql(sql.into()));
        self
    }
}

impl<ST: SingleValue + TypedExpressionType> Expression for RawSql<ST> {
    type SqlType = ST;
}

impl<ST, QS> AppearsOnTable<QS> for RawSql<ST> where Self: Expression {}
impl<ST, QS> SelectableExpression<QS> for RawSql<ST> where Self: AppearsOnTable<QS> {}

impl<ST, GB> ValidGrouping<GB> for RawSql<ST> {
    type IsAggregate = is_aggregate::Never;
}

impl<ST> QueryId for RawSql<ST> {
    type QueryId = ();
    // The text identifies the query, not the type.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST, DB> QueryFragment<DB> for RawSql<ST>
where
    DB: Backend + HasSqlType<Instant>,
    Timestamp: ToSql<Instant, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for part in &self.parts {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Value(value) => out.push_bind_param::<Instant, _>(value)?,
            }
        }
        Ok(())
    }
}
