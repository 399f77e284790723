//! The clinic of the fortnight: its server, its mail server, its people, and the clock.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use jiff::{SignedDuration, civil};
use legwork::appointments::reminders::sending;
use legwork::clock::Timestamp;
use legwork::db::schema::messages;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::model::{Model, RULES_OF_ZONE, Received, Term, Visit};
use crate::support::clinic::{location, practitioner, visit_type};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::smtp::Smtp;
use crate::support::zone_data::folder;
use crate::support::{App, Client, Reply};

pub struct World {
    pub app: App,
    pub desk: Client,
    pub random: StdRng,
    pub model: Model,
    /// The ids of the patients, by their number.
    pub patients: Vec<String>,
    pub practitioners: Vec<String>,
    pub visit_types: Vec<String>,
    /// The mail servers, one after the other, with the number of mails that were read from each.
    pub mail_servers: Vec<(Smtp, usize)>,
    pub keys: u32,
    pub steps: usize,
    /// The data of time zones.
    zones: PathBuf,
}

/// The address of the patient with this number.
pub fn address(patient: usize) -> String {
    format!("patient-{patient}@patients.example")
}

fn flags(smtp: &Smtp, zones: &std::path::Path) -> Vec<String> {
    let zones = zones.to_str().expect("a path in UTF-8");
    ["--reminders", "48h,2h", "--quiet-hours", "off", "--smtp-url", &smtp.url(), "--tz-data", zones]
        .map(str::to_owned)
        .to_vec()
}

/// What is different after a restart.
#[derive(Clone, Copy)]
pub enum Restart {
    WithoutMail,
    WithNewLaw,
}

