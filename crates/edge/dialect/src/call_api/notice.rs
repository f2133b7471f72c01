//! What a command has to say before it is written: notifications, their data, and the reason
//! beside every error.

use std::fmt;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{self as call, Cause, Failure, Fault, Party, Refused};
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

    /// A command about a call that was not accepted; a call that is not there has words of its own
    /// in each command.
    pub(crate) fn refused(why: &Refused, stage: Stage, not_found: &'static str) -> Self {
        let text = format_compact!("{why}");
        let error = |data, stage, code, fault| Self::error(data, Reason::new(stage, code, fault, &text));
        match why {
            Refused::NoSuchCall | Refused::Ending => error(not_found.into(), stage, 404, Fault::Controller),
            // In the words of OpenSIPS; the reason says more.
            Refused::Pending(_) => error("491 Request Pending".into(), stage, 491, Fault::Controller),
            Refused::NotAnswered => error("410 Dialog not ready".into(), stage, 410, Fault::Controller),
            Refused::AddressTooLong => error(BAD_ADDRESS.into(), Stage::Request, 400, Fault::Controller),
            Refused::Impossible(_) => error(format_compact!("400 {text}"), Stage::Request, 400, Fault::Controller),
            Refused::Unsupported(_) => error(format_compact!("501 {text}"), Stage::Backend, 501, Fault::Server),
            Refused::CarrierDown(_) => error(format_compact!("503 {text}"), Stage::Backend, 503, Fault::Upstream),
            Refused::TooManyCalls(_) | Refused::TooManyCommands(_) | Refused::Draining => {
                error(NO_ROOM.into(), Stage::Backend, 503, Fault::Server)
            }
            Refused::WireIdInUse(_) => error("500 Operation failed".into(), stage, 500, Fault::Server),
        }
    }

    /// A command that failed.
    pub(crate) fn failed(failure: &Failure) -> Self {
        Self::error(failure_text(failure), Reason::of(failure))
    }
}

/// What is no address, in the words of OpenSIPS.
pub(crate) const BAD_ADDRESS: &str = "400 Invalid ruri";

/// There is no room for more, or not any more.
pub(crate) const NO_ROOM: &str = "503 Service Unavailable";

/// What an original client reads of a failure: the words of the server beyond us where it has said
/// something, and otherwise which step failed and how.
fn failure_text(failure: &Failure) -> CompactString {
    if let Some(upstream) = &failure.upstream {
        return format_compact!("{} {}", upstream.code, upstream.text);
    }
    let status = cause_status(&failure.cause);
    // What the request asked cannot be: nobody was asked, and the status says it all.
    let is_request = failure.cause.fault == Fault::Controller && failure.party.is_none();
    let on_leg = |what: &str| match failure.party {
        Some(party) => format_compact!("{what} failed on leg {}: {status}", party_name(party)),
        None => format_compact!("{what} failed: {status}"),
    };
    match failure.stage {
        call::Stage::Caller => format_compact!("failed to establish initial call: {status}"),
        call::Stage::Callee => format_compact!("transfer failed with status {status}"),
        call::Stage::Transfer | call::Stage::Hold | call::Stage::Unhold if is_request => status,
        call::Stage::Transfer => "transfer not started".into(),
        call::Stage::Hold => on_leg("hold"),
        call::Stage::Unhold => on_leg("unhold"),
        call::Stage::Request | call::Stage::End | call::Stage::Audio | call::Stage::Backend => status,
    }
}

/// A party as clients write and read it.
pub(crate) const fn party_name(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Callee => "callee",
    }
}

/// The status of a cause as clients read it: what a party really answered, even where another party
/// would be told something else; an ordinary end is a cancelled request.
pub(crate) fn cause_status(cause: &Cause) -> CompactString {
    let (code, text) = shown(cause);
    status(code, text)
}

fn shown(cause: &Cause) -> (u16, &str) {
    match cause.code {
        201..=699 => (cause.code, &cause.text),
        _ => cause.refusal(),
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
    Audio,
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
            call::Stage::Audio => Self::Audio,
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
    /// The parties that are on hold now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) legs: Option<Legs>,
    /// The oldest event of the log, where that asked for is not in it. Rare, and elsewhere: problems are handed on by value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest: Option<Box<CompactString>>,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) param: Option<CompactString>,
    pub(crate) stage: Stage,
    pub(crate) text: CompactString,
}

/// Some of the two parties, written as a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Legs {
    caller: bool,
    callee: bool,
}

impl Serialize for Legs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = [(self.caller, Party::Caller), (self.callee, Party::Callee)];
        serializer.collect_seq(all.into_iter().filter(|(is_one, _)| *is_one).map(|(_, party)| party))
    }
}

impl Reason {
    pub(crate) fn new(stage: Stage, code: i32, fault: Fault, text: &str) -> Self {
        Self { code, fault, legs: None, oldest: None, param: None, stage, text: shortened(text) }
    }

