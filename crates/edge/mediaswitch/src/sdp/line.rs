//! Single lines: each shape is written from text and read into text, so that one can be held against the other.

use serde_json::{Map, Value, json};

use super::BadSdp;

/// Text that may stand in a line.
pub(super) fn text<'a>(value: &'a Value, place: &str) -> Result<&'a str, BadSdp> {
    let text = value.as_str().ok_or_else(|| BadSdp::at(place, "must be a text"))?;
    match text.chars().any(|char| matches!(char, '\r' | '\n' | '\0')) {
        true => Err(BadSdp::at(place, "must be one line")),
        false => Ok(text),
    }
}

/// A text without white space, such as an address.
fn word<'a>(value: &'a Value, place: &str) -> Result<&'a str, BadSdp> {
    let word = text(value, place)?;
    match word.is_empty() || word.chars().any(char::is_whitespace) {
        true => Err(BadSdp::at(place, "must be one word")),
        false => Ok(word),
    }
}

/// A number, or a text of digits: as it is to stand in the line.
pub(super) fn number(value: &Value, place: &str) -> Result<String, BadSdp> {
    let digits = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(digits),
        false => Err(BadSdp::at(place, "must be a whole number")),
    }
}

/// A number as JSON: a text only where it does not fit 64 bits or would not be written the same again.
pub(super) fn number_of(digits: &str) -> Value {
    match digits.parse::<u64>() {
        Ok(number) if number.to_string() == digits => json!(number),
        Ok(_) | Err(_) => json!(digits),
    }
}

/// A member of an object, read as a word; what it is without one, if it may be left out.
fn word_in<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    default: Option<&'a str>,
    at: &str,
) -> Result<&'a str, BadSdp> {
    let place = format!("{at}.{name}");
    match (object.get(name), default) {
        (Some(Value::Null) | None, Some(default)) => Ok(default),
        (Some(value), _) => word(value, &place),
        (None, None) => Err(BadSdp::at(place, "is required")),
    }
}

fn number_in(object: &Map<String, Value>, name: &str, default: Option<&str>, at: &str) -> Result<String, BadSdp> {
    let place = format!("{at}.{name}");
    match (object.get(name), default) {
        (Some(Value::Null) | None, Some(default)) => Ok(default.to_owned()),
        (Some(value), _) => number(value, &place),
        (None, None) => Err(BadSdp::at(place, "is required")),
    }
}

/// One kind of line whose value is an object.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// From text; `None` where it does not fit.
    pub write: fn(&str) -> Option<Value>,
    /// Into text.
    read: fn(&Map<String, Value>, &str) -> Result<String, BadSdp>,
}

impl Shape {
    /// The object for a line, or its text where the object would not say the same.
    pub fn to_json(self, value: &str) -> Value {
        let object = (self.write)(value);
        let again = |value: &Value| (self.read)(value.as_object()?, "").ok();
        object.filter(|object| again(object).as_deref() == Some(value)).unwrap_or_else(|| json!(value))
    }

    /// The text of an object, or of a text that stands in its place.
    pub fn to_text(self, value: &Value, place: &str) -> Result<String, BadSdp> {
        match value {
            Value::Object(object) => (self.read)(object, place),
            Value::String(_) => text(value, place).map(str::to_owned),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                Err(BadSdp::at(place, "must be an object"))
            }
        }
    }
}

/// The shape of a line, by its letter.
pub(super) fn shape_of(kind: char) -> Option<Shape> {
    Some(match kind {
        'o' => Shape { write: write_origin, read: read_origin },
        'c' => Shape { write: write_connection, read: read_connection },
        'b' => Shape { write: write_bandwidth, read: read_bandwidth },
        't' => Shape { write: write_time, read: read_time },
        'k' => Shape { write: write_key, read: read_key },
        _ => return None,
    })
}

fn ipver(word: &str) -> Option<u8> {
    match word {
        "IP4" => Some(4),
        "IP6" => Some(6),
        _ => None,
    }
}

