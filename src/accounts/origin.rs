//! The origin of a request, in the detail that the throttle and an account's owner need.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpRequest};

use crate::http::ClientAddress;

/// A caller's address and kind of device.
#[derive(Debug, Clone)]
pub struct Origin {
    address: IpAddr,
    /// The kind of device, such as `Firefox on Windows`. Owners recognise their own device by it, but it identifies none.
    pub device: String,
}

impl Origin {
    /// The network that the owner sees: the address without its last part.
    pub fn network(&self) -> String {
        match self.address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{}/24", Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        }
    }

    /// What the throttle counts as one caller: an IPv4 address, or the first 56 bits of an IPv6 address, which is the range that a
    /// provider gives a household. So a network ([`Self::network`]) has 256 callers in either family.
    pub fn caller(&self) -> Vec<u8> {
        match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..7].to_vec(),
        }
    }

    /// What counts as one site where a caller with many networks must not use up what others need: an IPv4 address, or the first 48
    /// bits of an IPv6 address, which a provider gives a business. Neighbouring IPv4 addresses belong to different subscribers.
    pub fn site(&self) -> Vec<u8> {
        match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..6].to_vec(),
        }
    }
}

impl FromRequest for Origin {
    type Error = crate::error::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let address = ClientAddress::from_request(request, payload).into_inner();
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ready(address.map(|ClientAddress(address)| Self { address, device: device(user_agent) }))
    }
}

/// The marks of browsers. A browser that others claim to be comes after them.
const PROGRAMS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
];

/// The kind of device of a `User-Agent`. Nothing of an unknown one is kept.
fn device(user_agent: &str) -> String {
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&PROGRAMS), find(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(known), None) | (None, Some(known)) => known.to_owned(),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_described_by_its_kind_only() {
        for (user_agent, kind) in [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Windows"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
                "Edge on Linux",
            ),
            ("curl/8.11.0", "curl"),
            ("clinic-kiosk-7 of Ann Example", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(device(user_agent), kind);
        }
    }

    #[test]
    fn a_network_does_not_identify_its_devices_and_a_household_is_one_caller() {
        let origin = |address: &str| Origin { address: address.parse().expect("an address"), device: String::new() };
        assert_eq!(origin("192.0.2.77").network(), "192.0.2.0/24");
        assert_eq!(origin("2001:db8:1:2:3:4:5:6").network(), "2001:db8:1::/48");
        assert_ne!(origin("192.0.2.77").caller(), origin("192.0.2.78").caller());
        assert_eq!(origin("2001:db8:1:2:3:4:5:6").caller(), origin("2001:db8:1:ff:ffff::1").caller());
        assert_ne!(origin("2001:db8:1:2::1").caller(), origin("2001:db8:1:102::1").caller());
        assert_eq!(origin("2001:db8:1:2::1").site(), origin("2001:db8:1:102::1").site());
        assert_ne!(origin("2001:db8:1:2::1").site(), origin("2001:db8:2:2::1").site());
        assert_ne!(origin("192.0.2.77").site(), origin("192.0.2.78").site());
    }
}
