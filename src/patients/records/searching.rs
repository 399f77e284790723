//! Searching patients.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::by_name;
use super::model::Record;
use super::model::{self, Patient, PatientView};
use super::mrn;
use super::near;
use super::store::record_columns;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{patient_identifiers, patients};
use crate::db::types::Date;
use crate::error::{Check, FieldCode, Result, Rule};
use crate::http::paging::{Direction, Page, PageParams, in_order, next_pass, sort_options};
use crate::http::{Params, response};
use crate::identifiers::{Token, identified};
use crate::ids::PatientId;
use crate::patients::consents::{ConsentType, settled};
use crate::patients::names;
use crate::phone::{self, Country};

/// The list's name in its cursors.
const LIST: &str = "patients";
/// The name of the same list sorted by the last change.
const CHANGES: &str = "patients-changes";

/// A page of patients.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct PatientPage {
    /// The patients in the order of `sort`; with `updated_since` sorted by the last change, oldest first.
    pub items: Vec<PatientView>,
    /// The `cursor` of the next page. Null on the last page.
    next_cursor: Option<String>,
    /// The `updated_since` of the next pass through the changes. On the first page of a pass only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_updated_since: Option<Timestamp>,
    /// The ids of the `items` whose names match `q` but for one typing mistake. They are the last items. On the first page of a search
    /// with `q` that is not full only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_matches: Vec<PatientId>,
}

/// The filters of a list of patients. All that are given must match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PatientFilter {
    /// At most 10 words that must each begin a word of one of the patient's names. Case, accents and order are ignored.
    /// If they find less than the first page, it also has patients whose names match but for one typing mistake (`near_matches`): a letter
    /// that is wrong, missing or too many, or two neighbours that changed places, in a name of at least 4 letters. Not with `updated_since`.
    #[param(min_length = 1, max_length = 200, example = "garc ana")]
    pub q: Option<String>,
    /// The birth date.
    pub date_of_birth: Option<Date>,
    /// A phone number in its country's format, or its end with at least 4 digits. A number that begins with `+` must be complete.
    #[param(min_length = 4, max_length = 40, example = "0100")]
    pub phone: Option<String>,
    /// The medical record number, in either case, with or without `LW-` and leading zeros.
    #[param(max_length = 40, example = "LW-001001")]
    pub mrn: Option<String>,
    /// An identifier of another system: `system|value`, `value` of any system, or `system|` for all of a system.
    #[param(min_length = 1, max_length = 456, example = "https://ehr.example/patients|48213")]
    pub identifier: Option<String>,
    /// The earliest last change, inclusive. The list is then sorted by the last change, oldest first. The next pass starts with the
    /// `next_updated_since` of the first page.
    pub updated_since: Option<Timestamp>,
    /// Whether records that were merged or retired are listed as well. With `mrn` and with `updated_since` they always are. `q` finds only
    /// records in use. Default: `false`.
    pub include_inactive: Option<bool>,
    /// The order. Default: `-created_at`, newest record first. `-created_at` is not possible with `updated_since`.
    #[param(inline)]
    pub sort: Option<PatientSort>,
}

sort_options! {
    /// The order of a list of patients.
    PatientSort by "created_at" or "-created_at"
}

impl PatientFilter {
    /// Checks the values for a page of the list in its order.
    fn page(&self, page: &PageParams) -> Result<Page> {
        let direction = Direction::of_list(self.sort, Direction::Descending, self.updated_since)?;
        page.sorted(if self.updated_since.is_some() { CHANGES } else { LIST }, direction)
    }

    fn parse(&self) -> Result<Search> {
        let mut check = Check::new();
        let mut search = Search {
            date_of_birth: self.date_of_birth,
            updated_since: self.updated_since,
            include_inactive: self.include_inactive == Some(true),
            ..Search::default()
        };
        if let Some(q) = &self.q {
            search.words = check.field("?q", names::search_words(q)).unwrap_or_default();
        }
        if let Some(phone) = &self.phone {
            search.phone = check.field("?phone", phone_filter(phone));
        }
        if let Some(number) = &self.mrn {
            let rule = || Rule::new(FieldCode::WrongValue, "must be a medical record number such as LW-001001");
            search.mrn = check.field("?mrn", mrn::parse(number).ok_or_else(rule));
        }
        if let Some(identifier) = &self.identifier {
            search.identifier = check.field("?identifier", Token::parse(identifier));
        }
        check.done()?;
        Ok(search)
    }
}

fn phone_filter(phone: &str) -> Result<PhoneFilter, Rule> {
    let digits = phone.chars().filter(char::is_ascii_digit).count();
    let fits = phone::is_spelled_like_one(phone) && digits <= 15;
    // A number of no numbering plan is accepted, because it may have been stored before that was checked.
    if fits && digits >= 7 && phone.starts_with('+') {
        Ok(PhoneFilter::Whole(phone::dialled(phone, None)))
    } else if fits && digits >= 4 && !phone.starts_with('+') {
        Ok(PhoneFilter::Ends(phone.to_owned()))
    } else {
        Err(Rule::new(FieldCode::InvalidPhone, "must be a phone number, or the last 4 or more digits of one"))
    }
}

/// A filter by phone number.
#[derive(Clone)]
pub enum PhoneFilter {
    /// The complete number in E.164.
    Whole(String),
    /// A national number, or the end of a number.
    Ends(String),
}

