//! The primary of two PostgreSQL servers is killed under load, and its synchronous standby takes over.

use std::time::Instant;

use legwork::actor::Role;

use super::history::violations;
use super::load::Load;
use super::{clients, scale};
use crate::support::app;
use crate::support::postgres::Cluster;
use crate::support::process::Process;
use crate::support::site::Site;

#[test]
fn when_a_synchronous_standby_is_promoted_nothing_acknowledged_is_lost_and_the_service_goes_on() {
    let Some(primary) = Cluster::own("clinic") else { return };
    let database = primary.create_migrated();
    let standby = primary.synchronous_standby(&database);
    let site = Site::on_postgres(primary.url_of_either(&standby, &database));
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    let clients = clients();
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let load = Load::prepare(&server, clients).await;
        load.use_server(&server).await;
        let ((), ()) = tokio::join!(load.run(7), async {
            load.until_answered(clients * scale(20, 200)).await;
            primary.kill9();
            let killed = Instant::now();
            standby.promote();
            let promoted = Instant::now();
            // Each client may have had one answer on its way.
            load.until_answered(clients + 1).await;
            println!("promoted after {:?}, answers after another {:?}", promoted - killed, promoted.elapsed());
            load.until_answered(clients * scale(20, 200)).await;
            load.stop();
        });
        load.read_all().await;
        let history = load.history();
        println!("{clients} clients, {} answers, {} events", load.answered(), history.len());
        let wrong = violations(&history);
        assert!(wrong.is_empty(), "{} violations, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    });
}
