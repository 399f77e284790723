//! The appointments of a day, and the hours that differ from those of the week, as CSV (RFC 4180), for spreadsheets.

use csv::{Terminator, WriterBuilder};

use super::DaySheet;
use crate::appointments::agenda::{AgendaAppointment, AgendaGap, AgendaGapKind};
use crate::error::{Error, Result};

/// The heading.
const COLUMNS: [&str; 17] = [
    "start",
    "end",
    "practitioner",
    "visit_type",
    "status",
    "confirmed",
    "waiting_minutes",
    "patient",
    "date_of_birth",
    "mrn",
    "phone",
    "language",
    "interpreter",
    "intake",
    "urgent",
    "note",
    "confirmation_code",
];

/// Writes the appointments as a table, one row each, in the location's local time; then time off, extra hours and closures.
///
/// # Errors
/// A fault if the writer fails.
pub fn csv(sheet: &DaySheet) -> Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let fault = |error: csv::Error| Error::internal("a day sheet as CSV", error);
    writer.write_record(COLUMNS).map_err(fault)?;
    for visit in &sheet.appointments {
        writer.write_record(row(visit)?.map(|text| cell(&text))).map_err(fault)?;
    }
    let other_hours = [AgendaGapKind::TimeOff, AgendaGapKind::ExtraHours, AgendaGapKind::Closure];
    for gap in sheet.gaps.iter().filter(|gap| other_hours.contains(&gap.kind)) {
        writer.write_record(hours(gap).map(|text| cell(&text))).map_err(fault)?;
    }
    writer.into_inner().map_err(|error| Error::internal("a day sheet as CSV", error))
}

fn row(visit: &AgendaAppointment) -> Result<[String; COLUMNS.len()]> {
    let appointment = &visit.appointment;
    let patient = appointment.patient.as_ref().ok_or_else(|| Error::fault("a day sheet without its patients"))?;
    Ok([
        visit.starts_local.clone(),
        visit.ends_local.clone(),
        visit.practitioner_name.clone(),
        visit.visit_type.clone(),
        appointment.status.as_str().to_owned(),
        yes(appointment.confirmed_at.is_some()),
        visit.waiting_minutes.map(|minutes| minutes.to_string()).unwrap_or_default(),
        patient.display_name.clone(),
        patient.date_of_birth.0.to_string(),
        patient.mrn.clone(),
        patient.phone.clone().unwrap_or_default(),
        patient.preferred_language.clone(),
        yes(patient.interpreter_needed),
        appointment.intake_status.as_str().to_owned(),
        yes(visit.urgent),
        appointment.note.clone().unwrap_or_default(),
        appointment.confirmation_code.clone(),
    ])
}

/// A row of other hours, which is empty where an appointment has its own data.
fn hours(gap: &AgendaGap) -> [String; COLUMNS.len()] {
    let kind = match gap.kind {
        AgendaGapKind::TimeOff => "time_off",
        AgendaGapKind::ExtraHours => "extra_hours",
        AgendaGapKind::Closure => "closure",
        AgendaGapKind::Free | AgendaGapKind::Held | AgendaGapKind::Blocked => "",
    };
    COLUMNS.map(|column| {
        let text = match column {
            "start" => gap.starts_local.clone(),
            "end" => gap.ends_local.clone(),
            "practitioner" => gap.practitioner_name.clone(),
            "status" => Some(kind.to_owned()),
            "note" => gap.reason.clone(),
            _ => None,
        };
        text.unwrap_or_default()
    })
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// Writes a cell that no spreadsheet takes for a formula: an apostrophe precedes what may be one (OWASP, CSV Injection). In many countries
/// spreadsheets divide cells at semicolons, so each part of the text counts.
fn cell(text: &str) -> String {
    let part = |part: &str| {
        let is_formula = part.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
            || part.starts_with(['\t', '\r', '\n']);
        if is_formula { format!("'{part}") } else { part.to_owned() }
    };
    text.split(';').map(part).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in ["=1+1", "+12125550100", "-1", "@SUM(A1)", " =1+1", "\t=1+1", "\r=1+1", "\n=1+1", "\u{a0}=1+1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for (text, safe) in [("Ann;=1+1;B", "Ann;'=1+1;B"), ("a; =1", "a;' =1"), ("＝1+1", "'＝1+1")] {
            assert_eq!(cell(text), safe);
        }
        for text in ["Ann Example", "a=1", "2026-03-09T09:30:00", ""] {
            assert_eq!(cell(text), text);
        }
    }
}
