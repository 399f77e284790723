//! Time and randomness. Code gets them from the environment, so that tests can set the clock and repeat a run.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC, truncated to microseconds: the precision that both databases keep.
///
/// Serialised as RFC 3339 with a `Z`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = crate::db::types::Instant)]
pub struct Timestamp {
    /// Since the Unix epoch. A plain number, because searches compare and add many instants.
    micros: i64,
}

impl Timestamp {
    /// The first instant of the calendar: `jiff::Timestamp::MIN`.
    const MIN: Self = Self { micros: -377_705_023_201_000_000 };
    /// The last one: `jiff::Timestamp::MAX`.
    pub const MAX: Self = Self { micros: 253_402_207_200_999_999 };

    /// The instant this many microseconds after the Unix epoch, or none after the year 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (Self::MIN.micros..=Self::MAX.micros).contains(&micros).then_some(Self { micros })
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.micros
    }

    /// Seconds since the Unix epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.micros.div_euclid(1_000_000)
    }

    /// Returns the instant for calendar arithmetic.
    pub fn jiff(self) -> jiff::Timestamp {
        // Never out of range.
        jiff::Timestamp::from_microsecond(self.micros).unwrap_or(jiff::Timestamp::MAX)
    }

    /// Returns the civil date and time at this instant in `zone`.
    pub fn in_zone(self, zone: &jiff::tz::TimeZone) -> jiff::Zoned {
        self.jiff().to_zoned(zone.clone())
    }

    /// Returns this instant moved by `span`, at most to the ends of the calendar.
    #[must_use]
    pub fn plus(self, span: SignedDuration) -> Self {
        let seconds = span.as_secs().saturating_mul(1_000_000);
        let moved = self.micros.saturating_add(seconds.saturating_add(span.subsec_micros().into()));
        Self { micros: moved.clamp(Self::MIN.micros, Self::MAX.micros) }
    }

    /// Returns this instant moved back by `span`.
    #[must_use]
    pub fn minus(self, span: SignedDuration) -> Self {
        self.plus(-span)
    }

    /// Returns the time from `earlier` to this instant. Negative if this is the earlier one.
    pub fn since(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_micros(self.micros - earlier.micros)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(value: jiff::Timestamp) -> Self {
        Self { micros: value.as_microsecond() }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jiff().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jiff().fmt(f)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = String;

    /// Accepts RFC 3339 only. jiff would also accept times with a zone's name, and years that PostgreSQL does not
    /// support.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || "expected an RFC 3339 instant such as 2026-03-08T14:30:00Z".to_owned();
        let (date, time) = text.split_once(['T', 't', ' ']).ok_or_else(expected)?;
        let four_digit_year = date.len() == 10 && date.bytes().take(4).all(|b| b.is_ascii_digit());
        if !four_digit_year || time.contains('[') {
            return Err(expected());
        }
        text.parse::<jiff::Timestamp>().map(Self::from).map_err(|_| expected())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.jiff().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("An instant, RFC 3339 in UTC"))
            .examples(["2026-03-09T13:30:00Z"])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {
    fn name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
}

/// The columns of instants.
mod columns {
    use diesel::backend::Backend;
    use diesel::deserialize::{self, FromSql};
    use diesel::pg::{Pg, PgValue};
    use diesel::serialize::{self, IsNull, Output, ToSql};
    use diesel::sql_types::BigInt;
    use diesel::sqlite::Sqlite;

    use super::Timestamp;
    use crate::db::types::{Instant, multi_backend_columns};

    /// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
    const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

    /// PostgreSQL's first instant, in the year 4714 BC. It refuses what lies before, which only a forged cursor asks for.
    const PG_FIRST_MICROS: i64 = -211_813_488_000_000_000;

    impl FromSql<Instant, Pg> for Timestamp {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
            let micros = <i64 as FromSql<BigInt, Pg>>::from_sql(value)?;
            micros.checked_add(PG_EPOCH_MICROS).and_then(Self::from_micros).ok_or_else(|| "instant out of range".into())
        }
    }

    impl ToSql<Instant, Pg> for Timestamp {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            let micros = (self.as_micros() - PG_EPOCH_MICROS).max(PG_FIRST_MICROS);
            <i64 as ToSql<BigInt, Pg>>::to_sql(&micros, &mut out.reborrow())
        }
    }

    impl FromSql<Instant, Sqlite> for Timestamp {
        fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            let micros = <i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?;
            Self::from_micros(micros).ok_or_else(|| "instant out of range".into())
        }
    }

    impl ToSql<Instant, Sqlite> for Timestamp {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
            out.set_value(self.as_micros());
            Ok(IsNull::No)
        }
    }

    multi_backend_columns!(Timestamp, Instant);
}

