//! A real browser: headless Chromium, controlled over WebDriver, which is a few JSON requests (W3C Recommendation).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::app::{self, App};
use super::{Engine, print_uncaptured};

/// How long a test waits for a page to show something.
const PATIENCE: Duration = Duration::from_secs(20);
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys as WebDriver writes them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// A browser with an empty profile. It ends when this is dropped.
pub struct Browser {
    http: reqwest::Client,
    port: u16,
    session: String,
    driver: Child,
    profile: TempDir,
    /// Whether it is used with the keyboard: `chromedriver` waits for a script of the page after a tap.
    by_keyboard: AtomicBool,
}

/// Runs a test with a server (on SQLite, because pages do not depend on the engine) and a phone's browser.
///
/// # Panics
/// If `REQUIRE_BROWSER` is set and there is no browser. Otherwise the test is skipped.
pub fn on_a_phone(test: impl AsyncFnOnce(App, Browser)) {
    let (Some(chromium), Some(driver)) =
        (find(&["chromium", "chromium-browser", "google-chrome"]), find(&["chromedriver"]))
    else {
        let required = std::env::var_os("REQUIRE_BROWSER").is_some_and(|value| !value.is_empty() && value != "0");
        assert!(!required, "REQUIRE_BROWSER is set, but chromium and chromedriver were not found");
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        print_uncaptured(&format!("==> SKIPPED for want of a browser (chromium and chromedriver): {test}"));
        return;
    };
    app::run(Engine::Sqlite, |app| async move {
        let browser = Browser::open(&chromium, &driver).await;
        test(app, browser).await;
    });
}

fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

