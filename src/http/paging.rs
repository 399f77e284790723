//! Keyset paging: a cursor names the last row seen, so that a page costs the same wherever it lies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// The size of a page unless the caller says otherwise.
pub const DEFAULT_LIMIT: u8 = 50;
/// The largest page.
pub const MAX_LIMIT: u8 = 200;

/// How far back the next pass through the changes of a list begins.
///
/// A change bears the time at which its transaction ran, and shows when that has been committed: later, and by another
/// instance's clock. No transaction lives as long as this.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// Where the next pass through the changes since `since` begins, for the first page of a pass at `now`: whoever begins there
/// misses nothing, and sees what changed within the last minute once more.
pub fn next_pass(now: Timestamp, since: Option<Timestamp>, after: Option<&Cursor>) -> Option<Timestamp> {
    // A later page is later: what was committed in between, before its place, it does not have.
    since.filter(|_| after.is_none()).map(|since| now.minus(OVERLAP).max(since))
}

/// How many items a page may have, 1 to [`MAX_LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Limit {
    /// Reads the `limit` parameter.
    ///
    /// # Errors
    /// Where it is out of range.
    pub fn new(limit: Option<i64>) -> Result<Self> {
        match u8::try_from(limit.unwrap_or(DEFAULT_LIMIT.into())) {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(Error::invalid("?limit", "out_of_range", format!("must be between 1 and {MAX_LIMIT}"))),
        }
    }

    /// What the query asks for: one more, to know whether there is a next page.
    pub fn query(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Cuts the extra row off and makes the cursor from the last row that stays.
    pub fn page<T>(
        self,
        mut rows: Vec<T>,
        list: &str,
        key: impl Fn(&T) -> (Timestamp, uuid::Uuid),
    ) -> (Vec<T>, Option<String>) {
        let more = rows.len() > usize::from(self.0);
        rows.truncate(usize::from(self.0));
        let next = rows.last().filter(|_| more).map(|row| {
            let (at, id) = key(row);
            Cursor { at, id }.write(list)
        });
        (rows, next)
    }
}

/// The place after which a page begins, in lists that are sorted by an instant and an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The instant of the last row seen.
    pub at: Timestamp,
    /// Its id.
    pub id: uuid::Uuid,
}

impl Cursor {
    /// The opaque text for `next_cursor`. `list` names the list and its order, so that no cursor is used elsewhere.
    pub fn write(&self, list: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("1.{list}.{}.{}", self.at.as_micros(), self.id.simple()))
    }

    /// Reads the `cursor` parameter of `list`.
    ///
    /// # Errors
    /// Where it is not one of this list's.
    pub fn read(text: Option<&str>, list: &str) -> Result<Option<Self>> {
        let Some(text) = text else { return Ok(None) };
        let parse = || {
            let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (at, id) = decoded.strip_prefix("1.")?.strip_prefix(list)?.strip_prefix('.')?.split_once('.')?;
            Some(Self { at: Timestamp::from_micros(at.parse().ok()?)?, id: id.parse().ok()? })
        };
        parse().map(Some).ok_or_else(|| {
            Error::invalid("?cursor", "invalid_cursor", "must be the next_cursor of the page before, of the same list")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_pass_is_told_on_the_first_page_only_and_never_goes_back() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let now = at("2026-03-02T14:00:00Z");
        let cursor = Cursor { at: now, id: uuid::Uuid::nil() };
        assert_eq!(next_pass(now, Some(at("2026-03-01T00:00:00Z")), None), Some(at("2026-03-02T13:59:00Z")));
        assert_eq!(next_pass(now, Some(at("2026-03-02T13:59:30Z")), None), Some(at("2026-03-02T13:59:30Z")));
        assert_eq!(next_pass(now, Some(now), Some(&cursor)), None);
        assert_eq!(next_pass(now, None, None), None);
    }

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let cursor = Cursor {
            at: Timestamp::from_micros(1_700_000_000_000_001).expect("an instant"),
            id: uuid::Uuid::from_u128(9),
        };
        let text = cursor.write("slots");
        assert_eq!(Cursor::read(Some(&text), "slots").expect("read"), Some(cursor));
        assert!(Cursor::read(Some(&text), "patients").is_err());
        assert!(Cursor::read(Some("nonsense"), "slots").is_err());
        assert_eq!(Cursor::read(None, "slots").expect("read"), None);
    }
}