/// Where the time comes from.
#[derive(Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves only when it is set; for tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Creates a clock that shows `start` until it is set.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.as_micros())))
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Self::System => Timestamp::from(jiff::Timestamp::now()),
            Self::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX),
        }
    }

    /// Moves a manual clock by `span`. Has no effect on the machine's clock.
    pub fn advance(&self, span: SignedDuration) {
        if let Self::Manual(micros) = self {
            let by = i64::try_from(span.as_micros()).unwrap_or(0);
            micros.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Sets a manual clock. Has no effect on the machine's clock.
    pub fn set(&self, at: Timestamp) {
        if let Self::Manual(micros) = self {
            micros.store(at.as_micros(), Ordering::SeqCst);
        }
    }
}

/// Where randomness and new ids come from.
#[derive(Clone)]
pub struct Entropy {
    source: Source,
    /// The last id's time in units of 1/4096 ms, so that the ids of a process increase.
    last: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// The operating system's random numbers.
    pub fn system() -> Self {
        Self { source: Source::System, last: Arc::new(AtomicU64::new(0)) }
    }

    /// A repeatable sequence; for tests.
    pub fn seeded(seed: u64) -> Self {
        Self {
            source: Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))),
            last: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Returns `N` random bytes. They are fit for secrets if they come from the operating system.
    ///
    /// # Panics
    /// If the operating system has no random numbers.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.source {
            #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "the one place that asks the system")]
            Source::System => getrandom::fill(&mut bytes).expect("the operating system's random numbers"),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes),
        }
        bytes
    }

    /// Returns a random number below `bound`, evenly distributed. 0 for a bound of 0.
    pub fn below(&self, bound: u32) -> u32 {
        if bound == 0 {
            return 0;
        }
        // Values above the last whole multiple would favour small numbers.
        let limit = u32::MAX - u32::MAX % bound;
        loop {
            let draw = u32::from_le_bytes(self.bytes());
            if draw < limit {
                return draw % bound;
            }
        }
    }

    /// Returns a new UUID version 7 (RFC 9562, method 3) for `now`. Later ids of a process sort after earlier ones.
    pub fn uuid(&self, now: Timestamp) -> uuid::Uuid {
        let micros = u64::try_from(now.as_micros()).unwrap_or(0);
        let ticks = micros / 1000 * 4096 + micros % 1000 * 4096 / 1000;
        let previous =
            self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(ticks.max(last + 1))).unwrap_or(0);
        let ticks = ticks.max(previous + 1);
        let mut bytes = self.bytes::<10>();
        let fraction = (ticks % 4096).to_be_bytes();
        bytes[0] = fraction[6];
        bytes[1] = fraction[7];
        uuid::Builder::from_unix_timestamp_millis(ticks / 4096, &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_one_process_increase_even_if_the_clock_stands_still() {
        let entropy = Entropy::seeded(1);
        let now = "2026-03-08T06:00:00.123456Z".parse().expect("an instant");
        let ids: Vec<_> = (0..10_000).map(|_| entropy.uuid(now)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].get_version_num(), 7);
    }

    #[test]
    fn an_instant_is_rfc_3339_with_four_digits_to_the_year() {
        for text in ["2026-03-08T14:30:00Z", "2026-03-08t14:30:00.5z", "2026-03-08T09:30:00-05:00"] {
            assert!(text.parse::<Timestamp>().is_ok(), "{text}");
        }
        for text in [
            "-009999-01-02T01:59:59Z",
            "+002026-03-08T14:30:00Z",
            "2026-03-08",
            "2026-03-08T14:30:00",
            "2026-03-08T09:30:00-05[America/New_York]",
            "20260308T143000Z",
            "",
            "T",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_those_of_jiff() {
        assert_eq!(Timestamp::MIN.micros, jiff::Timestamp::MIN.as_microsecond());
        assert_eq!(Timestamp::MAX.micros, jiff::Timestamp::MAX.as_microsecond());
        assert_eq!(Timestamp::MAX.plus(SignedDuration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.plus(SignedDuration::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::from_micros(Timestamp::MAX.micros + 1), None);
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_jiff(micros in Timestamp::MIN.micros..=Timestamp::MAX.micros, span in any::<i32>(), scale in 0..4_usize) {
            let span = SignedDuration::from_micros(i64::from(span) * [1, 1_000, 1_000_000, 1_000_000_000][scale]);
            let instant = Timestamp::from_micros(micros).expect("in range");
            let expected = instant.jiff().checked_add(span).map(Timestamp::from);
            let end = if span.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
            let moved = instant.plus(span);
            if expected.is_ok() {
                prop_assert_eq!(moved.since(instant), span);
            }
            prop_assert_eq!(moved, expected.unwrap_or(end));
        }
    }

    #[test]
    fn instants_are_truncated_to_microseconds() {
        let instant: Timestamp = "2026-03-08T06:00:00.123456789Z".parse().expect("an instant");
        assert_eq!(instant.to_string(), "2026-03-08T06:00:00.123456Z");
    }
}
