//! Keyset paging. A cursor names the last row of a page, so that every page costs the same.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;

use crate::clock::Timestamp;
use crate::error::{Error, FieldCode, Result};

/// The page size without a `limit` parameter.
pub const DEFAULT_LIMIT: u8 = 50;
/// The largest page size.
pub const MAX_LIMIT: u8 = 200;

/// How far back the next pass through a list of changes begins.
///
/// A change has the time at which its transaction ran. It is visible after the commit, which is later and by another
/// instance's clock. No transaction takes as long as this.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// The part of a list that a request asks for. A handler extracts it beside the filters of its list: each reads its own parameters, and
/// parameters that the operation does not have are rejected before. The worklist of flags has a cursor of its own, because it is sorted by
/// urgency first.
#[derive(Debug, Clone, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    cursor: Option<String>,
    limit: Option<i64>,
}

impl PageParams {
    /// Checks the values. `list` names the list and its order, as for [`Cursor::write`].
    ///
    /// # Errors
    /// A limit that is out of range, or a cursor of another list.
    pub fn of(&self, list: &'static str) -> Result<Page> {
        self.sorted(list, Direction::Ascending)
    }

    /// Checks the values for a list in one of two directions. A cursor of one direction is rejected in the other.
    ///
    /// # Errors
    /// Those of [`of`](Self::of).
    pub fn sorted(&self, list: &'static str, direction: Direction) -> Result<Page> {
        let limit = Limit::new(self.limit)?;
        let after = Cursor::read(self.cursor.as_deref(), &direction.cursor_name(list))?;
        Ok(Page { list, direction, limit, after })
    }
}

/// Reads a list to its end, page by page. `read` returns the items of a page and its `next_cursor`.
///
/// # Errors
/// Those of `read`.
pub async fn to_end<T>(mut read: impl AsyncFnMut(PageParams) -> Result<(Vec<T>, Option<String>)>) -> Result<Vec<T>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (items, next) = read(PageParams { cursor, limit: Some(MAX_LIMIT.into()) }).await?;
        all.extend(items);
        if next.is_none() {
            return Ok(all);
        }
        cursor = next;
    }
}

/// Whether a list begins with its earliest or with its latest row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

impl Direction {
    /// The order of a list: the caller's `sort`, otherwise `default`. A list of changes (`updated_since`) has the oldest change first,
    /// because the next pass goes on from the newest.
    ///
    /// # Errors
    /// A broken rule at `sort`.
    pub fn of_list(sort: Option<impl Into<Self>>, default: Self, updated_since: Option<Timestamp>) -> Result<Self> {
        let sort = sort.map(Into::into);
        if updated_since.is_none() {
            return Ok(sort.unwrap_or(default));
        }
        if sort == Some(Self::Descending) {
            let detail = "must not be descending with `updated_since`, which lists the oldest change first";
            return Err(Error::invalid("?sort", FieldCode::OutOfRange, detail));
        }
        Ok(Self::Ascending)
    }

    /// The name of the list in the cursors of this direction.
    fn cursor_name(self, list: &str) -> String {
        format!("{list}{}", if self == Self::Descending { "-descending" } else { "" })
    }
}

/// The options of a list's `sort` parameter: the member by which it is sorted, and the same member with a hyphen for the reverse.
macro_rules! sort_options {
    ($(#[$meta:meta])* $name:ident by $ascending:tt or $descending:tt) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name {
            /// The earliest first.
            #[serde(rename = $ascending)]
            Ascending,
            /// The latest first.
            #[serde(rename = $descending)]
            Descending,
        }

        impl From<$name> for $crate::http::paging::Direction {
            fn from(sort: $name) -> Self {
                match sort {
                    $name::Ascending => Self::Ascending,
                    $name::Descending => Self::Descending,
                }
            }
        }
    };
}
pub(crate) use sort_options;

/// Cuts the page from a boxed query: the rows behind its cursor in its direction, sorted by two columns, of which an index must begin with
/// the first.
macro_rules! in_order {
    ($query:expr, $page:expr, $at:expr, $id:expr, $new_id:expr) => {{
        use $crate::http::paging::{Cursor, Direction};
        let (mut query, page) = ($query, $page);
        let is_descending = page.direction == Direction::Descending;
        if let Some(Cursor { at, id }) = page.after {
            let id = $new_id(id);
            // The first condition alone is what an index can begin at.
            query = if is_descending {
                query.filter($at.le(at)).filter($at.lt(at).or($id.lt(id)))
            } else {
                query.filter($at.ge(at)).filter($at.gt(at).or($id.gt(id)))
            };
        }
        query = if is_descending { query.order(($at.desc(), $id.desc())) } else { query.order(($at, $id)) };
        query.limit(page.rows())
    }};
}
pub(crate) use in_order;

