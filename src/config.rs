//! The settings: from flags, the environment or `.env`, checked once at the start. `.env.example` lists them all.

pub mod edge;
pub mod retention;
mod secrets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use self::edge::{Origin, Proxies, ProxyHeader, RateLimits};
use crate::clock::Entropy;
use crate::db::{Target, damage};
use crate::telemetry::LogFormat;
use crate::text::Language;

/// Whom the clinic asks for a code besides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RequireTotp {
    /// Whoever switched it on for themselves.
    Off,
    /// All of the staff as well.
    Staff,
}

/// The most that [`Settings::record_open_hours`] takes.
pub const RECORD_OPEN_HOURS_MAX: i64 = 168;

/// The settings as they are written down.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Where the data is: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`
    #[arg(long, env, global = true, hide_env_values = true, default_value = "sqlite:data/legwork.db")]
    pub database_url: SecretString,

    /// How many database connections the service opens at most
    #[arg(long, env, global = true, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=500))]
    pub database_connections: u32,

    /// The address to listen on
    #[arg(long, env, global = true, default_value = "127.0.0.1:8080")]
    pub listen_addr: SocketAddr,

    /// The proxies in front, by address or network: where TLS ends, and whose word on the client's address is taken
    #[arg(long, env, global = true)]
    pub behind_proxy: Option<Proxies>,

    /// The header in which those proxies name the client; the other one is not read
    #[arg(long, env, global = true, value_enum, default_value_t = ProxyHeader::XForwardedFor)]
    pub proxy_header: ProxyHeader,

    /// The origins of web clients that browsers may let in, comma-separated, such as https://app.clinic.example
    #[arg(long, env, global = true, value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,

    /// How many requests in how much time: by address (enter, public) or account (read, write); or `off`
    #[arg(long, env, global = true, default_value = RateLimits::DEFAULT)]
    pub rate_limits: RateLimits,

    /// An address of its own for probes and figures (/health/live, /health/ready, /metrics), such as 127.0.0.1:8081
    #[arg(long, env, global = true)]
    pub health_addr: Option<SocketAddr>,

    /// How many connections are open at once at most; then a new one closes the one that has been silent longest
    #[arg(long, env, global = true, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    pub max_connections: u32,

    /// How many of them one address may have (IPv6: one /64 network); at most a quarter. Proxies are exempt
    #[arg(long, env, global = true, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections_per_client: u32,

    /// How many visits to come a patient may have booked online, and three times as many all patients whom one account added by
    /// itself; staff book any number
    #[arg(long, env, global = true, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_open_bookings: u16,

    /// How many mails of each kind that strangers can ask for, and how many invitations, an address gets in an hour
    #[arg(long, env, global = true, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_mails_per_hour: u16,

    /// How many mails about appointments, and how many of any other kind, an address gets in an hour; further ones wait
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(3..=1000))]
    pub max_notices_per_hour: u16,

    /// The URL under which the world reaches this service; links in mails begin with it
    #[arg(long, env, global = true, default_value = "http://127.0.0.1:8080")]
    pub public_url: url::Url,

    /// The clinic's own web client, if there is one; links in mails then lead there
    #[arg(long, env, global = true)]
    pub patient_app_url: Option<url::Url>,

    /// What signs access tokens: `id:secret` (32 characters or more), comma-separated, the first one signs
    #[arg(long, env, global = true, hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,

    /// What encrypts values in the database: `id:base64 of 32 bytes`, comma-separated, the first one seals
    #[arg(long, env, global = true, hide_env_values = true)]
    pub data_keys: Option<SecretString>,

    /// The mail server, as a URL: smtp://, smtps:// or smtp://…?tls=required; without it mails become files in MAIL_DIR
    #[arg(long, env, global = true, hide_env_values = true)]
    pub smtp_url: Option<SecretString>,

    /// Where mails are written as .eml files while there is no SMTP_URL
    #[arg(long, env, global = true, default_value = "data/mail")]
    pub mail_dir: PathBuf,

    /// The sender of all mails
    #[arg(long, env, global = true, default_value = "Legwork Vein Clinic <appointments@clinic.example>")]
    pub mail_from: String,

    /// A folder of mail templates that replace the built-in ones of the same name
    #[arg(long, env, global = true)]
    pub template_dir: Option<PathBuf>,

    /// The clinic's name, as mails and calendars show it
    #[arg(long, env, global = true, default_value = "Legwork Vein Clinic")]
    pub clinic_name: String,

    /// Where the staff are mailed, without any particulars, when a patient's answers need them at once
    #[arg(long, env, global = true)]
    pub urgent_mail_to: Option<String>,

    /// The emergency number that patients are told: one, or by the location's country, such as `US:911,GB:999,*:112`
    #[arg(long, env, global = true, default_value = "US:911,CA:911,GB:999,AU:000,NZ:111,*:112")]
    pub emergency_number: ByCountry,

    /// The crisis line that patients are told: one, or by country; for a country without one the emergency number stands
    #[arg(long, env, global = true, default_value = "US:988,CA:988")]
    pub crisis_line: ByCountry,

    /// The clinic's number that pages and mails say to call, where no location's fits better
    #[arg(long, env, global = true)]
    pub clinic_phone: Option<String>,

    /// For how many days before a visit an intake counts for it
    #[arg(long, env, global = true, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=730))]
    pub intake_valid_days: u16,

    /// Within how many weeks of the start of iron a ferritin should be there
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=104))]
    pub iron_monitoring_weeks: u8,

    /// Have clinicians ask about thoughts of self-harm, rather than the form: an answer that nobody watches binds to act
    #[arg(long, env, global = true)]
    pub self_harm_by_clinician: bool,

    /// A licensed text pack with the questions of the RLS severity scale; refused without its `license_ref`
    #[arg(long, env, global = true)]
    pub rls_text_pack: Option<PathBuf>,

    /// The years of age from which nobody acts for a patient by what was given to them for a child; a change counts for all
    /// access that has not ended
    #[arg(long, env, global = true, default_value_t = 18, value_parser = clap::value_parser!(u8).range(14..=25))]
    pub adult_age: u8,

    /// How many days before that those whom it concerns are mailed
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub access_end_notice_days: u16,

    /// For how many months after a visit the practitioner may read the patient's clinical data without giving a reason
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=120))]
    pub care_relation_months: u8,

    /// For how many hours a record stays open that a practitioner opened for a reason
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=RECORD_OPEN_HOURS_MAX))]
    pub record_open_hours: u8,

    /// For how many days ahead slots are published
    #[arg(long, env, global = true, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=730))]
    pub slot_horizon_days: u16,

    /// The fewest characters of a patient's password
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u16).range(8..=64))]
    pub password_min_patient: u16,

    /// The fewest characters of a staff password
    #[arg(long, env, global = true, default_value_t = 15, value_parser = clap::value_parser!(u16).range(8..=64))]
    pub password_min_staff: u16,

    /// How many passwords are hashed at once, besides one for known devices and signed-in users; each takes 19 MiB and a core
    #[arg(long, env, global = true, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub password_hashers: u16,

    /// Minutes without use after which a session ends
    #[arg(long, env, global = true, default_value_t = 60 * 24 * 7)]
    pub session_idle_minutes: u32,

    /// Minutes after which a session ends in any case
    #[arg(long, env, global = true, default_value_t = 60 * 24 * 30)]
    pub session_minutes: u32,

    /// Who must sign in with an authenticator app besides the password: all of the staff, or nobody who does not want to
    #[arg(long, env, global = true, value_enum, default_value_t = RequireTotp::Staff)]
    pub require_totp: RequireTotp,

    /// Days that ended sessions and links are kept before they are deleted
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=730))]
    pub sessions_kept_days: u16,

    /// How long things are kept.
    #[command(flatten)]
    pub retention: retention::Retention,

    /// Seconds that the service goes on at shutdown after readiness has ended, so that a load balancer notices
    #[arg(long, env, global = true, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=600))]
    pub shutdown_delay_seconds: u16,

    /// Seconds that requests in flight are given at shutdown, after that delay
    #[arg(long, env, global = true, default_value_t = 8)]
    pub shutdown_seconds: u16,

    /// The form of the log
    #[arg(long, env, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl Settings {
    /// How many connections one client may have: never so many that a few clients take all.
    pub fn connections_per_client(&self) -> usize {
        self.max_connections_per_client.min(self.max_connections / 4) as usize
    }
}

