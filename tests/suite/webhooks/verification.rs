//! Other implementations verify what is sent, by the clock of the machine: the library of the standard, and the guide's program in Python.

use std::io::Write;
use std::process::{Command, Stdio};

use legwork::clock::Clock;
use reqwest::header::{HeaderMap, HeaderName};
use standardwebhooks::Webhook;

use super::receiver::{Received, Receiver};
use super::{Hook, OPENED};
use crate::support::site::Site;
use crate::support::{App, Engine, app};

const GUIDE: &str = include_str!("../../../docs/api/webhooks.md");

/// The guide's program in a language.
fn program(language: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("```{language}\n")).expect("a program");
    rest.split_once("\n```").expect("its end").0
}

fn received() -> (Received, String) {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let app = App::start(site, Clock::System, &OPENED);
    app::runtime().block_on(async {
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        hook.admin.post_empty(&hook.path("/test-events")).await.expect(200);
        (receiver.seen().remove(0), hook.secret)
    })
}

#[test]
fn row_29_the_library_of_the_standard_verifies_a_request() {
    let (request, secret) = received();
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(HeaderName::try_from(name.as_str()).expect("a name"), value.parse().expect("a value"));
    }
    let webhook = Webhook::new(&secret).expect("a secret");
    webhook.verify(request.text.as_bytes(), &headers).expect("verified");
    assert!(webhook.verify(b"{}", &headers).is_err());
}

#[test]
fn the_guides_program_in_python_verifies_a_request_and_refuses_others() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("\n!!! python3 is missing: the program in docs/api/webhooks.md WAS NOT TESTED\n");
        return;
    }
    let (request, secret) = received();
    let call = "\nimport json, sys\ncase = json.load(sys.stdin)\nprint(verify(case['secret'], case['headers'], case['body'].encode()))\n";
    let verified = |headers: &std::collections::BTreeMap<String, String>, body: &str| {
        let mut child = Command::new("python3")
            .args(["-c", &format!("{}{call}", program("python"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let case = serde_json::json!({"secret": secret, "headers": headers, "body": body});
        child.stdin.take().expect("its input").write_all(case.to_string().as_bytes()).expect("written");
        let output = child.wait_with_output().expect("its output");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(verified(&request.headers, &request.text), "True");
    assert_eq!(verified(&request.headers, &format!("{} ", request.text)), "False");
    let mut late = request.headers.clone();
    let timestamp: i64 = request.header("webhook-timestamp").parse().expect("seconds");
    late.insert("webhook-timestamp".into(), (timestamp - 600).to_string());
    assert_eq!(verified(&late, &request.text), "False");
}
