//! Time zones: data of the clinic's own, and a change of a zone's law.

use crate::support::clinic::free_slots;
use crate::support::site::{Site, settings};
use crate::support::zone_data::{WITH_SUMMER_TIME, WITHOUT_SUMMER_TIME, folder};
use crate::support::{App, Engine, both};

/// Restarts the server with data of time zones.
fn with_zones(app: App, release: &str, new_york: &str) -> App {
    let data = folder(app.site.folder.path(), release, new_york);
    app.restart(&["--tz-data", data.to_str().expect("a path in UTF-8")])
}

both! {
    async fn free_times_follow_the_zone_data_after_a_restart(app: App) {
        let app = with_zones(app, "2026a", WITH_SUMMER_TIME);
        let clinic = app.clinic().await;
        let at_nine = async |app: &App| {
            let slots = free_slots(&app.anon(), &clinic.follow_up).await;
            let monday: Vec<_> = slots.iter().filter(|slot| slot["starts_at"].as_str() > Some("2026-03-09")).collect();
            monday[0]["starts_at"].clone()
        };
        assert_eq!(at_nine(&app).await, "2026-03-09T13:00:00Z");

        let app = with_zones(app, "2026b", WITHOUT_SUMMER_TIME);
        legwork::scheduling::hours::publishing::publish_all(&app.env).await.expect("published");
        assert_eq!(at_nine(&app).await, "2026-03-09T14:00:00Z");
        assert_eq!(app.env.config.zones.version(), "2026b");
    }

    async fn a_time_zone_that_the_data_lacks_cannot_be_a_locations(app: App) {
        let app = with_zones(app, "2026a", WITH_SUMMER_TIME);
        let location = serde_json::json!({
            "name": "Berlin", "address": "Elm 1", "phone": "+12125550100", "country": "US", "time_zone": "Europe/Berlin",
            "slot_minutes": 15
        });
        let refused = app.admin().await.post("/v1/locations", location).await;
        assert_eq!(refused.expect(422).body["errors"][0]["code"], "unknown_time_zone");
    }
}

#[test]
fn the_program_does_not_start_with_unreadable_zone_data() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    let missing = site.folder.path().join("nowhere");
    let settings = settings(&["--database-url", &site.database_url, "--tz-data", missing.to_str().expect("a path")]);
    let Err(refusal) = legwork::config::Config::new(settings, &legwork::clock::Entropy::system()) else {
        panic!("the configuration is accepted");
    };
    assert!(refusal.starts_with("TZ_DATA ") && refusal.contains("nowhere"), "{refusal}");
}