/// A search whose values are checked. All filters that are set must match.
#[derive(Default, Clone)]
pub struct Search {
    /// The beginnings of words of names.
    pub words: BTreeSet<String>,
    pub date_of_birth: Option<Date>,
    /// The phone number.
    pub phone: Option<PhoneFilter>,
    /// The medical record number.
    pub mrn: Option<String>,
    /// An identifier of another system.
    pub identifier: Option<Token>,
    /// The earliest last change. The list is then sorted by the last change, oldest first.
    pub updated_since: Option<Timestamp>,
    /// Whether records that were merged or retired are listed as well.
    pub include_inactive: bool,
}

impl Search {
    /// Whether nothing but names narrows the search, and the newest records come first.
    fn has_only_words(&self) -> bool {
        let Self { words, date_of_birth, phone, mrn, identifier, updated_since, include_inactive: _ } = self;
        let has_others = date_of_birth.is_some() || phone.is_some() || mrn.is_some() || identifier.is_some();
        !words.is_empty() && !has_others && updated_since.is_none()
    }
}

/// Loads a page of the patients that match, sorted by creation; with `updated_since` sorted by the last change.
pub fn find(conn: &mut Conn, search: &Search, page: &Page) -> Result<Vec<Record>> {
    if search.has_only_words() {
        return by_name::find(conn, &search.words, page);
    }
    let mut query = patients::table.select(record_columns!()).into_boxed();
    if search.updated_since.is_some() {
        for word in &search.words {
            query = query.filter(patients::id.eq_any(by_name::patients_named(word.clone())));
        }
    } else {
        for word in &search.words {
            query = query.filter(patients::id.nullable().eq(by_name::same_patient_named(word.clone()).single_value()));
        }
    }
    // A number of an old letter leads to the record that replaced it, and a reader of changes learns of the merge.
    if !search.include_inactive && search.mrn.is_none() && search.updated_since.is_none() {
        query = query.filter(patients::replaced_by.is_null()).filter(patients::retired_at.is_null());
    }
    if let Some(day) = search.date_of_birth {
        query = query.filter(patients::date_of_birth.eq(day));
    }
    match &search.phone {
        None => {}
        Some(PhoneFilter::Whole(phone)) => query = query.filter(patients::phone.eq(phone)),
        Some(PhoneFilter::Ends(typed)) => {
            let end = model::reversed_digits(&phone::last_digits(typed, Country::of_clinic(conn)?));
            query = query.filter(patients::phone_reversed.ge(end.clone()));
            if let Some(next) = names::successor(&end) {
                query = query.filter(patients::phone_reversed.lt(next));
            }
        }
    }
    if let Some(mrn) = &search.mrn {
        query = query.filter(patients::mrn.eq(mrn));
    }
    if let Some(token) = &search.identifier {
        query = identified!(query, patients::id, patient_identifiers, patient_id, token);
    }
    if let Some(since) = search.updated_since {
        // At the cursor, because PostgreSQL may begin to read at the first of two lower bounds.
        query = query.filter(patients::updated_at.ge(page.after.map_or(since, |after| after.at.max(since))));
        return Ok(in_order!(query, page, patients::updated_at, patients::id, PatientId).load(conn)?);
    }
    Ok(in_order!(query, page, patients::created_at, patients::id, PatientId).load(conn)?)
}

/// Loads the patients who match but for one typing mistake, for a first page on which the exact matches leave room.
pub fn find_near(conn: &mut Conn, search: &Search, page: &Page, exact: usize) -> Result<Vec<Record>> {
    let room = usize::try_from(page.limit.rows()).unwrap_or_default().saturating_sub(exact);
    if search.words.is_empty() || search.updated_since.is_some() || page.after.is_some() || room == 0 {
        return Ok(Vec::new());
    }
    let candidates = if search.has_only_words() {
        near::candidates(conn, &search.words, room)?
    } else {
        let narrowed = Search { words: BTreeSet::new(), include_inactive: false, ..search.clone() };
        find(conn, &narrowed, &Page::largest(LIST, Direction::Descending))?
    };
    Ok(near::rank(candidates, &search.words, room))
}

/// Searches patients.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn search(context: &Context, filter: PatientFilter, page: PageParams) -> Result<PatientPage> {
    context.require(Action::PatientSearch)?;
    let (search, page) = (filter.parse()?, filter.page(&page)?);
    let next_updated_since = next_pass(context.env.now(), search.updated_since, page.after.as_ref());
    context
        .read(move |tx| {
            let by_change = search.updated_since.is_some();
            let rows = find(tx.conn, &search, &page)?;
            let (mut rows, next_cursor) = page.cut(rows, |Record { patient, .. }| {
                (if by_change { patient.updated_at } else { patient.created_at }, patient.id.0)
            });
            let near = find_near(tx.conn, &search, &page, rows.len())?;
            let near_matches = near.iter().map(|record| record.patient.id).collect();
            rows.extend(near);
            tx.audit.note_shown(rows.iter().map(|record| record.patient.id));
            let items = rows.iter().map(|record| PatientView::new(tx.env, record)).collect::<Result<_>>()?;
            Ok(PatientPage { items, next_cursor, next_updated_since, near_matches })
        })
        .await
}

/// Search patients
///
/// Sorted by creation, newest first by default. Without filters all patients are listed. With `updated_since` the list is sorted by the last change
/// instead. Start each pass with the `next_updated_since` of the first page of the previous pass, and you miss no change. Changes of the
/// last minute are listed again.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patients",
    security(("bearer" = [])),
    params(PatientFilter, PageParams),
    responses((status = 200, description = "The patients that match", body = PatientPage)),
)]
#[get("/v1/patients")]
pub(in crate::patients) async fn list_patients(
    context: Context,
    Params(filter): Params<PatientFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&search(&context, filter, page).await?))
}
