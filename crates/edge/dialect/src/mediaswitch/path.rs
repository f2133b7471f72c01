//! Takes a request's path apart.

use super::failure::Failure;

/// The segments of a path, unescaped (RFC 3986 section 2.1). A slash at the end says nothing, nor
/// does a query that is still there.
pub(super) fn segments(path: &str) -> Result<Vec<String>, Failure> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

fn segment(escaped: &str) -> Result<String, Failure> {
    let bad = |why: &str| Failure::path(400, format!("{why} in the path"));
    if escaped.is_empty() {
        return Err(bad("two slashes in a row"));
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let escape = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
                (escape.ok_or_else(|| bad("a broken escape"))?, after)
            }
            (b'%', _) => return Err(bad("a broken escape")),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad("an escape that is not UTF-8"))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_unescaped_one_by_one() {
        assert_eq!(segments("/").unwrap(), [""; 0]);
        assert_eq!(segments("/dir").unwrap(), ["dir"]);
        assert_eq!(segments("/dir/").unwrap(), ["dir"]);
        assert_eq!(segments("/dir/?a=/b").unwrap(), ["dir"]);
        assert_eq!(segments("/dir/a.test/%2b49%2F30%c3%bc").unwrap(), ["dir", "a.test", "+49/30ü"]);
        for bad in ["/dir//x", "/dir/%", "/dir/%4", "/dir/%4g", "/dir/%ff"] {
            assert!(segments(bad).is_err(), "{bad}");
        }
    }
}
