//! Reminders of visits: when they are sent, to whom, and how they are switched off.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::appointments::reminders::sending;
use legwork::db::schema::{audit_events, reminders};
use serde_json::{Value, json};

use crate::support::booking::{book, path};
use crate::support::families::{access, person, registered, registration};
use crate::support::mails::Mail;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::smtp::Smtp;
use crate::support::{App, Client, Engine, Reply, both, eventually};

/// Wednesday, 18 March 2026, 10:00 in New York.
const VISIT: &str = "2026-03-18T14:00:00Z";
const REMINDER: &str = "Reminder of your appointment: Wednesday, March 18, 10:00 AM";

/// A server that sends reminders.
pub(crate) fn reminding(app: App, more: &[&str]) -> App {
    app.restart(&[&["--reminders", "7d,48h,2h"], more].concat())
}

/// Books the visit that starts at this instant.
pub(crate) async fn booked_at(app: &App, client: &Client, visit_type: &str, patient: &str, start: &str) -> Value {
    let slots = client.get(&format!("/v1/slots?visit_type_id={visit_type}&from={start}&limit=1")).await.items();
    assert_eq!(slots[0]["starts_at"], start);
    let booked = book(client, &slots[0], visit_type, patient).await;
    // A reminder is not sent while this mail waits.
    app.mails().await;
    booked.expect(201).body.clone()
}

/// Sets the clock and runs the job. Returns the number of reminders since, also of the server's own job.
pub(crate) async fn at(app: &App, now: &str) -> i64 {
    let count = async || app.db(|conn| Ok(reminders::table.count().get_result::<i64>(conn)?)).await;
    let before = count().await;
    app.clock.set(now.parse().expect("an instant"));
    sending::run(&app.env).await.expect("a run");
    // The clock moves on only when the mails are sent, unless the test has a mail server.
    if app.env.config.settings.smtp_url.is_none() {
        app.mails().await;
    }
    count().await - before
}

/// Signs in at a server that was started again.
pub(crate) async fn again(app: &App, email: &str) -> Client {
    app.anon().sign_in(email, PASSWORD).await
}

pub(crate) async fn reminders_to(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    mails.into_iter().filter(|mail| mail.subject.starts_with("Rem") || mail.subject.starts_with("Recor")).collect()
}

/// The statuses of the messages of this kind, the oldest first.
async fn statuses(desk: &Client, kind: &str) -> Vec<String> {
    let all = desk.get("/v1/messages?sort=created_at&limit=200").await.items();
    all.iter().filter(|one| one["kind"] == kind).map(|one| one["status"].as_str().expect("a status").into()).collect()
}

