//! Rate limits. Each class of operations has its own quota (GCRA, by `governor`), per address or per account. Sign-ins on known devices
//! count per account.
//!
//! Each process counts for itself, so several instances together allow several times as much. The limits use the
//! machine's monotonic clock, so setting the clock does not lift them.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError, web};
use governor::RateLimiter;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use uuid::Uuid;

use super::address::{ClientAddress, network};
use super::fallback::Operation;
use super::problem::{ProblemBuilder, Rejected};
use crate::config::network::{Class, Quota, RateLimits};
use crate::error::Error;
use crate::ids::UserId;
use crate::periodic;

/// The rest of the quota (draft-ietf-httpapi-ratelimit-headers-10).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The quota.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How many keys of a class are remembered individually, which takes about ten megabytes.
const MAX_KEYS: usize = 100_000;
/// How often keys with a full quota are forgotten.
const CLEANING_INTERVAL: Duration = Duration::from_secs(10);
/// A client refreshes its tokens every ten minutes. There is nothing to guess, and many clients may share an address.
const REFRESH_PATH: &str = "/v1/sessions/refresh";
/// Its handlers count requests themselves ([`SignInQuota`]): that of the API, and that of the page.
const SIGN_IN: &str = "create_session";

/// How many responses with 429 of one caller are recorded in the audit trail. A flood must not fill it.
const AUDITED_BY_CALLER: Quota = Quota { requests: NonZeroU32::MIN, window: Duration::from_mins(1) };
/// How many of all callers without a session, for one account that they try. A flood may come from many addresses.
const AUDITED_BY_ACCOUNT: Quota = per_minute(10);
/// How many of all callers without a session.
const AUDITED_WITHOUT_SESSION: Quota = per_minute(60);
/// How many responses with 429, and how many with 503, are logged.
const LOGGED: Quota = per_minute(60);

const fn per_minute(requests: u32) -> Quota {
    let requests = match NonZeroU32::new(requests) {
        Some(requests) => requests,
        None => NonZeroU32::MIN,
    };
    Quota { requests, window: Duration::from_mins(1) }
}

/// The key under which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    User(UserId),
    /// The known devices of an account, in one generation of its device tokens.
    KnownDevices(UserId, i32),
    /// The object of the request, such as the account of a sign-in.
    Object(Uuid),
    /// The status of a response.
    Status(u16),
    All,
}

type Counter = RateLimiter<Key, HashMapStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// The counters of all classes. Cheap to clone; all workers share them.
#[derive(Clone)]
pub struct Limiter {
    /// None without limits.
    quotas: Option<Arc<[(Quota, Counter); 4]>>,
    /// Counters of recorded and logged rejections.
    recorded: Arc<RecordedRejections>,
}

/// Counters of recorded and logged rejections.
struct RecordedRejections {
    audited_by_caller: Counter,
    audited_by_account: Counter,
    audited_without_session: Counter,
    logged: Counter,
}

/// The state of a caller's quota, for the headers.
#[derive(Debug, Clone, Copy)]
pub struct QuotaState {
    class: Class,
    quota: Quota,
    remaining: u32,
    /// Seconds until the quota is full again.
    full_in: u64,
}

#[derive(Debug)]
pub struct QuotaExceeded {
    /// For the headers.
    pub standing: QuotaState,
    /// Seconds until the next request is allowed.
    retry_after: u32,
}

impl QuotaExceeded {
    /// Returns the 429 problem.
    pub fn problem(&self) -> ProblemBuilder {
        ProblemBuilder::rate_limited(self.retry_after)
    }
}

impl Limiter {
    /// Creates empty counters.
    pub fn new(limits: RateLimits) -> Self {
        let quotas = limits.quotas().map(|quotas| Arc::new(quotas.map(|(_, quota)| (quota, counter(quota)))));
        let recorded = RecordedRejections {
            audited_by_caller: counter(AUDITED_BY_CALLER),
            audited_by_account: counter(AUDITED_BY_ACCOUNT),
            audited_without_session: counter(AUDITED_WITHOUT_SESSION),
            logged: counter(LOGGED),
        };
        Self { quotas, recorded: Arc::new(recorded) }
    }

    /// Counts a request, unless its class has no limit.
    ///
    /// # Errors
    /// If the quota is exceeded.
    pub fn admit(&self, request: &ServiceRequest, user: Option<UserId>) -> Result<Option<QuotaState>, QuotaExceeded> {
        match (class(request, user.is_some()), user) {
            (None, _) => Ok(None),
            (Some(class @ (Class::Read | Class::Write)), Some(user)) => self.count(class, Key::User(user)),
            (Some(class), _) => self.count_address(class, request.request()),
        }
    }

