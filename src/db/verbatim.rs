//! SQL of ours inside a query of diesel's. Unlike `diesel::dsl::sql` it lets the query be kept prepared, which is right because
//! its text is one of few: it is made from code, and never from what somebody sent.

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

/// An expression of the type `ST`, with instants as its values.
#[derive(Debug, Clone)]
pub struct Verbatim<ST> {
    parts: Vec<Part>,
    sql_type: PhantomData<ST>,
}

#[derive(Debug, Clone)]
enum Part {
    Sql(Cow<'static, str>),
    Value(Timestamp),
}

impl<ST> Verbatim<ST> {
    /// Begins with this SQL.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { parts: vec![Part::Sql(sql.into())], sql_type: PhantomData }
    }

    /// Goes on with a value.
    #[must_use]
    pub fn bind(mut self, value: Timestamp) -> Self {
        self.parts.push(Part::Value(value));
        self
    }

    /// Goes on with this SQL.
    #[must_use]
    pub fn sql(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.parts.push(Part::Sql(sql.into()));
        self
    }
}

impl<ST: SingleValue + TypedExpressionType> Expression for Verbatim<ST> {
    type SqlType = ST;
}

impl<ST, QS> AppearsOnTable<QS> for Verbatim<ST> where Self: Expression {}
impl<ST, QS> SelectableExpression<QS> for Verbatim<ST> where Self: AppearsOnTable<QS> {}

impl<ST, GB> ValidGrouping<GB> for Verbatim<ST> {
    type IsAggregate = is_aggregate::Never;
}

impl<ST> QueryId for Verbatim<ST> {
    type QueryId = ();
    // The text tells one from another, not the type.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST, DB> QueryFragment<DB> for Verbatim<ST>
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
