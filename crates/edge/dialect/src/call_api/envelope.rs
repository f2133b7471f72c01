//! Reads the JSON-RPC frame around a command: `{jsonrpc, id, method, params}`.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::mode::Mode;
use super::notice::Problem;
use super::reply::ReplyId;

/// A request as written: nothing of it has been believed yet, but it is a request.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    /// As it stands in the text, to be echoed to the last digit; none if the member is absent.
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) method: Cow<'a, str>,
    pub(crate) params: Option<&'a RawValue>,
}

/// A text that is no request, and the id to answer under.
pub(crate) type NoRequest<'a> = (ReplyId<'a>, Problem);

impl<'a> Envelope<'a> {
    /// Reads one JSON text as one request.
    pub(crate) fn read(mode: Mode, text: &'a str) -> Result<Self, NoRequest<'a>> {
        match mode {
            Mode::Original => Members::read(text, str::eq_ignore_ascii_case)
                .map_err(|error| error.to_string())
                .and_then(Self::lenient)
                .map_err(|why| (ReplyId::Empty, Problem::unparsable(&why))),
            Mode::Strict => Members::read(text, |one, other| one == other)
                .map_err(|error| (ReplyId::Null, Problem::not_a_request(&error.to_string())))
                .and_then(Self::strict),
        }
    }

    /// As the original reads: `jsonrpc` may say anything in a string, members may be missing.
    fn lenient(members: Members<'a>) -> Result<Self, String> {
        if !members.jsonrpc.is_none_or(is_text_or_null) {
            return Err("jsonrpc must be a string".to_owned());
        }
        let method = match members.method {
            Some(raw) if raw.get() != "null" => text_of(raw).ok_or_else(|| "method must be a string".to_owned())?,
            _ => Cow::Borrowed(""),
        };
        Ok(Self { id: members.id, method, params: members.params })
    }

    fn strict(members: Members<'a>) -> Result<Self, NoRequest<'a>> {
        let id = match members.id {
            None => ReplyId::Null,
            Some(raw) if is_strict_id(raw.get()) => ReplyId::Raw(raw),
            Some(_) => {
                let why = "id must be a string, an integer or null";
                return Err((ReplyId::Null, Problem::not_a_request(why)));
            }
        };
        let refuse = |why: &str| (id, Problem::not_a_request(why));
        if let Some(name) = &members.unknown {
            return Err(refuse(&format!("unknown member {name:?}")));
        }
        if let Some(name) = members.twice {
            return Err(refuse(&format!("member {name} occurs twice")));
        }
        if members.jsonrpc.and_then(text_of).as_deref() != Some("2.0") {
            return Err(refuse("jsonrpc must be \"2.0\""));
        }
        let Some(method) = members.method.and_then(text_of) else {
            return Err(refuse("method must be a string"));
        };
        Ok(Self { id: members.id, method, params: members.params })
    }
}

/// The string that a JSON value is, if it is one.
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

fn is_text_or_null(raw: &RawValue) -> bool {
    raw.get() == "null" || text_of(raw).is_some()
}

fn is_strict_id(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    raw == "null" || raw.starts_with('"') || digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The members of an object that a request is made of, still as text.
#[derive(Default)]
struct Members<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    /// A member that is none of these.
    unknown: Option<CompactString>,
    /// A member that occurs again; the later one counts.
    twice: Option<&'static str>,
}

impl<'a> Members<'a> {
    fn read(text: &'a str, same: fn(&str, &str) -> bool) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(Reading { same })?;
        reader.end()?;
        Ok(members)
    }

    fn slot(&mut self, name: &str, same: fn(&str, &str) -> bool) -> Option<(&'static str, &mut Option<&'a RawValue>)> {
        [
            ("jsonrpc", &mut self.jsonrpc),
            ("id", &mut self.id),
            ("method", &mut self.method),
            ("params", &mut self.params),
        ]
        .into_iter()
        .find(|(known, _)| same(known, name))
    }
}

struct Reading {
    same: fn(&str, &str) -> bool,
}

impl<'a> Visitor<'a> for Reading {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<CompactString>()? {
            let Some((known, slot)) = members.slot(&name, self.same) else {
                map.next_value::<IgnoredAny>()?;
                members.unknown.get_or_insert(name);
                continue;
            };
            let again = slot.replace(map.next_value()?).is_some();
            if again {
                members.twice = Some(known);
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict_code(text: &str) -> i32 {
        match Envelope::read(Mode::Strict, text) {
            Ok(_) => 0,
            Err((_, problem)) => problem.strict_code,
        }
    }

    #[test]
    fn the_original_manner_overlooks_much() {
        for text in [
            r#"{"jsonrpc":"1.0","id":1,"method":"Echo","params":{}}"#,
            r#"{"id":1,"method":"Echo","params":{}}"#,
            r#"{"ID":1,"Method":"Echo","PARAMS":{},"foo":1}"#,
            r#" {"method":"x","method":"Echo"} "#,
        ] {
            let envelope = Envelope::read(Mode::Original, text).unwrap();
            assert_eq!(envelope.method, "Echo", "{text}");
        }
        for text in ["", "[]", "null", "{} x", "{\"jsonrpc\":2}", "{\"method\":[]}"] {
            assert!(Envelope::read(Mode::Original, text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_strict_manner_overlooks_nothing() {
        assert_eq!(strict_code(r#"{"jsonrpc":"2.0","method":"Echo"}"#), 0);
        for id in ["1", "-1", "null", "\"x\"", "12345678901234567890"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"Echo"}}"#);
            assert_eq!(strict_code(&text), 0, "{id}");
        }
        for id in ["1.5", "1e3", "{}", "[1]", "true"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"Echo"}}"#);
            assert_eq!(strict_code(&text), -32600, "{id}");
        }
        for text in [
            r#"{"method":"Echo"}"#,
            r#"{"jsonrpc":"1.0","method":"Echo"}"#,
            r#"{"jsonrpc":"2.0","Method":"Echo"}"#,
            r#"{"jsonrpc":"2.0","method":"Echo","method":"Echo"}"#,
            r#"{"jsonrpc":"2.0","method":"Echo","more":1}"#,
            r#"{"jsonrpc":"2.0","method":5}"#,
            "5",
        ] {
            assert_eq!(strict_code(text), -32600, "{text}");
        }
    }

    #[test]
    fn strings_are_read_with_and_without_escapes() {
        let read = |text: &str| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            text_of(&raw).map(Cow::into_owned)
        };
        assert_eq!(read(r#""plain""#).as_deref(), Some("plain"));
        assert_eq!(read(r#""\u00fc\n""#).as_deref(), Some("ü\n"));
        assert_eq!(read(r#""\ud800""#), None);
        assert_eq!(read("5"), None);
    }
}
