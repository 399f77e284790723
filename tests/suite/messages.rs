//! Messages: sending, retries, failures, sending again; and who sees them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use jiff::SignedDuration;
use legwork::ids::{AppointmentId, MessageId};
use legwork::messages::mailer::Mailer;
use legwork::messages::model::{AppointmentMail, Envelope, Mail, Recipient};
use legwork::messages::{outbox, queue, worker};
use serde_json::{Value, json};

use crate::support::smtp::Smtp;
use crate::support::{App, Client, both, eventually};

/// A mail with a link.
fn reset(recipient: &str) -> Envelope {
    let mail = Mail::ResetPassword { token: "token-0123456789".into() };
    Envelope { recipient: mailbox(None, recipient), patient_id: None, appointment_id: None, mail }
}

fn mailbox(name: Option<&str>, email: &str) -> Recipient {
    Recipient { name: name.map(Into::into), email: Some(email.into()), phone: None, language: "en".into() }
}

/// A mail with a calendar invitation; the appointment need not exist.
fn booked(recipient: &str) -> Envelope {
    let mail = Mail::AppointmentBooked(AppointmentMail {
        appointment_id: AppointmentId(uuid::Uuid::from_u128(7)),
        sequence: 0,
        starts_at: "2026-03-09T13:30:00Z".parse().expect("an instant"),
        ends_at: "2026-03-09T14:30:00Z".parse().expect("an instant"),
        time_zone: "America/New_York".into(),
        visit: "Consultation".into(),
        practitioner: "Dr. Maya Osei".into(),
        location: "Riverside".into(),
        address: "12 Elm St, Springfield".into(),
        phone: "+12125550100".into(),
        confirmation_code: "K7QM-2XFH".into(),
        patient: None,
        token: None,
        cancel_until: None,
        forms_online: false,
        forms_due: false,
        cancelled_by_patient: false,
        zone_changed: false,
        unsubscribe: None,
        country: None,
    });
    Envelope { recipient: mailbox(Some("Zoë Ames"), recipient), patient_id: None, appointment_id: None, mail }
}

async fn enqueue(app: &App, envelope: Envelope) -> MessageId {
    let env = app.env.clone();
    app.db(move |tx| outbox::enqueue(tx, &env, &envelope)).await
}

/// Reads the message as the front desk until it is as expected.
async fn until(desk: &Client, id: MessageId, what: impl Fn(&Value) -> bool) -> Value {
    eventually(async || {
        let items = desk.get("/v1/messages").await.items();
        let message = items.into_iter().find(|item| item["id"] == id.to_string()).expect("the message");
        if what(&message) { Ok(message) } else { Err(format!("{message:#}")) }
    })
    .await
}

async fn until_status(desk: &Client, id: MessageId, status: &str) -> Value {
    until(desk, id, |message| message["status"] == status).await
}

/// Waits until this many attempts have failed and the message waits for a retry.
async fn until_put_off(app: &App, desk: &Client, id: MessageId, attempts: i64) -> Value {
    let leased_until = app.clock.now().plus(queue::LEASE).to_string();
    until(desk, id, |message| message["attempts"] == attempts && message["due_at"] != leased_until).await
}

/// Advances the clock and wakes the worker.
fn later(app: &App, span: SignedDuration) {
    app.clock.advance(span);
    app.env.mail_written.notify_one();
}

/// Starts a mail server that never acknowledges a mail. Returns its URL.
fn silent_at_the_end() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut out = stream.try_clone()?;
                out.write_all(b"220 mail.example\r\n")?;
                for line in BufReader::new(stream).lines() {
                    match line?.get(..4) {
                        Some("EHLO" | "MAIL" | "RCPT" | "NOOP") => out.write_all(b"250 ok\r\n")?,
                        Some("DATA") => out.write_all(b"354 go on\r\n")?,
                        _ => {}
                    }
                }
                Ok(())
            });
        }
    });
    url
}

