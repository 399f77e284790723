//! Row 26: the pages of people who are signed in. Their session is in a cookie, which the API does not read.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::db::schema::sessions;
use reqwest::Method;
use serde_json::json;

use crate::support::people::PASSWORD;
use crate::support::visitor::{SESSION, Visitor, hidden};
use crate::support::{App, Reply, both};

const ANN: &str = "ann@patients.example";

async fn ann(app: &App) -> Visitor {
    app.patient("ann").await;
    Visitor::signed_in(app.anon(), ANN).await
}

fn form_token(page: &Reply) -> String {
    hidden(page).into_iter().find(|(name, _)| name == "form_token").expect("a form token").1
}

/// Where a page without a session leads.
const TO_SIGN_IN: &str = "sign-in?next=account&lang=en";

/// Fails unless the browser has no session.
#[track_caller]
fn signed_out(page: &Reply) {
    assert_eq!((page.status, page.header("location")), (303, TO_SIGN_IN), "{}", page.text);
}

both! {
    async fn row_26_the_cookie_is_of_this_host_over_https_and_no_script_reads_it(app: App) {
        app.patient("ann").await;
        let visitor = Visitor::new(app.anon());
        let reply = visitor.post("/sign-in", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!((reply.status, reply.header("location")), (303, "visits?lang=en"));
        let set: Vec<_> = reply.headers.get_all("set-cookie").iter().map(|header| header.to_str().expect("text")).collect();
        assert_eq!(set.len(), 2, "{set:?}");
        for cookie in &set {
            assert!(cookie.starts_with("__Host-legwork") && !cookie.contains("Domain"), "{cookie}");
            for attribute in ["; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"] {
                assert!(cookie.contains(attribute), "{cookie}");
            }
        }
        assert!(!set[0].contains("Max-Age") && set[1].contains("; Max-Age="), "the session ends with the browser: {set:?}");
        // The database has a digest only.
        let token = visitor.cookie(SESSION).expect("a session");
        let stored = app.db(|conn| Ok(sessions::table.select(sessions::cookie_hash).filter(sessions::cookie_hash.is_not_null()).load::<Option<Vec<u8>>>(conn)?)).await;
        assert_eq!(stored, [Some(legwork::accounts::tokens::hash(&token))]);
    }

    async fn row_26_pages_behind_the_sign_in_keep_the_language_and_no_others_do(app: App) {
        app.clinic().await;
        let visitor = ann(&app).await;
        let is_spanish = |page: &Reply| page.text.contains("<html lang=\"es\">");
        assert!(!is_spanish(&visitor.get("/account").await));
        let chosen = visitor.get("/account?lang=es").await;
        let cookie = "__Host-lang=es; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=31536000";
        assert_eq!((is_spanish(chosen.expect(200)), chosen.header("set-cookie")), (true, cookie));
        for page in ["/account", "/account?lang=es", "/visits", "/sign-in"] {
            let again = visitor.get(page).await;
            assert_eq!((is_spanish(&again), again.header("set-cookie")), (true, ""), "{page}");
        }
        // The address goes first, and what this service did not set counts for nothing.
        assert!(!is_spanish(&visitor.get("/account?lang=en").await));
        assert_eq!(visitor.cookie("__Host-lang").as_deref(), Some("en"));
        let spoken = [("Accept-Language", "es")];
        assert!(!is_spanish(&visitor.send(Method::GET, "/account", &[], &spoken).await), "the choice goes before the browser's");
        visitor.set_cookie("__Host-lang", "es-419");
        assert!(!is_spanish(&visitor.get("/account").await));
        visitor.set_cookie("__Host-lang", "es");
        for path in ["/", "/book", "/appointment", "/docs/", "/v1/locations", "/v1/me"] {
            let reply = visitor.get(path).await;
            assert!(!is_spanish(&reply), "{path}: {}", reply.text);
            let reply = visitor.get(&format!("{path}?lang=es")).await;
            assert_eq!(reply.header("set-cookie"), "", "{path}");
        }
        // The form that ends the session keeps the language of the device.
        let account = visitor.get("/account").await;
        visitor.submit(&account, "/sign-out?lang=es", &[]).await.expect(303);
        assert!(is_spanish(&visitor.get("/sign-in").await));
    }

    async fn row_26_the_api_reads_no_cookie_and_pages_read_no_access_token(app: App) {
        let patient = app.patient("ann").await;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        visitor.get("/account").await.expect(200);
        for path in ["/v1/me", "/v1/sessions", "/v1/appointments"] {
            visitor.get(path).await.problem(401, "unauthenticated");
        }
        let token = visitor.cookie(SESSION).expect("a session");
        app.anon().with_token(&token).get("/v1/me").await.problem(401, "unauthenticated");
        let page = patient.get("/account").await;
        signed_out(&page);
        patient.post_form("/sign-out", &[], &[]).await.expect(401);
        patient.get("/v1/me").await.expect(200);
        // With both, each reads its own: the page is Ann's, the operation is the desk's.
        let desk = app.desk().await.token().await.expect("a token");
        let bearer = format!("Bearer {desk}");
        let both = [("Authorization", bearer.as_str())];
        let page = visitor.send(Method::GET, "/account", &[], &both).await;
        assert!(page.expect(200).text.contains(ANN), "{}", page.text);
        assert_eq!(visitor.send(Method::GET, "/v1/me", &[], &both).await.string("/user/role"), "front_desk");
    }

    async fn row_26_a_session_on_the_pages_is_an_ordinary_one_that_ends_like_any_other(app: App) {
        let patient = app.patient("ann").await;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let listed = patient.get("/v1/sessions").await.items();
        assert_eq!(listed.len(), 2, "{listed:?}");
        let page = visitor.get("/account").await;
        assert_eq!(page.text.matches("<strong>unknown</strong>").count(), 2, "{}", page.text);
        // Ended by the owner through the API.
        let of_page = listed.iter().find(|session| session["current"] == false).expect("the page's")["id"].as_str().expect("an id").to_owned();
        patient.delete(&format!("/v1/sessions/{of_page}")).await.expect(204);
        signed_out(&visitor.get("/account").await);
        // On the page, also that of the other device.
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let page = visitor.get("/account").await;
        let listed = patient.get("/v1/sessions").await.items();
        let of_client = listed.iter().find(|session| session["current"] == true).expect("the client's")["id"].as_str().expect("an id").to_owned();
        let ended = visitor.submit(&page, &format!("/account/sessions/{of_client}"), &[]).await;
        assert_eq!((ended.status, ended.header("location")), (303, "../../account?lang=en"));
        patient.get("/v1/me").await.problem(401, "unauthenticated");
        // By an administrator, at once.
        let admin = app.admin().await;
        admin.delete(&format!("/v1/users/{}/sessions", patient.user_id)).await.expect(204);
        signed_out(&visitor.get("/account").await);
        // By disabling the account.
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        admin.update(&format!("/v1/users/{}", patient.user_id), json!({"disabled": true})).await.expect(200);
        signed_out(&visitor.get("/account").await);
    }

    async fn row_26_a_session_ends_if_it_is_not_used_and_after_a_time_in_any_case(app: App) {
        let visitor = ann(&app).await;
        let settings = &app.env.config.settings;
        let (idle, most) = (settings.session_idle_minutes, settings.session_minutes);
        for _ in 0..most.div_ceil(idle - 1) - 1 {
            app.clock.advance(SignedDuration::from_mins((idle - 1).into()));
            visitor.get("/account").await.expect(200);
        }
        app.clock.advance(SignedDuration::from_mins((idle - 1).into()));
        signed_out(&visitor.get("/account").await);
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        app.clock.advance(SignedDuration::from_mins((idle + 1).into()));
        signed_out(&visitor.get("/account").await);
    }

    async fn row_26_a_change_of_the_role_takes_effect_on_the_next_page(app: App) {
        let user = app.account("otto@clinic.example", Role::FrontDesk, None).await;
        let visitor = Visitor::signed_in(app.anon(), "otto@clinic.example").await;
        let audited = || async {
            crate::support::audit::stored(&app).await;
            let events = app.admin().await.get(&format!("/v1/audit-events?actor_id={user}&limit=1")).await.items();
            events[0]["role"].as_str().unwrap_or_default().to_owned()
        };
        visitor.get("/account").await.expect(200);
        assert_eq!(audited().await, "front_desk");
        app.admin().await.update(&format!("/v1/users/{user}"), json!({"role": "admin"})).await.expect(200);
        visitor.get("/account").await.expect(200);
        assert_eq!(audited().await, "admin");
    }

    async fn row_26_a_session_is_new_at_every_sign_in_and_a_made_up_one_is_none(app: App) {
        app.patient("ann").await;
        let thief = Visitor::new(app.anon());
        for made_up in ["", "x", "AAAA", &"A".repeat(107), "../", "%00"] {
            thief.set_cookie(SESSION, made_up);
            signed_out(&thief.get("/account").await);
        }
        // The victim's browser has a cookie of the thief's choice, even a valid one of another account.
        app.patient("bob").await;
        let bob = Visitor::signed_in(app.anon(), "bob@patients.example").await;
        let planted = bob.cookie(SESSION).expect("a session");
        let victim = Visitor::new(app.anon());
        victim.set_cookie(SESSION, &planted);
        victim.post("/sign-in", &[("email", ANN), ("password", PASSWORD)]).await.expect(303);
        let own = victim.cookie(SESSION).expect("a session");
        assert_ne!(own, planted);
        assert!(bob.get("/account").await.expect(200).text.contains("bob@patients.example"));
        let again = Visitor::signed_in(app.anon(), ANN).await;
        assert_ne!(again.cookie(SESSION).expect("a session"), own);
        // Every changed letter makes another token.
        let thief = Visitor::new(app.anon());
        for at in [0, 20, 40, 60, 90, own.len() - 2] {
            let letter = if own.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = own.clone();
            changed.replace_range(at..=at, letter);
            thief.set_cookie(SESSION, &changed);
            signed_out(&thief.get("/account").await);
        }
    }

    async fn row_26_a_form_of_another_site_or_another_session_changes_nothing(app: App) {
        let visitor = ann(&app).await;
        let token = form_token(visitor.get("/account").await.expect(200));
        let fields = [("form_token", token.as_str())];
        for header in [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
        ] {
            for path in ["/sign-out", "/sign-in", "/second-factor/secret"] {
                let page = visitor.send(Method::POST, path, &fields, &[header]).await;
                assert!(page.expect(403).text.contains("Nothing was changed"), "{path} {header:?}: {}", page.text);
                assert!(!page.headers.contains_key("set-cookie"), "{path}");
            }
        }
        app.patient("bob").await;
        let bob = Visitor::signed_in(app.anon(), "bob@patients.example").await;
        let of_bob = form_token(bob.get("/account").await.expect(200));
        assert_ne!(of_bob, token);
        for wrong in ["", "x", &of_bob, &token[1..]] {
            visitor.post("/sign-out", &[("form_token", wrong)]).await.expect(403);
        }
        visitor.post("/sign-out", &[]).await.expect(403);
        visitor.get("/account").await.expect(200);
        visitor.post("/sign-out", &fields).await.expect(303);
        // The page of somebody else is not the own one.
        let page = bob.get("/account").await;
        let other = app.anon().sign_in(ANN, PASSWORD).await.get("/v1/sessions").await.items()[0]["id"].as_str().expect("an id").to_owned();
        bob.submit(&page, &format!("/account/sessions/{other}"), &[]).await.expect(404);
        bob.submit(&page, "/account/sessions/x", &[]).await.expect(404);
    }

    async fn row_26_after_signing_out_nothing_is_left_in_the_browser(app: App) {
        let visitor = ann(&app).await;
        let page = visitor.get("/account").await;
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "no other site can frame it");
        let out = visitor.submit(&page, "/sign-out", &[]).await;
        assert_eq!((out.status, out.header("location")), (303, "sign-in?out=1&lang=en"));
        assert_eq!(out.header("clear-site-data"), "\"cache\", \"storage\"");
        assert!(visitor.cookie(SESSION).is_none());
        signed_out(&visitor.get("/account").await);
        assert!(visitor.get("/sign-in?out=1").await.expect(200).text.contains("You are signed out"));
        // The form of the page before leads to the sign-in and back.
        let late = visitor.submit(&page, "/second-factor/secret", &[("reason", "I am \"ill\" <b>")]).await;
        assert!(late.expect(401).text.contains("sign-in?next=second-factor&amp;lang=en"), "{}", late.text);
        assert!(late.text.contains("I am &quot;ill&quot; &lt;b&gt;"), "what was written is not lost: {}", late.text);
        assert!(!late.headers.contains_key("www-authenticate"));
    }

    async fn row_26_pages_with_a_form_token_are_not_compressed(app: App) {
        let visitor = ann(&app).await;
        for path in ["/account", "/second-factor"] {
            let page = visitor.send(Method::GET, path, &[], &[("Accept-Encoding", "gzip")]).await;
            assert!(!page.expect(200).headers.contains_key("content-encoding"), "{path}");
        }
    }

    async fn row_26_a_sign_in_leads_to_no_other_site(app: App) {
        app.patient("ann").await;
        for next in ["//evil.example", "https://evil.example", "/\\evil.example", "account/../../x", "javascript:alert(1)", "v1/me", "\"><b>"] {
            let visitor = Visitor::new(app.anon());
            let asked = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            let page = visitor.get(&format!("/sign-in?{asked}")).await;
            assert!(!page.expect(200).text.contains("evil") && !page.text.contains("name=\"next\""), "{}", page.text);
            let signed_in = visitor.post("/sign-in", &[("email", ANN), ("password", PASSWORD), ("next", next)]).await;
            assert_eq!((signed_in.status, signed_in.header("location")), (303, "visits?lang=en"), "{next}");
        }
        let visitor = Visitor::new(app.anon());
        let page = visitor.get("/second-factor?lang=es").await;
        assert_eq!(page.header("location"), "sign-in?next=second-factor%3Flang%3Des&lang=es");
        let page = visitor.get(&format!("/{}", page.header("location"))).await;
        let signed_in = visitor.submit(&page, "/sign-in?lang=es", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!(signed_in.header("location"), "second-factor?lang=es&lang=es");
    }

    async fn row_26_markup_in_what_signed_in_pages_show_is_text(app: App) {
        let bad = "\"><script>alert(1)</script>";
        let user = app.account("otto@clinic.example", Role::FrontDesk, None).await;
        app.admin().await.update(&format!("/v1/users/{user}"), json!({"name": "Otto <script>alert(1)</script>"})).await.expect(200);
        let visitor = Visitor::signed_in(app.anon(), "otto@clinic.example").await;
        for path in ["/account", "/second-factor"] {
            let page = visitor.get(&format!("{path}?lang={bad}")).await;
            assert!(page.expect(200).text.contains("Otto &lt;script&gt;") && !page.text.contains("<script>alert"), "{}", page.text);
        }
        let page = visitor.post("/sign-in", &[("email", bad), ("password", bad), ("totp_code", bad), ("next", bad), ("pending", bad)]).await;
        assert!(page.expect(401).text.contains("&lt;script&gt;alert(1)") && !page.text.contains("<script>alert"), "{}", page.text);
        assert_eq!(page.text.matches("&lt;script&gt;").count(), 1, "the address only: {}", page.text);
    }

    async fn row_26_a_wrong_password_on_the_page_is_throttled_and_audited_like_one_of_the_api(app: App) {
        let patient = app.patient("ann").await;
        let visitor = Visitor::new(app.anon());
        let wrong = async |email: &str| visitor.post("/sign-in", &[("email", email), ("password", "no")]).await;
        // An unknown address gets the same page.
        let (known, unknown) = (wrong(ANN).await, wrong("eve@patients.example").await);
        let without = |page: &Reply, email: &str| page.expect(401).text.replace(email, "");
        assert_eq!(without(&known, ANN), without(&unknown, "eve@patients.example"));
        let mut waiting = wrong(ANN).await;
        for _ in 0..10 {
            if waiting.status == 401 {
                waiting = wrong(ANN).await;
            }
        }
        assert!(waiting.expect(429).text.contains("Too many attempts failed"), "{}", waiting.text);
        assert!(waiting.header("retry-after").parse::<u32>().expect("seconds") > 0);
        app.anon().post("/v1/sessions", json!({"email": ANN, "password": "no"})).await.problem(429, "too_many_attempts");
        let query = format!("/v1/audit-events?operation=create_session&object_id={}&outcome=refused", patient.user_id);
        crate::support::audit::stored(&app).await;
        assert!(!app.admin().await.get(&query).await.items().is_empty());
    }
}
