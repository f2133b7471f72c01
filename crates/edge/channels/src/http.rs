//! `/channel`: paths, verbs and bodies of project-mediaswitch's media server, and in its manner what came later.

use std::sync::Arc;

use hookswitch_call::{CallId, MAX_ADDRESS, MAX_KEYS, RecordOrder, Time};
use serde_json::{Value, json};

use crate::channels::{Answer, Channels, Output, RequestId};
use crate::description::Remote;
use crate::json::{Failure, Members, object};
use crate::tables::{self, Wanted};
use crate::{record, soup};

/// What every answer is said to be, as the original says it.
pub const CONTENT_TYPE: &str = "text/json";

/// Longest body, in bytes. The socket layer applies the same limit while it reads.
pub const MAX_BODY: usize = 256 * 1024;

/// What a request comes to.
enum Done {
    /// It is answered with what the channel is.
    Now(CallId),
    /// It is answered with the load alone.
    Load,
    /// The same, with all there is to know of it.
    WholeLoad,
    /// It is answered when the media engine has.
    Later,
}

impl Channels {
    /// Takes a request, read to its end; `path` as it stands in the request, without the query.
    pub fn request(&mut self, now: Time, request: RequestId, method: &str, path: &str, body: &[u8]) {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        // The readme posts to the root.
        let rest = match segments.split_first() {
            None => &[][..],
            Some((&"channel", rest)) => rest,
            Some((&"drain", [])) => return self.asked_to_drain(request, method),
            Some(_) => return self.answer(request, Err(Failure::new(404, "path", "Not found"))),
        };
        if let Some(allow) = allowed(rest).filter(|allow| !allow.split(", ").any(|one| one == method)) {
            return self.not_allowed(request, allow);
        }
        let done = self.carry_out(now, request, method, rest, body);
        match done {
            Ok(Done::Now(call)) => self.answer(request, Ok(self.document(call))),
            Ok(Done::Load) => self.answer(request, Ok(json!({"channels": self.load()}))),
            Ok(Done::WholeLoad) => self.answer(request, Ok(json!({"channels": self.whole_load()}))),
            Ok(Done::Later) => {}
            Err(failure) => self.answer(request, Err(failure)),
        }
    }

    /// `/drain`: who orders channels takes them elsewhere, until that is taken back.
    fn asked_to_drain(&mut self, request: RequestId, method: &str) {
        match method {
            "POST" => self.set_draining(true),
            "DELETE" => self.set_draining(false),
            _ => return self.not_allowed(request, "POST, DELETE"),
        }
        self.answer(request, Ok(json!({"channels": self.whole_load()})));
    }

    fn not_allowed(&mut self, request: RequestId, allow: &'static str) {
        let body = json!({"error": format!("allowed here: {allow}"), "where": "method"}).to_string();
        self.out.push_back(Output::Answer(request, Answer { status: 405, body, allow: Some(allow) }));
    }

    fn carry_out(
        &mut self,
        now: Time,
        request: RequestId,
        method: &str,
        rest: &[&str],
        body: &[u8],
    ) -> Result<Done, Failure> {
        if body.len() > MAX_BODY {
            return Err(Failure::new(413, "body", format!("longer than {MAX_BODY} bytes")));
        }
        let read = || object(body);
        match (method, rest) {
            ("GET" | "HEAD", []) => Ok(Done::WholeLoad),
            ("POST", []) => {
                let body = read()?;
                let (control, remote) = new_channel(&body)?;
                match Wanted::read(&body, control.as_ref())? {
                    Some(wanted) => self.open_table(now, request, wanted, tables::orders(&body)?)?,
                    None => self.open(now, request, control, remote)?,
                }
                Ok(Done::Later)
            }
            (_, [uuid]) if let Some(call) = self.find_table(uuid) => {
                match method {
                    "PUT" => self.carry_out_orders(request, call, tables::orders(&read()?)?)?,
                    "DELETE" => {
                        self.close_table(call, "requested", true);
                        return Ok(Done::Load);
                    }
                    _ => self.look_at_table(request, call),
                }
                Ok(Done::Later)
            }
            ("GET" | "HEAD", [uuid]) => {
                let call = self.find(uuid)?;
                self.look(request, call);
                Ok(Done::Later)
            }
            ("PUT", [uuid] | ["target", uuid]) => {
                let call = self.find(uuid)?;
                self.target(request, call, &Remote::read(&read()?)?);
                Ok(Done::Later)
            }
            ("DELETE", [uuid]) => {
                let call = self.find(uuid)?;
                self.close(call, "requested");
                Ok(Done::Load)
            }
            ("PUT", [uuid, "mix", other]) => {
                let (call, other) = (self.find(uuid)?, self.find(other)?);
                self.mix(call, other)?;
                Ok(Done::Now(call))
            }
            (_, [uuid, order]) => {
                let call = self.find(uuid)?;
                self.order(call, method, order, &read()?)?;
                Ok(Done::Now(call))
            }
            _ => Err(Failure::new(404, "path", "Not found")),
        }
    }

