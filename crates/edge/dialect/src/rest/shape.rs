//! What a member of a JSON object or a parameter of a query may be: one table checks what comes in and writes the
//! schemas of the OpenAPI document.
//!
//! ```text
//!   bytes ──▶ a JSON object ──▶ each member against its Field ──▶ Values
//!                 └─ 400            └─ 422: where (RFC 6901), and what was expected
//! ```

use std::borrow::Cow;
use std::time::Duration;

use hookswitch_call::{CallId, MAX_ADDRESS, Party};
use serde_json::{Map, Value, json};

use super::problem::{Code, Problem};
use crate::address::is_callable;
use crate::journal::{is_type_of_calls, types_of_calls};

/// A member of an object, or a parameter of a query.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for, in one line.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text of so many characters.
    Text(usize, usize),
    /// One `sip:`, `sips:` or `tel:` URI without header fields.
    Address,
    /// Letters and digits of ASCII, `.`, `_`, `@` and `-`, at least one and at most so many.
    Token(usize),
    /// True or false.
    Flag,
    /// A whole number from the first to the second.
    Whole(i64, i64),
    /// Seconds, fractions allowed, from the first to the second number.
    Seconds(u32, u32),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// The name of a call: `call_` and hexadecimal digits.
    Call,
    /// A type of events that are about a call, or the beginning of some and `*`.
    TypeOfCalls,
    /// Keys of a telephone, at least and at most so many.
    Keys(usize, usize),
    /// An object with these members and no other.
    Object(&'static [Field]),
    /// A list of so many values of one kind.
    List(&'static Kind, usize, usize),
    /// An object whose members, at most so many, have any name and values of one kind.
    Named(&'static Kind, usize),
    /// The same as another kind, or null.
    OrNull(&'static Kind),
    /// A time, RFC 3339. In answers only.
    Time,
    /// Any number of seconds. In answers only.
    Length,
    /// Any number. In answers only.
    Number,
    /// Any object. In answers only.
    Any,
}

impl Field {
    /// One that must be there.
    pub(super) const fn must(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, required: true, about }
    }

    /// One that may be left out.
    pub(super) const fn may(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, required: false, about }
    }
}

/// `caller` or `callee`.
pub(super) const PARTY: Kind = Kind::OneOf(&["caller", "callee"]);

const ADDRESS: &str = r"^(sips?:[A-Za-z0-9_.+-]+@[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,4})?(;[A-Za-z0-9_.-]+(=[A-Za-z0-9_.-]+)?)*|tel:\+?[0-9]{1,32})$";

const KEYS: &str = "0123456789*#ABCDabcd";

/// What to say of a value that is not what it should be: where it stands below the value that was looked at.
struct Wrong {
    below: String,
    code: Code,
    expected: Cow<'static, str>,
}

impl Kind {
    /// What it must be, in words.
    fn expected(&self) -> Cow<'static, str> {
        match self {
            Self::Text(least, most) => format!("a string of {least} to {most} characters").into(),
            Self::Address => "a sip:, sips: or tel: URI without header fields, of at most 2048 bytes".into(),
            Self::Token(most) => format!("1 to {most} letters, digits and . _ @ -").into(),
            Self::Flag => "true or false".into(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}").into(),
            Self::Seconds(least, most) => format!("a number of seconds from {least} to {most}").into(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")).into(),
            Self::Call => "the id of a call: call_ and hexadecimal digits".into(),
            Self::TypeOfCalls => {
                "a type of events of calls, or the beginning of some and *: call.ended, call.transfer*".into()
            }
            Self::Keys(least, most) => format!("{least} to {most} of the keys 0-9 * # A-D").into(),
            Self::Object(_) | Self::Named(..) | Self::Any => "an object".into(),
            Self::List(_, least, most) => format!("a list of {least} to {most} values").into(),
            Self::OrNull(kind) => format!("{}, or null", kind.expected()).into(),
            Self::Time => "a time".into(),
            Self::Length | Self::Number => "a number".into(),
        }
    }

    fn check(&self, value: &Value) -> Result<(), Wrong> {
        let fits = match self {
            Self::Text(least, most) => {
                value.as_str().is_some_and(|text| (*least..=*most).contains(&text.chars().count()))
            }
            Self::Address => value.as_str().is_some_and(is_callable),
            Self::Token(most) => value.as_str().is_some_and(|text| {
                (1..=*most).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte))
            }),
            Self::Flag => value.is_boolean(),
            Self::Whole(least, most) => whole(value).is_some_and(|number| (*least..=*most).contains(&number)),
            Self::Seconds(least, most) => {
                value.as_f64().is_some_and(|number| (f64::from(*least)..=f64::from(*most)).contains(&number))
            }
            Self::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Self::Call => value.as_str().and_then(call_named).is_some(),
            Self::TypeOfCalls => value.as_str().is_some_and(is_type_of_calls),
            Self::Keys(least, most) => value.as_str().is_some_and(|keys| {
                (*least..=*most).contains(&keys.len()) && keys.chars().all(|key| KEYS.contains(key))
            }),
            Self::Object(fields) => match value.as_object() {
                Some(members) => return check_members(fields, members),
                None => false,
            },
            Self::List(kind, least, most) => match value.as_array() {
                Some(list) if (*least..=*most).contains(&list.len()) => return check_list(kind, list),
                Some(_) | None => false,
            },
            Self::Named(kind, most) => match value.as_object() {
                Some(members) if members.len() <= *most => return check_named(kind, members),
                Some(_) | None => false,
            },
            Self::OrNull(kind) => return if value.is_null() { Ok(()) } else { kind.check(value) },
            Self::Time => value.is_string(),
            Self::Length | Self::Number => value.is_number(),
            Self::Any => value.is_object(),
        };
        if fits {
            Ok(())
        } else {
            Err(Wrong { below: String::new(), code: Code::InvalidField, expected: self.expected() })
        }
    }

    /// Its JSON Schema (2020-12).
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Text(least, most) => json!({ "type": "string", "minLength": least, "maxLength": most }),
            // What the pattern allows is taken; so are stranger forms of RFC 3261 and RFC 3966.
            Self::Address => json!({
                "type": "string", "maxLength": MAX_ADDRESS, "examples": ["sip:alice@example.test"], "pattern": ADDRESS,
            }),
            Self::Token(most) => json!({ "type": "string", "pattern": format!("^[0-9A-Za-z._@-]{{1,{most}}}$") }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Seconds(least, most) => json!({ "type": "number", "minimum": least, "maximum": most }),
            Self::OneOf(names) => json!({ "type": "string", "enum": names }),
            Self::Call => json!({ "type": "string", "pattern": "^call_[0-9a-f]{12,16}$" }),
            // Other beginnings are taken as well.
            Self::TypeOfCalls => {
                let names: Vec<&str> = types_of_calls().map(|row| row.name).chain(["call.*"]).collect();
                json!({ "type": "string", "enum": names })
            }
            Self::Keys(least, most) => {
                json!({ "type": "string", "pattern": format!("^[0-9*#A-Da-d]{{{least},{most}}}$") })
            }
            Self::Object(fields) => object_schema(fields),
            Self::List(kind, least, most) => {
                json!({ "type": "array", "items": kind.schema(), "minItems": least, "maxItems": most })
            }
            Self::Named(kind, most) => {
                json!({ "type": "object", "additionalProperties": kind.schema(), "maxProperties": most })
            }
            Self::OrNull(kind) => json!({ "anyOf": [kind.schema(), { "type": "null" }] }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Length | Self::Number => json!({ "type": "number" }),
            Self::Any => json!({ "type": "object" }),
        }
    }

    /// The value that a parameter of a query stands for.
    fn of_query(&self, text: &str) -> Value {
        match self {
            Self::Flag if matches!(text, "true" | "false") => Value::Bool(text == "true"),
            // A number is written in digits here and in no other way: `1e2` and `+1` are texts.
            Self::Whole(..) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
            }
            _ => Value::from(text),
        }
    }
}

