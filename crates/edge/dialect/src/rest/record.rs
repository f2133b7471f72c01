//! `POST /v1/calls/{call}/record` and `…/recordings/{recording}`: recordings by command.

use std::time::Duration;

use hookswitch_call::{
    AudioOrder, BargeIn, CallRef, Command, Party, RecordControl, RecordPlan, RecordingId, Silence, Tracks,
};

use super::desk::{Done, Turn};
use super::holds::{ACCEPTED, REFUSED};
use super::play::{SOUNDS, length, prompt};
use super::problem::{Code, Problem};
use super::route::{Method, Resource, Route};
use super::shape::{Field, Kind, PARTY};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas: Vec::new };

/// Longest time that a recording may be told to take or to wait.
const MAX_SECONDS: u32 = 86_400;

/// Longest name of a file.
const MAX_FILE: usize = 512;

/// A frame that is no louder is silence, unless the request says otherwise: that of a quiet line.
const QUIET: u16 = 300;

const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/calls/{call}/record",
        name: "record",
        tag: "audio",
        about: "Records a party, or both as it hears them. The command ends when the recording has begun; `call.recording` tells its number.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[
            Field::must("party", PARTY, "whose side it is"),
            Field::may(
                "file",
                Kind::Text(1, MAX_FILE),
                "the file, below the folder of recordings; {call}, {day}, {user} and {domain} stand for themselves",
            ),
            Field::may(
                "tracks",
                Kind::OneOf(&["stereo", "mixed", "incoming", "outgoing"]),
                "which sides, and how they are put together; stereo if not said",
            ),
            Field::may(
                "rate",
                Kind::OneOf(&["8000", "16000"]),
                "samples per second; as the codec has them if not said",
            ),
            Field::may("max_seconds", Kind::Seconds(0, MAX_SECONDS), "ends when it is this long; 0 sets no limit"),
            Field::may(
                "silence_seconds",
                Kind::Seconds(0, MAX_SECONDS),
                "ends when the party says nothing for so long",
            ),
            Field::may(
                "silence_below",
                Kind::Whole(0, 32_767),
                "beside `silence_seconds`: how loud nothing may be, as the root of the mean square",
            ),
            Field::may("start_above", Kind::Whole(0, 32_767), "begins only when the party is louder than this"),
            Field::may(
                "finish_below",
                Kind::Whole(0, 32_767),
                "ends when the party was louder than this and is not any more",
            ),
            Field::may(
                "average_seconds",
                Kind::Seconds(0, 10),
                "beside `start_above` or `finish_below`: how loud it is, in the mean of so long; 0.02 if not said",
            ),
            Field::may(
                "min_seconds",
                Kind::Seconds(0, MAX_SECONDS),
                "beside `finish_below`: is not ended by that before",
            ),
            Field::may("prompt", SOUNDS, "what the party is played before; the recording begins where that ends"),
            Field::may("interrupt", Kind::Flag, "beside `prompt`: the first key that the party presses ends that"),
            Field::may(
                "barge_in",
                Kind::Whole(1, 32_767),
                "beside `prompt`: the party ends that by speaking louder than this for a fifth of a second, and is \
                 recorded from a second before on",
            ),
        ]),
        answers: ACCEPTED,
        problems: REFUSED,
        run: record,
    },
    Route {
        method: Method::Post,
        path: "/v1/calls/{call}/recordings/{recording}",
        name: "controlRecording",
        tag: "audio",
        about: "Does something to a recording that a command has begun. Of `finish`, the command ends when the file is complete.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[Field::must("action", Kind::OneOf(&["pause", "resume", "finish"]), "what is done")]),
        answers: ACCEPTED,
        problems: &[
            Code::NoSuchCall,
            Code::NoSuchRecording,
            Code::CallEnding,
            Code::NotAnswered,
            Code::Impossible,
            Code::Unsupported,
        ],
        run: control,
    },
];

