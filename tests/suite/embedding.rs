//! The booking pages in a frame on the clinic's own site, which has another origin.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::booking_pages::{ANN, Fields, fill_in, hidden, send, times, with};
use crate::support::browser::{Browser, on_a_phone};
use crate::support::people::PASSWORD;
use crate::support::{App, Reply, both};

/// The clinic's own site. Each of its pages shows the page of the service that has the same path in a frame.
struct ClinicSite {
    listener: TcpListener,
    /// The same machine has two names, which are two sites for a browser.
    origin: String,
    other_origin: String,
}

impl ClinicSite {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Self { listener, origin: format!("http://localhost:{port}"), other_origin: format!("http://127.0.0.1:{port}") }
    }

    /// Serves the pages until the test ends.
    fn serve(self, service: String) {
        tokio::spawn(async move {
            while let Ok((stream, _)) = self.listener.accept().await {
                // A browser opens connections that it does not use.
                tokio::spawn(answer(stream, service.clone()));
            }
        });
    }
}

async fn answer(mut stream: TcpStream, service: String) {
    let mut head = [0; 4096];
    let length = stream.read(&mut head).await.unwrap_or_default();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("/");
    let page = format!(
        "<!DOCTYPE html><meta name=viewport content='width=device-width'><title>Clinic</title><p style='height: 40rem'>Welcome</p>\
         <iframe src='{service}{path}' title='Book a visit' style='width: 100%; height: 5rem; border: 0'></iframe>\
         <script src='{service}/pages/embed.js'></script>"
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// Chooses a time in the frame.
async fn choose_a_time(phone: &Browser, page: &str) {
    phone.open_page(page).await;
    phone.enter_frame().await;
    phone.see("What would you like to book?").await;
    phone.expect_accessible().await;
    phone.press("Choose a day: New patient").await;
    phone.see("Tuesday, March 3").await;
    phone.press_first(".days a").await;
    phone.see("Dr. Ada Vein").await;
    phone.press_first("[name=slot_id]").await;
    phone.see("Your details").await;
}

#[test]
fn a_visit_is_booked_in_a_frame_on_the_clinics_site() {
    on_a_phone(async |app: App, phone: Browser| {
        let site = ClinicSite::new().await;
        let app = app.restart(&["--embed-origins", &site.origin]);
        app.clinic().await;
        let (listed, other) = (site.origin.clone(), site.other_origin.clone());
        site.serve(app.base.clone());
        choose_a_time(&phone, &format!("{listed}/book?lang=en")).await;
        fill_in(&phone, "en", "rosa@example.org").await;
        // The frame is as high as its page, and begins at the top of what the phone shows.
        let height = phone.run("return document.documentElement.offsetHeight").await.as_f64().expect("a height");
        phone.leave_frame().await;
        let frame = phone.run("return document.querySelector('iframe').offsetHeight").await.as_f64().expect("a height");
        assert!((frame - height).abs() <= 1.0 && height > 400.0, "{frame} {height}");
        let top = phone.run("return document.querySelector('iframe').getBoundingClientRect().top").await;
        assert!(top.as_f64().is_some_and(|top| top >= -1.0), "{top}");
        let link = crate::pages::link(&app, "rosa@example.org").await;
        phone.open_page(&link).await;
        phone.press("Confirm my address").await;
        phone.see("Your visit is booked").await;

        // Neither another site nor another page.
        for page in [format!("{other}/book?lang=en"), format!("{listed}/sign-in?lang=en"), format!("{listed}/?lang=en")]
        {
            phone.open_page(&page).await;
            phone.enter_frame().await;
            let shown = phone.run("return [location.protocol, document.querySelectorAll('form, main').length]").await;
            assert_eq!(shown, json!(["chrome-error:", 0]), "{page}");
        }
    });
}

#[test]
fn a_time_held_in_a_frame_is_booked_with_an_account_in_a_window_of_its_own() {
    on_a_phone(async |app: App, phone: Browser| {
        let site = ClinicSite::new().await;
        let app = app.restart(&["--embed-origins", &site.origin]);
        app.clinic().await;
        let ann = app.patient("ann").await;
        let page = format!("{}/book?lang=en", site.origin);
        site.serve(app.base.clone());
        choose_a_time(&phone, &page).await;
        phone.press("Book with my account (new window)").await;
        phone.enter_new_window().await;
        phone.see("Sign in").await;
        assert_eq!(phone.run("return [self === top, opener]").await, json!([true, null]));
        phone.fill("E\u{2011}mail address", &ann.email).await;
        phone.fill("Password", PASSWORD).await;
        phone.press("Sign in").await;
        phone.see("Monday, March 2, 2026").await;
        phone.see("9:15 AM").await;
        phone.expect_accessible().await;
    });
}

fn policy(reply: &Reply) -> String {
    let policy = reply.header("content-security-policy");
    let ancestors = policy.split(';').find(|part| part.contains("frame-ancestors"));
    ancestors.unwrap_or_else(|| panic!("{}: {policy}", reply.request)).trim().to_owned()
}

/// Every page of the way, up to the mail.
async fn way(app: &App, visit_type: &str) -> Vec<Reply> {
    let anon = app.anon();
    let mut all = vec![
        anon.get("/book").await,
        anon.get(&format!("/book/days?visit_type_id={visit_type}")).await,
        anon.get(&format!("/book/times?visit_type_id={visit_type}&date=2026-03-03")).await,
        // What went wrong.
        anon.get("/book/days").await,
    ];
    let held: Reply = send(&anon, "holds", &times(&anon, visit_type, 0).await).await;
    let fields: Fields = hidden(held.expect(200));
    let check = send(&anon, "check", &with(&fields, &ANN)).await;
    let sent = send(&anon, "registrations", &hidden(check.expect(200))).await;
    sent.expect(202);
    all.extend([held, send(&anon, "details", &fields).await, check, sent]);
    all
}

both! {
    async fn row_26_only_the_booking_way_can_be_framed_and_only_by_listed_sites(app: App) {
        let clinic = app.clinic().await;
        let app = app.restart(&["--embed-origins", "https://www.clinic.example,https://clinic.example"]);
        for page in way(&app, &clinic.new_visit).await {
            assert_eq!(policy(&page), "frame-ancestors https://www.clinic.example https://clinic.example", "{}", page.request);
            assert!(page.header("content-security-policy").contains("script-src 'self'"), "{}", page.request);
            assert_eq!(page.header("set-cookie"), "", "{}", page.request);
        }
        let anon = app.anon();
        for page in ["/", "/sign-in", "/verify-email", "/appointment", "/follow-up", "/set-password", "/waitlist-offer", "/reminders", "/docs/", "/book/sign-in"] {
            assert_eq!(policy(&anon.get(page).await), "frame-ancestors 'none'", "{page}");
        }
        // The form that goes on with an account, and where it leads.
        let held = hidden(send(&anon, "holds", &times(&anon, &clinic.new_visit, 1).await).await.expect(200));
        let led = send(&anon, "sign-in", &held).await;
        assert_eq!((led.expect(303).header("location"), policy(&led).as_str()), ("../visits/new?lang=en", "frame-ancestors 'none'"));
    }

    async fn links_out_of_the_booking_way_open_windows_in_a_frame_only(app: App) {
        app.clinic().await;
        let plain = app.anon().get("/book?lang=en").await;
        assert!(!plain.text.contains("_blank") && plain.text.contains("Back to the first page"), "{}", plain.text);
        assert_eq!(policy(&plain), "frame-ancestors 'none'");
        let app = app.restart(&["--embed-origins", "https://www.clinic.example"]);
        for (place, is_framed) in [(Some("document"), false), (Some("iframe"), true), (None, true)] {
            let headers: Vec<_> = place.map(|place| ("Sec-Fetch-Dest", place)).into_iter().collect();
            let page = app.anon().get_with("/book?lang=en", &headers).await;
            assert_eq!(page.expect(200).text.contains("sign-in?lang=en\" target=\"_blank\" rel=\"noopener\""), is_framed, "{place:?}");
            assert_eq!(page.text.contains("Back to the first page"), !is_framed, "{place:?}");
            assert!(page.headers.get_all("vary").iter().any(|vary| vary.to_str().is_ok_and(|vary| vary.contains("Sec-Fetch-Dest"))));
        }
    }
}