/// The settings, checked, with the secrets at hand.
#[derive(Clone)]
pub struct Config {
    /// As written down.
    pub settings: Settings,
    /// The database.
    pub target: Target,
    /// `id:secret` pairs; the first one signs.
    pub jwt_secret: SecretString,
    /// See [`crate::sealed::Sealer::parse`].
    pub data_keys: SecretString,
}

impl Config {
    /// Checks the settings. On SQLite, secrets that are not set are made once and kept beside the database.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn new(settings: Settings, entropy: &Entropy) -> Result<Self, String> {
        let target = Target::parse(settings.database_url.expose_secret())?;
        damage::refuse_emptied(&target)?;
        let folder = match &target {
            Target::Sqlite(path) => Some(path.parent().unwrap_or(Path::new("")).to_owned()),
            Target::Postgres(_) => None,
        };
        let secret =
            |set: &Option<SecretString>, name: &str, file: &str, make: &dyn Fn() -> String| match (set, &folder) {
                (Some(secret), _) => Ok(secret.clone()),
                (None, Some(folder)) => secrets::kept(&folder.join(file), make).map(SecretString::from),
                (None, None) => Err(format!("{name} must be set when the database is PostgreSQL; see .env.example")),
            };
        let random = || STANDARD.encode(entropy.bytes::<32>());
        let jwt_secret = secret(&settings.jwt_secret, "JWT_SECRET", "jwt-secret", &|| format!("k1:{}", random()))?;
        if settings.data_keys.is_none() {
            secrets::refuse_new_keys(&target)?;
        }
        let data_keys = secret(&settings.data_keys, "DATA_KEYS", "data-keys", &|| format!("k1:{}", random()))?;
        secrets::refuse_weak("JWT_SECRET", jwt_secret.expose_secret())?;
        secrets::refuse_weak("DATA_KEYS", data_keys.expose_secret())?;
        check_public_url(&settings.public_url)?;
        Ok(Self { settings, target, jwt_secret, data_keys })
    }

    /// Where the keys are kept that are not set; only SQLite has such a file.
    pub fn data_keys_file(&self) -> Option<PathBuf> {
        match &self.target {
            Target::Sqlite(path) => Some(path.with_file_name("data-keys")),
            Target::Postgres(_) => None,
        }
    }

    /// Refuses to listen where strangers are without a proxy: the service itself speaks no TLS.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn check_listen_addr(&self) -> Result<(), String> {
        let Settings { listen_addr, behind_proxy, public_url, .. } = &self.settings;
        if listen_addr.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        if behind_proxy.is_none() {
            return Err(format!(
                "LISTEN_ADDR {listen_addr} is not a loopback address, and this service speaks no TLS: put a proxy that does in \
                 front, and name its address with --behind-proxy (BEHIND_PROXY)"
            ));
        }
        if public_url.scheme() != "https" {
            tracing::warn!("PUBLIC_URL is not https: passwords and records would cross the network in the clear");
        }
        Ok(())
    }

    /// The URL of a page that a mail links to, with its token in the fragment, which no server ever sees.
    pub fn link(&self, page: &str, token: &str, language: Language) -> String {
        format!("{}#token={token}", self.page(page, language))
    }

    /// The URL of a page that a mail links to. Our own pages are told the mail's language unless it is theirs by default.
    pub fn page(&self, page: &str, language: Language) -> String {
        match &self.settings.patient_app_url {
            Some(client) => format!("{}/{page}", client.as_str().trim_end_matches('/')),
            None => self.own_page(page, language),
        }
    }

    /// The URL of a page of this service that a mail links to, also where the clinic has its own client.
    pub fn own_link(&self, page: &str, token: &str, language: Language) -> String {
        format!("{}#token={token}", self.own_page(page, language))
    }

    fn own_page(&self, page: &str, language: Language) -> String {
        let query = if language == Language::Spanish { "?lang=es" } else { "" };
        format!("{}/{page}{query}", self.settings.public_url.as_str().trim_end_matches('/'))
    }
}

