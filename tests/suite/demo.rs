//! The demo clinic.

use jiff::SignedDuration;

use crate::support::App;

#[test]
fn the_demo_is_filled_at_every_hour_of_the_day() {
    // Every three hours, among them those at which UTC has another date than the clinic.
    for hours in (0..24).step_by(3) {
        crate::support::app::runtime().block_on(async {
            let app = App::on_sqlite(&[]);
            app.clock.advance(SignedDuration::from_hours(hours));
            legwork::demo::fill(&app.env).await.unwrap_or_else(|error| panic!("{hours} hours later: {error}"));
        });
    }
}