/// A page to load.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The list's name in its cursors.
    pub list: &'static str,
    pub direction: Direction,
    /// How many rows to show.
    pub limit: Limit,
    /// The last row of the previous page; none for the first page.
    pub after: Option<Cursor>,
}

impl Page {
    /// The first page of the largest size, to read a list to its end.
    pub fn largest(list: &'static str, direction: Direction) -> Self {
        Self { list, direction, limit: Limit(MAX_LIMIT), after: None }
    }

    /// How many rows to load.
    pub fn rows(&self) -> i64 {
        self.limit.query()
    }

    /// Returns the rows of the page, and the cursor of the next one.
    pub fn cut<T>(&self, rows: Vec<T>, key: impl Fn(&T) -> (Timestamp, uuid::Uuid)) -> (Vec<T>, Option<String>) {
        self.limit.page(rows, &self.direction.cursor_name(self.list), key)
    }
}

/// Returns where the next pass through the changes since `since` begins, for the first page of a pass at `now`. A
/// caller that begins there misses nothing, and reads the changes of the last minute again.
pub fn next_pass(now: Timestamp, since: Option<Timestamp>, after: Option<&Cursor>) -> Option<Timestamp> {
    // A later page is read later. It misses changes that were committed meanwhile and sort before it.
    since.filter(|_| after.is_none()).map(|since| now.minus(OVERLAP).max(since))
}

/// The maximum number of items on a page, 1 to [`MAX_LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Limit {
    /// Reads the `limit` parameter.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn new(limit: Option<i64>) -> Result<Self> {
        match u8::try_from(limit.unwrap_or(DEFAULT_LIMIT.into())) {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(Error::invalid("?limit", FieldCode::OutOfRange, format!("must be between 1 and {MAX_LIMIT}"))),
        }
    }

    /// Returns the number of rows.
    pub fn rows(self) -> i64 {
        i64::from(self.0)
    }

    /// Returns the limit of the query, which is one more, to know whether there is a next page.
    pub fn query(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Drops the extra row, and makes the cursor of the next page from the last remaining row.
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

/// The position after which a page begins, in lists that are sorted by time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the last row.
    pub at: Timestamp,
    pub id: uuid::Uuid,
}

impl Cursor {
    /// Returns the opaque text for `next_cursor`. `list` names the list and its order, so that a cursor works in its
    /// own list only.
    pub fn write(&self, list: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("1.{list}.{}.{}", self.at.as_micros(), self.id.simple()))
    }

    /// Reads the `cursor` parameter of `list`.
    ///
    /// # Errors
    /// If it is not a cursor of this list.
    pub fn read(text: Option<&str>, list: &str) -> Result<Option<Self>> {
        let Some(text) = text else { return Ok(None) };
        let parse = || {
            let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (at, id) = decoded.strip_prefix("1.")?.strip_prefix(list)?.strip_prefix('.')?.split_once('.')?;
            Some(Self { at: Timestamp::from_micros(at.parse().ok()?)?, id: id.parse().ok()? })
        };
        parse().map(Some).ok_or_else(|| {
            Error::invalid(
                "?cursor",
                FieldCode::InvalidCursor,
                "must be the next_cursor of the previous page of the same list",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_read_to_its_end() {
        let mut asked = Vec::new();
        let all = to_end(async |page| {
            asked.push((page.cursor.clone(), page.limit));
            Ok(match page.cursor.as_deref() {
                None => (vec![1, 2], Some("b".to_owned())),
                Some("b") => (vec![3], Some("c".to_owned())),
                _ => (vec![4], None),
            })
        });
        assert_eq!(all.await.expect("a list"), [1, 2, 3, 4]);
        assert_eq!(asked, [None, Some("b"), Some("c")].map(|cursor| (cursor.map(str::to_owned), Some(200))));
    }

    #[test]
    fn the_next_pass_is_on_the_first_page_only_and_never_goes_back() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let now = at("2026-03-02T14:00:00Z");
        let cursor = Cursor { at: now, id: uuid::Uuid::nil() };
        assert_eq!(next_pass(now, Some(at("2026-03-01T00:00:00Z")), None), Some(at("2026-03-02T13:59:00Z")));
        assert_eq!(next_pass(now, Some(at("2026-03-02T13:59:30Z")), None), Some(at("2026-03-02T13:59:30Z")));
        assert_eq!(next_pass(now, Some(now), Some(&cursor)), None);
        assert_eq!(next_pass(now, None, None), None);
    }

    #[test]
    fn a_cursor_works_in_its_own_list_only() {
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
