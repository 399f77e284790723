//! Who owns which table. A module reads and writes its own tables and calls the functions of others. Each exception has its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The tables by their owner, a module of `src`.
const OWNERS: &[(&str, &[&str])] = &[
    (
        "accounts",
        &[
            "users",
            "clients",
            "client_secrets",
            "client_assertions",
            "sessions",
            "refresh_tokens",
            "one_time_tokens",
            "second_factors",
            "recovery_codes",
            "sign_in_failures",
            "new_accounts",
            "address_requests",
        ],
    ),
    (
        "appointments",
        &[
            "appointments",
            "appointment_history",
            "appointment_links",
            "appointment_series",
            "appointment_series_visits",
            "calendar_feeds",
            "reminders",
            "reminder_plan",
        ],
    ),
    (
        "audit",
        &["audit_keys", "audit_events", "audit_event_patients", "audit_seals", "audit_purges", "record_openings"],
    ),
    ("context", &["idempotency_keys"]),
    ("db", &["setup_state"]),
    ("demo", &["database_marks"]),
    ("events", &["events"]),
    ("identifiers", &["patient_identifiers", "practitioner_identifiers", "appointment_identifiers"]),
    (
        "intake",
        &[
            "intakes",
            "intake_versions",
            "intake_flags",
            "lab_results",
            "lab_result_versions",
            "follow_ups",
            "follow_up_links",
        ],
    ),
    ("merging", &["patient_merges", "patient_merge_rows", "patient_merge_flags"]),
    ("messages", &["messages", "refused_mailboxes"]),
    ("waitlist", &["waitlist_entries", "waitlist_offers", "waitlist_offer_links", "freed_times"]),
    ("webhooks", &["webhook_endpoints", "webhook_attempts"]),
    ("zones", &["zone_data"]),
    (
        "patients",
        &[
            "patients",
            "patient_retirements",
            "patient_name_prefixes",
            "patient_access",
            "access_links",
            "access_givers",
            "record_guards",
            "patient_invitations",
            "consents",
            "consent_documents",
        ],
    ),
    (
        "scheduling",
        &[
            "locations",
            "visit_types",
            "practitioners",
            "practitioner_visit_types",
            "practitioner_locations",
            "availability",
            "holds",
            "slots",
            "practitioner_exceptions",
            "location_closures",
            "resources",
            "resource_units",
            "visit_type_resources",
            "resource_occupancy",
        ],
    ),
    ("sealed", &["sealing_keys"]),
];

/// A module that uses tables of another one, with the reason.
struct Exception {
    module: &'static str,
    tables: &'static [&'static str],
    writes: bool,
    reason: &'static str,
}