async fn until_statuses(app: &App, desk: &Client, kind: &str, expected: &[&str]) {
    eventually(async || {
        app.env.mail_written.notify_one();
        let found = statuses(desk, kind).await;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

/// The link in the header with which mail programs unsubscribe, without the origin.
fn one_click(mail: &Mail) -> String {
    assert!(mail.raw.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{}", mail.raw);
    let (_, rest) = mail.raw.split_once("List-Unsubscribe: <https://legwork.example").expect("a header");
    rest.split_once('>').expect("its end").0.to_owned()
}

async fn wants(desk: &Client, patient: &str) -> bool {
    desk.get(&format!("/v1/patients/{patient}")).await.body["reminders_wanted"].as_bool().expect("a value")
}

async fn without_email(desk: &Client) -> String {
    let mut body = patient_json("Rosa", "unused@patients.example");
    body["email"] = Value::Null;
    desk.post("/v1/patients", body).await.expect(201).id()
}

async fn calls(desk: &Client) -> Vec<Value> {
    desk.get("/v1/messages?status=to_phone").await.items()
}

async fn complete(desk: &Client, call: &Value) -> Reply {
    desk.post(&format!("/v1/messages/{}/complete", call["id"].as_str().expect("an id")), json!({})).await
}

both! {
    async fn each_reminder_is_sent_once_with_a_link_to_confirm_and_the_missing_forms(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        booked_at(&app, &ann, &clinic.new_visit, &ann.patient_id, VISIT).await;
        assert_eq!(at(&app, "2026-03-11T13:59:59Z").await, 0);
        assert_eq!((at(&app, "2026-03-11T14:00:00Z").await, at(&app, "2026-03-11T14:00:00Z").await), (1, 0));
        let mail = reminders_to(&app, &ann.email).await.pop().expect("a mail");
        assert_eq!(mail.subject, REMINDER);
        assert!(mail.ics.is_none() && mail.text.contains("fill in the forms before your visit. We still need them"), "{}", mail.text);
        let confirmed = app.anon().post("/v1/appointment-links/confirm", json!({"token": mail.token()})).await;
        assert_ne!(confirmed.expect(200).body["confirmed_at"], Value::Null);
        for (now, count) in [
            ("2026-03-16T13:59:59Z", 0), ("2026-03-16T14:00:00Z", 1), ("2026-03-18T11:59:59Z", 0), ("2026-03-18T12:00:00Z", 1),
            ("2026-03-18T13:00:00Z", 0), ("2026-03-18T14:00:00Z", 0), ("2026-03-19T14:00:00Z", 0),
        ] {
            assert_eq!(at(&app, now).await, count, "{now}");
        }
        assert_eq!(reminders_to(&app, &ann.email).await.len(), 3);
    }

    async fn after_an_outage_one_reminder_is_sent_if_it_still_makes_sense(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann, ben) = (app.clinic().await, app.patient("ann").await, app.patient("ben").await);
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        booked_at(&app, &ben, &clinic.check, &ben.patient_id, "2026-03-18T13:00:00Z").await;
        // Ben's visit begins in ten minutes.
        assert_eq!(at(&app, "2026-03-18T12:50:00Z").await, 1);
        assert_eq!((reminders_to(&app, &ann.email).await.len(), reminders_to(&app, &ben.email).await.len()), (1, 0));
        assert_eq!(at(&app, "2026-03-18T13:00:00Z").await, 0);
    }

    async fn a_visit_that_was_cancelled_moved_or_has_begun_is_reminded_of_by_its_present_state(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann, ben, desk) = (app.clinic().await, app.patient("ann").await, app.patient("ben").await, app.desk().await);
        let cancelled = booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        let moved = booked_at(&app, &ben, &clinic.check, &ben.patient_id, "2026-03-18T15:00:00Z").await;
        ann.post(&path(&cancelled, "/cancel"), json!({"reason": "Travelling"})).await.expect(200);
        // Ben is told of the new time six hours before the reminder would come.
        app.clock.set("2026-03-12T08:00:00Z".parse().expect("an instant"));
        let slots = ben.get(&format!("/v1/slots?visit_type_id={}&from=2026-03-19T14:00:00Z&limit=1", clinic.check)).await.items();
        ben.post(&path(&moved, "/reschedule"), json!({"slot_id": slots[0]["id"]})).await.expect(200);
        assert_eq!((at(&app, "2026-03-12T14:00:00Z").await, at(&app, "2026-03-16T15:00:00Z").await), (0, 0));
        assert_eq!(at(&app, "2026-03-17T14:00:00Z").await, 1);
        let mail = reminders_to(&app, &ben.email).await.pop().expect("a mail");
        assert!(mail.subject.contains("Thursday, March 19"), "{}", mail.subject);
        // The patient has come early.
        app.clock.set("2026-03-19T11:30:00Z".parse().expect("an instant"));
        desk.post_empty(&path(&moved, "/check-in")).await.expect(200);
        assert_eq!(at(&app, "2026-03-19T12:00:00Z").await, 0);
    }

    async fn a_reminder_waits_for_the_end_of_the_quiet_hours(app: App) {
        let app = reminding(app, &["--quiet-hours", "11:00-20:00"]);
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        // 11:30 in New York, after the clocks have gone forward: a week before it is 10:30 there.
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, "2026-03-13T15:30:00Z").await;
        assert_eq!((at(&app, "2026-03-06T15:29:00Z").await, at(&app, "2026-03-06T15:30:00Z").await), (0, 1));
        // Two days before it is 11:30, so it waits until 20:00.
        assert_eq!((at(&app, "2026-03-11T15:30:00Z").await, at(&app, "2026-03-11T23:59:00Z").await), (0, 0));
        assert_eq!(at(&app, "2026-03-12T00:00:00Z").await, 1);
        assert_eq!(reminders_to(&app, &ann.email).await.len(), 2);
    }

    async fn several_instances_send_one_reminder(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        app.clock.set("2026-03-11T14:00:00Z".parse().expect("an instant"));
        for run in futures_util::future::join_all((0..4).map(|_| sending::run(&app.env))).await {
            run.expect("a run");
        }
        assert_eq!(reminders_to(&app, &ann.email).await.len(), 1);
    }

    async fn a_failure_between_the_reminder_and_its_mail_leaves_neither_and_is_tried_again(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        let (broken, whole) = match app.engine {
            Engine::Sqlite => (
                "CREATE TRIGGER broken BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'broken'); END;",
                "DROP TRIGGER broken;",
            ),
            Engine::Postgres => (
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;
                 CREATE TRIGGER broken BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION broken();",
                "DROP TRIGGER broken ON messages;",
            ),
        };
        app.db(move |conn| Ok(conn.batch_execute(broken)?)).await;
        assert_eq!(at(&app, "2026-03-11T14:00:00Z").await, 0);
        assert_eq!(app.db(|conn| Ok(reminders::table.count().get_result::<i64>(conn)?)).await, 0);
        app.db(move |conn| Ok(conn.batch_execute(whole)?)).await;
        assert_eq!((at(&app, "2026-03-11T14:14:00Z").await, at(&app, "2026-03-11T14:15:00Z").await), (0, 1));
        assert_eq!(reminders_to(&app, &ann.email).await.len(), 1);
    }

    async fn a_reminder_that_waits_for_the_mail_server_is_sent_only_while_it_makes_sense(app: App) {
        let app = reminding(app, &[]);
        let clinic = app.clinic().await;
        app.desk().await;
        let (ann, ben, cleo, dan) =
            (app.patient("ann").await, app.patient("ben").await, app.patient("cleo").await, app.patient("dan").await);
        let mut visits = Vec::new();
        for (patient, start) in [(&ann, VISIT), (&ben, "2026-03-18T14:15:00Z"), (&cleo, "2026-03-18T14:30:00Z"), (&dan, "2026-03-18T14:45:00Z")] {
            visits.push(booked_at(&app, patient, &clinic.check, &patient.patient_id, start).await);
        }
        let mut smtp = Smtp::closed();
        let app = reminding(app, &["--smtp-url", &smtp.url()]);
        assert_eq!(at(&app, "2026-03-16T14:45:00Z").await, 4);
        let (desk, cleos) = (again(&app, "desk@clinic.example").await, cleo.patient_id.clone());
        let (ann, ben, cleo) = (again(&app, &ann.email).await, again(&app, &ben.email).await, again(&app, &cleo.email).await);
        assert_eq!(statuses(&desk, "appointment_reminder").await, ["pending"; 4]);
        app.mails_tried().await;
        ann.post(&path(&visits[0], "/cancel"), json!({"reason": "Travelling"})).await.expect(200);
        let slots = ben.get(&format!("/v1/slots?visit_type_id={}&from=2026-03-19T14:00:00Z&limit=1", clinic.check)).await.items();
        ben.post(&path(&visits[1], "/reschedule"), json!({"slot_id": slots[0]["id"]})).await.expect(200);
        cleo.update(&format!("/v1/patients/{cleos}"), json!({"reminders_wanted": false})).await.expect(200);
        // Nobody is written to in the night.
        smtp.reopen();
        app.clock.set("2026-03-17T03:00:00Z".parse().expect("an instant"));
        until_statuses(&app, &desk, "appointment_reminder", &["done", "done", "done", "pending"]).await;
        app.clock.set("2026-03-17T13:00:00Z".parse().expect("an instant"));
        until_statuses(&app, &desk, "appointment_reminder", &["done", "done", "done", "sent"]).await;
        let sent: Vec<_> = smtp.seen().into_iter().filter(|(_, mail)| mail.subject.starts_with("Reminder")).collect();
        assert_eq!(sent.iter().map(|(_, mail)| mail.to.as_str()).collect::<Vec<_>>(), ["dan@patients.example"]);
    }

    async fn a_reminder_that_the_mail_server_takes_only_after_the_visit_is_dropped(app: App) {
        let mut smtp = Smtp::closed();
        let app = reminding(app, &[]);
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        app.desk().await;
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        let app = reminding(app, &["--smtp-url", &smtp.url()]);
        assert_eq!(at(&app, "2026-03-18T12:00:00Z").await, 1);
        app.clock.set("2026-03-18T13:30:01Z".parse().expect("an instant"));
        smtp.reopen();
        until_statuses(&app, &again(&app, "desk@clinic.example").await, "appointment_reminder", &["done"]).await;
        assert!(smtp.seen().is_empty());
    }

    async fn a_patient_who_does_not_want_reminders_gets_none(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let record = format!("/v1/patients/{}", ann.patient_id);
        assert!(wants(&desk, &ann.patient_id).await);
        ann.update(&record, json!({"reminders_wanted": null})).await.invalid("/reminders_wanted", "wrong_type");
        ann.update(&record, json!({"reminders_wanted": false})).await.expect(200);
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        assert_eq!((at(&app, "2026-03-11T14:00:00Z").await, app.mails_to(&ann.email).await.len()), (0, 1));
        // Who wants them again gets the next one.
        ann.update(&record, json!({"reminders_wanted": true})).await.expect(200);
        assert_eq!((at(&app, "2026-03-12T14:00:00Z").await, at(&app, "2026-03-16T14:00:00Z").await), (0, 1));
    }

    async fn one_click_in_a_mail_program_or_a_page_without_a_script_switches_reminders_off_and_on(app: App) {
        let app = reminding(app, &[]);
        let (clinic, ann, desk, anyone) = (app.clinic().await, app.patient("ann").await, app.desk().await, app.anon());
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        at(&app, "2026-03-11T14:00:00Z").await;
        let mail = reminders_to(&app, &ann.email).await.pop().expect("a mail");
        let link = one_click(&mail);
        assert!(mail.text.contains(&format!("https://legwork.example{link}")) && mail.html.contains("switch off reminders"));

        // Programs that check links change nothing.
        let page = anyone.get(&link).await;
        assert!(page.expect(200).text.contains("Switch off reminders?") && !page.text.contains("<script"), "{}", page.text);
        assert!(wants(&desk, &ann.patient_id).await);
        let clicked = anyone.post_form(&link, &[("List-Unsubscribe", "One-Click")], &[]).await;
        assert!(clicked.expect(200).text.contains("Reminders are off"), "{}", clicked.text);
        assert!(!wants(&desk, &ann.patient_id).await);
        assert_eq!(at(&app, "2026-03-16T14:00:00Z").await, 0);

        let token = link.split_once("token=").expect("a token").1;
        let fields = [("token", token), ("wanted", "yes")];
        let again = anyone.post_form("/reminders?lang=es", &fields, &[("Sec-Fetch-Site", "same-origin")]).await;
        assert!(again.expect(200).text.contains("Los recordatorios están activados"), "{}", again.text);
        assert!(wants(&desk, &ann.patient_id).await);
        anyone.post_form(&link, &[("wanted", "no")], &[("Sec-Fetch-Site", "cross-site")]).await.problem(403, "foreign_form");
        anyone.post_form("/reminders?token=unknown", &[("List-Unsubscribe", "One-Click")], &[]).await.expect(404);
        let body = |token: &str| json!({"token": token, "reminders_wanted": false});
        anyone.post("/v1/reminder-preferences", body("unknown")).await.problem(404, "not_found");
        anyone.post("/v1/reminder-preferences", body(token)).await.expect(204);
        assert!(!wants(&desk, &ann.patient_id).await);
        let noted = app.db(|conn| {
            let events = audit_events::table.filter(audit_events::operation.eq("change_reminder_preference"));
            Ok(events.filter(audit_events::patient_id.is_not_null()).count().get_result::<i64>(conn)?)
        });
        assert!(noted.await >= 2);
    }

    async fn the_link_that_switches_reminders_off_ends_with_the_access_the_address_and_the_links_of_the_visit(app: App) {
        let app = reminding(app, &[]);
        let (clinic, desk, anyone) = (app.clinic().await, app.desk().await, app.anon());
        let mut child = person("Tim", "2018-07-04");
        child["preferred_language"] = json!("en");
        let rosa = registered(&app, registration("rosa@example.org", "parent", "Rosa Example", child)).await;
        let tim = rosa.get("/v1/me").await.string("/patients/0/id");
        let ann = app.patient("ann").await;
        let visit = booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        booked_at(&app, &rosa, &clinic.check, &tim, "2026-03-18T14:15:00Z").await;
        at(&app, "2026-03-11T14:15:00Z").await;
        let link = async |address: &str| one_click(&reminders_to(&app, address).await.pop().expect("a reminder"));
        let (hers, parents) = (link(&ann.email).await, link("rosa@example.org").await);
        let click = async |link: &str| anyone.post_form(link, &[("List-Unsubscribe", "One-Click")], &[]).await.status;
        assert_eq!((click(&hers).await, click(&parents).await), (200, 200));

        desk.delete(&format!("{}/{}", access(&tim), rosa.user_id)).await.expect(204);
        assert_eq!((click(&hers).await, click(&parents).await), (200, 404));
        let record = format!("/v1/patients/{}", ann.patient_id);
        desk.update(&record, json!({"email": "another@example.org"})).await.expect(200);
        assert_eq!(click(&hers).await, 404);
        desk.update(&record, json!({"email": ann.email})).await.expect(200);
        assert_eq!(click(&hers).await, 200);
        // After the visit too, until staff end its links.
        app.clock.set("2026-03-18T20:00:00Z".parse().expect("an instant"));
        assert_eq!(click(&hers).await, 200);
        desk.delete(&path(&visit, "/links")).await.expect(204);
        assert_eq!(click(&hers).await, 404);
    }

    async fn a_patient_without_an_address_is_called_once_a_day_or_more_before_unless_confirmed(app: App) {
        let app = reminding(app, &[]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let rosa = without_email(&desk).await;
        let visit = booked_at(&app, &desk, &clinic.check, &rosa, VISIT).await;
        let confirmed = booked_at(&app, &desk, &clinic.check, &rosa, "2026-03-17T14:00:00Z").await;
        desk.post_empty(&path(&confirmed, "/confirm")).await.expect(200);
        for call in calls(&desk).await {
            complete(&desk, &call).await.expect(200);
        }
        assert_eq!((at(&app, "2026-03-11T14:00:00Z").await, at(&app, "2026-03-16T14:00:00Z").await), (0, 1));
        let open = calls(&desk).await;
        assert_eq!((open.len(), &open[0]["kind"], &open[0]["appointment_id"]), (1, &json!("appointment_reminder"), &visit["id"]));
        let words = open[0]["to_say"].as_str().expect("words");
        assert!(words.contains("Can you come?") && words.contains("forms to fill in"), "{words}");
        // The call is useless when the visit begins.
        assert_eq!((at(&app, "2026-03-18T12:00:00Z").await, calls(&desk).await.len()), (0, 1));
        assert_eq!((at(&app, "2026-03-18T14:00:00Z").await, calls(&desk).await.len()), (0, 0));
    }

    async fn a_visit_about_which_the_desk_has_to_call_anyway_gets_no_second_call(app: App) {
        let app = reminding(app, &[]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let rosa = without_email(&desk).await;
        booked_at(&app, &desk, &clinic.check, &rosa, VISIT).await;
        assert_eq!((at(&app, "2026-03-16T14:00:00Z").await, calls(&desk).await.len()), (0, 1));
    }

    async fn a_change_of_the_setting_applies_to_visits_that_were_booked_before(app: App) {
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        booked_at(&app, &ann, &clinic.check, &ann.patient_id, VISIT).await;
        assert_eq!(at(&app, "2026-03-02T15:00:00Z").await, 0);
        let app = reminding(app, &[]);
        app.clock.advance(SignedDuration::from_secs(1));
        let next = eventually(async || {
            let next = app.db(|conn| Ok(legwork::db::schema::appointments::table
                .select(legwork::db::schema::appointments::remind_at)
                .first::<Option<legwork::clock::Timestamp>>(conn)?)).await;
            let planned = next.filter(|next| next.to_string() == "2026-03-11T14:00:00Z");
            if planned.is_none() { sending::run(&app.env).await.expect("a run"); }
            planned.ok_or_else(|| format!("{next:?}"))
        });
        next.await;
        assert_eq!(at(&app, "2026-03-11T14:00:00Z").await, 1);
        let _ = ann;
    }
}
