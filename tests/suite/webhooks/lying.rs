//! Row 29: receivers that lie, and addresses that may not be reached. Each is tried with a test event.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::receiver::{Answer, Receiver};
use super::{Hook, opened};
use crate::support::people::PASSWORD;
use crate::support::{App, Client, both};

/// Sends a test event to a receiver, and returns the status and the failure.
async fn try_out(admin: &Client, url: &str) -> (Option<i64>, Option<String>) {
    let hook = Hook::of(admin, json!({"url": url})).await;
    let sent = admin.post_empty(&hook.path("/test-events")).await;
    let failure = sent.expect(200).body["failure"].as_str().map(str::to_owned);
    (sent.body["status_code"].as_i64(), failure)
}

both! {
    async fn row_29_a_receiver_that_lies_is_cut_off(app: App) {
        let app = opened(app);
        let admin = app.admin().await;
        let trap = Receiver::new().await;
        let cases = [
            (Answer::EndlessBody, Some(200), None),
            (Answer::Redirect(trap.url.clone()), Some(302), Some("status")),
            (Answer::Status(101), Some(101), Some("status")),
            (Answer::Close, None, Some("connection")),
            (Answer::Nonsense, None, Some("invalid_response")),
            (Answer::EndlessHead, None, Some("invalid_response")),
            (Answer::SlowHead, None, Some("timeout")),
            (Answer::Hang, None, Some("timeout")),
        ];
        let tried = cases.map(|(answer, status, failure)| {
            let admin = admin.clone();
            async move {
                let receiver = Receiver::new().await;
                let shown = answer.clone();
                receiver.answer(move |_| answer.clone());
                let found = try_out(&admin, &receiver.url).await;
                assert_eq!(found, (status, failure.map(str::to_owned)), "{shown:?}");
                assert_eq!(receiver.seen().len(), 1, "{shown:?}");
            }
        });
        join_all(tried).await;
        assert!(trap.seen().is_empty(), "a redirect was followed");
    }

    async fn row_29_an_address_that_may_not_be_reached_is_not_connected_to(app: App) {
        let admin = app.admin().await;
        // A name can be entered whatever it leads to, so the address is checked with each connection.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url = format!("https://localhost:{port}/");
        assert_eq!(try_out(&admin, &url).await, (None, Some("forbidden_address".into())));
        assert_eq!(try_out(&admin, "https://nowhere.invalid/").await, (None, Some("name_not_resolved".into())));
        let connected = tokio::time::timeout(std::time::Duration::from_millis(300), listener.accept()).await;
        assert!(connected.is_err(), "the address was connected to");

        // Where it is opened, it is reached, and a receiver without TLS is none.
        let app = opened(app);
        let admin = app.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let tried = try_out(&admin, &url);
        let received = async {
            let (stream, _) = listener.accept().await.expect("a connection");
            drop(stream);
        };
        let (found, ()) = tokio::join!(tried, received);
        assert_eq!(found, (None, Some("tls".into())));
        drop(listener);
        assert_eq!(try_out(&admin, &format!("http://127.0.0.1:{port}/")).await, (None, Some("connection".into())));
        // What was opened is closed again: an earlier URL is not reached any more.
        let hook = Hook::of(&admin, json!({"url": format!("http://127.0.0.1:{port}/")})).await;
        let (id, secret) = (hook.id.clone(), hook.secret.clone());
        let app = app.restart(&[]);
        let hook = Hook { id, secret, admin: app.anon().sign_in("admin@clinic.example", PASSWORD).await };
        let sent = hook.admin.post_empty(&hook.path("/test-events")).await;
        assert_eq!(sent.expect(200).body["failure"], "forbidden_address");
        // Its other settings can still be changed.
        hook.set(json!({"status": "paused"})).await.expect(200);
        let shown: Value = hook.read().await.body;
        assert!(!shown.to_string().contains(&hook.secret));
    }
}
