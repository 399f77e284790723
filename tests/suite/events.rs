//! Events of changes: numbered without gaps, in the order of each object's changes, read by those who may, and streamed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use legwork::privacy::retention;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::durability::{self, ask};
use crate::support::app::{self, http_client};
use crate::support::booking::path;
use crate::support::clinic::free_slots;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::Process;
use crate::support::{App, Client, Engine, book, both, eventually, id};

/// Reads all events after a number, page by page, as the guide says.
pub(crate) async fn read_all(client: &Client, mut after: i64, query: &str) -> (Vec<Value>, i64) {
    let mut events = Vec::new();
    loop {
        let page = client.get(&format!("/v1/events?after={after}&limit=200{query}")).await;
        page.expect(200);
        events.extend(page.items());
        after = page.body["through_seq"].as_i64().expect("a number");
        if after >= page.body["newest_seq"].as_i64().expect("a number") {
            return (events, after);
        }
    }
}

/// Waits until an event of this type is numbered, and returns all events.
pub(crate) async fn until_seen(client: &Client, kind: &str) -> Vec<Value> {
    eventually(async || {
        let (events, _) = read_all(client, 0, "").await;
        if events.iter().any(|event| event["type"] == kind) { Ok(events) } else { Err(format!("{events:#?}")) }
    })
    .await
}

pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["seq"].as_i64().expect("a number")).collect()
}

/// Fails unless the numbers are 1, 2, 3 … and the versions of each object rise.
pub(crate) fn assert_whole(events: &[Value]) {
    let count = i64::try_from(events.len()).expect("few");
    assert_eq!(numbers(events), (1..=count).collect::<Vec<_>>());
    let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events {
        let Some(version) = event["subject_version"].as_i64() else { continue };
        let subject = event["subject_id"].as_str().expect("an id");
        let before = versions.insert(subject, version);
        assert!(before.is_none_or(|before| before < version), "{subject}: {before:?} before {version}");
    }
}

/// A stream of events that a client reads.
struct Stream {
    response: reqwest::Response,
    text: String,
    last_id: Option<String>,
}

impl Stream {
    async fn open(client: &Client, base: &str, query: &str, last_id: Option<&str>) -> reqwest::Response {
        let token = client.token().await.expect("signed in");
        let mut request = http_client().get(format!("{base}/v1/events/stream{query}")).bearer_auth(token);
        if let Some(last) = last_id {
            request = request.header("Last-Event-ID", last);
        }
        request.send().await.expect("a response")
    }

    async fn of(client: &Client, base: &str, query: &str, last_id: Option<&str>) -> Self {
        let response = Self::open(client, base, query, last_id).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), last_id: None }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
                self.last_id = field("id: ").or(self.last_id.take());
                if let Some(data) = field("data: ") {
                    let event: Value = serde_json::from_str(&data).expect("JSON");
                    assert_eq!(self.last_id.as_deref(), Some(event["seq"].to_string().as_str()));
                    return Some(event);
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    async fn soon(&mut self) -> Value {
        let next = tokio::time::timeout(Duration::from_secs(5), self.next()).await;
        next.expect("an event in time").expect("an event and not the end")
    }

    /// Waits for the end of the stream.
    async fn end(&mut self, within: Duration) {
        let end = async { while self.next().await.is_some() {} };
        tokio::time::timeout(within, end).await.expect("the stream ends");
    }
}

