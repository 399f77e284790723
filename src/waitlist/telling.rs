//! How patients learn of an offer, and that it was withdrawn: by mail, or by a call of the desk.

use text::Language;

use super::entry::{self, Entry};
use super::link_tokens;
use super::offer::{Offer, OfferStatus, OfferWay};
use crate::appointments::appointment::AppointmentDetails;
use crate::context::Tx;
use crate::error::Result;
use crate::messages::model::{Envelope, Mail, MessageKind, WaitStanding, WaitlistOfferMail};
use crate::messages::outbox;
use crate::patients::model::Patient;
use crate::patients::recipients::{self, PatientRecipient};
use crate::patients::{access, store as records};
use crate::scheduling::setup::visit_type::{self, VisitType};
use crate::scheduling::setup::{location, practitioner};

/// Mails everyone who answers for the patient, or leaves a call for the desk. `replaced` is the later visit that a claim moves.
pub(super) fn offered<P>(
    tx: &mut Tx<P>,
    made: &Offer,
    (patient, told): (&Patient, Vec<PatientRecipient>),
    visit_type: &VisitType,
    replaced: Option<&AppointmentDetails>,
) -> Result<()> {
    let content = content(tx, made, replaced)?;
    for PatientRecipient { recipient, account, is_patient, .. } in told {
        if made.way == OfferWay::Mail && recipient.email.is_none() {
            continue;
        }
        let (token, code) = match &recipient.email {
            Some(email) => {
                let (token, code) = link_tokens::issue(tx, made.id, account, email)?;
                (Some(token), Some(code.shown()))
            }
            None => (None, None),
        };
        let mail = Mail::WaitlistOffer(WaitlistOfferMail {
            patient: (!is_patient).then(|| patient.first_name().to_owned()),
            visit: visit_type.public_name_in(Language::of_tag(&recipient.language)).to_owned(),
            token,
            code,
            ..content.clone()
        });
        let envelope = Envelope { recipient, patient_id: Some(patient.id), appointment_id: None, mail };
        outbox::enqueue(tx.conn, tx.env, &envelope)?;
    }
    Ok(())
}

/// Mails everyone to whom the mail of the offer went, and who still has that address, that the clinic took it back, or that it lapsed and
/// was the last one for now; and what becomes of the wait.
pub(super) fn withdrawn<P>(tx: &mut Tx<P>, ended: &Offer) -> Result<()> {
    let links = link_tokens::of_offer(tx.conn, ended.id)?;
    if links.is_empty() {
        return Ok(());
    }
    let patient = records::find_authorised(tx.conn, ended.patient_id)?;
    let accounts = access::of_patient(tx.conn, patient.id)?;
    let waits = entry::find(tx.conn, ended.entry_id)?;
    let visit_type = visit_type::find(tx.conn, waits.visit_type_id)?;
    let (lapsed, standing) = (ended.status == OfferStatus::Lapsed, standing(&waits, &visit_type));
    let content = WaitlistOfferMail { lapsed, standing, ..content(tx, ended, None)? };
    for PatientRecipient { recipient, is_patient, .. } in recipients::of(tx.conn, tx.env, &patient, accounts)? {
        let Some(email) = &recipient.email else { continue };
        let is_of_offer = links.iter().any(|link| link_tokens::was_mailed_to(tx.env, link, email));
        if !is_of_offer || !may_have_arrived(tx, ended, email)? {
            continue;
        }
        let mail = Mail::WaitlistOfferWithdrawn(WaitlistOfferMail {
            patient: (!is_patient).then(|| patient.first_name().to_owned()),
            visit: visit_type.public_name_in(Language::of_tag(&recipient.language)).to_owned(),
            ..content.clone()
        });
        let envelope = Envelope { recipient, patient_id: Some(patient.id), appointment_id: None, mail };
        outbox::enqueue(tx.conn, tx.env, &envelope)?;
    }
    Ok(())
}

/// What becomes of the wait of an entry without an offer.
fn standing(waits: &Entry, visit_type: &VisitType) -> WaitStanding {
    if !waits.is_live() {
        WaitStanding::Ended
    } else if waits.is_paused() {
        WaitStanding::Paused
    } else if !visit_type.active || !visit_type.online_bookable {
        WaitStanding::Halted
    } else {
        WaitStanding::Kept
    }
}

/// Returns whether the mail of an offer may have reached an address. A mail that still waited when the offer ended was not sent.
fn may_have_arrived<P>(tx: &mut Tx<P>, offer: &Offer, email: &str) -> Result<bool> {
    outbox::may_have_arrived(tx.conn, offer.patient_id, MessageKind::WaitlistOffer, email, offer.created_at)
}

/// What all recipients read.
fn content<P>(tx: &mut Tx<P>, offer: &Offer, replaced: Option<&AppointmentDetails>) -> Result<WaitlistOfferMail> {
    let place = location::find(tx.conn, offer.location_id)?;
    Ok(WaitlistOfferMail {
        patient: None,
        starts_at: offer.starts_at,
        time_zone: offer.time_zone.clone(),
        visit: String::new(),
        practitioner: practitioner::find(tx.conn, offer.practitioner_id)?.name,
        location: place.name,
        address: place.address,
        expires_at: offer.expires_at,
        instead_of: replaced.map(|visit| (visit.appointment.starts_at, visit.location.time_zone.clone())),
        token: None,
        code: None,
        lapsed: false,
        standing: WaitStanding::Kept,
        phone: Some(place.phone),
        country: Some(place.country),
    })
}
