//! Sends mails over SMTP, or writes them to files if no server is configured.

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

/// The limit for a connection to the mail server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit for a whole delivery. lettre limits only the connection, not a server that stops responding.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections to the mail server there are at most.
pub const CONNECTIONS: u8 = 8;

/// Sends mails.
pub struct Mailer {
    /// The sender of all mails.
    pub sender: Mailbox,
    delivery: Delivery,
}

enum Delivery {
    Smtp(Smtp),
    Files(PathBuf),
}

impl Mailer {
    /// Checks the settings. Does not connect yet. Must be called inside the async runtime.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        if let Some(folder) = settings.template_dir.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(format!("TEMPLATE_DIR: {} is not a folder", folder.display()));
        }
        let delivery = match &settings.smtp_url {
            Some(url) => Delivery::Smtp(Smtp::new(url.clone())?),
            None => Delivery::Files(create_folder(&settings.mail_dir)?),
        };
        Ok(Self { sender: sender(settings)?, delivery })
    }

    /// Sends one mail. `name` is the name of its file and sorts by time.
    ///
    /// # Errors
    /// The reason why the mail may not have been accepted.
    pub async fn send(&self, mail: Email, name: &str) -> Result<(), Failure> {
        match &self.delivery {
            Delivery::Smtp(smtp) => smtp.send(mail).await,
            Delivery::Files(folder) => {
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

/// Reads the sender of all mails from `MAIL_FROM`.
///
/// # Errors
/// A text for the operator.
pub fn sender(settings: &Settings) -> Result<Mailbox, String> {
    let text = settings.mail_from.trim();
    let mailbox = if text.chars().any(char::is_control) { None } else { text.parse().ok() };
    mailbox.ok_or_else(|| "MAIL_FROM: an address such as Vein Clinic <appointments@clinic.example>".into())
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

struct Smtp {
    url: SecretString,
    transport: Mutex<Transport>,
    /// The limit for a delivery.
    timeout: Duration,
}

impl Smtp {
    fn new(url: SecretString) -> Result<Self, String> {
        Ok(Self { transport: Mutex::new(transport(&url)?), url, timeout: DELIVERY_TIMEOUT })
    }

    async fn send(&self, mail: Email) -> Result<(), Failure> {
        let transport = self.transport.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let eight_bit_address = !AsRef::<str>::as_ref(&mail.envelope().to()[0]).is_ascii();
        let mut sending = Box::pin(transport.send(mail));
        tokio::select! {
            outcome = &mut sending => match outcome {
                Ok(_) => Ok(()),
                Err(error) if error.is_client() && eight_bit_address => Err(Failure::Address),
                Err(error) => Err(classify(&error)),
            },
            () = tokio::time::sleep(self.timeout) => {
                // The interrupted connection would return to its pool while a response is outstanding, and the next
                // mail would read that response as its own. Replace the whole pool before the delivery is dropped.
                if let Ok(fresh) = self::transport(&self.url) {
                    *self.transport.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                Err(Failure::Timeout)
            }
        }
    }
}

fn transport(url: &SecretString) -> Result<Transport, String> {
    let pool = PoolConfig::new().max_size(CONNECTIONS.into()).idle_timeout(Duration::from_secs(30));
    // The error's text may quote the URL with its password.
    let builder = Transport::from_url(url.expose_secret())
        .map_err(|_| "SMTP_URL: smtp://HOST, smtps://USER:PASSWORD@HOST or smtp://…?tls=required".to_owned())?;
    Ok(builder.timeout(Some(CONNECT_TIMEOUT)).pool_config(pool).build())
}

/// Returns the class of an SMTP failure, without the server's text.
fn classify(error: &smtp::Error) -> Failure {
    if let Some(code) = error.status() {
        let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        Failure::of_response(code.into(), &text)
    } else if error.is_timeout() {
        Failure::Timeout
    } else if error.is_tls() {
        Failure::Tls
    } else if error.is_response() || error.is_client() {
        Failure::Protocol
    } else if error.to_string().starts_with("Connection error") {
        // lettre names this kind of error only in its text.
        Failure::Unreachable
    } else {
        Failure::Connection
    }
}

fn create_folder(folder: &Path) -> Result<PathBuf, String> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // The mails contain names, and links that sign people in.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| format!("MAIL_DIR: {}: {error}", folder.display()))?;
    Ok(folder.to_owned())
}

/// Writes a mail durably, completely or not at all.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::fixtures::config;
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn mail(to: &str) -> Email {
        let from = "desk@clinic.example".parse().expect("an address");
        Email::builder().from(from).to(to.parse().expect("an address")).body("Hello".to_owned()).expect("an e-mail")
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Serves one SMTP connection. The response to a mail comes after `delay`.
    fn talk(stream: TcpStream, delay: Duration) -> std::io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream).lines();
        out.write_all(b"220 hi\r\n")?;
        while let Some(line) = lines.next().transpose()? {
            let answer: &[u8] = match line.get(..4) {
                Some("DATA") => {
                    out.write_all(b"354 go\r\n")?;
                    while lines.next().transpose()?.is_some_and(|line| line != ".") {}
                    std::thread::sleep(delay);
                    b"250 taken\r\n"
                }
                Some("RCPT") if line.contains("nobody@") => b"550 5.1.1 who is that, ann@example.org?\r\n",
                Some("QUIT") => b"221 bye\r\n",
                _ => b"250 ok\r\n",
            };
            out.write_all(answer)?;
        }
        Ok(())
    }

    #[test]
    fn an_interrupted_delivery_leaves_no_response_for_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
                let delay = if first { Duration::from_millis(400) } else { Duration::ZERO };
                std::thread::spawn(move || talk(stream, delay));
            }
        });
        runtime().block_on(async {
            let mut smtp = Smtp::new(url.into()).expect("a URL");
            smtp.timeout = Duration::from_millis(200);
            assert_eq!(smtp.send(mail("ann@example.org")).await, Err(Failure::Timeout));
            // The later deliveries must not time out on a busy machine.
            smtp.timeout = Duration::from_secs(10);
            tokio::time::sleep(Duration::from_millis(400)).await;
            assert_eq!(smtp.send(mail("nobody@example.org")).await, Err(Failure::Refused(550)));
            assert_eq!(smtp.send(mail("ann@example.org")).await, Ok(()));
            // A connection returns to its pool a moment after its delivery.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(smtp.send(mail("ann@example.org")).await, Ok(()));
        });
        // The last delivery uses the connection of the one before.
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_rejected_or_dropped_connection_is_a_failure_of_its_class() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let dropper = std::thread::spawn(move || drop(listener.accept()));
        runtime().block_on(async {
            let smtp = Smtp::new(url.into()).expect("a URL");
            let failure = smtp.send(mail("ann@example.org")).await.expect_err("dropped");
            assert!(matches!(failure, Failure::Connection | Failure::Protocol), "{failure}");
            dropper.join().expect("the listener closed");
            assert_eq!(smtp.send(mail("ann@example.org")).await, Err(Failure::Unreachable));
        });
    }

    #[test]
    fn wrong_settings_are_errors_at_start_without_the_password() {
        let _runtime = runtime();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        let wrong = |change: &dyn Fn(&mut Settings)| {
            let mut settings = config().settings;
            settings.mail_dir = folder.path().join("mail");
            change(&mut settings);
            Mailer::new(&settings).err().expect("refused")
        };
        assert!(wrong(&|s| s.mail_from = "the clinic".into()).starts_with("MAIL_FROM"));
        assert!(wrong(&|s| s.mail_from = "Clinic\r\nBcc: x@y.example <a@b.example>".into()).starts_with("MAIL_FROM"));
        assert!(wrong(&|s| s.template_dir = Some(file.clone())).starts_with("TEMPLATE_DIR"));
        assert!(wrong(&|s| s.mail_dir = file.join("x")).starts_with("MAIL_DIR"));
        let error = wrong(&|s| s.smtp_url = Some("http://user:hush@host".into()));
        assert!(error.starts_with("SMTP_URL") && !error.contains("hush"));
    }

    #[test]
    fn a_file_is_complete_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = config().settings;
        settings.mail_dir = folder.path().join("a/mail");
        let mailer = Mailer::new(&settings).expect("a mailer");
        runtime().block_on(mailer.send(mail("ann@example.org"), "m1")).expect("written");
        let names: Vec<_> = fs::read_dir(&settings.mail_dir)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["m1.eml"]);
        let path = settings.mail_dir.join("m1.eml");
        assert!(fs::read_to_string(&path).expect("readable").contains("Hello"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }
}
