//! The parameters of a command: strings by name, and the table that says which it takes.

use std::collections::BTreeMap;
use std::fmt;

use compact_str::{CompactString, format_compact};
use hookswitch_call::Fault;
use serde::Serialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::address::is_callable;
use super::envelope::text_of;
use super::notice::{Notice, Problem, Reason, Stage};

/// One parameter that a command must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is for, in one line.
    pub about: &'static str,
}

/// What a parameter may be. All are strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One SIP, SIPS or tel URI of at most [`MAX_ADDRESS`](hookswitch_call::MAX_ADDRESS) bytes.
    Uri,
    /// A SIP Call-ID, or the `cmd_id` of a running `CallStart` of the same connection.
    CallId,
    /// `caller` or `callee`.
    Leg,
    /// The `cmd_id` of a running command of the same connection.
    CommandId,
}

impl Kind {
    /// What a parameter of this kind is, for documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uri => "URI",
            Self::CallId => "Call-ID",
            Self::Leg => "leg",
            Self::CommandId => "cmd_id",
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

/// Parameters by name. All of them are strings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Params(BTreeMap<CompactString, CompactString>);

impl Params {
    /// The value of a parameter; empty if it was not given, which a row's mandatory ones always are.
    pub(crate) fn get(&self, name: &str) -> CompactString {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Checks against a row's parameters: presence first, in the order of the table, then shape.
    pub(crate) fn check(&self, params: &[Param]) -> Result<(), BadParam> {
        for param in params {
            if !self.0.contains_key(param.name) {
                let text = format_compact!("{} not specified", param.name);
                return Err(BadParam { data: text.clone(), code: 0, text, param: param.name.into() });
            }
        }
        params.iter().try_for_each(|param| self.check_shape(*param))
    }

    fn check_shape(&self, param: Param) -> Result<(), BadParam> {
        let value = self.get(param.name);
        let name = param.name;
        match param.kind {
            Kind::Uri if !is_callable(&value) => Err(BadParam {
                data: "400 Invalid ruri".into(),
                code: 400,
                text: format_compact!("{name} must be one SIP, SIPS or tel URI"),
                param: name.into(),
            }),
            Kind::Leg if value != "caller" && value != "callee" => Err(BadParam {
                data: "-32000 Server error".into(),
                code: -32000,
                text: format_compact!("{name} must be caller or callee"),
                param: name.into(),
            }),
            Kind::Uri | Kind::Leg | Kind::CallId | Kind::CommandId => Ok(()),
        }
    }

    /// The first parameter that is neither `cmd_id` nor in the table.
    pub(crate) fn unknown(&self, params: &[Param]) -> Option<&str> {
        let is_known = |name: &str| name == "cmd_id" || params.iter().any(|param| param.name == name);
        self.0.keys().map(CompactString::as_str).find(|name| !is_known(name))
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

    /// All as strings, or the name of one that is none.
    pub(crate) fn into_texts(self) -> Result<Params, CompactString> {
        self.0
            .into_iter()
            .map(|(name, raw)| match text_of(raw) {
                Some(text) => Ok((name, text.into())),
                None => Err(name),
            })
            .collect::<Result<_, _>>()
            .map(Params)
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

    const TABLE: &[Param] =
        &[Param { name: "leg", kind: Kind::Leg, about: "" }, Param { name: "destination", kind: Kind::Uri, about: "" }];

    fn params(text: &str) -> Params {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        RawParams::read(raw).unwrap().into_texts().unwrap()
    }

    #[test]
    fn presence_comes_before_shape() {
        let missing = params(r#"{"leg":"both"}"#).check(TABLE).unwrap_err();
        assert_eq!(missing.data, "destination not specified");
        let shape = params(r#"{"leg":"both","destination":"nowhere"}"#).check(TABLE).unwrap_err();
        assert_eq!(shape.data, "-32000 Server error");
        assert_eq!(shape.text, "leg must be caller or callee");
        let uri = params(r#"{"leg":"caller","destination":"nowhere"}"#).check(TABLE).unwrap_err();
        assert_eq!(uri.data, "400 Invalid ruri");
        assert_eq!(params(r#"{"leg":"caller","destination":"sip:a@b"}"#).check(TABLE), Ok(()));
    }

    #[test]
    fn strings_only() {
        let raw: &RawValue = serde_json::from_str(r#"{"a":"1","b":2}"#).unwrap();
        assert_eq!(RawParams::read(raw).unwrap().into_texts(), Err("b".into()));
        let array: &RawValue = serde_json::from_str("[]").unwrap();
        assert!(RawParams::read(array).is_none());
    }

    #[test]
    fn unknown_ones_are_found() {
        assert_eq!(params(r#"{"leg":"","cmd_id":""}"#).unknown(TABLE), None);
        assert_eq!(params(r#"{"leg":"","x":""}"#).unknown(TABLE), Some("x"));
    }
}
