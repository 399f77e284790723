//! The types of the network settings: trusted proxies, origins, rate limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Host;

/// The proxies that are trusted to name the client's address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// The loopback addresses.
    pub fn this_machine() -> Self {
        let six = Ipv6Net::from(Ipv6Addr::LOCALHOST);
        Self(vec![Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(), six.into()])
    }

    /// Returns whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A network of IPv4 addresses in their IPv6 form as one of IPv4 addresses, because addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let (Some(four), Some(length)) = (six.addr().to_ipv4_mapped(), six.prefix_len().checked_sub(96)) else {
        return network;
    };
    Ipv4Net::new(four, length).map_or(network, IpNet::V4)
}

impl FromStr for Proxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = |entry: &str| {
            let address = entry.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| entry.parse::<IpNet>()).map(|network| canonical(network.trunc()))
        };
        let all: Result<Vec<_>, _> = text.split(',').map(|entry| network(entry.trim())).collect();
        let all = all.map_err(|_| "expected addresses or networks, such as 10.0.0.7,192.168.0.0/16,::1")?;
        // The largest private networks are 10.0.0.0/8 and fc00::/7. A larger one includes addresses of strangers.
        let is_too_large = |network: &IpNet| network.prefix_len() < if network.addr().is_ipv4() { 8 } else { 7 };
        if all.iter().any(is_too_large) {
            return Err("a network larger than 10.0.0.0/8 or fc00::/7 cannot be trusted. Name the proxies".into());
        }
        Ok(Self(all))
    }
}

/// The header in which the proxies name the client. The other one is not read, because a proxy passes it on as the
/// client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProxyHeader {
    /// The header of most proxies.
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// A web origin whose pages may call the API from a browser, or show the booking pages in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An origin as browsers send it.
    Exact(String),
    /// `http://localhost` and `http://127.0.0.1` at any port. Only a demo allows them; no setting names them.
    ThisMachine,
}

impl Origin {
    /// Returns the origin as browsers send it, if it is one.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(origin) => Some(origin),
            Self::ThisMachine => None,
        }
    }

    /// Returns whether it allows the origin that a browser sent.
    pub fn admits(&self, sent: &str) -> bool {
        match self {
            Self::Exact(origin) => origin == sent,
            Self::ThisMachine => ["http://localhost", "http://127.0.0.1"].iter().any(|host| {
                sent.strip_prefix(host).is_some_and(|rest| {
                    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
                })
            }),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A URL may have any of `*;'` in its host. In `frame-ancestors` the first one means every site, the others end the source.
        let names_one_host = |url: &url::Url| match url.host() {
            Some(Host::Domain(name)) => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            None => false,
        };
        let exact = url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && names_one_host(&url)
                && url.origin().ascii_serialization() == text
        });
        exact.then(|| Self::Exact(text.to_owned())).ok_or_else(|| {
            "expected exact origins such as https://app.clinic.example, comma-separated, without *, path or slash at the end"
                .into()
        })
    }
}

/// A class of operations. Each class has a quota of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Sign-in, registration, and other changes without a session. Counted per address.
    Enter,
    /// Reads without a session. Counted per address.
    Public,
    /// Reads with a session. Counted per account.
    Read,
    /// Changes with a session. Counted per account.
    Write,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Enter, Self::Public, Self::Read, Self::Write];

    /// Returns the name in the setting and the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Public => "public",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A number of requests in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many requests, also all at once.
    pub requests: NonZeroU32,
    /// After how long they are all available again.
    pub window: Duration,
}

/// The quota of each class. None without limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits(Option<[Quota; 4]>);

impl RateLimits {
    /// The default. The first quota is far too small to guess passwords, and enough for a full waiting room of patients
    /// behind one address.
    pub const DEFAULT: &'static str = "enter=60/5m,public=300/1m,read=600/1m,write=120/1m";

    /// Returns the quotas by class, if there are any.
    pub fn quotas(&self) -> Option<[(Class, Quota); 4]> {
        self.0.map(|quotas| Class::ALL.map(|class| (class, quotas[class as usize])))
    }
}

