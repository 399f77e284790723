//! `private_key_jwt` (RFC 7523).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::keys::{Key, encoded};
use super::{GRANT, Machine, ask, refused};
use crate::support::{App, Reply, both};

const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn send(app: &App, assertion: &str) -> Reply {
    ask(app, &[("grant_type", GRANT), ("client_assertion_type", KIND), ("client_assertion", assertion)]).await
}

fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[member] = value;
    object
}

both! {
    async fn a_client_signs_an_assertion_that_works_once_and_for_this_service(app: App) {
        let metadata = app.anon().get("/.well-known/oauth-authorization-server").await;
        let (issuer, endpoint) = (metadata.expect(200).string("/issuer"), metadata.string("/token_endpoint"));
        assert_eq!(endpoint, format!("{issuer}/oauth2/token"));
        let (p256, p384, rsa, foreign) = (Key::p256(), Key::p384(), Key::rsa(), Key::p384());
        let keys = [("a", &p256), ("b", &p384), ("c", &rsa)].map(|(kid, key)| key.jwk(kid));
        let body = json!({"name": "Robot", "role": "front_desk", "scopes": ["slots:read"], "jwks": {"keys": keys}});
        let machine = Machine::of(&app, body).await;
        let now = app.clock.now().as_seconds();
        let claims = |jti: &str| json!({
            "iss": machine.id, "sub": machine.id, "aud": endpoint, "exp": now + 300, "iat": now, "jti": jti,
        });
        for (kid, algorithm, key) in [("a", "ES256", &p256), ("b", "ES384", &p384), ("c", "RS384", &rsa), ("c", "RS256", &rsa)] {
            let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
            let jwt = key.jwt(&header, &claims(&format!("{algorithm} works")));
            let token = send(&app, &jwt).await.expect(200).string("/access_token");
            app.anon().with_token(&token).get("/v1/holds/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55").await.problem(404, "not_found");
            refused(&send(&app, &jwt).await, 401, "invalid_client");
            app.clock.advance(SignedDuration::from_secs(1));
        }
        let header = json!({"alg": "ES384", "kid": "b"});
        let several = with(&claims("several"), "aud", json!(["https://other.example", issuer]));
        send(&app, &p384.jwt(&header, &several)).await.expect(200);

        let now = app.clock.now().as_seconds();
        let good = with(&claims("never used"), "exp", json!(now + 300));
        let mut wrong = vec![
            ("foreign key", foreign.jwt(&header, &good)),
            ("kid of another key", p384.jwt(&with(&header, "kid", json!("a")), &good)),
            ("unknown kid", p384.jwt(&with(&header, "kid", json!("z")), &good)),
            ("no kid", p384.jwt(&json!({"alg": "ES384"}), &good)),
            ("another algorithm of the key", p384.jwt(&with(&header, "alg", json!("ES256")), &good)),
            ("crit", p384.jwt(&with(&header, "crit", json!(["exp"])), &good)),
            ("no JWT", "x.y.z".to_owned()),
        ];
        for (member, value) in [
            ("aud", json!("https://other.example/oauth2/token")), ("aud", json!([])), ("aud", Value::Null),
            ("exp", json!(now)), ("exp", json!(now + 331)), ("exp", Value::Null),
            ("nbf", json!(now + 60)), ("iat", json!(now + 60)),
            ("iss", json!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55")), ("iss", Value::Null),
            ("sub", json!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55")), ("sub", json!("admin")),
            ("jti", json!("")), ("jti", json!("x".repeat(257))), ("jti", Value::Null),
        ] {
            wrong.push((member, p384.jwt(&header, &with(&good, member, value))));
        }
        let claims_part = encoded(good.to_string());
        let none = format!("{}.{claims_part}.", encoded(json!({"alg": "none", "kid": "b"}).to_string()));
        wrong.push(("alg none", none));
        // The public key is no secret of HMAC.
        let public = URL_SAFE_NO_PAD.decode(rsa.jwk("c")["n"].as_str().expect("a modulus")).expect("base64");
        let signed = format!("{}.{claims_part}", encoded(json!({"alg": "HS256", "kid": "c"}).to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), signed.as_bytes());
        wrong.push(("HS256 with the public key", format!("{signed}.{}", encoded(tag.as_ref()))));
        for (what, jwt) in &wrong {
            let reply = send(&app, jwt).await;
            assert!([401, 429].contains(&reply.status), "{what}: {}", reply.text);
            app.clock.advance(SignedDuration::from_hours(1));
            app.clock.set(app.clock.now().minus(SignedDuration::from_hours(1)));
        }
        send(&app, &p384.jwt(&header, &good)).await.expect(200);
    }

    async fn the_response_names_the_rule_that_an_assertion_breaks_by_itself(app: App) {
        let key = Key::p384();
        let body = json!({"name": "Robot", "role": "admin", "scopes": ["slots:read"], "jwks": {"keys": [key.jwk("a")]}});
        let machine = Machine::of(&app, body).await;
        let metadata = app.anon().get("/.well-known/oauth-authorization-server").await;
        let now = app.clock.now().as_seconds();
        let good = json!({
            "iss": machine.id, "sub": machine.id, "aud": metadata.string("/token_endpoint"), "exp": now + 60, "iat": now + 20, "jti": "1",
        });
        let header = json!({"alg": "ES384", "kid": "a"});
        // The clock of the client may be ahead by some seconds.
        send(&app, &key.jwt(&header, &good)).await.expect(200);
        for (jwt, said) in [
            (key.jwt(&json!({"alg": "ES384"}), &good), "kid"),
            (key.jwt(&header, &with(&good, "exp", json!(now + 3600))), "five minutes"),
            (key.jwt(&header, &with(&good, "aud", json!("https://other.example"))), "token_endpoint"),
            (Key::p384().jwt(&header, &with(&good, "jti", json!("2"))), "unknown or revoked"),
        ] {
            let reply = send(&app, &jwt).await;
            refused(&reply, 401, "invalid_client");
            assert!(reply.string("/error_description").contains(said), "{said} in {}", reply.text);
        }
    }

    async fn of_sixteen_uses_of_one_assertion_at_once_one_gets_a_token(app: App) {
        let key = Key::p384();
        let body = json!({"name": "Robot", "role": "admin", "scopes": ["slots:read"], "jwks": {"keys": [key.jwk("a")]}});
        let machine = Machine::of(&app, body).await;
        let metadata = app.anon().get("/.well-known/oauth-authorization-server").await;
        let now = app.clock.now().as_seconds();
        let claims = json!({
            "iss": machine.id, "sub": machine.id, "aud": metadata.string("/token_endpoint"), "exp": now + 60, "jti": "once",
        });
        let jwt = key.jwt(&json!({"alg": "ES384", "kid": "a"}), &claims);
        let replies = join_all((0..16).map(|_| send(&app, &jwt))).await;
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 401, 429].contains(status)), "{statuses:?}");
        // The purge forgets it only after it has expired.
        let purge = async || {
            let env = app.env.clone();
            app.db(move |tx| legwork::accounts::purge::round(tx, &env)).await
        };
        let used = async || {
            use diesel::prelude::*;
            use legwork::db::schema::client_assertions::dsl::client_assertions;
            app.db(|tx| Ok(client_assertions.count().get_result::<i64>(tx)?)).await
        };
        app.clock.advance(SignedDuration::from_secs(59));
        purge().await;
        assert_eq!(used().await, 1);
        app.clock.advance(SignedDuration::from_hours(1));
        purge().await;
        assert_eq!(used().await, 0);
        refused(&send(&app, &jwt).await, 401, "invalid_client");
    }
}
