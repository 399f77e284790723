//! The demo clinic.

use jiff::SignedDuration;

use legwork::demo::{PASSWORD, fill};

use crate::support::App;
use crate::support::browser::{Browser, on_a_phone};

#[test]
fn the_demo_is_filled_at_every_hour_of_the_day() {
    // Every three hours, among them those at which UTC has another date than the clinic.
    for hours in (0..24).step_by(3) {
        crate::support::app::runtime().block_on(async {
            let app = App::on_sqlite(&[]);
            app.clock.advance(SignedDuration::from_hours(hours));
            fill(&app.env).await.unwrap_or_else(|error| panic!("{hours} hours later: {error}"));
        });
    }
}

/// 97 % of the height of the paper, because the fonts of a clinic can be wider than those of this machine.
const PAPER: [(&str, &str); 2] = [("A4", "210mm 288mm"), ("Letter", "216mm 271mm")];

#[test]
fn every_page_for_doctors_of_the_demo_prints_on_one_sheet_of_a4_and_of_letter() {
    on_a_phone(async |app: App, browser: Browser| {
        fill(&app.env).await.expect("a demo clinic");
        let doctor = app.anon().sign_in("doctor@demo.legwork.example", PASSWORD).await;
        let intakes = doctor.get("/v1/intakes?limit=100").await;
        let intakes = intakes.expect(200).body["items"].as_array().expect("intakes").clone();
        assert!(intakes.len() >= 10, "{}", intakes.len());
        let headers = [("Accept", "text/html"), ("Access-Reason", "The page is printed.")];
        let mut printed = Vec::new();
        for intake in &intakes {
            let path = format!("/v1/intakes/{}/summary", intake["id"].as_str().expect("an id"));
            let page = doctor.get_with(&path, &headers).await.expect(200).text.clone();
            for (paper, size) in PAPER {
                let sized = page.replace("</style>", &format!("@page {{ size: {size} }}</style>"));
                let sheets = browser.sheets(&sized).await;
                printed.push((intake["patient"]["display_name"].clone(), intake["authored_at"].clone(), paper, sheets));
            }
        }
        let longer: Vec<_> = printed.iter().filter(|(.., sheets)| *sheets != 1).collect();
        assert!(longer.is_empty(), "{longer:#?}");
    });
}
