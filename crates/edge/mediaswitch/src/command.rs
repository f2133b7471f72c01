//! What controllers ask: `/dialog` and its commands.
//!
//! | request | what |
//! |---|---|
//! | `GET /dialog` | how many dialogs there are and have been, and whether there is room |
//! | `POST /dialog/invite` | call somebody |
//! | `PUT`, `POST /dialog/ring` | 180, once |
//! | `PUT /dialog/answer` | 200 to the call |
//! | `PUT /dialog/ok` | 200 to whatever the party waits for |
//! | `PUT /dialog/invite` | a change of the session |
//! | `PUT /dialog/notify` | the last word on a transfer |
//! | `PUT /dialog/hangup` | the end |

use compact_str::CompactString;
use hookswitch_call::directory::Directory;
use hookswitch_call::{CallId, Op, Sdp, Time};
use serde_json::{Map, Value, json};

use crate::body::{self, Invitation};
use crate::detail;
use crate::record::{Change, Record, Stage};
use crate::{Dialogs, Manner, Output, RequestId};

/// Longest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// Longest value for `Alert-Info` and longest phrase, in bytes.
pub const MAX_ALERT_INFO: usize = 512;

/// What can be asked of a dialog, by PUT.
const COMMANDS: [&str; 11] =
    ["ring", "answer", "ok", "invite", "notify", "hangup", "refuse", "withdraw", "refer", "focus", "probe"];

/// What a resource that only has commands below it allows.
const ALLOW: &str = "GET, HEAD, POST, PUT";

/// One HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// What follows `/dialog/` in the path, without slashes at its ends; empty for `/dialog` itself.
    pub action: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What to answer, as `text/json`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The body: JSON or nothing.
    pub body: String,
    /// Value for `Allow`, with 405.
    pub allow: Option<&'static str>,
}

impl Response {
    fn ok() -> Self {
        Self { status: 200, body: String::new(), allow: None }
    }

    /// 200 with this body.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self { body: body.to_string(), ..Self::ok() }
    }

    /// A refusal: what is wrong and where.
    #[must_use]
    pub fn refused(status: u16, what: &str, place: &str) -> Self {
        Self::failed(status, what, place)
    }

    pub(crate) fn callid(callid: &str) -> Self {
        Self { body: json!({ "callid": callid }).to_string(), ..Self::ok() }
    }

    pub(crate) fn failed(status: u16, what: &str, place: &str) -> Self {
        Self { status, body: json!({ "error": what, "where": place }).to_string(), allow: None }
    }
}

impl Dialogs {
    /// Takes a request for `/dialog`. Its answer comes as [`Output::Answer`], for a call out when it is known where that
    /// goes.
    pub fn request(&mut self, now: Time, id: RequestId, request: Request<'_>, directory: &Directory) {
        match self.ask(now, id, request, directory) {
            Ok(Some(response)) | Err(response) => self.out.push_back(Output::Answer(id, response)),
            Ok(None) => {}
        }
    }

    fn ask(
        &mut self,
        now: Time,
        id: RequestId,
        request: Request<'_>,
        directory: &Directory,
    ) -> Result<Option<Response>, Response> {
        if request.body.len() > MAX_BODY {
            return Err(Response::failed(413, "the body is longer than 65536 bytes", "body"));
        }
        match (request.method, request.action) {
            ("GET" | "HEAD", "list") => Ok(Some(self.list())),
            ("GET" | "HEAD", _) => Ok(Some(Response::json(&self.load()))),
            ("POST", "invite") => {
                let wanted = Invitation::read(&body::object(request.body)?)?;
                self.invite(now, id, wanted, directory);
                Ok(None)
            }
            ("PUT", action) | ("POST", action @ "ring") => {
                if !COMMANDS.contains(&action) {
                    return Err(Response::failed(404, "Not found", "path"));
                }
                let body = body::object(request.body)?;
                let call = self.named(&body)?;
                self.command(now, call, action, &body)?;
                Ok(Some(Response::ok()))
            }
            ("POST", _) => Err(Response::failed(404, "Not found", "path")),
            _ => {
                let refusal = Response::failed(405, "allowed here: GET, HEAD, POST, PUT", "method");
                Err(Response { allow: Some(ALLOW), ..refusal })
            }
        }
    }

    /// The dialog that a body names.
    fn named(&self, body: &Map<String, Value>) -> Result<CallId, Response> {
        let call = body.get("callid").and_then(Value::as_str).and_then(|callid| self.by_callid.get(callid));
        let live = call.filter(|call| self.records.get(call).is_some_and(|record| !record.hangup));
        live.copied().ok_or_else(|| Response::failed(404, "Not found", "callid"))
    }

    fn command(&mut self, now: Time, call: CallId, action: &str, body: &Map<String, Value>) -> Result<(), Response> {
        match action {
            "ring" => self.ring(now, call, body),
            "answer" => self.answer(now, call, body),
            "ok" => self.ok(now, call, body),
            "invite" => self.change(call, body),
            "refuse" | "withdraw" | "refer" | "focus" | "probe" => self.more(call, action, body),
            "notify" => {
                let status = body::number(body.get("status"), "status")?.unwrap_or(200);
                let text = body::line(body.get("text"), "text", MAX_ALERT_INFO)?;
                if !(100..700).contains(&status) {
                    return Err(Response::failed(400, "status must be from 100 to 699", "status"));
                }
                if let Some(Record { leg, .. }) = self.records.get(&call) {
                    let text = text.unwrap_or_else(|| CompactString::const_new("OK"));
                    self.out.push_back(Output::Op(Op::TellRefer { call, leg: *leg, status, text }));
                }
                Ok(())
            }
            _ => self.end(call, body),
        }
    }