fn record(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party) = (turn.call()?, turn.party());
    let file = match turn.body.text("file") {
        Some(file) if is_file(file) => file.to_owned(),
        Some(_) => {
            let problem = Problem::new(Code::InvalidField, "it does not name a file below the folder of recordings");
            return Err(problem.at("/file").expected("names with / between them, of which none is .. or empty"));
        }
        // No two recordings of a call have one name.
        None => format!("{{day}}/{{call}}-{}.wav", turn.desk.next_number()),
    };
    let body = &turn.body;
    let loudness = |member: &str| body.whole(member).and_then(|level| u16::try_from(level).ok());
    let silence = body.seconds("silence_seconds");
    if silence.is_none() {
        body.lacks("silence_below", "", "`silence_seconds` beside it")?;
    }
    if !body.has("finish_below") {
        body.lacks("min_seconds", "", "`finish_below` beside it")?;
    }
    if !body.has("start_above") && !body.has("finish_below") {
        body.lacks("average_seconds", "", "`start_above` or `finish_below` beside it")?;
    }
    let plan = RecordPlan {
        tracks: match body.text("tracks") {
            Some("mixed") => Tracks::Mixed,
            Some("incoming") => Tracks::Incoming,
            Some("outgoing") => Tracks::Outgoing,
            Some(_) | None => Tracks::Stereo,
        },
        rate: body.text("rate").and_then(|rate| rate.parse().ok()),
        start_above: loudness("start_above"),
        finish_below: loudness("finish_below"),
        average: body.seconds("average_seconds").map_or(1, frames),
        min: length(body, "min_seconds", Duration::ZERO),
        max: length(body, "max_seconds", Duration::ZERO),
        silence: silence.map(|time| Silence { below: loudness("silence_below").unwrap_or(QUIET), time }),
        ..RecordPlan::both_sides(file.into())
    };
    let order = match prompt(body)? {
        Some(prompt) => {
            let barge_in = loudness("barge_in").map(BargeIn::louder_than);
            AudioOrder::RecordAfter { prompt, barge_in, plan: Box::new(plan) }
        }
        None => {
            body.lacks("interrupt", "", "`prompt` beside it")?;
            body.lacks("barge_in", "", "`prompt` beside it")?;
            AudioOrder::Record(Box::new(plan))
        }
    };
    turn.submit("record", call, Command::Audio { call: CallRef::Id(call), party, order })
}

/// How many frames of 20 ms a time has, those that it has a part of included.
fn frames(time: Duration) -> u16 {
    u16::try_from(time.as_millis().div_ceil(20)).unwrap_or(u16::MAX).max(1)
}

/// Whether a name leads nowhere but down.
fn is_file(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
    name.split('/').all(plain)
}

fn control(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let call = turn.call()?;
    let number = turn.path[1].parse().map(RecordingId).ok();
    let known = turn.desk.known.live(call).map(|known| known.recordings.as_slice()).unwrap_or_default();
    let recording = known.iter().find(|one| Some(one.recording) == number && one.recorded.is_none());
    let Some((recording, party)) = recording.map(|one| (one.recording, one.party)) else {
        return Err(Problem::new(Code::NoSuchRecording, "no recording of this number is running in the call"));
    };
    // One that a rule has begun is of both: the switchboard says that no command may touch it.
    let party = party.unwrap_or(Party::Caller);
    let control = match turn.body.text("action") {
        Some("pause") => RecordControl::Pause,
        Some("resume") => RecordControl::Resume,
        Some(_) | None => RecordControl::Finish,
    };
    let order = AudioOrder::ControlRecording(recording, control);
    turn.submit("record_control", call, Command::Audio { call: CallRef::Id(call), party, order })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loudness_is_the_mean_of_a_frame_at_least() {
        assert_eq!([0, 1, 20, 21, 10_000].map(|ms| frames(Duration::from_millis(ms))), [1, 1, 1, 2, 500]);
    }

    #[test]
    fn the_name_of_a_file_leads_down_only() {
        for name in ["a.wav", "{day}/{call}.wav", "a b/c"] {
            assert!(is_file(name), "{name}");
        }
        for name in ["", "/etc/x", "a//b", "../x", "a/../b", "a/.", "a/", "a\0b"] {
            assert!(!is_file(name), "{name}");
        }
    }
}
