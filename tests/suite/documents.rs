//! The documents are true: generated parts follow the settings, and what the text names exists.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use legwork::config::Settings;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The headings of the configuration page, each with its first setting. The settings are in the order of the struct.
const SECTIONS: [(&str, &str); 15] = [
    ("database_url", "Database"),
    ("listen_addr", "Network"),
    ("max_open_bookings", "Limits per person"),
    ("public_url", "Links"),
    ("jwt_secret", "Secrets"),
    ("smtp_url", "Mail"),
    ("clinic_name", "Clinic"),
    ("intake_valid_days", "Intake"),
    ("adult_age", "Access to records"),
    ("slot_horizon_days", "Schedule"),
    ("password_min_patient", "Accounts and sessions"),
    ("webhook_allowed_networks", "Webhooks"),
    ("retain_messages_days", "Retention"),
    ("shutdown_delay_seconds", "Shutdown"),
    ("log_format", "Log"),
];

const LOG_FILTER: &str = "What the log contains: `error`, `warn`, `info`, `debug` or `trace`, also per module. \
    It is an environment variable only. `legwork::sql=trace` logs statements, never their values.";

/// A setting as clap knows it.
struct Setting {
    id: String,
    variable: String,
    flag: String,
    default: Option<String>,
    text: String,
}

impl Setting {
    fn of(argument: &Arg) -> Option<Self> {
        let help = argument.get_long_help().or(argument.get_help()).expect("a comment").to_string();
        let mut text = help.split("\n\n").map(str::trim).collect::<Vec<_>>().join(" ");
        if !text.ends_with('.') {
            text.push('.');
        }
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter_map(|value| Some(format!("`{}`: {}", value.get_name(), value.get_help()?)))
            .collect();
        if !values.is_empty() {
            write!(text, " {}.", values.join("; ")).expect("text");
        }
        Some(Self {
            id: argument.get_id().to_string(),
            variable: argument.get_env()?.to_string_lossy().into_owned(),
            flag: argument.get_long()?.to_owned(),
            default: match argument.get_default_values() {
                [value, ..] => Some(value.to_string_lossy().into_owned()),
                [] => matches!(argument.get_action(), ArgAction::SetTrue).then(|| "false".to_owned()),
            },
            text,
        })
    }
}

fn command() -> Command {
    <Settings as clap::Args>::augment_args(Command::new("legwork"))
}

fn settings() -> Vec<Setting> {
    command().get_arguments().filter_map(Setting::of).collect()
}

fn configuration_page() -> String {
    let mut page = "# Configuration\n\n\
        <!-- Generated from src/config/mod.rs: UPDATE_CONFIGURATION=1 cargo test --test suite documents -->\n\n\
        A setting is a flag, an environment variable or a line of the file `.env` in the working directory. A flag takes \
        precedence over the\nenvironment, and the environment over the file. The flag of `MAX_OPEN_BOOKINGS` is \
        `--max-open-bookings`. [`.env.example`](../.env.example)\nhas all settings with their defaults. The server reads \
        settings once, at the start.\n"
        .to_owned();
    let row = |page: &mut String, variable: &str, default: Option<&str>, text: &str| {
        let default = default.map(|value| format!("`{value}`")).unwrap_or_default();
        writeln!(page, "| `{variable}` | {default} | {} |", text.replace('|', "\\|")).expect("text");
    };
    for setting in settings() {
        if let Some((_, heading)) = SECTIONS.iter().find(|(first, _)| *first == setting.id) {
            write!(page, "\n## {heading}\n\n| variable | default | meaning |\n|---|---|---|\n").expect("text");
        }
        row(&mut page, &setting.variable, setting.default.as_deref(), &setting.text);
    }
    row(&mut page, "RUST_LOG", Some("info"), LOG_FILTER);
    page
}

fn example_of_env() -> String {
    let mut file = "# Generated from src/config/mod.rs: UPDATE_CONFIGURATION=1 cargo test --test suite documents\n\
        # All settings with their defaults. Copy this file to `.env` and uncomment what you change.\n\
        # Flags and the environment take precedence over `.env`.\n"
        .to_owned();
    let entry = |file: &mut String, variable: &str, value: &str, text: &str| {
        file.push('\n');
        let mut line = "#".to_owned();
        for word in text.split_whitespace() {
            if line.len() + word.len() >= 110 {
                writeln!(file, "{line}").expect("text");
                line.truncate(1);
            }
            write!(line, " {word}").expect("text");
        }
        let quote = if value.contains(' ') { "\"" } else { "" };
        writeln!(file, "{line}\n#{variable}={quote}{value}{quote}").expect("text");
    };
    for setting in settings() {
        // A form that the server rejects, so that the example is never run with.
        let secret = if setting.id == "jwt_secret" || setting.id == "data_keys" { "k1:" } else { "" };
        entry(&mut file, &setting.variable, setting.default.as_deref().unwrap_or(secret), &setting.text);
    }
    entry(&mut file, "RUST_LOG", "info", LOG_FILTER);
    file
}

#[test]
fn the_configuration_page_and_the_example_of_env_follow_the_settings() {
    let known = settings();
    for (first, heading) in SECTIONS {
        assert!(known.iter().any(|setting| setting.id == first), "{heading} starts with {first}, which is no setting");
    }
    for setting in &known {
        assert_eq!(setting.flag.replace('-', "_").to_uppercase(), setting.variable);
    }
    for (name, now) in [("docs/configuration.md", configuration_page()), (".env.example", example_of_env())] {
        if std::env::var_os("UPDATE_CONFIGURATION").is_some() {
            std::fs::write(root().join(name), &now).expect("write");
        }
        assert!(read(name) == now, "{name} is out of date: UPDATE_CONFIGURATION=1 cargo test --test suite documents");
    }
}

