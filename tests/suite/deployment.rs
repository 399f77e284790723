//! The files for operators fit the program: the systemd unit, the proxy examples, the versions of the tools.

use std::collections::BTreeSet;
use std::process::Command;

use clap::Args;
use legwork::config::Settings;
use legwork::telemetry::{MessageLabels, Metrics, RequestLabels, WebhookLabels};

fn read(name: &str) -> String {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.kill(5) know, as far as it may be used here.
const DIRECTIVES: [(&str, &[&str]); 3] = [
    ("Unit", &["Description", "After", "Wants"]),
    (
        "Service",
        &[
            "Type",
            "ExecStart",
            "User",
            "Group",
            "StateDirectory",
            "StateDirectoryMode",
            "WorkingDirectory",
            "UMask",
            "LimitNOFILE",
            "Restart",
            "RestartSec",
            "TimeoutStopSec",
            "CapabilityBoundingSet",
            "NoNewPrivileges",
            "ProtectSystem",
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "PrivateUsers",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "ProtectProc",
            "RemoveIPC",
            "LockPersonality",
            "MemoryDenyWriteExecute",
            "RestrictAddressFamilies",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "SystemCallErrorNumber",
        ],
    ),
    ("Install", &["WantedBy"]),
];

/// The entries of the unit: section, directive, value.
fn unit() -> Vec<(String, String, String)> {
    let text = read("deploy/legwork.service");
    let mut section = String::new();
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (directive, value) = line.split_once('=').unwrap_or_else(|| panic!("no directive: {line}"));
            entries.push((section.clone(), directive.to_owned(), value.to_owned()));
        }
    }
    entries
}

fn directive(name: &str) -> String {
    let found = unit().into_iter().find(|(_, directive, _)| directive == name);
    found.unwrap_or_else(|| panic!("the unit has no {name}")).2
}

/// Whether the program accepts these arguments.
fn accepts(arguments: &[&str]) -> bool {
    let mut program = Command::new(env!("CARGO_BIN_EXE_legwork"));
    program.args(arguments).arg("--help").output().expect("the program").status.success()
}

#[test]
fn the_unit_has_known_directives_only_and_starts_the_program_with_arguments_it_accepts() {
    for (section, directive, value) in unit() {
        let known = DIRECTIVES.iter().find(|(name, _)| *name == section);
        let (_, directives) = known.unwrap_or_else(|| panic!("no section [{section}]"));
        assert!(directives.contains(&directive.as_str()), "[{section}] has no {directive} ({value})");
    }
    let command = directive("ExecStart");
    let words: Vec<&str> = command.split_whitespace().collect();
    assert!(words[0].starts_with('/') && words[0].ends_with("/legwork"), "{command}");
    assert!(accepts(&words[1..]), "{command}");
    assert!(!accepts(&["serve", "--no-such-flag"]));
    assert_eq!(directive("WorkingDirectory"), format!("/var/lib/{}", directive("StateDirectory")));
}

#[test]
fn the_unit_waits_for_the_end_of_a_stop_as_long_as_the_settings_do() {
    let command = Settings::augment_args(clap::Command::new("legwork"));
    let seconds = |id: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_id() == id).expect("a setting");
        argument.get_default_values()[0].to_string_lossy().parse::<u32>().expect("seconds")
    };
    let waits: u32 = directive("TimeoutStopSec").parse().expect("seconds");
    assert!(waits >= seconds("shutdown_delay_seconds") + seconds("shutdown_seconds") + 10);
}

#[test]
fn the_proxies_replace_the_header_that_the_service_reads_and_limit_each_client() {
    let nginx = read("deploy/nginx.conf");
    let haproxy = read("deploy/haproxy.cfg");
    let command = Settings::augment_args(clap::Command::new("legwork"));
    let header = command.get_arguments().find(|argument| argument.get_id() == "proxy_header").expect("a setting");
    let header = header.get_default_values()[0].to_string_lossy().into_owned();
    for (text, sets) in [(&nginx, "proxy_set_header "), (&haproxy, "http-request set-header ")] {
        let line = text.lines().map(str::trim).find(|line| line.to_lowercase().contains(&header));
        let line = line.unwrap_or_else(|| panic!("nothing sets {header}"));
        assert!(line.starts_with(sets), "{line}");
        // What the client sent is not appended to.
        assert!(!line.contains("proxy_add") && !line.contains("add-header"), "{line}");
    }
    for limit in ["limit_conn legwork_connections", "client_header_timeout", "client_body_timeout"] {
        assert!(nginx.contains(limit), "{limit}");
    }
    for limit in ["sc0_conn_cur gt", "timeout http-request", "httpchk GET /health/ready"] {
        assert!(haproxy.contains(limit), "{limit}");
    }
}

#[test]
fn each_alert_uses_metrics_of_the_service_and_has_a_section_in_the_runbook() {
    let (alerts, runbook) = (read("deploy/alerts.yml"), read("docs/runbook.md"));
    let metrics = Metrics::default();
    // A family without a member is not exposed.
    drop(metrics.http_duration.get_or_create(&RequestLabels { method: "GET", route: "/".to_owned(), status: 200 }));
    drop(metrics.outbox.get_or_create(&MessageLabels { status: "failed".to_owned() }));
    drop(metrics.webhooks.get_or_create(&WebhookLabels { status: "failing" }));
    let exposed = metrics.render();
    let metrics: BTreeSet<&str> = alerts
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("legwork_"))
        .collect();
    assert!(metrics.len() > 10, "{metrics:?}");
    for metric in metrics {
        // The exposition names a family without the suffix of its series.
        let family = ["_total", "_count", "_bucket"].iter().find_map(|suffix| metric.strip_suffix(suffix));
        let family = format!("# TYPE {} ", family.unwrap_or(metric));
        assert!(exposed.contains(&family), "there is no metric {metric}");
    }
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let sections: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(names, sections);
    for name in names {
        let link = format!("runbook: \"docs/runbook.md#{}\"", name.to_lowercase());
        assert!(alerts.contains(&link), "{name} does not link to its section");
    }
}

#[test]
fn the_tools_have_the_version_that_the_package_asks_for() {
    let package = read("Cargo.toml");
    let version = package.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    let version = version.trim_matches('"');
    let toolchain = read("rust-toolchain.toml");
    assert!(toolchain.contains(&format!("channel = \"{version}.")), "{toolchain}");
    for name in ["Containerfile", ".github/workflows/ci.yml"] {
        assert!(read(name).contains(&format!("rust:{version}-")), "{name} has another version than {version}");
    }
    assert!(read(".github/workflows/ci.yml").contains("- run: .ci/run\n"));
}
