//! One stream: the members of an entry of `m`.
//!
//! `rtpmap` is `{"<payload type>": {encoding, clock, params?}}`, `fmtp` `{"<payload type>": text}`; `direction` is one of
//! the four; `ptime`, `maxptime`, `quality` and `framerate` are numbers; every other attribute is a text under its own
//! name, empty for one without a value. Lines of a kind that a stream has not stand whole in the list `lines`.

use hookswitch_sdp::{Attribute, Direction, Line};
use serde_json::{Map, Value, json};

use super::BadSdp;
use super::line::{number, number_of, text};

/// Members of a stream that are no attributes of the same name.
const MEMBERS: [&str; 14] =
    ["media", "port", "numports", "proto", "payloads", "rtpmap", "fmtp", "direction", "i", "c", "b", "k", "a", "lines"];

/// The attributes whose value is a number where it can be.
const NUMBERS: [&str; 4] = ["ptime", "maxptime", "quality", "framerate"];

/// Attributes of a session or of a stream on their way to JSON.
#[derive(Default)]
pub(super) struct Attributes {
    members: Map<String, Value>,
    /// What cannot stand under its name.
    raw: Vec<Value>,
}

impl Attributes {
    /// Takes one `a=` line. `stream` is whether formats have members of their own here.
    pub fn take(&mut self, line: Line<'_>, stream: bool) {
        let Some(value) = line.text() else { return };
        let attribute = match value.split_once(':') {
            Some((name, value)) => Attribute { name, value: Some(value) },
            None => Attribute { name: value, value: None },
        };
        let taken = match (attribute.name, attribute.value) {
            (name, None) if Direction::from_attribute(name).is_some() => self.direction(name),
            ("rtpmap", Some(map)) if stream => self.rtpmap(map),
            ("fmtp", Some(parameters)) if stream => self.fmtp(parameters),
            (_, Some("")) | ("", _) => false,
            (name, _) if MEMBERS.contains(&name) => false,
            (name, value) => self.named(name, value.unwrap_or_default()),
        };
        if !taken {
            self.raw.push(json!(value));
        }
    }

    fn direction(&mut self, name: &str) -> bool {
        if self.members.contains_key("direction") {
            return false;
        }
        self.members.insert("direction".to_owned(), json!(name));
        true
    }

    fn rtpmap(&mut self, map: &str) -> bool {
        let Some((format, encoding)) = map.split_once(' ') else { return false };
        let mut parts = encoding.splitn(3, '/');
        let (Some(name), Some(clock)) = (parts.next(), parts.next()) else { return false };
        let mut entry = json!({ "encoding": name, "clock": number_of(clock) });
        if let Some(parameters) = parts.next() {
            entry["params"] = json!(parameters);
        }
        if rtpmap_text(&entry, "").ok().as_deref() != Some(encoding) {
            return false;
        }
        self.by_format("rtpmap", format, entry)
    }

    fn fmtp(&mut self, parameters: &str) -> bool {
        let Some((format, parameters)) = parameters.split_once(' ') else { return false };
        self.by_format("fmtp", format, json!(parameters))
    }

    fn by_format(&mut self, member: &str, format: &str, entry: Value) -> bool {
        if format.is_empty() {
            return false;
        }
        let Value::Object(entries) = self.members.entry(member).or_insert_with(|| json!({})) else { return false };
        if entries.contains_key(format) {
            return false;
        }
        entries.insert(format.to_owned(), entry);
        true
    }

