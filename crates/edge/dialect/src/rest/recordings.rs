//! `/v1/recordings`: what was recorded of calls, and the files.
//!
//! The desk knows which file is whose, and nothing of disks: an answer whose body is a file names it
//! ([`FileWanted`]), and whoever has the disk sends it.

use std::cmp::Reverse;
use std::time::Duration;

use hookswitch_call::{CallId, RecordEnd, Recorded};
use serde_json::{Value, json};

use super::calls::{name, party_name};
use super::desk::{Done, Turn};
use super::known::Recording;
use super::page::{AFTER, LIMIT, Page, bad_cursor, schema};
use super::problem::{Code, Problem};
use super::route::{AUDIO, Answer, Method, Resource, Route};
use super::shape::{Field, Kind, PARTY, hexadecimal, object_schema};
use super::time::{moment_or_null, seconds};
use super::{FileAct, FileWanted, Response};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "recordings";

/// The one change whose answer nobody remembers under an `Idempotency-Key`: it waits for a file, and removing that twice is as
/// good as once.
pub(super) const DELETE: &str = "deleteRecording";

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/recordings",
        name: "listRecordings",
        tag: TAG,
        about: "What is recorded of the calls that there are and was of those that are over, the newest call first; the last 100,000 with a file are known. It waits for no media node: of one that was cut off there (`interrupted`) the length is missing, and `getRecording` asks for it.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            AFTER,
            Field::may("call", Kind::Call, "only those of this call"),
            Field::may("state", Kind::OneOf(&["running", "finished"]), "only those that are so far"),
        ],
        body: None,
        answers: &[Answer { status: 200, about: "A page of recordings.", schema: Some("Recordings") }],
        problems: &[Code::InvalidCursor],
        run: list,
    },
    Route {
        method: Method::Get,
        path: "/v1/recordings/{recording}",
        name: "getRecording",
        tag: TAG,
        about: "What is known of one recording. How long one is that was cut off on a media node (`interrupted`), that node is asked, for 2 s at most.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The recording.", schema: Some("Recording") }],
        problems: &[Code::NoSuchRecording],
        run: get,
    },
    Route {
        method: Method::Get,
        path: "/v1/recordings/{recording}/audio",
        name: "getRecordingAudio",
        tag: TAG,
        about: "The WAV file of a recording that is over, whole or in part. Who fetches it is noted in the audit log.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[
            Answer { status: 200, about: "The file.", schema: Some(AUDIO) },
            Answer { status: 206, about: "The part of it that `Range` names.", schema: Some(AUDIO) },
            Answer { status: 304, about: "The sender has this file already.", schema: None },
        ],
        problems: &[
            Code::NoSuchRecording,
            Code::StillRecording,
            Code::Gone,
            Code::RangeNotSatisfiable,
            Code::NodeUnreachable,
        ],
        run: audio,
    },
    Route {
        method: Method::Delete,
        path: "/v1/recordings/{recording}",
        name: DELETE,
        tag: TAG,
        about: "Removes the file of a recording that is over, for good. What is known of the recording stays.",
        scope: Scope::Admin,
        query: &[],
        body: None,
        answers: &[Answer { status: 204, about: "There is no such file any more.", schema: None }],
        problems: &[Code::NoSuchRecording, Code::StillRecording, Code::NodeUnreachable],
        run: delete,
    },
];

fn list(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let page = Page::of(&turn.query)?;
    let after = match &page.after {
        None => None,
        Some(after) => {
            let (call, recording) = after.split_once('.').ok_or_else(bad_cursor)?;
            let number = recording.parse::<u16>().map_err(|_| bad_cursor())?;
            Some((CallId(hexadecimal(call).ok_or_else(bad_cursor)?), number))
        }
    };
    let (call, state) = (turn.query.call("call"), turn.query.text("state"));
    let known = &turn.desk.known;
    let calls = known.live_calls().chain(known.ended_calls().map(|ended| &ended.known));
    let calls = calls.filter(|known| call.is_none_or(|call| known.call == call));
    let calls = calls.filter(|known| !known.recordings.is_empty() && turn.sees([&known.caller, &known.callee]));
    let behind = |one: &(CallId, &Recording)| after.is_none_or(|after| place(one) > (Reverse(after.0), after.1));
    let of_calls = calls.flat_map(|known| known.recordings.iter().map(|one| (known.call, one))).filter(behind);
    let mut of_calls: Vec<(CallId, &Recording)> = of_calls.collect();
    of_calls.sort_unstable_by_key(place);
    // Those whose calls are forgotten: of which it is known longer, and no less.
    let (kept, grant) = (&turn.desk.kept, &turn.request.grant);
    let (of_one, of_all) = match call {
        Some(call) => (Some(kept.of_call(call, after)), None),
        None => (None, Some(kept.behind(after))),
    };
    let kept = of_one.into_iter().flatten().chain(of_all.into_iter().flatten());
    let kept = kept.filter(|kept| kept.is_seen(grant)).map(|kept| (kept.call, &kept.one));
    let all = merged(of_calls.into_iter(), kept);
    let is_in = |one: &Recording, state: &str| one.recorded.is_some() == (state == "finished");
    let entries = all.filter(|(_, one)| state.is_none_or(|state| is_in(one, state))).map(|(call, one)| {
        let mut document = document(call, one);
        document["call"] = name(call).into();
        (format!("{:016x}.{}", call.0, one.recording.0), document)
    });
    Ok(Done::Now(Response::json(200, &page.document("recordings", entries))))
}

