//! From JSON to text.

use hookswitch_sdp::SessionDescription;
use serde_json::{Map, Value};

use super::BadSdp;
use super::line::{number, repetition_text, shape_of, text};
use super::media::{attribute_lines, media_text};

/// A description as text with line ends as SIP wants them, from its JSON or from its text. None for nothing: `null`, an
/// empty text or an empty object.
///
/// # Errors
/// [`BadSdp`] says what is wrong and where.
pub fn to_text(value: &Value) -> Result<Option<String>, BadSdp> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(written) if written.is_empty() => return Ok(None),
        Value::Object(object) if object.is_empty() => return Ok(None),
        Value::String(written) => written.lines().map(|line| format!("{line}\r\n")).collect(),
        Value::Object(object) => written(object)?,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(BadSdp::at("sdp", "must be an object, or the description as a text"));
        }
    };
    SessionDescription::parse(&text).map_err(|error| BadSdp::unreadable("sdp", &error))?;
    Ok(Some(text))
}

/// Lines in the order of RFC 8866 section 5.
fn written(object: &Map<String, Value>) -> Result<String, BadSdp> {
    if let Some(version) = object.get("v")
        && number(version, "sdp.v")? != "0"
    {
        return Err(BadSdp::at("sdp.v", "must be 0"));
    }
    let mut out = String::from("v=0\r\n");
    let streams = match object.get("m") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(streams)) => streams,
        Some(_) => return Err(BadSdp::at("sdp.m", "must be a list")),
    };
    if object.get("o").is_none_or(Value::is_null) {
        out.push_str(&format!("o={}\r\n", origin(object, streams)));
    }
    level(object, "sdp", false, &mut out)?;
    for (index, stream) in streams.iter().enumerate() {
        let at = format!("sdp.m[{index}]");
        let stream = stream.as_object().ok_or_else(|| BadSdp::at(&at, "must be an object"))?;
        out.push_str(&format!("m={}\r\n", media_text(stream, &at)?));
        level(stream, &at, true, &mut out)?;
    }
    Ok(out)
}

/// An origin for who leaves it out: that of the first connection.
fn origin(object: &Map<String, Value>, streams: &[Value]) -> String {
    let connection = |value: Option<&Value>| {
        let first = match value? {
            Value::Array(all) => all.first()?,
            one => one,
        };
        shape_of('c')?.to_text(first, "").ok()
    };
    let of_streams = || streams.iter().find_map(|stream| connection(stream.get("c")));
    let address = connection(object.get("c")).or_else(of_streams);
    format!("- 1 1 {}", address.as_deref().unwrap_or("IN IP4 0.0.0.0"))
}

/// Everything of one level but its attributes, in order; then those.
fn level(object: &Map<String, Value>, at: &str, stream: bool, out: &mut String) -> Result<(), BadSdp> {
    let order = if stream { "icbk" } else { "osiuepcbtrzk" };
    for kind in order.chars() {
        match object.get(kind.encode_utf8(&mut [0; 4])).filter(|value| !value.is_null()) {
            Some(value) => lines(kind, value, &format!("{at}.{kind}"), out)?,
            None if kind == 's' => out.push_str("s=-\r\n"),
            None if kind == 't' => out.push_str("t=0 0\r\n"),
            None => {}
        }
    }
    let mut push = |line: &str| out.push_str(&format!("a={line}\r\n"));
    if stream {
        attribute_lines(object, (at, "a"), true, &mut push)?;
        let foreign = object.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, line) in foreign.iter().enumerate() {
            let place = format!("{at}.lines[{index}]");
            let line = text(line, &place)?;
            match line.split_once('=') {
                Some((letter, _)) if letter.len() == 1 && letter != "m" => out.push_str(&format!("{line}\r\n")),
                Some(_) | None => return Err(BadSdp::at(place, "must be a line such as x=...")),
            }
        }
        return Ok(());
    }
    let place = format!("{at}.a");
    match object.get("a") {
        None | Some(Value::Null) => {}
        Some(Value::Object(attributes)) => attribute_lines(attributes, (&place, ""), false, &mut push)?,
        Some(Value::Array(raw)) => {
            for (index, line) in raw.iter().enumerate() {
                push(text(line, &format!("{place}[{index}]"))?);
            }
        }
        Some(_) => return Err(BadSdp::at(place, "must be an object by name")),
    }
    // What has no meaning here was understood by somebody.
    for (name, value) in object.iter().filter(|(name, _)| is_foreign(name)) {
        lines(name.chars().next().unwrap_or_default(), value, &format!("{at}.{name}"), out)?;
    }
    Ok(())
}

fn is_foreign(name: &str) -> bool {
    matches!(name.as_bytes(), [letter] if letter.is_ascii_alphabetic() && !b"vosiuepcbtrzkam".contains(letter))
}

fn lines(kind: char, value: &Value, place: &str, out: &mut String) -> Result<(), BadSdp> {
    if let Value::Array(values) = value {
        for (index, value) in values.iter().enumerate() {
            line(kind, value, &format!("{place}[{index}]"), out)?;
        }
        return Ok(());
    }
    line(kind, value, place, out)
}

fn line(kind: char, value: &Value, place: &str, out: &mut String) -> Result<(), BadSdp> {
    let written = match (kind, shape_of(kind)) {
        ('r', _) => repetition_text(value, place)?,
        (_, Some(shape)) => shape.to_text(value, place)?,
        (_, None) => text(value, place)?.to_owned(),
    };
    out.push_str(&format!("{kind}={written}\r\n"));
    let repetitions = value.get("r").and_then(Value::as_array).filter(|_| kind == 't');
    for (index, repetition) in repetitions.into_iter().flatten().enumerate() {
        out.push_str(&format!("r={}\r\n", repetition_text(repetition, &format!("{place}.r[{index}]"))?));
    }
    Ok(())
}