impl Browser {
    async fn open(chromium: &PathBuf, driver: &PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let profile = tempfile::tempdir().expect("a folder");
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut this = Self {
            http: app::http_client(),
            port,
            session: String::new(),
            driver,
            profile,
            by_keyboard: AtomicBool::new(false),
        };
        let patience = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "chromedriver does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let profile = format!("--user-data-dir={}", this.profile.path().display());
        let options = json!({
            "binary": chromium,
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-US", profile,
                // As browsers do that refuse cookies of frames.
                "--test-third-party-cookie-phaseout",
            ],
            "mobileEmulation": {
                "deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2, "touch": true, "mobile": true},
            },
        });
        let capabilities = json!({"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}});
        let answer = this.ask("/session", json!({"capabilities": capabilities})).await;
        answer["sessionId"].as_str().expect("a session").clone_into(&mut this.session);
        this
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let response = self.http.post(url).body(body.to_string()).send().await.expect("chromedriver answers");
        let answer: Value = serde_json::from_str(&response.text().await.expect("text")).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{path}: {answer:#}");
        answer["value"].clone()
    }

    async fn tell(&self, path: &str, body: Value) -> Value {
        self.ask(&format!("/session/{}{path}", self.session), body).await
    }

    /// Loads a page, even if only the fragment differs.
    pub async fn open_page(&self, url: &str) {
        self.tell("/url", json!({"url": "about:blank"})).await;
        self.tell("/url", json!({"url": url})).await;
    }

    /// Goes on in the first frame of the page.
    pub async fn enter_frame(&self) {
        self.tell("/frame", json!({"id": 0})).await;
    }

    /// Goes on in the page around the frame.
    pub async fn leave_frame(&self) {
        self.tell("/frame", json!({"id": null})).await;
    }

    /// Waits until a window opens, and goes on there.
    pub async fn enter_new_window(&self) {
        let url = format!("http://127.0.0.1:{}/session/{}/window", self.port, self.session);
        let read = async |path: &str| -> Value {
            let response = self.http.get(format!("{url}{path}")).send().await.expect("chromedriver answers");
            let answer: Value = serde_json::from_str(&response.text().await.expect("text")).expect("JSON");
            answer["value"].clone()
        };
        let (current, patience) = (read("").await, Instant::now() + PATIENCE);
        loop {
            let all = read("/handles").await;
            if let Some(new) = all.as_array().expect("windows").iter().find(|one| **one != current) {
                self.tell("/window", json!({"handle": new})).await;
                return;
            }
            assert!(Instant::now() < patience, "no window opens");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Goes back in the history.
    pub async fn back(&self) {
        self.tell("/back", json!({})).await;
    }

    pub async fn reload(&self) {
        self.tell("/refresh", json!({})).await;
    }

    /// Runs a script in the page and returns what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.tell("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Runs a script in the page that calls its argument, and returns what it calls it with.
    pub async fn run_async(&self, script: &str) -> Value {
        self.tell("/execute/async", json!({"script": script, "args": []})).await
    }

    /// Sends a command of Chromium's own protocol.
    pub async fn command(&self, name: &str, parameters: Value) {
        self.tell("/goog/cdp/execute", json!({"cmd": name, "params": parameters})).await;
    }

    /// Prints HTML and returns the number of sheets. The paper has the size of `@page`.
    pub async fn sheets(&self, html: &str) -> usize {
        self.tell("/url", json!({"url": "about:blank"})).await;
        self.run(&format!("document.open(); document.write({}); document.close()", json!(html))).await;
        let parameters =
            json!({"cmd": "Page.printToPDF", "params": {"preferCSSPageSize": true, "printBackground": true}});
        let printed = self.tell("/goog/cdp/execute", parameters).await;
        let pdf = BASE64_STANDARD.decode(printed["data"].as_str().expect("a PDF")).expect("base64");
        // Every page is an object of this type. The list of pages has the type `/Pages`.
        String::from_utf8_lossy(&pdf).matches("/Type /Page\n").count()
    }

    /// The visible text of the page.
    pub async fn text(&self) -> String {
        self.run("return document.querySelector('main')?.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows this text.
    pub async fn see(&self, words: &str) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let text = self.text().await;
            if text.contains(words) {
                return;
            }
            assert!(Instant::now() < patience, "no “{words}” in\n{text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a script finds an element: the page may still load or ask the server.
    async fn element(&self, script: &str, what: &str) -> String {
        let patience = Instant::now() + PATIENCE;
        loop {
            let found = self.run(script).await;
            if let Some(id) = found[ELEMENT].as_str() {
                return id.to_owned();
            }
            assert!(Instant::now() < patience, "no “{what}” in\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks the button or link with this text.
    pub async fn press(&self, words: &str) {
        let script = format!(
            "return [...document.querySelectorAll('button, a')].find((one) => one.checkVisibility() && one.innerText.trim() === {})",
            json!(words)
        );
        self.activate(&script, words, ENTER).await;
    }

    /// Clicks the first element that a selector finds.
    pub async fn press_first(&self, selector: &str) {
        self.activate(&format!("return document.querySelector({})", json!(selector)), selector, ENTER).await;
    }

    /// Clicks what a script finds, or presses the key on it.
    async fn activate(&self, script: &str, what: &str, key: &str) {
        let id = self.element(script, what).await;
        if self.is_without_scripts() {
            self.run(&format!("const found = (() => {{ {script} }})(); (found.control ?? found).focus()")).await;
            self.keys(key).await;
        } else {
            self.tell(&format!("/element/{id}/click"), json!({})).await;
        }
    }

    /// Replaces the content of the field with this label.
    pub async fn fill(&self, label: &str, text: &str) {
        let script = format!(
            "const label = [...document.querySelectorAll('label')].find((one) => one.checkVisibility() && one.innerText.trim() === {});
             return label?.control",
            json!(label)
        );
        let id = self.element(&script, label).await;
        self.tell(&format!("/element/{id}/clear"), json!({})).await;
        self.tell(&format!("/element/{id}/value"), json!({"text": text})).await;
    }

    /// Picks an option of the list with this label, by typing its first letters.
    pub async fn pick(&self, label: &str, option: &str) {
        let script = format!(
            "const label = [...document.querySelectorAll('label')].find((one) => one.checkVisibility() && one.innerText.trim() === {});
             return label?.control",
            json!(label)
        );
        let id = self.element(&script, label).await;
        self.tell(&format!("/element/{id}/value"), json!({"text": option})).await;
    }

    /// Chooses an option of the question that begins with these words.
    pub async fn choose(&self, question: &str, option: &str) {
        let script = format!(
            "const group = [...document.querySelectorAll('fieldset')].find((one) => one.checkVisibility() && one.querySelector('legend').innerText.trim().startsWith({}));
             return [...(group?.querySelectorAll('label.option') ?? [])].find((one) => one.innerText.trim() === {})",
            json!(question),
            json!(option)
        );
        self.activate(&script, option, " ").await;
    }

    /// Switches the scripts of pages off, and uses the keyboard from now on. Scripts of the test still run.
    pub async fn without_scripts(&self) {
        self.by_keyboard.store(true, Ordering::Relaxed);
        self.command("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// Whether the scripts of pages are off.
    pub fn is_without_scripts(&self) -> bool {
        self.by_keyboard.load(Ordering::Relaxed)
    }

    /// Presses keys where the focus is.
    pub async fn keys(&self, keys: &str) {
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        self.tell("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).await;
    }

    /// A description of the focused element.
    pub async fn focus(&self) -> String {
        let words = self.run("return document.activeElement.innerText ?? ''").await;
        words.as_str().unwrap_or_default().trim().to_owned()
    }

    /// Presses the tab key until the element with this text has the focus.
    pub async fn tab_to(&self, words: &str) {
        let mut passed = Vec::new();
        for _ in 0..30 {
            let focus = self.focus().await;
            if focus == words {
                return;
            }
            passed.push(focus);
            self.keys(TAB).await;
        }
        panic!("the tabulator never reaches “{words}”: {passed:?}");
    }
}

impl Drop for Browser {
    /// Ends the session, which ends Chromium, and then the driver.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let request =
                format!("DELETE /session/{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", self.session);
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read(&mut [0; 512]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