both! {
    async fn each_change_has_an_event_with_ids_and_no_data(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let visit = book(&desk, &slots[0], &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        desk.update(&path(&visit, ""), json!({"note": "Quokkaharp"})).await.expect(200);
        desk.post(&path(&visit, "/reschedule"), json!({"slot_id": slots[1]["id"]})).await.expect(200);
        let cancel = json!({"reason": "Quokkaharp"});
        desk.post(&path(&visit, "/cancel"), cancel).await.expect(200);
        let record = format!("/v1/patients/{}", ann.patient_id);
        desk.update(&record, json!({"phone": "+12125550123"})).await.expect(200);
        let draft = ann.post(&format!("{record}/intakes"), json!({"form": "rls-history"})).await;
        ann.delete(&draft.expect(201).location()).await.expect(204);

        let events = until_seen(&desk, "intake.deleted").await;
        assert_whole(&events);
        assert_eq!(types(&events), [
            "availability.updated", "patient.created", "appointment.booked", "appointment.updated", "appointment.rescheduled",
            "appointment.cancelled", "patient.updated", "intake.started", "intake.deleted",
        ]);
        let booked = &events[2];
        assert_eq!(booked["subject_id"], visit["id"]);
        assert_eq!(booked["patient_id"], json!(ann.patient_id));
        assert_eq!(booked["practitioner_id"], visit["practitioner_id"]);
        assert_eq!(booked["location_id"], visit["location_id"]);
        assert_eq!(booked["occurred_at"], visit["created_at"]);
        let versions: Vec<_> = events[2..6].iter().map(|event| event["subject_version"].clone()).collect();
        assert_eq!(versions, [1, 2, 3, 4]);
        // Neither a name nor a note nor a reason.
        let mut conn = app.site.connect();
        let columns = "concat_ws(' ', kind, subject_type, subject_version, occurred_at)";
        let columns = if app.engine == Engine::Sqlite { "kind || subject_type" } else { columns };
        for line in ask(&mut conn, &format!("SELECT {columns} AS line FROM events")) {
            assert!(!line.contains("Quokkaharp") && !line.to_lowercase().contains("ann"), "{line}");
        }
    }

    async fn steps_of_the_day_have_their_events_and_a_change_that_fails_has_none(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let visit = book(&desk, &slots[0], &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        book(&desk, &slots[0], &clinic.check, &ann.patient_id).await.expect(409);
        app.clock.set(visit["starts_at"].as_str().expect("text").parse().expect("an instant"));
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        desk.post_empty(&path(&visit, "/check-in")).await.expect(200);
        desk.post(&path(&visit, "/undo"), json!({"reason": "A test."})).await.expect(200);
        desk.post_empty(&path(&visit, "/check-in")).await.expect(200);
        desk.post_empty(&path(&visit, "/complete")).await.expect(200);
        desk.post(&path(&visit, "/undo"), json!({"reason": "A test."})).await.expect(200);
        desk.post(&path(&visit, "/cancel"), json!({"reason": "A test."})).await.expect(200);
        let events = until_seen(&desk, "appointment.cancelled").await;
        assert_whole(&events);
        assert_eq!(types(&events)[2..], [
            "appointment.booked", "appointment.checked_in", "appointment.reopened", "appointment.checked_in",
            "appointment.completed", "appointment.reopened", "appointment.cancelled",
        ]);
        let (some, _) = read_all(&desk, 0, "&types=appointment.checked_in,patient.created").await;
        assert_eq!(types(&some), ["patient.created", "appointment.checked_in", "appointment.checked_in"]);
    }

    async fn numbers_have_no_gap_while_32_writers_write_and_a_reader_reads(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = free_slots(&desk, &clinic.check).await;
        let stop = AtomicBool::new(false);
        let writers = async {
            join_all((0..32).map(|n| {
                let (desk, slots, clinic) = (&desk, &slots, &clinic);
                async move {
                    let email = format!("pat{n}@patients.example");
                    let patient = desk.post("/v1/patients", patient_json("Pat", &email)).await.expect(201).id();
                    for slot in [&slots[n % 16], &slots[16 + n]] {
                        let reply = book(desk, slot, &clinic.check, &patient).await;
                        if reply.status == 201 {
                            desk.post(&path(&reply.body, "/cancel"), json!({"reason": "A test."})).await.expect(200);
                        }
                    }
                    desk.update(&format!("/v1/patients/{patient}"), json!({"phone": "+12125550123"})).await.expect(200);
                }
            }))
            .await;
            stop.store(true, Ordering::Relaxed);
        };
        let reader = async {
            let (mut seen, mut after) = (Vec::new(), 0);
            while !stop.load(Ordering::Relaxed) {
                let (events, through) = read_all(&desk, after, "").await;
                seen.extend(events);
                after = through;
            }
            seen
        };
        let ((), mut seen) = join(writers, reader).await;
        let after = seen.last().map_or(0, |event| event["seq"].as_i64().expect("a number"));
        let updated = |events: &[Value]| types(events).iter().filter(|kind| **kind == "patient.updated").count();
        let rest = eventually(async || {
            let (rest, _) = read_all(&desk, after, "").await;
            if updated(&seen) + updated(&rest) == 32 { Ok(rest) } else { Err("not all are numbered".to_owned()) }
        })
        .await;
        seen.extend(rest);
        assert_whole(&seen);
        let count = |wanted| types(&seen).iter().filter(|kind| **kind == wanted).count();
        assert_eq!(count("patient.created"), 32);
        assert!(count("appointment.booked") >= 32);
        assert_eq!(count("appointment.booked"), count("appointment.cancelled"));
    }

    /// The numbers would tell a patient what others do, and whether a registration has made a record.
    async fn row_08_patients_get_no_events_and_staff_those_of_all(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann, bob) = (app.desk().await, app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&desk, &clinic.check).await;
        for (slot, patient) in [(0, &ann), (1, &bob), (2, &ann), (3, &bob)] {
            book(&desk, &slots[slot], &clinic.check, &patient.patient_id).await.expect(201);
        }
        until_seen(&desk, "appointment.booked").await;
        eventually(async || {
            let (all, _) = read_all(&desk, 0, "").await;
            // With that of the hours.
            if all.len() == 7 { Ok(()) } else { Err(format!("{all:#?}")) }
        })
        .await;
        ann.get("/v1/events").await.problem(403, "role_forbidden");
        assert_eq!(Stream::open(&ann, &app.base, "?after=0", None).await.status(), 403);
        app.anon().get("/v1/events").await.problem(401, "unauthenticated");
        let shown = eventually(async || {
            let events = app.admin().await.get("/v1/audit-events?operation=list_events&outcome=success&limit=200").await;
            let both = |event: &Value| event["shown_patient_ids"].as_array().is_some_and(|ids| ids.len() == 2);
            events.items().into_iter().find(both).ok_or_else(|| events.text.clone())
        })
        .await;
        let ids = shown["shown_patient_ids"].as_array().expect("ids");
        assert!(ids.contains(&json!(ann.patient_id)) && ids.contains(&json!(bob.patient_id)));
    }

    async fn events_older_than_the_retention_period_are_gone_and_their_readers_are_told(app: App) {
        let ann = app.patient("ann").await;
        app.patient("bob").await;
        let desk = app.desk().await;
        eventually(async || match read_all(&desk, 0, "").await.1 { 2 => Ok(()), seq => Err(format!("{seq}")) }).await;
        app.clock.advance(SignedDuration::from_hours(24 * 29));
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        desk.update(&format!("/v1/patients/{}", ann.patient_id), json!({"phone": "+12125550123"})).await.expect(200);
        until_seen(&desk, "patient.updated").await;
        retention::apply_periodic(&app.env).await;
        assert_eq!(read_all(&desk, 0, "").await.0.len(), 3);

        app.clock.advance(SignedDuration::from_hours(48));
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        retention::apply_periodic(&app.env).await;
        let gone = desk.get("/v1/events?after=1").await;
        let problem = gone.problem(410, "events_expired");
        assert_eq!((&problem["oldest_seq"], &problem["newest_seq"]), (&json!(3), &json!(3)));
        assert_eq!(Stream::open(&desk, &app.base, "", Some("0")).await.status(), 410);
        // A reader that has the last deleted event misses nothing.
        assert_eq!(numbers(&read_all(&desk, 2, "").await.0), [3]);
        assert_eq!(numbers(&desk.get("/v1/events").await.items()), [3]);
        // As after a restored backup.
        desk.get("/v1/events?after=4").await.problem(410, "events_expired");

        // The newest one stays, so that the numbers continue.
        app.clock.advance(SignedDuration::from_hours(24 * 60));
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        retention::apply_periodic(&app.env).await;
        desk.update(&format!("/v1/patients/{}", ann.patient_id), json!({"phone": "+12125550124"})).await.expect(200);
        let next = eventually(async || {
            let (events, _) = read_all(&desk, 3, "").await;
            if events.is_empty() { Err("none".to_owned()) } else { Ok(events) }
        })
        .await;
        assert_eq!(numbers(&next), [4]);
        desk.get("/v1/events?after=-1").await.invalid("?after", "out_of_range");
        desk.get("/v1/events?limit=201").await.invalid("?limit", "out_of_range");
    }

    async fn a_stream_sends_each_event_within_a_second_and_goes_on_after_the_last_one(app: App) {
        let desk = app.desk().await;
        let mut stream = Stream::of(&desk, &app.base, "", None).await;
        let mut only_updates = Stream::of(&desk, &app.base, "?types=patient.updated", None).await;
        let first = desk.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
        let began = Instant::now();
        assert_eq!(stream.soon().await["subject_id"], json!(first));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let last = stream.last_id.clone().expect("a number");
        drop(stream);
        // While nobody listens.
        for n in 0..300 {
            let email = format!("pat{n}@patients.example");
            desk.post("/v1/patients", patient_json("Pat", &email)).await.expect(201);
        }
        desk.update(&format!("/v1/patients/{first}"), json!({"phone": "+12125550123"})).await.expect(200);
        let mut stream = Stream::of(&desk, &app.base, "?after=0", Some(&last)).await;
        let mut got = Vec::new();
        for _ in 0..301 {
            got.push(stream.soon().await);
        }
        assert_eq!(numbers(&got), (2..=302).collect::<Vec<_>>());
        assert_eq!(only_updates.soon().await["seq"], 302);
        let reply = desk.get_with("/v1/events/stream", &[("Last-Event-ID", "next")]).await;
        reply.invalid("Last-Event-ID:", "wrong_value");
    }

    async fn a_stream_ends_when_the_session_ends_or_the_token_expires(app: App) {
        let (out, disabled, late) = (app.doctor().await, app.desk().await, app.admin().await);
        let mut streams = [
            Stream::of(&out, &app.base, "", None).await,
            Stream::of(&disabled, &app.base, "", None).await,
        ];
        out.delete("/v1/sessions/current").await.expect(204);
        let user = app.admin().await.get("/v1/users?limit=200").await;
        let user = user.items().into_iter().find(|user| user["email"] == "desk@clinic.example").expect("the account");
        let path = format!("/v1/users/{}", id(&user));
        app.admin().await.update(&path, json!({"disabled": true})).await.expect(200);
        for stream in &mut streams {
            stream.end(Duration::from_secs(5)).await;
        }
        let mut stream = Stream::of(&late, &app.base, "", None).await;
        app.clock.advance(SignedDuration::from_mins(11));
        stream.end(Duration::from_secs(5)).await;
    }

    /// A proxy regards the response to HEAD as complete and gives the connection to the next client.
    async fn a_head_request_to_the_stream_ends_at_once_and_leaves_the_connection_usable(app: App) {
        app.patient("ann").await;
        let desk = app.desk().await;
        let address = app.base.strip_prefix("http://").expect("an address");
        let mut socket = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let token = desk.token().await.expect("signed in");
        let head = format!("HEAD /v1/events/stream HTTP/1.1\r\nHost: clinic\r\nAuthorization: Bearer {token}\r\n\r\n");
        let next = "GET /health/live HTTP/1.1\r\nHost: clinic\r\nConnection: close\r\n\r\n";
        for _ in 0..12 {
            socket.write_all(head.as_bytes()).await.expect("to send");
            let mut buffer = vec![0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut buffer)).await;
            let length = read.expect("a response").expect("a response");
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("text/event-stream"), "{said}");
            assert!(said.ends_with("\r\n\r\n"), "{said}");
        }
        socket.write_all(next.as_bytes()).await.expect("to send");
        let mut said = String::new();
        let read = tokio::time::timeout(Duration::from_secs(5), socket.read_to_string(&mut said)).await;
        read.expect("a response").expect("a response");
        assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
        // None of them is open.
        let mut stream = Stream::of(&desk, &app.base, "?after=0", None).await;
        stream.soon().await;
    }

    async fn an_account_has_a_limited_number_of_streams_and_a_closed_one_makes_room(app: App) {
        let desk = app.desk().await;
        let mut open = Vec::new();
        for _ in 0..10 {
            open.push(Stream::of(&desk, &app.base, "", None).await);
        }
        assert_eq!(Stream::open(&desk, &app.base, "", None).await.status(), 429);
        Stream::of(&app.admin().await, &app.base, "", None).await;
        open.clear();
        eventually(async || match Stream::open(&desk, &app.base, "", None).await.status().as_u16() {
            200 => Ok(()),
            status => Err(format!("{status}")),
        })
        .await;
    }
}

