//! The calendar of free slots: filters by the local clock, counts by day, included names, and the order of lists.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use legwork::clock::{Entropy, Timestamp};
use legwork::zones::Zones;
use serde_json::{Value, json};

use crate::support::clinic::{hours, location, practitioner, put_hours};
use crate::support::{App, Client, Clinic, book, both, id};

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The free slots of a search, from all pages of this size.
async fn all_free(client: &Client, query: &str, limit: u32) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/slots?{query}&limit={limit}{cursor}")).await;
        found.extend(page.expect(200).items());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn local(slot: &Value) -> jiff::civil::DateTime {
    let at: Timestamp = slot["starts_at"].as_str().expect("a start").parse().expect("an instant");
    at.in_zone(&Zones::bundled().get(slot["time_zone"].as_str().expect("a zone")).expect("known")).datetime()
}

/// The minutes after midnight of a start.
fn minute(slot: &Value) -> u32 {
    let local = local(slot);
    u32::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).expect("within the day")
}

/// Whether a slot passes a filter.
type Accepts = Box<dyn Fn(&Value) -> bool>;

/// Three practitioners at two locations, which are a day apart by their calendars. One of them works at both.
async fn two_zones(app: &App) -> (Clinic, Vec<String>, Vec<String>) {
    let (clinic, admin) = (app.clinic().await, app.admin().await);
    let far = location(&admin, "Harbour", "Pacific/Auckland").await;
    let types = [clinic.new_visit.as_str(), &clinic.follow_up, &clinic.check];
    let second = practitioner(&admin, "Dr. Bo Vessel", &far, &types).await;
    let body = json!({"name": "Dr. Cy Both", "visit_type_ids": types, "location_ids": [clinic.location_id, far]});
    let third = admin.post("/v1/practitioners", body).await.expect(201).id();
    let both =
        json!([hours(&clinic.location_id, "monday", "08:00", "12:30"), hours(&far, "saturday", "10:00", "24:00")]);
    put_hours(&admin, &third, both).await.expect(200);
    let practitioners = vec![clinic.practitioner_id.clone(), second, third];
    let locations = vec![clinic.location_id.clone(), far];
    (clinic, practitioners, locations)
}

/// A random filter: its text in a query, and whether a slot passes it.
fn any_filter(random: &Entropy, practitioners: &[String], locations: &[String]) -> (String, Accepts) {
    let mut query = String::new();
    let mut tests: Vec<Accepts> = Vec::new();
    let chosen = |from: &[String], member: &'static str| {
        let several: Vec<String> = from.iter().filter(|_| random.below(2) == 0).cloned().collect();
        let text = if several.is_empty() { String::new() } else { format!("&{member}={}", several.join(",")) };
        let test = move |slot: &Value| several.is_empty() || several.iter().any(|one| slot[member] == one.as_str());
        (text, Box::new(test) as Accepts)
    };
    for (from, member) in [(practitioners, "practitioner_id"), (locations, "location_id")] {
        let (text, test) = chosen(from, member);
        query += &text;
        tests.push(test);
    }
    if random.below(2) == 0 {
        let several: Vec<_> = (0..7_i8).filter(|_| random.below(3) == 0).collect();
        if !several.is_empty() {
            let names: Vec<_> = several.iter().map(|day| WEEKDAYS[usize::try_from(*day).expect("small")]).collect();
            query = format!("{query}&weekday={}", names.join(","));
            tests.push(Box::new(move |slot| several.contains(&local(slot).weekday().to_monday_zero_offset())));
        }
    }
    if random.below(2) == 0 {
        let from = random.below(23);
        query = format!("{query}&from_time={from:02}:15");
        tests.push(Box::new(move |slot| minute(slot) >= from * 60 + 15));
        if random.below(2) == 0 {
            let to = from + 1 + random.below(24 - from);
            query = format!("{query}&to_time={to:02}:00");
            let until = to * 60;
            tests.push(Box::new(move |slot| minute(slot) < until));
            if until <= from * 60 + 15 {
                return any_filter(random, practitioners, locations);
            }
        }
    }
    if random.below(3) == 0 {
        let date: Date = format!("2026-03-{:02}", 2 + random.below(20)).parse().expect("a date");
        query = format!("{query}&date={date}");
        tests.push(Box::new(move |slot| local(slot).date() == date));
    }
    (query, Box::new(move |slot| tests.iter().all(|test| test(slot))))
}

fn ids(slots: &[Value]) -> Vec<&str> {
    slots.iter().map(id).collect()
}

