//! The parameters of a command: strings by name, and the table that says which it takes.

use std::collections::BTreeMap;
use std::fmt;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{Fault, Notes, Party};
use serde::Serialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::command::CommandRow;
use super::envelope::text_of;
use super::headers;
use super::mode::Mode;
use super::notice::{Notice, Problem, Reason, Stage};
use crate::address::is_callable;
use crate::journal::{BadQuery, Filter, event_id};

/// Longest name of a call that a client may write, in bytes.
pub(crate) const MAX_NAMED: usize = 1_024;

/// What stands in the place of an event for those from now on.
pub(crate) const NOW: &str = "now";

/// One parameter of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is for, in one line.
    pub about: &'static str,
}

/// What a parameter may be. All are strings; strict sessions may write some in another way too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One SIP, SIPS or tel URI of at most [`MAX_ADDRESS`](hookswitch_call::MAX_ADDRESS) bytes and
    /// without header fields.
    Uri,
    /// A SIP Call-ID, or the `cmd_id` of a running `CallStart` of the same connection.
    CallId,
    /// `caller` or `callee`.
    Leg,
    /// The `cmd_id` of a running command of the same connection.
    CommandId,
    /// Header fields, one a line; or an array of strings or of objects `{name, value}`.
    Headers,
    /// `true` or `false`, as a string or as such.
    Flag,
    /// The id of an event of the log, or `now`.
    EventId,
    /// Ids of calls, as the log has them, with commas between them.
    Calls,
    /// Types of events of calls, with commas between them.
    Types,
    /// Domains, with commas between them.
    Domains,
}

/// Makes a filter narrower by what was given for a parameter of this name.
type Narrow = fn(&mut Filter, &'static str, &str) -> Result<(), BadQuery>;

impl Kind {
    /// What a parameter of this kind is, for documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uri => "URI",
            Self::CallId => "Call-ID",
            Self::Leg => "leg",
            Self::CommandId => "cmd_id",
            Self::Headers => "header fields",
            Self::Flag => "true or false",
            Self::EventId => "event id",
            Self::Calls => "ids of calls",
            Self::Types => "types of events",
            Self::Domains => "domains",
        }
    }

    /// Whether a strict session may write it as this JSON value, which is no string.
    fn may_be(self, json: &str) -> bool {
        match self {
            Self::Headers => json.starts_with('['),
            Self::Flag => json == "true" || json == "false",
            Self::Uri | Self::CallId | Self::Leg | Self::CommandId | Self::EventId => false,
            Self::Calls | Self::Types | Self::Domains => false,
        }
    }

    /// What it does to a filter of events.
    fn narrows(self) -> Option<Narrow> {
        match self {
            Self::Calls => Some(Filter::only_calls),
            Self::Types => Some(Filter::only_types_of_calls),
            Self::Domains => Some(Filter::only_domains),
            Self::Uri | Self::CallId | Self::Leg | Self::CommandId | Self::Headers | Self::Flag | Self::EventId => None,
        }
    }

    /// What it must be, for a client that wrote something else than a string.
    const fn expected(self) -> &'static str {
        match self {
            Self::Headers => "a string or an array",
            Self::Flag => "a string, true or false",
            Self::Uri | Self::CallId | Self::Leg | Self::CommandId | Self::EventId => "a string",
            Self::Calls | Self::Types | Self::Domains => "a string with commas between its values",
        }
    }
}

/// A parameter that is missing or that its command cannot use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadParam {
    /// As original clients read it: the `data` of an `Error`.
    data: CompactString,
    code: i32,
    /// As strict clients read it: the message of the error reply.
    text: CompactString,
    param: CompactString,
}

impl BadParam {
    fn new(param: &str, code: i32, data: &'static str, text: CompactString) -> Self {
        Self { data: CompactString::const_new(data), code, text, param: param.into() }
    }

