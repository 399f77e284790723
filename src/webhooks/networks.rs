//! Which addresses deliveries may connect to. Administrators enter URLs, so a delivery must not reach what only this machine or its network
//! can reach: other services, routers, metadata of a cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::config::network::Proxies;

/// The networks of IPv4 that are not part of the public internet (RFC 6890 and its registry), with multicast and reserved ones.
const NOT_PUBLIC: [Ipv4Net; 16] = [
    four([0, 0, 0, 0], 8),
    four([10, 0, 0, 0], 8),
    // Carrier-grade NAT.
    four([100, 64, 0, 0], 10),
    four([127, 0, 0, 0], 8),
    // Link-local, with the metadata of clouds.
    four([169, 254, 0, 0], 16),
    four([172, 16, 0, 0], 12),
    four([192, 0, 0, 0], 24),
    four([192, 0, 2, 0], 24),
    // Relays of 6to4.
    four([192, 88, 99, 0], 24),
    four([192, 168, 0, 0], 16),
    four([198, 18, 0, 0], 15),
    four([198, 51, 100, 0], 24),
    four([203, 0, 113, 0], 24),
    four([224, 0, 0, 0], 4),
    four([240, 0, 0, 0], 4),
    // The metadata of one cloud is at a public address.
    four([168, 63, 129, 16], 32),
];

/// All of IPv6 that is routed on the public internet. Loopback, unique local, link-local, site-local, multicast, compatible and translated
/// addresses are outside of it.
const GLOBAL: Ipv6Net = six([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The parts of [`GLOBAL`] that are no public hosts, or that embed an address of IPv4.
const NOT_HOSTS: [Ipv6Net; 4] = [
    // Protocols of the IETF, among them Teredo.
    six([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    six([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    // 6to4.
    six([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    six([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// Hosts of IPv4 as a network that has IPv6 only sees them (NAT64, RFC 6052).
const TRANSLATED: Ipv6Net = six([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn four([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn six(parts: [u16; 8], length: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], parts[7]);
    Ipv6Net::new_assert(address, length)
}

/// Returns whether an address is a host of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) if TRANSLATED.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => GLOBAL.contains(&address) && !NOT_HOSTS.iter().any(|network| network.contains(&address)),
    }
}

/// Returns whether a delivery may connect to an address: a public one, or one that the operator has opened. Without TLS, only to this
/// machine, if the operator has opened it.
pub fn may_connect(address: IpAddr, opened: Option<&Proxies>, is_encrypted: bool) -> bool {
    let is_opened = opened.is_some_and(|networks| networks.contains(address));
    if is_encrypted { is_opened || is_public(address) } else { is_opened && address.to_canonical().is_loopback() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn row_29_only_hosts_of_the_public_internet_are_public() {
        for text in [
            "1.1.1.1",
            "93.184.215.14",
            "100.63.255.255",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(address(text)), "{text}");
        }
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn row_29_an_opened_network_is_reached_and_without_tls_only_this_machine() {
        let opened: Proxies = "10.1.0.0/16,127.0.0.1".parse().expect("networks");
        let may = |text: &str, is_encrypted| may_connect(address(text), Some(&opened), is_encrypted);
        assert!(
            may("10.1.2.3", true) && may("::ffff:10.1.2.3", true) && may("127.0.0.1", true) && may("1.1.1.1", true)
        );
        assert!(!may("10.2.0.1", true) && !may("127.0.0.2", true) && !may("::1", true));
        assert!(may("127.0.0.1", false) && !may("10.1.2.3", false) && !may("1.1.1.1", false));
        assert!(!may_connect(address("127.0.0.1"), None, false) && !may_connect(address("127.0.0.1"), None, true));
    }

    proptest! {
        #[test]
        fn row_29_no_spelling_of_a_private_address_is_public(bits in any::<u32>(), network in 0..NOT_PUBLIC.len()) {
            let network = NOT_PUBLIC[network];
            let host = bits & u32::from(network.hostmask());
            let four = Ipv4Addr::from(u32::from(network.network()) | host);
            let [a, b, c, d] = four.octets();
            let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
            let (high, low) = (pair(a, b), pair(c, d));
            for address in [
                IpAddr::V4(four),
                IpAddr::V6(four.to_ipv6_mapped()),
                IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)),
                IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
                IpAddr::V6(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)),
            ] {
                prop_assert!(!is_public(address), "{}", address);
                prop_assert!(!may_connect(address, None, true));
                prop_assert!(!may_connect(address, None, false));
            }
        }
    }
}
