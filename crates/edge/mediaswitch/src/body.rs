//! Reads what controllers write.

use compact_str::{CompactString, format_compact};
use hookswitch_call::directory::{MAX_SECRET, Secret};
use hookswitch_call::{Address, MAX_ADDRESS};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::command::{MAX_BODY, Response};
use crate::detail::Party;
use crate::record::Cid;
use crate::sdp;

/// Longest Call-ID that a controller gets to see or to choose, in bytes.
pub(crate) const MAX_CALLID: usize = 256;

/// Longest name of a user or a domain, in bytes.
const MAX_NAME: usize = 255;

/// What `POST /dialog/invite` asks for.
pub(crate) struct Invitation {
    pub from_domain: CompactString,
    pub from_user: CompactString,
    pub secret: Option<Secret>,
    pub to_user: CompactString,
    pub to_domain: Option<CompactString>,
    pub maxforwards: u8,
    pub cid: Cid,
    pub control: Option<CompactString>,
    pub sdp: Option<String>,
    /// The name that the dialog is to have.
    pub callid: Option<CompactString>,
    /// Who calls whom, on the word of a switchboard.
    pub party: Option<Box<Party>>,
}

/// What whoever asks for a call and leaves something out is told, as the original says it.
fn missing(place: &str) -> Response {
    Response::failed(500, "Missing param or params in invite", place)
}

fn wrong(place: &str, what: &str) -> Response {
    Response::failed(400, &format!("{place} must be {what}"), place)
}

/// A body: one object. A list of one is what it holds, and the slip of the original's own example is forgiven.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Response> {
    let text = std::str::from_utf8(body).map_err(|_| wrong("body", "UTF-8"))?;
    let read = serde_json::from_str(text).or_else(|error| {
        let mended = text.replacen("\"to: \"", "\"to\": \"", 1);
        serde_json::from_str(&mended).map_err(|_| error)
    });
    let value: Value = read.map_err(|error| {
        let place = format!("body, line {} column {}", error.line(), error.column());
        Response::failed(400, "the body is not valid JSON", &place)
    })?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Array(mut list) if list.len() == 1 => match list.remove(0) {
            Value::Object(object) => Ok(object),
            _ => Err(wrong("body", "a JSON object")),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(wrong("body", "a JSON object"))
        }
    }
}

/// A text of one line; none for nothing.
pub(crate) fn line(value: Option<&Value>, place: &str, most: usize) -> Result<Option<CompactString>, Response> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= most && !text.chars().any(char::is_control) => Ok(Some(text.into())),
        Some(Value::Number(number)) if number.is_u64() => Ok(Some(format_compact!("{number}"))),
        Some(_) => Err(wrong(place, &format!("one line of at most {most} bytes"))),
    }
}

/// A number, or a text of digits.
pub(crate) fn number(value: Option<&Value>, place: &str) -> Result<Option<u16>, Response> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_u64().and_then(|number| u16::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(place, "a small whole number")),
        },
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong(place, "a small whole number")),
        Some(_) => Err(wrong(place, "a small whole number")),
    }
}

/// The member `sdp` as text.
pub(crate) fn description(body: &Map<String, Value>) -> Result<Option<String>, Response> {
    let sdp = body.get("sdp").map_or(Ok(None), sdp::to_text);
    sdp.map_err(|error| Response::failed(400, &error.what, &error.place))
}