    /// What an outcome says.
    pub(crate) fn of(failure: &Failure) -> Self {
        let (code, text) = shown(&failure.cause);
        let code = failure.upstream.as_ref().map_or(code.into(), |upstream| upstream.code);
        let mut reason = Self::new(failure.stage.into(), code, failure.cause.fault, text);
        if failure.party.is_some() || !failure.held.is_empty() {
            let has = |party| failure.held.contains(&party);
            reason.legs = Some(Legs { caller: has(Party::Caller), callee: has(Party::Callee) });
        }
        reason
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

    /// A connection, or all of a token, has as many commands as it may.
    pub(crate) fn too_many(limit: usize, whose: &str) -> Self {
        let why = format_compact!("{limit} commands of this {whose} have not ended yet");
        Self::new(-32000, "too many commands in flight", &why)
    }

    /// The token does not allow this method.
    pub(crate) fn method_not_allowed(method: &str) -> Self {
        let text = format_compact!("{method} is not allowed with this token");
        Self::with_code(-32001, 403, &text, &text, None)
    }

    /// The token does not allow this value, whether or not it leads anywhere.
    pub(crate) fn value_not_allowed(param: &str) -> Self {
        let text = format_compact!("this {param} is not allowed with this token");
        Self::with_code(-32001, 403, &text, &text, Some(param))
    }

    /// More requests in a second than a connection, or all of a token, may send.
    pub(crate) fn too_fast(rate: u32, whose: &str) -> Self {
        let why = format_compact!("more than {rate} requests in a second with this {whose}");
        Self::with_code(-32002, 429, "too many requests", &why, None)
    }

    /// The key came with another request before.
    pub(crate) fn key_reused() -> Self {
        let why = "idempotency_key was used with another method or other parameters in the last 24 hours";
        Self::with_code(-32003, 409, "idempotency_key was used for something else", why, Some("idempotency_key"))
    }

    /// No more keys can be remembered.
    pub(crate) fn keys_full() -> Self {
        let why = "the limit of remembered keys is reached until the oldest has its 24 hours";
        Self::with_code(-32004, 503, "too many idempotency keys", why, Some("idempotency_key"))
    }

    fn with_code(strict_code: i32, code: i32, message: &str, why: &str, param: Option<&str>) -> Self {
        let mut problem = Self::new(strict_code, message, why);
        problem.reason.code = code;
        problem.reason.param = param.map(shortened);
        problem
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
    fn the_server_beyond_us_has_the_first_word() {
        let cause = Cause::from_status(491, "A transfer of this call was tried before");
        let mut failure = Failure::new(call::Stage::Transfer, cause);
        assert_eq!(failure_text(&failure), "transfer not started");
        failure.upstream = Some(call::Upstream { code: 491, text: "Request Pending".into() });
        assert_eq!(failure_text(&failure), "491 Request Pending");
        failure.upstream = Some(call::Upstream { code: -32000, text: "Server error".into() });
        assert_eq!(failure_text(&failure), "-32000 Server error");
        assert_eq!(
            serde_json::to_string(&Reason::of(&failure)).unwrap(),
            r#"{"code":-32000,"fault":"peer","stage":"transfer","text":"A transfer of this call was tried before"}"#
        );
    }

    #[test]
    fn a_hold_says_who_refused_and_who_is_held() {
        let cause = Cause::from_status(488, "");
        let mut failure = Failure::new(call::Stage::Hold, cause);
        assert_eq!(failure_text(&failure), "hold failed: 488 Not Acceptable Here");
        assert_eq!(Reason::of(&failure).legs, None);
        failure.party = Some(Party::Callee);
        assert_eq!(failure_text(&failure), "hold failed on leg callee: 488 Not Acceptable Here");
        let reason = serde_json::to_string(&Reason::of(&failure)).unwrap();
        assert!(reason.contains(r#""legs":[]"#), "{reason}");
        failure.held = vec![Party::Caller];
        let reason = serde_json::to_string(&Reason::of(&failure)).unwrap();
        assert!(reason.contains(r#""fault":"peer","legs":["caller"],"stage":"hold""#), "{reason}");
    }

    #[test]
    fn what_a_request_could_not_ask_is_said_as_it_is() {
        let cause = Cause::new(call::Kind::Unreachable, Fault::Controller).with_text("Both dialog legs are on hold");
        let mut failure = Failure::new(call::Stage::Hold, cause);
        assert_eq!(failure_text(&failure), "480 Both dialog legs are on hold");
        failure.cause.fault = Fault::Peer;
        assert_eq!(failure_text(&failure), "hold failed: 480 Both dialog legs are on hold");
        for (why, data) in [
            (Refused::Pending("parties are being put on hold".into()), "491 Request Pending"),
            (Refused::NotAnswered, "410 Dialog not ready"),
        ] {
            let notice = Notice::refused(&why, Stage::Hold, "404 Dialog not found");
            assert_eq!(notice.data, Some(Data::Text(data.into())));
            assert_eq!(notice.reason.map(|reason| reason.text), Some(format_compact!("{why}")));
        }
    }

    #[test]
    fn a_status_is_shown_as_it_came() {
        for (code, text, shown) in [
            (407, "Proxy Authentication Required", "407 Proxy Authentication Required"),
            (302, "Moved Temporarily", "302 Moved Temporarily"),
            (202, "Accepted", "202 Accepted"),
            (200, "OK", "487 Request Terminated"),
        ] {
            assert_eq!(cause_status(&Cause::from_status(code, text)), shown);
        }
    }

    #[test]
    fn quotations_are_cut_at_a_letter() {
        let problem = Problem::unknown_method(&"ü".repeat(40_000));
        assert!(problem.reason.text.len() <= MAX_REASON_TEXT + '…'.len_utf8());
    }
}