both! {
    async fn messages_are_listed_by_patient_and_by_their_last_change(app: App) {
        let (clinic, ann, ben, desk) = (app.clinic().await, app.patient("ann").await, app.patient("ben").await, app.desk().await);
        for (nth, patient) in [&ann, &ben].into_iter().enumerate() {
            crate::support::booking::book_nth(patient, &clinic.check, nth, &patient.patient_id).await;
        }
        app.mails().await;
        let of_ann = format!("/v1/messages?patient_id={}", ann.patient_id);
        let found = desk.get(&of_ann).await.items();
        assert_eq!((found.len(), &found[0]["patient_id"], &found[0]["status"]), (1, &json!(ann.patient_id), &json!("sent")));
        ann.get(&of_ann).await.problem(403, "role_forbidden");

        // A change brings a message back, the oldest change first.
        let first = desk.get(&format!("/v1/messages?updated_since={}", app.clock.now())).await;
        assert_eq!((first.items().len(), first.body["next_updated_since"].is_null()), (2, false));
        app.clock.advance(SignedDuration::from_mins(5));
        let since = format!("/v1/messages?updated_since={}", app.clock.now());
        assert_eq!(desk.get(&since).await.items().len(), 0);
        desk.post_empty(&format!("/v1/messages/{}/resend", found[0]["id"].as_str().expect("an id"))).await.expect(202);
        app.mails().await;
        let changed = desk.get(&since).await.items();
        assert_eq!((changed.len(), &changed[0]["id"]), (1, &found[0]["id"]));
        assert_eq!(changed[0]["updated_at"], json!(app.clock.now().to_string()));
        assert_eq!(desk.get(&format!("{since}&patient_id={}", ben.patient_id)).await.items().len(), 0);
        desk.get(&format!("{since}&sort=-created_at")).await.invalid("?sort", "out_of_range");
    }

    async fn a_mail_in_progress_does_not_delay_the_shutdown(app: App) {
        let app = app.restart(&["--smtp-url", &silent_at_the_end()]);
        let desk = app.desk().await;
        let id = enqueue(&app, reset("ann@example.org")).await;
        until(&desk, id, |message| message["attempts"] == 1).await;
        let leased_until = app.clock.now().plus(queue::LEASE).to_string();
        let app = app.restart(&[]);
        // The account of the front desk was made before the restart.
        let admin = app.admin().await;
        // The server stopped before the attempt timed out, which would have rescheduled the message.
        let message = until(&admin, id, |_| true).await;
        assert_eq!((&message["status"], &message["attempts"]), (&json!("pending"), &json!(1)));
        assert_eq!(message["due_at"], leased_until);
        later(&app, queue::LEASE);
        until_status(&admin, id, "sent").await;
    }

    async fn a_mail_is_rendered_and_sent_with_its_invitation(app: App) {
        enqueue(&app, booked("zoe@example.org")).await;
        let mails = app.mails_to("zoe@example.org").await;
        assert_eq!(mails.len(), 1);
        let mail = &mails[0];
        assert_eq!(mail.subject, "Your appointment: Monday, March 9, 9:30 AM");
        assert!(mail.text.contains("Dear Zoë Ames,"), "{}", mail.text);
        assert!(mail.text.contains("Monday, March 9, 2026, 9:30 AM (America/New_York, EDT)"), "{}", mail.text);
        assert!(mail.html.contains("K7QM-2XFH"), "{}", mail.html);
        let ics = mail.ics.as_deref().expect("an invitation");
        for line in [
            "METHOD:REQUEST",
            "TZID:America/New_York",
            "DTSTART;TZID=America/New_York:20260309T093000",
            "DTEND;TZID=America/New_York:20260309T103000",
            "SEQUENCE:0",
        ] {
            assert!(ics.contains(&format!("{line}\r\n")), "{line} in {ics}");
        }
    }

    async fn a_mail_of_a_rolled_back_transaction_is_never_sent(app: App) {
        let env = app.env.clone();
        let refused: Result<(), _> = app.env.db.write(move |tx| {
            outbox::enqueue(tx, &env, &reset("ann@example.org"))?;
            Err(legwork::error::Error::NotFound)
        }).await;
        assert!(refused.is_err());
        enqueue(&app, reset("bob@example.org")).await;
        let to: Vec<_> = app.mails().await.into_iter().map(|mail| mail.to).collect();
        assert_eq!(to, ["bob@example.org"]);
    }

    async fn messages_wait_while_the_mail_server_is_down_and_are_sent_when_it_is_back(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let desk = app.desk().await;
        let id = enqueue(&app, reset("ann@example.org")).await;
        let waiting = until_put_off(&app, &desk, id, 1).await;
        assert_eq!((&waiting["status"], &waiting["last_error"]), (&json!("pending"), &json!("connection")));
        later(&app, SignedDuration::from_secs(30));
        until_put_off(&app, &desk, id, 2).await;
        smtp.reopen();
        later(&app, SignedDuration::from_mins(1));
        let sent = until_status(&desk, id, "sent").await;
        assert_eq!(sent["last_error"], Value::Null);
        assert_eq!(sent["sent_at"], app.clock.now().to_string());
        let seen = smtp.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].1.token(), "token-0123456789");
    }

    async fn a_mail_that_is_retried_twice_keeps_its_message_id(app: App) {
        let smtp = Smtp::open();
        smtp.answer(&[451, 451]);
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let desk = app.desk().await;
        let id = enqueue(&app, reset("ann@example.org")).await;
        assert_eq!(until_put_off(&app, &desk, id, 1).await["last_error"], "smtp_451");
        later(&app, SignedDuration::from_secs(30));
        assert_eq!(until_put_off(&app, &desk, id, 2).await["last_error"], "smtp_451");
        later(&app, SignedDuration::from_secs(60));
        until_status(&desk, id, "sent").await;
        let seen = smtp.seen();
        let codes: Vec<_> = seen.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [451, 451, 250]);
        assert!(seen.iter().all(|(_, mail)| mail.message_id == seen[0].1.message_id && !mail.message_id.is_empty()));
    }

    async fn a_rejected_mail_fails_and_the_desk_can_send_it_again(app: App) {
        let smtp = Smtp::open();
        smtp.answer(&[550]);
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let desk = app.desk().await;
        let id = enqueue(&app, reset("ann@example.org")).await;
        let failed = until_status(&desk, id, "failed").await;
        assert_eq!(failed["last_error"], "smtp_550");
        assert_eq!(failed["recipient"]["email"], "ann@example.org");
        assert_eq!(failed["kind"], "reset_password");
        let reply = desk.get("/v1/messages?status=failed").await;
        reply.expect(200);
        assert_eq!(reply.body["items"].as_array().expect("items").len(), 1);
        assert!(!reply.text.contains("secret words") && !reply.text.contains("token-"), "{}", reply.text);
        later(&app, SignedDuration::from_hours(24));
        assert_eq!(smtp.seen().len(), 1, "a refused mail is not tried by itself");

        let path = format!("/v1/messages/{id}/resend");
        let resend = || async { desk.send(reqwest::Method::POST, &path, &[("Idempotency-Key", "again")], None).await };
        let first = resend().await;
        first.expect(202);
        assert_eq!((&first.body["status"], &first.body["attempts"]), (&json!("pending"), &json!(0)));
        until_status(&desk, id, "sent").await;
        let repeated = resend().await;
        repeated.expect(202);
        assert_eq!(repeated.body, first.body);
        until_status(&desk, id, "sent").await;
        let seen = smtp.seen();
        assert_eq!(seen.len(), 2, "one key, one mail");
        assert_ne!(seen[0].1.message_id, seen[1].1.message_id, "a mailbox would drop a second one of the same id");
    }

    async fn a_custom_template_is_used_and_a_broken_one_makes_the_message_fail(app: App) {
        let folder = app.site.folder.path().join("templates");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("reset_password.txt"), "Our own words: {{ link }}").expect("written");
        let app = app.restart(&["--template-dir", folder.to_str().expect("a path")]);
        let desk = app.desk().await;
        let id = enqueue(&app, reset("ann@example.org")).await;
        until_status(&desk, id, "sent").await;
        let own = "Our own words: https://legwork.example/set-password#token=token-0123456789";
        assert_eq!(app.mails().await[0].text.trim(), own);

        std::fs::write(folder.join("reset_password.txt"), "Our own words: {{ lnik }}").expect("written");
        let id = enqueue(&app, reset("ann@example.org")).await;
        let failed = until_status(&desk, id, "failed").await;
        assert_eq!((&failed["last_error"], &failed["attempts"]), (&json!("template"), &json!(1)));

        std::fs::remove_file(folder.join("reset_password.txt")).expect("removed");
        desk.post_empty(&format!("/v1/messages/{id}/resend")).await.expect(202);
        until_status(&desk, id, "sent").await;
    }

    async fn an_invalid_address_fails_one_message_and_no_other(app: App) {
        let desk = app.desk().await;
        let wrong = enqueue(&app, reset("ann@example.org\r\nBcc: bob@example.org")).await;
        let right = enqueue(&app, reset("bob@example.org")).await;
        assert_eq!(until_status(&desk, wrong, "failed").await["last_error"], "address");
        until_status(&desk, right, "sent").await;
        assert_eq!(app.mails().await.len(), 1);
    }

    async fn several_workers_send_each_mail_once(app: App) {
        let smtp = Smtp::open();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let env = app.env.clone();
        let ids = app.db(move |tx| {
            (0..40).map(|n| outbox::enqueue(tx, &env, &reset(&format!("p{n}@example.org")))).collect::<Result<Vec<_>, _>>()
        }).await;
        let mailers: Vec<_> =
            (0..3).map(|_| Mailer::new(&app.env.config.settings).expect("a mailer")).collect();
        futures_util::future::join_all(mailers.iter().map(|mailer| async {
            loop {
                let leased = worker::lease(&app.env, 4, Vec::new()).await.expect("a round");
                if leased.count == 0 {
                    break;
                }
                for together in leased.to_send {
                    worker::send(&app.env, mailer, together, leased.phone.clone()).await;
                }
            }
        })).await;
        let seen = smtp.wait_for(ids.len()).await;
        // Once no message is due or under way, none is sent any more.
        app.mails().await;
        let mut to: Vec<_> = seen.into_iter().map(|(_, mail)| mail.to).collect();
        to.sort();
        to.dedup();
        assert_eq!((to.len(), smtp.seen().len()), (40, 40));
    }

    async fn row_03_mails_that_strangers_cause_wait_for_all_others(app: App) {
        let env = app.env.clone();
        let (registered, others, leased) = app.db(move |tx| {
            let mut registered = Vec::new();
            for number in 0..20 {
                let mail = Mail::VerifyEmail { token: "token-0123456789".into(), registration: None, reservation: None };
                let recipient = mailbox(None, &format!("stranger{number}@example.org"));
                registered.push(outbox::enqueue(tx, &env, &Envelope { recipient, patient_id: None, appointment_id: None, mail })?);
            }
            let others = [outbox::enqueue(tx, &env, &reset("ann@example.org"))?, outbox::enqueue(tx, &env, &booked("bob@example.org"))?];
            let mut leased = Vec::new();
            for _ in 0..6 {
                leased.push(queue::lease(tx, env.now(), 4, &[])?.iter().map(|message| message.id).collect::<Vec<_>>());
            }
            Ok((registered, others, leased))
        }).await;
        assert_eq!(leased[0].len(), 4);
        assert!(others.iter().all(|id| leased[0].contains(id)), "{leased:?}");
        let all: BTreeSet<_> = leased.concat().into_iter().collect();
        assert_eq!(all, registered.into_iter().chain(others).collect(), "each is leased once");
    }

    async fn a_message_whose_worker_died_is_sent_after_its_lease_expires(app: App) {
        let desk = app.desk().await;
        let env = app.env.clone();
        let (id, leased) = app.db(move |tx| {
            let id = outbox::enqueue(tx, &env, &reset("ann@example.org"))?;
            Ok((id, queue::lease(tx, env.now(), 10, &[])?.len()))
        }).await;
        assert_eq!(leased, 1);
        assert_eq!(worker::lease(&app.env, 4, Vec::new()).await.expect("a step").count, 0, "nothing is due before the lease ends");
        assert_eq!(until(&desk, id, |_| true).await["status"], "pending");
        later(&app, queue::LEASE);
        assert_eq!(until_status(&desk, id, "sent").await["attempts"], 2);
    }

    async fn only_the_front_desk_and_administrators_see_messages(app: App) {
        let id = enqueue(&app, reset("ann@example.org")).await;
        app.mails().await;
        for (method, path) in
            [(reqwest::Method::GET, "/v1/messages".to_owned()), (reqwest::Method::POST, format!("/v1/messages/{id}/resend"))]
        {
            app.anon().send(method.clone(), &path, &[], None).await.problem(401, "unauthenticated");
            app.doctor().await.send(method.clone(), &path, &[], None).await.problem(403, "role_forbidden");
        }
        app.admin().await.get("/v1/messages").await.expect(200);
        let desk = app.desk().await;
        desk.post_empty(&format!("/v1/messages/{}/resend", uuid::Uuid::from_u128(1))).await.problem(404, "not_found");
        desk.post_empty("/v1/messages/nonsense/resend").await.problem(404, "not_found");
        desk.get("/v1/messages?status=lost").await.invalid("?status", "not_an_option");
        desk.get("/v1/messages?cursor=x").await.invalid("?cursor", "invalid_cursor");
        desk.get("/v1/messages?limit=0").await.invalid("?limit", "out_of_range");
        desk.get("/v1/messages?state=sent").await.invalid("?state", "unknown_parameter");
    }

    async fn a_pending_message_cannot_be_sent_again(app: App) {
        let smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let desk = app.desk().await;
        let id = enqueue(&app, reset("ann@example.org")).await;
        desk.post_empty(&format!("/v1/messages/{id}/resend")).await.problem(409, "message_pending");
    }

    async fn pages_of_messages_list_each_once_the_newest_first(app: App) {
        let desk = app.desk().await;
        let mut ids = Vec::new();
        for n in 0..7 {
            // Some at the same instant, some at others.
            app.clock.advance(SignedDuration::from_secs(n / 3));
            ids.push(enqueue(&app, reset("ann@example.org")).await.to_string());
        }
        app.mails().await;
        ids.reverse();
        let mut seen = Vec::new();
        let mut path = "/v1/messages?status=sent&limit=3".to_owned();
        loop {
            let reply = desk.get(&path).await;
            let items = reply.expect(200).body["items"].as_array().expect("items");
            seen.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
            let Some(cursor) = reply.body["next_cursor"].as_str() else { break };
            path = format!("/v1/messages?status=sent&limit=3&cursor={cursor}");
        }
        assert_eq!(seen, ids);
    }

    async fn the_gauges_count_pending_and_failed_messages(app: App) {
        enqueue(&app, reset("nobody")).await;
        app.mails().await;
        let smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let figures = eventually(async || {
            let text = app.anon().get("/metrics").await.text;
            if text.contains("legwork_outbox_messages{status=\"failed\"} 1") { Ok(text) } else { Err(text) }
        })
        .await;
        assert!(figures.contains("legwork_outbox_messages{status=\"pending\"} 0"), "{figures}");
    }
}
