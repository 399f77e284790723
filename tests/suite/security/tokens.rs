//! Rows 10 to 12: access tokens, the secrets that sign them, and refresh tokens.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::people::PASSWORD;
use crate::support::site::JWT_SECRET;
use crate::support::{App, both};

async fn sign_in(app: &App, email: &str) -> (Client, Value) {
    let reply = app.anon().post("/v1/sessions", json!({"email": email, "password": PASSWORD})).await;
    reply.expect(201);
    (app.anon().with_token(&reply.string("/access_token")), reply.body)
}

async fn refresh(app: &App, token: &Value) -> crate::support::Reply {
    app.anon().post("/v1/sessions/refresh", json!({"refresh_token": token})).await
}

/// The secret of the tests, without its id.
fn secret() -> &'static str {
    JWT_SECRET.split_once(':').expect("id:secret").1
}

/// Makes a token with any header and claims, signed with HMAC by hand, because a library could refuse to make it.
fn token(header: &Value, claims: &Value, algorithm: hmac::Algorithm, secret: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// An object with one member replaced, or removed if `Null`.
fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    if value.is_null() {
        object.as_object_mut().expect("an object").remove(member);
    } else {
        object[member] = value;
    }
    object
}

fn parts(token: &str) -> Vec<Value> {
    let part = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON");
    token.split('.').take(2).map(part).collect()
}

