//! The schema: migrations up and down on both engines, alike on both, and as in `src/db/schema.rs`.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Nullable, Text};
use legwork::db::{Conn, migrate};
use legwork::server::opening::prepare_schema;

use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{Engine, app};

/// A column: its name, its kind of value on either engine, and whether it may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: &'static str,
    nullable: bool,
}

type Tables = BTreeMap<String, Vec<Column>>;

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Nullable<Text>)]
    line: Option<String>,
}

fn lines(conn: &mut Conn, sqlite: &str, postgres: &str) -> Vec<String> {
    let rows: Vec<Line> = match conn {
        Conn::Sqlite(conn) => sql_query(sqlite).load(conn),
        Conn::Postgres(conn) => sql_query(postgres).load(conn),
    }
    .expect("the catalogue");
    rows.into_iter().filter_map(|row| row.line).collect()
}

/// Every table with its columns, without diesel's own table.
fn tables(conn: &mut Conn) -> Tables {
    let rows: Vec<Named> = match conn {
        Conn::Sqlite(conn) => sql_query(
            "SELECT t.name AS table_name, c.name AS column_name, lower(c.type) AS kind,
                    (c.\"notnull\" = 0 AND c.pk = 0) AS nullable
             FROM sqlite_master t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'
             ORDER BY t.name, c.cid",
        )
        .load(conn),
        Conn::Postgres(conn) => sql_query(
            "SELECT table_name::text, column_name::text, data_type::text AS kind, (is_nullable = 'YES') AS nullable
             FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'
             ORDER BY table_name, ordinal_position",
        )
        .load(conn),
    }
    .expect("the catalogue");
    let mut tables = Tables::new();
    for row in rows {
        let kind = logical(&row.kind);
        tables.entry(row.table_name).or_default().push(Column { name: row.column_name, kind, nullable: row.nullable });
    }
    tables
}

/// The types that both engines distinguish: SQLite has integers, text and bytes.
fn logical(kind: &str) -> &'static str {
    match kind {
        "blob" | "uuid" | "bytea" => "bytes",
        "integer" | "bigint" | "boolean" | "timestamp with time zone" | "smallint" => "number",
        "text" | "date" => "text",
        other => panic!("an unknown column type: {other}"),
    }
}

/// The tables in `src/db/schema.rs`.
fn believed() -> Tables {
    let mut tables = Tables::new();
    let mut table: Option<String> = None;
    for line in include_str!("../../src/db/schema.rs").lines().map(str::trim) {
        if let Some((name, "{")) = line.split_once(" (").and_then(|(name, rest)| Some((name, rest.rsplit(' ').next()?)))
        {
            table = Some(name.to_owned());
        } else if let (Some(table), Some((column, kind))) = (&table, line.split_once(" -> ")) {
            let kind = kind.trim_end_matches(',');
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            let kind_name = match inner.unwrap_or(kind).trim_start_matches("types::") {
                "Uid" | "Binary" => "bytes",
                "Instant" | "Integer" | "BigInt" | "Bool" => "number",
                "Text" | "Day" => "text",
                other => panic!("an unknown column type: {other}"),
            };
            let column = Column { name: column.to_owned(), kind: kind_name, nullable: inner.is_some() };
            tables.entry(table.clone()).or_default().push(column);
        } else if line == "}" {
            table = None;
        }
    }
    tables
}

/// The schema in the engine's own words.
fn dump(conn: &mut Conn) -> Vec<String> {
    lines(
        conn,
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') AS line FROM sqlite_master
         WHERE name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' AND tbl_name NOT LIKE '\\_\\_%' ESCAPE '\\'
         ORDER BY 1",
        "SELECT line FROM (
            SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
                || coalesce(column_default, '') AS line
            FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
            UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT 'sequence ' || sequencename FROM pg_sequences WHERE schemaname = 'public'
            UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p
                WHERE p.pronamespace = 'public'::regnamespace
                AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
         ) AS everything WHERE line NOT LIKE '%\\_\\_diesel%' ORDER BY 1",
    )
}