const fn reads(module: &'static str, tables: &'static [&'static str], reason: &'static str) -> Exception {
    Exception { module, tables, writes: false, reason }
}

const fn writes(module: &'static str, tables: &'static [&'static str], reason: &'static str) -> Exception {
    Exception { module, tables, writes: true, reason }
}

const EXCEPTIONS: &[Exception] = &[
    reads("accounts", &["practitioners"], "An account of a practitioner refers to an existing one."),
    reads(
        "accounts",
        &["patient_access"],
        "The audit event of a list of accounts names the patients whose addresses it shows.",
    ),
    reads("accounts", &["patients"], "The mail that verifies an address names the registration that its link is for."),
    reads(
        "appointments",
        &[
            "locations",
            "practitioners",
            "practitioner_locations",
            "visit_types",
            "patients",
            "patient_access",
            "slots",
            "users",
            "appointment_identifiers",
        ],
        "A list of appointments is one query, with what is shown beside each appointment and with who may see it.",
    ),
    reads(
        "appointments",
        &["new_accounts", "holds", "waitlist_entries", "waitlist_offers"],
        "The limits of an account and of new accounts at its address are one query, and what they hold counts.",
    ),
    reads(
        "audit",
        &["users", "patients", "patient_merges"],
        "Events are shown with the names of accounts, an opening may outlive its patient, and a merge unites the uses of two records.",
    ),
    reads(
        "clinic",
        &["locations"],
        "Layers below scheduling need the country, time zone and number of the first location.",
    ),
    reads(
        "context",
        &["clients", "sessions", "users"],
        "Each change checks in its transaction whether its caller may still make it.",
    ),
    reads("context", &["patient_access"], "Access that expired has no transaction that could delete stored results."),
    writes(
        "demo",
        &["availability", "location_closures", "locations", "practitioners", "resources", "visit_types", "users"],
        "The demo fills an empty database.",
    ),
    reads(
        "intake",
        &["patients", "locations", "appointments"],
        "Flags follow the patient's appointments, and the worklist is one query with patient and location.",
    ),
    writes(
        "merging",
        &["patients", "patient_access"],
        "A merge and its undo change which record an id leads to, and whose access has effect.",
    ),
    reads(
        "messages",
        &["appointments", "patient_access", "patients", "users"],
        "A message is sent again only if what it says is still true and its address may still read it.",
    ),
    reads(
        "patients",
        &["users", "appointments", "intake_flags", "record_openings", "patient_identifiers"],
        "Who may act for a patient and who treats a patient are conditions inside of queries.",
    ),
    writes("patients", &["messages"], "A registration that replaces an unverified one cancels its mails."),
    writes(
        "privacy",
        &["holds", "users", "patients", "patient_access", "messages"],
        "Export and deletion cover all data about a patient.",
    ),
    reads(
        "scheduling",
        &["appointments", "patients", "practitioner_identifiers"],
        "A change of hours returns the affected appointments with the patients to call.",
    ),
    reads("waitlist", &["locations"], "An offer says in which time zone it is."),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The words of a text that are names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The tables that a source uses, and those of them that it inserts into, updates or deletes from.
fn used<'a>(source: &str, tables: &BTreeSet<&'a str>) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut reads = BTreeSet::new();
    for rest in code.split("schema::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
        };
        reads.extend(words(names).filter_map(|word| tables.get(word)));
    }
    let mut writes = BTreeSet::new();
    for statement in ["insert_into(", "update(", "delete("] {
        for rest in code.split(statement).skip(1) {
            writes.extend(words(rest.trim_start()).next().and_then(|word| tables.get(word)));
        }
    }
    (reads, writes)
}

#[test]
fn a_module_uses_its_own_tables_and_those_of_its_exceptions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let owner: BTreeMap<&str, &str> =
        OWNERS.iter().flat_map(|(owner, tables)| tables.iter().map(move |table| (*table, *owner))).collect();
    let schema = std::fs::read_to_string(root.join("src/db/schema.rs")).expect("the schema");
    let tables: BTreeSet<&str> = schema
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {")?.split_once(" ("))
        .map(|(table, _)| table)
        .collect();
    assert!(tables.len() > 30, "{tables:?}");
    let owned: BTreeSet<&str> = owner.keys().copied().collect();
    assert_eq!(owned, tables, "every table has one owner");

    let mut wrong = Vec::new();
    let mut needed = BTreeSet::new();
    for file in sources(&root.join("src")) {
        let within = file.strip_prefix(root.join("src")).expect("below src").to_string_lossy().into_owned();
        let module = within.split(['/', '.']).next().expect("a module").to_owned();
        if module == "db" {
            continue;
        }
        let (reads, writes) = used(&std::fs::read_to_string(&file).expect("a source"), &tables);
        for (table, is_write) in
            reads.iter().map(|table| (table, false)).chain(writes.iter().map(|table| (table, true)))
        {
            if owner[table] == module {
                continue;
            }
            let allowed = EXCEPTIONS.iter().find(|exception| {
                exception.module == module && exception.tables.contains(table) && (exception.writes || !is_write)
            });
            match allowed {
                Some(_) => drop(needed.insert((module.clone(), *table))),
                None => wrong.push(format!(
                    "src/{within} {} {table} of {}",
                    if is_write { "writes" } else { "reads" },
                    owner[table]
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for Exception { module, tables, reason, .. } in EXCEPTIONS {
        assert!(reason.ends_with('.'), "{module}: {reason}");
        for table in *tables {
            assert!(
                needed.contains(&((*module).to_owned(), *table)),
                "the exception {module} {table} is not needed any more"
            );
        }
    }
}
