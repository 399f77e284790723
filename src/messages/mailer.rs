//! How mails leave the house: over SMTP, or into files where there is no mail server.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Email, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

use super::retry::Failure;
use crate::config::Settings;

/// Seconds for a connection to the mail server.
const CONNECT: Duration = Duration::from_secs(10);
/// Seconds for a whole delivery. lettre bounds only the connecting, so a server that falls silent is left by this.
const DELIVERY: Duration = Duration::from_secs(30);

/// Takes mails out of the house.
pub struct Mailer {
    /// The sender of all mails.
    pub sender: Mailbox,
    way: Way,
}

enum Way {
    Smtp(Smtp),
    Files(PathBuf),
}

impl Mailer {
    /// Checks the settings and makes ready; it does not connect yet. Must be called inside the async runtime.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        if let Some(folder) = settings.template_dir.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(format!("TEMPLATE_DIR: {} is not a folder", folder.display()));
        }
        let way = match &settings.smtp_url {
            Some(url) => Way::Smtp(Smtp::new(url.clone())?),
            None => Way::Files(prepare(&settings.mail_dir)?),
        };
        Ok(Self { sender: sender(settings)?, way })
    }

    /// Hands one mail over. `name` is what a file is called, and sorts by time.
    ///
    /// # Errors
    /// Why the mail is not known to have been taken.
    pub async fn deliver(&self, mail: Email, name: &str) -> Result<(), Failure> {
        match &self.way {
            Way::Smtp(smtp) => smtp.deliver(mail).await,
            Way::Files(folder) => {
                let (folder, name) = (folder.clone(), name.to_owned());
                let written = tokio::task::spawn_blocking(move || write(&folder, &name, &mail.formatted())).await;
                written.map_err(|_| Failure::File)?.map_err(|error| {
                    tracing::warn!(%error, "a mail could not be written to MAIL_DIR");
                    Failure::File
                })
            }
        }
    }
}

/// The sender of all mails, from `MAIL_FROM`.
///
/// # Errors
/// In words for the operator.
pub fn sender(settings: &Settings) -> Result<Mailbox, String> {
    let text = settings.mail_from.trim();
    let mailbox = if text.chars().any(char::is_control) { None } else { text.parse().ok() };
    mailbox.ok_or_else(|| "MAIL_FROM: an address such as Vein Clinic <appointments@clinic.example>".into())
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

struct Smtp {
    url: SecretString,
    transport: Mutex<Transport>,
}

impl Smtp {
    fn new(url: SecretString) -> Result<Self, String> {
        Ok(Self { transport: Mutex::new(transport(&url)?), url })
    }

    async fn deliver(&self, mail: Email) -> Result<(), Failure> {
        let transport = self.transport.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let eight_bit_address = !AsRef::<str>::as_ref(&mail.envelope().to()[0]).is_ascii();
        let mut delivery = Box::pin(transport.send(mail));
        tokio::select! {
            outcome = &mut delivery => match outcome {
                Ok(_) => Ok(()),
                Err(error) if error.is_client() && eight_bit_address => Err(Failure::Address),
                Err(error) => Err(class(&error)),
            },
            () = tokio::time::sleep(DELIVERY) => {
                // The broken-off connection goes back to its pool with an answer still to come, which the next mail
                // would take for its own. So the whole pool goes, before the delivery is dropped.
                if let Ok(fresh) = self::transport(&self.url) {
                    *self.transport.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                Err(Failure::Timeout)
            }
        }
    }
}

fn transport(url: &SecretString) -> Result<Transport, String> {
    let pool = PoolConfig::new().max_size(4).idle_timeout(Duration::from_secs(30));
    // The error's text may quote the URL, password and all.
    let builder = Transport::from_url(url.expose_secret())
        .map_err(|_| "SMTP_URL: smtp://HOST, smtps://USER:PASSWORD@HOST or smtp://…?tls=required".to_owned())?;
    Ok(builder.timeout(Some(CONNECT)).pool_config(pool).build())
}

/// The class of an SMTP failure, without the server's words.
fn class(error: &smtp::Error) -> Failure {
    if let Some(code) = error.status() {
        Failure::Smtp(code.into())
    } else if error.is_timeout() {
        Failure::Timeout
    } else if error.is_tls() {
        Failure::Tls
    } else if error.is_response() || error.is_client() {
        Failure::Protocol
    } else {
        Failure::Connection
    }
}

fn prepare(folder: &Path) -> Result<PathBuf, String> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // The mails hold names and links that sign people in.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| format!("MAIL_DIR: {}: {error}", folder.display()))?;
    Ok(folder.to_owned())
}

/// Writes a mail whole or not at all, and durably.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = folder.join(format!(".{name}.tmp"));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(format!("{name}.eml")))?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}