/// Fails unless all committed changes are numbered without a gap.
async fn assert_all_numbered(server: &Process, site: &crate::support::site::Site) -> Vec<Value> {
    let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
    eventually(async || {
        let waiting = ask(&mut site.connect(), "SELECT kind AS line FROM events WHERE seq IS NULL");
        if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?}")) }
    })
    .await;
    let (events, _) = read_all(&desk, 0, "").await;
    assert_whole(&events);
    let booked = ask(&mut site.connect(), "SELECT status AS line FROM appointments").len();
    assert_eq!(types(&events).iter().filter(|kind| **kind == "appointment.booked").count(), booked);
    events
}

fn killed_while_numbering(engine: Engine) {
    let Some(site) = durability::site(engine) else { return };
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let load = durability::prepare(&server).await;
        for _ in 0..3 {
            let stop = Arc::new(AtomicBool::new(false));
            let base = server.base.clone();
            let kill = async {
                load.until_booked(15).await;
                server.kill9();
            };
            join(load.run(&base, &stop), kill).await;
            server = Process::start(&site, &[]).await;
        }
        let events = assert_all_numbered(&server, &site).await;
        assert!(events.len() > 45, "{}", events.len());

        // A stream ends with the service, and does not hold it up.
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let mut stream = Stream::of(&desk, &server.base, "", None).await;
        server.terminate();
        stream.end(Duration::from_secs(5)).await;
        assert!(server.wait(Duration::from_secs(5)).is_some_and(|status| status.success()), "{}", server.log());
    });
}

