//! The program is killed at random moments while it delivers to receivers that fail, hang, lie and restart. `FAULTS=long` selects 10,000
//! events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::receiver::{Answer, Received, Receiver};
use super::{Hook, write_events};
use crate::durability::site;
use crate::faults::scale;
use crate::support::people::PASSWORD;
use crate::support::process::Process;
use crate::support::{Engine, app};

const SETTINGS: [(&str, &str); 1] = [("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.1")];

/// What goes wrong in one of so many requests.
fn faults(seed: u64, one_in: u32) -> impl FnMut(&Received) -> Answer + Send {
    let mut random = StdRng::seed_from_u64(seed);
    move |_: &Received| {
        if random.random_range(0..one_in) > 0 {
            return Answer::Status(200);
        }
        match random.random_range(0..6) {
            0 => Answer::Status(503),
            1 => Answer::Close,
            2 => Answer::Nonsense,
            3 => Answer::Redirect("http://127.0.0.1:1/".into()),
            4 => Answer::EndlessBody,
            _ => Answer::Hang,
        }
    }
}

/// Fails unless every event was accepted, in the order of the numbers and of each object's versions.
fn assert_whole(accepted: &[Received], begin: i64, newest: i64) {
    let mut first = Vec::new();
    let (mut known, mut versions) = (BTreeSet::new(), BTreeMap::new());
    for request in accepted {
        // A repeat has the id by which the receiver knows it.
        if !known.insert(request.id().to_owned()) {
            continue;
        }
        first.push(request.seq());
        let data = &request.body["data"];
        let (subject, version) = (data["subject_id"].to_string(), data["subject_version"].as_i64());
        let before = versions.insert(subject, version);
        assert!(before.flatten() < version, "{before:?} before {data}");
    }
    assert_eq!(first, (begin + 1..=newest).collect::<Vec<_>>(), "every event, in order");
}

fn killed(engine: Engine) {
    let Some(site) = site(engine) else { return };
    let (events, kills, one_in) = (scale(300, 10_000), scale(2, 20), scale(150, 400));
    app::runtime().block_on(async {
        let receiver = Receiver::new().await;
        let mut server = Process::start(&site, &SETTINGS).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let hook = Hook::of(&admin, json!({"url": receiver.url})).await;
        let begin = hook.delivery().await["newest_seq"].as_i64().expect("a number");
        receiver.answer(faults(1, u32::try_from(one_in).expect("few")));
        let mut conn = site.connect();
        let mut random = StdRng::seed_from_u64(2);
        let batch = events / (kills + 1);
        let mut written = 0;
        for round in 0..=kills {
            let last = if round == kills { events - written } else { batch };
            write_events(&mut conn, i32::try_from(written).expect("few"), i32::try_from(last).expect("few"));
            written += last;
            if round < kills {
                // Killed while it delivers.
                receiver.until_seen(receiver.seen().len() + 1).await;
                tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
                server.kill9();
                server = Process::start(&site, &SETTINGS).await;
            }
        }
        let newest = begin + i64::try_from(events).expect("few");
        // The long form waits for many pauses and leases.
        let mut rest = 60;
        while !receiver.accepted().iter().any(|request| request.seq() == newest) {
            assert!(rest > 0, "stuck after {} requests:\n{}", receiver.seen().len(), server.log());
            let before = receiver.accepted().len();
            tokio::time::sleep(Duration::from_secs(1)).await;
            rest = if receiver.accepted().len() == before { rest - 1 } else { 60 };
        }
        let (seen, accepted) = (receiver.seen().len(), receiver.accepted());
        println!("{engine:?}: {events} events, {kills} kills, {seen} requests, {} accepted", accepted.len());
        assert_whole(&accepted, begin, newest);
        assert!(accepted.len() <= events + kills, "only a kill repeats what was accepted");
    });
}

#[test]
fn kill_9_among_receivers_that_fail_hang_and_lie_loses_no_event_on_sqlite() {
    killed(Engine::Sqlite);
}

#[test]
fn kill_9_among_receivers_that_fail_hang_and_lie_loses_no_event_on_postgres() {
    killed(Engine::Postgres);
}