    fn named(&mut self, name: &str, value: &str) -> bool {
        let value = if NUMBERS.contains(&name) { precise(value) } else { json!(value) };
        match self.members.get_mut(name) {
            None => {
                self.members.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
        true
    }

    /// The members, and beside them what is only kept as written.
    pub fn finish(self, raw: &str) -> Map<String, Value> {
        let mut members = self.members;
        if !self.raw.is_empty() {
            members.insert(raw.to_owned(), Value::Array(self.raw));
        }
        members
    }
}

/// A number where that is written the same again.
fn precise(value: &str) -> Value {
    match value.parse::<f64>() {
        Ok(number) if number.to_string() == value && value.contains('.') => json!(number),
        Ok(_) | Err(_) => number_of(value),
    }
}

/// The `m=` line as members.
pub(super) fn media_line(value: &str) -> Map<String, Value> {
    let mut words = value.split_ascii_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let (media, port, proto) = (word(), word(), word());
    let (port, count) = match port.split_once('/') {
        Some((port, count)) => (port, Some(count)),
        None => (port, None),
    };
    let mut members = Map::new();
    members.insert("media".to_owned(), json!(media));
    members.insert("port".to_owned(), number_of(port));
    if let Some(count) = count {
        members.insert("numports".to_owned(), number_of(count));
    }
    members.insert("proto".to_owned(), json!(proto));
    members.insert("payloads".to_owned(), words.map(number_of).collect());
    members
}

/// The `m=` line of an entry.
pub(super) fn media_text(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    let required = |name: &str| {
        let place = format!("{at}.{name}");
        object.get(name).ok_or_else(|| BadSdp::at(place, "is required"))
    };
    let word = |value: &Value, place: String| {
        let word = match value {
            Value::Number(_) => number(value, &place)?,
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                text(value, &place)?.to_owned()
            }
        };
        match word.is_empty() || word.contains(char::is_whitespace) {
            true => Err(BadSdp::at(place, "must be one word")),
            false => Ok(word),
        }
    };
    let mut line = word(required("media")?, format!("{at}.media"))?;
    line.push(' ');
    line.push_str(&number(required("port")?, &format!("{at}.port"))?);
    if let Some(count) = object.get("numports").filter(|count| !count.is_null()) {
        line.push('/');
        line.push_str(&number(count, &format!("{at}.numports"))?);
    }
    line.push(' ');
    match object.get("proto").filter(|proto| !proto.is_null()) {
        Some(proto) => line.push_str(&word(proto, format!("{at}.proto"))?),
        None => line.push_str("RTP/AVP"),
    }
    let payloads = required("payloads")?;
    let payloads = payloads.as_array().ok_or_else(|| BadSdp::at(format!("{at}.payloads"), "must be a list"))?;
    for (index, payload) in payloads.iter().enumerate() {
        line.push(' ');
        line.push_str(&word(payload, format!("{at}.payloads[{index}]"))?);
    }
    Ok(line)
}

/// The `a=` lines of a session or of a stream, with the formats in the order of the payload types.
pub(super) fn attribute_lines(
    object: &Map<String, Value>,
    (at, raw): (&str, &str),
    stream: bool,
    line: &mut dyn FnMut(&str),
) -> Result<(), BadSdp> {
    if stream {
        formats(object, at, line)?;
    }
    for (name, value) in object {
        let place = format!("{at}.{name}");
        if value.is_null() {
            continue;
        }
        if name == raw {
            let entries = value.as_array().ok_or_else(|| BadSdp::at(&place, "must be a list of texts"))?;
            for (index, entry) in entries.iter().enumerate() {
                line(text(entry, &format!("{place}[{index}]"))?);
            }
            continue;
        }
        if name == "direction" {
            let direction = value.as_str().filter(|name| Direction::from_attribute(name).is_some());
            line(direction.ok_or_else(|| BadSdp::at(&place, "must be sendrecv, sendonly, recvonly or inactive"))?);
            continue;
        }
        if MEMBERS.contains(&name.as_str()) && stream {
            continue;
        }
        if name.contains([':', '\r', '\n', '\0']) || name.is_empty() {
            return Err(BadSdp::at(place, "cannot be the name of an attribute"));
        }
        match value {
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    line(&attribute(name, value, &format!("{place}[{index}]"))?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                line(&attribute(name, value, &place)?);
            }
        }
    }
    Ok(())
}

fn attribute(name: &str, value: &Value, place: &str) -> Result<String, BadSdp> {
    Ok(match value {
        Value::String(written) if written.is_empty() => name.to_owned(),
        Value::Bool(true) => name.to_owned(),
        Value::Number(number) => format!("{name}:{number}"),
        Value::Null | Value::Bool(false) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            format!("{name}:{}", text(value, place)?)
        }
    })
}

fn formats(object: &Map<String, Value>, at: &str, line: &mut dyn FnMut(&str)) -> Result<(), BadSdp> {
    let listed = object.get("payloads").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let order: Vec<String> = listed.iter().map(|payload| payload.to_string().trim_matches('"').to_owned()).collect();
    for (member, render) in [("rtpmap", rtpmap_text as fn(&Value, &str) -> Result<String, BadSdp>), ("fmtp", fmtp_text)]
    {
        let place = format!("{at}.{member}");
        let entries = match object.get(member) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(entries)) => entries,
            Some(_) => return Err(BadSdp::at(place, "must be an object by payload type")),
        };
        let rank = |format: &String| order.iter().position(|listed| listed == format).unwrap_or(order.len());
        let mut formats: Vec<&String> = entries.keys().collect();
        formats.sort_by_key(|format| (rank(format), (*format).clone()));
        for format in formats {
            let place = format!("{place}.{format}");
            if format.is_empty() || format.contains(|char: char| char.is_whitespace() || char.is_control()) {
                return Err(BadSdp::at(place, "is no payload type"));
            }
            line(&format!("{member}:{format} {}", render(&entries[format], &place)?));
        }
    }
    Ok(())
}

fn rtpmap_text(entry: &Value, place: &str) -> Result<String, BadSdp> {
    let Value::Object(entry) = entry else { return text(entry, place).map(str::to_owned) };
    let member = |name: &str| entry.get(name).ok_or_else(|| BadSdp::at(format!("{place}.{name}"), "is required"));
    let encoding = text(member("encoding")?, &format!("{place}.encoding"))?;
    if encoding.is_empty() || encoding.contains(['/', ' ']) {
        return Err(BadSdp::at(format!("{place}.encoding"), "must be the name of a codec"));
    }
    let mut line = format!("{encoding}/{}", number(member("clock")?, &format!("{place}.clock"))?);
    match entry.get("params") {
        None | Some(Value::Null) => {}
        Some(Value::Number(channels)) => line.push_str(&format!("/{channels}")),
        Some(parameters) => {
            line.push('/');
            line.push_str(text(parameters, &format!("{place}.params"))?);
        }
    }
    Ok(line)
}

fn fmtp_text(entry: &Value, place: &str) -> Result<String, BadSdp> {
    text(entry, place).map(str::to_owned)
}
