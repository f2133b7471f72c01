//! Versions of documents: `ETag`, `If-Match`, `If-None-Match` (RFC 9110 sections 8.8.3 and 13.1).

use sha2::{Digest, Sha256};

use super::problem::{Code, Problem};
use super::{Headers, Response};

/// The version of a document that holds secrets: nobody can try out which secret gives it without knowing `seed`.
pub(super) fn of_secret(seed: &[u8; 32], parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(seed);
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digits: String = hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// Whether something may be changed that has this version, or is not there.
///
/// # Errors
/// [`Code::PreconditionFailed`].
pub(super) fn may_change(headers: &Headers, present: Option<&str>) -> Result<(), Problem> {
    let names = |field: &str| match present {
        // A weak version never is the same strongly (RFC 9110 section 13.1.1).
        Some(version) => field.split(',').map(str::trim).any(|tag| tag == "*" || tag == version),
        None => false,
    };
    if headers.if_match.as_deref().is_some_and(|field| !names(field)) {
        let problem = Problem::new(Code::PreconditionFailed, "If-Match does not name the version that there is");
        let expected = if present.is_some() { "the ETag that it has now" } else { "none: there is nothing yet" };
        return Err(problem.at("If-Match").expected(expected));
    }
    if headers.if_none_match.as_deref().is_some_and(names) {
        let problem = Problem::new(Code::PreconditionFailed, "If-None-Match names the version that there is");
        return Err(problem.at("If-None-Match").expected("an ETag that it does not have now"));
    }
    Ok(())
}

/// A document with its version, or 304 for whoever has it already.
pub(super) fn answer(headers: &Headers, version: &str, response: Response) -> Response {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let has = |field: &str| field.split(',').any(|tag| plain(tag) == "*" || plain(tag) == version);
    if headers.if_none_match.as_deref().is_some_and(has) {
        return Response::empty(304).with("etag", version);
    }
    response.with("etag", version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(if_match: Option<&str>, if_none_match: Option<&str>) -> Headers {
        Headers {
            if_match: if_match.map(Into::into),
            if_none_match: if_none_match.map(Into::into),
            ..Headers::default()
        }
    }

    #[test]
    fn a_change_is_made_to_the_version_that_its_sender_knows() {
        for (if_match, if_none_match, present, may) in [
            (None, None, Some("\"a\""), true),
            (None, None, None, true),
            (Some("\"a\""), None, Some("\"a\""), true),
            (Some("\"b\", \"a\""), None, Some("\"a\""), true),
            (Some("*"), None, Some("\"a\""), true),
            (Some("\"b\""), None, Some("\"a\""), false),
            (Some("W/\"a\""), None, Some("\"a\""), false),
            (Some("*"), None, None, false),
            (None, Some("*"), Some("\"a\""), false),
            (None, Some("*"), None, true),
        ] {
            let result = may_change(&headers(if_match, if_none_match), present);
            assert_eq!(result.is_ok(), may, "{if_match:?} {if_none_match:?} {present:?}");
            let told = result.err().map(|problem| (problem.field, problem.expected.is_some()));
            let field = if if_match.is_some() { "If-Match" } else { "If-None-Match" };
            assert_eq!(told, (!may).then(|| (Some(field.to_owned()), true)));
        }
    }

    #[test]
    fn whoever_has_a_document_is_told_so() {
        let document = || Response::empty(200);
        assert_eq!(answer(&headers(None, Some("\"b\", W/\"a\"")), "\"a\"", document()).status, 304);
        let other = answer(&headers(None, Some("\"b\"")), "\"a\"", document());
        assert_eq!((other.status, other.headers.as_slice()), (200, &[("etag", "\"a\"".to_owned())][..]));
    }

    #[test]
    fn the_version_of_a_secret_cannot_be_tried_out() {
        assert_ne!(of_secret(&[1; 32], &["a", "b"]), of_secret(&[2; 32], &["a", "b"]));
        assert_ne!(of_secret(&[1; 32], &["a", "b"]), of_secret(&[1; 32], &["ab", ""]));
    }
}
