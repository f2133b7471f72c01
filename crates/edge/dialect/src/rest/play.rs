//! `POST /v1/calls/{call}/play` and `…/play/control`: sounds for one party.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::{
    Audience, AudioOrder, CallRef, Command, Form, MAX_GAIN_DB, MAX_SOUNDS, MIN_GAIN_DB, PlayControl, Plays, Sound,
    SoundKind, Soup,
};

use super::desk::{Done, Turn};
use super::holds::{ACCEPTED, REFUSED};
use super::problem::{Code, Problem};
use super::route::{Method, Resource, Route};
use super::shape::{Field, Kind, PARTY, Values};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas: Vec::new };

/// Longest time within a sound.
const MAX_SECONDS: u32 = 86_400;

/// The name of a file, its URL, or the text of a tone.
const NAME: Kind = Kind::Text(1, 1_024);

/// The members that name one sound in several forms.
const FORMS: [(&str, SoundKind); 7] = [
    ("wav", SoundKind::Wav),
    ("pcmu", SoundKind::Pcmu),
    ("pcma", SoundKind::Pcma),
    ("l168k", SoundKind::L168k),
    ("l1616k", SoundKind::L1616k),
    ("ilbc", SoundKind::Ilbc),
    ("g722", SoundKind::G722),
];

const SOUND: &[Field] = &[
    Field::may("file", NAME, "a file below one of the folders of sounds, or the URL of one that is allowed"),
    Field::may("tone", NAME, "a tone in place of a file, as the configuration writes them"),
    Field::may("wav", NAME, "in place of `file`: a WAV, beside other forms of the same sound, of which one is played"),
    Field::may("pcmu", NAME, "the same sound in µ-law at 8 kHz, for those whose codec that is"),
    Field::may("pcma", NAME, "the same in A-law at 8 kHz"),
    Field::may("l168k", NAME, "the same in 16-bit samples at 8 kHz"),
    Field::may("l1616k", NAME, "the same in 16-bit samples at 16 kHz"),
    Field::may("ilbc", NAME, "the same in iLBC, which is not decoded here: another form is played"),
    Field::may("g722", NAME, "the same in G.722 at 64 kbit/s"),
    Field::may("start_seconds", Kind::Seconds(0, MAX_SECONDS), "where it begins"),
    Field::may("stop_seconds", Kind::Seconds(0, MAX_SECONDS), "where it ends, counted from the beginning of the sound"),
    Field::may("times", Kind::Whole(1, 1_000_000), "how often it is played; once if not said"),
    Field::may("forever", Kind::Flag, "it is played until somebody stops it; then without `times`"),
];

/// The sounds of a play, or of a prompt.
pub(super) const SOUNDS: Kind = Kind::List(&Kind::Object(SOUND), 1, MAX_SOUNDS);

const fn route(path: &'static str, name: &'static str, about: &'static str, body: &'static [Field], run: Run) -> Route {
    Route {
        method: Method::Post,
        path,
        name,
        tag: "audio",
        about,
        scope: Scope::Control,
        query: &[],
        body: Some(body),
        answers: ACCEPTED,
        problems: REFUSED,
        run,
    }
}

