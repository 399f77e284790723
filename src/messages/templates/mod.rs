//! Renders the texts of messages. The templates are embedded. Files in `TEMPLATE_DIR` replace those of the same name.
//!
//! A message of kind `k` has `k.subject.txt`, `k.txt` and `k.html`, and `k.phone.txt` if staff may have to say it on
//! the telephone. `appointments_moved` is one mail of several `appointment_moved`. The Spanish templates are in `es/`. Values in `.html` are escaped. An unknown variable is an error,
//! so that a misspelt one is noticed.

use jiff::tz::TimeZone;
use minijinja::{Environment, ErrorKind, TemplateSource, UndefinedBehavior, Value, context};
use text::Language;

use super::model::{AppointmentMail, Mail, Recipient, ReservationMail, SecurityEvent, WaitlistOfferMail};
use super::retry::Failure;
use super::times::{self, Moment};
use crate::config::Config;
use crate::phone::Telephone;
use crate::zones::Zones;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!($name))),*]
    };
}

const EMBEDDED: &[(&str, &str)] = embedded![
    "access_ends.html",
    "access_ends.subject.txt",
    "access_ends.txt",
    "access_given.html",
    "access_given.phone.txt",
    "access_given.subject.txt",
    "access_given.txt",
    "already_registered.html",
    "already_registered.subject.txt",
    "already_registered.txt",
    "appointment_booked.html",
    "appointment_booked.phone.txt",
    "appointment_booked.subject.txt",
    "appointment_booked.txt",
    "appointment_cancelled.html",
    "appointment_cancelled.phone.txt",
    "appointment_cancelled.subject.txt",
    "appointment_cancelled.txt",
    "appointment_facts.html",
    "appointment_facts.txt",
    "appointment_moved.html",
    "appointment_moved.phone.txt",
    "appointment_moved.subject.txt",
    "appointment_moved.txt",
    "appointment_reminder.html",
    "appointment_reminder.phone.txt",
    "appointment_reminder.subject.txt",
    "appointment_reminder.txt",
    "appointments_moved.html",
    "appointments_moved.subject.txt",
    "appointments_moved.txt",
    "button.html",
    "coming_of_age.html",
    "coming_of_age.phone.txt",
    "coming_of_age.subject.txt",
    "coming_of_age.txt",
    "follow_up.html",
    "follow_up.phone.txt",
    "follow_up.subject.txt",
    "follow_up.txt",
    "invitation.html",
    "invitation.subject.txt",
    "invitation.txt",
    "layout.html",
    "patient_invitation.html",
    "patient_invitation.subject.txt",
    "patient_invitation.txt",
    "record_notice.html",
    "record_notice.phone.txt",
    "record_notice.subject.txt",
    "record_notice.txt",
    "reservation_facts.html",
    "reset_password.html",
    "reset_password.subject.txt",
    "reset_password.txt",
    "security_notice.html",
    "security_notice.subject.txt",
    "security_notice.txt",
    "staff_alert.html",
    "staff_alert.subject.txt",
    "staff_alert.txt",
    "verify_email.html",
    "verify_email.subject.txt",
    "verify_email.txt",
    "verify_new_email.html",
    "verify_new_email.subject.txt",
    "verify_new_email.txt",
    "waitlist_offer.html",
    "waitlist_offer.phone.txt",
    "waitlist_offer.subject.txt",
    "waitlist_offer.txt",
    "waitlist_offer_withdrawn.html",
    "waitlist_offer_withdrawn.subject.txt",
    "waitlist_offer_withdrawn.txt",
    "webhook_paused.html",
    "webhook_paused.subject.txt",
    "webhook_paused.txt",
    "es/access_ends.html",
    "es/access_ends.subject.txt",
    "es/access_ends.txt",
    "es/access_given.html",
    "es/access_given.phone.txt",
    "es/access_given.subject.txt",
    "es/access_given.txt",
    "es/already_registered.html",
    "es/already_registered.subject.txt",
    "es/already_registered.txt",
    "es/appointment_booked.html",
    "es/appointment_booked.phone.txt",
    "es/appointment_booked.subject.txt",
    "es/appointment_booked.txt",
    "es/appointment_cancelled.html",
    "es/appointment_cancelled.phone.txt",
    "es/appointment_cancelled.subject.txt",
    "es/appointment_cancelled.txt",
    "es/appointment_facts.html",
    "es/appointment_facts.txt",
    "es/appointment_moved.html",
    "es/appointment_moved.phone.txt",
    "es/appointment_moved.subject.txt",
    "es/appointment_moved.txt",
    "es/appointment_reminder.html",
    "es/appointment_reminder.phone.txt",
    "es/appointment_reminder.subject.txt",
    "es/appointment_reminder.txt",
    "es/appointments_moved.html",
    "es/appointments_moved.subject.txt",
    "es/appointments_moved.txt",
    "es/coming_of_age.html",
    "es/coming_of_age.phone.txt",
    "es/coming_of_age.subject.txt",
    "es/coming_of_age.txt",
    "es/follow_up.html",
    "es/follow_up.phone.txt",
    "es/follow_up.subject.txt",
    "es/follow_up.txt",
    "es/invitation.html",
    "es/invitation.subject.txt",
    "es/invitation.txt",
    "es/patient_invitation.html",
    "es/patient_invitation.subject.txt",
    "es/patient_invitation.txt",
    "es/record_notice.html",
    "es/record_notice.phone.txt",
    "es/record_notice.subject.txt",
    "es/record_notice.txt",
    "es/reservation_facts.html",
    "es/reset_password.html",
    "es/reset_password.subject.txt",
    "es/reset_password.txt",
    "es/security_notice.html",
    "es/security_notice.subject.txt",
    "es/security_notice.txt",
    "es/staff_alert.html",
    "es/staff_alert.subject.txt",
    "es/staff_alert.txt",
    "es/verify_email.html",
    "es/verify_email.subject.txt",
    "es/verify_email.txt",
    "es/verify_new_email.html",
    "es/verify_new_email.subject.txt",
    "es/verify_new_email.txt",
    "es/waitlist_offer.html",
    "es/waitlist_offer.phone.txt",
    "es/waitlist_offer.subject.txt",
    "es/waitlist_offer.txt",
    "es/waitlist_offer_withdrawn.html",
    "es/waitlist_offer_withdrawn.subject.txt",
    "es/waitlist_offer_withdrawn.txt",
    "es/webhook_paused.html",
    "es/webhook_paused.subject.txt",
    "es/webhook_paused.txt",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMail {
    /// The subject, one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    pub html: String,
}

/// Renders a mail for its reader. `phone` is the clinic's telephone number. Reads `TEMPLATE_DIR` each time, so that a
/// corrected template takes effect at once.
///
/// # Errors
/// [`Failure::Template`] if a template is broken. The log says what is wrong, without values.
pub fn render(
    config: &Config,
    mail: &Mail,
    reader: &Recipient,
    phone: Option<&Telephone>,
) -> Result<RenderedMail, Failure> {
    Writer::new(config, mail, reader, phone).mail()
}

/// Renders one mail about several moved appointments.
///
/// # Errors
/// Those of [`render`].
pub fn render_moved<'a>(
    config: &Config,
    moved: impl Iterator<Item = &'a Mail>,
    reader: &Recipient,
) -> Result<RenderedMail, Failure> {
    Writer::of_moved(config, moved, reader).mail()
}

