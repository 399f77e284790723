//! `UPDATE` statements that stay prepared. diesel prepares its own again on each call, because the set columns could
//! differ.

use diesel::backend::Backend;
use diesel::query_builder::{AsChangeset, AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BoolOrNullableBool;
use diesel::{AppearsOnTable, QuerySource, RunQueryDsl, Table};

/// An `UPDATE` that always sets the same columns. Its text identifies it.
#[derive(Debug, Clone, Copy)]
pub struct Update<F, W, C> {
    from: F,
    filter: W,
    changes: C,
}

/// Updates the rows that match a condition. At least one column must be set.
pub fn update<T, W, C>(table: T, filter: W, changes: C) -> Update<T::FromClause, W, C::Changeset>
where
    T: Table,
    W: AppearsOnTable<T, SqlType: BoolOrNullableBool>,
    C: AsChangeset<Target = T>,
{
    Update { from: QuerySource::from_clause(&table), filter, changes: changes.as_changeset() }
}

impl<F, W, C, DB> QueryFragment<DB> for Update<F, W, C>
where
    DB: Backend,
    F: QueryFragment<DB>,
    W: QueryFragment<DB>,
    C: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        self.from.walk_ast(out.reborrow())?;
        out.push_sql(" SET ");
        self.changes.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE ");
        self.filter.walk_ast(out)
    }
}

impl<F, W, C> QueryId for Update<F, W, C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<F, W, C, Conn> RunQueryDsl<Conn> for Update<F, W, C> {}
