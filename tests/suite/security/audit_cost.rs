//! Measures the cost of the audit trail: bookings, reads and searches by sixteen clients with and without events, in
//! turns, in one run.
//!
//! `cargo test --test suite measures_the_cost_of_the_audit_trail -- --ignored --nocapture --test-threads 1`

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use futures_util::future::join_all;
use legwork::actor::{Actor, Role};
use legwork::appointments::booking::{self, NewAppointment};
use legwork::audit::{self, AuditOutcome, Event, queue};
use legwork::audit_context::AuditContext;
use legwork::context::Tx;
use legwork::db::schema::slots;
use legwork::env::Env;
use legwork::http::Limit;
use legwork::http::paging::{Direction, Page};
use legwork::identifiers::Identifiers;
use legwork::ids::{AuditEventId, PatientId, SessionId, SlotId, UserId, VisitTypeId};
use legwork::patients;
use legwork::patients::records::searching::{self, Search};
use tokio::sync::watch;

use crate::support::people::patient_json;
use crate::support::{App, both, print_uncaptured};

const CLIENTS: usize = 16;
const ROUNDS: usize = 6;
/// For one client in one round.
const BOOKINGS: usize = 10;
const READS: usize = 200;
const SEARCHES: usize = 20;
/// How many patients a search shows.
const PAGE: i64 = 50;

fn actor(user: UserId, operation: &str) -> Actor {
    let audit_context = AuditContext::of_request(
        operation,
        Some("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55".into()),
        Some([192, 0, 2, 7].into()),
    );
    audit_context.note_actor(user, Some(Role::FrontDesk));
    Actor {
        user_id: user,
        session_id: SessionId(uuid::Uuid::nil()),
        role: Role::FrontDesk,
        practitioner_id: None,
        client_scopes: None,
        access_reason: None,
        audit: audit_context,
    }
}

async fn book(env: &Env, user: UserId, visit: VisitTypeId, patient: PatientId, slot: SlotId, audited: bool) {
    let (shared, actor) = (env.clone(), actor(user, "create_appointment"));
    let new = NewAppointment {
        slot_id: slot,
        visit_type_id: visit,
        patient_id: patient,
        hold_id: None,
        hold_secret: None,
        note: None,
        identifiers: Identifiers::default(),
        overbook: None,
        patient_informed: false,
    };
    let booked = env.db.write(move |tx| {
        let booked = booking::insert(&mut Tx::new(tx, &shared, &actor, &actor.audit), &new)?;
        if audited {
            audit::record(tx, &shared, &actor.audit, booked.appointment.id.0)?;
        }
        Ok(())
    });
    booked.await.expect("booked");
}

async fn read(env: &Env, queue: &queue::Queue, user: UserId, patient: PatientId, audited: bool) {
    let (shared, actor) = (env.clone(), actor(user, "get_patient"));
    let audit_context = actor.audit.clone();
    env.db.read(move |conn| patients::store::visible(conn, &shared, &actor, patient)).await.expect("read");
    if audited {
        let event =
            Event::new(env.new_id::<AuditEventId>(), env.now(), &env.signer, &audit_context, AuditOutcome::Success);
        queue.note(env, event).await.expect("noted");
    }
}

/// What is recorded of a search.
#[derive(Clone, Copy, PartialEq)]
enum Noted {
    Nothing,
    Event,
    Patients,
}

async fn search(env: &Env, queue: &queue::Queue, user: UserId, noted: Noted) {
    let audit_context = actor(user, "list_patients").audit;
    let limit = Limit::new(Some(PAGE)).expect("a limit");
    let page = Page { list: "patients", direction: Direction::Descending, limit, after: None };
    let rows = env.db.read(move |conn| searching::find(conn, &Search::default(), &page)).await.expect("found");
    let (rows, _) = limit.page(rows, "list", |row| (row.patient.created_at, row.patient.id.0));
    assert_eq!(rows.len(), 50);
    if noted == Noted::Patients {
        audit_context.note_shown(rows.iter().map(|row| row.patient.id));
    }
    if noted != Noted::Nothing {
        let event =
            Event::new(env.new_id::<AuditEventId>(), env.now(), &env.signer, &audit_context, AuditOutcome::Success);
        queue.note(env, event).await.expect("noted");
    }
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).expect("few")) / took.as_secs_f64()
}