/// Renders the text to say on the telephone. None for messages that are never told on the telephone, such as links.
///
/// # Errors
/// Those of [`render`].
pub fn telephone_text(config: &Config, mail: &Mail, listener: &Recipient) -> Result<Option<String>, Failure> {
    // The recipient is on the telephone with the clinic already.
    Writer::new(config, mail, listener, None).part("phone.txt")
}

/// Renders the parts of one message.
struct Writer {
    engine: Environment<'static>,
    /// The templates' name without the extension.
    name: String,
    values: Value,
}

impl Writer {
    fn new(config: &Config, mail: &Mail, reader: &Recipient, phone: Option<&Telephone>) -> Self {
        let language = Language::of_tag(&reader.language);
        let folder = if language == Language::Spanish { "es/" } else { "" };
        // A mail about an offered time names the number of its location, unless the clinic has one for all.
        let own = mail.waitlist_offer().filter(|_| config.settings.clinic_phone.is_none());
        let own = own.and_then(WaitlistOfferMail::telephone);
        let phone = own.as_ref().or(phone);
        let values = context! {
            lang => language.code(),
            clinic => config.settings.clinic_name.as_str(),
            name => reader.name.as_deref().map(shown_name),
            // These links lead to the service's own pages, because the clinic's client may not have them.
            link => mail.link().map(|(page, token)| match mail {
                Mail::AccessGiven(_) | Mail::WaitlistOffer(_) => config.own_link(page, token, language),
                _ => config.link(page, token, language),
            }),
            link_lasts => mail.link_lasts().map(|lasts| times::span(lasts, language)),
            password_link => config.page("set-password", language),
            phone => phone.map(|phone| context! { number => one_line(&phone.shown), link => phone.dialled.as_str() }),
            appointment => mail.appointment().map(|mail| appointment(mail, &config.zones, language)),
            forms_link => mail.appointment().and_then(|mail| forms_link(config, mail, language)),
            unsubscribe => mail.unsubscribe().map(|token| config.unsubscribe_link(token, language)),
            reference => mail.reference(),
            event => mail.security_event().map(SecurityEvent::as_str),
            access => mail.access().map(|mail| context! {
                patient => mail.patient.as_deref().map(shown_name),
                relation => mail.relation.as_str(),
                day => Moment::of_day(mail.on.0, language).date(),
                pending => mail.pending,
                by_patient => mail.by_patient,
            }),
            follow_up => mail.follow_up().map(|mail| context! {
                patient => mail.patient.as_deref().map(shown_name),
                days => config.settings.follow_up_answer_days,
                code => mail.code.as_deref(),
                // The code is for the service's own page, which works without a script.
                page => config.own_page("follow-up", language),
            }),
            offer => mail.waitlist_offer().map(|mail| waitlist_offer(config, mail, language)),
            webhook => mail.webhook().map(|mail| context! {
                host => one_line(&mail.host),
                is_gone => mail.is_gone,
                hours => config.settings.webhook_pause_after_hours,
            }),
            record => mail.record().map(|mail| context! {
                patient => mail.patient.as_deref().map(shown_name),
                change => mail.change.as_str(),
            }),
            registration => mail.registration().map(|mail| context! {
                name => shown_name(&mail.name),
                patient => mail.patient.as_deref().map(shown_name),
            }),
            reservation => mail.reservation().map(|mail| reservation(mail, &config.zones, language)),
            birthday => mail.birthday().map(|mail| {
                let day = Moment::of_day(mail.on.0, language);
                context! { patient => shown_name(&mail.patient), day => day.date(), short => day.day() }
            }),
        };
        Self { engine: engine(config), name: format!("{folder}{}", mail.kind()), values }
    }

