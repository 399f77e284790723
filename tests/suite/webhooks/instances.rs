//! Two instances on one PostgreSQL database.

use serde_json::json;

use super::receiver::{Receiver, numbers};
use super::{Hook, write_events};
use crate::durability::site;
use crate::support::people::PASSWORD;
use crate::support::process::Process;
use crate::support::{Engine, app};

const SETTINGS: [(&str, &str); 1] = [("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.1")];

#[test]
fn of_two_instances_one_delivers_and_another_goes_on_when_it_ends() {
    let Some(site) = site(Engine::Postgres) else { return };
    app::runtime().block_on(async {
        let receivers = [Receiver::new().await, Receiver::new().await];
        let first = Process::start(&site, &SETTINGS).await;
        let second = Process::start(&site, &SETTINGS).await;
        let admin = second.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let mut hooks = Vec::new();
        for receiver in &receivers {
            hooks.push(Hook::of(&admin, json!({"url": receiver.url})).await);
        }
        let mut conn = site.connect();
        let mut newest = hooks[0].delivery().await["newest_seq"].as_i64().expect("a number");
        let begin = newest;
        for round in 0..10 {
            write_events(&mut conn, round * 20, 20);
            newest += 20;
            for receiver in &receivers {
                receiver.until_accepted(newest).await;
            }
        }
        let expected: Vec<i64> = (begin + 1..=newest).collect();
        for (receiver, hook) in receivers.iter().zip(&hooks) {
            assert_eq!(numbers(&receiver.seen()), expected, "each once, in order");
            hook.until("delivered_through_seq", json!(newest)).await;
        }
        // An instance that is told to stop gives its leases back.
        write_events(&mut conn, 200, 50);
        first.terminate();
        write_events(&mut conn, 250, 50);
        for receiver in &receivers {
            let seen = receiver.until_accepted(newest + 100).await;
            assert_eq!(numbers(&seen), (begin + 1..=newest + 100).collect::<Vec<_>>());
        }
        drop(first);
    });
}
