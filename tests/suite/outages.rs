//! PostgreSQL that freezes, stops, or is filled by several at once.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use legwork::actor::Role;
use serde_json::json;

use crate::support::people::{PASSWORD, patient_json};
use crate::support::postgres::{Cluster, Own};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{Client, Engine, Reply, app};

/// Two seconds, and what a busy machine needs to say so.
const SOON: Duration = Duration::from_secs(3);

/// A cluster of its own with a served database.
async fn served() -> Option<(Own, Site, Process, Client)> {
    let cluster = Cluster::own("legwork")?;
    let site = Site::on_postgres(cluster.url(&cluster.create_migrated()));
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    let server = Process::start(&site, &[]).await;
    let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
    Some((cluster, site, server, desk))
}

/// The reply and how long it took.
async fn timed(reply: impl Future<Output = Reply>) -> (Reply, Duration) {
    let began = Instant::now();
    (reply.await, began.elapsed())
}

#[track_caller]
fn unavailable_soon(what: &str, (reply, took): &(Reply, Duration)) {
    reply.problem(503, "unavailable");
    assert!(!reply.header("retry-after").is_empty(), "{what}: no Retry-After");
    assert!(*took < SOON, "{what}: answered after {took:?}");
}

/// Waits until everything is served again.
async fn back(desk: &Client, within: Duration) {
    let began = Instant::now();
    while desk.get("/v1/patients?q=Nobody").await.status != 200 {
        assert!(began.elapsed() < within, "not back after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Every connection of the pool is good again, not just one.
    let replies = join_all((0..16).map(|_| desk.get("/v1/patients?q=Nobody"))).await;
    for reply in replies {
        reply.expect(200);
    }
    assert!(began.elapsed() < within, "not back after {:?}", began.elapsed());
}

#[test]
fn while_postgres_is_frozen_every_request_is_answered_in_two_seconds_and_all_is_well_when_it_thaws() {
    app::runtime().block_on(async {
        let Some((cluster, site, server, desk)) = served().await else { return };
        let path = "/v1/patients?q=Nobody";
        join_all((0..8).map(|_| desk.get(path))).await.iter().for_each(|reply| {
            reply.expect(200);
        });
        // A query that is at work on an open connection when the server freezes.
        let mut blocker = site.connect();
        blocker.batch_execute("BEGIN; LOCK TABLE locations IN ACCESS EXCLUSIVE MODE").expect("a lock");
        let at_work = tokio::spawn({
            let anon = server.anon();
            async move { anon.get("/v1/locations").await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.freeze();
        let at_work = timed(async { at_work.await.expect("an answer") });
        let body = patient_json("Ann", "ann@patients.example");
        let key = [("Idempotency-Key", "frozen")];
        let write = timed(desk.post_with("/v1/patients", body.clone(), &key));
        let sign_in = json!({"email": "desk@clinic.example", "password": PASSWORD});
        let anon = server.anon();
        let many = join_all((0..32).map(|_| timed(desk.get(path))));
        let (at_work, write, sign_in, ready, many) = tokio::join!(
            at_work,
            write,
            timed(anon.post("/v1/sessions", sign_in)),
            timed(anon.get("/health/ready")),
            many
        );
        unavailable_soon("a query at work", &at_work);
        unavailable_soon("a write", &write);
        unavailable_soon("a sign-in", &sign_in);
        unavailable_soon("readiness", &ready);
        for reply in &many {
            unavailable_soon("one of 32 at once", reply);
        }
        // Once it is known, nobody waits at all.
        unavailable_soon("one request", &timed(desk.get(path)).await);
        for reply in join_all((0..32).map(|_| timed(desk.get(path)))).await {
            unavailable_soon("one of 32 later", &reply);
            assert!(reply.1 < Duration::from_secs(1), "answered after {:?}", reply.1);
        }
        anon.get("/health/live").await.expect(200);

        cluster.thaw();
        drop(blocker);
        back(&desk, Duration::from_secs(5)).await;
        anon.get("/health/ready").await.expect(200);
        // The write that was cut off was not done, or is repeated as it was: there is one patient in the end.
        let mut again = desk.post_with("/v1/patients", body.clone(), &key).await;
        while again.status == 409 {
            again = desk.post_with("/v1/patients", body.clone(), &key).await;
        }
        again.expect(201);
        assert_eq!(desk.get("/v1/patients?q=Ann").await.expect(200).items().len(), 1);
        assert!(!server.log().contains("panicked"), "{}", server.log());
    });
}

#[test]
fn a_service_whose_postgres_is_frozen_ends_when_it_is_told_to() {
    app::runtime().block_on(async {
        let Some((cluster, _site, mut server, desk)) = served().await else { return };
        cluster.freeze();
        join_all((0..4).map(|_| desk.get("/v1/patients?q=Nobody"))).await;
        server.terminate();
        let ended = server.wait(Duration::from_secs(15));
        assert!(ended.is_some(), "it still runs:\n{}", server.log());
        drop(cluster);
    });
}

#[test]
fn while_postgres_is_down_every_request_is_answered_in_two_seconds_and_all_is_well_when_it_is_back() {
    app::runtime().block_on(async {
        let Some((cluster, _site, server, desk)) = served().await else { return };
        let path = "/v1/patients?q=Nobody";
        cluster.stop();
        for reply in join_all((0..32).map(|_| timed(desk.get(path)))).await {
            unavailable_soon("while it is down", &reply);
        }
        unavailable_soon("readiness", &timed(server.anon().get("/health/ready")).await);
        cluster.start_again();
        back(&desk, Duration::from_secs(5)).await;
    });
}

#[test]
fn three_demos_that_start_at_once_on_one_empty_postgres_all_serve_the_one_clinic() {
    let Some(site) = Site::without_schema(Engine::Postgres) else { return };
    app::runtime().block_on(async {
        let servers = join_all((0..3).map(|_| Process::start_demo(&site))).await;
        for server in &servers {
            let admin = server.anon().sign_in("admin@demo.legwork.example", "restful-nights-demo").await;
            assert_eq!(admin.get("/v1/locations").await.expect(200).items().len(), 2);
            admin.get("/health/ready").await.expect(200);
        }
    });
}
