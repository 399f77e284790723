//! How cost grows with the clinic: fills one database through the API to each size in turn, and measures frequent requests and commands at
//! each size. `cargo bench --profile dist --bench ratios -- growth 1000 10000 …`, the sizes in patients, increasing.
//! `GROWTH_DATABASE_URL` names an empty PostgreSQL database; without it the database is an SQLite file. `GROWTH_PICTURE` names a file for a picture
//! of the table. `GROWTH_DAYS` sets the days with published slots, 90 otherwise.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use hyper::{Method, Request, StatusCode};
use legwork::clock::Clock;
use legwork::demo;
use serde_json::{Value, json};

use crate::child::{Child, SECRETS};
use crate::clinic::{Api, Prepared, sign_in};
use crate::database::psql;
use crate::load;
use crate::{Outcome, picture};

/// The days with published slots, unless `GROWTH_DAYS` is set: some 2,000 slots of a quarter of an hour for each practitioner.
const DAYS: &str = "90";
/// Each practitioner has this number of patients, half of whom have an appointment.
const PATIENTS_PER_PRACTITIONER: usize = 200;
/// At most so many practitioners.
const MAX_PRACTITIONERS: usize = 1_000;
/// Requests at once while the database is filled.
const FILLERS: usize = 32;
/// An access token lives for ten minutes, so each batch has a new one.
const BATCH: usize = 4_000;
/// The requests of each kind, and the most time that they may take. They are few, because each leaves an audit event.
const REQUESTS: usize = 200;
const PART: Duration = Duration::from_secs(10);
/// The histories that are submitted.
const SUBMISSIONS: usize = 25;

/// What was measured, as rows of a table.
#[derive(Default)]
struct Report {
    sizes: Vec<String>,
    /// Name, unit, and one value for each size.
    rows: Vec<(String, &'static str, Vec<f64>)>,
}

impl Report {
    fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        if let Some((.., values)) = self.rows.iter_mut().find(|(known, ..)| known == name) {
            values.push(value);
        } else {
            self.rows.push((name.to_owned(), unit, vec![value]));
        }
    }

    /// A table in Markdown, with the ratio of the last to the first size.
    fn print(&self) {
        println!("\n| | {} | ratio |", self.sizes.join(" | "));
        println!("|---|{}", "---:|".repeat(self.sizes.len() + 1));
        for (name, unit, values) in &self.rows {
            let cells: Vec<String> = values.iter().map(|value| format!("{value:.2}")).collect();
            let ratio = values.last().zip(values.first()).map_or(f64::NAN, |(last, first)| last / first);
            println!("| {name} ({unit}) | {} | {ratio:.1} |", cells.join(" | "));
        }
    }

    /// The requests as a picture.
    fn picture(&self, engine: &str) -> String {
        let requests = self.rows.iter().filter(|(name, unit, _)| *unit == "ms" && !name.starts_with("start"));
        let rows: Vec<_> = requests.map(|(name, _, values)| (name.as_str(), values.as_slice())).collect();
        picture::dots(&format!("Medians of requests on {engine}, one after the other"), &self.sizes, &rows)
    }
}

/// The clinic as far as it has been filled.
struct Filled {
    location: String,
    visit: String,
    patients: usize,
    practitioners: Vec<String>,
    /// Some patients without an appointment.
    unbooked: Vec<String>,
}

