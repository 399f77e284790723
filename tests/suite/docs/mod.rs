//! The documentation for people at `/docs/`.

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use flate2::read::GzDecoder;
use serde_json::json;
use url::Url;

use crate::openapi::{METHODS, document};
use crate::support::browser::{Browser, on_a_phone};
use crate::support::{App, Engine, app};

/// Where a page leads: everything in `href` and `src`.
fn links(html: &str) -> impl Iterator<Item = String> {
    let starts = [" href=\"", " src=\""].into_iter();
    let links = starts.flat_map(|start| html.split(start).skip(1)).filter_map(|rest| rest.split('"').next());
    // The template engine escapes what it inserts.
    links.map(|link| link.replace("&#x2f;", "/"))
}

/// The operations of the document by their id, with the name of their page.
fn operations() -> BTreeMap<String, String> {
    let document = document();
    let items = document["paths"].as_object().expect("paths").values();
    let all = items.flat_map(|item| METHODS.iter().filter_map(|method| item.get(*method)));
    all.map(|one| {
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        (text(&one["operationId"]), text(&one["tags"][0]).replace(' ', "-"))
    })
    .collect()
}

#[test]
fn every_link_of_the_documentation_leads_to_a_page_and_to_a_place_on_it() {
    app::run(Engine::Sqlite, async |app: App| {
        let (anon, operations) = (app.anon(), operations());
        let redirect = anon.get("/docs").await;
        assert_eq!((redirect.status, redirect.header("location")), (307, "/docs/"));
        let root = Url::parse("http://here/").expect("a URL");
        let mut waiting = vec![root.join("/docs/").expect("a URL")];
        let mut pages: BTreeMap<String, String> = BTreeMap::new();
        let mut places = BTreeSet::new();
        while let Some(url) = waiting.pop() {
            if pages.contains_key(url.path()) {
                continue;
            }
            let reply = anon.get(url.path()).await;
            reply.expect(200);
            let html =
                if reply.header("content-type").starts_with("text/html") { reply.text.clone() } else { String::new() };
            if url.path().starts_with("/docs/") && !html.is_empty() {
                let policy = reply.header("content-security-policy");
                for part in ["default-src 'none'", "script-src 'self';", "base-uri 'none'", "frame-ancestors 'none'"] {
                    assert!(policy.contains(part), "{url}: {policy}");
                }
                assert!(!policy.contains("unsafe") && !policy.contains("http"), "{url}: {policy}");
                assert!(!html.contains("<script>") && !html.contains(" style=") && !html.contains("<style"), "{url}");
                for link in links(&html).filter(|link| !link.starts_with("https://")) {
                    let target = url.join(&link).expect("a link");
                    assert_eq!(target.host_str(), Some("here"), "{url} leads to {link}");
                    places.insert((
                        url.path().to_owned(),
                        target.path().to_owned(),
                        target.fragment().map(str::to_owned),
                    ));
                    waiting.push(target);
                }
            }
            pages.insert(url.path().to_owned(), html);
        }
        for (from, to, fragment) in &places {
            let Some(fragment) = fragment else { continue };
            match fragment.split_once("/operation/") {
                Some((tag, id)) => {
                    let page = operations.get(id).unwrap_or_else(|| panic!("{from} leads to {id}"));
                    assert_eq!(
                        (to.as_str(), tag),
                        (&*format!("/docs/reference/{page}"), &*format!("tag/{page}")),
                        "{from}"
                    );
                }
                None => assert!(pages[to].contains(&format!(" id=\"{fragment}\"")), "{from} leads to {to}#{fragment}"),
            }
        }
        let listed = places.iter().filter(|(from, ..)| from == "/docs/reference");
        let listed: BTreeSet<_> =
            listed.filter_map(|(.., fragment)| fragment.as_ref()?.rsplit_once("/operation/")).collect();
        assert_eq!(listed.len(), operations.len(), "the list has every operation");
        assert!(pages.len() > 30 && pages.contains_key("/docs/examples/api.sh"), "{:?}", pages.keys());
        anon.get("/docs/nowhere").await.problem(404, "not_found");
        anon.get("/docs/reference/nowhere").await.problem(404, "not_found");
    });
}

#[test]
fn without_a_demo_no_account_is_shown() {
    app::run(Engine::Sqlite, async |app: App| {
        for path in ["/docs/", "/docs/reference"] {
            let page = app.anon().get(path).await;
            assert!(
                !page.text.contains("demo.legwork.example") && !page.text.contains(legwork::demo::PASSWORD),
                "{path}"
            );
        }
    });
}

#[test]
fn redoc_is_the_file_that_was_published() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vendor/redoc");
    let packed = std::fs::read(folder.join("redoc.standalone.js.gz")).expect("the file");
    let mut plain = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut plain).expect("gzip");
    let sum: Vec<String> = digest(&SHA256, &plain).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let readme = std::fs::read_to_string(folder.join("README.md")).expect("the readme");
    assert!(readme.contains(&sum.concat()), "{}", sum.concat());
    assert!(folder.join("LICENSE").is_file());
}

/// Notes in each new page what its policy blocks.
async fn note_violations(browser: &Browser) {
    let source = "window.blocked = []; document.addEventListener('securitypolicyviolation', \
        (event) => blocked.push(`${event.effectiveDirective} ${event.blockedURI}`))";
    browser.command("Page.addScriptToEvaluateOnNewDocument", json!({"source": source})).await;
}

#[test]
fn the_reference_is_drawn_without_a_request_to_another_host() {
    on_a_phone(async |app: App, phone: Browser| {
        note_violations(&phone).await;
        phone.open_page(&format!("{}/docs/reference/sessions#tag/sessions/operation/create_session", app.base)).await;
        // On a busy machine, drawing takes longer than the browser of the tests waits for a text.
        for _ in 0..900 {
            if phone.run("return document.querySelector('#reference[data-ready]') !== null").await == true {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        phone.see("/v1/sessions/refresh").await;
        phone.see("TypeScript").await;
        // The one thing that is blocked is a picture of Redoc's site, which the page hides.
        let blocked = phone
            .run("return blocked.filter((one) => one !== 'img-src https://cdn.redoc.ly/redoc/logo-mini.svg')")
            .await;
        assert_eq!(blocked, json!([]));
        // A request that the policy blocks is listed too.
        let script = "return performance.getEntriesByType('resource').map((one) => new URL(one.name)).filter((url) => \
            url.protocol !== 'data:' && url.host !== location.host && !blocked.includes(`img-src ${url}`)).map(String)";
        assert_eq!(phone.run(script).await, json!([]));
        assert_eq!(phone.run("return document.documentElement.scrollWidth <= innerWidth + 1").await, true);
        // Other operations are on pages of their own.
        let others = phone.run("return document.querySelectorAll('[id$=create_registration]').length").await;
        assert_eq!(others, 0);
    });
}

#[test]
fn guides_and_lists_are_accessible() {
    on_a_phone(async |app: App, browser: Browser| {
        note_violations(&browser).await;
        for page in ["", "first-booking", "errors", "web-client", "intake", "reference"] {
            browser.open_page(&format!("{}/docs/{page}", app.base)).await;
            browser.expect_accessible().await;
            assert_eq!(browser.run("return blocked").await, json!([]), "{page}");
        }
    });
}