    /// Something that the original has no word for.
    fn in_our_words(param: &str, text: CompactString) -> Self {
        Self { data: text.clone(), code: 0, text, param: param.into() }
    }

    /// As an error reply: no command starts.
    pub(crate) fn into_problem(self) -> Problem {
        Problem::params(&self.text, &self.text, Some(&self.param))
    }

    /// As the `Error` of a command that has started.
    pub(crate) fn into_notice(self) -> Notice {
        let mut reason = Reason::new(Stage::Request, self.code, Fault::Controller, &self.text);
        reason.param = Some(self.param);
        Notice::error(self.data, reason)
    }
}

/// The value of a parameter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    /// A string.
    Text(CompactString),
    /// Something else that its kind allows, as JSON.
    Json(CompactString),
}

impl Value {
    pub(crate) fn as_written(&self) -> &str {
        match self {
            Self::Text(text) | Self::Json(text) => text,
        }
    }
}

/// Parameters by name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Params(BTreeMap<CompactString, Value>);

impl Params {
    /// The value of a parameter as written; empty if it was not given, which a row's mandatory ones
    /// always are.
    pub(crate) fn get(&self, name: &str) -> CompactString {
        match self.0.get(name) {
            Some(Value::Text(text) | Value::Json(text)) => text.clone(),
            None => CompactString::default(),
        }
    }

    /// Parameters as a client would write them.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(texts: [(&str, &str); N]) -> Self {
        Self(texts.into_iter().map(|(name, text)| (name.into(), Value::Text(text.into()))).collect())
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a parameter as written, if it was given.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Value::as_written)
    }

    /// A party, where one was named.
    pub(crate) fn party(&self, name: &str) -> Option<Party> {
        match self.value(name)? {
            "caller" => Some(Party::Caller),
            "callee" => Some(Party::Callee),
            _ => None,
        }
    }

    /// A party that had to be named.
    pub(crate) fn leg(&self, name: &str) -> Party {
        self.party(name).expect("the parameters were checked against their row")
    }

    /// A flag; false if it was not given.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// Header fields; none if there are none.
    pub(crate) fn notes(&self, name: &str) -> Notes {
        let notes = self.0.get(name).map(read_notes);
        notes.map(|notes| notes.expect("the parameters were checked against their row")).unwrap_or_default()
    }

    /// Which events of calls are wanted; none where nothing was said of that.
    pub(crate) fn filter(&self, row: &CommandRow) -> Option<Filter> {
        let mut filter = None;
        for param in row.known_params() {
            if let (Some(narrow), Some(values)) = (param.kind.narrows(), self.value(param.name)) {
                let narrowed = narrow(filter.get_or_insert_with(Filter::of_calls), param.name, values);
                narrowed.expect("the parameters were checked against their row");
            }
        }
        filter
    }

    /// Checks against a row: presence first, in the order of the table, then shape.
    pub(crate) fn check(&self, row: &CommandRow) -> Result<(), BadParam> {
        for param in row.params {
            if !self.0.contains_key(param.name) {
                let text = format_compact!("{} not specified", param.name);
                return Err(BadParam::in_our_words(param.name, text));
            }
        }
        row.known_params().try_for_each(|param| match self.0.get(param.name) {
            Some(value) => check_shape(row, *param, value),
            None => Ok(()),
        })
    }

    /// The first parameter that is neither in the row nor one that every command takes.
    pub(crate) fn unknown(&self, row: &CommandRow) -> Option<&str> {
        let is_known = |name: &str| {
            name == "cmd_id" || name == "idempotency_key" || row.known_params().any(|param| param.name == name)
        };
        self.0.keys().map(CompactString::as_str).find(|name| !is_known(name))
    }
}

