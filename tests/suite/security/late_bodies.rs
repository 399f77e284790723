//! Row 13: requests whose body arrives after the caller's session or permission has ended.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::wire::{connect, until_closed};
use crate::clients::Machine;
use crate::support::people::patient_json;
use crate::support::{App, Client, both};

/// Sends a request but for the last byte of its body, waits until `end` has ended, and sends the rest. Returns the response.
async fn late(app: &App, who: &Client, (path, body): (&str, &Value), end: impl Future<Output = ()>) -> String {
    let (token, body) = (who.token().await.expect("a token"), body.to_string());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: legwork\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = connect(&app.base).await;
    let (first, last) = body.split_at(body.len() - 1);
    socket.write_all(format!("{head}{first}").as_bytes()).await.expect("sent");
    // Until the head has arrived and the caller is known. Without that, the request would be rejected as well.
    tokio::time::sleep(Duration::from_millis(300)).await;
    end.await;
    socket.write_all(last.as_bytes()).await.expect("sent");
    until_closed(&mut socket).await
}

async fn records(app: &App, name: &str) -> usize {
    app.admin().await.get(&format!("/v1/patients?q={name}")).await.items().len()
}

both! {
    async fn row_13_a_change_whose_body_arrives_after_the_account_was_disabled_is_rejected(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let body = patient_json("Late", "late@example.org");
        let said = late(&app, &desk, ("/v1/patients", &body), async {}).await;
        assert!(said.starts_with("HTTP/1.1 201"), "a slow body is accepted: {said}");
        let body = patient_json("Latest", "latest@example.org");
        let disable = async { admin.update(&format!("/v1/users/{}", desk.user_id), json!({"disabled": true})).await.expect(200); };
        let said = late(&app, &desk, ("/v1/patients", &body), disable).await;
        assert!(said.starts_with("HTTP/1.1 401") && said.contains("unauthenticated"), "{said}");
        assert_eq!((records(&app, "Late").await, records(&app, "Latest").await), (1, 0));
    }

    async fn row_13_a_change_whose_body_arrives_after_the_role_was_changed_is_rejected(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let body = patient_json("Latest", "latest@example.org");
        let promote = async { admin.update(&format!("/v1/users/{}", desk.user_id), json!({"role": "admin"})).await.expect(200); };
        let said = late(&app, &desk, ("/v1/patients", &body), promote).await;
        assert!(said.starts_with("HTTP/1.1 401"), "{said}");
        assert_eq!(records(&app, "Latest").await, 0);
    }

    async fn row_13_a_change_whose_body_arrives_after_the_sign_out_is_rejected(app: App) {
        let desk = app.desk().await;
        let body = patient_json("Latest", "latest@example.org");
        let sign_out = async { desk.delete("/v1/sessions/current").await.expect(204); };
        let said = late(&app, &desk, ("/v1/patients", &body), sign_out).await;
        assert!(said.starts_with("HTTP/1.1 401"), "{said}");
        assert_eq!(records(&app, "Latest").await, 0);
    }

    async fn row_13_a_change_whose_body_arrives_after_the_client_lost_the_scope_is_rejected(app: App) {
        let machine = Machine::new(&app, &["patients:write", "patients:read"]).await;
        let (caller, admin) = (machine.caller(&app).await, app.admin().await);
        let body = patient_json("Late", "late@example.org");
        let said = late(&app, &caller, ("/v1/patients", &body), async {}).await;
        assert!(said.starts_with("HTTP/1.1 201"), "a slow body is accepted: {said}");
        let body = patient_json("Latest", "latest@example.org");
        let narrow = async { admin.update(&machine.path(""), json!({"scopes": ["patients:read"]})).await.expect(200); };
        let said = late(&app, &caller, ("/v1/patients", &body), narrow).await;
        assert!(said.starts_with("HTTP/1.1 401"), "{said}");
        assert_eq!(records(&app, "Latest").await, 0);
    }
}