both! {
    #[ignore = "a measurement"]
    async fn measures_the_cost_of_the_audit_trail(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let user: UserId = desk.user_id.parse().expect("an id");
        let visit: VisitTypeId = clinic.check.parse().expect("an id");
        let mut people: Vec<PatientId> = Vec::new();
        for number in 0..CLIENTS {
            let name = format!("p{number}");
            let made = desk.post("/v1/patients", patient_json(&name, &format!("{name}@patients.example"))).await;
            people.push(made.expect(201).id().parse().expect("an id"));
        }
        let now = app.clock.now();
        let free: Vec<SlotId> = app
            .db(move |tx| Ok(slots::table.filter(slots::starts_at.gt(now)).order(slots::starts_at).select(slots::id).load(tx)?))
            .await;
        let free = Arc::new(free);
        let mut took = [Duration::ZERO; 2];
        let mut next = 0;
        for round in 0..2 * ROUNDS {
            let audited = round % 2 == 1;
            let started = Instant::now();
            let clients = people.iter().enumerate().map(|(client, patient)| {
                let (env, free) = (app.env.clone(), Arc::clone(&free));
                let first = next + client * BOOKINGS;
                async move {
                    for slot in &free[first..first + BOOKINGS] {
                        book(&env, user, visit, *patient, *slot, audited).await;
                    }
                }
            });
            join_all(clients).await;
            next += CLIENTS * BOOKINGS;
            took[usize::from(audited)] += started.elapsed();
        }
        let count = ROUNDS * CLIENTS * BOOKINGS;
        let [without, with] = took.map(|took| rate(count, took));
        print_uncaptured(&format!("\n==> {:?}: bookings/s without {without:.0}, with their events {with:.0}: ratio {:.2}", app.engine, with / without));

        let (stop, stopping) = watch::channel(false);
        let (queue, worker) = audit::worker::start(&app.env, stopping);
        let mut took = [Duration::ZERO; 2];
        for round in 0..2 * ROUNDS {
            let audited = round % 2 == 1;
            let started = Instant::now();
            let clients = people.iter().map(|patient| async {
                for _ in 0..READS {
                    read(&app.env, &queue, user, *patient, audited).await;
                }
            });
            join_all(clients).await;
            took[usize::from(audited)] += started.elapsed();
        }
        let [without, with] = took.map(|took| rate(ROUNDS * CLIENTS * READS, took));
        print_uncaptured(&format!("==> {:?}: reads/s without {without:.0}, with their events {with:.0}: ratio {:.2}", app.engine, with / without));

        for number in CLIENTS..80 {
            let name = format!("p{number}");
            desk.post("/v1/patients", patient_json(&name, &format!("{name}@patients.example"))).await.expect(201);
        }
        let mut took = [Duration::ZERO; 3];
        for round in 0..3 * ROUNDS {
            let noted = [Noted::Nothing, Noted::Event, Noted::Patients][round % 3];
            let started = Instant::now();
            let clients = people.iter().map(|_| async {
                for _ in 0..SEARCHES {
                    search(&app.env, &queue, user, noted).await;
                }
            });
            join_all(clients).await;
            took[round % 3] += started.elapsed();
        }
        let [without, event, patients] = took.map(|took| rate(ROUNDS * CLIENTS * SEARCHES, took));
        print_uncaptured(&format!("==> {:?}: searches/s of {PAGE} patients without {without:.0}, with their events {event:.0}, with the patients as well \
            {patients:.0}: ratios {:.2} and {:.2}\n", app.engine, event / without, patients / without));
        stop.send(true).expect("it listens");
        worker.await.expect("it ends");
    }
}
