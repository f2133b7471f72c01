//! Calls that somebody else's server carries, beside those of our own switch: which of the two desks a request is for.
//!
//! ```text
//!   a name of a call or a command ──▶ the range that its number is in
//!   POST /v1/calls ── the member `carrier` ──┐
//!   a list ────────── the parameter ─────────┴──▶ `switch` if it is not said
//! ```

use hookswitch_call::{CallId, Time};

use super::desk::{Desk, DeskOutput, Done, Turn, admit};
use super::keys::Fresh;
use super::problem::{Code, Problem};
use super::route::{self, Method};
use super::shape::{Field, Kind, Values, call_named, hexadecimal};
use super::switch::{OPENSIPS, SWITCH};
use super::{Request, Response, Route};
use crate::journal::LeftCall;

/// Go on (RFC 9110 section 15.2.1): what a request is told that another desk may carry out.
pub const GO_ON: u16 = 100;

/// The member, or the parameter, that names a carrier.
const NAME: &str = "carrier";

/// Who may be named.
pub(super) const CARRIERS: Kind = Kind::OneOf(&[SWITCH, OPENSIPS]);

/// Who is to carry a call.
pub(super) const OF_CALL: Field = Field::may(NAME, CARRIERS, "who carries it; `switch` if not said");

/// Whose calls are listed.
pub(super) const OF_LIST: Field = Field::may(NAME, CARRIERS, "whose calls; those of `switch` if not said");

/// Whose desk a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carried {
    /// That of our own switch.
    Here,
    /// That of the calls that a server beyond us carries.
    Beyond,
    /// Both: it is about the whole process. That of our own switch answers.
    Both,
}

/// Whose desk a request is for, where there are two. What is wrong with it, that of our own switch says.
#[must_use]
pub fn carried(request: &Request) -> Carried {
    let Ok((route, path)) = route::find(&request.method, &request.path) else { return Carried::Here };
    let is_beyond = match (route.name, path.first()) {
        ("drain", _) => return Carried::Both,
        (_, Some(named)) => named_beyond(route, named),
        (_, None) if route.query.iter().any(|field| field.name == NAME) => listed_beyond(route, request),
        (_, None) if route.method == Method::Post && route.path == "/v1/calls" => started_beyond(request),
        (_, None) => false,
    };
    if is_beyond { Carried::Beyond } else { Carried::Here }
}

/// The first name in the path; a command has its number from the range of the calls that its desk is about.
fn named_beyond(route: &Route, named: &str) -> bool {
    let number = if route.path.contains("/{call}") {
        call_named(named)
    } else if route.path.contains("/{command}") {
        named.strip_prefix("cmd_").and_then(hexadecimal).map(CallId)
    } else {
        None
    };
    number.is_some_and(CallId::is_beyond)
}

fn listed_beyond(route: &Route, request: &Request) -> bool {
    let query = request.query.as_deref().unwrap_or("");
    let query = if query.len() > route::MAX_URI { None } else { Values::of_query(route.query, query).ok() };
    query.is_some_and(|query| query.text(NAME) == Some(OPENSIPS))
}

fn started_beyond(request: &Request) -> bool {
    admit(request).is_ok_and(|admitted| admitted.body.text(NAME) == Some(OPENSIPS))
}

impl Desk {
    /// A call that goes on since before the start.
    pub fn take_left(&mut self, left: &LeftCall) {
        left.told().for_each(|told| self.known.told(&told));
        if let Some(webhook) = &left.webhook {
            self.webhooks.insert(left.call, webhook.clone());
        }
    }

    /// What was taken for a call is part of another one.
    pub fn forget(&mut self, call: CallId) {
        self.known.forget(call);
    }

    /// A request may be carried out by another desk: its key, if it has one, is new, and nobody else may use it now.
    pub(super) fn go_on_elsewhere(&mut self, fresh: Option<Fresh>) -> Done {
        self.keys.lend(fresh);
        Done::Now(Response::empty(GO_ON))
    }