impl Invitation {
    /// Reads the object that the original reads, or the flat one of its readme: `domain`, `to` and `from` beside each
    /// other, `callerid` for `cid`, and no description.
    pub fn read(body: &Map<String, Value>) -> Result<Self, Response> {
        if let Some(party) = body.get("party") {
            return Self::of_party(body, party);
        }
        if body.get("from").is_some_and(Value::is_object) || body.get("to").is_some_and(Value::is_object) {
            return Self::nested(body);
        }
        let domain = domain(body.get("domain"), "domain")?.ok_or_else(|| missing("domain"))?;
        let (to_user, to_domain) = split(name(body.get("to"), "to")?.ok_or_else(|| missing("to"))?)?;
        let (from_user, _) = split(name(body.get("from"), "from")?.ok_or_else(|| missing("from"))?)?;
        Ok(Self {
            from_domain: domain,
            from_user,
            secret: secret(body.get("authsecret"), "authsecret")?,
            to_user,
            to_domain,
            maxforwards: hops(body)?.unwrap_or(70),
            cid: cid(body.get("callerid").or_else(|| body.get("cid")), false)?,
            control: control(body)?,
            sdp: description(body)?,
            callid: None,
            party: None,
        })
    }

    /// As a switchboard calls somebody: the parties stand in the member `party`.
    fn of_party(body: &Map<String, Value>, party: &Value) -> Result<Self, Response> {
        let party = Party::deserialize(party);
        let party = party.map_err(|error| Response::failed(400, &format!("party: {error}"), "party"))?;
        for (address, place) in [(&party.from, "party.from"), (&party.to, "party.to")] {
            if address.is_empty() || address.len() > MAX_ADDRESS || !address.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(wrong(place, "an address"));
            }
        }
        let callid = line(body.get("callid"), "callid", MAX_CALLID)?;
        if callid.as_ref().is_some_and(|callid| !is_callid(callid)) {
            return Err(wrong("callid", "a Call-ID"));
        }
        Ok(Self {
            from_domain: host_of(&party.from),
            from_user: user_of(&party.from),
            secret: None,
            to_user: user_of(&party.to),
            to_domain: None,
            maxforwards: hops(body)?.unwrap_or(70),
            cid: Cid::default(),
            control: control(body)?,
            sdp: description(body)?,
            callid,
            party: Some(Box::new(party)),
        })
    }

    fn nested(body: &Map<String, Value>) -> Result<Self, Response> {
        let member = |of: &str, member: &str| body.get(of).and_then(|of| of.get(member)).cloned();
        let sdp = description(body)?;
        Ok(Self {
            from_domain: domain(member("from", "domain").as_ref(), "from.domain")?
                .ok_or_else(|| missing("from.domain"))?,
            from_user: name(member("from", "user").as_ref(), "from.user")?.ok_or_else(|| missing("from.user"))?,
            secret: secret(member("from", "authsecret").as_ref(), "from.authsecret")?,
            to_user: name(member("to", "user").as_ref(), "to.user")?.ok_or_else(|| missing("to.user"))?,
            to_domain: domain(member("to", "domain").as_ref(), "to.domain")?,
            maxforwards: hops(body)?.ok_or_else(|| missing("maxforwards"))?,
            cid: cid(body.get("cid").or_else(|| body.get("callerid")), true)?,
            control: control(body)?,
            // One that is there and empty is no slip: it says that there is none, as an event does.
            sdp: match sdp {
                None if body.get("sdp").is_none_or(Value::is_null) => return Err(missing("sdp")),
                sdp => sdp,
            },
            callid: None,
            party: None,
        })
    }
}

/// Who is to be connected with whom, by a call of the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parties {
    /// Who is called first.
    pub caller: Address,
    /// Whom it is connected with.
    pub callee: Address,
    /// Members of the body that make no difference to such a call.
    pub ignored: Vec<&'static str>,
}

