//! The statements of a booking, from the server's log, so that the minimal program runs the same ones.

use std::path::Path;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clinic::{self, Clinic};
use crate::{Outcome, load};

/// The statements of the server, and its response.
#[derive(Serialize, Deserialize)]
pub struct Recorded {
    pub booking: Vec<Statement>,
    /// The body of the response to the booking.
    pub booked: String,
}

/// One statement with the meaning of its placeholders.
#[derive(Serialize, Deserialize)]
pub struct Statement {
    pub sql: String,
    pub places: Vec<Place>,
}

/// A placeholder: the column that it is compared with, set or inserted into.
#[derive(Serialize, Deserialize)]
pub struct Place {
    /// `table.column`, or `column` if the statement names no table; `LIMIT`.
    pub column: String,
    /// `=`, `<`, `IN` …; `VALUES` in an insert.
    pub operator: String,
}

/// Sends a booking of the clinic's first slot to a server, and reads its statements from the server's log.
pub async fn record(folder: &Path, clinic: &Clinic) -> Outcome<Recorded> {
    let settings = [("RUST_LOG", "info,legwork::sql=trace"), ("LOG_FORMAT", "json")];
    let server = clinic.server(folder, &settings).await?;
    let token = clinic::sign_in(&server.base).await?;
    let mut booking = clinic.booking(0, &token).ok_or("there is no free slot")?;
    booking.headers_mut().insert("x-request-id", HeaderValue::from_static(BOOKING));
    let booked = load::once(&server, booking, StatusCode::CREATED).await?;
    let log = server.log()?;
    server.stop()?;
    let recorded = Recorded { booking: statements(&log, BOOKING), booked };
    if recorded.booking.is_empty() {
        return Err("the server's log shows no statements".into());
    }
    Ok(recorded)
}

/// The id of the request whose statements are read.
const BOOKING: &str = "bench-booking";

/// The statements of one request, in order, from the log.
fn statements(log: &str, request: &str) -> Vec<Statement> {
    let of_request = |line: &str| {
        let entry: Value = serde_json::from_str(line).ok()?;
        (entry["span"]["request_id"] == request).then_some(())?;
        let sql = entry["statement"].as_str()?.to_owned();
        Some(Statement { places: places(&sql), sql })
    };
    log.lines().filter_map(of_request).collect()
}

/// The meaning of a statement's placeholders, in the form that diesel writes.
fn places(sql: &str) -> Vec<Place> {
    let (mut names, mut operator, mut places) = (Vec::<String>::new(), String::from("="), Vec::new());
    let is_insert = sql.starts_with("INSERT");
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let span = |part: &dyn Fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        let token = match first {
            '`' | 'a'..='z' | 'A'..='Z' | '_' => &rest[..span(&|c| c.is_alphanumeric() || "`_.".contains(c))],
            '<' | '>' | '=' | '!' => &rest[..span(&|c| "<>=!".contains(c))],
            '\'' => &rest[..rest[1..].find('\'').map_or(rest.len(), |end| end + 2)],
            other => &rest[..other.len_utf8()],
        };
        rest = &rest[token.len()..];
        match token {
            "?" => {
                let (table, columns) =
                    names.split_first().map_or(("", [].as_slice()), |(table, all)| (table.as_str(), all));
                let place = if is_insert {
                    let column = columns.get(places.len() % columns.len().max(1)).map_or("", String::as_str);
                    Place { column: format!("{table}.{column}"), operator: "VALUES".into() }
                } else {
                    let column = names.last().cloned().unwrap_or_default();
                    let bare = sql.starts_with("UPDATE") && !column.contains('.');
                    let column = if bare { format!("{table}.{column}") } else { column };
                    Place { column, operator: operator.clone() }
                };
                places.push(place);
            }
            "LIMIT" | "OFFSET" => names.push(token.into()),
            "IN" => operator = token.into(),
            _ if first == '`' || token.contains('.') => names.push(token.replace('`', "")),
            _ if "<>=!".contains(first) => operator = token.into(),
            _ => {}
        }
    }
    for Place { column, .. } in &mut places {
        if let Some((table, name)) = column.split_once('.')
            && let Some((before, _)) = sql.split_once(&format!(" AS `{table}`"))
        {
            // An alias of a table.
            *column = format!("{}.{name}", before.rsplit(' ').next().unwrap_or_default().replace('`', ""));
        }
    }
    places
}