fn check_shape(row: &CommandRow, param: Param, value: &Value) -> Result<(), BadParam> {
    let name = param.name;
    let text = value.as_written();
    let bad = |code, data, must: std::fmt::Arguments<'_>| {
        Err(BadParam::new(name, code, data, format_compact!("{name} must be {must}")))
    };
    match param.kind {
        Kind::Uri if !is_callable(text) => {
            bad(400, "400 Invalid ruri", format_args!("one SIP, SIPS or tel URI without header fields"))
        }
        Kind::Leg if text != "caller" && text != "callee" => {
            // The words of OpenSIPS: a transfer takes the leg as its own kind of value, a hold as any text.
            let is_optional = row.optional.contains(&param);
            let (code, data) = if is_optional { (420, "420 Bad leg") } else { (-32000, "-32000 Server error") };
            bad(code, data, format_args!("caller or callee"))
        }
        Kind::CallId if text.len() > MAX_NAMED || text.chars().any(char::is_control) => {
            let data = match (row.name, name) {
                ("CallEnd", _) => "404 Requested Dialog not found",
                (_, "callidB") => "404 Transfer dialog not found",
                _ => "404 Dialog not found",
            };
            let must = format_args!("a Call-ID: at most {MAX_NAMED} bytes and no control characters");
            Err(BadParam::new(name, 404, data, format_compact!("{name} must be {must}")))
        }
        Kind::Flag if text != "true" && text != "false" => {
            Err(BadParam::in_our_words(name, format_compact!("{name} must be true or false")))
        }
        Kind::EventId if text != NOW && event_id(name, text).is_err() => {
            let must = format_compact!("{name} must be `now` or the id of an event: decimal digits");
            Err(BadParam::in_our_words(name, must))
        }
        Kind::Headers => read_notes(value).map(drop).map_err(|why| BadParam::in_our_words(name, why)),
        kind => match kind.narrows() {
            Some(narrow) => narrow(&mut Filter::default(), name, text)
                .map_err(|why| BadParam::in_our_words(name, format_compact!("{why}"))),
            None => Ok(()),
        },
    }
}

fn read_notes(value: &Value) -> Result<Notes, headers::Wrong> {
    match value {
        Value::Text(text) => headers::read_text(text),
        Value::Json(json) => headers::read_array(json),
    }
}

/// Parameters that are still as written: an object, nothing more is known.
#[derive(Debug, Default)]
pub(crate) struct RawParams<'a>(BTreeMap<CompactString, &'a RawValue>);

impl<'a> RawParams<'a> {
    /// Reads an object; anything else is `None`.
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::Deserializer::from_str(raw.get()).deserialize_map(Reading).ok()
    }

    /// One parameter as written.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    /// All with their values, or the name of one that may not be what it is, and what it must be.
    pub(crate) fn into_params(self, mode: Mode, row: &CommandRow) -> Result<Params, (CompactString, &'static str)> {
        let mut params = BTreeMap::new();
        for (name, raw) in self.0 {
            let value = match text_of(raw) {
                Some(text) => Value::Text(text.into()),
                None => {
                    let kind = row.known_params().find(|param| param.name == name).map(|param| param.kind);
                    let kind = kind.filter(|_| mode == Mode::Strict);
                    match kind {
                        Some(kind) if kind.may_be(raw.get()) => Value::Json(raw.get().into()),
                        _ => return Err((name, kind.map_or("a string", Kind::expected))),
                    }
                }
            };
            params.insert(name, value);
        }
        Ok(Params(params))
    }
}

struct Reading;

impl<'a> Visitor<'a> for Reading {
    type Value = RawParams<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<RawParams<'a>, A::Error> {
        let mut params = RawParams::default();
        while let Some((name, value)) = map.next_entry::<CompactString, &'a RawValue>()? {
            params.0.insert(name, value);
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_api::command;

