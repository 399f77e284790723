//! The rules of the house that no compiler checks: who may import whom, and that the papers are true.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Command;
use legwork::config::Settings;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The departments, lowest first: each may know those before it.
const DEPARTMENTS: [&str; 8] =
    ["audit", "messages", "accounts", "patients", "scheduling", "intake", "appointments", "privacy"];
const GROUND_FLOOR: [&str; 16] = [
    "actor",
    "clock",
    "config",
    "db",
    "env",
    "error",
    "http",
    "identifiers",
    "ids",
    "phone",
    "rounds",
    "sealed",
    "signed",
    "telemetry",
    "text",
    "trail",
];
const ROOF: [&str; 7] = ["cli", "demo", "main", "openapi", "pages", "routes", "server"];

/// How high a room lies.
fn floor(room: &str) -> Option<usize> {
    if GROUND_FLOOR.contains(&room) {
        return Some(0);
    }
    if ROOF.contains(&room) {
        return Some(DEPARTMENTS.len() + 1);
    }
    DEPARTMENTS.iter().position(|department| *department == room).map(|at| at + 1)
}

/// The rooms that a source names after `crate::`, the ones in braces as well.
fn mentioned(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            if depth == 0 && begins && c.is_alphabetic() {
                rooms.insert(word(&group[at..]));
                begins = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ => {}
            }
        }
    }
    rooms
}

#[test]
fn imports_only_run_down() {
    let src = root().join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let within = file.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let room = within.split(['/', '.']).next().expect("a room").to_owned();
        if room == "lib" {
            continue;
        }
        let own =
            floor(&room).unwrap_or_else(|| panic!("src/{within} belongs to no floor: name its room in this test"));
        let source = std::fs::read_to_string(&file).expect("a source");
        for other in mentioned(&source) {
            if let Some(height) = floor(&other)
                && other != room
                && (height > own || (height == own && own > 0 && own <= DEPARTMENTS.len()))
            {
                wrong.push(format!("src/{within} imports {other}, which lies above it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scan_of_imports_sees_single_ones_and_groups() {
    let rooms = mentioned(
        "use crate::db::Conn;\nuse crate::{accounts, http::{a, b}, patients};\n// crate::server\nlet x = crate::ids::A;",
    );
    assert_eq!(rooms.into_iter().collect::<Vec<_>>(), ["accounts", "db", "http", "ids", "patients"]);
}

/// The settings as clap knows them, with their defaults.
fn settings() -> Vec<(String, Option<String>)> {
    let command = <Settings as clap::Args>::augment_args(Command::new("legwork"));
    command
        .get_arguments()
        .filter_map(|argument| {
            let name = argument.get_env()?.to_string_lossy().into_owned();
            let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            Some((name, default))
        })
        .collect()
}

#[test]
fn the_example_of_env_names_every_setting_with_its_default() {
    let text = read(".env.example");
    let lines: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();
    let mut known: BTreeSet<String> = settings().into_iter().map(|(name, _)| name).collect();
    known.insert("RUST_LOG".into());
    let there: BTreeSet<String> = lines.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, known);
    for (name, default) in settings() {
        let (_, value) = lines.iter().find(|(there, _)| *there == name).expect("checked");
        if let Some(default) = default {
            assert_eq!(value.trim_matches('"'), default, "{name}");
        }
    }
}

#[test]
fn the_readme_names_every_setting_and_no_paper_names_a_file_that_is_gone() {
    let readme = read("README.md");
    for (name, _) in settings() {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not name {name}");
    }
    for paper in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        for word in read(paper).split(|c: char| c.is_whitespace() || "()`,;:".contains(c)) {
            let word = word.trim_end_matches('.');
            let is_path =
                ["src/", "tests/", "migrations/", "examples/", "openapi/"].iter().any(|start| word.starts_with(start));
            if is_path && !word.contains(['*', '{', '<']) {
                assert!(root().join(word).exists(), "{paper} names {word}, which is not there");
            }
        }
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
fn the_security_page_has_every_row_and_names_no_test_that_is_not_there() {
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
