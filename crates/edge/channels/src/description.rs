//! Between what a controller says of a channel and session descriptions, which the media engine wants.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use hookswitch_call::Sdp;
use hookswitch_sdp::{Direction, SessionDescription, static_payload_type};
use serde_json::Value;

use crate::json::{Failure, Members};

/// Most payload types of a channel.
const MAX_PAYLOADS: usize = 32;

/// What the numbers mean that project-mediaswitch gives no names.
const NAMED: [(u8, &str, Option<&str>); 2] =
    [(97, "iLBC/8000", Some("mode=20")), (101, "telephone-event/8000", Some("0-16"))];

/// The numbers of a controller that names none: everything that needs no name.
const USUAL: [u8; 4] = [0, 8, 9, 101];

/// Where a channel's party is, and what it speaks, as a controller says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    /// Best first.
    formats: Vec<Format>,
    direction: Direction,
}

/// What a payload type stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Format {
    number: u8,
    /// As it stands after `a=rtpmap:`.
    encoding: Option<String>,
    /// As they stand after `a=fmtp:`.
    parameters: Option<String>,
}

impl Remote {
    /// `{"ip","port","audio":{"payloads":[…],"rtpmap":{…},"fmtp":{…}},"direction":{"send","recv"}}`.
    pub(crate) fn read(value: &Value) -> Result<Self, Failure> {
        let members = Members::of(value)?;
        let ip = members.text(&["ip", "address"])?.ok_or_else(|| Failure::value("ip", "missing: an IP address"))?;
        let ip: IpAddr = ip.parse().map_err(|_| Failure::value("ip", "expected an IP address"))?;
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(Failure::value("ip", "expected the address of one host"));
        }
        let port = members.number(&["port"], u16::MAX.into())?.and_then(|port| u16::try_from(port).ok());
        let port =
            port.filter(|port| *port != 0).ok_or_else(|| Failure::value("port", "missing: a port from 1 to 65535"))?;
        let formats = match members.get(&["audio"]) {
            Some((_, audio)) => formats(audio).map_err(|error| error.within("audio"))?,
            None => USUAL.iter().map(|number| named(*number, None, None)).collect(),
        };
        Ok(Self { address: SocketAddr::new(ip, port), formats, direction: direction(&members)? })
    }

    /// The answer that a party of this kind would give to any offer.
    pub(crate) fn description(&self) -> Sdp {
        let ip = self.address.ip();
        let family = if ip.is_ipv6() { "IP6" } else { "IP4" };
        let mut text = format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n");
        // Writing into memory cannot fail.
        let _ = write!(text, "m=audio {} RTP/AVP", self.address.port());
        for Format { number, .. } in &self.formats {
            let _ = write!(text, " {number}");
        }
        text.push_str("\r\n");
        for Format { number, encoding, parameters } in &self.formats {
            if let Some(encoding) = encoding {
                let _ = write!(text, "a=rtpmap:{number} {encoding}\r\n");
            }
            if let Some(parameters) = parameters {
                let _ = write!(text, "a=fmtp:{number} {parameters}\r\n");
            }
        }
        let _ = write!(text, "a={}\r\n", self.direction);
        Sdp(text.into())
    }
}

/// `{"send","recv"}` is what the channel does; the description says what its party does.
fn direction(members: &Members<'_>) -> Result<Direction, Failure> {
    let Some((name, value)) = members.get(&["direction"]) else { return Ok(Direction::SendRecv) };
    let members = Members::of(value).map_err(|error| error.within(name))?;
    let sends = members.flag(&["send"], true).map_err(|error| error.within(name))?;
    let receives = members.flag(&["recv"], true).map_err(|error| error.within(name))?;
    Ok(Direction::new(sends, receives).reversed())
}

fn formats(audio: &Value) -> Result<Vec<Format>, Failure> {
    let expected = || Failure::value("payloads", format!("expected 1 to {MAX_PAYLOADS} numbers from 0 to 127"));
    let members = Members::of(audio)?;
    let (_, payloads) = members.get(&["payloads"]).ok_or_else(expected)?;
    let payloads = payloads.as_array().filter(|all| (1..=MAX_PAYLOADS).contains(&all.len())).ok_or_else(expected)?;
    let mut formats = Vec::with_capacity(payloads.len());
    for payload in payloads {
        let number = payload.as_u64().and_then(|number| u8::try_from(number).ok()).filter(|number| *number < 128);
        let number = number.ok_or_else(expected)?;
        let encoding = encoding(&members, number)?;
        let parameters = entry(&members, "fmtp", number)?.map(|value| token(value, "fmtp")).transpose()?;
        let format = named(number, encoding, parameters);
        if format.encoding.is_none() && static_payload_type(number).is_none() {
            return Err(Failure::value("rtpmap", format!("missing for {number}: what it stands for")));
        }
        formats.push(format);
    }
    Ok(formats)
}