impl FromStr for RateLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let mut quotas = [None; 4];
        // A class that is not named keeps its default.
        for entry in Self::DEFAULT.split(',').chain(text.split(',')).map(str::trim).filter(|entry| !entry.is_empty()) {
            let (class, quota) = read_quota(entry)
                .ok_or_else(|| format!("expected `off`, or quotas such as {}; windows in s, m or h", Self::DEFAULT))?;
            quotas[class as usize] = Some(quota);
        }
        let [Some(enter), Some(public), Some(read), Some(write)] = quotas else {
            return Err("a class has no quota".into());
        };
        Ok(Self(Some([enter, public, read, write])))
    }
}

fn read_quota(entry: &str) -> Option<(Class, Quota)> {
    let (name, quota) = entry.split_once('=')?;
    let class = Class::ALL.into_iter().find(|class| class.name() == name.trim())?;
    let (requests, window) = quota.trim().split_once('/')?;
    let unit = match window.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let count: u64 = window.get(..window.len() - 1)?.parse().ok().filter(|count| (1..=86_400).contains(count))?;
    let window = Duration::from_secs(count * unit);
    Some((class, Quota { requests: requests.parse().ok().filter(|n: &NonZeroU32| n.get() <= 1_000_000)?, window }))
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} s", self.requests, self.window.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_addresses_and_networks_but_not_all_addresses() {
        let proxies: Proxies = "10.0.0.7, 192.168.0.0/16,::1,::ffff:10.9.0.0/112".parse().expect("proxies");
        for (address, trusted) in [
            ("10.0.0.7", true),
            ("10.0.0.8", false),
            ("192.168.200.1", true),
            ("::1", true),
            ("::2", false),
            ("::ffff:10.0.0.7", true),
            ("10.9.0.1", true),
            ("10.8.0.1", false),
        ] {
            assert_eq!(proxies.contains(address.parse().expect("an address")), trusted, "{address}");
        }
        for wrong in [
            "",
            "proxy.example",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "::/0",
            "0.0.0.0/1,128.0.0.0/1",
            "::ffff:0:0/96",
            "2000::/3",
            "10.0.0.7,",
        ] {
            assert!(wrong.parse::<Proxies>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_exact() {
        for good in [
            "https://app.clinic.example",
            "http://localhost:5173",
            "https://app.clinic.example:8443",
            "https://xn--klinik-4ya.example",
            "http://10.0.0.7",
            "http://[::1]:5173",
        ] {
            assert!(good.parse::<Origin>().expect("an origin").admits(good));
        }
        for wrong in [
            "*",
            "null",
            "https://*",
            "http://*",
            "https://*.example",
            "https://*.clinic.example",
            "https://app.*.example:8443",
            "https://app.clinic.example;script-src",
            "https://'self'",
            "https://app.clinic.example/",
            "https://app.clinic.example/x",
            "HTTPS://app.clinic.example",
            "https://app.clinic.example:443",
            "app.clinic.example",
            "ftp://app.clinic.example",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_ports_of_this_machine_are_this_machine() {
        for good in ["http://localhost", "http://localhost:5173", "http://127.0.0.1:3000"] {
            assert!(Origin::ThisMachine.admits(good), "{good}");
        }
        for wrong in [
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:",
            "http://localhost:99999",
            "http://127.0.0.1.evil.example:80",
            "http://127.0.0.2:3000",
            "null",
            "",
        ] {
            assert!(!Origin::ThisMachine.admits(wrong), "{wrong}");
        }
    }

    #[test]
    fn quotas_that_are_not_named_keep_their_default() {
        assert_eq!("off".parse::<RateLimits>().expect("off").quotas(), None);
        let limits: RateLimits = "enter=5/10s, write=7/2h".parse().expect("limits");
        let quotas = limits.quotas().expect("quotas").map(|(class, quota)| (class.name(), quota.to_string()));
        assert_eq!(
            quotas,
            [("enter", "5 in 10 s"), ("public", "300 in 60 s"), ("read", "600 in 60 s"), ("write", "7 in 7200 s")]
                .map(|(name, quota)| (name, quota.to_owned()))
        );
        for wrong in ["on", "enter", "enter=5", "enter=0/1m", "enter=5/0m", "enter=5/1d", "enter=5/m", "login=5/1m"] {
            assert!(wrong.parse::<RateLimits>().is_err(), "{wrong}");
        }
    }
}