    /// 180, or 183 with a description: the party hears something then.
    fn ring(&mut self, now: Time, call: CallId, body: &Map<String, Value>) -> Result<(), Response> {
        let alert_info = body::line(body.get("alertinfo"), "alertinfo", MAX_ALERT_INFO)?;
        let sdp = body::description(body)?;
        let status = body::number(body.get("status"), "status")?;
        if status.is_some_and(|status| !(101..200).contains(&status)) {
            return Err(Response::failed(400, "status must be from 101 to 199", "status"));
        }
        let Some(record) = self.records.get_mut(&call) else { return Ok(()) };
        if record.originator || record.answered || (record.ring && sdp.is_none() && status.is_none()) {
            return Ok(());
        }
        let leg = record.leg;
        if alert_info.is_some() {
            self.out.push_back(Output::Manner(call, leg, Manner { alert_info, ..Manner::default() }));
        }
        let sdp = sdp.map(|sdp| Sdp::from(sdp.as_str()));
        if sdp.is_some() {
            record.us.clone_from(&sdp);
        }
        if !record.ring {
            record.ring = true;
            record.epochs.ring = now.as_secs();
        }
        let status = status.unwrap_or(if sdp.is_some() { 183 } else { 180 });
        self.out.push_back(Output::Op(Op::Ring { call, leg, status, sdp }));
        Ok(())
    }

    fn answer(&mut self, now: Time, call: CallId, body: &Map<String, Value>) -> Result<(), Response> {
        let sdp = body::description(body)?;
        let Some(record) = self.records.get(&call) else { return Ok(()) };
        match record.stage {
            Stage::Taking | Stage::Deciding => {
                self.accept(now, call, sdp);
                Ok(())
            }
            Stage::Description => self.describe(call, sdp),
            Stage::Ack | Stage::Located(_) | Stage::Calling | Stage::Talking | Stage::Over => Ok(()),
        }
    }

    fn accept(&mut self, now: Time, call: CallId, sdp: Option<String>) {
        let Some(record) = self.records.get_mut(&call) else { return };
        record.stage = Stage::Ack;
        record.answered = true;
        record.epochs.answer = now.as_secs();
        if let Some(sdp) = sdp {
            record.us = Some(Sdp::from(sdp.as_str()));
        }
        let leg = record.leg;
        // A controller may answer without a description; the party makes of it what it can.
        let sdp = record.us.clone().unwrap_or_else(|| Sdp::from(""));
        self.wait(call, None);
        self.out.push_back(Output::Op(Op::Answer { call, leg, sdp }));
    }

    /// 200 to whatever the party waits for: its call, its change of the session, or its answer with an offer.
    fn ok(&mut self, now: Time, call: CallId, body: &Map<String, Value>) -> Result<(), Response> {
        let Some(record) = self.records.get_mut(&call) else { return Ok(()) };
        if matches!(record.change, Change::Nothing | Change::Ours(_)) {
            return self.answer(now, call, body);
        }
        let sdp = body::description(body)?.map(|sdp| Sdp::from(sdp.as_str())).or_else(|| record.us.clone());
        let Some(sdp) = sdp else { return Err(Response::failed(400, "sdp is required", "sdp")) };
        let leg = record.leg;
        let change = std::mem::take(&mut record.change);
        record.us = Some(sdp.clone());
        let op = match change {
            Change::Offered => Op::Confirm { call, leg, sdp: Some(sdp) },
            Change::Theirs(..) | Change::Nothing | Change::Ours(_) => Op::Reanswer { call, leg, sdp: Ok(sdp) },
        };
        self.out.push_back(Output::Op(op));
        self.wait(call, None);
        Ok(())
    }

    /// Our answer to the offer in the party's answer.
    fn describe(&mut self, call: CallId, sdp: Option<String>) -> Result<(), Response> {
        let Some(sdp) = sdp else { return Err(Response::failed(400, "sdp is required", "sdp")) };
        let Some(record) = self.records.get_mut(&call) else { return Ok(()) };
        let sdp = Sdp::from(sdp.as_str());
        record.us = Some(sdp.clone());
        record.stage = Stage::Talking;
        let leg = record.leg;
        self.wait(call, None);
        self.out.push_back(Output::Op(Op::Confirm { call, leg, sdp: Some(sdp) }));
        Ok(())
    }

    /// A change of the session (re-INVITE).
    fn change(&mut self, call: CallId, body: &Map<String, Value>) -> Result<(), Response> {
        let sdp = body::description(body)?.map(|sdp| Sdp::from(sdp.as_str()));
        let notes = detail::notes(body)?;
        let Some(record) = self.records.get_mut(&call) else { return Ok(()) };
        if record.stage != Stage::Talking {
            return Err(Response::failed(
                409,
                "only a call that is answered and acknowledged can be changed",
                "callid",
            ));
        }
        if record.change != Change::Nothing {
            return Err(Response::failed(409, "another change is under way", "callid"));
        }
        record.change = Change::Ours(record.us.take());
        record.us.clone_from(&sdp);
        let leg = record.leg;
        self.out.push_back(Output::Op(Op::Reoffer { call, leg, sdp, notes }));
        Ok(())
    }

    /// BYE, CANCEL, or the final status of who was called: 404 unless the controller says another.
    fn end(&mut self, call: CallId, body: &Map<String, Value>) -> Result<(), Response> {
        let cause = detail::cause(body, 404)?;
        match body.contains_key("cause") {
            true => self.end_for(call, &cause),
            false => self.hang_up(call, &cause),
        }
        Ok(())
    }
}
