//! Codes of an authenticator app (RFC 6238 with SHA-1, six digits and 30 seconds, which every app supports), and the recovery codes
//! that replace them.

use qrcode::QrCode;
use qrcode::render::svg;
use serde::Serialize;
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;

use crate::accounts::tokens;
use crate::clock::{Entropy, Timestamp};
use crate::error::{Error, Result};

/// How many recovery codes an account has.
pub const RECOVERY_CODES: usize = 10;

/// Crockford's base 32: no letter that reads like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a recovery code: 120 bits, so that a plain hash is enough (ASVS 5.0, 6.5.2).
const RECOVERY_LENGTH: usize = 24;

/// The secret for an authenticator app. It is shown only once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "otpauth_uri": "otpauth://totp/Legwork%20Vein%20Clinic:desk%40clinic.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Legwork%20Vein%20Clinic",
    "qr_svg": "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"240\" height=\"240\"/>"
}))]
pub struct SecondFactorProvision {
    /// The secret in base 32, for apps into which the user types it.
    pub secret: String,
    /// The secret as a URI that apps open.
    pub otpauth_uri: String,
    /// The URI as a QR code that apps scan: an SVG document.
    pub qr_svg: String,
}

/// A new secret of 160 bits in base 32 (RFC 4226, 4, R6).
pub fn new_secret(entropy: &Entropy) -> String {
    Secret::from(entropy.bytes::<20>()).to_base32()
}

fn totp(secret: &str, clinic: &str, account: &str) -> Result<Totp> {
    let secret =
        Secret::try_from_base32(secret).map_err(|_| Error::fault("a second factor's secret is not base 32"))?;
    // A colon separates the two in the URI.
    let plain = |text: &str| text.replace(':', " ");
    Builder::new()
        .with_secret(secret)
        .with_issuer(Some(plain(clinic)))
        .with_account_name(plain(account))
        .build()
        .map_err(|error| Error::internal("a second factor", error))
}

/// Writes a secret in the forms that apps accept.
///
/// # Errors
/// A fault if the secret is not base 32.
pub fn provision(secret: &str, clinic: &str, account: &str) -> Result<SecondFactorProvision> {
    let uri = totp(secret, clinic, account)?.to_url().map_err(|error| Error::internal("an otpauth URI", error))?;
    let code = QrCode::new(&uri).map_err(|error| Error::internal("a QR code", error))?;
    let qr_svg = code.render::<svg::Color>().min_dimensions(240, 240).build();
    Ok(SecondFactorProvision { secret: secret.to_owned(), otpauth_uri: uri, qr_svg })
}

/// The time step of a code that is right now, or was or will be within 30 seconds; none if it is wrong.
///
/// # Errors
/// A fault if the secret is not base 32.
pub fn step(secret: &str, code: &str, now: Timestamp) -> Result<Option<i64>> {
    let now = u64::try_from(now.as_seconds()).unwrap_or(0);
    let step = totp(secret, "", "-")?.check(code, now);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// A code as a user typed it.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Six digits of the app.
    Code(String),
    /// The hash of a recovery code.
    Recovery(Vec<u8>),
}

/// Reads a code as people type it. Ignores spaces, hyphens and case, and reads letters that look like digits as digits.
pub fn read(text: &str) -> Typed {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if plain.len() == 6 && plain.bytes().all(|b| b.is_ascii_digit()) {
        return Typed::Code(plain);
    }
    let canonical = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    Typed::Recovery(tokens::hash(plain.chars().map(canonical).collect::<String>()))
}

/// A new recovery code, in groups of four.
pub fn recovery_code(entropy: &Entropy) -> String {
    let letters: Vec<u8> =
        entropy.bytes::<RECOVERY_LENGTH>().iter().map(|byte| ALPHABET[usize::from(byte % 32)]).collect();
    letters.chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the secret `12345678901234567890`, here with the last six of its eight digits.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).expect("an instant")
    }

    #[test]
    fn the_codes_match_the_examples_of_the_standard() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(SECRET, code, at(seconds)).expect("a secret"), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_works_one_step_early_and_one_step_late() {
        let code = "005924";
        let step_of_it = 1_234_567_890 / 30;
        for (seconds, good) in [
            (step_of_it * 30 - 31, false),
            (step_of_it * 30 - 30, true),
            (step_of_it * 30 + 59, true),
            (step_of_it * 30 + 60, false),
        ] {
            assert_eq!(step(SECRET, code, at(seconds)).expect("a secret").is_some(), good, "{seconds}");
        }
        for wrong in ["", "00592", "0059240", "+05924", "００５９２４"] {
            assert_eq!(step(SECRET, wrong, at(1_234_567_890)).expect("a secret"), None, "{wrong}");
        }
    }

    #[test]
    fn the_uri_names_the_clinic_and_the_account_and_the_qr_code_is_an_svg() {
        let provision = provision(SECRET, "Legs: a clinic", "ann@example.org").expect("a provision");
        assert_eq!(
            provision.otpauth_uri,
            format!(
                "otpauth://totp/Legs%20%20a%20clinic:ann%40example.org?secret={SECRET}&issuer=Legs%20%20a%20clinic"
            )
        );
        assert!(provision.qr_svg.contains("<svg") && !provision.qr_svg.contains(SECRET));
    }

    #[test]
    fn a_recovery_code_is_recognised_in_any_spelling() {
        let entropy = Entropy::seeded(1);
        let code = recovery_code(&entropy);
        assert_eq!((code.len(), code.split('-').count()), (29, 6), "{code}");
        assert_ne!(code, recovery_code(&entropy));
        let sloppy = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(read(&code), read(&sloppy));
        assert_eq!(read("123 456"), Typed::Code("123456".into()));
    }

    #[test]
    fn a_new_secret_has_160_bits() {
        let entropy = Entropy::seeded(1);
        let secret = new_secret(&entropy);
        assert_eq!(secret.len(), 32);
        assert_ne!(secret, new_secret(&entropy));
    }
}
