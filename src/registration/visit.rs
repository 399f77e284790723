//! The visit that a registration carries: a stranger's hold that becomes a reservation.

use serde::Deserialize;
use text::Language;
use utoipa::ToSchema;

use crate::accounts::linked_visit::{LinkedVisit, ReservedVisit};
use crate::context::{Anonymous, Context, Principal, Tx};
use crate::error::{Check, Error, ProblemCode, Result};
use crate::ids::{HoldId, PatientId};
use crate::messages::model::ReservationMail;
use crate::scheduling::slots::holds::holder::check_secret;
use crate::scheduling::slots::holds::reserving::{self, Reservable};
use crate::scheduling::slots::search::with_next_free;

/// The time to book when the address is verified.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "hold_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "hold_secret": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE",
    "note": "I come with a walker."
}))]
pub struct NewRegistrationAppointment {
    /// A hold that was taken without a session.
    hold_id: HoldId,
    /// Its secret.
    #[schema(max_length = 128)]
    hold_secret: String,
    /// What the clinic should know before the visit, at most 1000 characters. The patient sees it as well.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// The checked visit of a registration.
#[derive(Clone)]
pub struct ChosenVisit {
    hold_id: HoldId,
    hold_secret: String,
    note: Option<String>,
}

impl NewRegistrationAppointment {
    pub fn checked(self, check: &mut Check) -> ChosenVisit {
        let Self { hold_id, hold_secret, note } = self;
        check_secret(check, "/appointment/hold_secret", &hold_secret);
        let note = note.and_then(|note| check.field("/appointment/note", text::lines(&note, text::MAX_NOTE)));
        ChosenVisit { hold_id, hold_secret, note }
    }
}

impl ChosenVisit {
    /// Loads the hold, before anything is stored: a hold that lapsed refuses every registration alike.
    ///
    /// # Errors
    /// The conflict `hold_lapsed`.
    pub fn find(&self, tx: &mut Tx<impl Principal>) -> Result<Reservable> {
        reserving::find(tx, self.hold_id, &self.hold_secret).map_err(|error| match error {
            Error::Conflict(mut conflict) if conflict.code == ProblemCode::HoldLapsed => {
                conflict.members.insert("pointer".into(), "/appointment/hold_id".into());
                Error::Conflict(conflict)
            }
            other => other,
        })
    }

    /// The visit for the link of the registration, whose mail is in `language`. `patient_id` is none if the registration waits in the link.
    pub fn linked(&self, reservable: &Reservable, patient_id: Option<PatientId>, language: &str) -> LinkedVisit {
        LinkedVisit::Reserved(Box::new(ReservedVisit {
            patient_id,
            slot_id: reservable.hold.slot_id,
            visit_type_id: reservable.hold.visit_type_id,
            hold_id: self.hold_id,
            hold_secret: self.hold_secret.clone(),
            note: self.note.clone(),
            mail: mail(reservable, language),
        }))
    }

    /// Adds the next free slots to the conflict for a hold that lapsed.
    pub async fn with_next_free(&self, context: &Context<Anonymous>, error: Error) -> Error {
        let Self { hold_id, hold_secret, .. } = self.clone();
        match context.read(move |tx| reserving::place_of(tx.conn, hold_id, &hold_secret)).await {
            Ok(Some((slot, visit_type))) => with_next_free(context, error, slot, visit_type).await,
            _ => error,
        }
    }
}

/// The visit as a mail shows it to a reader of the language with this tag. It says nothing about health.
pub fn mail(reservable: &Reservable, language: &str) -> ReservationMail {
    let Reservable { offer, location, until, .. } = reservable;
    let time = offer.time();
    ReservationMail {
        starts_at: time.starts_at,
        time_zone: location.time_zone.clone(),
        visit: offer.visit_type.public_name_in(Language::of_tag(language)).to_owned(),
        location: location.name.clone(),
        address: location.address.clone(),
        reserved_until: *until,
    }
}