    /// One mail about several moved appointments.
    fn of_moved<'a>(config: &Config, mails: impl Iterator<Item = &'a Mail>, reader: &Recipient) -> Self {
        let language = Language::of_tag(&reader.language);
        let folder = if language == Language::Spanish { "es/" } else { "" };
        let mut moved: Vec<_> = mails.filter_map(|mail| Some((mail.appointment()?, mail.link()))).collect();
        moved.sort_by_key(|(visit, _)| visit.starts_at);
        let part = |(visit, link): (&AppointmentMail, Option<_>)| {
            let link = link.map(|(page, token)| config.link(page, token, language));
            context! { appointment => appointment(visit, &config.zones, language), link }
        };
        let values = context! {
            lang => language.code(),
            clinic => config.settings.clinic_name.as_str(),
            name => reader.name.as_deref().map(shown_name),
            moved => moved.into_iter().map(part).collect::<Vec<_>>(),
        };
        Self { engine: engine(config), name: format!("{folder}appointments_moved"), values }
    }

    fn mail(&self) -> Result<RenderedMail, Failure> {
        let part = |extension| self.part(extension)?.ok_or(Failure::Template);
        Ok(RenderedMail {
            subject: one_line(&part("subject.txt")?),
            text: part("txt")? + "\n",
            html: part("html")? + "\n",
        })
    }

    /// Renders the part with this extension, if there is a template for it.
    fn part(&self, extension: &str) -> Result<Option<String>, Failure> {
        let name = format!("{}.{extension}", self.name);
        let template = match self.engine.get_template(&name) {
            Err(error) if error.kind() == ErrorKind::TemplateNotFound => return Ok(None),
            found => found,
        };
        template.and_then(|template| template.render(&self.values)).map(Some).map_err(|error| {
            // Not the error's own text: in a debug build it quotes the variables, including tokens.
            tracing::warn!(template = name, line = error.line(), problem = %error.kind(), "a template is broken");
            Failure::Template
        })
    }
}

/// Returns the page of forms in the clinic's own client. Without one it is that of the visit here, which needs an account.
fn forms_link(config: &Config, mail: &AppointmentMail, language: Language) -> Option<String> {
    match &config.settings.patient_app_url {
        Some(client) => Some(format!("{}/forms", client.as_str().trim_end_matches('/'))),
        None if mail.forms_online => {
            Some(config.own_page(&format!("visits/{}/history", mail.appointment_id), language))
        }
        None => None,
    }
}

fn engine(config: &Config) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let folder = config.settings.template_dir.as_ref().map(minijinja::path_loader);
    engine.set_loader(move |name| {
        if let Some(own) = folder.as_ref().and_then(|load| load(name).transpose()) {
            return own.map(Some);
        }
        Ok(EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| TemplateSource::from(*text)))
    });
    engine
}