    fn row(name: &str) -> &'static CommandRow {
        command::find(Mode::Strict, name).unwrap()
    }

    fn read(mode: Mode, name: &str, text: &str) -> Result<Params, (CompactString, &'static str)> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        RawParams::read(raw).unwrap().into_params(mode, row(name))
    }

    fn bad(name: &str, text: &str) -> (CompactString, CompactString) {
        let bad = read(Mode::Strict, name, text).unwrap().check(row(name)).unwrap_err();
        (bad.data, bad.text)
    }

    #[test]
    fn presence_comes_before_shape() {
        let said = |text| bad("CallBlindTransfer", text);
        assert_eq!(said(r#"{"callid":"x","leg":"both"}"#).0, "destination not specified");
        let leg = said(r#"{"callid":"x","leg":"both","destination":"nowhere"}"#);
        assert_eq!(leg, ("-32000 Server error".into(), "leg must be caller or callee".into()));
        let uri = said(r#"{"callid":"x","leg":"caller","destination":"nowhere"}"#);
        assert_eq!(uri.0, "400 Invalid ruri");
        let good = read(Mode::Strict, "CallBlindTransfer", r#"{"callid":"x","leg":"caller","destination":"sip:a@b"}"#);
        assert_eq!(good.unwrap().check(row("CallBlindTransfer")), Ok(()));
    }

    #[test]
    fn the_optional_may_be_missing_but_not_wrong() {
        assert_eq!(read(Mode::Strict, "CallHold", r#"{"callid":"x"}"#).unwrap().check(row("CallHold")), Ok(()));
        let leg = bad("CallHold", r#"{"callid":"x","leg":"both"}"#);
        assert_eq!(leg, ("420 Bad leg".into(), "leg must be caller or callee".into()));
        let headers = bad("CallHold", r#"{"callid":"x","headers":"To: x"}"#);
        assert_eq!(headers.0, "headers: To belongs to the dialog and cannot be set");
    }

    #[test]
    fn a_call_id_is_short_and_printable() {
        let long = format!(r#"{{"callid":"{}"}}"#, "x".repeat(MAX_NAMED + 1));
        assert_eq!(bad("CallEnd", &long).0, "404 Requested Dialog not found");
        assert_eq!(bad("CallHold", r#"{"callid":"x\r\nVia: y"}"#).0, "404 Dialog not found");
        let long = format!(r#"{{"callid":"{}"}}"#, "x".repeat(MAX_NAMED));
        assert_eq!(read(Mode::Strict, "CallEnd", &long).unwrap().check(row("CallEnd")), Ok(()));
    }

    #[test]
    fn strings_and_what_a_strict_session_may_write_instead() {
        assert_eq!(read(Mode::Strict, "Echo", r#"{"a":"1","b":2}"#), Err(("b".into(), "a string")));
        let array: &RawValue = serde_json::from_str("[]").unwrap();
        assert!(RawParams::read(array).is_none());
        let headers = r#"{"callid":"x","headers":["X-A: b"]}"#;
        assert_eq!(read(Mode::Strict, "CallHold", headers).unwrap().notes("headers").0.len(), 1);
        assert_eq!(read(Mode::Original, "CallHold", headers), Err(("headers".into(), "a string")));
        let headers = r#"{"callid":"x","headers":5}"#;
        assert_eq!(read(Mode::Strict, "CallHold", headers), Err(("headers".into(), "a string or an array")));
        for (flag, is_on) in [("true", true), ("\"true\"", true), ("false", false), ("\"false\"", false)] {
            let params = format!(r#"{{"notify_end":{flag}}}"#);
            assert_eq!(read(Mode::Strict, "CallStart", &params).unwrap().flag("notify_end"), is_on);
        }
    }

    #[test]
    fn unknown_ones_are_found() {
        let unknown = |text| read(Mode::Strict, "CallHold", text).unwrap().unknown(row("CallHold")).map(str::to_owned);
        assert_eq!(unknown(r#"{"leg":"","cmd_id":"","idempotency_key":"","headers":""}"#), None);
        assert_eq!(unknown(r#"{"leg":"","x":""}"#).as_deref(), Some("x"));
    }
}
