//! Patients' records: made at the desk, searched, read, changed.

use actix_web::{HttpResponse, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::duplicates::{self, DuplicateDto};
use crate::accounts::{self, model::EmailAddress};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Check, Error, Result, Rule};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::paging::next_pass;
use crate::http::{Body, Cursor, Endpoints, IdempotencyKey, IfMatch, Limit, Params, Patch, PathId, etag};
use crate::identifiers::{Identifier, Identifiers, Token};
use crate::ids::{PatientId, UserId};
use crate::patients::access;
use crate::patients::consents::ConsentType;
use crate::patients::guarding;
use crate::patients::input::{PatientInput, PatientPatch};
use crate::patients::model::{
    self, Address, AdministrativeSex, EmergencyContact, Ethnicity, Insurance, Patient, Profile, Race, Relation,
    SexAssignedAtBirth,
};
use crate::patients::names;
use crate::patients::profile::{Author, Context};
use crate::patients::registration;
use crate::patients::store::{self, Record, Search};
use crate::phone::{self, Country};

/// The list's name in cursors.
const LIST: &str = "patients";
/// The name of the same list by change.
const CHANGES: &str = "patients-changes";

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_patient).service(list_patients).service(get_patient).service(update_patient);
}

/// A patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "mrn": "LW-001001", "display_name": "Ann Example",
    "given_name": "Ann", "family_name": "Example", "mononym": false, "middle_name": null, "preferred_name": null,
    "previous_names": [], "date_of_birth": "1967-09-14", "administrative_sex": "female", "phone": "+12125550100",
    "email": "ann@example.org", "email_confirmed": true, "preferred_language": "en", "interpreter_needed": false,
    "identifiers": [{"system": "https://ehr.example/patients", "value": "48213"}], "pronouns": "she/her",
    "sex_assigned_at_birth": null, "gender_identity": null, "race": [], "ethnicity": "declined",
    "address": {"line1": "12 Elm Street", "city": "Albany", "region": "NY", "postal_code": "12203", "country": "US"},
    "emergency_contact": null, "insurance": null, "consents_outstanding": ["privacy_notice"],
    "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct PatientDto {
    /// The patient's id.
    pub id: PatientId,
    /// The medical record number.
    pub mrn: String,
    /// The preferred or given name, and the family name.
    pub display_name: String,
    /// The legal given name; null for a mononym.
    pub given_name: Option<String>,
    /// The legal family name, or the only name.
    pub family_name: String,
    /// Whether the person has one name only.
    pub mononym: bool,
    /// Legal names in between.
    pub middle_name: Option<String>,
    /// What the person wants to be called.
    pub preferred_name: Option<String>,
    /// Names they had before.
    pub previous_names: Vec<String>,
    /// The day of birth.
    pub date_of_birth: Date,
    /// The sex that offices and insurers work with.
    pub administrative_sex: AdministrativeSex,
    /// E.164.
    pub phone: Option<String>,
    /// Where their mail goes, if it is confirmed.
    pub email: Option<String>,
    /// Whether the staff entered or confirmed the address. To another one nothing is mailed: then mail goes to the account.
    pub email_confirmed: bool,
    /// A language tag (BCP 47).
    pub preferred_language: String,
    /// Whether somebody must interpret.
    pub interpreter_needed: bool,
    /// The numbers that other systems have for them.
    #[schema(value_type = Vec<Identifier>)]
    pub identifiers: Identifiers,
    /// How to speak of the person.
    pub pronouns: Option<String>,
    /// The sex noted at birth.
    pub sex_assigned_at_birth: Option<SexAssignedAtBirth>,
    /// In the person's own words, or `declined`.
    pub gender_identity: Option<String>,
    /// None, one or more.
    pub race: Vec<Race>,
    /// Ethnicity.
    pub ethnicity: Option<Ethnicity>,
    /// Where they live.
    pub address: Option<Address>,
    /// Whom to call in an emergency.
    pub emergency_contact: Option<EmergencyContact>,
    /// Who pays.
    pub insurance: Option<Insurance>,
    /// The consents that nobody has accepted or declined yet in the present version; they never hinder a booking.
    pub consents_outstanding: Vec<ConsentType>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl PatientDto {
    /// Shows a record.
    ///
    /// # Errors
    /// A fault where the sealed part does not open.
    pub fn new(env: &Env, record: Record) -> Result<Self> {
        let consents_outstanding = record.consents_outstanding();
        let patient = record.patient;
        let profile = store::profile(env, &patient)?;
        let details = profile.details;
        Ok(Self {
            id: patient.id,
            display_name: patient.display_name(),
            mrn: patient.mrn,
            mononym: profile.given_name.is_none(),
            given_name: profile.given_name,
            family_name: profile.family_name,
            middle_name: profile.middle_name,
            preferred_name: profile.preferred_name,
            previous_names: profile.previous_names,
            date_of_birth: profile.date_of_birth,
            administrative_sex: profile.administrative_sex,
            phone: profile.phone,
            email: profile.email,
            email_confirmed: profile.email_confirmed,
            preferred_language: profile.preferred_language,
            interpreter_needed: profile.interpreter_needed,
            identifiers: profile.identifiers,
            pronouns: details.pronouns,
            sex_assigned_at_birth: details.sex_assigned_at_birth,
            gender_identity: details.gender_identity,
            race: details.race,
            ethnicity: details.ethnicity,
            address: details.address,
            emergency_contact: details.emergency_contact,
            insurance: details.insurance,
            consents_outstanding,
            created_at: patient.created_at,
            updated_at: patient.updated_at,
        })
    }
}

