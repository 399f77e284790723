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

    /// Reads an address such as `ann@example.org`, without a display name.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let text = text.trim();
        let rule = || Rule::new("not_an_email", "must be an e-mail address such as ann@example.org");
        // What cannot be seen would make two addresses look like one: here also the joiners, which names need.
        let hidden = |c: char| text::is_forbidden(c) || matches!(c, '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{2060}');
        if text.len() > Self::MAX || text.chars().any(|c| c.is_whitespace() || hidden(c)) {
            return Err(rule());
        }
        let address: lettre::Address = text.parse().map_err(|_| rule())?;
        // Mail to a bare host never leaves the house.
        if !address.domain().contains('.') {
            return Err(rule());
        }
        Ok(Self(text.to_owned()))
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
    /// The PHC string; none until an invited person has set a password.
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

    /// Whether the right password lets them in: verified, and not switched off.
    pub fn can_sign_in(&self) -> bool {
        self.password_hash.is_some() && self.email_verified_at.is_some() && self.disabled_at.is_none()
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
}
