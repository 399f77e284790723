//! Two weeks of a clinic, by chance but from a seed, through the API: bookings, moves, cancellations, patients who come or do not, holds, a waitlist, a
//! sick day, the night of a clock change, a change of the zone's law, six hours without a mail server, and two servers that are cut off with
//! requests on their way.
//! A model remembers what was acknowledged; in the end, every rule is checked against it.
//!
//! `FORTNIGHT_SEED` repeats a run. `FORTNIGHT=long` has 600 patients, and something happens every hour.
//!
//! The clock is the test's, so the servers run in the test's process. They are cut off without waiting for requests; what a kill of the process
//! leaves on the disk is shown by `faults`.

mod actions;
mod facts;
mod law;
mod model;
mod rules;
mod waiting;
mod world;

use std::collections::BTreeMap;

use jiff::{SignedDuration, civil};
use legwork::clock::Timestamp;
use model::Term;
use rules::{Facts, RULES};
use serde_json::json;
use world::{Restart, World};

use crate::support::{App, both, print_uncaptured};

/// The Monday on which it begins. The clocks go forward on the first Sunday.
const FIRST: civil::Date = civil::date(2026, 3, 2);

fn seed() -> u64 {
    let chosen = std::env::var("FORTNIGHT_SEED").ok().map(|seed| seed.parse().expect("a number"));
    chosen.unwrap_or(20_260_302)
}

/// What happens at the desk beside bookings: so many of these in an hour, in this order.
async fn step(world: &mut World) {
    world.steps += 1;
    match world.steps % 12 {
        2 => world.give_up(false).await,
        3 => world.block().await,
        4 => world.hold_and_forget().await,
        5 => world.move_one().await,
        6 => world.unblock().await,
        8 => world.give_up(true).await,
        9 => world.cancel().await,
        10 => world.hold().await,
        11 => world.cancel_by_link().await,
        // 0, 1 and 7.
        _ => world.wait_for_visit().await,
    }
}

/// How much happens.
struct Size {
    people: usize,
    /// The hours of a day at which the clock stops.
    stops: &'static [i8],
    /// In which of them the desk works on weekdays.
    open: &'static [i8],
}

const SHORT: Size = Size { people: 60, stops: &[9, 10, 13, 16], open: &[10, 16] };
const LONG: Size =
    Size { people: 600, stops: &[7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], open: &[9, 10, 11, 12, 13, 14, 15, 16, 17] };

async fn fortnight(app: App) -> World {
    let is_long = std::env::var_os("FORTNIGHT").is_some_and(|form| form == "long");
    let Size { people, stops, open } = if is_long { LONG } else { SHORT };
    let mut world = World::new(app, seed(), people).await;
    for number in 0..14 {
        let day = FIRST.saturating_add(jiff::Span::new().days(number));
        for &clock in stops {
            let at = world.local(day, clock);
            if at <= world.now() {
                continue;
            }
            match (number, clock) {
                // The mail server is away from 10 to 16, and the server is cut off as it goes.
                (2, 10) => {
                    world.turn_to(at).await;
                    world.model.outage = Some((at, world.local(day, 16)));
                    world = world.cut(Restart::WithoutMail).await;
                }
                (2, 16) => world.mail_servers.last_mut().expect("a mail server").0.reopen(),
                (8, 9) => world.ill((world.local(day, 10), world.local(day, 17))).await,
                (9, 13) => {
                    world = world.cut(Restart::WithNewLaw).await;
                    world.adopt_law().await;
                }
                _ => {}
            }
            world.turn_to(at).await;
            if number % 7 < 5 && open.contains(&clock) {
                world.receive().await;
                for _ in 0..4 {
                    world.book().await;
                }
                for _ in 0..4 {
                    step(&mut world).await;
                }
            }
        }
    }
    world.settle().await;
    world
}

/// What the rules find.
fn findings(facts: &Facts) -> Vec<String> {
    let found =
        RULES.iter().flat_map(|(name, rule)| rule(facts).into_iter().map(move |finding| format!("{name}: {finding}")));
    found.collect()
}

