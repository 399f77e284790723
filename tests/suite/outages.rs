//! PostgreSQL that freezes or stops, and several servers on one database.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use legwork::actor::Role;
use serde_json::json;

use crate::support::people::{PASSWORD, patient_json};
use crate::support::postgres::{Cluster, Own};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{Client, Engine, Reply, app, eventually};

/// The server should answer within two seconds. On a busy machine this shows only that it did not wait for the time that the
/// calls of a request share, which is ten seconds.
const SOON: Duration = Duration::from_secs(8);
/// How long it takes at least to find out that PostgreSQL does not answer.
const DETECTION: Duration = Duration::from_millis(1500);

/// Starts a cluster of its own and a server on it.
async fn served() -> Option<(Own, Site, Process, Client)> {
    let cluster = Cluster::own("legwork")?;
    let site = Site::on_postgres(cluster.url(&cluster.create_migrated()));
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    let server = Process::start(&site, &[]).await;
    let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
    Some((cluster, site, server, desk))
}

/// The response and how long it took.
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

/// Waits until all requests are served again.
async fn until_served(desk: &Client) {
    eventually(async || match desk.get("/v1/patients?q=Nobody").await {
        reply if reply.status == 200 => Ok(()),
        reply => Err(reply.text),
    })
    .await;
    // Every connection of the pool works again, not only one.
    let replies = join_all((0..16).map(|_| desk.get("/v1/patients?q=Nobody"))).await;
    for reply in replies {
        reply.expect(200);
    }
}

#[test]
fn while_postgres_is_frozen_every_request_gets_503_soon_and_all_are_served_when_it_resumes() {
    app::runtime().block_on(async {
        let Some((cluster, site, server, desk)) = served().await else { return };
        let path = "/v1/patients?q=Nobody";
        join_all((0..8).map(|_| desk.get(path))).await.iter().for_each(|reply| {
            reply.expect(200);
        });
        // A query that is running when the server freezes.
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
        // Once the failure is detected, requests fail at once.
        unavailable_soon("one request", &timed(desk.get(path)).await);
        let later = join_all((0..32).map(|_| timed(desk.get(path)))).await;
        for reply in &later {
            unavailable_soon("one of 32 later", reply);
        }
        let quickest = later.iter().map(|(_, took)| took).min().expect("replies");
        assert!(*quickest < DETECTION, "each request finds it out anew: {quickest:?}");
        anon.get("/health/live").await.expect(200);
        let page = anon.get("/book").await;
        assert!(page.expect(503).text.contains("We cannot book at the moment"), "{}", page.text);

        cluster.resume();
        drop(blocker);
        until_served(&desk).await;
        anon.get("/health/ready").await.expect(200);
        // The interrupted write either did not happen or is replayed: in the end there is one patient.
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
fn a_service_whose_postgres_is_frozen_stops_on_sigterm() {
    app::runtime().block_on(async {
        let Some((cluster, _site, mut server, desk)) = served().await else { return };
        cluster.freeze();
        join_all((0..4).map(|_| desk.get("/v1/patients?q=Nobody"))).await;
        server.terminate();
        let ended = server.wait(Duration::from_mins(1));
        assert!(ended.is_some(), "it still runs:\n{}", server.log());
        drop(cluster);
    });
}

#[test]
fn while_postgres_is_down_every_request_gets_503_soon_and_all_are_served_when_it_is_back() {
    app::runtime().block_on(async {
        let Some((cluster, _site, server, desk)) = served().await else { return };
        let path = "/v1/patients?q=Nobody";
        cluster.stop();
        for reply in join_all((0..32).map(|_| timed(desk.get(path)))).await {
            unavailable_soon("while it is down", &reply);
        }
        unavailable_soon("readiness", &timed(server.anon().get("/health/ready")).await);
        cluster.start_again();
        until_served(&desk).await;
    });
}

#[test]
fn three_demos_started_at_once_on_one_empty_postgres_serve_the_same_clinic() {
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
