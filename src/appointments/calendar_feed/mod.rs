//! Calendar feeds: the secret address under which a practitioner's own calendar program reads their visits. The token is in the path, because
//! such programs only send a GET. Logs have patterns of paths, so none holds a token.

pub mod managing;
pub mod reading;
