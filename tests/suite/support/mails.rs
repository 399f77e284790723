//! The mails that a server wrote into its folder.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use legwork::db::schema::messages;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

use super::{App, eventually};

/// A mail as its recipient sees it.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The calendar part, if there is one.
    pub ics: Option<String>,
    pub message_id: String,
    /// The raw mail, as text.
    pub raw: String,
}

impl Mail {
    /// The token of the first link in the text.
    #[track_caller]
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("#token=").unwrap_or_else(|| panic!("no token in:\n{}", self.text));
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.~".contains(*c)).collect()
    }
}

impl Mail {
    /// The code that the text offers beside its link.
    #[track_caller]
    pub fn code(&self) -> String {
        let line = self.text.lines().find(|line| line.contains("code: ") || line.contains("código: "));
        let code = line.and_then(|line| line.rsplit(": ").next());
        code.unwrap_or_else(|| panic!("no code in:\n{}", self.text)).trim().to_owned()
    }
}

impl App {
    /// Waits until no message is due or being sent, and reads every mail so far, in the order of [`read`]. Does not wait for
    /// messages that are due later.
    pub async fn mails(&self) -> Vec<Mail> {
        let patience = Instant::now() + Duration::from_secs(15);
        loop {
            self.env.mail_written.notify_one();
            let now = self.clock.now();
            let waiting = self
                .db(move |tx| {
                    let begun_or_due = messages::attempts.gt(0).or(messages::due_at.le(now));
                    let waiting = messages::table.filter(messages::status.eq("pending")).filter(begun_or_due);
                    Ok(waiting.count().get_result::<i64>(tx)?)
                })
                .await;
            if waiting == 0 {
                return read(&self.site.mail_dir());
            }
            assert!(Instant::now() < patience, "{waiting} messages are still waiting to be sent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until each message that is due was tried once and has waited since: for a mail server that is away. A clock that is moved
    /// during an attempt postpones the message from the moved time.
    pub async fn mails_tried(&self) {
        eventually(async || {
            let now = self.clock.now();
            let untried = self
                .db(move |tx| {
                    let begun_or_due = messages::attempts.gt(0).or(messages::due_at.le(now));
                    let waiting = messages::table.filter(messages::status.eq("pending")).filter(begun_or_due);
                    Ok(waiting.filter(messages::last_error.is_null()).count().get_result::<i64>(tx)?)
                })
                .await;
            if untried == 0 { Ok(()) } else { Err(format!("{untried} messages were not tried")) }
        })
        .await;
    }

    /// The mails to one address.
    pub async fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().await.into_iter().filter(|mail| mail.to == address).collect()
    }
}

/// Reads every mail of a folder, in the order in which their messages were created: mails that are due together are written in any
/// order. A file has the name of its message, whose ids increase.
pub fn read(folder: &Path) -> Vec<Mail> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    files.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    files.iter().map(|path| parse(&std::fs::read(path).expect("a mail"))).collect()
}

/// Reads one mail.
pub fn parse(bytes: &[u8]) -> Mail {
    let message = MessageParser::default().parse(bytes).expect("a mail that can be read");
    let address = message.to().and_then(|to| to.first()).and_then(|to| to.address());
    Mail {
        to: address.expect("a recipient").to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
        ics: calendar(&message),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        raw: String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn calendar(message: &Message<'_>) -> Option<String> {
    message.parts.iter().find_map(|part| {
        let kind = part.content_type()?;
        if kind.ctype() != "text" || kind.subtype() != Some("calendar") {
            return None;
        }
        match &part.body {
            PartType::Text(text) => Some(text.to_string()),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => None,
        }
    })
}
