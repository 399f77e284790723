//! The mails that the demo has sent, read from their files.

use std::fs;
use std::path::Path;

use mail_parser::MessageParser;

use crate::config::Settings;

/// How many mails the mailbox shows.
const NEWEST: usize = 20;

/// A mail of the demo.
pub struct DemoMail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

/// Returns whether the demo's mails can be read here.
pub fn is_open(settings: &Settings) -> bool {
    settings.demo && settings.smtp_url.is_none()
}

/// Reads the newest mails, newest first. The name of a file sorts by time.
pub fn newest(folder: &Path) -> Vec<DemoMail> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "eml")).collect();
    files.sort_unstable();
    files.iter().rev().take(NEWEST).filter_map(|file| parse(&fs::read(file).ok()?)).collect()
}

fn parse(bytes: &[u8]) -> Option<DemoMail> {
    let mail = MessageParser::default().parse(bytes)?;
    let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default().to_owned();
    let (subject, text) =
        (mail.subject().unwrap_or_default().to_owned(), mail.body_text(0).unwrap_or_default().into_owned());
    Some(DemoMail { to, subject, text })
}