    /// Another desk has answered a request whose key was looked at here. What it refused has changed nothing there either.
    pub(super) fn done_elsewhere(&mut self, now: Time, request: &Request, response: &Response) -> Done {
        if let Some(fresh) = self.keys.give_back(request)
            && (200..300).contains(&response.status)
        {
            let stored = self.keys.remember(now, fresh, response);
            self.out.push_back(DeskOutput::Remember(stored));
        }
        Done::Now(response.clone())
    }
}

impl Turn<'_> {
    /// Whether the carrier that a request for a list names has its calls here.
    pub(super) fn lists_here(&self) -> Result<(), Problem> {
        self.carries(self.query.text(NAME), "?carrier")
    }

    /// The same of the carrier that is to make a call.
    pub(super) fn starts_here(&self) -> Result<(), Problem> {
        self.carries(self.body.text(NAME), "/carrier")
    }

    fn carries(&self, wanted: Option<&str>, place: &str) -> Result<(), Problem> {
        match wanted.filter(|wanted| *wanted != self.switch.carrier()) {
            None => Ok(()),
            Some(other) => {
                let detail = format!("no {other} carries calls here: the configuration has no such section");
                Err(Problem::new(Code::NotEnabled, detail).at(place))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::Grant;
    use crate::rest::{Headers, Work};

    fn of(method: &str, path: &str, query: Option<&str>, body: &str) -> Carried {
        carried(&Request {
            method: method.into(),
            path: path.into(),
            query: query.map(Into::into),
            headers: Headers { content_type: Some("application/json".into()), ..Headers::default() },
            body: body.as_bytes().to_vec(),
            grant: Arc::new(Grant::everything()),
            webhook: None,
            work: Work::Here,
        })
    }

    #[test]
    fn a_name_says_by_its_range_whose_it_is() {
        let beyond = CallId(CallId::FIRST_BEYOND.0 | 0x1234);
        for path in
            ["/v1/calls/call_NAME", "/v1/calls/call_NAME/hold", "/v1/call-records/call_NAME", "/v1/commands/cmd_NAME"]
        {
            let method = if path.ends_with("hold") { "POST" } else { "GET" };
            assert_eq!(of(method, &path.replace("NAME", &beyond.to_string()), None, ""), Carried::Beyond, "{path}");
            // A call of the switch, a channel and the dialog of a controller are none of theirs.
            for other in [0x18_c0de_0000_0001, 1 << 62, 1 << 63] {
                let path = path.replace("NAME", &CallId(other).to_string());
                assert_eq!(of(method, &path, None, ""), Carried::Here, "{path}");
            }
        }
        assert_eq!(of("GET", "/v1/recordings/call_ffffffffffffffff-1", None, ""), Carried::Here);
        assert_eq!(of("GET", "/v1/trunks", None, ""), Carried::Here);
    }

    #[test]
    fn a_new_call_and_a_list_are_those_of_the_carrier_that_they_name() {
        let call = |carrier: &str| format!(r#"{{"from":"sip:a@x.test","to":"sip:b@x.test"{carrier}}}"#);
        assert_eq!(of("POST", "/v1/calls", None, &call("")), Carried::Here);
        assert_eq!(of("POST", "/v1/calls", None, &call(r#","carrier":"switch""#)), Carried::Here);
        assert_eq!(of("POST", "/v1/calls", None, &call(r#","carrier":"opensips""#)), Carried::Beyond);
        assert_eq!(of("POST", "/v1/calls", None, &call(r#","carrier":"kamailio""#)), Carried::Here);
        for path in ["/v1/calls", "/v1/legs", "/v1/call-records"] {
            assert_eq!(of("GET", path, None, ""), Carried::Here, "{path}");
            assert_eq!(of("GET", path, Some("carrier=opensips&limit=3"), ""), Carried::Beyond, "{path}");
            assert_eq!(of("GET", path, Some("carrier=opensips&limit=x"), ""), Carried::Here, "{path}");
        }
        assert_eq!(of("POST", "/v1/drain", None, "{}"), Carried::Both);
    }
}
