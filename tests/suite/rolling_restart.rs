//! Two instances behind HAProxy are restarted one after the other while clients book.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::durability::{Load, check, prepare, site};
use crate::support::haproxy::Haproxy;
use crate::support::postgres::free_port;
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{Engine, app, eventually};

/// Longer than the interval of HAProxy's checks, as the example says.
const DELAY: (&str, &str) = ("SHUTDOWN_DELAY_SECONDS", "4");

async fn start(site: &Site, address: &str) -> Process {
    Process::start(site, &[("LISTEN_ADDR", address), ("BEHIND_PROXY", "127.0.0.1"), DELAY]).await
}

/// Waits until the balancer sends bookings to this instance.
async fn until_in_use(instance: &Process) {
    eventually(async || {
        let metrics = instance.anon().get("/metrics").await.text;
        let booked = "_count{method=\"POST\",route=\"/v1/appointments\",status=\"201\"}";
        if metrics.contains(booked) { Ok(()) } else { Err("no booking yet".to_owned()) }
    })
    .await;
}

async fn restart(site: &Site, instance: &mut Process, address: &str, load: &Load) {
    instance.terminate();
    let status = eventually(async || match instance.child.try_wait().expect("a state") {
        Some(status) => Ok(status),
        None => Err("it still runs".to_owned()),
    })
    .await;
    assert!(status.success(), "{status:?}:\n{}", instance.log());
    load.until_booked(10).await;
    *instance = start(site, address).await;
    until_in_use(instance).await;
}

#[test]
fn a_rolling_restart_behind_haproxy_drops_no_request() {
    let Some(site) = site(Engine::Postgres) else { return };
    if !Haproxy::is_installed() {
        return;
    }
    app::runtime().block_on(async {
        let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", free_port().expect("a port")));
        let mut first = start(&site, &addresses[0]).await;
        let mut second = start(&site, &addresses[1]).await;
        let mut load = prepare(&first).await;
        // So that slots are left until the second instance is back.
        load.patients.truncate(4);
        load.pause = Duration::from_millis(200);
        let haproxy = Haproxy::start(&addresses);
        let stop = Arc::new(AtomicBool::new(false));
        let (told, ()) = tokio::join!(load.run(&haproxy.base, &stop), async {
            until_in_use(&first).await;
            until_in_use(&second).await;
            restart(&site, &mut first, &addresses[0], &load).await;
            restart(&site, &mut second, &addresses[1], &load).await;
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!((told.other, told.broken_off), (Vec::new(), 0));
        let booked: BTreeMap<String, String> = told.booked;
        assert!(!booked.is_empty());
        check(&site, &first, &booked).await;
    });
}