/// Changes the facts so that each rule in turn is broken, and fails unless it says so.
fn assert_that_each_rule_can_fail(facts: &Facts) {
    type Break = fn(&mut Facts);
    let breaks: [Break; 13] = [
        |facts| double(facts, |row| row.patient.push('x')),
        |facts| double(facts, |row| row.practitioner.push('x')),
        |facts| facts.units.push(facts.units[0].clone()),
        |facts| drop(facts.visits.pop()),
        |facts| facts.messages.clear(),
        |facts| {
            // Every visit was moved an hour after it was booked, and nobody was told.
            for visit in facts.model.visits.values_mut() {
                let told = visit.terms[0].told;
                let starts_at = visit.starts_at().plus(SignedDuration::from_hours(25));
                let told = told.plus(SignedDuration::from_hours(1));
                visit.terms = vec![Term { told, starts_at, until: None, ..visit.terms[0].clone() }];
            }
        },
        |facts| {
            let reminder = facts
                .messages
                .iter()
                .find(|message| message.kind == "appointment_reminder")
                .expect("a reminder")
                .id
                .clone();
            let twice = facts.model.received.iter().find(|mail| mail.message == reminder).expect("a mail").clone();
            for _ in 0..3 {
                facts.model.received.push(twice.clone());
            }
        },
        |facts| {
            // Offers that are answered at once have been open for no time of the test's clock.
            let mut open = facts.offers[0].clone();
            open.open.1 = open.open.0.plus(SignedDuration::from_hours(1));
            facts.offers.extend([open.clone(), open]);
        },
        |facts| facts.model.freed[0].offered.push(0),
        |facts| facts.report["no_shows"] = json!(0),
        |facts| facts.numbers.retain(|number| *number != 2),
        |facts| facts.bookings.push("a slot without its visit".into()),
        |facts| {
            let reasons = facts.attention.iter_mut().filter_map(|(_, reason)| reason.as_mut());
            reasons.filter(|reason| *reason == "zone_changed").for_each(|reason| "hours".clone_into(reason));
        },
    ];
    for ((name, rule), break_it) in RULES.iter().zip(breaks) {
        let mut broken = facts.clone();
        break_it(&mut broken);
        assert!(!rule(&broken).is_empty(), "this rule finds nothing: {name}");
    }
}

/// Books a visit's time a second time for somebody else.
fn double(facts: &mut Facts, change: fn(&mut rules::Row)) {
    let mut row = facts.visits.iter().find(|row| row.status != "cancelled").expect("a visit").clone();
    change(&mut row);
    facts.visits.push(row);
}

fn count(facts: &Facts, status: &str) -> usize {
    facts.model.visits.values().filter(|visit| visit.status == status).count()
}

both! {
    async fn after_a_fortnight_every_rule_holds(app: App) {
        let engine = app.engine;
        let begun = std::time::Instant::now();
        let world = fortnight(app).await;
        let facts = facts::read(&world).await;
        let model = &facts.model;
        let moved = model.visits.values().filter(|visit| visit.terms.len() > 1).count();
        print_uncaptured(&format!(
            "fortnight on {engine:?}, FORTNIGHT_SEED={}: {} visits, {moved} moved, {} cancelled, {} no-shows, {} mails, {} reminders, {} offers, \
             {} claimed, {} events, {} seconds",
            seed(), model.visits.len(), count(&facts, "cancelled"), count(&facts, "noshow"), model.received.len(),
            facts.messages.iter().filter(|message| message.kind == "appointment_reminder").count(),
            facts.offers.len(), model.claims, facts.numbers.len(), begun.elapsed().as_secs(),
        ));
        let causes: BTreeMap<&str, usize> = model.freed.iter().fold(BTreeMap::new(), |mut causes, freed| {
            *causes.entry(freed.by).or_default() += 1;
            causes
        });
        print_uncaptured(&format!("what freed the offered times: {causes:?}"));
        for cause in ["cancelled", "moved", "unblocked", "lapsed hold", "declined"] {
            assert!(causes.contains_key(cause), "no time was offered because of this: {cause}");
        }
        let found = findings(&facts);
        assert!(found.is_empty(), "FORTNIGHT_SEED={}: {} findings\n{}", seed(), found.len(), found.join("\n"));
        assert_that_each_rule_can_fail(&facts);
        let last: Timestamp = *model.ticks.last().expect("a time");
        assert!(last > "2026-03-15T12:00:00Z".parse().expect("an instant"), "the clock went through both weeks");
    }
}