/// The schema of an object with these members and no other.
pub(super) fn object_schema(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.kind.schema();
        schema["description"] = field.about.into();
        properties.insert(field.name.into(), schema);
    }
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn check_members(fields: &[Field], members: &Map<String, Value>) -> Result<(), Wrong> {
    for (name, value) in members {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let expected = if known.is_empty() { "no member".into() } else { format!("one of {}", known.join(", ")) };
            return Err(Wrong { below: pointed(name), code: Code::UnknownField, expected: expected.into() });
        };
        field.kind.check(value).map_err(|wrong| wrong.at(name))?;
    }
    match fields.iter().find(|field| field.required && !members.contains_key(field.name)) {
        Some(field) => {
            Err(Wrong { below: pointed(field.name), code: Code::MissingField, expected: field.kind.expected() })
        }
        None => Ok(()),
    }
}

fn check_list(kind: &Kind, list: &[Value]) -> Result<(), Wrong> {
    for (index, value) in list.iter().enumerate() {
        kind.check(value).map_err(|wrong| wrong.at(&index.to_string()))?;
    }
    Ok(())
}

fn check_named(kind: &Kind, members: &Map<String, Value>) -> Result<(), Wrong> {
    for (name, value) in members {
        kind.check(value).map_err(|wrong| wrong.at(name))?;
    }
    Ok(())
}