    fn count_address(&self, class: Class, request: &HttpRequest) -> Result<Option<QuotaState>, QuotaExceeded> {
        let Some(counters) = &self.quotas else { return Ok(None) };
        let is_crowded = counters[class as usize].1.len() >= MAX_KEYS;
        let address = request.extensions().get().map_or(Ipv6Addr::UNSPECIFIED.into(), |ClientAddress(it)| *it);
        self.count(class, Key::Address(network(address, is_crowded)))
    }

    fn count(&self, class: Class, key: Key) -> Result<Option<QuotaState>, QuotaExceeded> {
        let Some(counters) = &self.quotas else { return Ok(None) };
        let (quota, counter) = &counters[class as usize];
        let state = |remaining: u32| QuotaState {
            class,
            quota: *quota,
            remaining,
            full_in: (quota.window * (quota.requests.get() - remaining))
                .as_secs()
                .div_ceil(u64::from(quota.requests.get())),
        };
        match counter.check_key(&key) {
            Ok(snapshot) => Ok(Some(state(snapshot.remaining_burst_capacity().min(quota.requests.get())))),
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                let retry_after = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err(QuotaExceeded { standing: state(0), retry_after })
            }
        }
    }

    /// Returns whether a 429 is recorded in the audit trail. Records the caller's first one in a minute, whatever it
    /// was for. For callers without a session, the number of all of them is limited as well. `object` is the account
    /// that was tried.
    pub fn is_audited(&self, user: Option<UserId>, address: Option<IpAddr>, object: Option<Uuid>) -> bool {
        let RecordedRejections { audited_by_caller, audited_by_account, audited_without_session, .. } = &*self.recorded;
        if let Some(user) = user {
            return audited_by_caller.check_key(&Key::User(user)).is_ok();
        }
        let address = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let key = Key::Address(network(address, audited_by_caller.len() >= MAX_KEYS));
        audited_by_caller.check_key(&key).is_ok()
            && object.is_none_or(|object| audited_by_account.check_key(&Key::Object(object)).is_ok())
            && audited_without_session.check_key(&Key::All).is_ok()
    }

    /// Returns whether a response of this status is logged. Clients can cause any number of 429 and 503.
    pub fn is_logged(&self, status: u16) -> bool {
        !matches!(status, 429 | 503) || self.recorded.logged.check_key(&Key::Status(status)).is_ok()
    }

    /// Starts the periodic task that forgets keys with a full quota.
    pub fn start_cleaning(&self, stopping: tokio::sync::watch::Receiver<bool>) {
        let Self { quotas, recorded } = self.clone();
        periodic::start(stopping, async move || {
            let counters = quotas.iter().flat_map(|quotas| quotas.iter().map(|(_, counter)| counter));
            for counter in counters.chain([&recorded.audited_by_caller, &recorded.audited_by_account]) {
                counter.retain_recent();
                counter.shrink_to_fit();
            }
            CLEANING_INTERVAL
        });
    }
}

/// The quota of a sign-in. Its body tells whether it comes from a known device, so it is counted after the body is read.
pub struct SignInQuota {
    limiter: Limiter,
    request: HttpRequest,
}

impl SignInQuota {
    /// Returns whether a request is a sign-in.
    pub fn applies_to(request: &ServiceRequest) -> bool {
        request.method() == Method::POST
            && request.extensions().get::<Arc<Operation>>().is_some_and(|operation| operation.id == SIGN_IN)
    }

    /// Completes the response to a sign-in with the headers of the quota. A request that its handler did not count, because the body was
    /// not accepted, is counted here under the address.
    pub fn conclude<B: MessageBody>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
        let request = response.request();
        let counted: Option<QuotaState> = request.extensions().get().copied();
        let uncounted = request.app_data::<web::Data<Limiter>>().filter(|_| counted.is_none());
        let late = uncounted.map_or(Ok(None), |limiter| limiter.count_address(Class::Enter, request));
        let (state, mut response) = match late {
            Ok(late) => (counted.or(late), response.map_into_left_body()),
            Err(exceeded) => {
                let rejected = Rejected(exceeded.problem()).error_response();
                (Some(exceeded.standing), response.into_response(rejected).map_into_right_body())
            }
        };
        if let Some(state) = state {
            state.show(response.headers_mut());
        }
        response
    }

    /// Counts the sign-in: a known device under its account and generation, so that others at its address cannot use up its quota.
    /// When that quota is used up, and for an unknown device, counts it under the address.
    ///
    /// # Errors
    /// If the quota is exceeded.
    pub fn count(&self, known_device: Option<(UserId, i32)>) -> Result<(), Rejected> {
        let own = known_device.map(|(user, generation)| Key::KnownDevices(user, generation));
        let of_device = own.and_then(|key| self.limiter.count(Class::Enter, key).ok());
        let counted = of_device.map_or_else(|| self.limiter.count_address(Class::Enter, &self.request), Ok);
        let state = counted.as_ref().map_or_else(|exceeded| Some(exceeded.standing), |state| *state);
        if let Some(state) = state {
            self.request.extensions_mut().insert(state);
        }
        counted.map(|_| ()).map_err(|exceeded| Rejected(exceeded.problem()))
    }
}

