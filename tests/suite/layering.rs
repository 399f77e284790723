//! Which module may import which. ARCHITECTURE.md has the map.

use std::collections::{BTreeMap, BTreeSet};
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
const DOMAIN: [&str; 13] = [
    "messages",
    "accounts",
    "patients",
    "events",
    "webhooks",
    "scheduling",
    "intake",
    "appointments",
    "waitlist",
    "merging",
    "reports",
    "registration",
    "privacy",
];
/// The modules that every other module may import.
const FOUNDATION: [&str; 26] = [
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
    "permissions",
    "role",
    "scopes",
    "sealed",
    "signed",
    "telemetry",
    "template_branches",
    "turns",
    "zones",
];
/// The modules that put the program together.
const APPLICATION: [&str; 8] = ["cli", "demo", "doctor", "main", "openapi", "routes", "server", "web"];

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

/// The names of a path, or of each path of a group in braces, and where they end in the text.
fn path_tree(text: &str) -> (Vec<Vec<String>>, usize) {
    if text.starts_with('{') {
        let (mut paths, mut at) = (Vec::new(), 1);
        while let Some(next) = text[at..].find(|c: char| !c.is_whitespace() && c != ',') {
            at += next;
            if text[at..].starts_with('}') {
                return (paths, at + 1);
            }
            let (inner, length) = path_tree(&text[at..]);
            paths.extend(inner);
            // Skips `as name` and the star.
            at += length + text[at + length..].find([',', '}']).unwrap_or(0);
        }
        return (paths, at);
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = text[..end].to_owned();
    let Some(rest) = text[end..].strip_prefix("::").filter(|rest| !rest.starts_with(['<', '*'])) else {
        return (vec![vec![name]], end);
    };
    let (paths, length) = path_tree(rest);
    (paths.into_iter().map(|path| [vec![name.clone()], path].concat()).collect(), end + 2 + length)
}

/// The paths from the crate's root that a module names with `crate::` or `super::`. Its unit tests do not count.
fn named_paths(source: &str, own: &[&str]) -> BTreeSet<Vec<String>> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            for path in path_tree(&code[at..]).0 {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let base = if ups == 0 { &[][..] } else { &own[..own.len().saturating_sub(ups)] };
                let rest = path.into_iter().skip(ups.max(1));
                found.insert(base.iter().map(|name| (*name).to_owned()).chain(rest).collect());
            }
        }
    }
    found
}

/// Every file of `src` as its path, its module and its text.
fn modules() -> Vec<(String, Vec<String>, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src).into_iter().map(|file| {
        let within = file.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let module = within.trim_end_matches(".rs").trim_end_matches("/mod").split('/').map(str::to_owned).collect();
        (within, module, std::fs::read_to_string(&file).expect("a source"))
    });
    files.filter(|(within, ..)| within != "lib.rs").collect()
}

#[test]
fn imports_only_run_down() {
    let mut wrong = Vec::new();
    for (within, module, source) in modules() {
        let module = &module[0];
        let own =
            layer(module).unwrap_or_else(|| panic!("src/{within} belongs to no layer: add its module to this test"));
        for path in named_paths(&source, &[module]) {
            if let Some(height) = path.first().and_then(|other| layer(other))
                && path[0] != *module
                && (height > own || (height == own && own > 0 && own <= DOMAIN.len()))
            {
                wrong.push(format!("src/{within} imports {}, which is in a higher layer", path[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A module and those below it belong together, so imports between them do not count.
#[test]
fn files_do_not_import_each_other_in_circles() {
    let modules = modules();
    let names: BTreeSet<&[String]> = modules.iter().map(|(_, module, _)| module.as_slice()).collect();
    let mut imports: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for (_, module, source) in &modules {
        let own: Vec<&str> = module.iter().map(String::as_str).collect();
        for path in named_paths(source, &own) {
            let named = (1..=path.len()).rev().find_map(|length| names.get(&path[..length]));
            if let Some(named) = named.filter(|named| !named.starts_with(module) && !module.starts_with(named)) {
                imports.entry(module).or_default().insert(named);
            }
        }
    }
    assert!(imports.len() > 200, "the imports are found");
    // What nothing imports, or imports nothing, is in no circle. What remains after all such files are gone is.
    loop {
        let before = imports.len();
        let imported: BTreeSet<&[String]> = imports.values().flatten().copied().collect();
        imports.retain(|module, others| !others.is_empty() && imported.contains(module));
        let left: BTreeSet<&[String]> = imports.keys().copied().collect();
        for others in imports.values_mut() {
            others.retain(|other| left.contains(other));
        }
        if imports.len() == before {
            break;
        }
    }
    let circles: Vec<String> = imports
        .iter()
        .map(|(module, others)| {
            let others: Vec<_> = others.iter().map(|other| other.join("::")).collect();
            format!("{} imports {}", module.join("::"), others.join(", "))
        })
        .collect();
    assert!(circles.is_empty(), "files import each other in circles:\n{}", circles.join("\n"));
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
fn the_scan_of_imports_sees_single_ones_groups_and_relative_ones() {
    let source = "use crate::db::Conn;\nuse crate::{ids as i, http::{a, b::*}};\n// crate::server\nlet x = super::c::d();\n\
        use super::super::e::{self, f};\n#[cfg(test)]\nmod tests { use crate::demo; }";
    let paths: Vec<String> =
        named_paths(source, &["own", "module", "file"]).iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["db::Conn", "http::a", "http::b", "ids", "own::e::f", "own::e::self", "own::module::c::d"]);
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
