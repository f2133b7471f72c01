//! From text to JSON.

use hookswitch_sdp::{Line, SessionDescription};
use serde_json::{Map, Value, json};

use super::BadSdp;
use super::line::{repetition, shape_of};
use super::media::{Attributes, media_line};

/// A description as JSON.
///
/// # Errors
/// [`BadSdp`] where [`SessionDescription::parse`] refuses the text.
pub fn to_json(text: &str) -> Result<Value, BadSdp> {
    let sdp = SessionDescription::parse(text).map_err(|error| BadSdp::unreadable("sdp", &error))?;
    let lines: Vec<Line<'_>> = sdp.lines().filter(|line| line.kind != 0).collect();
    let mut sections = levels(&lines);
    let mut session = level(sections.next().unwrap_or_default(), false);
    let streams: Vec<Value> = sections.map(stream).collect();
    session.insert("m".to_owned(), Value::Array(streams));
    Ok(Value::Object(session))
}

/// The lines of the session, then those of each stream.
fn levels<'l, 'a>(lines: &'l [Line<'a>]) -> impl Iterator<Item = &'l [Line<'a>]> {
    let media = || lines.iter().enumerate().filter(|(_, line)| line.kind == b'm').map(|(at, _)| at);
    let ends: Vec<usize> = media().chain([lines.len()]).collect();
    let starts: Vec<usize> = [0].into_iter().chain(media()).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &lines[start..end])
}

fn stream(lines: &[Line<'_>]) -> Value {
    let (first, rest) = lines.split_first().map_or((None, lines), |(first, rest)| (Some(first), rest));
    let mut members = media_line(first.and_then(|line| line.text()).unwrap_or_default());
    members.extend(level(rest, true));
    Value::Object(members)
}

/// The lines of the session, or of one stream after its `m=`.
fn level(lines: &[Line<'_>], stream: bool) -> Map<String, Value> {
    let mut members = Map::new();
    let mut attributes = Attributes::default();
    let mut foreign = Vec::new();
    for line in lines {
        let kind = char::from(line.kind);
        let Some(value) = line.text() else { continue };
        match kind {
            'a' => attributes.take(*line, stream),
            'v' => drop(members.insert("v".to_owned(), json!(0))),
            _ if stream && !"icbk".contains(kind) => foreign.push(json!(format!("{kind}={value}"))),
            'r' => repeats(&mut members, value),
            _ => {
                let value = shape_of(kind).map_or_else(|| json!(value), |shape| shape.to_json(value));
                add(&mut members, kind, value);
            }
        }
    }
    if stream {
        members.extend(attributes.finish("a"));
        if !foreign.is_empty() {
            members.insert("lines".to_owned(), Value::Array(foreign));
        }
    } else {
        let attributes = attributes.finish("");
        if !attributes.is_empty() {
            members.insert("a".to_owned(), Value::Object(attributes));
        }
    }
    members
}

/// Adds a line: a list where there is more than one of its kind, and always for `c`.
fn add(members: &mut Map<String, Value>, kind: char, value: Value) {
    match members.get_mut(kind.encode_utf8(&mut [0; 4])) {
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None if kind == 'c' => drop(members.insert(kind.to_string(), Value::Array(vec![value]))),
        None => drop(members.insert(kind.to_string(), value)),
    }
}

/// A repetition belongs to the time before it: where there are several times it stands with its own.
fn repeats(members: &mut Map<String, Value>, value: &str) {
    let repetition = repetition(value);
    if let Some(Value::Array(times)) = members.get_mut("t")
        && let Some(Value::Object(time)) = times.last_mut()
    {
        let Value::Array(all) = time.entry("r").or_insert_with(|| json!([])) else { return };
        all.push(repetition);
        return;
    }
    add(members, 'r', repetition);
}
