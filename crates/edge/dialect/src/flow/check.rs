//! What a shape cannot say of a document: limits, addresses, names of files.

use std::fmt;
use std::ops::RangeInclusive;

use hookswitch_call::{MAX_DIALLED, MAX_GROUPS, MAX_KEYS, MAX_SOUNDS, Pattern};

use super::document::{DocumentError, MAX_NESTING, MAX_VERBS};
use super::perform::call_named;
use super::sounds::SoundOf;
use super::verb::{Collect, Dial, Record, Reject, Verb};
use crate::address::is_callable;
use crate::journal::is_type_of_calls;
use crate::webhook::{CallWebhook, MAX_CALL_EVENTS, MAX_CALL_KEY, MAX_CALL_URL};

/// Longest name of a conference, `conference-` not counted, in bytes.
const MAX_CONFERENCE: usize = 53;

/// Longest URL, in bytes.
const MAX_URL: usize = 2_048;

/// Most choices of one `collect`.
const MAX_CHOICES: usize = 64;

/// What a sound is.
const SOUND: &str = "either a `file` or a `tone`, or forms: wav, pcmu, pcma, l168k, l1616k, ilbc, g722";

/// Where something stands in a document.
#[derive(Clone, Debug)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn top(name: &str) -> Self {
        Self(name.to_owned())
    }
    fn at(&self, index: usize) -> Self {
        Self(format!("{self}[{index}]"))
    }
    fn of(&self, member: &str) -> Self {
        Self(format!("{self}.{member}"))
    }
    fn bad(&self, why: impl fmt::Display) -> DocumentError {
        DocumentError::Bad { place: self.0.clone(), why: why.to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Checked = Result<(), DocumentError>;

/// Whether the webhook of a call can be meant; whether its URL is one, and may be posted to, is seen when it is taken on.
pub(super) fn webhook(it: &CallWebhook, here: &Place) -> Checked {
    if it.url.is_empty() || it.url.len() > MAX_CALL_URL {
        return Err(here.of("url").bad(format_args!("a URL has 1 to {MAX_CALL_URL} bytes")));
    }
    let events = here.of("events");
    match &it.events {
        Some(types) if types.is_empty() || types.len() > MAX_CALL_EVENTS => {
            return Err(events.bad(format_args!("1 to {MAX_CALL_EVENTS} types; without it all events are posted")));
        }
        Some(types) => {
            if let Some((index, text)) = types.iter().enumerate().find(|(_, text)| !is_type_of_calls(text)) {
                let why = "is neither a type of events of calls nor the beginning of some and *";
                return Err(events.at(index).bad(format_args!("`{text}` {why}")));
            }
        }
        None => {}
    }
    match &it.key {
        Some(name) if name.is_empty() || name.len() > MAX_CALL_KEY => {
            Err(here.of("key").bad(format_args!("a name has 1 to {MAX_CALL_KEY} bytes")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks a list of verbs; `count` are those before it.
pub(super) fn verbs(all: &[Verb], place: &Place, count: &mut usize, depth: usize) -> Checked {
    if depth > MAX_NESTING && !all.is_empty() {
        return Err(place.bad(format_args!("verbs stand within verbs more than {MAX_NESTING} deep")));
    }
    for (index, verb) in all.iter().enumerate() {
        let here = place.at(index);
        *count += 1;
        if *count > MAX_VERBS {
            return Err(here.bad(format_args!("more than {MAX_VERBS} verbs")));
        }
        let inner = here.of(verb.name());
        one(verb, &inner)?;
        for (list, at) in within(verb, &inner) {
            verbs(list, &at, count, depth + 1)?;
        }
    }
    Ok(())
}

/// The lists of verbs within a verb.
fn within<'v>(verb: &'v Verb, place: &Place) -> Vec<(&'v [Verb], Place)> {
    match verb {
        Verb::Dial(dial) => vec![(dial.after.as_slice(), place.of("after"))],
        Verb::Collect(collect) => {
            let keys = collect.keys.iter().map(|(keys, verbs)| (verbs.as_slice(), place.of("keys").of(keys)));
            keys.chain([(collect.otherwise.as_slice(), place.of("otherwise"))]).collect()
        }
        Verb::Answer(_)
        | Verb::Ring(_)
        | Verb::Reject(_)
        | Verb::Play(_)
        | Verb::Record(_)
        | Verb::Bridge(_)
        | Verb::Conference(_)
        | Verb::Redirect(_)
        | Verb::Pause(_)
        | Verb::Ask(_)
        | Verb::Hangup(_) => Vec::new(),
    }
}

pub(super) fn tones<'v>(all: &'v [Verb], place: &Place, found: &mut Vec<(String, &'v str)>) {
    for (index, verb) in all.iter().enumerate() {
        let here = place.at(index).of(verb.name());
        let (sounds, member) = match verb {
            Verb::Play(play) => (play.sounds.as_slice(), "sounds"),
            Verb::Collect(collect) => (collect.prompt.as_slice(), "prompt"),
            Verb::Record(record) => (record.prompt.as_slice(), "prompt"),
            Verb::Answer(_)
            | Verb::Ring(_)
            | Verb::Reject(_)
            | Verb::Dial(_)
            | Verb::Bridge(_)
            | Verb::Conference(_)
            | Verb::Redirect(_)
            | Verb::Pause(_)
            | Verb::Ask(_)
            | Verb::Hangup(_) => (&[][..], ""),
        };
        for (index, sound) in sounds.iter().enumerate() {
            found.extend(sound.tone.as_deref().map(|tone| (here.of(member).at(index).of("tone").0, tone)));
        }
        for (list, at) in within(verb, &here) {
            tones(list, &at, found);
        }
    }
}

fn one(verb: &Verb, here: &Place) -> Checked {
    match verb {
        Verb::Answer(_) | Verb::Ring(_) | Verb::Hangup(_) => Ok(()),
        Verb::Reject(it) => reject(it, here),
        Verb::Dial(it) => dial(it, here),
        Verb::Play(it) => {
            if it.sounds.is_empty() {
                return Err(here.of("sounds").bad("there is nothing to play"));
            }
            sounds(&it.sounds, &here.of("sounds"))?;
            range(it.times, 1..=1_000_000, &here.of("times"))
        }
        Verb::Collect(it) => collect(it, here),
        Verb::Record(it) => record(it, here),
        Verb::Bridge(it) => match call_named(&it.call) {
            Some(_) => Ok(()),
            None => Err(here.of("call").bad("a call is `call_` and its number in hexadecimal")),
        },
        Verb::Conference(it) => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if it.name.is_empty() || it.name.len() > MAX_CONFERENCE || !it.name.bytes().all(is_plain) {
                let why = format!("1 to {MAX_CONFERENCE} letters, digits, `-`, `_` and `.` name a conference");
                return Err(here.of("name").bad(why));
            }
            Ok(())
        }
        Verb::Redirect(it) => address(&it.to, &here.of("to")),
        Verb::Pause(it) => range(it.seconds, 1..=600, &here.of("seconds")),
        Verb::Ask(it) => url(it.url.as_deref(), &here.of("url")),
    }
}

fn reject(it: &Reject, here: &Place) -> Checked {
    range(it.status, 400..=699, &here.of("status"))?;
    // They mean nothing without headers that are not sent.
    if matches!(it.status, 401 | 405 | 407 | 415 | 420 | 421 | 423) {
        return Err(here.of("status").bad("a call cannot be refused with this status"));
    }
    match &it.reason {
        Some(text) if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) => {
            Err(here.of("reason").bad("a phrase has 1 to 128 bytes on one line"))
        }
        Some(_) | None => Ok(()),
    }
}

fn dial(it: &Dial, here: &Place) -> Checked {
    let to = here.of("to");
    let (groups, addresses) = (it.to.0.len(), it.to.0.iter().map(Vec::len).sum::<usize>());
    if groups == 0 || it.to.0.iter().any(Vec::is_empty) {
        return Err(to.bad("there is nobody to call"));
    }
    if groups > MAX_GROUPS || addresses > MAX_DIALLED {
        return Err(to.bad(format_args!("more than {MAX_GROUPS} groups, or {MAX_DIALLED} addresses")));
    }
    for (index, group) in it.to.0.iter().enumerate() {
        for (nth, text) in group.iter().enumerate() {
            let at = match (groups, group.len()) {
                (1, 1) => to.clone(),
                (1, _) => to.at(nth),
                (_, _) => to.at(index).at(nth),
            };
            address(text, &at)?;
        }
    }
    range(it.seconds, 1..=300, &here.of("seconds"))?;
    if it.then.is_some() && !it.after.is_empty() {
        return Err(here.bad("either `then` or `after`"));
    }
    url(it.then.as_deref(), &here.of("then"))
}

fn collect(it: &Collect, here: &Place) -> Checked {
    sounds(&it.prompt, &here.of("prompt"))?;
    range(usize::from(it.most), 1..=MAX_KEYS, &here.of("most"))?;
    key(it.terminator, &here.of("terminator"))?;
    if let Some(pattern) = &it.pattern {
        Pattern::parse(pattern).map_err(|error| here.of("pattern").bad(error))?;
    }
    range(it.first_seconds, 1..=600, &here.of("first_seconds"))?;
    range(it.next_seconds, 1..=600, &here.of("next_seconds"))?;
    range(it.tries, 1..=10, &here.of("tries"))?;
    if it.keys.len() > MAX_CHOICES {
        return Err(here.of("keys").bad(format_args!("more than {MAX_CHOICES} choices")));
    }
    for keys in it.keys.keys() {
        let fits = !keys.is_empty() && keys.len() <= usize::from(it.most) && keys.chars().all(is_key);
        if !fits || it.terminator.is_some_and(|terminator| keys.contains(terminator)) {
            let why = "the keys of a telephone are 0-9, *, # and A-D, at most `most` of them and not the terminator";
            return Err(here.of("keys").of(keys).bad(why));
        }
    }
    if it.then.is_some() && !it.otherwise.is_empty() {
        return Err(here.bad("either `then` or `otherwise`"));
    }
    url(it.then.as_deref(), &here.of("then"))
}

fn record(it: &Record, here: &Place) -> Checked {
    sounds(&it.prompt, &here.of("prompt"))?;
    if it.prompt.is_empty() && (it.interrupt || it.barge_in.is_some()) {
        let member = if it.interrupt { "interrupt" } else { "barge_in" };
        return Err(here.of(member).bad("there is no `prompt` to end"));
    }
    range(it.barge_in.unwrap_or(1), 1..=i16::MAX.unsigned_abs(), &here.of("barge_in"))?;
    if let Some(file) = &it.file {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
        if file.len() > 512 || !file.split('/').all(plain) {
            let why = "names with `/` between them, of which none is `..` or empty, at most 512 bytes";
            return Err(here.of("file").bad(why));
        }
    }
    range(it.seconds, 1..=64_800, &here.of("seconds"))?;
    range(it.silence_seconds, 0..=600, &here.of("silence_seconds"))?;
    range(it.least_seconds, 0..=600, &here.of("least_seconds"))?;
    key(it.terminator, &here.of("terminator"))?;
    if it.background && it.then.is_some() {
        return Err(here.bad("a recording in the background ends with the call, and nothing comes `then`"));
    }
    url(it.then.as_deref(), &here.of("then"))
}

fn sounds(all: &[SoundOf], place: &Place) -> Checked {
    if all.len() > MAX_SOUNDS {
        return Err(place.bad(format_args!("more than {MAX_SOUNDS} sounds")));
    }
    for (index, sound) in all.iter().enumerate() {
        let here = place.at(index);
        let forms = sound.forms();
        if forms.is_empty() {
            return Err(here.bad(format_args!("a sound is {SOUND}")));
        }
        let alone = [("file", &sound.file), ("tone", &sound.tone)].into_iter().find(|(_, name)| name.is_some());
        if let Some((member, _)) = alone.filter(|_| forms.len() > 1) {
            return Err(here.of(member).bad(format_args!("there is more than one of them: a sound is {SOUND}")));
        }
        if forms.iter().any(|form| form.name.is_empty() || form.name.len() > 1_024) {
            return Err(here.bad("a name has 1 to 1024 bytes"));
        }
        range(sound.start_seconds, 0.0..=86_400.0, &here.of("start_seconds"))?;
        if let Some(stop) = sound.stop_seconds {
            range(stop, 0.0..=86_400.0, &here.of("stop_seconds"))?;
            if stop <= sound.start_seconds {
                return Err(here.of("stop_seconds").bad("a sound stops before it starts"));
            }
        }
        range(sound.times, 1..=1_000_000, &here.of("times"))?;
    }
    Ok(())
}

/// An address, or the name of a user or service.
fn address(text: &str, place: &Place) -> Checked {
    let whole = if text.contains(':') { text.to_owned() } else { format!("sip:{}", full(text, "x")) };
    match is_callable(&whole) && !text.is_empty() {
        true => Ok(()),
        false => Err(place.bad(format_args!("`{text}` is neither a name nor a SIP or tel address"))),
    }
}

/// A name with the domain, unless it has one.
pub(super) fn full(text: &str, domain: &str) -> String {
    if text.contains('@') { text.to_owned() } else { format!("{text}@{domain}") }
}

fn url(text: Option<&str>, place: &Place) -> Checked {
    let Some(text) = text else { return Ok(()) };
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if text.is_empty() || text.len() > MAX_URL || text.contains(odd) || text.contains('#') {
        return Err(place.bad(format_args!("no URL of 1 to {MAX_URL} bytes without `#`")));
    }
    let scheme = text.split_once(':').filter(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()));
    match scheme {
        Some((scheme, rest)) if !matches!(scheme, "http" | "https") || !rest.starts_with("//") => {
            Err(place.bad("not an http or https URL, nor one from that of the flow on"))
        }
        Some(_) | None => Ok(()),
    }
}

fn key(key: Option<char>, place: &Place) -> Checked {
    match key {
        Some(key) if !is_key(key) => Err(place.bad("no key of a telephone")),
        Some(_) | None => Ok(()),
    }
}

fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')
}

fn range<T: PartialOrd + fmt::Display>(value: T, range: RangeInclusive<T>, place: &Place) -> Checked {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(place.bad(format_args!("{value} is not from {} to {}", range.start(), range.end()))),
    }
}
