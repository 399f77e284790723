//! Many more clients than the service can serve at once, beside the front desk and the probes of a balancer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::scale;
use crate::durability::site;
use crate::support::clinic;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::Process;
use crate::support::{Client, Engine, app, book};

/// What clients were told, and how long each answer took.
#[derive(Default)]
struct Told {
    served: Vec<Duration>,
    refused: Vec<Duration>,
    /// Closed connections, and refusals without a time to come back.
    broken: Vec<String>,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.served.extend(other.served);
        self.refused.extend(other.refused);
        self.broken.extend(other.broken);
    }
}

/// Searches without a session, as many as there are clients at once, until `stop`.
async fn search(base: &str, path: &str, clients: usize, stop: &Arc<AtomicBool>) -> Told {
    let http = app::http_client();
    let each = (0..clients).map(|_| async {
        let mut told = Told::default();
        while !stop.load(Ordering::Relaxed) {
            let sent = Instant::now();
            match http.get(format!("{base}{path}")).send().await {
                Ok(reply) if reply.status() == StatusCode::OK => told.served.push(sent.elapsed()),
                Ok(reply)
                    if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&reply.status())
                        && reply.headers().contains_key("Retry-After") =>
                {
                    told.refused.push(sent.elapsed());
                }
                Ok(reply) => told.broken.push(reply.status().to_string()),
                Err(error) => told.broken.push(format!("{error:?}")),
            }
        }
        told
    });
    let mut all = Told::default();
    for told in futures_util::future::join_all(each).await {
        all.add(told);
    }
    all
}

/// Reads of the front desk and probes of a balancer, one after the other, until `stop`.
async fn beside(desk: &Client, appointment: &str, stop: &Arc<AtomicBool>) -> [Vec<Duration>; 2] {
    let (mut reads, mut probes) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        desk.get(appointment).await.expect(200);
        reads.push(sent.elapsed());
        let sent = Instant::now();
        desk.get("/health/live").await.expect(200);
        desk.get("/health/ready").await.expect(200);
        probes.push(sent.elapsed());
    }
    [reads, probes]
}

fn median_and_worst(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default();
    format!("{} at {:.1?} (99 %: {:.1?})", times.len(), at(50), at(99))
}

fn overloaded(engine: Engine) {
    let Some(site) = site(engine) else { return };
    let seconds = Duration::from_secs(u64::try_from(scale(1, 60)).expect("few"));
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let clinic = clinic::set_up(&admin).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let patient = desk.post("/v1/patients", patient_json("Pat", "pat@patients.example")).await.expect(201).id();
        let slot = clinic::free_slots(&desk, &clinic.check).await[0].clone();
        let appointment = book(&desk, &slot, &clinic.check, &patient).await.expect(201).location();
        let path = format!("/v1/slots?visit_type_id={}&limit=50", clinic.new_visit);

        let mut rates = Vec::new();
        for clients in [8, 256] {
            let stop = Arc::new(AtomicBool::new(false));
            let (mut told, [mut reads, mut probes], ()) =
                tokio::join!(search(&server.base, &path, clients, &stop), beside(&desk, &appointment, &stop), async {
                    tokio::time::sleep(seconds).await;
                    stop.store(true, Ordering::Relaxed);
                });
            println!(
                "{engine:?}, {clients} clients: served {}, refused {}, desk {}, probes {}",
                median_and_worst(&mut told.served),
                median_and_worst(&mut told.refused),
                median_and_worst(&mut reads),
                median_and_worst(&mut probes),
            );
            assert!(told.broken.is_empty(), "{} broken, the first: {}", told.broken.len(), told.broken[0]);
            assert!(!told.served.is_empty() && !reads.is_empty() && !probes.is_empty());
            rates.push(told.served.len());
        }
        println!("{engine:?}: {} % of the searches of 8 clients are served to 256", rates[1] * 100 / rates[0]);
        desk.get(&path).await.expect(200);
    });
}

#[test]
fn under_overload_each_request_is_served_or_told_when_to_come_back_and_the_desk_works_on_sqlite() {
    overloaded(Engine::Sqlite);
}

#[test]
fn under_overload_each_request_is_served_or_told_when_to_come_back_and_the_desk_works_on_postgres() {
    overloaded(Engine::Postgres);
}