/// A patient whose record was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPatient, example = json!({
    "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "mrn": "LW-001001", "display_name": "Ann Example",
    "given_name": "Ann", "family_name": "Example", "mononym": false, "middle_name": null, "preferred_name": null,
    "previous_names": [], "date_of_birth": "1967-09-14", "administrative_sex": "female", "phone": "+12125550100",
    "email": "ann@example.org", "preferred_language": "en", "interpreter_needed": false, "identifiers": [],
    "email_confirmed": true, "pronouns": null, "sex_assigned_at_birth": null, "gender_identity": null, "race": [], "ethnicity": null,
    "address": null, "emergency_contact": null, "insurance": null, "consents_outstanding": ["treatment", "privacy_notice"],
    "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "duplicates": [{
        "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "mrn": "LW-000977", "given_name": "Anne", "family_name": "Example",
        "date_of_birth": "1967-09-14", "phone": "+12125550100", "email": null, "grade": "probable",
        "reasons": ["similar_names", "same_birth_date", "same_phone"]
    }]
}))]
struct NewPatientDto {
    /// The record.
    #[serde(flatten)]
    patient: PatientDto,
    /// Other records that may be of the same person, as `GET /v1/patients/{id}/duplicates` lists them; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    duplicates: Option<Vec<DuplicateDto>>,
}

/// A page of patients.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct PatientPage {
    /// The patients, the newest record first; with `updated_since` the one that was changed longest ago first.
    items: Vec<PatientDto>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
    /// Where the next pass through the changes begins; on the first page of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_updated_since: Option<Timestamp>,
}

/// Make a patient's record
///
/// Staff make one for anybody, without an account and without asking for consents: what is missing of those shows in
/// `consents_outstanding`. Records that may be of the same person already stand in `duplicates`; nothing is merged by itself.
/// A signed-in patient adds somebody for whom they act, and says as what in `relation`; or, with `self`,
/// themselves, if they have no record yet. That is always a new record: it is never linked to one that the clinic has, and the
/// relation counts as unverified until the staff have seen that it is so.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_patient",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value makes nothing more", max_length = 255)),
    request_body = PatientInput,
    responses(
        (status = 201, description = "The patient, for staff with other records that may be of the same person", body = NewPatientDto),
        (status = 409, description = "`identifier_taken`: another patient has an identifier, `pointer` says which, `taken_by` who; \
            `own_record_exists`: the account's holder has a record; `too_many_patients`: the account has added as many as it may; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients")]
async fn create_patient(
    env: web::Data<Env>,
    actor: Actor,
    key: IdempotencyKey,
    body: Body<PatientInput>,
) -> Result<HttpResponse> {
    actor.require(Action::PatientCreate)?;
    let account = if actor.role.is_staff() { None } else { Some(own_address(&env, actor.user_id).await?) };
    let (profile, relation) = new_record(body.value, account.as_ref(), Context::of(&env).await?)?;
    let shared = env.clone();
    let request = Request::of(&actor, "create_patient".into(), key, &body.raw);
    idempotency::run(&env, request, move |tx| {
        let patient = match relation {
            None => store::insert(tx, &shared, &profile)?,
            Some(relation) => access::bring(tx, &shared, &actor, &profile, relation)?,
        };
        let (id, version) = (patient.id, patient.version);
        actor.trail.note_patient(id);
        // Who else the clinic knows is not for an account to see.
        let duplicates = if relation.is_none() { Some(duplicates::of(tx, &actor.trail, &patient)?) } else { None };
        audit::record(tx, &shared, &actor.trail, id.0)?;
        let patient = PatientDto::new(&shared, store::record(tx, &shared, &actor, id)?)?;
        let dto = NewPatientDto { patient, duplicates };
        Answer::created(format!("/v1/patients/{id}"), version, &dto)
    })
    .await
}