type Run = fn(&mut Turn<'_>) -> Result<Done, Problem>;

const ROUTES: &[Route] = &[
    route(
        "/v1/calls/{call}/play",
        "play",
        "Plays sounds to a party, one after the other, in place of what it hears. The command ends when they are over.",
        &[
            Field::must("party", PARTY, "who hears it"),
            Field::must("sounds", SOUNDS, "what is played"),
            Field::may(
                "audience",
                Kind::OneOf(&["party", "room"]),
                "the party alone, or all in the conference that it is in; the party if not said",
            ),
            Field::may("times", Kind::Whole(1, 1_000_000), "how often all of it is played; once if not said"),
            Field::may("forever", Kind::Flag, "it is played until somebody stops it; then without `times`"),
            Field::may("interrupt", Kind::Flag, "the first key that the party presses ends it"),
            Field::may(
                "update",
                Kind::Flag,
                "it is another version of what is played: the sound at hand goes on if it can",
            ),
        ],
        play,
    ),
    route(
        "/v1/calls/{call}/play/control",
        "controlPlay",
        "Does something to what a command plays to a party.",
        &[
            Field::must("party", PARTY, "who hears it"),
            Field::must("action", Kind::OneOf(&["pause", "resume", "seek", "gain", "stop"]), "what is done"),
            Field::may(
                "seconds",
                Kind::Seconds(0, MAX_SECONDS),
                "for `seek`: the place in the sound at hand; beyond its end that sound is over",
            ),
            Field::may(
                "decibels",
                Kind::Whole(MIN_GAIN_DB as i64, MAX_GAIN_DB as i64),
                "for `gain`: how much louder than it is kept; silent at -60",
            ),
        ],
        control,
    ),
];

/// The sounds in a member of a body, which has been checked; `within` is where it stands.
pub(super) fn sounds(body: &Values, member: &str) -> Result<Vec<Sound>, Problem> {
    let listed = body.objects(member).into_iter().enumerate();
    listed.map(|(index, values)| sound(&values, &format!("/{member}/{index}"))).collect()
}

fn sound(values: &Values, place: &str) -> Result<Sound, Problem> {
    let forms = forms(values, place)?;
    let (start, stop) = (values.seconds("start_seconds").unwrap_or_default(), values.seconds("stop_seconds"));
    if stop.is_some_and(|stop| stop <= start) {
        let problem = Problem::new(Code::InvalidField, "nothing of the sound is left");
        return Err(problem.at(format!("{place}/stop_seconds")).expected("more than start_seconds"));
    }
    Ok(Sound { forms, start, stop, plays: plays(values, place)? })
}

/// A file, a tone, or one sound in several forms.
fn forms(values: &Values, place: &str) -> Result<Vec<Form>, Problem> {
    const EITHER: &str = "either `file` or `tone`, or forms: wav, pcmu, pcma, l168k, l1616k, ilbc, g722";
    let form = |kind, name: &str| Form { kind, name: name.into() };
    let forms: Vec<Form> = FORMS.iter().filter_map(|(member, kind)| Some(form(*kind, values.text(member)?))).collect();
    if !forms.is_empty() {
        values.lacks("file", place, EITHER)?;
        values.lacks("tone", place, EITHER)?;
        return Ok(forms);
    }
    match (values.text("file"), values.text("tone")) {
        (Some(file), None) => Ok(vec![form(SoundKind::Wav, file)]),
        (None, Some(tone)) => Ok(vec![form(SoundKind::Tone, tone)]),
        (Some(_), Some(_)) | (None, None) => {
            Err(Problem::new(Code::InvalidField, "a sound is a file or a tone").at(place).expected(EITHER))
        }
    }
}

/// How often this is played; `place` is where it stands.
fn plays(values: &Values, place: &str) -> Result<Plays, Problem> {
    if values.flag("forever") {
        values.lacks("times", place, "either `times` or `forever`")?;
        return Ok(Plays::Forever);
    }
    Ok(Plays::Times(values.whole("times").and_then(|times| u32::try_from(times).ok()).unwrap_or(1)))
}

fn play(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party, body) = (turn.call()?, turn.party(), &turn.body);
    let soup = Soup { sounds: sounds(body, "sounds")?, plays: plays(body, "")?, interrupt: body.flag("interrupt") };
    let to = if body.text("audience") == Some("room") { Audience::Room } else { Audience::Party };
    let order = AudioOrder::Play { soup: Arc::new(soup), update: body.flag("update"), to };
    turn.submit("play", call, Command::Audio { call: CallRef::Id(call), party, order })
}