/// Where a recording stands in the list.
const fn place(one: &(CallId, &Recording)) -> (Reverse<CallId>, u16) {
    (Reverse(one.0), one.1.recording.0)
}

/// Two lists in order as one. What stands in both is taken from the first.
fn merged<'a>(
    first: impl Iterator<Item = (CallId, &'a Recording)>,
    second: impl Iterator<Item = (CallId, &'a Recording)>,
) -> impl Iterator<Item = (CallId, &'a Recording)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || match (first.peek().map(place), second.peek().map(place)) {
        (Some(a), Some(b)) if b < a => second.next(),
        (Some(a), b) => {
            if b == Some(a) {
                second.next();
            }
            first.next()
        }
        (None, _) => second.next(),
    })
}

fn get(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, one) = found(turn)?;
    let mut document = document(call, one);
    document["call"] = name(call).into();
    let unknown = one.recorded.as_ref().filter(|_| !is_measured(one));
    let file = unknown.map(|recorded| wanted(one, recorded, FileAct::Measure));
    Ok(Done::Now(Response { file, ..Response::json(200, &document) }))
}

/// The document of a recording, with what was found out of its file by whoever could ask for that. None if it is no such document.
#[must_use]
pub fn measured(document: &[u8], bytes: u64, duration: Duration) -> Option<String> {
    let mut document = serde_json::from_slice::<Value>(document).ok().filter(Value::is_object)?;
    document["bytes"] = bytes.into();
    document["duration_seconds"] = seconds(duration).into();
    Some(document.to_string())
}

/// Whether it is known how much was written: not where a media node was lost in the middle of it.
fn is_measured(one: &Recording) -> bool {
    one.recorded.as_ref().is_none_or(|recorded| recorded.size > 0) || !one.has_file()
}

fn audio(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (_, one) = found(turn)?;
    let recorded = over(one)?;
    if !one.has_file() {
        let detail = "there is no file of it: it could not be made, or was thrown away";
        return Err(Problem::new(Code::Gone, detail));
    }
    Ok(Done::Now(with_file(200, one, recorded, FileAct::Send)))
}

fn delete(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (_, one) = found(turn)?;
    let recorded = over(one)?;
    if !one.has_file() {
        return Ok(Done::Now(Response::empty(204)));
    }
    Ok(Done::Now(with_file(204, one, recorded, FileAct::Remove)))
}

fn with_file(status: u16, one: &Recording, recorded: &Recorded, act: FileAct) -> Response {
    Response { content_type: AUDIO, file: Some(wanted(one, recorded, act)), ..Response::empty(status) }
}

fn wanted(one: &Recording, recorded: &Recorded, act: FileAct) -> Box<FileWanted> {
    let (file, node) = (recorded.file.clone(), one.node.clone());
    Box::new(FileWanted { file, size: (recorded.size > 0).then_some(recorded.size), node, act })
}

/// The recording in the path, if its sender may see its call.
fn found<'t>(turn: &'t Turn<'_>) -> Result<(CallId, &'t Recording), Problem> {
    let found = named(&turn.path[0]).and_then(|(call, number)| {
        let known = &turn.desk.known;
        let known = known.live(call).or_else(|| known.ended(call).map(|ended| &ended.known));
        let of_call = known.and_then(|known| {
            let one = known.recordings.iter().find(|one| one.recording.0 == number)?;
            turn.sees([&known.caller, &known.callee]).then_some(one)
        });
        let kept = || turn.desk.kept.get(call, number).filter(|kept| kept.is_seen(&turn.request.grant));
        Some((call, of_call.or_else(|| kept().map(|kept| &kept.one))?))
    });
    let unknown = "no call that there is has a recording with this id, and none of those that are known";
    found.ok_or_else(|| Problem::new(Code::NoSuchRecording, unknown))
}

