//! The settings: read from flags, the environment or `.env`, and checked once at the start.

pub mod follow_up;
pub mod network;
pub mod quiet_hours;
pub mod reminders;
pub mod retention;
mod secrets;
mod staff_roles;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use self::follow_up::FollowUpWeeks;
use self::network::{Origin, Proxies, ProxyHeader, RateLimits};
use self::quiet_hours::QuietHours;
use self::reminders::ReminderTimes;
use self::staff_roles::StaffRoles;
use crate::clock::Entropy;
use crate::db::{Target, damage};
use crate::telemetry::LogFormat;
use crate::zones::Zones;
use text::Language;

/// Accounts that must sign in with a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RequireTotp {
    /// No account, unless its owner has set one up.
    Off,
    /// All staff accounts, and other accounts whose owners have set one up.
    Staff,
}

/// The greatest value of [`Settings::record_open_hours`].
pub const MAX_RECORD_OPEN_HOURS: i64 = 168;

/// The settings as given. `docs/configuration.md` and `.env.example` are generated from these fields and their comments.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Whether this is a demo (`serve --demo`), whose mails a page shows. No setting names it.
    #[arg(skip)]
    pub demo: bool,

    /// The database: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
    #[arg(long, env, global = true, hide_env_values = true, default_value = "sqlite:data/legwork.db")]
    pub database_url: SecretString,

    /// Maximum number of open database connections (2 to 500).
    ///
    /// On PostgreSQL the service opens one more, which checks that the server responds.
    #[arg(long, env, global = true, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=500))]
    pub database_connections: u32,

    /// The address to listen on.
    ///
    /// Any address other than a loopback address requires `BEHIND_PROXY`, because the service itself has no TLS.
    #[arg(long, env, global = true, default_value = "127.0.0.1:8080")]
    pub listen_addr: SocketAddr,

    /// The trusted proxies in front: addresses or networks, comma-separated, such as `10.0.0.7,192.168.0.0/16`.
    ///
    /// TLS ends there, and the service takes the client's address from their header. Also name a proxy on the same
    /// machine (`127.0.0.1`): otherwise all clients share one address, and with it its rate limits and connections.
    #[arg(long, env, global = true)]
    pub behind_proxy: Option<Proxies>,

    /// The header in which the proxies name the client.
    ///
    /// The service ignores the other one.
    #[arg(long, env, global = true, value_enum, default_value_t = ProxyHeader::XForwardedFor)]
    pub proxy_header: ProxyHeader,

    /// The origins of web clients that may call the API from a browser, comma-separated, such as
    /// `https://app.clinic.example`.
    ///
    /// `*` is refused. A demo also admits `http://localhost` and `http://127.0.0.1` at any port.
    #[arg(long, env, global = true, value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,

    /// The origins of the clinic's own sites that may show the booking pages (`/book`) in a frame, comma-separated, such as
    /// `https://www.clinic.example`.
    ///
    /// `*` is refused. Pages with a sign-in or with health questions are never shown in a frame; they open in windows of their own.
    #[arg(long, env, global = true, value_delimiter = ',')]
    pub embed_origins: Vec<Origin>,

    /// Requests per window (s, m or h) for each class, or `off`.
    ///
    /// `enter` (sign-in, registration and similar) and `public` (reads without a session) count per client address;
    /// `read` and `write` count per account, and so do sign-ins on known devices (`enter`). A class that is not named
    /// keeps its default. Each instance counts for itself.
    #[arg(long, env, global = true, default_value = RateLimits::DEFAULT)]
    pub rate_limits: RateLimits,

    /// A separate address for `/health/live`, `/health/ready` and `/metrics`, such as `127.0.0.1:8081`.
    ///
    /// It has its own thread and connections, so probes are answered under any load, and serves nothing else.
    /// `LISTEN_ADDR` serves these paths as well.
    #[arg(long, env, global = true)]
    pub health_addr: Option<SocketAddr>,

    /// The addresses or networks, comma-separated, from which `LISTEN_ADDR` answers `/metrics`, such as `10.0.0.9`.
    ///
    /// By default only clients on the same machine, as `BEHIND_PROXY` names them. All others get 404. `HEALTH_ADDR` answers every client.
    #[arg(long, env, global = true)]
    pub metrics_clients: Option<Proxies>,

    /// Maximum number of open client connections (8 to 100000).
    ///
    /// When all are in use, a new connection closes the one that has kept the server waiting longest.
    #[arg(long, env, global = true, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    pub max_connections: u32,

    /// Maximum number of open connections per client address (1 to 100000; at most a quarter of
    /// `MAX_CONNECTIONS` takes effect).
    ///
    /// For IPv6, one /56 network counts as one address. The proxies in `BEHIND_PROXY` have no such limit: the proxy
    /// itself must limit each client.
    #[arg(long, env, global = true, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections_per_client: u32,

    /// Maximum number of upcoming appointments that a patient can book online (1 to 100).
    ///
    /// All patients added by one account may together have three times as many. Staff are not limited.
    #[arg(long, env, global = true, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_open_bookings: u16,

    /// Maximum number of upcoming appointments that new accounts at one address can book together (1 to 1000).
    ///
    /// Times that they hold, open offers of the waitlist, and visits of accounts that were closed count as well. An account is new for a day
    /// after its online registration was verified, or after it accepted a patient's invitation. For IPv6, one /56 network counts as one address. The new accounts of a network (an
    /// IPv4 /24 or an IPv6 /48) can book four times as many.
    #[arg(long, env, global = true, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub new_account_visits_per_address: u16,

    /// Maximum number of times that a member of staff can hold at once (1 to 50).
    ///
    /// A patient's account holds one at a time: another hold replaces it. With 1 this applies to staff as well.
    #[arg(long, env, global = true, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub staff_holds: u8,

    /// Maximum number of times that callers without an account can hold at once from one address (1 to 1000).
    ///
    /// Holds and reservations of registrations count together; for IPv6, one /56 network counts as one address. Callers
    /// behind one address share the limit, so it is higher than one person needs.
    #[arg(long, env, global = true, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub stranger_holds_per_address: u16,

    /// Maximum number of times that callers without an account can hold at once from one network (1 to 10000).
    ///
    /// A network is an IPv4 /24 or an IPv6 /48, which one subscriber may have.
    #[arg(long, env, global = true, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub stranger_holds_per_network: u16,

    /// Maximum percentage of a day's capacity that callers without an account can hold together (1 to 100).
    ///
    /// The capacity is the number of visits that start on the day and fit one after the other: of each visit type that
    /// patients book online, with a practitioner, and for visits that need resources also with all practitioners of a
    /// location together. A short hold can cost a longer visit. These callers can always hold one visit a day with each
    /// practitioner. The rest stays for patients with an account and for staff, however many networks a stranger has.
    #[arg(long, env, global = true, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub stranger_hold_percent: u8,

    /// Minutes for which a time that a registration carries stays reserved until the address is verified (10 to 240).
    ///
    /// The mail may take some minutes, and the patient has to find it. Longer keeps the time from others.
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(10..=240))]
    pub reservation_minutes: u16,

    /// Minutes for which an offer to a patient on the waitlist keeps its time, without the `QUIET_HOURS` of its location (15 to 2880).
    ///
    /// Longer gives patients more time to read the mail. Shorter leaves more time for the next patient.
    #[arg(long, env, global = true, default_value_t = 120, value_parser = clap::value_parser!(u16).range(15..=2880))]
    pub waitlist_offer_minutes: u16,

    /// Maximum number of mails per address and hour, for each kind that strangers can request (1 to 1000).
    ///
    /// Each kind (verification, password reset, …) counts separately. Beyond the limit no mail is sent and the last
    /// link stays valid. Of verification links, each further network still gets one, up to four times the number.
    /// Invitations by staff have the same limit; staff get a 429.
    #[arg(long, env, global = true, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_mails_per_hour: u16,

    /// Maximum number of mails per address and hour about appointments, and of each other kind (3 to 1000).
    ///
    /// The first third is sent at once. Later ones wait, and only the latest state of each appointment is sent. Links
    /// that reset a password never wait.
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(3..=1000))]
    pub max_notices_per_hour: u16,

    /// The public URL of this service. Links in mails start with it.
    ///
    /// It must be https, unless the service is reached on this machine only.
    #[arg(long, env, global = true, default_value = "http://127.0.0.1:8080")]
    pub public_url: url::Url,

    /// The URL of the clinic's own web client, if it has one.
    ///
    /// Links in mails then lead to its paths `/verify-email`, `/set-password`, `/accept-invitation`, `/appointment`,
    /// `/follow-up` and `/forms`.
    #[arg(long, env, global = true)]
    pub patient_app_url: Option<url::Url>,

    /// The secrets that sign access tokens: `id:secret`, comma-separated; at least 32 characters each.
    ///
    /// The first signs, all verify. To change it without ending sessions, put the new one first and remove the old one
    /// after ten minutes. Not set: on SQLite the service makes one and stores it beside the database as `jwt-secret`;
    /// on PostgreSQL it must be set, the same on all instances. Make one with `head -c32 /dev/urandom | base64`.
    #[arg(long, env, global = true, hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,

    /// The keys that encrypt values in the database: `id:base64 of 32 bytes`, comma-separated.
    ///
    /// The first encrypts, all decrypt. The service does not start while a key is missing that values are encrypted
    /// with. Keep a copy apart from the backups: without the key the data is lost. Not set: as for `JWT_SECRET`, in the
    /// file `data-keys`.
    #[arg(long, env, global = true, hide_env_values = true)]
    pub data_keys: Option<SecretString>,

    /// The mail server: `smtp://`, `smtps://` or `smtp://HOST:587?tls=required`.
    ///
    /// Not set: mails become `.eml` files in `MAIL_DIR`.
    #[arg(long, env, global = true, hide_env_values = true)]
    pub smtp_url: Option<SecretString>,

    /// The folder for mails while `SMTP_URL` is not set.
    #[arg(long, env, global = true, default_value = "data/mail")]
    pub mail_dir: PathBuf,

    /// The sender of all mails.
    #[arg(long, env, global = true, default_value = "Legwork Vein Clinic <appointments@clinic.example>")]
    pub mail_from: String,

    /// The local hours of a location in which patients get no mail that can wait, such as `21:00-08:00`, or `off`.
    ///
    /// At most 16 hours. Mails about a change that someone has just made do not wait.
    #[arg(long, env, global = true, default_value = QuietHours::DEFAULT)]
    pub quiet_hours: QuietHours,

    /// How long before a visit patients are reminded of it, in descending order, such as `7d,48h,2h`, or `off`.
    ///
    /// In quiet hours a reminder waits for their end. If less than half of its time would be left then, it is sent an hour before they
    /// begin. Patients without an e-mail address are called once: at the shortest time of at least a day.
    #[arg(long, env, global = true, default_value = ReminderTimes::DEFAULT)]
    pub reminders: ReminderTimes,

    /// A folder of mail templates that replace the built-in ones of the same name.
    ///
    /// The built-in ones are in `src/messages/templates`, the Spanish ones in its folder `es`.
    #[arg(long, env, global = true)]
    pub template_dir: Option<PathBuf>,

    /// The clinic's name in mails, pages and calendars.
    #[arg(long, env, global = true, default_value = "Legwork Vein Clinic")]
    pub clinic_name: String,

    /// The address that gets a mail, without details, when a patient's answers need the staff at once.
    #[arg(long, env, global = true)]
    pub urgent_mail_to: Option<String>,

    /// The emergency number shown to patients: one number, or one per country such as `US:911,GB:999,*:112`.
    ///
    /// Countries are ISO 3166-1 codes of a location; `*` means all others.
    #[arg(long, env, global = true, default_value = "US:911,CA:911,GB:999,AU:000,NZ:111,*:112")]
    pub emergency_number: ByCountry,

    /// The crisis line shown to patients: one number, or one per country.
    ///
    /// A country without a crisis line shows the emergency number.
    #[arg(long, env, global = true, default_value = "US:988,CA:988")]
    pub crisis_line: ByCountry,

    /// The clinic's telephone number in pages and mails.
    ///
    /// Not set: the number of the location.
    #[arg(long, env, global = true)]
    pub clinic_phone: Option<String>,

    /// Days before a visit during which a submitted intake counts for it (1 to 730).
    #[arg(long, env, global = true, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=730))]
    pub intake_valid_days: u16,

    /// Weeks after the start of iron by mouth within which a ferritin result is due (1 to 104).
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=104))]
    pub iron_monitoring_weeks: u8,

    /// Weeks after the last infusion of iron within which a ferritin result is due (1 to 104).
    #[arg(long, env, global = true, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=104))]
    pub iron_infusion_monitoring_weeks: u8,

    /// Months after each ferritin result within which the next one is due while the iron treatment lasts (1 to 24).
    #[arg(long, env, global = true, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=24))]
    pub iron_monitoring_months: u8,

    /// Weeks after a visit or a change of treatment at which the patient is asked how they are, or `off`.
    ///
    /// Only patients with a submitted history are asked, one mail each time. Another completed visit begins anew, unless a follow-up that
    /// staff scheduled is open: that one keeps its day, and the series goes on after it.
    #[arg(long, env, global = true, default_value = FollowUpWeeks::DEFAULT)]
    pub follow_up_weeks: FollowUpWeeks,

    /// Weeks after which the patient is asked again and again after the last of `FOLLOW_UP_WEEKS` (0 to 520; 0: not).
    ///
    /// A patient who misses two in a row is asked again only after the next visit or change of treatment.
    #[arg(long, env, global = true, default_value_t = 26, value_parser = clap::value_parser!(u16).range(0..=520))]
    pub follow_up_repeat_weeks: u16,

    /// Days for which the link in that mail works (1 to 60).
    #[arg(long, env, global = true, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub follow_up_answer_days: u16,

    /// Leave the question about self-harm to the clinician instead of the form.
    ///
    /// An answer in the form obliges the clinic to act on it at once.
    #[arg(long, env, global = true)]
    pub self_harm_by_clinician: bool,

    /// Whether practitioners see what the AASM's guideline of 2025 says about a patient's treatments (`true` or `false`).
    ///
    /// The hints are in the summary for practitioners only. They are no orders.
    #[arg(long, env, global = true, default_value_t = true, action = clap::ArgAction::Set)]
    pub guideline_hints: bool,

    /// A JSON file with the licensed texts of the RLS severity scale.
    ///
    /// The file must have a `license_ref`.
    #[arg(long, env, global = true)]
    pub rls_text_pack: Option<PathBuf>,

    /// Age at which access that was given for a minor ends (14 to 25).
    ///
    /// A change applies from the next start, to all access that has not ended yet.
    #[arg(long, env, global = true, default_value_t = 18, value_parser = clap::value_parser!(u8).range(14..=25))]
    pub adult_age: u8,

    /// Days before that birthday on which the people concerned get a mail (1 to 365).
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub access_end_notice_days: u16,

    /// Months after a visit during which the practitioner may read the clinical data without giving a reason (1 to
    /// 120).
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=120))]
    pub care_relation_months: u8,

    /// Hours for which an `Access-Reason` opens a record (1 to 168).
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=MAX_RECORD_OPEN_HOURS))]
    pub record_open_hours: u8,

    /// Days within which a merge of two patient records can be undone (1 to 3650), at most as long as audit events are kept.
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub merge_undo_days: u16,

    /// Days ahead for which time slots are published (1 to 730).
    ///
    /// The default lets the desk book a ferritin test 12 weeks after an infusion of the next three months.
    #[arg(long, env, global = true, default_value_t = 180, value_parser = clap::value_parser!(u16).range(1..=730))]
    pub slot_horizon_days: u16,

    /// Data of time zones that replaces the bundled data: a zoneinfo folder, or a file of concatenated zones.
    ///
    /// For a change of a zone's law before the next version of the program. It is read at the start: restart all instances after an
    /// update. The version is that in the folder's `+VERSION`, `version` or `tzdata.zi`, in the file's header, or else a digest.
    #[arg(long, env, global = true)]
    pub tz_data: Option<PathBuf>,

    /// Roles of staff that may add and delete extra hours, separated by commas: `front_desk`, `practitioner`, `admin`.
    ///
    /// Practitioners add only their own.
    #[arg(long, env, global = true, default_value = StaffRoles::EXTRA_HOURS)]
    pub extra_hours_roles: StaffRoles,

    /// Minimum length of a patient's password in characters (8 to 64).
    #[arg(long, env, global = true, default_value_t = 12, value_parser = clap::value_parser!(u16).range(8..=64))]
    pub password_min_patient: u16,

    /// Minimum length of a staff password in characters (8 to 64).
    #[arg(long, env, global = true, default_value_t = 15, value_parser = clap::value_parser!(u16).range(8..=64))]
    pub password_min_staff: u16,

    /// Number of passwords hashed at the same time (1 to 64).
    ///
    /// One more is reserved for known devices and signed-in users. Each takes 19 MiB and a core.
    #[arg(long, env, global = true, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub password_hashers: u16,

    /// Minutes without use after which a session ends.
    #[arg(long, env, global = true, default_value_t = 60 * 24 * 7)]
    pub session_idle_minutes: u32,

    /// Minutes after which a session ends in any case.
    #[arg(long, env, global = true, default_value_t = 60 * 24 * 30)]
    pub session_minutes: u32,

    /// Accounts that must sign in with an authenticator app (TOTP) besides the password.
    ///
    /// Staff without one can sign in, but can only set it up. A demo requires it of no account.
    #[arg(long, env, global = true, value_enum, default_value_t = RequireTotp::Staff)]
    pub require_totp: RequireTotp,

    /// Days after which ended sessions and links are deleted (1 to 730).
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=730))]
    pub sessions_kept_days: u16,

    /// Networks beside the public internet that webhooks may be sent to, comma-separated, such as `10.1.0.0/16`.
    ///
    /// For receivers in the clinic's own network. By default webhooks only reach public addresses. A receiver needs https with a certificate
    /// of a public authority. One on this machine may have http if its address, such as `127.0.0.1`, is named here. A demo names it.
    #[arg(long, env, global = true)]
    pub webhook_allowed_networks: Option<Proxies>,

    /// Hours for which a webhook's deliveries may fail before it is paused, with a mail to the administrators (1 to 720).
    #[arg(long, env, global = true, default_value_t = 72, value_parser = clap::value_parser!(u16).range(1..=720))]
    pub webhook_pause_after_hours: u16,

    /// How long things are kept.
    #[command(flatten)]
    pub retention: retention::Retention,

    /// Seconds after SIGTERM during which the service still accepts requests while `/health/ready` fails (0 to 600).
    ///
    /// Set it to the time in which your load balancer notices. A demo does not wait. A second signal stops at once.
    #[arg(long, env, global = true, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=600))]
    pub shutdown_delay_seconds: u16,

    /// Seconds that requests in flight then have to finish.
    #[arg(long, env, global = true, default_value_t = 8)]
    pub shutdown_seconds: u16,

    /// The format of the log on standard error.
    #[arg(long, env, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl Settings {
    /// Returns how many connections one client may have. Limited so that a few clients cannot take all.
    pub fn connections_per_client(&self) -> usize {
        self.max_connections_per_client.min(self.max_connections / 4) as usize
    }
}

