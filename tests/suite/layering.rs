//! Which module may import which. ARCHITECTURE.md has the map.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// The domain modules, lowest first: each may import those before it.
const DOMAIN: [&str; 7] = ["messages", "accounts", "patients", "scheduling", "intake", "appointments", "privacy"];
/// The modules that every other module may import.
const FOUNDATION: [&str; 22] = [
    "actor",
    "appointment_status",
    "audit",
    "audit_context",
    "build_options",
    "clinic",
    "clock",
    "config",
    "context",
    "db",
    "env",
    "error",
    "http",
    "identifiers",
    "ids",
    "phone",
    "periodic",
    "role",
    "sealed",
    "signed",
    "telemetry",
    "template_branches",
];
/// The modules that put the program together.
const APPLICATION: [&str; 8] = ["cli", "demo", "doctor", "main", "openapi", "pages", "routes", "server"];

/// The height of a module's layer.
fn layer(module: &str) -> Option<usize> {
    if FOUNDATION.contains(&module) {
        return Some(0);
    }
    if APPLICATION.contains(&module) {
        return Some(DOMAIN.len() + 1);
    }
    DOMAIN.iter().position(|name| *name == module).map(|at| at + 1)
}

/// The modules that a source names after `crate::`, in braces as well.
fn mentioned(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            modules.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            if depth == 0 && begins && c.is_alphabetic() {
                modules.insert(word(&group[at..]));
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
    modules
}

#[test]
fn imports_only_run_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let within = file.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let module = within.split(['/', '.']).next().expect("a module").to_owned();
        if module == "lib" {
            continue;
        }
        let own =
            layer(&module).unwrap_or_else(|| panic!("src/{within} belongs to no layer: add its module to this test"));
        let source = std::fs::read_to_string(&file).expect("a source");
        for other in mentioned(&source) {
            if let Some(height) = layer(&other)
                && other != module
                && (height > own || (height == own && own > 0 && own <= DOMAIN.len()))
            {
                wrong.push(format!("src/{within} imports {other}, which is in a higher layer"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_begins_with_its_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = ["src", "crates"].iter().flat_map(|folder| sources(&root.join(folder))).collect();
    assert!(files.len() > 200, "the sources are found");
    let has_subject = |file: &PathBuf| std::fs::read_to_string(file).expect("a source").starts_with("//! ");
    let without: Vec<_> = files.iter().filter(|file| !file.ends_with("tests.rs") && !has_subject(file)).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn the_pure_crates_depend_on_neither_database_nor_http() {
    let allowed = [
        "jiff",
        "language-tags",
        "serde",
        "serde_json",
        "serde_path_to_error",
        "text",
        "unicode-normalization",
        "utoipa",
    ];
    for name in ["rls", "text"] {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(name).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).expect("a manifest");
        let (_, dependencies) = manifest.split_once("[dependencies]").expect("dependencies");
        let (dependencies, _) = dependencies.split_once("[dev-dependencies]").expect("dev-dependencies");
        let names: Vec<&str> = dependencies.lines().filter_map(|line| Some(line.split_once('=')?.0.trim())).collect();
        assert!(!names.is_empty(), "crates/{name}");
        for dependency in names {
            assert!(allowed.contains(&dependency), "crates/{name} depends on {dependency}");
        }
    }
}

#[test]
fn the_scan_of_imports_sees_single_ones_and_groups() {
    let modules = mentioned(
        "use crate::db::Conn;\nuse crate::{accounts, http::{a, b}, patients};\n// crate::server\nlet x = crate::ids::A;",
    );
    assert_eq!(modules.into_iter().collect::<Vec<_>>(), ["accounts", "db", "http", "ids", "patients"]);
}

/// The files with endpoints that open the database themselves, with the reason.
const OPENS_THE_DATABASE: &[(&str, &str)] = &[
    ("accounts/sessions/sign_in.rs", "Strengthening a password's hash is no part of the request."),
    ("http/operations.rs", "Readiness asks the database a trivial question."),
];

/// Operations run in the request context, which opens the database and records the audit event. So no endpoint can forget either.
#[test]
fn endpoints_leave_the_database_and_the_audit_event_to_the_context() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut endpoints = 0;
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let source = std::fs::read_to_string(&file).expect("a source");
        if !source.contains("#[utoipa::path(") {
            continue;
        }
        endpoints += source.matches("#[utoipa::path(").count();
        let within = file.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let code: String = source.split_whitespace().collect();
        let opens = code.contains(".db.read(") || code.contains(".db.write(") || code.contains("audit::record(");
        if opens != OPENS_THE_DATABASE.iter().any(|(name, _)| *name == within) {
            wrong.push(format!("src/{within}"));
        }
    }
    assert!(endpoints > 100, "{endpoints}");
    assert!(wrong.is_empty(), "open the database, or are listed although they do not: {}", wrong.join(", "));
}