impl Wrong {
    fn at(self, name: &str) -> Self {
        Self { below: format!("{}{}", pointed(name), self.below), ..self }
    }

    fn into_problem(self) -> Problem {
        let detail = match self.code {
            Code::UnknownField => "there is no such member",
            Code::MissingField => "a member is missing",
            _ => "a member is not what it must be",
        };
        Problem::new(self.code, detail).at(self.below).expected(self.expected)
    }
}

/// A name as a step of a JSON pointer (RFC 6901 section 3).
fn pointed(name: &str) -> String {
    // A stranger's name comes back cut short.
    let name: String = name.chars().take(64).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A whole number, also written as `2.0`: JSON knows one kind of numbers.
fn whole(value: &Value) -> Option<i64> {
    let written = value.as_i64();
    // Every number below 2^53 has an exact form.
    written.or_else(|| {
        value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15).map(|number| number as i64)
    })
}

/// The call that a name means.
pub(super) fn call_named(name: &str) -> Option<CallId> {
    hexadecimal(name.strip_prefix("call_")?).map(CallId)
}

/// 12 to 16 hexadecimal digits.
pub(super) fn hexadecimal(digits: &str) -> Option<u64> {
    let written = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = (12..=16).contains(&digits.len()) && digits.bytes().all(written);
    fits.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// Values that have been checked against their fields.
#[derive(Clone, Debug, Default)]
pub struct Values(Map<String, Value>);

impl Values {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no JSON object (400), or not one with these members (422).
    pub(super) fn read(fields: &'static [Field], body: &[u8]) -> Result<Self, Problem> {
        let blank = body.iter().all(u8::is_ascii_whitespace);
        // Whoever has nothing to say may say nothing, if nothing has to be said.
        if blank && fields.iter().all(|field| !field.required) {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            // What serde says may repeat the text; the place is enough.
            let detail = format!("the body is not valid JSON at line {} column {}", error.line(), error.column());
            Problem::new(Code::MalformedBody, detail).expected("a JSON object")
        })?;
        let Value::Object(members) = value else {
            return Err(Problem::new(Code::MalformedBody, "the body is JSON, but no object").expected("a JSON object"));
        };
        check_members(fields, &members).map_err(Wrong::into_problem)?;
        Ok(Self(members))
    }

    /// Reads the body of a request that has none; an empty object says as little.
    ///
    /// # Errors
    /// It says something, which its sender believes to count: 400 or 422.
    pub(super) fn of_no_body(body: &[u8]) -> Result<Self, Problem> {
        Self::read(&[], body).map_err(|problem| problem.expected("no body"))
    }

    /// Reads a query, `name=value&…`.
    ///
    /// # Errors
    /// A parameter is not known, comes twice, or is not what it must be: 422.
    pub(super) fn of_query(fields: &'static [Field], query: &str) -> Result<Self, Problem> {
        let mut members = Map::new();
        let bad = |code, name: &str, expected: Cow<'static, str>| {
            let name: String = name.chars().take(64).collect();
            Problem::new(code, "a parameter of the query cannot be taken").at(format!("?{name}")).expected(expected)
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (unescaped(name, true), unescaped(value, true)) else {
                return Err(bad(Code::InvalidParameter, name, "UTF-8, escaped as in a URI".into()));
            };
            let Some(field) = fields.iter().find(|field| field.name == name) else {
                let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
                let known =
                    if known.is_empty() { "no parameter".into() } else { format!("one of {}", known.join(", ")) };
                return Err(bad(Code::UnknownParameter, &name, known.into()));
            };
            let value = field.kind.of_query(&value);
            if members.contains_key(&name) {
                return Err(bad(Code::InvalidParameter, &name, "it once".into()));
            }
            field.kind.check(&value).map_err(|wrong| bad(Code::InvalidParameter, &name, wrong.expected))?;
            members.insert(name, value);
        }
        Ok(Self(members))
    }

    #[cfg(test)]
    pub(super) const fn of(members: Map<String, Value>) -> Self {
        Self(members)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether it was written, also as null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sees to it that a member is not there which would mean nothing beside the others: whoever writes it believes that it
    /// counts.
    ///
    /// # Errors
    /// It is there. `place` is where this object stands in the body, `expected` what would give the member a meaning.
    pub(super) fn lacks(&self, name: &str, place: &str, expected: &'static str) -> Result<(), Problem> {
        if !self.has(name) {
            return Ok(());
        }
        let problem = Problem::new(Code::InvalidField, "the member means nothing beside the others");
        Err(problem.at(format!("{place}/{name}")).expected(expected))
    }

    /// A text, if it was written.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A whole number, if it was written.
    #[must_use]
    pub fn whole(&self, name: &str) -> Option<i64> {
        whole(self.get(name)?)
    }

    /// A time, to the microsecond.
    pub(super) fn seconds(&self, name: &str) -> Option<Duration> {
        self.get(name)?.as_f64().map(Duration::from_secs_f64)
    }

    pub(super) fn call(&self, name: &str) -> Option<CallId> {
        call_named(self.text(name)?)
    }

    pub(super) fn party(&self, name: &str) -> Option<Party> {
        match self.text(name)? {
            "caller" => Some(Party::Caller),
            "callee" => Some(Party::Callee),
            _ => None,
        }
    }

    /// A list of texts, if it was written.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let list = self.get(name)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        let list = self.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_object).cloned().map(Self).collect()
    }

    pub(super) fn object(&self, name: &str) -> Option<Self> {
        self.get(name)?.as_object().cloned().map(Self)
    }
}

