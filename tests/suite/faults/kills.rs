//! The program is killed at random moments while clients book, move, cancel, read and search.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::history::violations;
use super::load::Load;
use super::{clients, scale};
use crate::durability::{ask, site};
use crate::support::process::{Process, command};
use crate::support::smtp::Smtp;
use crate::support::{Engine, app};

/// How many mails the program sends at the same time. A kill interrupts at most these.
const MAILS_AT_ONCE: usize = 4;
/// How long the program runs before it is killed, in milliseconds. The first requests arrive at once.
const LIFE: std::ops::Range<u64> = 100..3000;

fn killed(engine: Engine) {
    let Some(site) = site(engine) else { return };
    let (kills, clients, seed) = (scale(3, 200), clients(), 1);
    app::runtime().block_on(async {
        let mails = Smtp::open();
        let smtp_url = mails.url();
        let settings = [("SMTP_URL", smtp_url.as_str())];
        let mut server = Process::start(&site, &settings).await;
        let load = Load::prepare(&server, clients).await;
        load.use_server(&server).await;
        let mut random = StdRng::seed_from_u64(seed);
        let ((), server) = tokio::join!(load.run(seed), async {
            for _ in 0..kills {
                tokio::time::sleep(Duration::from_millis(random.random_range(LIFE))).await;
                server.kill9();
                server = Process::start(&site, &settings).await;
                load.use_server(&server).await;
                // A server that answers nothing before the next kill would test nothing.
                load.until_answered(1).await;
            }
            load.stop();
            server
        });
        load.read_all().await;

        let history = load.history();
        println!("{engine:?}: {kills} kills, {clients} clients, {} answers, {} events", load.answered(), history.len());
        let wrong = violations(&history);
        assert!(wrong.is_empty(), "{} violations, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        let mut conn = site.connect();
        if engine == Engine::Sqlite {
            assert_eq!(ask(&mut conn, "SELECT integrity_check AS line FROM pragma_integrity_check"), ["ok"]);
        }
        let without_mail = "SELECT 'x' AS line FROM appointments a \
            WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.appointment_id = a.id)";
        assert_eq!(ask(&mut conn, without_mail).len(), 0, "appointments without a mail");
        let sent: Vec<String> = mails.seen().into_iter().map(|(_, mail)| mail.message_id).collect();
        let twice = sent.len() - sent.iter().collect::<HashSet<_>>().len();
        println!("{engine:?}: {} mails, {twice} of them again after a kill", sent.len());
        assert!(!sent.is_empty() && twice <= kills * MAILS_AT_ONCE, "{twice} mails were sent again");
        // A visit of 15 minutes has one slot, and a cancelled one has none.
        let wrong = "SELECT 'x' AS line FROM appointments a WHERE (a.status <> 'cancelled') <> \
            (SELECT count(*) = 1 FROM slots s WHERE s.appointment_id = a.id AND s.starts_at = a.starts_at) \
            OR (SELECT count(*) FROM slots s WHERE s.appointment_id = a.id) > 1";
        assert_eq!(ask(&mut conn, wrong).len(), 0, "appointments without their slot");
        drop(server);
        let verified = command(&site).args(["audit", "verify"]).output().expect("the audit trail is verified");
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    });
}

#[test]
fn kill_9_at_random_moments_leaves_a_history_that_some_order_explains_on_sqlite() {
    killed(Engine::Sqlite);
}

#[test]
fn kill_9_at_random_moments_leaves_a_history_that_some_order_explains_on_postgres() {
    killed(Engine::Postgres);
}
