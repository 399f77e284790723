//! On SQLite, the server beside the minimal actix-web program.

use hyper::StatusCode;

use crate::child::Child;
use crate::clinic::{self, Clinic};
use crate::database::Database;
use crate::table::Table;
use crate::{BOOKERS, Outcome, SEARCHERS, SEARCHES, Scale, book, least, load, search, statements};

/// Measures searches and bookings.
pub async fn compare(scale: &Scale, searches: bool, bookings: bool) -> Outcome<()> {
    let folder = tempfile::Builder::new().prefix("legwork-bench-").tempdir()?;
    let folder = folder.path();
    let clinic = Clinic::build(folder, Database::in_folder(folder), scale).await?;
    let (doctors, patients, slots) = (scale.practitioners, scale.patients, clinic.slots.len());
    println!("SQLite: {doctors} practitioners, {patients} patients, {slots} free slots");
    let recorded = statements::record(folder, &clinic).await?;
    println!("statements: {} a booking, as the server logs them", recorded.booking.len());
    least::prepare(folder, &recorded)?;
    let sides = [clinic.server(folder, &[]).await?, Child::least(folder).await?];
    if searches {
        compare_searches(&sides, &clinic, scale).await?;
    }
    if bookings {
        compare_bookings(&sides, &clinic, scale).await?;
    }
    println!("memory after this: server {}, least program {}", sides[0].memory()?, sides[1].memory()?);
    Ok(())
}

async fn compare_searches([server, least]: &[Child; 2], clinic: &Clinic, scale: &Scale) -> Outcome<()> {
    let title = |(rows, minutes)| {
        format!("search for {rows} starts of {minutes} minutes, {} clients: server / least program", SEARCHERS.0)
    };
    let mut tables = SEARCHES.map(|kind| (kind, Table::new(title(kind), 0.8)));
    for ((rows, minutes), _) in &tables {
        let visit = if *minutes == 15 { &clinic.check } else { &clinic.first_visit };
        let found = load::once(server, clinic.search(visit, *rows), StatusCode::OK).await?;
        let expected = load::once(least, least::search(&clinic.from, *rows, *minutes), StatusCode::OK).await?;
        if found != expected {
            return Err(format!("the least program finds something else: {expected}\nthan the server: {found}").into());
        }
    }
    for _ in 0..scale.rounds {
        for ((rows, minutes), table) in &mut tables {
            let served = search(server, clinic, scale, *rows, *minutes).await?;
            let load = load::drive(least, SEARCHERS.0, scale.part, StatusCode::OK, |turn| {
                (turn < SEARCHERS.1).then(|| least::search(&clinic.from, *rows, *minutes))
            });
            table.add(&served, &least.measure(load).await?);
        }
    }
    for (_, table) in tables {
        table.end();
    }
    Ok(())
}

async fn compare_bookings(sides: &[Child; 2], clinic: &Clinic, scale: &Scale) -> Outcome<()> {
    let token = clinic::sign_in(&sides[0].base).await?;
    let mut table = Table::new(format!("durable bookings, {BOOKERS} clients: server / least program"), 2.5);
    // The first slot was booked when the statements were recorded. Each side has its own copy of all others.
    let mut used = [1; 2];
    for _ in 0..scale.rounds {
        let mut row = Vec::new();
        for (side, used) in sides.iter().zip(&mut used) {
            let measured = book(side, clinic, scale, &token, *used).await?;
            *used += measured.count;
            row.push(measured);
        }
        let [server, least] = row.as_slice() else { return Err("a round has two parts".into()) };
        table.add(server, least);
    }
    table.end();
    for (side, used) in sides.iter().zip(used) {
        Database::Sqlite(side.database()).check_bookings(&clinic.check, used)?;
    }
    println!("both databases hold exactly the bookings that were acknowledged");
    Ok(())
}