fn control(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party, body) = (turn.call()?, turn.party(), &turn.body);
    let missing = |field: &str| {
        Problem::new(Code::MissingField, "the action needs another member").at(format!("/{field}")).expected("a number")
    };
    let action = body.text("action");
    if action != Some("seek") {
        body.lacks("seconds", "", "`action`: `seek` beside it")?;
    }
    if action != Some("gain") {
        body.lacks("decibels", "", "`action`: `gain` beside it")?;
    }
    let control = match action {
        Some("pause") => PlayControl::Pause,
        Some("resume") => PlayControl::Resume,
        Some("seek") => PlayControl::Seek(body.seconds("seconds").ok_or_else(|| missing("seconds"))?),
        Some("gain") => {
            let decibels = body.whole("decibels").and_then(|decibels| i8::try_from(decibels).ok());
            PlayControl::Gain(decibels.ok_or_else(|| missing("decibels"))?)
        }
        Some(_) | None => PlayControl::Stop,
    };
    let order = AudioOrder::ControlPlay(control);
    turn.submit("play_control", call, Command::Audio { call: CallRef::Id(call), party, order })
}

/// A prompt that is played once; where the body has `interrupt`, a key ends it.
pub(super) fn prompt(body: &Values) -> Result<Option<Arc<Soup>>, Problem> {
    if body.get("prompt").is_none() {
        return Ok(None);
    }
    let soup = Soup { sounds: sounds(body, "prompt")?, plays: Plays::ONCE, interrupt: body.flag("interrupt") };
    Ok(Some(Arc::new(soup)))
}

/// A length in a member of the body, or this one.
pub(super) fn length(body: &Values, member: &str, otherwise: Duration) -> Duration {
    body.seconds(member).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[Field] = &[Field::must("sounds", SOUNDS, "what is played")];

    /// A second sound.
    fn second(written: &str) -> Result<Sound, Problem> {
        let body = format!(r#"{{"sounds":[{{"file":"a.wav"}},{written}]}}"#);
        let read = sounds(&Values::read(BODY, body.as_bytes())?, "sounds")?;
        assert_eq!((read.len(), &read[0]), (2, &Sound::of(SoundKind::Wav, "a.wav")));
        Ok(read[1].clone())
    }

    #[test]
    fn a_sound_may_have_a_form_for_each_codec() {
        assert_eq!(second(r#"{"tone":"425:200"}"#).unwrap(), Sound::of(SoundKind::Tone, "425:200"));
        let sound = second(r#"{"g722":"b.g722","wav":"b.wav","pcma":"b.al","times":2}"#).unwrap();
        let said: Vec<_> = sound.forms.iter().map(|form| (form.kind, form.name.as_str())).collect();
        assert_eq!(said, [(SoundKind::Wav, "b.wav"), (SoundKind::Pcma, "b.al"), (SoundKind::G722, "b.g722")]);
        assert_eq!(sound.plays, Plays::Times(2));
    }

    #[test]
    fn a_form_that_is_none_and_a_file_beside_forms_are_told_with_their_place() {
        for (written, code, field, expected) in [
            (r#"{"mp3":"b"}"#, Code::UnknownField, "/sounds/1/mp3", "one of file, tone, wav, pcmu"),
            (r#"{"pcmu":""}"#, Code::InvalidField, "/sounds/1/pcmu", "a string of 1 to 1024 characters"),
            (r#"{"pcmu":"b","file":"c"}"#, Code::InvalidField, "/sounds/1/file", "either `file` or `tone`, or forms"),
            (r#"{"tone":"1:1","g722":"b"}"#, Code::InvalidField, "/sounds/1/tone", "either `file` or `tone`, or forms"),
            (r#"{"file":"b","tone":"1:1"}"#, Code::InvalidField, "/sounds/1", "either `file` or `tone`, or forms"),
            (r#"{"times":2}"#, Code::InvalidField, "/sounds/1", "either `file` or `tone`, or forms"),
        ] {
            let problem = second(written).expect_err(written);
            assert_eq!((problem.code, problem.field.as_deref()), (code, Some(field)), "{written}");
            assert!(problem.expected.is_some_and(|told| told.starts_with(expected)), "{written}");
        }
    }
}
