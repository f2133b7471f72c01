//! What somebody who reads events has written into the query of the URL: from where on, and which.

use compact_str::CompactString;
use hookswitch_call::CallId;

use super::{EventId, Filter, KINDS, Kind, KindRow};
use crate::access::Grant;

/// Values that one parameter may have.
pub const MAX_VALUES: usize = 100;

/// Events of one page, unless the query says otherwise.
pub const DEFAULT_LIMIT: usize = 100;

/// Events of one page at most.
pub const MAX_LIMIT: usize = 1_000;

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventQuery {
    /// The events after this one; none those from now on, or on pages those from the oldest on.
    pub after: Option<EventId>,
    /// Which of them.
    pub filter: Filter,
    /// How many on one page.
    pub limit: usize,
}

/// Why a query is refused: the parameter, and what is expected of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadQuery {
    /// There is no parameter of this name.
    #[error("there is no parameter {0:?}: known are after, call, type, domain, limit")]
    Unknown(String),
    /// A value is not what it must be.
    #[error("{name}={value}: expected {expected}")]
    Invalid {
        /// The parameter.
        name: &'static str,
        /// What was written.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A domain that the grant does not reach.
    #[error("the grant does not reach the domain {0:?}")]
    Domain(String),
}

const ID: &str = "the id of an event: decimal digits";

impl EventQuery {
    /// Reads the part of a URL after `?`. What the grant does not reach is left out by the filter.
    ///
    /// # Errors
    /// [`BadQuery`].
    pub fn read(query: Option<&str>, grant: &Grant) -> Result<Self, BadQuery> {
        let mut read = Self { after: None, filter: Filter::default(), limit: DEFAULT_LIMIT };
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for (name, value) in pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            let (name, value) = (decoded(name), decoded(value));
            match name.as_str() {
                "after" => read.after = Some(event_id("after", &value)?),
                "limit" => read.limit = limit(&value)?,
                "call" => each("call", &value, &mut read.filter.calls, call)?,
                "type" => each("type", &value, &mut read.filter.kinds, kind)?,
                "domain" => each("domain", &value, &mut read.filter.domains, domain)?,
                _ => return Err(BadQuery::Unknown(name)),
            }
        }
        let asked = &mut read.filter.domains;
        if let Some(other) = asked.iter().find(|domain| !grant.sees_domain(domain)) {
            return Err(BadQuery::Domain(other.to_string()));
        }
        if asked.is_empty() {
            asked.clone_from(&grant.domains);
        }
        Ok(read)
    }
}

impl Filter {
    /// Events of calls and ends of commands.
    pub(crate) fn of_calls() -> Self {
        Self { kinds: ["call.*".into(), Kind::CommandEnded.name().into()].into(), ..Self::default() }
    }

    /// Only those of these calls: their ids with commas between them.
    pub(crate) fn only_calls(&mut self, name: &'static str, ids: &str) -> Result<(), BadQuery> {
        self.calls.clear();
        each(name, ids, &mut self.calls, call)
    }

    /// Only those that concern one of these domains.
    pub(crate) fn only_domains(&mut self, name: &'static str, domains: &str) -> Result<(), BadQuery> {
        self.domains.clear();
        each(name, domains, &mut self.domains, domain)
    }

    /// Only those of these types, which are among those of [`Self::of_calls`].
    pub(crate) fn only_types_of_calls(&mut self, name: &'static str, types: &str) -> Result<(), BadQuery> {
        self.kinds.clear();
        each(name, types, &mut self.kinds, kind_of_calls)
    }
}

/// The id of an event, as it stands in `after`, in a path or in `Last-Event-ID`.
///
/// # Errors
/// It is none; `name` says where it stood.
pub fn event_id(name: &'static str, value: &str) -> Result<EventId, BadQuery> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let id = value.parse().ok().filter(|_| is_number);
    id.map(EventId).ok_or_else(|| BadQuery::Invalid { name, value: value.to_owned(), expected: ID })
}

fn limit(value: &str) -> Result<usize, BadQuery> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| BadQuery::Invalid {
        name: "limit",
        value: value.to_owned(),
        expected: "a number from 1 to 1000",
    })
}

/// Reads values with commas between them.
fn each<T>(
    name: &'static str,
    values: &str,
    into: &mut Vec<T>,
    one: fn(&str) -> Result<T, &'static str>,
) -> Result<(), BadQuery> {
    for value in values.split(',') {
        let invalid = |expected| BadQuery::Invalid { name, value: value.to_owned(), expected };
        if into.len() >= MAX_VALUES {
            return Err(invalid("at most 100 values"));
        }
        into.push(one(value).map_err(invalid)?);
    }
    Ok(())
}

fn call(value: &str) -> Result<CallId, &'static str> {
    let digits = value.strip_prefix("call_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let id = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    id.map(CallId).ok_or("the id of a call: call_ and hexadecimal digits")
}

fn kind(value: &str) -> Result<CompactString, &'static str> {
    match is_type_of_events(value) {
        true => Ok(value.into()),
        false => Err("a type of events, or the beginning of some and *: call.ended, call.*"),
    }
}

fn kind_of_calls(value: &str) -> Result<CompactString, &'static str> {
    match is_type_of_events(value) && (value.starts_with("call.") || value == Kind::CommandEnded.name()) {
        true => Ok(value.into()),
        false => Err("a type of events of calls, or the beginning of some and *: call.ended, call.*, command.ended"),
    }
}

