//! Compares the schedule with a simple model: random bookings, series, reschedules, overbookings, cancellations, holds, blocks, changes of the number of chairs, time off,
//! closures and the passing of time on one practitioner's morning, through the API of a real server.
//!
//! `PROPTEST_CASES` runs more of them, `PROPTEST_RNG_SEED` the same ones again; a failure is shrunk to the fewest steps.

mod model;
mod world;

use legwork::clock::Clock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::world::World;
use crate::support::app::runtime;
use crate::support::site::Site;
use crate::support::{App, Engine, START};

/// The number of 15-minute slots in the morning.
const SLOTS: usize = 12;
/// A Monday after the clock of every case.
const DAY: &str = "2026-05-04";
/// The lengths of the visit types in slots: the buffer before, the visit, the buffer after.
const KINDS: [(usize, usize, usize); 6] = [(0, 1, 0), (0, 2, 0), (0, 4, 0), (1, 2, 0), (1, 1, 2), (0, 2, 1)];
/// From this one on, a visit needs a chair.
const WITH_CHAIR: usize = 4;
/// The most chairs of a location.
const CHAIRS: usize = 3;
const ACTORS: usize = 3;
/// The holder without a session, after the actors.
const STRANGER: usize = ACTORS;
const PATIENTS: usize = 3;

/// Where a visit moves: anywhere, or near, so that it overlaps its old time.
#[derive(Debug, Clone, Copy)]
enum To {
    Start(usize),
    Later(usize),
    Earlier(usize),
}

#[derive(Debug, Clone)]
enum Step {
    Book {
        actor: usize,
        start: usize,
        kind: usize,
        patient: usize,
        with_hold: bool,
        overbook: bool,
    },
    /// Visits of one patient that are booked together: their starts and kinds.
    Series {
        actor: usize,
        patient: usize,
        visits: Vec<(usize, usize)>,
    },
    Move {
        actor: usize,
        which: usize,
        to: To,
        with_hold: bool,
        overbook: bool,
    },
    Cancel {
        which: usize,
    },
    Hold {
        actor: usize,
        start: usize,
        kind: usize,
    },
    Release {
        actor: usize,
    },
    /// Books the stranger's hold for a patient, with its secret.
    TakeOver {
        actor: usize,
        patient: usize,
    },
    Block {
        slot: usize,
    },
    Unblock {
        slot: usize,
    },
    Chairs {
        units: usize,
    },
    Lapse {
        minutes: i64,
    },
    Away {
        from: usize,
        slots: usize,
        closed: bool,
    },
    Back {
        which: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (actor, start, kind, patient, which) = (0..ACTORS, 0..SLOTS, 0..KINDS.len(), 0..PATIENTS, 0..60_usize);
    let to = prop_oneof![
        2 => start.clone().prop_map(To::Start),
        1 => (0..4_usize).prop_map(To::Later),
        1 => (0..4_usize).prop_map(To::Earlier),
    ];
    prop_oneof![
        6 => (actor.clone(), start.clone(), kind.clone(), patient.clone(), any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(actor, start, kind, patient, with_hold, overbook)| Step::Book { actor, start, kind, patient, with_hold, overbook }),
        3 => (actor.clone(), patient.clone(), prop::collection::btree_map(start.clone(), kind.clone(), 2..4)).prop_map(
            |(actor, patient, visits)| Step::Series { actor, patient, visits: visits.into_iter().collect() }
        ),
        6 => (actor.clone(), which.clone(), to, any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(actor, which, to, with_hold, overbook)| Step::Move { actor, which, to, with_hold, overbook }),
        2 => which.prop_map(|which| Step::Cancel { which }),
        6 => (0..=STRANGER, start.clone(), kind).prop_map(|(actor, start, kind)| Step::Hold { actor, start, kind }),
        1 => (0..=STRANGER).prop_map(|actor| Step::Release { actor }),
        2 => (actor, patient).prop_map(|(actor, patient)| Step::TakeOver { actor, patient }),
        1 => start.clone().prop_map(|slot| Step::Block { slot }),
        2 => start.prop_map(|slot| Step::Unblock { slot }),
        1 => (0..=CHAIRS).prop_map(|units| Step::Chairs { units }),
        2 => (1_i64..11).prop_map(|minutes| Step::Lapse { minutes }),
        2 => (0..SLOTS, 1..5_usize, any::<bool>()).prop_map(|(from, slots, closed)| Step::Away { from, slots, closed }),
        2 => (0..60_usize).prop_map(|which| Step::Back { which }),
    ]
}

fn the_schedule_agrees_with_its_model(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    // The model has one hold for each holder. The cases share the stranger's address.
    let many = ["--stranger-holds-per-address", "1000", "--stranger-holds-per-network", "10000"];
    let settings = [&["--staff-holds", "1", "--stranger-hold-percent", "100"][..], &many].concat();
    let app = App::start(site, Clock::manual(START.parse().expect("an instant")), &settings);
    let runtime = runtime();
    let clinic = runtime.block_on(app.clinic());
    // A failing case is made smaller for two minutes at most: each try takes seconds.
    let mut config = Config { failure_persistence: None, max_shrink_time: 120_000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 20;
    }
    let cases = prop::collection::vec(any_step(), 1..40);
    let outcome = TestRunner::new(config).run(&cases, |steps| {
        runtime.block_on(async {
            let mut world = World::new(&app, &clinic).await;
            for (n, step) in steps.iter().enumerate() {
                world.take(step).await;
                world.compare(n % KINDS.len()).await;
            }
            for kind in 0..KINDS.len() {
                world.compare(kind).await;
            }
            world.compare_visits().await;
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn the_schedule_agrees_with_its_model_on_sqlite() {
    the_schedule_agrees_with_its_model(Engine::Sqlite);
}

#[test]
fn the_schedule_agrees_with_its_model_on_postgres() {
    the_schedule_agrees_with_its_model(Engine::Postgres);
}