fn appointment(mail: &AppointmentMail, zones: &Zones, language: Language) -> Value {
    let zone = zones.get(&mail.time_zone).unwrap_or(TimeZone::UTC);
    let begins = Moment::new(mail.starts_at, &zone, language);
    let phone = mail.telephone();
    context! {
        when => begins.full(),
        when_here => begins.full_here(),
        when_short => format!("{}, {}", begins.day(), begins.time()),
        day => begins.day(),
        at_time => begins.at_time(),
        ends => Moment::new(mail.ends_at, &zone, language).time(),
        visit => one_line(&mail.visit),
        practitioner => one_line(&mail.practitioner),
        location => one_line(&mail.location),
        address => one_line(&mail.address),
        phone => one_line(&phone.shown),
        phone_link => phone.dialled,
        confirmation_code => mail.confirmation_code.as_str(),
        patient => mail.patient.as_deref().map(shown_name),
        cancel_until => mail.cancel_until.map(|until| {
            let until = Moment::new(until, &zone, language);
            format!("{}, {}", until.day(), until.time())
        }),
        forms_due => mail.forms_due,
        zone_changed => mail.zone_changed,
    }
}

fn reservation(mail: &ReservationMail, zones: &Zones, language: Language) -> Value {
    let zone = zones.get(&mail.time_zone).unwrap_or(TimeZone::UTC);
    let begins = Moment::new(mail.starts_at, &zone, language);
    let until = Moment::new(mail.reserved_until, &zone, language);
    context! {
        when => begins.full(),
        when_here => begins.full_here(),
        visit => one_line(&mail.visit),
        location => one_line(&mail.location),
        address => one_line(&mail.address),
        until => until.full_here(),
    }
}

fn waitlist_offer(config: &Config, mail: &WaitlistOfferMail, language: Language) -> Value {
    let zone = |name: &str| config.zones.get(name).unwrap_or(TimeZone::UTC);
    let here = zone(&mail.time_zone);
    let begins = Moment::new(mail.starts_at, &here, language);
    context! {
        patient => mail.patient.as_deref().map(shown_name),
        when => begins.full(),
        when_here => begins.full_here(),
        day => begins.day(),
        at_time => begins.at_time(),
        visit => one_line(&mail.visit),
        practitioner => one_line(&mail.practitioner),
        location => one_line(&mail.location),
        address => one_line(&mail.address),
        until => Moment::new(mail.expires_at, &here, language).full_here(),
        instead_of => mail.instead_of.as_ref().map(|(at, of)| Moment::new(*at, &zone(of), language).full_here()),
        code => mail.code.as_deref(),
        page => config.own_page("waitlist-offer", language),
        lapsed => mail.lapsed,
        standing => mail.standing.as_str(),
        visits => config.own_page("visits", language),
    }
}

/// Replaces control characters such as line breaks, which would end a header, by spaces.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

/// The most characters of a person's name in a mail.
const SHOWN_NAME: usize = 80;
/// The fewest digits in a name that could be a telephone number.
const NUMBER: usize = 5;

/// Returns what a mail shows of a person's name, in its headers, its texts and its calendar entry. Strangers choose
/// such names: it is short, and has nothing that mail programs would turn into a link.
pub fn shown_name(name: &str) -> String {
    const DOTS: &str = ".\u{2024}\u{3002}\u{fe52}\u{ff0e}\u{ff61}";
    const SIGNS: &str = "/:@\\\u{2044}\u{2215}\u{29f8}\u{fe55}\u{fe6b}\u{ff0f}\u{ff1a}\u{ff20}\u{ff3c}";
    let has_number = name.chars().filter(|c| c.is_numeric()).count() >= NUMBER;
    let is_sign = |c: char| SIGNS.contains(c) || (has_number && c.is_numeric());
    let is_shown = |c: &char| !is_sign(*c) && !text::is_forbidden(*c) && !text::is_hidden(*c);
    let name: Vec<char> = one_line(name).chars().filter(is_shown).collect();
    // An ordinary dot at the end of a word is part of a name, such as in "Jr.". All others could make a domain.
    let ends_a_word = |at: usize| name[at] == '.' && name.get(at + 1).is_none_or(|next| next.is_whitespace());
    let shown = |at: &usize| !DOTS.contains(name[*at]) || ends_a_word(*at);
    let short: String = (0..name.len().min(SHOWN_NAME)).filter(shown).map(|at| name[at]).collect();
    short.trim().to_owned()
}

#[cfg(test)]
mod tests;