impl FromRequest for SignInQuota {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let limiter = request.app_data::<web::Data<Limiter>>().ok_or_else(|| Error::fault("no limiter"));
        ready(limiter.map(|limiter| Self { limiter: limiter.get_ref().clone(), request: request.clone() }))
    }
}

impl QuotaState {
    /// Sets the headers.
    pub fn show(&self, headers: &mut HeaderMap) {
        let (name, quota) = (self.class.name(), self.quota);
        let policy = format!("\"{name}\";q={};w={}", quota.requests, quota.window.as_secs());
        let state = format!("\"{name}\";r={};t={}", self.remaining, self.full_in);
        for (header, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        }
    }
}

fn counter(quota: Quota) -> Counter {
    // A window is at least a second and a quota at most a million, so the period is at least a microsecond.
    let pace = governor::Quota::with_period(quota.window / quota.requests.get());
    let pace = pace.unwrap_or_else(|| governor::Quota::per_second(quota.requests)).allow_burst(quota.requests);
    RateLimiter::new(pace, HashMapStateStore::default(), DefaultClock::default())
}

/// Returns whether requests to a path count against a quota.
pub fn is_limited(path: &str) -> bool {
    !["/health/", "/metrics", "/openapi.json"].iter().any(|start| path.starts_with(start))
}

/// Returns the class whose quota a request counts against. Health checks, metrics and the document have none.
fn class(request: &ServiceRequest, signed_in: bool) -> Option<Class> {
    let (method, path) = (request.method(), request.path());
    if !is_limited(path) {
        return None;
    }
    let operation = request.extensions().get::<Arc<Operation>>().cloned();
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_open = |operation: &Operation| operation.is_public || (operation.is_session_optional && !signed_in);
    Some(match operation {
        Some(operation) if is_open(&operation) && !reads && path != REFRESH_PATH => Class::Enter,
        _ if !signed_in => Class::Public,
        _ if reads => Class::Read,
        _ => Class::Write,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_rejections_of_many_callers_are_limited_by_account_and_in_all() {
        let limiter = Limiter::new("off".parse().expect("no limits"));
        let noted = |object: Option<u128>, from: u8| {
            let addresses = (0..=255).map(|last| IpAddr::from([198, 51, from, last]));
            let object = object.map(Uuid::from_u128);
            addresses.filter(|address| limiter.is_audited(None, Some(*address), object)).count()
        };
        assert_eq!(noted(Some(1), 1), 10);
        assert_eq!(noted(Some(2), 2), 10);
        assert_eq!(noted(None, 3), 40, "sixty in all");
        assert_eq!(noted(Some(3), 4), 0);
        // Signed-in users are counted separately.
        let user = Some(UserId(Uuid::from_u128(7)));
        assert!(limiter.is_audited(user, None, None) && !limiter.is_audited(user, None, None));
        for (status, logged) in [(429, 60), (503, 60), (500, 100), (200, 100)] {
            assert_eq!((0..100).filter(|_| limiter.is_logged(status)).count(), logged, "{status}");
        }
    }

    #[test]
    fn a_quota_is_counted_by_key_and_forgotten_when_it_is_full_again() {
        let quota = Quota { requests: 3.try_into().expect("three"), window: Duration::from_millis(300) };
        let counter = counter(quota);
        let (a, b) = (Key::Address(std::net::Ipv4Addr::LOCALHOST.into()), Key::User(UserId(uuid::Uuid::nil())));
        for remaining in [2, 1, 0] {
            assert_eq!(counter.check_key(&a).expect("admitted").remaining_burst_capacity(), remaining);
        }
        assert!(counter.check_key(&a).is_err());
        assert!(counter.check_key(&b).is_ok());
        assert_eq!(counter.len(), 2);
        std::thread::sleep(Duration::from_millis(700));
        counter.retain_recent();
        assert_eq!(counter.len(), 0);
    }
}
