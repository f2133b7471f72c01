//! What a control server of project-mediaswitch offers beside the native REST: calls that run through the routes and the
//! directory, and the list of calls.

use compact_str::CompactString;
use hookswitch_call::{Address, Command, Time};
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::mediaswitch::CONTENT_TYPE;
use hookswitch_dialect::rest::{Request, Response};
use hookswitch_mediaswitch::{Parties, Response as Said, parties};
use serde_json::json;

use crate::{HttpId, Output, Shard};

impl Shard {
    /// Answers `/invite` and `/calls`. Whether the request was one of those.
    pub(crate) fn control_server(&mut self, now: Time, id: HttpId, request: &Request) -> bool {
        let grant = &request.grant;
        let said = match (request.method.as_str(), request.path.trim_end_matches('/')) {
            ("POST", "/invite") if grant.may(Scope::Control) => {
                self.originate(now, grant, &request.body).unwrap_or_else(|refusal| refusal)
            }
            ("GET" | "HEAD", "/calls") if grant.may(Scope::Read) => self.call_ids(grant),
            ("POST", "/invite") | ("GET" | "HEAD", "/calls") => {
                Said::refused(403, "the token does not allow this", "token")
            }
            (_, "/invite") => Said { allow: Some("POST"), ..Said::refused(405, "allowed here: POST", "method") },
            (_, "/calls") => {
                Said { allow: Some("GET, HEAD"), ..Said::refused(405, "allowed here: GET, HEAD", "method") }
            }
            _ => return false,
        };
        let headers = said.allow.map(|allow| ("allow", allow.to_owned())).into_iter().collect();
        let response =
            Response { status: said.status, content_type: CONTENT_TYPE, headers, body: said.body, file: None };
        self.out.push_back(Output::Rest { id, response });
        true
    }

    /// The caller is called first, and connected with the callee as if it had dialled it.
    fn originate(&mut self, now: Time, grant: &Grant, body: &[u8]) -> Result<Said, Said> {
        let Parties { caller, callee, ignored } = parties(body)?;
        for (address, place, allowed) in
            [(&caller, "from", grant.may_call_from(&caller.0)), (&callee, "to", grant.may_call_to(&callee.0))]
        {
            if !allowed || !self.sees(grant, [address, address]) && place == "from" {
                return Err(Said::refused(403, "the token does not allow this address", place));
            }
        }
        let callid = self.dialogs.new_callid();
        let command = Command::Start { caller, callee, wire_id: Some(callid.clone()) };
        match self.board.submit(now, command) {
            Ok(_) if ignored.is_empty() => Ok(Said::json(&json!({ "callid": callid }))),
            Ok(_) => Ok(Said::json(&json!({ "callid": callid, "ignored": ignored }))),
            Err(refused) => Err(Said::refused(503, &refused.to_string(), "body")),
        }
    }

    /// The Call-IDs of all calls: of each the first that it had on the wire.
    fn call_ids(&self, grant: &Grant) -> Said {
        let calls = self.board.calls().filter(|call| self.sees(grant, [&call.caller, &call.callee]));
        let of_calls = calls.filter_map(|call| call.legs.iter().find_map(|leg| leg.wire_id.clone()));
        let of_dialogs = self.dialogs.callids(|domain| grant.sees_domain(domain));
        let mut all: Vec<CompactString> = of_calls.chain(of_dialogs).collect();
        all.sort();
        Said::json(&json!(all))
    }

    fn sees(&self, grant: &Grant, parties: [&Address; 2]) -> bool {
        let seen = |address: &Address| self.b2bua.user_of(address).is_some_and(|(_, domain)| grant.sees_domain(domain));
        grant.domains.is_empty() || parties.into_iter().any(seen)
    }
}