async fn own_address(env: &Env, id: UserId) -> Result<EmailAddress> {
    let user = env.db.read(move |conn| accounts::store::find(conn, id)).await?;
    EmailAddress::parse(&user.email).map_err(|rule| Error::fault(rule.detail))
}

/// A record as the staff make it, or as the account with this address brings it.
fn new_record(
    mut input: PatientInput,
    account: Option<&EmailAddress>,
    context: Context,
) -> Result<(Profile, Option<Relation>)> {
    let mut check = Check::new();
    let relation = input.relation;
    match account {
        None => input.refuse_relation("/relation", &mut check),
        Some(address) => {
            input.forbid_what_staff_set("", &mut check);
            let detail = "must be there: what you are to the patient";
            check.require(relation.is_some(), "/relation", "required", detail);
            if relation == Some(Relation::Oneself) {
                check.field("/email", registration::own_address(&mut input, address));
            }
        }
    }
    let author = if account.is_some() { Author::Account } else { Author::Staff };
    let profile = Profile::parse(input, author, "", context, &mut check);
    check.done()?;
    Ok((profile.ok_or_else(|| Error::fault("a profile without a fault is there"))?, relation))
}

/// Whom to look for; what is named must all fit.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PatientFilter {
    /// Words of names. Each must begin a word of any of the patient's names; accents, case and order make no difference.
    #[param(min_length = 1, max_length = 200, example = "garc ana")]
    q: Option<String>,
    /// The day of birth.
    date_of_birth: Option<Date>,
    /// A phone number as its country writes it, or how it ends: at least 4 digits. One that begins with `+` must be the whole.
    #[param(min_length = 4, max_length = 40, example = "0100")]
    phone: Option<String>,
    /// The medical record number; in any case, with or without `LW-` and leading zeros.
    #[param(max_length = 40, example = "LW-001001")]
    mrn: Option<String>,
    /// A number that another system has for them: `system|value`, `value` of any system, or `system|` for all of a system.
    #[param(min_length = 1, max_length = 456, example = "https://ehr.example/patients|48213")]
    identifier: Option<String>,
    /// Changed at this instant or later. The list is then by change, the one that was changed longest ago first; a next
    /// pass begins with the `next_updated_since` of the first page.
    updated_since: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 255)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// The most words of a search.
const WORDS: usize = 10;

impl PatientFilter {
    /// The name under which cursors know the list in its order.
    fn list(&self) -> &'static str {
        if self.updated_since.is_some() { CHANGES } else { LIST }
    }

    fn parse(&self) -> Result<(Search, Option<Cursor>, Limit)> {
        let mut check = Check::new();
        let mut search =
            Search { date_of_birth: self.date_of_birth, updated_since: self.updated_since, ..Search::default() };
        if let Some(q) = &self.q {
            search.words = check.field("?q", words(q)).unwrap_or_default();
        }
        if let Some(phone) = &self.phone {
            search.phone = check.field("?phone", phone_filter(phone));
        }
        if let Some(mrn) = &self.mrn {
            let rule = || Rule::new("wrong_value", "must be a record number such as LW-001001");
            search.mrn = check.field("?mrn", model::parse_mrn(mrn).ok_or_else(rule));
        }
        if let Some(identifier) = &self.identifier {
            search.identifier = check.field("?identifier", Token::parse(identifier));
        }
        check.done()?;
        Ok((search, Cursor::read(self.cursor.as_deref(), self.list())?, Limit::new(self.limit)?))
    }
}

fn words(q: &str) -> Result<std::collections::BTreeSet<String>, Rule> {
    if q.chars().count() > 200 {
        return Err(Rule::new("too_long", "must be at most 200 characters"));
    }
    match names::query_words(q) {
        words if words.is_empty() => Err(Rule::new("wrong_value", "must have a letter or a digit")),
        words if words.len() > WORDS => Err(Rule::new("too_many", format!("must be at most {WORDS} words"))),
        words => Ok(words),
    }
}

fn phone_filter(phone: &str) -> Result<store::PhoneFilter, Rule> {
    let digits = phone.chars().filter(char::is_ascii_digit).count();
    let fits = phone::is_spelled_like_one(phone) && digits <= 15;
    // Also one that is no number of any plan: it may have been stored before that was checked.
    if fits && digits >= 7 && phone.starts_with('+') {
        Ok(store::PhoneFilter::Whole(phone::dialled(phone, None)))
    } else if fits && digits >= 4 && !phone.starts_with('+') {
        Ok(store::PhoneFilter::Ends(phone.to_owned()))
    } else {
        Err(Rule::new("invalid_phone", "must be a phone number, or the last 4 or more digits of one"))
    }
}