/// Whether this is one of these types, or the beginning of some and `*`.
fn is_type<'k>(text: &str, mut kinds: impl Iterator<Item = &'k KindRow>) -> bool {
    match text.strip_suffix('*') {
        Some(beginning) => kinds.any(|row| row.name.starts_with(beginning)),
        None => kinds.any(|row| row.name == text),
    }
}

/// Whether there are events of this type, or of one of those that begin so: `call.*`.
#[must_use]
pub fn is_type_of_events(text: &str) -> bool {
    is_type(text, KINDS.iter())
}

/// The types of events that are about a call.
pub(crate) fn types_of_calls() -> impl Iterator<Item = &'static KindRow> {
    KINDS.iter().filter(|row| row.name.starts_with("call.") || row.name == Kind::CommandEnded.name())
}

/// Whether events of a call can be of this type, or of one of those that begin so: `call.*`.
pub(crate) fn is_type_of_calls(text: &str) -> bool {
    is_type(text, types_of_calls())
}

fn domain(value: &str) -> Result<CompactString, &'static str> {
    if value.is_empty() || value.len() > 253 { Err("the name of a domain") } else { Ok(value.to_lowercase().into()) }
}

/// A text of a query without its escapes (RFC 3986 section 2.1); `+` stands for a space, as forms write it. What is no
/// escape stays, and what is no UTF-8 then is marked as such: it fits nothing.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                &after[2..]
            }
            (b'+', ..) => {
                bytes.push(b' ');
                after
            }
            _ => {
                bytes.push(*byte);
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<EventQuery, String> {
        EventQuery::read(Some(query), &Grant::everything()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_wants_everything() {
        let all = EventQuery { after: None, filter: Filter::default(), limit: DEFAULT_LIMIT };
        assert_eq!(read(""), Ok(all.clone()));
        assert_eq!(EventQuery::read(None, &Grant::everything()), Ok(all));
    }

    #[test]
    fn lists_stand_in_one_parameter_or_in_several() {
        let query = read("after=12&call=call_00ff,call_1&type=call.%2A&type=log.gap&domain=A.test&limit=7&").unwrap();
        assert_eq!((query.after, query.limit), (Some(EventId(12)), 7));
        assert_eq!(query.filter.calls, [CallId(0xff), CallId(1)]);
        assert_eq!(query.filter.kinds, ["call.*", "log.gap"]);
        assert_eq!(query.filter.domains, ["a.test"]);
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (query, expected) in [
            ("from=1", "there is no parameter \"from\": known are after, call, type, domain, limit"),
            ("after=-1", "after=-1: expected the id of an event: decimal digits"),
            ("after=+1", "after= 1: expected the id of an event: decimal digits"),
            ("after=99999999999999999999", "after=99999999999999999999: expected the id of an event: decimal digits"),
            ("limit=0", "limit=0: expected a number from 1 to 1000"),
            ("limit=1001", "limit=1001: expected a number from 1 to 1000"),
            ("call=ff", "call=ff: expected the id of a call: call_ and hexadecimal digits"),
            ("call=call_+1", "call=call_ 1: expected the id of a call: call_ and hexadecimal digits"),
            (
                "type=cal.ended",
                "type=cal.ended: expected a type of events, or the beginning of some and *: call.ended, call.*",
            ),
            ("domain=", "domain=: expected the name of a domain"),
        ] {
            assert_eq!(read(query).unwrap_err(), expected);
        }
        let many = "log.gap,".repeat(MAX_VALUES) + "log.gap";
        assert!(read(&format!("type={many}")).unwrap_err().ends_with("expected at most 100 values"));
    }

    #[test]
    fn a_filter_of_calls_gets_narrower_and_never_wider() {
        let mut filter = Filter::of_calls();
        assert_eq!(filter.kinds, ["call.*", "command.ended"]);
        filter.only_calls("call", "call_1,call_00ff").unwrap();
        filter.only_domains("domain", "A.test").unwrap();
        filter.only_types_of_calls("type", "call.ended,command.ended,call.transfer*").unwrap();
        assert_eq!(filter.calls, [CallId(1), CallId(0xff)]);
        assert_eq!(filter.domains, ["a.test"]);
        assert_eq!(filter.kinds, ["call.ended", "command.ended", "call.transfer*"]);
        for wider in ["*", "c*", "command.*", "registration.*", "log.started", "call", ""] {
            assert!(filter.only_types_of_calls("type", wider).is_err(), "{wider}");
        }
    }

    #[test]
    fn events_of_a_call_are_of_types_that_are_about_calls() {
        for text in ["call.ended", "call.*", "call.transfer*", "command.ended", "c*", "*"] {
            assert!(is_type_of_calls(text), "{text}");
        }
        for text in ["", "call", "call.ende", "trunk.up", "trunk.*", "log.gap", "call.*.ended", "call.ended*x"] {
            assert!(!is_type_of_calls(text), "{text}");
        }
    }

    #[test]
    fn a_grant_reaches_its_own_domains() {
        let grant = Grant { domains: vec!["a.test".into(), "b.test".into()], ..Grant::everything() };
        let read = |query| EventQuery::read(Some(query), &grant);
        assert_eq!(read("").unwrap().filter.domains, ["a.test", "b.test"]);
        assert_eq!(read("domain=B.test").unwrap().filter.domains, ["b.test"]);
        assert_eq!(read("domain=b.test,c.test"), Err(BadQuery::Domain("c.test".into())));
    }
}
