//! Where a sign-in leads: only to a page of this service that needs one.

use crate::http::fallback::is_member_page;

/// The longest address.
const MOST: usize = 300;

/// Returns the address of a page without the slash before it, if it is one that signed-in people can open. Nothing else is followed, so
/// no link to the sign-in leads to another site.
pub(crate) fn checked(text: &str) -> Option<&str> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_path = path.chars().all(|c| is_plain(c) || c == '/');
    let is_query = query.chars().all(|c| is_plain(c) || matches!(c, '=' | '&' | '.' | '+' | '%'));
    (text.len() <= MOST && is_path && is_query && is_member_page(&format!("/{path}"))).then_some(text)
}

/// The page to which a form belongs: the nearest one above its path.
pub(crate) fn nearest(path: &str) -> Option<&str> {
    let mut path = path.trim_start_matches('/');
    while checked(path).is_none() {
        path = path.rsplit_once('/')?.0;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_26_only_the_own_pages_of_members_are_followed() {
        for good in ["account", "account?lang=es", "second-factor?a=b&c=%C3%A1"] {
            assert_eq!(checked(good), Some(good));
        }
        for bad in [
            "",
            "/account",
            "//evil.example",
            "//evil.example/account",
            "https://evil.example/account",
            "https:evil.example",
            "\\\\evil.example",
            "/\\evil.example",
            "account\\..\\",
            "account/../../evil",
            "account?x=https://evil.example",
            "account#x",
            "account\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "sign-out",
            "v1/me",
            "book",
            "account?\u{e1}",
        ] {
            assert_eq!(checked(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_form_belongs_to_the_page_above_it() {
        assert_eq!(nearest("/account/sessions/1"), Some("account"));
        assert_eq!(nearest("/account"), Some("account"));
        assert_eq!(nearest("/visits/1/cancel"), Some("visits/1/cancel"));
        assert_eq!((nearest("/sign-out"), nearest("")), (None, None));
    }
}
