//! Countries by their codes.

use crate::{FieldCode, Rule};

/// The officially assigned codes of ISO 3166-1 alpha-2, sorted. The list last changed in 2011, with South Sudan.
#[rustfmt::skip]
const CODES: [&str; 249] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB",
    "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY",
    "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX",
    "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK",
    "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS",
    "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR",
    "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA",
    "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK",
    "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE",
    "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM",
    "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG",
    "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF",
    "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY",
    "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

/// Reads a country's code (ISO 3166-1 alpha-2) in either case and returns it in capitals.
///
/// # Errors
/// `invalid_country` for everything that is not an assigned code.
pub fn country(value: &str) -> Result<String, Rule> {
    let code = value.trim().to_ascii_uppercase();
    match CODES.binary_search(&code.as_str()) {
        Ok(_) => Ok(code),
        Err(_) => Err(Rule::new(
            FieldCode::InvalidCountry,
            "must be the two-letter code of a country (ISO 3166-1), such as US",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assigned_codes_are_countries() {
        assert!(CODES.is_sorted(), "the search needs it");
        for (typed, code) in [("US", "US"), (" mx ", "MX"), ("ad", "AD"), ("ZW", "ZW"), ("Pr", "PR"), ("ss", "SS")] {
            assert_eq!(country(typed).expect(typed), code);
        }
        // Unassigned, user-assigned, reserved or withdrawn codes, and what is no alpha-2 code at all.
        for wrong in ["ZZ", "AA", "QM", "XK", "XX", "EU", "UK", "AN", "SU", "YU", "USA", "840", "U", "", "États", "U S"]
        {
            assert_eq!(country(wrong).expect_err(wrong).code, "invalid_country");
        }
    }
}
