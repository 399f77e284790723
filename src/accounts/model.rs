//! The account, and the rules for its parts.

use diesel::prelude::*;

use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::schema::users;
use crate::db::types::text_enum;
use crate::error::{FieldCode, Rule};
use crate::ids::{PractitionerId, UserId};
use crate::messages::model::{INVITATION_LASTS, RESET_LASTS, Recipient, VERIFICATION_LASTS};

text_enum! {
    /// What a token in a mail does.
    Purpose {
        /// Verifies the address of a registration.
        VerifyEmail = "verify_email",
        /// Verifies a new address of the account, and makes it the account's.
        ChangeEmail = "change_email",
        /// Sets a new password.
        ResetPassword = "reset_password",
        /// Sets the first password of an account whose address has just been verified.
        FirstPassword = "first_password",
        /// Sets the first password of an account of staff.
        Invitation = "invitation",
    }
}

impl Purpose {
    /// How long such a token is valid, as its mail says.
    pub fn lifetime(self) -> jiff::SignedDuration {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => VERIFICATION_LASTS,
            Self::ResetPassword | Self::FirstPassword => RESET_LASTS,
            Self::Invitation => INVITATION_LASTS,
        }
    }
}

/// An e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The longest address, in bytes (RFC 5321, 4.5.3.1.3, without the angle brackets).
    pub const MAX: usize = 254;

    /// Reads an address such as `ann@example.org`, without a display name. Its host must be a domain name with a dot: address
    /// literals such as `[127.0.0.1]`, bare IP addresses in any spelling and `localhost` would lead mail into the clinic's own
    /// network.
    ///
    /// # Errors
    /// `not_an_email`.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let text = text.trim();
        let rule = || Rule::new(FieldCode::NotAnEmail, "must be an e-mail address such as ann@example.org");
        // Invisible characters would make two addresses look alike. Names may have joiners, addresses may not.
        let hidden = |c: char| text::is_forbidden(c) || text::is_hidden(c) || matches!(c, '\u{200c}' | '\u{200d}');
        if text.len() > Self::MAX || text.chars().any(|c| c.is_whitespace() || hidden(c)) {
            return Err(rule());
        }
        let address: lettre::Address = text.parse().map_err(|_| rule())?;
        // A quoted local part has many spellings, and no provider gives such addresses to people.
        if address.user().contains('"') {
            return Err(rule());
        }
        let host = public_name(address.domain()).ok_or_else(rule)?;
        let text = format!("{}@{host}", address.user());
        if text.len() > Self::MAX { Err(rule()) } else { Ok(Self(text)) }
    }

    /// The address: the local part as its owner writes it, and the domain in lower-case ASCII (IDNA).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as accounts are compared: in lower case, as every large mail provider does.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Returns a domain name that may exist in the public DNS in its one spelling, lower-case ASCII. Parses it as browsers do (WHATWG URL),
/// which maps letters and digits of other scripts and recognises IP addresses in octal or hexadecimal too.
fn public_name(host: &str) -> Option<String> {
    let url::Host::Domain(name) = url::Host::parse(host).ok()? else { return None };
    let mut labels = name.split('.').rev();
    let top = labels.next().unwrap_or_default();
    // RFC 6761, 6.3 and 6.4: `localhost` is the machine itself, and `invalid` never exists. The service gives it to accounts without a
    // mailbox.
    let is_public = !top.is_empty()
        && top != "localhost"
        && top != "invalid"
        && labels.next().is_some()
        && labels.all(|label| !label.is_empty());
    is_public.then_some(name)
}

/// A user's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The address as its owner writes it.
    pub email: String,
    /// [`EmailAddress::key`] of the address.
    pub email_key: String,
    /// The owner's name; none for patients, whose name is in their record.
    pub name: Option<String>,
    /// The account's role.
    pub role: Role,
    /// The practitioner whose account it is; none for other roles.
    pub practitioner_id: Option<PractitionerId>,
    /// The hash as a PHC string; none until the owner of the mailbox has set a password.
    pub password_hash: Option<String>,
    /// A BCP 47 tag.
    pub preferred_language: String,
    /// When the owner proved control of the address.
    pub email_verified_at: Option<Timestamp>,
    /// When an administrator disabled the account.
    pub disabled_at: Option<Timestamp>,
    /// When the second factor was switched on. Signing in then takes a code besides the password.
    pub second_factor_at: Option<Timestamp>,
    /// Raised by every change of how the account signs in. Device tokens of earlier generations are not valid.
    pub credential_generation: i32,
    /// The version for the `ETag`.
    pub version: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl User {
    /// The account's owner as the recipient of a message.
    pub fn recipient(&self) -> Recipient {
        Recipient {
            name: self.name.clone(),
            email: Some(self.email.clone()),
            phone: None,
            language: self.preferred_language.clone(),
        }
    }

    /// Whether it was registered online and its address was never verified. The registration may be a stranger's.
    pub fn is_registration(&self) -> bool {
        self.role == Role::Patient && self.email_verified_at.is_none() && self.disabled_at.is_none()
    }

    /// Whether the owner has set a password. One that was set before the address was verified may be a stranger's.
    pub fn has_own_password(&self) -> bool {
        self.password_hash.is_some() && self.email_verified_at.is_some()
    }

    /// Whether the owner can sign in with the right password: the address is verified, and the account is not disabled.
    pub fn can_sign_in(&self) -> bool {
        self.has_own_password() && self.disabled_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_without_case_and_malformed_ones_are_rejected() {
        let ann = EmailAddress::parse(" Ann.O'Neil+rls@Example.org ").expect("an address");
        assert_eq!(ann.as_str(), "Ann.O'Neil+rls@example.org");
        assert_eq!(ann.key(), "ann.o'neil+rls@example.org");
        for malformed in
            ["", "ann", "ann@", "@example.org", "ann@host", "a b@example.org", "ann@example.org\r\nBcc: x@y.z"]
        {
            assert!(EmailAddress::parse(malformed).is_err(), "{malformed:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(250))).is_err());
    }

    #[test]
    fn row_03_the_domain_of_an_address_has_one_spelling() {
        for (spelling, domain) in [
            ("M\u{fc}nchen.Example", "xn--mnchen-3ya.example"),
            ("mu\u{308}nchen.example", "xn--mnchen-3ya.example"),
            ("XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example"),
            ("\u{ff45}xample\u{3002}org", "example.org"),
            ("\u{24d4}xample.org", "example.org"),
        ] {
            let parsed = EmailAddress::parse(&format!("ann@{spelling}")).expect("an address");
            assert_eq!(parsed.as_str(), format!("ann@{domain}"), "{spelling}");
            assert_eq!(EmailAddress::parse(parsed.as_str()).expect("an address"), parsed);
        }
        assert!(EmailAddress::parse("\"ann\"@example.org").is_err());
    }

    #[test]
    fn row_15_an_address_at_an_ip_address_or_a_local_host_is_rejected() {
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
            "clients.invalid",
            "LOCALHOST",
            "mail",
            "example.org.",
            ".example.org",
            "example..org",
            "example.123",
        ] {
            let parsed = EmailAddress::parse(&format!("ann@{host}"));
            assert_eq!(parsed.map_err(|rule| rule.code.as_str()), Err("not_an_email"), "{host}");
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
