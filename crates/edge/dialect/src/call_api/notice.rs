//! What a command has to say before it is written: notifications, their data, and the reason
//! beside every error.

use std::fmt;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{self as call, Fault};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::event_name::EventName;
use super::params::Params;

/// Longest explanation of ours, in bytes: it may quote what the client wrote.
const MAX_REASON_TEXT: usize = 256;

/// One notification of a command.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Notice {
    pub(crate) event: EventName,
    pub(crate) data: Option<Data>,
    pub(crate) reason: Option<Reason>,
}

impl Notice {
    pub(crate) const fn new(event: EventName) -> Self {
        Self { event, data: None, reason: None }
    }

    pub(crate) fn with(event: EventName, data: Data) -> Self {
        Self { data: Some(data), ..Self::new(event) }
    }

    pub(crate) fn error(data: impl fmt::Display, reason: Reason) -> Self {
        Self { event: EventName::Error, data: Some(Data::Text(format_compact!("{data}"))), reason: Some(reason) }
    }

    /// Whoever carries our calls cannot be asked now.
    pub(crate) fn carrier_down(why: &call::Refused) -> Self {
        let text = format_compact!("{why}");
        let reason = Reason::new(Stage::Backend, 503, Fault::Upstream, &text);
        Self::error(format_compact!("503 {text}"), reason)
    }

    /// A known command that whoever carries our calls cannot do.
    pub(crate) fn unsupported(command: &str) -> Self {
        let text = format_compact!("{command} is not supported by this switch");
        let reason = Reason::new(Stage::Backend, 501, Fault::Server, &text);
        Self::error(format_compact!("501 {text}"), reason)
    }
}

/// The `data` of a notification: a string in `Error`, an object everywhere else.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Data {
    /// What went wrong.
    Text(CompactString),
    /// Members in alphabetical order.
    Members(Vec<(&'static str, Member)>),
    /// The parameters of the command.
    Params(Params),
}

impl Data {
    /// An object of strings.
    pub(crate) fn of<const N: usize>(members: [(&'static str, &str); N]) -> Self {
        let member = |(name, text): (_, &str)| (name, Member::Text(text.into()));
        Self::members(members.into_iter().map(member))
    }

    /// An object; clients have always seen its members in alphabetical order.
    pub(crate) fn members(members: impl IntoIterator<Item = (&'static str, Member)>) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_by_key(|(name, _)| *name);
        Self::Members(members)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Params(params) => params.serialize(serializer),
            Self::Members(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, member) in members {
                    map.serialize_entry(name, member)?;
                }
                map.end()
            }
        }
    }
}

/// One member of an object in `data`.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Member {
    Text(CompactString),
    Number(u64),
}

/// Which step of a command an error belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Request,
    Caller,
    Callee,
    Transfer,
    Hold,
    Unhold,
    End,
    Backend,
}

impl From<call::Stage> for Stage {
    fn from(stage: call::Stage) -> Self {
        match stage {
            call::Stage::Request => Self::Request,
            call::Stage::Caller => Self::Caller,
            call::Stage::Callee => Self::Callee,
            call::Stage::Transfer => Self::Transfer,
            call::Stage::Hold => Self::Hold,
            call::Stage::Unhold => Self::Unhold,
            call::Stage::End => Self::End,
            call::Stage::Backend => Self::Backend,
        }
    }
}

/// The member `reason` beside every error: the same for programs that the text says to people.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) struct Reason {
    /// A SIP status, the code in the text, or 0.
    pub(crate) code: i32,
    pub(crate) fault: Fault,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) param: Option<CompactString>,
    pub(crate) stage: Stage,
    pub(crate) text: CompactString,
}

impl Reason {
    pub(crate) fn new(stage: Stage, code: i32, fault: Fault, text: &str) -> Self {
        Self { code, fault, param: None, stage, text: shortened(text) }
    }

    /// What an outcome says.
    pub(crate) fn of(failure: &call::Failure) -> Self {
        let (code, text) = failure.cause.refusal();
        Self::new(failure.stage.into(), code.into(), failure.cause.fault, text)
    }
}

/// A status as clients read it: `486 Busy Here`.
pub(crate) fn status(code: u16, text: &str) -> CompactString {
    if text.is_empty() { format_compact!("{code}") } else { format_compact!("{code} {text}") }
}

/// Why a request became no command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    /// The code in strict mode; the original mode has one code for all.
    pub(crate) strict_code: i32,
    pub(crate) message: CompactString,
    pub(crate) reason: Reason,
}

impl Problem {
    fn new(strict_code: i32, message: &str, text: &str) -> Self {
        Self { strict_code, message: message.into(), reason: Reason::new(Stage::Request, 0, Fault::Controller, text) }
    }

    /// The text is not JSON, or (original mode) not a request.
    pub(crate) fn unparsable(why: &str) -> Self {
        Self::new(-32700, "failed to parse JSON-RPC request", why)
    }

    /// The text is JSON but not a request.
    pub(crate) fn not_a_request(why: &str) -> Self {
        Self::new(-32600, "not a JSON-RPC 2.0 request", why)
    }

    pub(crate) fn unknown_method(method: &str) -> Self {
        let why = format_compact!("no method is called {method:?}");
        Self::new(-32601, "unknown JSON-RPC method", &why)
    }

    /// A parameter, or all of them, cannot be used.
    pub(crate) fn params(message: &str, why: &str, param: Option<&str>) -> Self {
        let mut problem = Self::new(-32602, message, why);
        problem.reason.param = param.map(shortened);
        problem
    }

    /// The session has as many commands as it may.
    pub(crate) fn too_many(limit: usize) -> Self {
        let why = format_compact!("{limit} commands of this connection have not ended yet");
        Self::new(-32000, "too many commands in flight", &why)
    }
}

fn shortened(text: &str) -> CompactString {
    if text.len() <= MAX_REASON_TEXT {
        return text.into();
    }
    let end = text.floor_char_boundary(MAX_REASON_TEXT);
    format_compact!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_as_documented() {
        let cause = call::Cause::from_status(486, "Busy Here");
        let failure = call::Failure::new(call::Stage::Callee, cause);
        assert_eq!(
            serde_json::to_string(&Reason::of(&failure)).unwrap(),
            r#"{"code":486,"fault":"peer","stage":"callee","text":"Busy Here"}"#
        );
    }

    #[test]
    fn quotations_are_cut_at_a_letter() {
        let problem = Problem::unknown_method(&"ü".repeat(40_000));
        assert!(problem.reason.text.len() <= MAX_REASON_TEXT + '…'.len_utf8());
    }
}
