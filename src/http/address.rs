//! The client's address: the peer's, or the one that a trusted proxy names. No other code reads proxy headers.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::config::Settings;
use crate::config::network::{Proxies, ProxyHeader};
use crate::error::{Error, Result};

/// The client's address, stored in the request's extensions. IPv4 is always IPv4, never mapped into IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Determines the address. Without a peer, as in a test without a socket, it is the unspecified address.
    pub fn of(request: &ServiceRequest, settings: &Settings) -> Self {
        let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        let client = settings
            .behind_proxy
            .as_ref()
            .map_or(peer, |proxies| behind(peer, proxies, &hops(request.headers(), settings.proxy_header)));
        Self(client.to_canonical())
    }
}

impl FromRequest for ClientAddress {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get().copied().ok_or_else(|| Error::fault("the request has no client address")))
    }
}

/// Returns the nearest hop that is no trusted proxy. Each proxy appends the address that called it, so everything left
/// of an untrusted hop was written by that hop.
fn behind(peer: IpAddr, proxies: &Proxies, hops: &[Option<IpAddr>]) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        if !proxies.contains(nearest) {
            break;
        }
        // A proxy that hides the address ends the chain.
        let Some(hop) = hop else { break };
        nearest = *hop;
    }
    nearest
}

/// Reads the addresses in the proxies' header, left to right. None for a value that is no address.
fn hops(headers: &HeaderMap, header: ProxyHeader) -> Vec<Option<IpAddr>> {
    let values = |name: HeaderName| headers.get_all(name).map(|value| value.to_str().unwrap_or_default());
    match header {
        ProxyHeader::XForwardedFor => values(X_FORWARDED_FOR).flat_map(|value| value.split(',')).map(address).collect(),
        ProxyHeader::Forwarded => values(FORWARDED).flat_map(|value| value.split(',')).map(forwarded_for).collect(),
    }
}

/// Reads the `for` parameter of one element of RFC 7239's header.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
    })
}

/// Reads an address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// Returns the key under which an address is counted: itself, or for IPv6 the /56 network that a provider gives a
/// household, as in the password throttle. If too many keys are remembered already, a provider's whole network counts
/// as one key, so that a flood affects its own neighbours only.
pub(super) fn network(address: IpAddr, crowded: bool) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => (if crowded { Ipv4Addr::from_bits(v4.to_bits() & (!0 << 16)) } else { v4 }).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (!0 << if crowded { 96 } else { 72 })).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, header: ProxyHeader, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        let name = if header == ProxyHeader::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
        for line in lines {
            headers.append(name.clone(), line.parse().expect("a header"));
        }
        let proxies = "10.0.0.0/8,::1".parse().expect("proxies");
        behind(peer.parse().expect("an address"), &proxies, &hops(&headers, header)).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_client() {
        use ProxyHeader::{Forwarded, XForwardedFor};
        for (peer, header, lines, expected) in [
            // A header from an untrusted peer is ignored.
            ("203.0.113.9", XForwardedFor, &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", XForwardedFor, &[], "10.0.0.1"),
            ("10.0.0.1", XForwardedFor, &["198.51.100.1"], "198.51.100.1"),
            // The client's own header is left of what the proxy appended.
            ("10.0.0.1", XForwardedFor, &["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", XForwardedFor, &["127.0.0.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("::1", XForwardedFor, &["2001:db8::7"], "2001:db8::7"),
            ("::1", XForwardedFor, &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", XForwardedFor, &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", XForwardedFor, &["198.51.100.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", XForwardedFor, &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (
                "10.0.0.1",
                Forwarded,
                &["for=127.0.0.1, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1"],
                "2001:db8::7",
            ),
            ("10.0.0.1", Forwarded, &["proto=https;for=198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", Forwarded, &["for=198.51.100.1, for=_hidden"], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, header, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn an_ipv6_subscriber_counts_as_one_and_a_crowd_by_its_provider() {
        for (address, alone, crowded) in [
            ("198.51.100.7", "198.51.100.7", "198.51.0.0"),
            ("::ffff:198.51.100.7", "198.51.100.7", "198.51.0.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::", "2001:db8::"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(network(address, false).to_string(), alone);
            assert_eq!(network(address, true).to_string(), crowded);
        }
    }
}
