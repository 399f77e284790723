//! Connection poolers between the service and PostgreSQL.

use legwork::db::{Target, pooler};

use crate::support::pooler::Pooler;
use crate::support::postgres::Cluster;

fn refused_in(mode: &str) -> Option<Result<(), String>> {
    let cluster = Cluster::get()?;
    let pooler = Pooler::start(cluster, mode)?;
    let database = cluster.create_empty();
    // Two starts: the second one gets sessions that the first one has used.
    let results = [0, 1].map(|_| pooler::refuse(&Target::Postgres(pooler.url(&database))));
    drop(pooler);
    cluster.drop_database(&database);
    let [first, second] = results;
    assert_eq!(first.is_ok(), second.is_ok(), "{mode}: {first:?} and {second:?}");
    Some(second)
}

#[test]
fn the_service_does_not_start_behind_a_pooler_that_shares_sessions() {
    let Some(refused) = refused_in("transaction") else { return };
    let text = refused.expect_err("a shared session");
    assert!(text.contains("session mode"), "{text}");
    // In statement mode, PgBouncer closes the connection that begins a transaction.
    let Some(refused) = refused_in("statement") else { return };
    refused.expect_err("no transactions");
}

#[test]
fn the_service_starts_behind_a_pooler_that_keeps_sessions_apart() {
    let Some(refused) = refused_in("session") else { return };
    assert_eq!(refused, Ok(()));
}

#[test]
fn the_service_starts_on_postgresql_itself() {
    let Some(cluster) = Cluster::get() else { return };
    let database = cluster.create_empty();
    assert_eq!(pooler::refuse(&Target::Postgres(cluster.url(&database))), Ok(()));
    cluster.drop_database(&database);
}
