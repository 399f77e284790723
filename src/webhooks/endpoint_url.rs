//! The URL of a receiver.

use std::net::IpAddr;

use url::{Host, Position, Url};

use super::networks;
use crate::config::network::Proxies;
use crate::error::{FieldCode, Rule};

/// The greatest length of a URL, in bytes. The document has it.
pub const LONGEST: usize = 2_000;

fn invalid(detail: &str) -> Rule {
    Rule::new(FieldCode::InvalidUrl, detail)
}

/// Reads the URL of a receiver. Whether a name leads to an address that may be reached is decided with each connection.
///
/// # Errors
/// `too_long`, `invalid_url`.
pub fn parse(text: &str, opened: Option<&Proxies>) -> Result<Url, Rule> {
    if text.len() > LONGEST {
        return Err(Rule::new(FieldCode::TooLong, format!("must be at most {LONGEST} bytes long")));
    }
    // The parser would drop line breaks and tabs.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::parse(text).ok().filter(|_| is_plain);
    let url = url.ok_or_else(|| invalid("must be an absolute URL such as https://systems.example/events"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(invalid("must have neither a user name nor a fragment"));
    }
    let is_encrypted = url.scheme() == "https";
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        // Without TLS, `networks` admits this machine only.
        Some(Host::Domain(name)) if is_encrypted || name == "localhost" => None,
        _ => return Err(invalid("must begin with https://")),
    };
    if !is_encrypted && url.scheme() != "http" {
        return Err(invalid("must begin with https://"));
    }
    if literal.is_some_and(|address| !networks::may_connect(address, opened, is_encrypted)) {
        return Err(invalid("must be https, and not lead to a private or reserved address (WEBHOOK_ALLOWED_NETWORKS)"));
    }
    if literal.is_none() && !is_encrypted && opened.is_none() {
        return Err(invalid("must begin with https://"));
    }
    if hyper::Uri::try_from(&url[Position::BeforePath..]).is_err() {
        return Err(invalid("must have only characters that HTTP sends; encode others"));
    }
    if url.as_str().len() > LONGEST {
        return Err(Rule::new(FieldCode::TooLong, format!("must be at most {LONGEST} bytes long")));
    }
    Ok(url)
}

/// Returns the part of a URL that may be logged and mailed: its host. Its path can hold a secret.
pub fn host(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_29_a_receiver_has_a_plain_https_url() {
        for good in ["https://systems.example/events?tenant=1", "https://systems.example:8443", "https://1.1.1.1/"] {
            assert!(parse(good, None).is_ok(), "{good}");
        }
        let long = format!("https://systems.example/{}", "x".repeat(LONGEST));
        for wrong in [
            "",
            "/events",
            "systems.example",
            "http://systems.example/",
            "ftp://systems.example/",
            "file:///etc/passwd",
            "https:///",
            "https://user@systems.example/",
            "https://user:word@systems.example/",
            "https://systems.example/#part",
            "https://systems.example/\n",
            "https://sys tems.example/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "http://127.0.0.1/",
            "http://localhost/",
            &long,
        ] {
            assert!(parse(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn row_29_the_operator_can_open_networks_and_this_machine() {
        let opened: Proxies = "127.0.0.0/8,10.0.0.7".parse().expect("networks");
        for good in ["http://127.0.0.1:9000/x", "http://localhost:9000/", "https://10.0.0.7/", "https://127.0.0.1/"] {
            assert!(parse(good, Some(&opened)).is_ok(), "{good}");
        }
        for wrong in ["http://10.0.0.7/", "https://10.0.0.8/", "http://[::1]/", "http://systems.example/"] {
            assert!(parse(wrong, Some(&opened)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_host_of_a_url_is_shown() {
        assert_eq!(host("https://systems.example:8443/hook/secret?key=1"), "systems.example");
        assert_eq!(host("nonsense"), "");
    }
}
