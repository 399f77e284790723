//! Accounts and what their parts must look like.

use diesel::prelude::*;

use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::schema::users;
use crate::db::types::text_enum;
use crate::error::Rule;
use crate::ids::{PractitionerId, UserId};
use crate::messages::model::{INVITATION_LASTS, RESET_LASTS, Recipient, VERIFICATION_LASTS};
use crate::text;

text_enum! {
    /// What a token in a mail is good for.
    Purpose {
        /// Shows that the address belongs to who registered.
        VerifyEmail = "verify_email",
        /// Shows that a new address belongs to the account's owner, and makes it the account's.
        ChangeEmail = "change_email",
        /// Sets a new password.
        ResetPassword = "reset_password",
        /// Sets the first password of an account that somebody else made.
        Invitation = "invitation",
    }
}

impl Purpose {
    /// How long such a token is good, as its mail says.
    pub fn lifetime(self) -> jiff::SignedDuration {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => VERIFICATION_LASTS,
            Self::ResetPassword => RESET_LASTS,
            Self::Invitation => INVITATION_LASTS,
        }
    }
}

/// An e-mail address, as written and as compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The longest address that mail can carry (RFC 5321, 4.5.3.1.3, less the brackets).
    pub const MAX: usize = 254;

    /// Reads an address such as `ann@example.org`, without a display name. Its host must be a domain name with a dot: address
    /// literals such as `[127.0.0.1]`, bare IP addresses in any spelling and `localhost` would lead mail into the clinic's own
    /// network.
    ///
    /// # Errors
    /// `not_an_email`.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let text = text.trim();
        let rule = || Rule::new("not_an_email", "must be an e-mail address such as ann@example.org");
        // What cannot be seen would make two addresses look like one: here also the joiners, which names need.
        let hidden = |c: char| text::is_forbidden(c) || matches!(c, '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{2060}');
        if text.len() > Self::MAX || text.chars().any(|c| c.is_whitespace() || hidden(c)) {
            return Err(rule());
        }
        let address: lettre::Address = text.parse().map_err(|_| rule())?;
        if is_public_name(address.domain()) { Ok(Self(text.to_owned())) } else { Err(rule()) }
    }

    /// As its owner writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As accounts are compared: lower-cased, as every large mail provider does.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Whether a host is a domain name that may exist in the public DNS. It is read as browsers read it (WHATWG URL), which maps
/// other scripts' digits and finds IP addresses in octal or hexadecimal too.
fn is_public_name(host: &str) -> bool {
    let Ok(url::Host::Domain(name)) = url::Host::parse(host) else { return false };
    let mut labels = name.split('.').rev();
    let top = labels.next().unwrap_or_default();
    // RFC 6761, 6.3: `localhost` is the machine itself.
    !top.is_empty() && top != "localhost" && labels.next().is_some() && labels.all(|label| !label.is_empty())
}

/// A user's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The address as its owner writes it.
    pub email: String,
    /// The address as accounts are compared.
    pub email_key: String,
    /// The holder's name; a patient's own account goes by the record's.
    pub name: Option<String>,
    /// What the account may do.
    pub role: Role,
    /// The doctor whose account it is.
    pub practitioner_id: Option<PractitionerId>,
    /// The PHC string; none until the owner of the mailbox has set a password.
    pub password_hash: Option<String>,
    /// BCP 47.
    pub preferred_language: String,
    /// When the address was shown to be theirs.
    pub email_verified_at: Option<Timestamp>,
    /// When an admin switched the account off.
    pub disabled_at: Option<Timestamp>,
    /// Since when signing in takes a code besides the password.
    pub second_factor_at: Option<Timestamp>,
    /// For `ETag`.
    pub version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl User {
    /// The account's holder, as a message addresses them.
    pub fn recipient(&self) -> Recipient {
        Recipient {
            name: self.name.clone(),
            email: Some(self.email.clone()),
            phone: None,
            language: self.preferred_language.clone(),
        }
    }

    /// Whether the account has a password of its owner. One that was set before the address was verified may be anybody's.
    pub fn has_own_password(&self) -> bool {
        self.password_hash.is_some() && self.email_verified_at.is_some()
    }

    /// Whether the right password lets them in: verified, and not switched off.
    pub fn can_sign_in(&self) -> bool {
        self.has_own_password() && self.disabled_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_without_case_and_nonsense_is_refused() {
        let ann = EmailAddress::parse(" Ann.O'Neil+rls@Example.org ").expect("an address");
        assert_eq!(ann.as_str(), "Ann.O'Neil+rls@Example.org");
        assert_eq!(ann.key(), "ann.o'neil+rls@example.org");
        for nonsense in
            ["", "ann", "ann@", "@example.org", "ann@host", "a b@example.org", "ann@example.org\r\nBcc: x@y.z"]
        {
            assert!(EmailAddress::parse(nonsense).is_err(), "{nonsense:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(250))).is_err());
    }

    #[test]
    fn row_15_an_address_at_an_ip_address_or_a_local_host_is_refused() {
        for host in [
            "[127.0.0.1]",
            "[IPv6:::1]",
            "[::1]",
            "[10.1.2.3]",
            "127.0.0.1",
            "10.1",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "127.0.0.1.",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "1.2.3.4.5",
            "localhost",
            "mail.localhost",
            "LOCALHOST",
            "mail",
            "example.org.",
            ".example.org",
            "example..org",
            "example.123",
        ] {
            let parsed = EmailAddress::parse(&format!("ann@{host}"));
            assert_eq!(parsed.map_err(|rule| rule.code), Err("not_an_email"), "{host}");
        }
        for host in [
            "example.org",
            "clinic.example",
            "a.b.c.example",
            "m\u{fc}nchen.example",
            "xn--mnchen-3ya.example",
            "127.example",
            "mail.internal",
        ] {
            assert!(EmailAddress::parse(&format!("ann@{host}")).is_ok(), "{host}");
        }
    }

    proptest::proptest! {
        #[test]
        fn row_15_no_spelling_of_an_ip_address_is_the_host_of_an_address(octets in proptest::collection::vec(0_u8.., 4), style in 0..4) {
            let spelled = |octet: &u8| match style {
                0 => octet.to_string(),
                1 => format!("{octet:#x}"),
                2 => format!("0{octet:o}"),
                _ => octet.to_string().chars().map(|c| char::from_u32(u32::from(c) - 0x30 + 0xff10).expect("a digit")).collect(),
            };
            let host = octets.iter().map(spelled).collect::<Vec<_>>().join(".");
            proptest::prop_assert!(EmailAddress::parse(&format!("ann@{host}")).is_err(), "{}", host);
            proptest::prop_assert!(EmailAddress::parse(&format!("ann@[{host}]")).is_err(), "{}", host);
        }
    }
}