impl World {
    /// Sets up two locations, four practitioners, a scanner at each location, and patients.
    pub async fn new(app: App, seed: u64, people: usize) -> Self {
        let smtp = Smtp::open();
        let zones = folder(app.site.folder.path(), "2099a", RULES_OF_ZONE[0]);
        let flags = flags(&smtp, &zones);
        let app = app.restart(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let (admin, desk) = (app.admin().await, app.desk().await);
        let places = [
            location(&admin, "Main Street", "America/New_York").await,
            location(&admin, "Harbor", "America/New_York").await,
        ];
        let capacities: Vec<_> = places.iter().map(|place| json!({"location_id": place, "units": 1})).collect();
        let scanner =
            admin.post("/v1/resources", json!({"name": "Scanner", "capacities": capacities})).await.expect(201).id();
        let mut visit_types = Vec::new();
        for (name, minutes) in [("Check", 15), ("Follow-up", 30), ("New patient", 60), ("Scan", 30)] {
            visit_types.push(visit_type(&admin, name, minutes).await);
        }
        let path = format!("/v1/visit-types/{}", visit_types[3]);
        admin.update(&path, json!({"resource_ids": [scanner]})).await.expect(200);
        let path = format!("/v1/visit-types/{}", visit_types[1]);
        admin.update(&path, json!({"cancel_notice_minutes": 1440})).await.expect(200);
        let kinds: Vec<_> = visit_types.iter().map(String::as_str).collect();
        let mut practitioners = Vec::new();
        for (n, place) in places.iter().chain(&places).enumerate() {
            practitioners.push(practitioner(&admin, &format!("Dr. {n}"), place, &kinds).await);
        }
        let mut patients = Vec::new();
        for n in 0..people {
            let mut body = patient_json(&format!("Patient{n}"), &address(n));
            body["family_name"] = json!(format!("Family{n}"));
            patients.push(desk.post("/v1/patients", body).await.expect(201).id());
        }
        let mut world = Self {
            app,
            desk,
            random: StdRng::seed_from_u64(seed),
            model: Model::default(),
            patients,
            practitioners,
            visit_types,
            mail_servers: vec![(smtp, 0)],
            keys: 0,
            steps: 0,
            zones,
        };
        world.settle().await;
        world
    }

    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// A time of the clinic.
    pub fn local(&self, day: civil::Date, hour: i8) -> Timestamp {
        let zone = self.model.zone(self.now());
        day.at(hour, 0, 0, 0).to_zoned(zone).expect("a local time").timestamp().into()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// Turns the clock, runs the jobs, and reads the mails.
    pub async fn turn_to(&mut self, at: Timestamp) {
        self.settle().await;
        self.app.clock.set(at);
        self.model.ticks.push(at);
        // A reminder waits until earlier mails to the patient are sent.
        for _ in 0..2 {
            sending::run(&self.app.env).await.expect("a run");
            self.settle().await;
        }
        self.watch("lapsed hold").await;
        self.settle().await;
    }

    /// Waits until no mail is due, and reads what came. Mails wait while the mail server is away.
    pub async fn settle(&mut self) {
        // After hours without a mail server some mails are tried again later. All are sent on the next day.
        let hours = SignedDuration::from_hours(12);
        let is_away = self.model.outage.is_some_and(|(from, until)| (from..until.plus(hours)).contains(&self.now()));
        // What a server was about to send when it was cut off is sent when its lease ends, which needs another time of the clock.
        let may_wait = is_away || self.model.cuts.contains(&self.now());
        let patience = Instant::now() + if may_wait { Duration::from_millis(250) } else { Duration::from_secs(15) };
        loop {
            self.app.env.mail_written.notify_one();
            let now = self.now();
            let due = move || {
                let begun_or_due = messages::attempts.gt(0).or(messages::due_at.le(now));
                messages::table.filter(messages::status.eq("pending")).filter(begun_or_due)
            };
            let waiting =
                self.app.env.db.read(move |conn| Ok(due().count().get_result::<i64>(conn)?)).await.expect("a count");
            if waiting == 0 || (may_wait && Instant::now() > patience) {
                break;
            }
            assert!(Instant::now() < patience, "{waiting} messages are still waiting at {now}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let at = self.now();
        for (server, read) in &mut self.mail_servers {
            let seen = server.seen();
            for (code, mail) in &seen[*read..] {
                assert_eq!(*code, 250);
                let message = mail.message_id.split('@').next().unwrap_or_default().to_owned();
                let (to, subject, text) = (mail.to.clone(), mail.subject.clone(), mail.text.clone());
                self.model.received.push(Received {
                    at,
                    message,
                    to,
                    subject: subject.clone(),
                    text: format!("{subject}\n{text}"),
                });
            }
            *read = seen.len();
        }
    }

    /// A key that no request has had.
    pub fn key(&mut self) -> String {
        self.keys += 1;
        format!("fortnight-{}", self.keys)
    }

    /// Remembers a booking that was acknowledged.
    pub fn booked(&mut self, appointment: &Value, patient: usize) {
        let text = |member: &str| appointment[member].as_str().expect("a text").to_owned();
        let term = Term::of(appointment, self.now());
        let ends_at: Timestamp = text("ends_at").parse().expect("an instant");
        let visit = Visit {
            patient,
            length: ends_at.since(term.starts_at),
            kind: text("visit_type_id"),
            practitioner: text("practitioner_id"),
            terms: vec![term],
            status: "booked",
            late: false,
        };
        assert!(
            self.model.visits.insert(text("id"), visit).is_none(),
            "one visit is acknowledged twice: {appointment}"
        );
    }

    /// Cuts off a server with requests on their way, and starts another one over the same database: with the mail server gone, or with new data of
    /// time zones. Callers whose request got no response repeat it with its key.
    pub async fn cut(mut self, with: Restart) -> Self {
        let mut sent = Vec::new();
        for _ in 0..6 {
            let Some((body, patient)) = self.wish().await else { continue };
            let (client, key, sending) = (self.desk.clone(), self.key(), body.clone());
            let reply = tokio::spawn({
                let key = key.clone();
                async move { client.post_with("/v1/appointments", sending, &[("Idempotency-Key", &key)]).await }
            });
            sent.push((reply, key, body, patient));
        }
        // Some are written meanwhile, some not.
        tokio::time::sleep(Duration::from_millis(4)).await;
        match with {
            Restart::WithoutMail => self.mail_servers.push((Smtp::closed(), 0)),
            Restart::WithNewLaw => {
                self.zones = folder(self.app.site.folder.path(), "2099b", RULES_OF_ZONE[1]);
            }
        }
        self.model.cuts.push(self.now());
        let flags = flags(&self.mail_servers.last().expect("a mail server").0, &self.zones);
        self.app = self.app.cut_off(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        self.desk = self.app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        for (reply, key, body, patient) in sent {
            let reply: Reply = match reply.await {
                Ok(reply) => reply,
                Err(_) => self.desk.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await,
            };
            if reply.status == 201 {
                self.booked(&reply.body, patient);
            }
        }
        self
    }
}
