//! Waiting for the audit trail: the server stores events of reads and refusals after the response, and seals them later.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use legwork::audit::seal;
use legwork::audit::sealing::seal_all;
use legwork::audit::verify::{KnownHead, verify};
use legwork::db::Conn;
use legwork::db::schema::audit_events;
use serde_json::Value;

use super::{App, Client, eventually};

/// Reads a page of the trail until it holds what is expected.
pub async fn events_until(admin: &Client, query: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(async || {
        let events = admin.get(&format!("/v1/audit-events?limit=200&{query}")).await.items();
        if holds(&events) { Ok(events) } else { Err(format!("{query}: {events:#?}")) }
    })
    .await
}

/// Waits until every event so far is stored. The server stores them in order, so one more event, of a request that only this
/// function sends, shows that all before it are there.
pub async fn stored(app: &App) {
    static MARKERS: AtomicU32 = AtomicU32::new(0);
    let marker = format!("marker-{}", MARKERS.fetch_add(1, Ordering::Relaxed));
    app.admin().await.get_with("/v1/sessions", &[("X-Request-Id", &marker)]).await.expect(200);
    eventually(async || {
        let marker = marker.clone();
        let of_marker = move || audit_events::table.filter(audit_events::request_id.eq(marker.clone()));
        let count = app.db(move |tx| Ok(of_marker().count().get_result::<i64>(tx)?)).await;
        if count > 0 { Ok(()) } else { Err("events wait to be stored".to_owned()) }
    })
    .await;
}

/// Waits until every event so far is stored, and seals them.
pub async fn sealed(app: &App) {
    stored(app).await;
    eventually(async || {
        // On PostgreSQL it seals nothing while the server's own worker does.
        seal_all(&app.env, seal::VERY_LATE).await.expect("sealed");
        let now = app.clock.now();
        match app.db(move |tx| seal::oldest_unsealed(tx, seal::VERY_LATE, now)).await {
            None => Ok(()),
            Some(at) => Err(format!("an event of {at} has no seal")),
        }
    })
    .await;
}

/// The findings about the trail as it is.
pub async fn findings(app: &App, head: Option<KnownHead>) -> Vec<String> {
    verify(&app.env, head).await.expect("checked").findings
}

#[derive(QueryableByName)]
struct Trigger {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

fn load_triggers(tx: &mut Conn) -> legwork::error::Result<Vec<Trigger>> {
    const TRIGGERS: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name LIKE 'audit_%'";
    match tx {
        Conn::Postgres(_) => Ok(Vec::new()),
        Conn::Sqlite(tx) => Ok(diesel::sql_query(TRIGGERS).load(tx)?),
    }
}

/// Changes the trail like an attacker with full access to the database, and leaves its triggers as they were.
pub async fn tamper(app: &App, sql: &str) {
    let sql = sql.to_owned();
    tamper_with(app, move |tx| Ok(tx.batch_execute(&sql)?)).await;
}

/// Like [`tamper`], with a closure.
pub async fn tamper_with(app: &App, change: impl Fn(&mut Conn) -> legwork::error::Result<()> + Send + 'static) {
    app.db(move |tx| {
        match tx {
            Conn::Postgres(_) => {
                let set = |state: &str| {
                    format!(
                        "DO $$ DECLARE t record; BEGIN
                         FOR t IN SELECT tgrelid::regclass AS of, tgname FROM pg_trigger
                             WHERE tgrelid::regclass::text LIKE 'audit\\_%' AND NOT tgisinternal LOOP
                             EXECUTE format('ALTER TABLE %s {state} TRIGGER %I', t.of, t.tgname);
                         END LOOP; END $$"
                    )
                };
                tx.batch_execute(&set("DISABLE"))?;
                change(tx)?;
                tx.batch_execute(&set("ENABLE ALWAYS"))?;
            }
            Conn::Sqlite(_) => {
                let triggers = load_triggers(tx)?;
                for trigger in &triggers {
                    tx.batch_execute(&format!("DROP TRIGGER {}", trigger.name))?;
                }
                change(tx)?;
                for trigger in &triggers {
                    tx.batch_execute(&trigger.sql)?;
                }
            }
        }
        Ok(())
    })
    .await;
}