/// The foreign keys as `table.column > table`.
fn references(conn: &mut Conn) -> Vec<String> {
    lines(
        conn,
        "SELECT t.name || '.' || f.\"from\" || ' > ' || f.\"table\" AS line
         FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table' ORDER BY 1",
        "SELECT c.conrelid::regclass || '.' || a.attname || ' > ' || c.confrelid::regclass AS line
         FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
         WHERE c.contype = 'f' ORDER BY 1",
    )
}

fn each_engine(test: impl Fn(Engine)) {
    test(Engine::Sqlite);
    test(Engine::Postgres);
}

#[test]
fn migrations_go_up_and_down_and_up_again() {
    each_engine(|engine| {
        let Some(site) = Site::without_schema(engine) else { return };
        let mut conn = site.connect();
        assert!(migrate::run(&mut conn).expect("up") > 0);
        let first = dump(&mut conn);
        assert!(first.len() > 50, "{first:?}");
        assert_eq!(migrate::run(&mut conn).expect("nothing more to do"), 0);
        migrate::revert_all(&mut conn).expect("down");
        assert_eq!(dump(&mut conn), Vec::<String>::new(), "something is left of {engine:?}");
        migrate::run(&mut conn).expect("up again");
        assert_eq!(dump(&mut conn), first);
        assert_eq!(migrate::schema_status(&mut conn).expect("a status"), migrate::SchemaStatus::Current);
    });
}

#[test]
fn both_engines_have_the_tables_of_the_schema_file() {
    let believed = believed();
    assert!(believed.len() > 15 && believed["users"].iter().any(|column| column.nullable));
    let mut foreign_keys = Vec::new();
    each_engine(|engine| {
        let Some(site) = Site::new(engine) else { return };
        let there = tables(&mut site.connect());
        assert_eq!(there.keys().collect::<Vec<_>>(), believed.keys().collect::<Vec<_>>(), "{engine:?}");
        for (table, columns) in &there {
            assert_eq!(columns, &believed[table], "{table} on {engine:?}");
        }
    });
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if let Some(site) = Site::new(engine) {
            foreign_keys.push(references(&mut site.connect()));
        }
    }
    assert!(foreign_keys[0].len() > 15);
    assert!(foreign_keys.iter().all(|keys| keys == &foreign_keys[0]), "{foreign_keys:#?}");
}

#[test]
fn a_database_newer_than_the_program_is_rejected_with_an_explanation() {
    each_engine(|engine| {
        let Some(site) = Site::new(engine) else { return };
        site.connect()
            .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')")
            .expect("a migration from the future");
        for may_migrate in [true, false] {
            let refusal = prepare_schema(&site.config(&[]), may_migrate).expect_err("refused");
            assert!(refusal.contains("newer than this program") && refusal.contains("29991231000000"), "{refusal}");
        }
        for arguments in [&["serve"][..], &["serve", "--no-migrate"], &["migrate"]] {
            let output = command(&site).args(arguments).output().expect("run the program");
            assert!(!output.status.success());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("newer than this program"), "{arguments:?}: {said}");
        }
    });
}

#[test]
fn without_permission_to_migrate_the_server_names_the_missing_migrations() {
    each_engine(|engine| {
        let Some(site) = Site::without_schema(engine) else { return };
        let serve = || command(&site).args(["serve", "--no-migrate"]).output().expect("run the program");
        let output = serve();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("lacks") && said.contains("legwork migrate"), "{said}");
        let output = command(&site).arg("migrate").output().expect("run the program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        app::runtime().block_on(async {
            let server = Process::start(&site, &[]).await;
            server.anon().get("/health/ready").await.expect(200);
        });
    });
}

#[test]
fn several_processes_can_migrate_one_database_at_once() {
    each_engine(|engine| {
        let Some(site) = Site::without_schema(engine) else { return };
        let children: Vec<_> = (0..4)
            .map(|_| {
                let piped = std::process::Stdio::piped;
                command(&site).arg("migrate").stdout(piped()).stderr(piped()).spawn().expect("the program")
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().expect("an end");
            assert!(output.status.success(), "{engine:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(migrate::schema_status(&mut site.connect()).expect("a status"), migrate::SchemaStatus::Current);
    });
}