both! {
    async fn every_filter_equals_filtering_the_whole_result(app: App) {
        let (clinic, practitioners, locations) = two_zones(&app).await;
        let desk = app.desk().await;
        let visit = format!("visit_type_id={}", clinic.follow_up);
        let all = all_free(&desk, &visit, 200).await;
        assert!(all.len() > 500, "{}", all.len());
        // Some filters accept nothing, most something.
        let (random, mut found) = (Entropy::seeded(15), 0);
        for _ in 0..60 {
            let (query, accepts) = any_filter(&random, &practitioners, &locations);
            let expected: Vec<_> = all.iter().filter(|slot| accepts(slot)).cloned().collect();
            let limit = 1 + random.below(200);
            let limit = if expected.len() > 400 { 200 } else { limit.max(20) };
            let filtered = all_free(&desk, &format!("{visit}{query}"), limit).await;
            assert_eq!(ids(&filtered), ids(&expected), "{query}");
            found += usize::from(!filtered.is_empty());
        }
        assert!(found > 30, "{found}");
    }

    async fn the_days_count_what_the_search_lists(app: App) {
        let (clinic, practitioners, locations) = two_zones(&app).await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let visit = format!("visit_type_id={}", clinic.new_visit);
        let all = all_free(&desk, &visit, 200).await;
        // A booked and a held time count for no day.
        book(&ann, &all[0], &clinic.new_visit, &ann.patient_id).await.expect(201);
        let hold = format!("/v1/slots/{}/hold", id(&all[7]));
        desk.post(&hold, json!({"visit_type_id": clinic.new_visit})).await.expect(201);
        let random = Entropy::seeded(7);
        for round in 0..25 {
            let (query, _) = any_filter(&random, &practitioners, &locations);
            let query = if round == 0 { String::new() } else { query };
            let query = query.split("&date=").next().expect("a query");
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            for slot in all_free(&desk, &format!("{visit}{query}"), 200).await {
                *expected.entry(local(&slot).date().to_string()).or_default() += 1;
            }
            let period = "from_date=2026-03-01&to_date=2026-03-28";
            let days = desk.get(&format!("/v1/slots/days?{visit}{query}&{period}")).await;
            let items = days.expect(200).items();
            assert_eq!((items.len(), &items[0]["date"], &items[27]["date"]), (28, &json!("2026-03-01"), &json!("2026-03-28")));
            for day in &items {
                let date = day["date"].as_str().expect("a date");
                assert_eq!(day["slots"].as_u64(), Some(expected.get(date).copied().unwrap_or_default()), "{date} {query}");
            }
            let next = days.body["next_day_with_slots"].as_str();
            let is_empty = items.iter().all(|day| day["slots"] == 0);
            assert!(is_empty || next.is_none(), "{query}");
        }
    }

    async fn a_month_without_times_names_the_next_day_that_has_some(app: App) {
        let (clinic, practitioners, _) = two_zones(&app).await;
        let anon = app.anon();
        let days = |query: String| {
            let (anon, visit) = (anon.clone(), clinic.check.clone());
            async move { anon.get(&format!("/v1/slots/days?visit_type_id={visit}{query}")).await }
        };
        // Saturdays in Auckland begin on Fridays in New York, where the same practitioner is on Mondays.
        let page = days(format!("&practitioner_id={}&from_date=2026-03-03&to_date=2026-03-06", practitioners[2])).await;
        assert_eq!(page.expect(200).body["next_day_with_slots"], "2026-03-07");
        let page = days(format!("&practitioner_id={}&from_date=2026-03-08&to_date=2026-03-08", practitioners[2])).await;
        assert_eq!(page.expect(200).body["next_day_with_slots"], "2026-03-09");
        // Of two starts, the later one has the earlier date.
        let both = format!("&practitioner_id={},{}", practitioners[0], practitioners[1]);
        let page = days(format!("{both}&from_date=2026-03-07&to_date=2026-03-08&to_time=24:00")).await;
        assert_eq!(page.expect(200).body["next_day_with_slots"], "2026-03-09");
        let page = days("&from_date=2025-01-01&to_date=2025-01-31&weekday=sunday".into()).await;
        assert_eq!((page.expect(200).items().len(), &page.body["next_day_with_slots"]), (31, &Value::Null));
        days("&from_date=2026-03-01&to_date=2026-05-01".into()).await.expect(200);
        days("&from_date=2026-03-01&to_date=2026-05-02".into()).await.invalid("?to_date", "out_of_range");
        days("&from_date=2026-03-02&to_date=2026-03-01".into()).await.invalid("?to_date", "out_of_range");
        days("&from_date=2026-03-02".into()).await.invalid("?to_date", "required");
        for (first, last) in [("0000-01-01", "0000-01-03"), ("9999-12-30", "9999-12-31")] {
            let page = days(format!("&from_date={first}&to_date={last}")).await;
            assert!(page.expect(200).items().iter().all(|day| day["slots"] == 0));
        }
        // An inactive visit type has no times.
        app.admin().await.update(&format!("/v1/visit-types/{}", clinic.check), json!({"active": false})).await.expect(200);
        let page = days("&from_date=2026-03-02&to_date=2026-03-06".into()).await;
        assert!(page.expect(200).items().iter().all(|day| day["slots"] == 0));
        assert_eq!(page.body["next_day_with_slots"], Value::Null);
    }

    async fn a_filter_that_breaks_a_rule_is_named_with_what_is_allowed(app: App) {
        let clinic = app.clinic().await;
        let anon = app.anon();
        let search = |query: &str| {
            let path = format!("/v1/slots?visit_type_id={}&{query}", clinic.check);
            let anon = anon.clone();
            async move { anon.get(&path).await }
        };
        let reply = search("weekday=monday,someday&include=practitioner,color").await;
        reply.invalid("?weekday", "not_an_option").invalid("?include", "not_an_option");
        let details = reply.body["errors"].to_string();
        assert!(details.contains("tuesday") && details.contains("visit_type"), "{details}");
        search("practitioner_id=").await.invalid("?practitioner_id", "wrong_type");
        search("weekday=monday&weekday=friday").await.invalid("?weekday", "duplicate_parameter");
        let many = vec![clinic.location_id.as_str(); 51].join(",");
        search(&format!("location_id={many}")).await.invalid("?location_id", "too_many");
        search("from_time=9:00").await.invalid("?from_time", "invalid_time");
        search("from_time=12:00&to_time=12:00").await.invalid("?to_time", "out_of_range");
        search("to_time=00:00").await.invalid("?to_time", "out_of_range");
        search("date=2026-13-01").await.invalid("?date", "wrong_type");
        assert!(search("date=9999-12-31").await.expect(200).items().is_empty());
        assert!(search("date=2026-03-03&to=2026-03-03T05:00:00Z").await.expect(200).items().is_empty());
        app.desk().await.get("/v1/appointments?sort=name").await.invalid("?sort", "not_an_option");
    }

    async fn the_names_of_a_page_are_included_once(app: App) {
        let (clinic, practitioners, locations) = two_zones(&app).await;
        let (anon, desk, ann) = (app.anon(), app.desk().await, app.patient("ann").await);
        let path = format!("/v1/slots?visit_type_id={}&limit=200", clinic.check);
        let page = anon.get(&format!("{path}&include=practitioner,location,visit_type")).await;
        let included = &page.expect(200).body["included"];
        let named = |kind: &str| -> HashMap<String, String> {
            let member = if kind == "visit_types" { "public_name" } else { "name" };
            let list = included[kind].as_array().expect("a list");
            let map: HashMap<_, _> =
                list.iter().map(|one| (id(one).to_owned(), one[member].as_str().expect("a name").to_owned())).collect();
            assert_eq!(map.len(), list.len());
            map
        };
        assert_eq!(named("practitioners")[&practitioners[0]], "Dr. Ada Vein");
        assert_eq!(named("locations")[&locations[1]], "Harbour");
        assert_eq!(named("visit_types"), HashMap::from([(clinic.check.clone(), "Check".to_owned())]));
        for slot in page.items() {
            assert!(named("practitioners").contains_key(slot["practitioner_id"].as_str().expect("an id")));
        }
        let some = anon.get(&format!("{path}&include=location")).await;
        assert_eq!(some.body["included"].as_object().expect("an object").keys().collect::<Vec<_>>(), ["locations"]);
        assert!(anon.get(&path).await.body.get("included").is_none());

        let slot = &page.items()[0];
        book(&ann, slot, &clinic.check, &ann.patient_id).await.expect(201);
        for (client, path) in [
            (&*ann, "/v1/appointments?include=practitioner,visit_type".to_owned()),
            (&desk, format!("/v1/practitioners/{}/agenda?date={}&include=practitioner,visit_type",
                slot["practitioner_id"].as_str().expect("an id"), local(slot).date())),
        ] {
            let reply = client.get(&path).await;
            let included = &reply.expect(200).body["included"];
            assert_eq!(included["visit_types"][0]["public_name"], "Check", "{path}");
            assert_eq!(included["practitioners"][0]["id"], slot["practitioner_id"], "{path}");
            assert!(included.get("locations").is_none());
        }
        let wish = json!({
            "patient_id": ann.patient_id, "visit_type_id": clinic.check, "practitioner_ids": [practitioners[0]], "location_ids": locations,
        });
        ann.post("/v1/waitlist-entries", wish).await.expect(201);
        for client in [&*ann, &desk] {
            let page = client.get("/v1/waitlist-entries?include=practitioner,location,visit_type").await;
            let included = &page.expect(200).body["included"];
            assert_eq!(included["practitioners"], json!([{"id": practitioners[0], "name": "Dr. Ada Vein"}]));
            assert_eq!(included["locations"].as_array().map(Vec::len), Some(locations.len()));
            assert_eq!(included["visit_types"][0]["public_name"], "Check");
        }
        let flags = desk.get("/v1/intake-flags?include=practitioner").await;
        assert_eq!(flags.expect(200).body["included"], json!({"practitioners": []}));
    }

    async fn lists_are_read_from_either_end(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        let slots = desk.get(&format!("/v1/slots?visit_type_id={}&limit=5", clinic.check)).await.items();
        for slot in &slots {
            book(&desk, slot, &clinic.check, &ann.patient_id).await.expect(201);
        }
        let record = format!("/v1/patients/{}", ann.patient_id);
        for name in ["bob", "cy", "dee"] {
            let patient = app.patient(name).await.patient_id.clone();
            let wish = json!({"patient_id": patient, "visit_type_id": clinic.check});
            desk.post("/v1/waitlist-entries", wish).await.expect(201);
        }
        let wish = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check});
        desk.post("/v1/waitlist-entries", wish).await.expect(201);
        for form in ["rls-history", "rls-follow-up"] {
            desk.post(&format!("{record}/intakes"), json!({"form": form})).await.expect(201);
        }
        for n in 0..5 {
            let consent = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "paper"});
            desk.post(&format!("{record}/consents"), consent).await.expect(201);
            let result = json!({"test": "ferritin", "value": 40 + n, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
            desk.post(&format!("{record}/lab-results"), result).await.expect(201);
        }
        let (consents, results) = (format!("{record}/consents?"), format!("{record}/lab-results?"));
        let intakes = format!("{record}/intakes?");
        for (client, list, member) in [
            (&desk, "/v1/appointments?", "starts_at"),
            (&*ann, "/v1/appointments?", "starts_at"),
            (&admin, "/v1/users?", "created_at"),
            (&*ann, consents.as_str(), "signed_at"),
            (&*ann, results.as_str(), "created_at"),
            (&admin, "/v1/audit-events?actor_id=", "at"),
            (&desk, "/v1/messages?", "created_at"),
            (&desk, "/v1/intakes?", "updated_at"),
            (&*ann, intakes.as_str(), "updated_at"),
            (&desk, "/v1/waitlist-entries?", "created_at"),
            (&desk, "/v1/patients?", "created_at"),
            (&desk, "/v1/patients?q=test", "created_at"),
        ] {
            let list = if list.ends_with("actor_id=") { format!("{list}{}&to=2027-01-01T00:00:00Z", desk.user_id) } else { list.to_owned() };
            let mut orders = Vec::new();
            for sort in [member.to_owned(), format!("-{member}")] {
                let (mut found, mut cursor) = (Vec::new(), String::new());
                loop {
                    let page = client.get(&format!("{list}&sort={sort}&limit=2{cursor}")).await;
                    found.extend(page.expect(200).items().iter().map(|item| id(item).to_owned()));
                    let Some(next) = page.body["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                    let other = if sort.starts_with('-') { member.to_owned() } else { format!("-{member}") };
                    client.get(&format!("{list}&sort={other}{cursor}")).await.invalid("?cursor", "invalid_cursor");
                    if found.len() > 40 {
                        break;
                    }
                }
                orders.push(found);
            }
            // Reads of the audit trail add events.
            if member != "at" {
                orders[1].reverse();
                assert_eq!(orders[0], orders[1], "{list}");
            }
            assert!(member == "updated_at" || orders[0].len() > 3, "{list} {}", orders[0].len());
        }
        let descending = [
            "appointments?sort=-starts_at", "intakes?sort=-updated_at", "patients?sort=-created_at", "waitlist-entries?sort=-created_at",
        ];
        for list in descending {
            desk.get(&format!("/v1/{list}&updated_since=2026-01-01T00:00:00Z")).await.invalid("?sort", "out_of_range");
        }
        for list in ["appointments?sort=starts_at", "messages?sort=created_at", "patients?sort=created_at"] {
            desk.get(&format!("/v1/{list}&updated_since=2026-01-01T00:00:00Z")).await.expect(200);
        }
    }
}