#[test]
fn each_range_that_a_setting_names_is_the_range_that_it_accepts() {
    let mut seen = 0;
    for setting in settings() {
        let range = setting.text.split('(').find_map(|rest| {
            let (least, rest) = rest.split_once(" to ")?;
            let most: String = rest.chars().take_while(char::is_ascii_digit).collect();
            Some((least.parse::<i64>().ok()?, most.parse::<i64>().ok()?))
        });
        let Some((least, most)) = range else { continue };
        let accepts = |value: i64| {
            let flag = format!("--{}={value}", setting.flag);
            command().try_get_matches_from(["legwork", &flag]).is_ok()
        };
        let accepted = [least - 1, least, most, most + 1].map(accepts);
        assert_eq!(accepted, [false, true, true, false], "{} ({least} to {most})", setting.variable);
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn every_metric_and_error_code_that_a_document_names_exists() {
    let metrics = legwork::telemetry::Metrics::default().render();
    let page = read("docs/operations.md");
    let names: Vec<&str> = page.split('`').filter(|word| word.starts_with("legwork_")).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(metrics.contains(&format!("# TYPE {} ", name.trim_end_matches("_total"))), "there is no metric {name}");
    }
    let mut sources = Vec::new();
    collect(&root().join("src"), &mut sources);
    let code: String = sources.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let page = read("docs/api/errors.md");
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with(['|']) && line.contains(char::is_numeric)).collect();
    assert!(rows.len() > 12, "{rows:?}");
    for row in rows {
        let codes = row.split('|').nth(2).expect("a column").split('`').skip(1).step_by(2);
        for name in codes {
            assert!(code.contains(&format!("\"{name}\"")), "there is no error code {name}");
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every document of the repository, by its path.
fn documents() -> Vec<String> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    collect(&root().join("docs"), &mut files);
    let is_document = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let name = |path: PathBuf| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    files.into_iter().filter(is_document).map(name).collect()
}

#[test]
fn every_path_that_a_document_names_exists() {
    let starts = [
        "src/",
        "tests/",
        "migrations/",
        "examples/",
        "openapi/",
        "docs/",
        "deploy/",
        "benches/",
        ".ci/",
        ".github/",
        ".cargo/",
        "crates/",
    ];
    let mut seen = 0;
    for document in documents() {
        for word in read(&document).split(|c: char| c.is_whitespace() || "()[]`,;:|\"".contains(c)) {
            let word = word.trim_end_matches('.');
            if starts.iter().any(|start| word.starts_with(start)) && !word.contains(['*', '{', '<', '…', '$']) {
                // A link is relative to its document; a path in the text, to the root.
                let beside = root().join(&document).with_file_name(word.split('#').next().expect("a path"));
                assert!(root().join(word).exists() || beside.exists(), "{document} names {word}, which does not exist");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// A heading as the part of a link after `#`.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut seen = 0;
    for document in documents() {
        for link in read(&document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, section) = link.split_once('#').map_or((link, None), |(path, section)| (path, Some(section)));
            let target = match path {
                "" => root().join(&document),
                path => root().join(&document).parent().expect("a folder").join(path),
            };
            assert!(target.exists(), "{document} links to {link}, which does not exist");
            if let Some(section) = section {
                let text = std::fs::read_to_string(&target).expect("a document");
                let headings =
                    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
                let anchors: BTreeSet<String> = headings.map(|heading| anchor(heading.trim())).collect();
                assert!(anchors.contains(section), "{document} links to {link}; there are {anchors:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_readme_and_the_architecture_fit_a_short_read() {
    for (document, most) in [("README.md", 110), ("ARCHITECTURE.md", 100)] {
        let lines = read(document).lines().count();
        assert!(lines <= most, "{document} has {lines} lines; move details to docs/");
    }
}

#[test]
fn the_page_of_faults_names_tests_that_exist() {
    let page = read("docs/faults.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let named: Vec<&str> =
        rows.filter_map(|row| row.rsplit(" | ").next()).flat_map(|tests| tests.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 15, "{named:?}");
    for test in named {
        assert!(!files_of(&test.split("::").collect::<Vec<_>>()).is_empty(), "docs/faults.md names {test}");
    }
}

/// The files that a path such as `security::limits` or `messages::calendar::tests` may mean.
fn files_of(path: &[&str]) -> Vec<PathBuf> {
    let path: Vec<_> = path.iter().filter(|part| **part != "tests").copied().collect();
    let name = path.join("/");
    [
        format!("tests/suite/{name}.rs"),
        format!("src/{name}.rs"),
        format!("src/{name}/mod.rs"),
        format!("src/{name}/tests.rs"),
    ]
    .iter()
    .map(|name| root().join(name))
    .filter(|file| file.exists())
    .collect()
}

#[test]
fn the_security_page_has_every_row_and_names_tests_that_exist() {
    let page = read("SECURITY.md");
    for row in 1..=25 {
        assert!(page.contains(&format!("\n| {row} | ")), "SECURITY.md lacks row {row}");
    }
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2).filter(|word| word.contains("::") && !word.contains(['=', ' '])) {
        let parts: Vec<_> = word.split("::").collect();
        let (name, path) = parts.split_last().expect("parts");
        let start = format!("fn {}", name.trim_end_matches('*'));
        let holds = |file: &PathBuf| std::fs::read_to_string(file).expect("a file").contains(&start);
        assert!(!files_of(&parts).is_empty() || files_of(path).iter().any(holds), "SECURITY.md names {word}");
        named += 1;
    }
    assert!(named > 30, "{named}");
}
