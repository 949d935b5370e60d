//! Who may use the API.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use subtle::{Choice, ConstantTimeEq as _};

use super::parameters;
use crate::settings::Secret;
use crate::web::Asked;

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no token.
    None,
    /// It is none of those.
    Wrong,
}

/// Whether a request has one of the tokens: as `Authorization: Bearer TOKEN`, or in the query as `token=TOKEN`. How long that
/// takes tells nothing of them but their lengths.
pub(super) fn may_use(tokens: &BTreeMap<String, Secret>, asked: &Asked) -> Result<(), Refused> {
    let in_head = asked.authorization.as_deref();
    let in_head = in_head.and_then(|words| words.split_once(' '));
    let in_head = in_head.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let in_query = parameters(&asked.query, "token").next();
    let shown: Vec<u8> = match (in_head, in_query) {
        (Some((_, token)), _) => token.trim().as_bytes().to_vec(),
        (None, Some(token)) => percent_decode_str(token).collect(),
        (None, None) => return Err(Refused::None),
    };
    let mut good = Choice::from(0);
    for token in tokens.values() {
        good |= token.0.as_bytes().ct_eq(&shown);
    }
    if bool::from(good) {
        Ok(())
    } else {
        Err(Refused::Wrong)
    }
}