/// Reads who is to be connected with whom: a body as for a call of one leg.
///
/// # Errors
/// The answer to whoever has written it: 400 for what cannot be read, 500 where somebody is missing, 501 where it asks for what a
/// call of the switch cannot have.
pub fn parties(body: &[u8]) -> Result<Parties, Response> {
    if body.len() > MAX_BODY {
        return Err(Response::failed(413, "the body is longer than 65536 bytes", "body"));
    }
    let body = object(body)?;
    let nested = |of: &str, member: &str| body.get(of).and_then(|of| of.get(member)).cloned();
    let flat = !body.get("from").is_some_and(Value::is_object);
    let of = |of: &'static str, member: &str| if flat { body.get(of).cloned() } else { nested(of, member) };
    let home = if flat { body.get("domain").cloned() } else { nested("from", "domain") };
    let home = domain(home.as_ref(), "domain")?.ok_or_else(|| missing("domain"))?;
    let (from, _) = split(name(of("from", "user").as_ref(), "from")?.ok_or_else(|| missing("from"))?)?;
    let (to, at) = split(name(of("to", "user").as_ref(), "to")?.ok_or_else(|| missing("to"))?)?;
    let at = at.or(domain(nested("to", "domain").as_ref(), "to.domain")?).unwrap_or_else(|| home.clone());
    let ignored = ignored(&body)?;
    Ok(Parties { caller: Address(name_in(&from, &home)), callee: Address(name_in(&to, &at)), ignored })
}

/// What makes no difference to a call of the switch. Whoever wants to stay unknown, or is to prove who it is, is refused: that it
/// does not is worse than no call.
fn ignored(body: &Map<String, Value>) -> Result<Vec<&'static str>, Response> {
    let shown = cid(body.get("cid").or_else(|| body.get("callerid")), false)?;
    if shown.private {
        let what = "a call of the switch does not hide who calls; POST /dialog/invite of a SIP server can";
        return Err(Response::failed(501, what, "cid.private"));
    }
    let own = body.get("from").and_then(|from| from.get("authsecret")).or_else(|| body.get("authsecret"));
    if secret(own, "authsecret")?.is_some() {
        let what =
            "a call of the switch has the passwords of trunks; POST /dialog/invite of a SIP server takes another";
        return Err(Response::failed(501, what, "authsecret"));
    }
    let said = [
        ("cid.number", !shown.number.is_empty()),
        ("cid.name", !shown.name.is_empty()),
        ("maxforwards", hops(body)?.is_some()),
        ("control", control(body)?.is_some()),
        ("sdp", description(body)?.is_some()),
    ];
    Ok(said.into_iter().filter(|(_, is_said)| *is_said).map(|(member, _)| member).collect())
}

/// `user`, or `user@domain`.
fn split(name: CompactString) -> Result<(CompactString, Option<CompactString>), Response> {
    let bare = name.strip_prefix("sip:").unwrap_or(&name);
    match bare.split_once('@') {
        None => Ok((bare.into(), None)),
        Some((user, host)) => Ok((user.into(), domain(Some(&Value::from(host)), "to")?)),
    }
}

fn name(value: Option<&Value>, place: &str) -> Result<Option<CompactString>, Response> {
    Ok(line(value, place, MAX_NAME)?.filter(|name| !name.is_empty()))
}

fn secret(value: Option<&Value>, place: &str) -> Result<Option<Secret>, Response> {
    Ok(line(value, place, MAX_SECRET)?.filter(|secret| !secret.is_empty()).map(|secret| Secret::new(&secret)))
}

/// `HOST` or `HOST:PORT`.
fn domain(value: Option<&Value>, place: &str) -> Result<Option<CompactString>, Response> {
    let Some(host) = name(value, place)? else { return Ok(None) };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    match host.bytes().all(fits) {
        true => Ok(Some(host)),
        false => Err(wrong(place, "a host")),
    }
}

fn hops(body: &Map<String, Value>) -> Result<Option<u8>, Response> {
    let hops = number(body.get("maxforwards"), "maxforwards")?;
    let hops = hops.map(|hops| u8::try_from(hops).map_err(|_| wrong("maxforwards", "from 0 to 255")));
    hops.transpose()
}