fn entry<'a>(members: &Members<'a>, name: &'static str, number: u8) -> Result<Option<&'a Value>, Failure> {
    let Some((_, map)) = members.get(&[name]) else { return Ok(None) };
    let map = map.as_object().ok_or_else(|| Failure::value(name, "expected an object"))?;
    Ok(map.get(&number.to_string()))
}

/// `{"encoding","clock","params"}` as it stands after `a=rtpmap:`.
fn encoding(members: &Members<'_>, number: u8) -> Result<Option<String>, Failure> {
    let Some(value) = entry(members, "rtpmap", number)? else { return Ok(None) };
    let inner = Members::of(value).map_err(|error| error.within("rtpmap"))?;
    let name = inner.text(&["encoding"])?.ok_or_else(|| Failure::value("rtpmap.encoding", "missing"))?;
    let clock = inner.number(&["clock"], u32::MAX.into())?.ok_or_else(|| Failure::value("rtpmap.clock", "missing"))?;
    let mut text = format!("{name}/{clock}");
    if let Some(channels) = inner.number(&["params"], 255)? {
        let _ = write!(text, "/{channels}");
    }
    token(&Value::String(text), "rtpmap").map(Some)
}

/// Text for one line of a description.
fn token(value: &Value, name: &'static str) -> Result<String, Failure> {
    let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= 256 && !text.contains(char::is_control));
    text.map(str::to_owned).ok_or_else(|| Failure::value(name, "expected a text of one line"))
}

fn named(number: u8, encoding: Option<String>, parameters: Option<String>) -> Format {
    let known = NAMED.iter().find(|(known, ..)| *known == number && encoding.is_none());
    match known {
        Some((_, name, usual)) => {
            let parameters = parameters.or_else(|| usual.map(str::to_owned));
            Format { number, encoding: Some((*name).to_owned()), parameters }
        }
        None => Format { number, encoding, parameters },
    }
}

/// Where a description of ours wants packets.
pub(crate) fn place_of(sdp: &Sdp) -> Option<SocketAddr> {
    let description = SessionDescription::parse(sdp.0.as_bytes()).ok()?;
    let (_, media) = description.first_audio()?;
    media.rtp_address()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_controller_says_becomes_a_description() {
        let value = json!({
            "ip": "10.0.0.1", "port": 4000, "direction": {"recv": false},
            "audio": {"payloads": [97, 8, 101, 111], "rtpmap": {"111": {"encoding": "opus", "clock": "48000", "params": "2"}}},
        });
        let text = Remote::read(&value).unwrap().description().0;
        for line in [
            "c=IN IP4 10.0.0.1",
            "m=audio 4000 RTP/AVP 97 8 101 111",
            "a=rtpmap:97 iLBC/8000",
            "a=fmtp:97 mode=20",
            "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:111 opus/48000/2",
            // We do not receive, so the party does not send.
            "a=recvonly",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
        assert_eq!(place_of(&Sdp(text)).unwrap(), "10.0.0.1:4000".parse().unwrap());
    }

    #[test]
    fn what_cannot_be_is_said_with_its_place() {
        let good = json!({"ip": "::1", "port": "4000"});
        assert_eq!(Remote::read(&good).unwrap().formats.len(), USUAL.len());
        for (name, value, place) in [
            ("ip", json!("host.test"), "ip"),
            ("ip", json!("0.0.0.0"), "ip"),
            ("ip", json!("224.0.0.1"), "ip"),
            ("port", json!(0), "port"),
            ("port", json!(65_536), "port"),
            ("audio", json!({}), "audio.payloads"),
            ("audio", json!({"payloads": [128]}), "audio.payloads"),
            ("audio", json!({"payloads": vec![0; MAX_PAYLOADS + 1]}), "audio.payloads"),
            ("audio", json!({"payloads": [96]}), "audio.rtpmap"),
            (
                "audio",
                json!({"payloads": [96], "rtpmap": {"96": {"encoding": "a\r\nb", "clock": 8000}}}),
                "audio.rtpmap",
            ),
            ("audio", json!({"payloads": [0], "fmtp": {"0": "a\nb"}}), "audio.fmtp"),
            ("direction", json!({"send": 1}), "direction.send"),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert_eq!(Remote::read(&bad).unwrap_err().place, place, "{bad}");
        }
    }
}