/// Fills and measures.
///
/// # Errors
/// If a size is no number, or smaller than the one before; if a request or a command fails.
pub async fn run(sizes: &[String]) -> Outcome<()> {
    let sizes: Vec<usize> = sizes.iter().map(|size| size.replace(['_', ','], "").parse()).collect::<Result<_, _>>()?;
    if sizes.is_empty() || !sizes.is_sorted() {
        return Err("growth takes increasing numbers of patients, such as: growth 1000 10000".into());
    }
    let folder = tempfile::Builder::new().prefix("legwork-growth-").tempdir()?;
    let url = std::env::var("GROWTH_DATABASE_URL").ok();
    let days = std::env::var("GROWTH_DAYS").unwrap_or_else(|_| DAYS.to_owned());
    let settings: Vec<(&str, &str)> = [("SLOT_HORIZON_DAYS", days.as_str())]
        .into_iter()
        .chain(url.as_deref().map(|url| ("DATABASE_URL", url)))
        .collect();
    let mut report = Report::default();
    let mut filled = None;
    for size in sizes {
        let server = Child::server(folder.path(), &["--demo"], &settings).await?;
        let began = Instant::now();
        let clinic = fill(&server.base, filled.take(), size).await?;
        println!(
            "filled to {size} patients, {} practitioners in {:.0} s",
            clinic.practitioners.len(),
            began.elapsed().as_secs_f64()
        );
        server.stop()?;
        if let Some(url) = &url {
            // PostgreSQL does it by itself within some minutes.
            psql(url, "VACUUM ANALYZE")?;
        }

        report.sizes.push(format!("{size} patients, {} practitioners", clinic.practitioners.len()));
        let began = Instant::now();
        let server = Child::server(folder.path(), &["--demo"], &settings).await?;
        until_ready(&server.base).await?;
        report.add("start until ready", "ms", began.elapsed().as_secs_f64() * 1e3);
        requests(&server, &clinic, &mut report).await?;
        report.add("resident memory", "MiB", server.memory()?.resident);
        server.stop()?;
        commands(folder.path(), &settings, &mut report)?;
        filled = Some(clinic);
    }
    report.print();
    if let Ok(file) = std::env::var("GROWTH_PICTURE") {
        std::fs::write(file, report.picture(if url.is_some() { "PostgreSQL" } else { "SQLite" }))?;
    }
    Ok(())
}