/// The checked settings with the secrets.
#[derive(Clone)]
pub struct Config {
    /// The settings as given.
    pub settings: Settings,
    /// The database.
    pub target: Target,
    /// Pairs of `id:secret`. The first one signs.
    pub jwt_secret: SecretString,
    /// See [`crate::sealed::Sealer::parse`].
    pub data_keys: SecretString,
    /// The rules of time zones.
    pub zones: Zones,
}

impl Config {
    /// Checks the settings. On SQLite, secrets that are not set are created once and stored beside the database.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn new(settings: Settings, entropy: &Entropy) -> Result<Self, String> {
        let target = Target::parse(settings.database_url.expose_secret())?;
        damage::reject_emptied(&target)?;
        let folder = match &target {
            Target::Sqlite(path) => Some(path.parent().unwrap_or(Path::new("")).to_owned()),
            Target::Postgres(_) => None,
        };
        let secret =
            |set: &Option<SecretString>, name: &str, file: &str, make: &dyn Fn() -> String| match (set, &folder) {
                (Some(secret), _) => Ok(secret.clone()),
                (None, Some(folder)) => secrets::read_or_create(&folder.join(file), make).map(SecretString::from),
                (None, None) => {
                    Err(format!("{name} must be set when the database is PostgreSQL; see docs/configuration.md"))
                }
            };
        let random = || STANDARD.encode(entropy.bytes::<32>());
        let jwt_secret = secret(&settings.jwt_secret, "JWT_SECRET", "jwt-secret", &|| format!("k1:{}", random()))?;
        if settings.data_keys.is_none() {
            secrets::reject_new_keys(&target)?;
        }
        let data_keys = secret(&settings.data_keys, "DATA_KEYS", "data-keys", &|| format!("k1:{}", random()))?;
        secrets::reject_weak("JWT_SECRET", jwt_secret.expose_secret())?;
        secrets::reject_weak("DATA_KEYS", data_keys.expose_secret())?;
        check_public_url(&settings.public_url)?;
        let zones = settings.tz_data.as_deref().map_or_else(|| Ok(Zones::bundled()), Zones::read)?;
        Ok(Self { settings, target, jwt_secret, data_keys, zones })
    }

    /// Returns the file of the data keys, if `DATA_KEYS` is not set. Only SQLite has such a file.
    pub fn data_keys_file(&self) -> Option<PathBuf> {
        match &self.target {
            Target::Sqlite(path) => Some(path.with_file_name("data-keys")),
            Target::Postgres(_) => None,
        }
    }

    /// Rejects an address that is not a loopback address without a proxy, because the service itself has no TLS.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn check_listen_addr(&self) -> Result<(), String> {
        let Settings { listen_addr, behind_proxy, .. } = &self.settings;
        if !listen_addr.ip().to_canonical().is_loopback() && behind_proxy.is_none() {
            return Err(format!(
                "LISTEN_ADDR {listen_addr} is not a loopback address, and this service has no TLS. Put a proxy with TLS in \
                 front of it, and set its address with --behind-proxy (BEHIND_PROXY)"
            ));
        }
        self.require_https()
    }

    /// Rejects a `PUBLIC_URL` without TLS, except on this machine: passwords, cookies and records would be sent unencrypted.
    fn require_https(&self) -> Result<(), String> {
        let Settings { listen_addr, public_url, .. } = &self.settings;
        let is_here = match public_url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if public_url.scheme() == "https" || (is_here && listen_addr.ip().to_canonical().is_loopback()) {
            return Ok(());
        }
        Err("PUBLIC_URL must be https, because passwords and records would be sent unencrypted. Only a service that is reached \
             on this machine alone (http://localhost or http://127.0.0.1) goes without"
            .into())
    }

    /// Returns the URL of a page in a mail, with its token in the fragment, which no server sees.
    pub fn link(&self, page: &str, token: &str, language: Language) -> String {
        format!("{}#token={token}", self.page(page, language))
    }

    /// Returns the URL of a page in a mail. The service's own pages get the mail's language if it is not the default.
    pub fn page(&self, page: &str, language: Language) -> String {
        match &self.settings.patient_app_url {
            Some(client) => format!("{}/{page}", client.as_str().trim_end_matches('/')),
            None => self.own_page(page, language),
        }
    }

    /// Returns the URL of one of the service's own pages in a mail, even if the clinic has its own client.
    pub fn own_link(&self, page: &str, token: &str, language: Language) -> String {
        format!("{}#token={token}", self.own_page(page, language))
    }

    /// Returns the URL of the page that switches reminders off. A mail program posts to it, so its token is in the query. It can do nothing
    /// else.
    pub fn unsubscribe_link(&self, token: &str, language: Language) -> String {
        let page = self.own_page("reminders", language);
        let mark = if page.contains('?') { '&' } else { '?' };
        format!("{page}{mark}token={token}")
    }

    /// Returns the URL of one of the service's own pages in a mail, without a token.
    pub fn own_page(&self, page: &str, language: Language) -> String {
        let query = if language == Language::Spanish { "?lang=es" } else { "" };
        format!("{}/{page}{query}", self.settings.public_url.as_str().trim_end_matches('/'))
    }
}

