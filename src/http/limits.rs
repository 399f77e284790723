//! How many requests an address or an account may make: each class of operations has its quota (GCRA, by `governor`).
//!
//! It is counted in this process: several instances together allow several times as much. It runs on the machine's monotonic
//! clock, so that setting the clock lifts nothing.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::RateLimiter;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;

use super::address::{ClientAddress, network};
use super::fallback::Operation;
use super::problem::Draft;
use crate::config::edge::{Class, Quota, RateLimits};
use crate::ids::UserId;
use crate::rounds;

/// How much of the quota is left (draft-ietf-httpapi-ratelimit-headers-10).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The quota itself.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How many keys of a class are remembered one by one, some ten megabytes.
const KEYS: usize = 100_000;
/// How often those are forgotten whose quota is whole again.
const CLEANING: Duration = Duration::from_secs(10);
/// An instance renews its clients' tokens every ten minutes: nothing to guess there, and many may share an address.
const RENEWAL: &str = "/v1/sessions/refresh";

/// Of somebody who is sent away again and again, so much is written down: a flood must not fill the audit trail.
const NOTED: Quota = Quota { requests: NonZeroU32::MIN, window: Duration::from_mins(1) };

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    User(UserId),
}

type Counter = RateLimiter<Key, HashMapStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// The counters of all classes; cheap to clone, shared by all workers.
#[derive(Clone)]
pub struct Limiter {
    /// None where there are no limits.
    quotas: Option<Arc<[(Quota, Counter); 4]>>,
    /// Who was sent away of late, and it was written down.
    refusals: Arc<Counter>,
}

/// Where a caller stands with a quota, for the headers.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    class: Class,
    quota: Quota,
    remaining: u32,
    /// Seconds until the quota is whole again.
    whole_in: u64,
}

/// Too many.
#[derive(Debug)]
pub struct Refused {
    /// For the headers.
    pub standing: Standing,
    /// Seconds until the next request is let through.
    retry_after: u32,
}

impl Refused {
    /// 429.
    pub fn problem(&self) -> Draft {
        Draft::rate_limited(self.retry_after)
    }
}

impl Limiter {
    /// Counters that stand at nothing.
    pub fn new(limits: RateLimits) -> Self {
        let quotas = limits.quotas().map(|quotas| Arc::new(quotas.map(|(_, quota)| (quota, counter(quota)))));
        Self { quotas, refusals: Arc::new(counter(NOTED)) }
    }

    /// Counts a request, unless its kind is not counted.
    ///
    /// # Errors
    /// Where the quota is used up.
    pub fn admit(&self, request: &ServiceRequest, user: Option<UserId>) -> Result<Option<Standing>, Refused> {
        let Some(counters) = &self.quotas else { return Ok(None) };
        let Some(class) = class(request, user.is_some()) else { return Ok(None) };
        let (quota, counter) = &counters[class as usize];
        let key = if let (Class::Read | Class::Write, Some(user)) = (class, user) {
            Key::User(user)
        } else {
            let address = request.extensions().get().map_or(Ipv6Addr::UNSPECIFIED.into(), |ClientAddress(it)| *it);
            Key::Address(network(address, counter.len() >= KEYS))
        };
        let standing = |remaining: u32| Standing {
            class,
            quota: *quota,
            remaining,
            whole_in: (quota.window * (quota.requests.get() - remaining))
                .as_secs()
                .div_ceil(u64::from(quota.requests.get())),
        };
        match counter.check_key(&key) {
            Ok(state) => Ok(Some(standing(state.remaining_burst_capacity().min(quota.requests.get())))),
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                let retry_after = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err(Refused { standing: standing(0), retry_after })
            }
        }
    }

    /// Whether it is the caller's first 429 in a minute, whatever it was for.
    pub fn is_first_refusal(&self, user: Option<UserId>, address: Option<IpAddr>) -> bool {
        let key = user.map_or_else(
            || {
                let address = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
                Key::Address(network(address, self.refusals.len() >= KEYS))
            },
            Key::User,
        );
        self.refusals.check_key(&key).is_ok()
    }

    /// Forgets, from time to time, whose quota is whole again, until told to stop.
    pub fn start_cleaning(&self, stopping: tokio::sync::watch::Receiver<bool>) {
        let Self { quotas, refusals } = self.clone();
        rounds::start(stopping, async move || {
            let counters = quotas.iter().flat_map(|quotas| quotas.iter().map(|(_, counter)| counter));
            for counter in counters.chain([&*refusals]) {
                counter.retain_recent();
                counter.shrink_to_fit();
            }
            CLEANING
        });
    }
}

impl Standing {
    /// Writes the headers.
    pub fn show(&self, headers: &mut HeaderMap) {
        let (name, quota) = (self.class.name(), self.quota);
        let policy = format!("\"{name}\";q={};w={}", quota.requests, quota.window.as_secs());
        let standing = format!("\"{name}\";r={};t={}", self.remaining, self.whole_in);
        for (header, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        }
    }
}

fn counter(quota: Quota) -> Counter {
    // A window is at least a second and a quota at most a million: a microsecond or more for each.
    let pace = governor::Quota::with_period(quota.window / quota.requests.get());
    let pace = pace.unwrap_or_else(|| governor::Quota::per_second(quota.requests)).allow_burst(quota.requests);
    RateLimiter::new(pace, HashMapStateStore::default(), DefaultClock::default())
}

/// Which quota a request counts on. The operator's probes and the documentation count on none.
fn class(request: &ServiceRequest, signed_in: bool) -> Option<Class> {
    let (method, path) = (request.method(), request.path());
    if ["/health/", "/docs", "/metrics", "/openapi.json"].iter().any(|start| path.starts_with(start)) {
        return None;
    }
    let operation = request.extensions().get::<Arc<Operation>>().cloned();
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    Some(match operation {
        Some(operation) if operation.is_public && !reads && path != RENEWAL => Class::Enter,
        _ if !signed_in => Class::Public,
        _ if reads => Class::Read,
        _ => Class::Write,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_counted_by_key_and_forgotten_when_it_is_whole_again() {
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
