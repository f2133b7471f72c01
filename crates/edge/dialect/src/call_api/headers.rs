//! Header fields that a client may add to what the parties are sent.

use compact_str::{CompactString, format_compact};
use hookswitch_call::Notes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::text_of;

/// Most header fields of one command.
pub const MAX_HEADERS: usize = 16;

/// Longest `headers` parameter, in bytes as written.
pub const MAX_HEADERS_BYTES: usize = 4_096;

/// Fields by which a request finds its dialog and its way, with their compact forms (RFC 3261
/// section 7.3.3): they belong to whoever writes the request. `Content-*` is looked at besides.
const NOT_YOURS: [&str; 17] = [
    "Via",
    "v",
    "From",
    "f",
    "To",
    "t",
    "Call-ID",
    "i",
    "CSeq",
    "Contact",
    "m",
    "Route",
    "Record-Route",
    "Max-Forwards",
    // Content-Type, Content-Length and Content-Encoding.
    "c",
    "l",
    "e",
];

/// What is wrong with header fields, for the client to read.
pub(crate) type Wrong = CompactString;

/// Reads fields that are separated by CRLF or LF, as they would stand in a message.
pub(crate) fn read_text(text: &str) -> Result<Notes, Wrong> {
    check_length(text)?;
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    read_all(lines.filter(|line| !line.is_empty()).map(split))
}

/// Reads an array of fields: strings (`"Name: value"`) or objects (`{"name": …, "value": …}`).
pub(crate) fn read_array(json: &str) -> Result<Notes, Wrong> {
    check_length(json)?;
    let members: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| not_an_array())?;
    read_all(members.into_iter().map(|member| match text_of(member) {
        Some(line) => split(&line),
        None => match serde_json::from_str::<Field>(member.get()) {
            Ok(Field { name, value }) => Ok((name, value)),
            Err(_) => Err(not_an_array()),
        },
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: CompactString,
    value: CompactString,
}

type Pair = (CompactString, CompactString);

fn check_length(written: &str) -> Result<(), Wrong> {
    if written.len() > MAX_HEADERS_BYTES {
        return Err(format_compact!("headers must have at most {MAX_HEADERS_BYTES} bytes"));
    }
    Ok(())
}

fn not_an_array() -> Wrong {
    Wrong::const_new("headers must be a string of header fields, or an array of strings or of objects {name, value}")
}

fn split(line: &str) -> Result<Pair, Wrong> {
    match line.split_once(':') {
        Some((name, value)) => Ok((name.trim_end_matches([' ', '\t']).into(), value.into())),
        None => Err(format_compact!("headers must be lines of the form \"Name: value\", not {line:?}")),
    }
}

fn read_all(fields: impl Iterator<Item = Result<Pair, Wrong>>) -> Result<Notes, Wrong> {
    let mut notes = Notes::default();
    for field in fields {
        let (name, value) = field?;
        if notes.0.len() == MAX_HEADERS {
            return Err(format_compact!("headers must be at most {MAX_HEADERS} header fields"));
        }
        if !is_token(&name) {
            return Err(format_compact!("headers: {name:?} is not the name of a header field"));
        }
        if !is_yours(&name) {
            return Err(format_compact!("headers: {name} belongs to the dialog and cannot be set"));
        }
        let value = value.trim_matches([' ', '\t']);
        // OpenSIPS reads escapes such as \r in the fields that it is handed.
        if value.chars().any(|one| one == '\\' || (one.is_control() && one != '\t')) {
            return Err(format_compact!("headers: the value of {name} has a control character or a backslash"));
        }
        notes.0.push((name, value.into()));
    }
    Ok(notes)
}

/// RFC 3261 section 25.1.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

fn is_yours(name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let is_content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
    !is_content && !NOT_YOURS.into_iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(notes: &Notes) -> Vec<(&str, &str)> {
        notes.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn lines_and_arrays_say_the_same() {
        let expected = [("Reason", "X;text=\"on hold: lunch\""), ("X-Empty", "")];
        for text in
            ["Reason: X;text=\"on hold: lunch\"\r\nX-Empty:\r\n", "Reason : X;text=\"on hold: lunch\"\n\nX-Empty:  "]
        {
            assert_eq!(pairs(&read_text(text).unwrap()), expected);
        }
        let array = r#"["Reason: X;text=\"on hold: lunch\"", {"name":"X-Empty","value":""}]"#;
        assert_eq!(pairs(&read_array(array).unwrap()), expected);
        assert_eq!(read_text("").unwrap(), Notes::default());
        assert_eq!(read_array("[]").unwrap(), Notes::default());
    }

    #[test]
    fn what_belongs_to_the_dialog_cannot_be_set() {
        for name in ["via", "F", "From", "to", "Call-ID", "i", "CSEQ", "Contact", "m", "route", "Record-Route"] {
            assert!(read_text(&format!("{name}: x")).unwrap_err().contains("belongs to the dialog"), "{name}");
        }
        for name in ["Max-Forwards", "content-length", "Content-Anything", "c", "L", "e", "v", "t"] {
            assert!(read_text(&format!("{name}: x")).unwrap_err().contains("belongs to the dialog"), "{name}");
        }
        assert!(read_text("Contented: x").is_ok());
    }

    #[test]
    fn nothing_can_be_smuggled_in() {
        for text in [
            "X-A: b\rVia: c",
            " X-A: b",
            "X-A: b\r\n folded",
            "X-A",
            ": b",
            "X A: b",
            "X\u{e9}: b",
            "X-A: b\\r\\nVia: c",
            "X-A: \u{0}",
            "X-A: \u{85}",
        ] {
            assert!(read_text(text).is_err(), "{text:?}");
        }
        for array in [
            r#"["X-A: b\r\nVia: c"]"#,
            r#"[{"name":"X-A","value":"b\nVia: c"}]"#,
            r#"[{"name":"X-A\r\nVia","value":"b"}]"#,
            r#"[{"name":"X-A"}]"#,
            r#"[{"name":"X-A","value":"b","more":1}]"#,
            r#"[5]"#,
            r#"{"X-A":"b"}"#,
        ] {
            assert!(read_array(array).is_err(), "{array}");
        }
    }

    #[test]
    fn they_are_limited() {
        let some = |count: usize| "X-A: b\n".repeat(count);
        assert!(read_text(&some(MAX_HEADERS)).is_ok());
        assert!(read_text(&some(MAX_HEADERS + 1)).unwrap_err().contains("at most 16"));
        let long = |bytes: usize| format!("X-A: {}", "b".repeat(bytes - 5));
        assert!(read_text(&long(MAX_HEADERS_BYTES)).is_ok());
        assert!(read_text(&long(MAX_HEADERS_BYTES + 1)).unwrap_err().contains("at most 4096"));
    }
}