fn over(one: &Recording) -> Result<&Recorded, Problem> {
    one.recorded.as_ref().ok_or_else(|| {
        let problem = Problem::new(Code::StillRecording, "its file is complete when the recording is over");
        Problem { retry_after: Some(STILL_RECORDING), ..problem }
    })
}

/// Seconds after which a recording may be asked for again that is not over.
const STILL_RECORDING: u64 = 5;

/// The name of a recording: `rec_`, its call and its number there.
fn id(call: CallId, one: &Recording) -> String {
    format!("rec_{call}_{}", one.recording.0)
}

fn named(text: &str) -> Option<(CallId, u16)> {
    let (call, number) = text.strip_prefix("rec_")?.split_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| number.parse().ok()).flatten()?;
    Some((CallId(hexadecimal(call)?), number))
}

/// The recordings of a call.
pub(super) fn documents(call: CallId, recordings: &[Recording]) -> Value {
    recordings.iter().map(|one| document(call, one)).collect()
}

fn document(call: CallId, recording: &Recording) -> Value {
    let mut document = json!({
        "id": id(call, recording),
        "recording": recording.recording.0, "party": recording.party.map(party_name),
        "state": if recording.recorded.is_some() { "finished" } else { "running" },
        "started": moment_or_null(recording.begun.as_ref().map(|begun| begun.at)),
    });
    if let Some(recorded) = &recording.recorded {
        let failed = match &recorded.reason {
            RecordEnd::Failed(why) => Some(why),
            RecordEnd::Requested
            | RecordEnd::Timeout
            | RecordEnd::BelowPower
            | RecordEnd::Closed
            | RecordEnd::Interrupted => None,
        };
        document["file"] = recorded.file.as_str().into();
        // How much a media node has written that was lost, that one is asked when somebody wants to know of this recording alone.
        if is_measured(recording) {
            document["duration_seconds"] = seconds(recorded.duration).into();
            document["lost_seconds"] = seconds(recorded.lost).into();
            document["bytes"] = recorded.size.into();
        }
        document["reason"] = recorded.reason.name().into();
        document["failure"] = failed.map_or(Value::Null, |why| why.as_str().into());
    }
    if let Some(node) = &recording.node {
        document["node"] = node.as_str().into();
    }
    document
}

pub(super) const RECORDING: &[Field] = &[
    Field::must("id", Kind::Text(1, 40), "its name: `rec_`, the call, and its number there"),
    Field::must("recording", Kind::Whole(0, 65_535), "its number within the call"),
    Field::must("party", Kind::OrNull(&PARTY), "of whom, where a command has ordered it"),
    Field::must("state", Kind::OneOf(&["running", "finished"]), "how far it is"),
    Field::must(
        "started",
        Kind::OrNull(&Kind::Time),
        "when its file was opened; null before that, and where it is not known",
    ),
    Field::may("file", Kind::Text(0, 4_096), "its file, below the folder of recordings"),
    Field::may("duration_seconds", Kind::Length, "how long it is; missing where `bytes` is"),
    Field::may(
        "lost_seconds",
        Kind::Length,
        "how much of it is silence because the disk did not keep up; missing where a media node was lost in the middle of it",
    ),
    Field::may(
        "bytes",
        Kind::Whole(0, i64::MAX),
        "how big the file was made; 0 where there was none. Of a recording that was cut off on a media node (`interrupted`) only that node knows: it is missing in lists, which wait for nobody, and where the node does not say",
    ),
    Field::may(
        "reason",
        Kind::OneOf(&["requested", "timeout", "below_power", "closed", "interrupted", "failed"]),
        "why it is over; `interrupted`: the switch, or the media node that wrote it, was ended in the middle of it",
    ),
    Field::may("failure", Kind::OrNull(&Kind::Text(0, 65_535)), "what went wrong"),
    Field::may("node", Kind::Text(0, 2_048), "the media node that has the file, where audio is on other nodes"),
    Field::may("call", Kind::Call, "the call, where recordings are asked for and not calls"),
];

fn schemas() -> Vec<(&'static str, Value)> {
    vec![("Recording", object_schema(RECORDING)), ("Recordings", schema("recordings", "Recording"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_recording_is_its_call_and_its_number_there() {
        assert_eq!(named("rec_0192f3a4b5c6_0"), Some((CallId(0x0192_f3a4_b5c6), 0)));
        assert_eq!(named("rec_19c2f0a4d3b00001_65535"), Some((CallId(0x19c2_f0a4_d3b0_0001), 65_535)));
        for other in
            ["", "rec_", "rec_1_0", "rec_0192f3a4b5c6", "rec_0192f3a4b5c6_", "rec_0192f3a4b5c6_+1", "0192f3a4b5c6_0"]
        {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!(named("rec_0192f3a4b5c6_65536"), None);
    }
}