async fn until_ready(base: &str) -> Outcome<()> {
    let http = reqwest::Client::new();
    let until = Instant::now() + Duration::from_mins(1);
    while !http.get(format!("{base}/health/ready")).send().await?.status().is_success() {
        if Instant::now() > until {
            return Err("the server does not become ready".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Adds practitioners, patients and appointments up to a size.
async fn fill(base: &str, clinic: Option<Filled>, size: usize) -> Outcome<Filled> {
    let api = Api::sign_in(base).await?;
    let mut clinic = if let Some(clinic) = clinic {
        clinic
    } else {
        let location = api.create_location().await?;
        let visit = api.create_visit_type("Growth check", 15).await?;
        Filled { location, visit, patients: 0, practitioners: Vec::new(), unbooked: Vec::new() }
    };
    let practitioners = (size / PATIENTS_PER_PRACTITIONER).clamp(4, MAX_PRACTITIONERS);
    for batch in chunks(clinic.practitioners.len(), practitioners, 200) {
        let api = Api::sign_in(base).await?;
        for number in batch {
            let id =
                api.create_practitioner(&format!("Dr. Growth {number}"), &[&clinic.visit], &clinic.location).await?;
            clinic.practitioners.push(id);
        }
    }
    for batch in chunks(clinic.patients, size, BATCH) {
        let api = Api::sign_in(base).await?;
        let ids: Vec<String> = stream::iter(batch)
            .map(|number| api.create("patients", patient(number)))
            .buffer_unordered(FILLERS)
            .try_collect()
            .await?;
        // Each patient of the first half of a batch gets an appointment.
        let (half, rest) = ids.split_at(ids.len() / 2);
        clinic.unbooked = rest.to_vec();
        let slots = free_slots(base, &clinic.visit, half.len()).await?;
        stream::iter(half.iter().zip(slots))
            .map(|(patient, slot)| {
                api.create(
                    "appointments",
                    json!({"slot_id": slot, "visit_type_id": clinic.visit, "patient_id": patient}),
                )
            })
            .buffer_unordered(FILLERS)
            .try_for_each(async |_| Ok(()))
            .await?;
    }
    clinic.patients = size;
    Ok(clinic)
}

/// The numbers from `from` to `to`, in batches.
fn chunks(from: usize, to: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (from..to).step_by(size).map(move |start| start..(start + size).min(to))
}

/// The words of names, so that a search by the beginning of a name finds a share of the patients that does not depend on their number.
const GIVEN: [&str; 16] = [
    "Alma", "Ben", "Clara", "Dario", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Luis", "Maria",
    "Nora", "Omar", "Paula",
];

/// A patient with a name and a birth date of their own.
fn patient(number: usize) -> Value {
    let given = GIVEN.get(number % GIVEN.len()).copied().unwrap_or("Ada");
    let (day, month, year) = (1 + number % 28, 1 + number / 28 % 12, 1940 + number / 336 % 60);
    json!({
        "given_name": given, "family_name": family_name(number / GIVEN.len()),
        "date_of_birth": format!("{year}-{month:02}-{day:02}"), "administrative_sex": "unknown",
        "phone": format!("+1202{:07}", 5_000_000 + number % 4_000_000), "preferred_language": "en", "interpreter_needed": false,
    })
}

/// Five letters that spell the number, the least significant digit first.
fn family_name(number: usize) -> String {
    let letters = (0..5).map(|digit| number / 26_usize.pow(digit) % 26);
    let mut name: String = letters.map(|letter| char::from(b'a' + u8::try_from(letter).unwrap_or_default())).collect();
    name.get_mut(..1).map(str::make_ascii_uppercase);
    name
}

fn now() -> jiff::Timestamp {
    Clock::System.now().jiff()
}

/// The next free slots.
async fn free_slots(base: &str, visit: &str, wanted: usize) -> Outcome<Vec<String>> {
    let http = reqwest::Client::new();
    let mut found = Vec::new();
    let mut from = now() + jiff::SignedDuration::from_hours(24);
    while found.len() < wanted {
        let to = from + jiff::SignedDuration::from_hours(24 * 30);
        let path = format!("{base}/v1/slots?visit_type_id={visit}&limit=200&from={from}&to={to}");
        let mut next = Some(path.clone());
        while let Some(url) = next.filter(|_| found.len() < wanted) {
            let page: Value = http.get(url).send().await?.error_for_status()?.json().await?;
            let items = page["items"].as_array().ok_or("no slots")?;
            found.extend(items.iter().filter_map(|slot| slot["id"].as_str().map(str::to_owned)));
            next = page["next_cursor"].as_str().map(|cursor| format!("{path}&cursor={cursor}"));
        }
        if to > now() + jiff::SignedDuration::from_hours(24 * 120) {
            return Err(format!("{wanted} slots were wanted, {} are free", found.len()).into());
        }
        from = to;
    }
    found.truncate(wanted);
    Ok(found)
}

/// The median of each frequent request, of one client that sends one after the other.
async fn requests(server: &Child, clinic: &Filled, report: &mut Report) -> Outcome<()> {
    let token = sign_in(&server.base).await?;
    let get = |path: String| request(Method::GET, &path, Some(&token), None, String::new());
    let name = family_name(clinic.patients / GIVEN.len() / 2);
    let body = load::once(server, get(format!("/v1/patients?q={name}&limit=1")), StatusCode::OK).await?;
    let found: Value = serde_json::from_str(&body)?;
    let patient = found["items"][0]["id"].as_str().ok_or("a patient is not found by name")?.to_owned();
    let now = now();
    let (day, just_before) = (now + jiff::SignedDuration::from_hours(24), now - jiff::SignedDuration::from_secs(5));
    let practitioner = clinic.practitioners.last().ok_or("no practitioner")?;
    let paths = [
        ("search for 50 slots", format!("/v1/slots?visit_type_id={}", clinic.visit)),
        ("… of one practitioner", format!("/v1/slots?visit_type_id={}&practitioner_id={practitioner}", clinic.visit)),
        ("patients by one letter", "/v1/patients?q=m".to_owned()),
        ("patients by a letter of two names", "/v1/patients?q=m%20a".to_owned()),
        ("patients by three letters", format!("/v1/patients?q={}", name.get(..3).unwrap_or("m"))),
        ("patients by full name", format!("/v1/patients?q=maria%20{name}")),
        ("a patient", format!("/v1/patients/{patient}")),
        ("appointments of a patient", format!("/v1/appointments?patient_id={patient}")),
        (
            "appointments of a day at a location",
            format!("/v1/appointments?location_id={}&from={now}&to={day}", clinic.location),
        ),
        ("agenda of a practitioner", format!("/v1/practitioners/{practitioner}/agenda")),
        ("changes of appointments", format!("/v1/appointments?updated_since={just_before}")),
        ("newest audit events", "/v1/audit-events".to_owned()),
        ("audit events of a patient", format!("/v1/patients/{patient}/audit-events")),
    ];
    for (name, path) in paths {
        report.add(name, "ms", median(server, StatusCode::OK, |_| Some(get(path.clone()))).await?);
    }
    let slots = free_slots(&server.base, &clinic.visit, 200).await?;
    let booking = |turn: usize| {
        let (slot, patient) = (slots.get(turn)?, clinic.unbooked.get(turn)?);
        let body = json!({"slot_id": slot, "visit_type_id": clinic.visit, "patient_id": patient}).to_string();
        crate::clinic::booking(body, &token, slot)
    };
    report.add("a booking", "ms", median(server, StatusCode::CREATED, booking).await?);
    clinical(server, report).await
}

/// What a practitioner reads, and a patient who fills in the history.
async fn clinical(server: &Child, report: &mut Report) -> Outcome<()> {
    let sign_in = |mailbox: &str| {
        let body = json!({"email": format!("{mailbox}@{}", demo::DOMAIN), "password": demo::PASSWORD}).to_string();
        request(Method::POST, "/v1/sessions", None, None, body)
    };
    let token = async |mailbox: &str| -> Outcome<String> {
        let session: Value = serde_json::from_str(&load::once(server, sign_in(mailbox), StatusCode::CREATED).await?)?;
        Ok(session["access_token"].as_str().ok_or("no token")?.to_owned())
    };
    report.add("sign-in", "ms", median(server, StatusCode::CREATED, |_| Some(sign_in("desk"))).await?);

    let doctor = token("doctor").await?;
    let get = |path: &str, token: &str| request(Method::GET, path, Some(token), None, String::new());
    let intakes: Value =
        serde_json::from_str(&load::once(server, get("/v1/intakes?status=completed", &doctor), StatusCode::OK).await?)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("no id");
    let (intake, patient) = (text(&intakes["items"][0]["id"])?, text(&intakes["items"][0]["patient_id"])?);
    for (name, path) in [
        ("list of intakes", "/v1/intakes".to_owned()),
        ("worklist of flags", "/v1/intake-flags".to_owned()),
        ("doctor's page of an intake", format!("/v1/intakes/{intake}/summary")),
        ("timeline of a patient", format!("/v1/patients/{patient}/rls-timeline")),
    ] {
        report.add(name, "ms", median(server, StatusCode::OK, |_| Some(get(&path, &doctor))).await?);
    }

    let ann = token("patient").await?;
    let me: Value = serde_json::from_str(&load::once(server, get("/v1/me", &ann), StatusCode::OK).await?)?;
    let list = format!("/v1/patients/{}/intakes", text(&me["patients"][0]["id"])?);
    let draft = request(Method::POST, &list, Some(&ann), None, json!({"form": "rls-history"}).to_string());
    let draft: Value = serde_json::from_str(&load::once(server, draft, StatusCode::CREATED).await?)?;
    let path = format!("/v1/intakes/{}", text(&draft["id"])?);
    // A change of a version makes the next one, and one client sends one change after the other.
    let save = |turn: usize| {
        let answers = json!({"answers": {"symptoms": {"days_per_week_untreated": turn % 7}}}).to_string();
        Some(request(Method::PATCH, &path, Some(&ann), Some(turn + 1), answers))
    };
    report.add("saving a draft", "ms", median(server, StatusCode::OK, save).await?);
    // The next size begins another draft.
    let discard = request(Method::DELETE, &path, Some(&ann), None, String::new());
    load::once(server, discard, StatusCode::NO_CONTENT).await?;
    let desk = token("desk").await?;
    report.add("submitting a history", "ms", submissions(server, &desk, &list).await?);
    Ok(())
}

/// The median of submitting a history. Beginning it and filling it in are not measured.
async fn submissions(server: &Child, desk: &str, list: &str) -> Outcome<f64> {
    let safety = [
        "chest_pain_breathlessness",
        "sudden_cold_pale_leg",
        "new_weakness_saddle_bladder_bowel",
        "acute_unilateral_leg_symptoms",
        "bleeding_vein",
        "spreading_hot_redness",
        "open_leg_ulcer",
        "self_harm_thoughts",
    ];
    let safety: serde_json::Map<_, _> = safety.iter().map(|question| ((*question).to_owned(), "no".into())).collect();
    let answers = json!({"answers": {
        "safety": safety, "medications_status": "unknown", "allergies_status": "none",
        "symptoms": {"urge_to_move_legs": "yes", "relief_with_movement": "no", "relief_previously_present": "unknown", "impact_level": "mild"},
    }});
    let mut latencies = Vec::new();
    for _ in 0..SUBMISSIONS {
        let draft = request(Method::POST, list, Some(desk), None, json!({"form": "rls-history"}).to_string());
        let draft: Value = serde_json::from_str(&load::once(server, draft, StatusCode::CREATED).await?)?;
        let path = format!("/v1/intakes/{}", draft["id"].as_str().ok_or("no id")?);
        let fill = request(Method::PATCH, &path, Some(desk), Some(1), answers.to_string());
        load::once(server, fill, StatusCode::OK).await?;
        let submit = |turn| {
            (turn == 0).then(|| request(Method::POST, &format!("{path}/submit"), Some(desk), None, String::new()))
        };
        latencies.extend(load::drive(server, 1, PART, StatusCode::OK, submit).await?.latencies);
    }
    latencies.sort_unstable();
    Ok(latencies.get(latencies.len() / 2).ok_or("no response")?.as_secs_f64() * 1e3)
}

/// A request with a JSON body, unless it is empty, and the version that it changes.
fn request(method: Method, path: &str, token: Option<&str>, version: Option<usize>, body: String) -> Prepared {
    let mut request = Request::builder().uri(path).header(HOST, "127.0.0.1");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(version) = version {
        request = request.header(IF_MATCH, format!("\"{version}\""));
    }
    if !body.is_empty() {
        let patch = method == Method::PATCH;
        request = request.header(CONTENT_TYPE, if patch { "application/merge-patch+json" } else { "application/json" });
    }
    request.method(method).body(Full::from(body)).unwrap_or_default()
}

async fn median(server: &Child, expected: StatusCode, next: impl Fn(usize) -> Option<Prepared>) -> Outcome<f64> {
    let tally = load::drive(server, 1, PART, expected, |turn| if turn < REQUESTS { next(turn) } else { None }).await?;
    let middle = tally.latencies.get(tally.latencies.len() / 2).ok_or("no response")?;
    Ok(middle.as_secs_f64() * 1e3)
}

/// The duration of commands, and the size of the file.
fn commands(folder: &Path, settings: &[(&str, &str)], report: &mut Report) -> Outcome<()> {
    let url = settings.iter().find(|(name, _)| *name == "DATABASE_URL").map(|(_, url)| *url);
    if let Some(url) = url {
        let bytes = psql(url, "SELECT pg_database_size(current_database())")?.pop().ok_or("no size")?;
        report.add("database", "MiB", bytes.parse::<f64>()? / 1_048_576.0);
    } else {
        let bytes = std::fs::metadata(folder.join("data/legwork.db"))?.len();
        report.add("file", "MiB", bytes as f64 / 1_048_576.0);
        report.add("backup", "s", timed(folder, settings, &["backup", "copy.db"])?);
        std::fs::remove_file(folder.join("copy.db"))?;
    }
    report.add("audit verify", "s", timed(folder, settings, &["audit", "verify"])?);
    report.add("purge --dry-run", "s", timed(folder, settings, &["purge", "--dry-run"])?);
    Ok(())
}

fn timed(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Outcome<f64> {
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_legwork"))
        .args(arguments)
        .env_clear()
        .envs(SECRETS)
        .envs(settings.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        Ok(began.elapsed().as_secs_f64())
    } else {
        Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