#[test]
fn numbers_have_no_gap_after_kills_on_sqlite() {
    killed_while_numbering(Engine::Sqlite);
}

#[test]
fn numbers_have_no_gap_after_kills_on_postgres() {
    killed_while_numbering(Engine::Postgres);
}

#[test]
fn two_instances_number_one_sequence_and_each_streams_the_changes_of_the_other() {
    let Some(site) = durability::site(Engine::Postgres) else { return };
    app::runtime().block_on(async {
        let (first, second) = (Process::start(&site, &[]).await, Process::start(&site, &[]).await);
        let load = durability::prepare(&first).await;
        let desk = second.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let mut stream = Stream::of(&desk, &second.base, "?after=0", None).await;
        let stop = Arc::new(AtomicBool::new(false));
        let end = async {
            load.until_booked(100).await;
            stop.store(true, Ordering::Relaxed);
        };
        let (one, two) = (load.run(&first.base, &stop), load.run(&second.base, &stop));
        join(join(one, two), end).await;
        let events = assert_all_numbered(&first, &site).await;
        let mut streamed = Vec::new();
        while streamed.len() < events.len() {
            streamed.push(stream.soon().await);
        }
        assert_eq!(streamed, events);
        // One change at the other instance, with nothing else going on.
        let desk = first.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let body = patient_json("Late", "late@patients.example");
        desk.send(Method::POST, "/v1/patients", &[], Some(body)).await.expect(201);
        assert_eq!(stream.soon().await["type"], "patient.created");
    });
}