both! {
    async fn row_10_any_other_kind_of_token_is_rejected(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (_, session) = sign_in(&app, &email).await;
        let real = session["access_token"].as_str().expect("a token");
        let [header, claims] = parts(real).try_into().expect("two parts");
        let good = |header: &Value, claims: &Value| token(header, claims, hmac::HMAC_SHA256, secret().as_bytes());
        // A correct token made by hand is accepted, so the following ones are rejected for their fault alone.
        app.anon().with_token(&good(&header, &claims)).get("/v1/me").await.expect(200);

        let now = app.clock.now().as_seconds();
        let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("my own key of thirty-two letters")});
        let mut forged = vec![
            ("alg none", format!("{}.{}.", URL_SAFE_NO_PAD.encode(with(&header, "alg", json!("none")).to_string()), real.split('.').nth(1).expect("claims"))),
            ("alg none, signed", good(&with(&header, "alg", json!("none")), &claims)),
            ("alg NONE", good(&with(&header, "alg", json!("NONE")), &claims)),
            ("HS512", token(&with(&header, "alg", json!("HS512")), &claims, hmac::HMAC_SHA512, secret().as_bytes())),
            ("RS256, signed with HMAC", good(&with(&header, "alg", json!("RS256")), &claims)),
            ("another secret", token(&header, &claims, hmac::HMAC_SHA256, b"another secret of thirty-two bytes")),
            ("no secret", token(&header, &claims, hmac::HMAC_SHA256, b"")),
            ("own key in jwk", token(&with(&header, "jwk", jwk), &claims, hmac::HMAC_SHA256, b"my own key of thirty-two letters")),
        ];
        for (member, value) in [
            ("kid", json!("other")), ("kid", json!("../../dev/null")), ("kid", Value::Null), ("kid", json!(1)),
            ("typ", json!("JWT")), ("typ", Value::Null), ("cty", json!("JWT")),
            ("crit", json!(["exp"])), ("crit", json!(["b64"])), ("crit", json!([])),
            ("jku", json!("https://evil.example/keys")), ("x5u", json!("https://evil.example/cert")), ("x5c", json!(["AA=="])),
        ] {
            forged.push((member, good(&with(&header, member, value), &claims)));
        }
        for (member, value) in [
            ("exp", json!(now)), ("exp", json!(now - 1)), ("exp", Value::Null), ("exp", json!("tomorrow")),
            ("nbf", json!(now + 60)), ("nbf", Value::Null), ("iat", json!(now + 60)),
            ("iss", json!("elsewhere")), ("iss", Value::Null), ("aud", json!("another-api")), ("aud", Value::Null),
            ("sub", json!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55")), ("sid", json!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55")),
            ("role", json!("admin")),
        ] {
            forged.push((member, good(&header, &with(&claims, member, value))));
        }
        let [head, body, tag] = real.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        forged.extend([
            ("no signature", format!("{head}.{body}.")),
            ("two parts", format!("{head}.{body}")),
            ("four parts", format!("{real}.AAAA")),
            ("a shorter signature", format!("{head}.{body}.{}", &tag[..tag.len() - 4])),
            ("cut off", real[..real.len() / 2].to_owned()),
            ("dots", "..".to_owned()),
            ("big", format!("{head}.{}.{tag}", "A".repeat(20_000))),
        ]);
        for (what, token) in forged {
            let reply = app.anon().with_token(&token).get("/v1/me").await;
            assert_eq!(reply.problem(401, "unauthenticated")["code"], "unauthenticated", "{what}");
        }
        // The framework itself rejects headers of this size.
        let huge = app.anon().with_token(&"A".repeat(300_000)).get("/v1/me").await;
        assert!((400..500).contains(&huge.status), "{}", huge.status);
    }

    async fn row_10_two_tokens_or_another_scheme_are_rejected(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (_, session) = sign_in(&app, &email).await;
        let token = session["access_token"].as_str().expect("a token");
        let bearer = format!("Bearer {token}");
        for headers in [
            vec![("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())],
            vec![("Authorization", token)],
            vec![("Authorization", "Basic YW5uOnB3")],
            vec![("Authorization", "Bearer")],
        ] {
            app.anon().get_with("/v1/me", &headers).await.problem(401, "unauthenticated");
        }
    }

    async fn row_11_secrets_change_without_a_failed_request(app: App) {
        const NEW: &str = "next:another-secret-of-the-tests-no-secret-either";
        let email = app.patient("ann").await.email.clone();
        let (old, mut session) = sign_in(&app, &email).await;
        old.get("/v1/me").await.expect(200);

        // Both secrets are accepted, the new one signs.
        let app = app.restart(&["--jwt-secret", &format!("{NEW},{JWT_SECRET}")]);
        let old = app.anon().with_token(&old.token().await.expect("a token"));
        old.get("/v1/me").await.expect(200);
        session = refresh(&app, &session["refresh_token"]).await.expect(200).body.clone();
        let token = session["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(parts(&token)[0]["kid"], "next");
        app.anon().with_token(&token).get("/v1/me").await.expect(200);

        // Ten minutes later no token of the old secret is valid, and it can be removed.
        app.clock.advance(SignedDuration::from_secs(600));
        old.get("/v1/me").await.problem(401, "unauthenticated");
        session = refresh(&app, &session["refresh_token"]).await.expect(200).body.clone();
        let app = app.restart(&["--jwt-secret", NEW]);
        app.anon().with_token(session["access_token"].as_str().expect("a token")).get("/v1/me").await.expect(200);
        refresh(&app, &session["refresh_token"]).await.expect(200);
    }

    async fn row_12_reusing_a_refresh_token_late_ends_the_session_and_at_once_does_not(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (_, first) = sign_in(&app, &email).await;
        let refresh = |token: Value| {
            let anon = app.anon();
            async move { anon.post("/v1/sessions/refresh", json!({"refresh_token": token})).await }
        };
        let second = refresh(first["refresh_token"].clone()).await.expect(200).body.clone();
        app.clock.advance(SignedDuration::from_secs(9));
        refresh(first["refresh_token"].clone()).await.problem(409, "refresh_raced");
        let third = refresh(second["refresh_token"].clone()).await.expect(200).body.clone();
        app.clock.advance(SignedDuration::from_secs(11));
        refresh(second["refresh_token"].clone()).await.problem(401, "session_ended");
        refresh(third["refresh_token"].clone()).await.problem(401, "session_ended");
        let ann = app.anon().with_token(third["access_token"].as_str().expect("a token"));
        ann.get("/v1/me").await.problem(401, "unauthenticated");
    }

    async fn row_12_one_of_twenty_parallel_refreshes_succeeds_and_the_session_survives(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (_, first) = sign_in(&app, &email).await;
        let tries = (0..20).map(|_| {
            let (anon, body) = (app.anon(), json!({"refresh_token": first["refresh_token"]}));
            async move { anon.post("/v1/sessions/refresh", body).await }
        });
        let replies = futures_util::future::join_all(tries).await;
        let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1);
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            reply.problem(409, "refresh_raced");
        }
        let body = json!({"refresh_token": won[0].body["refresh_token"]});
        app.anon().post("/v1/sessions/refresh", body).await.expect(200);
    }

    async fn row_13_a_session_ends_after_a_week_idle_and_after_a_month_in_any_case(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (_, idle) = sign_in(&app, &email).await;
        let (_, mut busy) = sign_in(&app, &email).await;
        for _ in 0..4 {
            app.clock.advance(SignedDuration::from_hours(24 * 7 - 1));
            let reply = app.anon().post("/v1/sessions/refresh", json!({"refresh_token": busy["refresh_token"]})).await;
            busy = reply.expect(200).body.clone();
        }
        let reply = app.anon().post("/v1/sessions/refresh", json!({"refresh_token": idle["refresh_token"]})).await;
        reply.problem(401, "session_ended");
        app.clock.advance(SignedDuration::from_hours(24 * 3));
        let reply = app.anon().post("/v1/sessions/refresh", json!({"refresh_token": busy["refresh_token"]})).await;
        reply.problem(401, "session_ended");
    }
}