/// `all`: number and name must be there.
fn cid(value: Option<&Value>, all: bool) -> Result<Cid, Response> {
    let member = |name: &str| value.and_then(|cid| cid.get(name));
    let text = |name: &str| {
        let place = format!("cid.{name}");
        match line(member(name), &place, MAX_NAME)? {
            None if all => Err(missing(&place)),
            text => Ok(text.unwrap_or_default()),
        }
    };
    let private = match member("private") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(private)) => *private,
        Some(_) => return Err(wrong("cid.private", "true or false")),
    };
    Ok(Cid { number: text("number")?, name: text("name")?, private })
}

/// A base URL, or the `{host, port}` of the readme.
fn control(body: &Map<String, Value>) -> Result<Option<CompactString>, Response> {
    let bad = || wrong("control", "an http or https URL");
    let url = match body.get("control") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(url)) => CompactString::from(url),
        Some(Value::Object(at)) => {
            let host = domain(at.get("host"), "control.host")?.ok_or_else(bad)?;
            match number(at.get("port"), "control.port")? {
                Some(port) => format_compact!("http://{host}:{port}"),
                None => format_compact!("http://{host}"),
            }
        }
        Some(_) => return Err(bad()),
    };
    let is_url = ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    match is_url && url.len() <= MAX_ADDRESS && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(url)),
        false if url.is_empty() => Ok(None),
        false => Err(bad()),
    }
}

/// A user of a domain as a SIP URI: what may not stand in the user part is escaped (RFC 3261 section 25.1).
pub(crate) fn name_in(user: &str, domain: &str) -> CompactString {
    let mut out = CompactString::const_new("sip:");
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out = format_compact!("{out}%{byte:02X}");
        }
    }
    format_compact!("{out}@{domain}")
}

/// Whether a text can name a dialog, on the wire and in a path.
pub(crate) fn is_callid(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.len() <= MAX_CALLID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The host in an address, without its port; empty where there is none.
#[must_use]
pub fn host_of(address: &str) -> CompactString {
    let rest = address.split_once(':').map_or(address, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or("", |(_, host)| host);
    host.split([':', ';', '?']).next().unwrap_or_default().into()
}

/// The user in an address, unescaped; of an address that has none, what stands there.
pub fn user_of(address: &str) -> CompactString {
    let rest = address.split_once(':').map_or(address, |(_, rest)| rest);
    let user = match rest.split_once('@') {
        Some((user, _)) => user.split(':').next().unwrap_or_default(),
        None => rest.split([';', '?']).next().unwrap_or_default(),
    };
    let mut bytes = Vec::with_capacity(user.len());
    let mut rest = user.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, after) {
            (b'%', [high, low, after @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                bytes.push(digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default());
                rest = after;
            }
            (byte, after) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).as_ref().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_go_into_addresses_and_come_out_again() {
        for user in ["1000", "+441442", "a b", "x@y", "%", "ü", "a;b?c", "<evil>"] {
            let address = name_in(user, "d.test");
            assert!(address.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)), "{address}");
            assert_eq!(user_of(&address), user);
        }
        assert_eq!(user_of("sip:1000:secret@h;x=y"), "1000");
        assert_eq!(
            (user_of("tel:+1;ext=2"), user_of("sip:h.test;lr"), user_of("1000")),
            ("+1".into(), "h.test".into(), "1000".into())
        );
    }

    #[test]
    fn the_slip_in_the_readme_is_forgiven() {
        let printed = br#"[{ "domain": "bling.babblevoice.com", "to: "1003", "from": "1000", "maxforwards": 70, "callerid": { "number": "123", "name": "123", "private": false }, "control": { "host": "127.0.0.1", "port": 9001 } }]"#;
        let read = Invitation::read(&object(printed).unwrap_or_default()).unwrap_or_else(|_| panic!("refused"));
        assert_eq!((read.to_user.as_str(), read.from_user.as_str(), read.maxforwards), ("1003", "1000", 70));
        assert_eq!((read.control.as_deref(), read.cid.number.as_str()), (Some("http://127.0.0.1:9001"), "123"));
        assert!(read.sdp.is_none());
    }
}