fn address(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    let net = word_in(object, "nettype", Some("IN"), at)?;
    let address = word_in(object, "address", None, at)?;
    let guess = if address.contains(':') { "6" } else { "4" };
    let version = number_in(object, "ipver", Some(guess), at)?;
    match version.as_str() {
        "4" | "6" => Ok(format!("{net} IP{version} {address}")),
        _ => Err(BadSdp::at(format!("{at}.ipver"), "must be 4 or 6")),
    }
}

fn write_origin(value: &str) -> Option<Value> {
    let words: Vec<&str> = value.split(' ').collect();
    let [user, id, version, net, kind, address] = words[..] else { return None };
    Some(json!({
        "username": user, "sessionid": number_of(id), "sessionversion": number_of(version),
        "nettype": net, "ipver": ipver(kind)?, "address": address,
    }))
}

fn read_origin(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    let user = word_in(object, "username", Some("-"), at)?;
    let id = number_in(object, "sessionid", Some("0"), at)?;
    let version = number_in(object, "sessionversion", Some("0"), at)?;
    Ok(format!("{user} {id} {version} {}", address(object, at)?))
}

fn write_connection(value: &str) -> Option<Value> {
    let words: Vec<&str> = value.split(' ').collect();
    let [net, kind, address] = words[..] else { return None };
    Some(json!({ "nettype": net, "ipver": ipver(kind)?, "address": address }))
}

fn read_connection(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    address(object, at)
}

fn write_bandwidth(value: &str) -> Option<Value> {
    let (kind, bandwidth) = value.split_once(':')?;
    Some(json!({ "bwtype": kind, "bandwidth": number_of(bandwidth) }))
}

fn read_bandwidth(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    Ok(format!("{}:{}", word_in(object, "bwtype", Some("AS"), at)?, number_in(object, "bandwidth", None, at)?))
}

fn write_time(value: &str) -> Option<Value> {
    let (start, stop) = value.split_once(' ')?;
    Some(json!({ "start": number_of(start), "stop": number_of(stop) }))
}

fn read_time(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    Ok(format!("{} {}", number_in(object, "start", Some("0"), at)?, number_in(object, "stop", Some("0"), at)?))
}

fn write_key(value: &str) -> Option<Value> {
    Some(match value.split_once(':') {
        Some((method, key)) => json!({ "method": method, "key": key }),
        None => json!({ "method": value }),
    })
}

fn read_key(object: &Map<String, Value>, at: &str) -> Result<String, BadSdp> {
    let method = word_in(object, "method", None, at)?;
    match object.get("key") {
        Some(Value::Null) | None => Ok(method.to_owned()),
        Some(key) => Ok(format!("{method}:{}", text(key, &format!("{at}.key"))?)),
    }
}

/// The times of a repetition, all of them in seconds (RFC 8866 section 5.10).
pub(super) fn repetition(value: &str) -> Value {
    let times: Option<Vec<u64>> = value.split(' ').map(seconds).collect();
    match times.as_deref() {
        Some([interval, duration, offsets @ ..]) => {
            json!({ "interval": interval, "duration": duration, "offsets": offsets })
        }
        Some(_) | None => json!(value),
    }
}

pub(super) fn repetition_text(value: &Value, place: &str) -> Result<String, BadSdp> {
    let Value::Object(object) = value else { return text(value, place).map(str::to_owned) };
    let mut line = number_in(object, "interval", None, place)?;
    line.push(' ');
    line.push_str(&number_in(object, "duration", None, place)?);
    let offsets = object.get("offsets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, offset) in offsets.iter().enumerate() {
        line.push(' ');
        line.push_str(&number(offset, &format!("{place}.offsets[{index}]"))?);
    }
    Ok(line)
}

fn seconds(word: &str) -> Option<u64> {
    let (digits, unit) = match word.as_bytes().last()? {
        b'd' => (&word[..word.len() - 1], 86_400),
        b'h' => (&word[..word.len() - 1], 3_600),
        b'm' => (&word[..word.len() - 1], 60),
        b's' => (&word[..word.len() - 1], 1),
        _ => (word, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