fn check_public_url(url: &url::Url) -> Result<(), String> {
    if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none() {
        Ok(())
    } else {
        Err("PUBLIC_URL: an http or https URL without query or fragment".into())
    }
}

/// A value that depends on the country: `911`, or `US:911,GB:999,*:112`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByCountry(Vec<(String, String)>);

impl ByCountry {
    /// The value for a country (ISO 3166-1, two letters), or the one for all others.
    pub fn of(&self, country: &str) -> Option<&str> {
        let find = |wanted: &str| self.0.iter().find(|(country, _)| country.eq_ignore_ascii_case(wanted));
        find(country).or_else(|| find("*")).map(|(_, value)| value.as_str())
    }
}

impl std::str::FromStr for ByCountry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dialled = |value: &str| {
            !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')'))
        };
        let mut all = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (country, value) = entry.split_once(':').unwrap_or(("*", entry));
            let (country, value) = (country.trim(), value.trim());
            let is_country = country == "*" || (country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic()));
            if !is_country || !dialled(value) {
                return Err("a number, or numbers by country such as US:911,GB:999,*:112".into());
            }
            all.push((country.to_owned(), value.to_owned()));
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_for_all_or_one_by_country() {
        let all: ByCountry = "112".parse().expect("a number");
        assert_eq!(all.of("US"), Some("112"));
        let some: ByCountry = "US:911, gb:999".parse().expect("numbers");
        assert_eq!((some.of("us"), some.of("GB"), some.of("FR")), (Some("911"), Some("999"), None));
        for wrong in ["call us", "USA:911", "US:", ":911"] {
            assert!(wrong.parse::<ByCountry>().is_err(), "{wrong}");
        }
    }
}
