//! Accessibility of the page that a browser shows: our own rules (`accessible.js`), and those of axe-core where `.ci/run` has installed it.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::browser::Browser;
use super::print_uncaptured;

/// Where `.ci/run` installs axe-core.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/axe/node_modules/axe-core/axe.min.js");

/// Runs the rules of WCAG 2.2 AA and the best practices. A finding is the rule and the first element that breaks it.
const RUN_AXE: &str = "const done = arguments[0];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']}).then(
        (found) => done(found.violations.map((one) => `axe ${one.id}: ${one.help}: ${one.nodes[0].html.slice(0, 200)}`)),
        (error) => done([String(error)]));";

/// The source of axe-core. Says aloud if it is not installed.
fn axe() -> Option<&'static str> {
    static SOURCE: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let source = std::fs::read_to_string(AXE).ok();
        if source.is_none() {
            print_uncaptured("==> SKIPPED for want of axe-core: its rules for the pages that browsers show");
        }
        source
    };
    SOURCE.get_or_init(read).as_deref()
}

impl Browser {
    /// Fails with a list of accessibility problems of the page: on a phone, on a narrow screen, and in dark colours on
    /// a wide one.
    pub async fn expect_accessible(&self) {
        // What a screen is set to does not reach a frame, so its page is judged as it is shown.
        if self.run("return self !== top").await == true {
            let findings = self.findings().await;
            assert!(findings.is_empty(), "{findings:#?}\n{}", self.text().await);
            return;
        }
        let mut findings = Vec::new();
        for (scheme, width) in [("light", 390), ("light", 320), ("dark", 1280)] {
            self.show(scheme, width).await;
            let mut found = self.findings().await;
            found.retain(|finding| !findings.iter().any(|(_, known)| known == finding));
            findings.extend(found.into_iter().map(|finding| (format!("{scheme}, {width} px"), finding)));
        }
        self.show("light", 390).await;
        assert!(findings.is_empty(), "{findings:#?}\n{}", self.text().await);
    }

    async fn show(&self, scheme: &str, width: u32) {
        // Colours that change slowly would be judged on their way.
        let still = json!({"name": "prefers-reduced-motion", "value": "reduce"});
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}, still]});
        self.command("Emulation.setEmulatedMedia", features).await;
        let screen = json!({"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": width < 1000});
        self.command("Emulation.setDeviceMetricsOverride", screen).await;
    }

    async fn findings(&self) -> Vec<Value> {
        let mut findings = self.run(include_str!("accessible.js")).await.as_array().cloned().expect("a list");
        // Where the scripts of pages are off, those of axe do not end.
        if let Some(axe) = axe().filter(|_| !self.is_without_scripts()) {
            if self.run("return typeof axe").await == "undefined" {
                self.run(&format!("const module = undefined; {axe}; window.axe = axe")).await;
            }
            findings.extend(self.run_async(RUN_AXE).await.as_array().cloned().expect("a list"));
        }
        findings
    }
}
