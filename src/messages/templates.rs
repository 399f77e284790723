//! The words of the messages. The templates are embedded; a folder may replace any of them by its file name.
//!
//! A message of kind `k` has `k.subject.txt`, `k.txt` and `k.html`, and `k.phone.txt` where somebody may have to say it
//! on the phone; the Spanish ones lie in `es/`. Values in `.html` are escaped. A variable that does not exist is an error,
//! so that a misspelt one is noticed rather than left blank.

use minijinja::{Environment, ErrorKind, TemplateSource, UndefinedBehavior, Value, context};

use super::model::{AppointmentMail, Mail, Recipient, SecurityEvent};
use super::retry::Failure;
use super::times::{self, Moment};
use crate::config::Config;
use crate::phone::Telephone;
use crate::text::Language;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),*]
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
    "button.html",
    "coming_of_age.html",
    "coming_of_age.phone.txt",
    "coming_of_age.subject.txt",
    "coming_of_age.txt",
    "invitation.html",
    "invitation.subject.txt",
    "invitation.txt",
    "layout.html",
    "patient_invitation.html",
    "patient_invitation.subject.txt",
    "patient_invitation.txt",
    "record_notice.html",
    "record_notice.subject.txt",
    "record_notice.txt",
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
    "es/coming_of_age.html",
    "es/coming_of_age.phone.txt",
    "es/coming_of_age.subject.txt",
    "es/coming_of_age.txt",
    "es/invitation.html",
    "es/invitation.subject.txt",
    "es/invitation.txt",
    "es/patient_invitation.html",
    "es/patient_invitation.subject.txt",
    "es/patient_invitation.txt",
    "es/record_notice.html",
    "es/record_notice.subject.txt",
    "es/record_notice.txt",
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
];

/// A mail in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub subject: String,
    /// For who reads plain text.
    pub text: String,
    /// For everybody else.
    pub html: String,
}

/// Puts a mail into words for its reader, with the number to call, if there is one. It reads the folder of templates anew each time, so that a corrected one counts
/// at once.
///
/// # Errors
/// [`Failure::Template`] where a template is broken; what is wrong with it stands in the log, without any values.
pub fn render(config: &Config, mail: &Mail, reader: &Recipient, phone: Option<&Telephone>) -> Result<Words, Failure> {
    let writer = Writer::new(config, mail, reader, phone);
    let part = |extension| writer.part(extension)?.ok_or(Failure::Template);
    Ok(Words { subject: one_line(&part("subject.txt")?), text: part("txt")? + "\n", html: part("html")? + "\n" })
}

/// What to tell a recipient who is called; `None` for what nobody is told by phone, such as links.
///
/// # Errors
/// As [`render`].
pub fn to_say(config: &Config, mail: &Mail, listener: &Recipient) -> Result<Option<String>, Failure> {
    // Whoever listens has us on the phone.
    Writer::new(config, mail, listener, None).part("phone.txt")
}

/// A message about to be put into words.
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
        let values = context! {
            lang => language.code(),
            clinic => config.settings.clinic_name.as_str(),
            name => reader.name.as_deref().map(one_line),
            // A client that does not know the page must not keep anybody from stopping an access.
            link => mail.link().map(|(page, token)| match mail.access() {
                Some(_) => config.own_link(page, token, language),
                None => config.link(page, token, language),
            }),
            link_lasts => mail.link_lasts().map(|lasts| times::span(lasts, language)),
            password_link => config.page("set-password", language),
            phone => phone.map(|phone| context! { number => one_line(&phone.shown), link => phone.dialled.as_str() }),
            appointment => mail.appointment().map(|mail| appointment(mail, language)),
            forms_link => forms_link(config),
            reference => mail.reference(),
            event => mail.security_event().map(SecurityEvent::as_str),
            access => mail.access().map(|mail| context! {
                patient => mail.patient.as_deref().map(one_line),
                relation => mail.relation.as_str(),
                day => Moment::of_day(mail.on.0, language).date(),
                pending => mail.pending,
            }),
            record => mail.record().map(|mail| context! {
                patient => mail.patient.as_deref().map(one_line),
                change => mail.change.as_str(),
            }),
            birthday => mail.birthday().map(|mail| {
                let day = Moment::of_day(mail.on.0, language);
                context! { patient => one_line(&mail.patient), day => day.date(), short => day.day() }
            }),
        };
        Self { engine: engine(config), name: format!("{folder}{}", mail.kind()), values }
    }

    /// The part with this extension, if there is a template for it.
    fn part(&self, extension: &str) -> Result<Option<String>, Failure> {
        let name = format!("{}.{extension}", self.name);
        let template = match self.engine.get_template(&name) {
            Err(error) if error.kind() == ErrorKind::TemplateNotFound => return Ok(None),
            found => found,
        };
        template.and_then(|template| template.render(&self.values)).map(Some).map_err(|error| {
            // Not the error's own text: a debug build's quotes the variables, tokens among them.
            tracing::warn!(template = name, line = error.line(), problem = %error.kind(), "a template is broken");
            Failure::Template
        })
    }
}

/// Where the clinic's own client has the forms; without a client there is no such place.
fn forms_link(config: &Config) -> Option<String> {
    let client = config.settings.patient_app_url.as_ref()?;
    Some(format!("{}/forms", client.as_str().trim_end_matches('/')))
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

fn appointment(mail: &AppointmentMail, language: Language) -> Value {
    let begins = Moment::new(mail.starts_at, &mail.time_zone, language);
    let phone = mail.telephone();
    context! {
        when => begins.full(),
        when_here => begins.full_here(),
        when_short => format!("{}, {}", begins.day(), begins.time()),
        day => begins.day(),
        at_time => begins.at_time(),
        ends => Moment::new(mail.ends_at, &mail.time_zone, language).time(),
        visit => one_line(&mail.visit),
        practitioner => one_line(&mail.practitioner),
        location => one_line(&mail.location),
        address => one_line(&mail.address),
        phone => one_line(&phone.shown),
        phone_link => phone.dialled,
        confirmation_code => mail.confirmation_code.as_str(),
        patient => mail.patient.as_deref().map(one_line),
        forms_due => mail.forms_due,
    }
}

/// Without line breaks and other control characters, which would end a header.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests;