/// Search patients
///
/// The newest record first. All filters that are named must fit; without any, everybody is listed. With `updated_since` the
/// list goes through what has changed: no change is missed by whoever begins each pass with the `next_updated_since` of the
/// first page of the pass before, and what changed within the last minute comes again.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patients",
    security(("bearer" = [])),
    params(PatientFilter),
    responses((status = 200, description = "The patients that fit", body = PatientPage)),
)]
#[get("/v1/patients")]
async fn list_patients(env: web::Data<Env>, actor: Actor, params: Params<PatientFilter>) -> Result<HttpResponse> {
    actor.require(Action::PatientSearch)?;
    let (search, after, limit) = params.0.parse()?;
    let (shared, list) = (env.clone(), params.0.list());
    let next_updated_since = next_pass(env.now(), search.updated_since, after.as_ref());
    let page = env
        .db
        .read(move |conn| {
            let by_change = search.updated_since.is_some();
            let rows = store::search(conn, &search, after, limit)?;
            let (rows, next_cursor) = limit.page(rows, list, |Record { patient, .. }| {
                (if by_change { patient.updated_at } else { patient.created_at }, patient.id.0)
            });
            actor.trail.note_shown(rows.iter().map(|record| record.patient.id));
            let items = rows.into_iter().map(|record| PatientDto::new(&shared, record)).collect::<Result<_>>()?;
            Ok(PatientPage { items, next_cursor, next_updated_since })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Read a patient's record
///
/// Staff read each; an account those of the patients it may act for.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The patient", body = PatientDto, headers(("ETag" = String, description = "The version, for If-Match")))),
)]
#[get("/v1/patients/{id}")]
async fn get_patient(env: web::Data<Env>, actor: Actor, id: PathId<PatientId>) -> Result<HttpResponse> {
    actor.require(Action::PatientRead)?;
    let shared = env.clone();
    let (version, dto) = env
        .db
        .read(move |conn| {
            let record = store::record(conn, &shared, &actor, id.0)?;
            Ok((record.patient.version, PatientDto::new(&shared, record)?))
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(dto))
}

/// Change a patient's record
///
/// Staff may change all but the number. A patient may not change their legal names, birth date and administrative sex: each of those is
/// refused with `forbidden_field`. Nested objects are merged member by member. A patch that changes nothing leaves the version.
#[utoipa::path(
    tag = "patients",
    operation_id = "update_patient",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("If-Match" = String, Header, description = "The ETag of the version that was read"),
    ),
    request_body(content = PatientPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed patient", body = PatientDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`identifier_taken`: another patient has an identifier, `pointer` says which, `taken_by` who"),
    ),
)]
#[patch("/v1/patients/{id}")]
async fn update_patient(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    if_match: IfMatch,
    body: Patch<PatientPatch>,
) -> actix_web::Result<HttpResponse> {
    actor.require(Action::PatientWrite)?;
    let if_match = if_match.required()?;
    let mut check = Check::new();
    let author = if actor.role.is_staff() { Author::Staff } else { Author::Account };
    body.0.forbid(author == Author::Staff, &mut check);
    let change = body.0.parse("", env.now(), &mut check);
    check.done()?;
    let shared = env.clone();
    let (version, dto) = env
        .db
        .write(move |tx| {
            let was = store::visible(tx, &shared, &actor, id.0)?;
            if_match.check(was.version)?;
            let mut profile = store::profile(&shared, &was)?;
            let mut check = Check::new();
            let before = profile.clone();
            change.clone().apply(&mut profile, author, Country::of_clinic(tx)?, "", &mut check);
            check.done()?;
            // What changes nothing is no change: the version stays, and nobody reads the record again for it.
            let patient = if profile == before { was } else { changed(tx, &shared, &was, &profile, author)? };
            audit::record(tx, &shared, &actor.trail, patient.id.0)?;
            Ok((patient.version, PatientDto::new(&shared, store::record(tx, &shared, &actor, id.0)?)?))
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(dto))
}

fn changed(tx: &mut Conn, env: &Env, was: &Patient, profile: &Profile, author: Author) -> Result<Patient> {
    let patient = store::update(tx, env, was, profile)?;
    if author == Author::Staff {
        guarding::record_changed(tx, env, was, &patient)?;
    }
    Ok(patient)
}
