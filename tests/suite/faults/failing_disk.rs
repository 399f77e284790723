//! A disk that fails to store, injected by `strace` into the system calls of the program.

use std::process::Command;

use super::history::violations;
use super::load::Load;
use super::{clients, scale};
use crate::durability::{ask, site};
use crate::support::process::Process;
use crate::support::{Engine, app, print_uncaptured};

/// Which calls of each thread fail: one after the start, and then one of every ten, or of every 200. A booking writes some 45 pages in 90
/// calls, so about half of the bookings that are written alone fail.
const FAULTS: [(&str, &str); 2] = [("fdatasync,fsync", "error=EIO:when=20+10"), ("pwrite64", "error=EIO:when=200+200")];

#[test]
fn when_the_disk_fails_to_store_nothing_acknowledged_is_lost_and_the_service_goes_on() {
    let works =
        Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        print_uncaptured("==> SKIPPED for want of strace: a failing disk\n");
        return;
    }
    for (calls, fault) in FAULTS {
        let site = site(Engine::Sqlite).expect("SQLite is always there");
        let clients = clients();
        app::runtime().block_on(async {
            let mut server = Process::start(&site, &[]).await;
            let load = Load::prepare(&server, clients).await;
            server.kill9();
            let traced = site.folder.path().join("strace");
            let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
            let mut strace = Command::new("strace");
            // As a process of its own, so that the program is the child that the test ends.
            strace
                .args(["-D", "-f", "-e", &trace, "-e", &inject, "-o"])
                .arg(&traced)
                .arg(env!("CARGO_BIN_EXE_legwork"));
            let server = Process::start_with(strace, &site, &[]).await;
            load.use_server(&server).await;
            tokio::join!(load.run(11), async {
                load.until_answered(clients * scale(40, 400)).await;
                load.stop();
            });
            let failed = std::fs::read_to_string(&traced).expect("the trace").matches("(INJECTED)").count();
            println!("{calls}: {failed} failed, {} answers", load.answered());
            assert!(failed > 0, "no call failed");
            drop(server);
            let server = Process::start(&site, &[]).await;
            load.use_server(&server).await;
            load.read_all().await;
            let wrong = violations(&load.history());
            assert!(wrong.is_empty(), "{} violations, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
            assert_eq!(ask(&mut site.connect(), "SELECT integrity_check AS line FROM pragma_integrity_check"), ["ok"]);
        });
    }
}