fn check_public_url(url: &url::Url) -> Result<(), String> {
    if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none() {
        Ok(())
    } else {
        Err("PUBLIC_URL must be an http or https URL without query or fragment".into())
    }
}

/// A value by country: `911`, or `US:911,GB:999,*:112`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByCountry(Vec<(String, String)>);

impl ByCountry {
    /// Returns the value of a country (ISO 3166-1, two letters), or the value of all others.
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
                return Err("expected a number, or numbers by country such as US:911,GB:999,*:112".into());
            }
            all.push((country.to_owned(), value.to_owned()));
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn a_wildcard_among_the_origins_is_refused_by_the_name_of_its_setting() {
        let started = |setting: &str, origins: &str| Program::try_parse_from(["legwork", setting, origins]);
        for (setting, name) in [("--embed-origins", "EMBED_ORIGINS"), ("--cors-origins", "CORS_ORIGINS")] {
            let refused = started(setting, "https://www.clinic.example,https://*").expect_err("a wildcard").to_string();
            for part in [name, "https://app.clinic.example", "without *"] {
                assert!(refused.contains(part), "{refused}");
            }
        }
        let listed = started("--embed-origins", "https://www.clinic.example").expect("an origin").settings;
        assert_eq!(listed.embed_origins[0].exact(), Some("https://www.clinic.example"));
    }

    #[test]
    fn a_number_applies_to_all_countries_or_to_one() {
        let all: ByCountry = "112".parse().expect("a number");
        assert_eq!(all.of("US"), Some("112"));
        let some: ByCountry = "US:911, gb:999".parse().expect("numbers");
        assert_eq!((some.of("us"), some.of("GB"), some.of("FR")), (Some("911"), Some("999"), None));
        for wrong in ["call us", "USA:911", "US:", ":911"] {
            assert!(wrong.parse::<ByCountry>().is_err(), "{wrong}");
        }
    }
}