    fn order(&mut self, call: CallId, method: &str, order: &str, body: &Value) -> Result<(), Failure> {
        match (method, order) {
            ("PUT", "play") => {
                self.play(call, soup::soup(body)?);
            }
            ("DELETE", "play") => self.stop_playing(call),
            ("PUT", "unmix") => self.unmix(call),
            ("PUT", "echo") => self.echo(call, true),
            ("DELETE", "echo") => self.echo(call, false),
            ("PUT", "dtmf") => self.press(call, keys(body)?)?,
            ("PUT", "record") => match record::read(body)? {
                (_, record::Order::Begin(plan)) => self.record(call, plan)?,
                (file, record::Order::Pause) => self.control_recording(call, &file, RecordOrder::Pause)?,
                (file, record::Order::Finish) => self.control_recording(call, &file, RecordOrder::Finish)?,
            },
            ("PUT", "playrecord") => self.play_and_record(call, body)?,
            _ => return Err(Failure::new(404, "path", "Not found")),
        }
        Ok(())
    }

    fn play_and_record(&mut self, call: CallId, body: &Value) -> Result<(), Failure> {
        let members = Members::of(body)?;
        let part = |name: &'static str| members.get(&[name]).ok_or_else(|| Failure::value(name, "missing"));
        let sounds = soup::soup(part("soup")?.1).map_err(|error| error.within("soup"))?;
        let (_, order) = record::read(part("record")?.1).map_err(|error| error.within("record"))?;
        let record::Order::Begin(mut plan) = order else {
            return Err(Failure::value("record", "expected a recording that begins"));
        };
        // Checked before anything is played; the name of what is played comes then.
        let after = record::after(body, hookswitch_call::PlayId(0))?;
        self.may_record(call)?;
        if let Some(play) = self.play(call, sounds) {
            plan.after = Some(hookswitch_call::AfterPlay { play, ..after });
        }
        self.record(call, plan)
    }
}

/// What may be done with what is there; none where nothing is.
fn allowed(rest: &[&str]) -> Option<&'static str> {
    match rest {
        [] => Some("GET, HEAD, POST"),
        ["target", _] => Some("PUT"),
        [_] => Some("GET, HEAD, PUT, DELETE"),
        [_, "play" | "echo"] => Some("PUT, DELETE"),
        [_, "unmix" | "dtmf" | "record" | "playrecord"] | [_, "mix", _] => Some("PUT"),
        _ => None,
    }
}

/// `{"control","target"}`, either of which may be missing; other members of the seeds say nothing here.
fn new_channel(body: &Value) -> Result<(Option<Arc<str>>, Option<Remote>), Failure> {
    let members = Members::of(body)?;
    let control = members.text(&["control"])?.map(|url| {
        let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        if known && url.len() <= MAX_ADDRESS {
            Ok(Arc::from(url.trim_end_matches('/')))
        } else {
            Err(Failure::value("control", format!("expected an http: or https: URL of at most {MAX_ADDRESS} bytes")))
        }
    });
    let remote = members.get(&["target"]).map(|(name, target)| Remote::read(target).map_err(|e| e.within(name)));
    Ok((control.transpose()?, remote.transpose()?))
}

fn keys(body: &Value) -> Result<&str, Failure> {
    let members = Members::of(body)?;
    let keys = members.text(&["digits"])?.ok_or_else(|| Failure::value("digits", "missing"))?;
    let good = |key: char| matches!(key.to_ascii_uppercase(), '0'..='9' | '*' | '#' | 'A'..='D' | 'F');
    if keys.is_empty() || keys.len() > MAX_KEYS || !keys.chars().all(good) {
        return Err(Failure::value("digits", format!("expected 1 to {MAX_KEYS} of 0-9 * # A-D F")));
    }
    Ok(keys)
}