/// A part of a URI without its escapes (RFC 3986 section 2.1); in a query `+` is a space.
pub(super) fn unescaped(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits =
                    std::str::from_utf8(&digits).ok().filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()))?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'+' if is_query => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field::must("to", Kind::Address, "whom"),
        Field::may("party", PARTY, "which end"),
        Field::may("times", Kind::Whole(1, 9), "how often"),
        Field::may(
            "sounds",
            Kind::List(&Kind::Object(&[Field::must("file", Kind::Text(1, 5), "a file")]), 1, 2),
            "what",
        ),
    ];

    fn problem(body: &str) -> (Code, Option<String>) {
        let problem = Values::read(FIELDS, body.as_bytes()).expect_err(body);
        (problem.code, problem.field)
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (body, code, field) in [
            ("", Code::MalformedBody, None),
            ("[]", Code::MalformedBody, None),
            ("{\"to\":", Code::MalformedBody, None),
            ("{}", Code::MissingField, Some("/to")),
            (r#"{"to":"alice"}"#, Code::InvalidField, Some("/to")),
            (r#"{"to":7}"#, Code::InvalidField, Some("/to")),
            (r#"{"to":"sip:a@b","part/y":1}"#, Code::UnknownField, Some("/part~1y")),
            (r#"{"to":"sip:a@b","party":"both"}"#, Code::InvalidField, Some("/party")),
            (r#"{"to":"sip:a@b","times":0}"#, Code::InvalidField, Some("/times")),
            (r#"{"to":"sip:a@b","times":1.5}"#, Code::InvalidField, Some("/times")),
            (r#"{"to":"sip:a@b","sounds":[]}"#, Code::InvalidField, Some("/sounds")),
            (r#"{"to":"sip:a@b","sounds":[{"file":"a"},{}]}"#, Code::MissingField, Some("/sounds/1/file")),
            (r#"{"to":"sip:a@b","sounds":[{"file":"abcdef"}]}"#, Code::InvalidField, Some("/sounds/0/file")),
        ] {
            assert_eq!(problem(body), (code, field.map(str::to_owned)), "{body}");
        }
        let values = Values::read(FIELDS, br#"{"to":"tel:+49","party":"callee","times":2.0}"#).unwrap();
        assert_eq!((values.text("to"), values.whole("times")), (Some("tel:+49"), Some(2)));
        assert_eq!(values.party("party"), Some(Party::Callee));
    }

    #[test]
    fn a_request_without_a_body_takes_none() {
        for nothing in ["", "\r\n", "{}", " { } "] {
            assert!(Values::of_no_body(nothing.as_bytes()).is_ok(), "{nothing:?}");
        }
        for (body, code, field) in [
            (r#"{"cause":"busy"}"#, Code::UnknownField, Some("/cause")),
            ("[]", Code::MalformedBody, None),
            ("cause=busy", Code::MalformedBody, None),
        ] {
            let problem = Values::of_no_body(body.as_bytes()).expect_err(body);
            assert_eq!((problem.code, problem.field.as_deref()), (code, field), "{body}");
            assert_eq!(problem.expected.as_deref(), Some("no body"));
        }
    }

    #[test]
    fn a_query_names_each_known_parameter_at_most_once() {
        const QUERY: &[Field] =
            &[Field::may("limit", Kind::Whole(1, 500), "so many"), Field::may("to", Kind::Text(0, 9), "t")];
        let values = Values::of_query(QUERY, "limit=20&to=a%2Bb+c").unwrap();
        assert_eq!((values.whole("limit"), values.text("to")), (Some(20), Some("a+b c")));
        for (query, code, field) in [
            ("limit=0", Code::InvalidParameter, "?limit"),
            ("limit=1e2", Code::InvalidParameter, "?limit"),
            ("limit=99999999999999999999", Code::InvalidParameter, "?limit"),
            ("limit=2&limit=2", Code::InvalidParameter, "?limit"),
            ("to=%zz", Code::InvalidParameter, "?to"),
            ("to=%ff", Code::InvalidParameter, "?to"),
            ("x=1", Code::UnknownParameter, "?x"),
        ] {
            let problem = Values::of_query(QUERY, query).expect_err(query);
            assert_eq!((problem.code, problem.field.as_deref()), (code, Some(field)), "{query}");
        }
    }

    #[test]
    fn a_call_is_named_in_hexadecimal() {
        assert_eq!(call_named("call_00000000001f"), Some(CallId(0x1f)));
        for other in ["call_1f", "call_00000000001F", "00000000001f", "call_", "call_+0000000001f", "cmd_00000000001f"]
        {
            assert_eq!(call_named(other), None, "{other}");
        }
    }
}
