//! `t_uac_dlg` and `t_uac_cancel`: OpenSIPS itself calls somebody, and answers when that somebody has.

use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use crate::dialog::{End, LINGERS, NewDialog, State};
use crate::mi::{Asker, Params, Reply};
use crate::phone::{Answer, Behaviour, Make, status};
use crate::{Sim, Step, Time};

/// An INVITE of OpenSIPS's own that has no final answer.
#[derive(Clone, Debug)]
pub(crate) struct Uac {
    serial: u64,
    asker: Asker,
    names: Names,
    dialog: Option<u64>,
    user: Option<CompactString>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Rings,
    Answered,
    /// By the phone.
    Refused(u16),
    /// By OpenSIPS's own script.
    Rejected(u16),
    /// By OpenSIPS's own timer.
    TimedOut,
}

/// The header fields that name a request.
#[derive(Clone, Debug)]
struct Names {
    callid: CompactString,
    from: CompactString,
    from_tag: CompactString,
    to: CompactString,
    to_tag: CompactString,
    cseq: CompactString,
    branch: CompactString,
}

#[derive(Serialize)]
struct UacResult<'a> {
    #[serde(rename = "Status")]
    status: &'a str,
    #[serde(rename = "RURI", skip_serializing_if = "Option::is_none")]
    ruri: Option<&'a str>,
    #[serde(rename = "Next-hop", skip_serializing_if = "Option::is_none")]
    next_hop: Option<&'a str>,
    #[serde(rename = "Routes", skip_serializing_if = "Option::is_none")]
    routes: Option<[String; 1]>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The value of a header field in a block of them.
fn header(headers: &str, name: &str) -> Option<CompactString> {
    headers.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.trim().eq_ignore_ascii_case(name).then(|| value.trim().into())
    })
}

/// A name-addr without its parameters, and its tag.
fn split_tag(value: &str) -> (CompactString, Option<CompactString>) {
    match value.split_once(";tag=") {
        Some((address, tag)) => (address.into(), Some(tag.into())),
        None => (value.into(), None),
    }
}

/// The URI of a name-addr.
fn uri_of(value: &str) -> CompactString {
    value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri).into()
}

fn is_uri(text: &str) -> bool {
    let known = ["sip:", "sips:", "tel:"].iter().any(|scheme| text.starts_with(scheme));
    known && text.len() > 4 && !text.contains(|letter: char| letter.is_whitespace() || letter == '<' || letter == '>')
}

/// The user of a SIP URI, and host and port.
fn parts(uri: &str) -> (&str, &str) {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let rest = rest.split([';', '?']).next().unwrap_or_default();
    rest.split_once('@').unwrap_or(("", rest))
}

impl Sim {
    /// `t_uac_dlg`
    pub(crate) fn uac_dlg(&mut self, now: Time, params: &Params, asker: &Asker) -> Reply {
        let ruri = params.text("ruri");
        if !is_uri(&ruri) {
            return Reply::error(400, "Invalid ruri");
        }
        let headers = params.text("headers");
        let names = self.names(&headers);
        if params.text("method") == "BYE" {
            return self.hand_made_bye(&ruri, names);
        }
        let user = self.user_at(&ruri);
        let callid = names.callid.clone();
        let is_known = self.dialogs.by_callid(&callid).is_some() || self.uacs.contains_key(&callid);
        self.last_uac += 1;
        let mut uac = Uac { serial: self.last_uac, asker: asker.clone(), names, dialog: None, user: user.clone() };
        let phone = user.as_ref().and_then(|user| self.phones.get(user));
        let fates = self.fates(&ruri, phone);
        if is_known && phone.is_none() {
            return self.uac_reply(&uac, None, Fate::TimedOut).later(self.config.fr_timeout);
        }
        if let Some(phone) = phone.cloned() {
            let contact = header(&headers, "contact").map_or_else(|| ruri.clone(), |value| uri_of(&value));
            let new = NewDialog {
                callid: callid.clone(),
                from_tag: uac.names.from_tag.clone(),
                to_tag: uac.names.to_tag.clone(),
                from_uri: uri_of(&uac.names.from),
                to_uri: uri_of(&uac.names.to),
                caller: End::of(None, contact),
                callee: End::of(user, phone.contact.clone()),
            };
            let key = self.new_dialog(now, new);
            uac.dialog = Some(key);
            if is_known {
                // The same request once more: the phone takes it for one that went round in a circle.
                let hops = self.config.hop * 4;
                self.agenda.put(now + hops, Step::Dialog(key, State::Deleted));
                return self.uac_reply(&uac, Some(&phone), Fate::Refused(482)).later(hops);
            }
        }
        for (after, fate) in fates {
            self.agenda.put(now + after, Step::Uac(callid.clone(), uac.serial, fate));
        }
        self.uacs.insert(callid, uac);
        Reply::Later
    }

    fn names(&mut self, headers: &str) -> Names {
        let field = |name| header(headers, name).unwrap_or_default();
        let ((from, from_tag), (to, to_tag)) = (split_tag(&field("from")), split_tag(&field("to")));
        let callid = header(headers, "call-id").unwrap_or_else(|| self.chance.hex(16).into());
        // Made from the Call-ID: the same one gets the same tag.
        let sum = callid.bytes().fold(7_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte)));
        let made_tag = format_compact!("def4124455da8a0b8e97eafabd028e26-{sum:04x}");
        Names {
            callid,
            from,
            from_tag: from_tag.unwrap_or(made_tag),
            to,
            to_tag: to_tag.unwrap_or_else(|| self.chance.hex(12).into()),
            cseq: header(headers, "cseq").unwrap_or_else(|| "1 INVITE".into()),
            branch: format_compact!("z9hG4bK{}.{}.0", self.chance.hex(4), self.chance.hex(8)),
        }
    }

    /// The registered phone that a URI leads to.
    pub(crate) fn user_at(&self, uri: &str) -> Option<CompactString> {
        let (user, host) = parts(uri);
        if host != self.config.domain {
            let at = |phone: &Behaviour| parts(&phone.contact) == (user, host);
            return self.phones.iter().find(|(_, phone)| at(phone)).map(|(user, _)| user.clone());
        }
        self.phones.get_key_value(user).filter(|(_, phone)| phone.registered).map(|(user, _)| user.clone())
    }

    /// What happens to a call to a URI, and after how long.
    pub(crate) fn fates(&self, uri: &str, phone: Option<&Behaviour>) -> Vec<(Time, Fate)> {
        let hop = self.config.hop;
        let Some(phone) = phone else {
            let is_ours = parts(uri).1 == self.config.domain;
            return if is_ours {
                vec![(hop * 2, Fate::Rejected(404))]
            } else {
                vec![(self.config.fr_timeout, Fate::TimedOut)]
            };
        };
        let rings = (hop * 3, Fate::Rings);
        let (longest, timed_out) = (self.config.fr_inv_timeout, (self.config.fr_inv_timeout, Fate::TimedOut));
        match phone.answer {
            Answer::After(after) if after < longest => vec![rings, (hop * 4 + after, Fate::Answered)],
            Answer::Refuses(status, Duration::ZERO) => vec![(hop * 4, Fate::Refused(status))],
            Answer::Refuses(status, after) if after < longest => {
                vec![rings, (hop * 4 + after, Fate::Refused(status))]
            }
            Answer::After(_) | Answer::Refuses(..) | Answer::Rings => vec![rings, timed_out],
            Answer::Silent => vec![(self.config.fr_timeout, Fate::TimedOut)],
        }
    }

    /// A step of an INVITE of OpenSIPS's own.
    pub(crate) fn uac_goes_on(&mut self, now: Time, callid: &CompactString, serial: u64, fate: Fate) {
        let Some(uac) = self.uacs.get(callid).filter(|uac| uac.serial == serial) else {
            return;
        };
        let (dialog, uac) = (uac.dialog, uac.clone());
        let Some(key) = dialog else {
            return self.uac_ends(now, &uac, None, fate);
        };
        match fate {
            Fate::Rings => self.set_state(now, key, State::Early),
            Fate::Answered => {
                self.set_state(now, key, State::Unacknowledged);
                self.agenda.put(now + self.config.hop, Step::Dialog(key, State::Confirmed));
                self.uac_ends(now, &uac, uac.user.as_ref(), fate);
            }
            Fate::Refused(_) | Fate::Rejected(_) | Fate::TimedOut => {
                self.set_state(now, key, State::Deleted);
                self.uac_ends(now, &uac, uac.user.as_ref(), fate);
            }
        }
    }

    fn uac_ends(&mut self, now: Time, uac: &Uac, user: Option<&CompactString>, fate: Fate) {
        self.uacs.remove(&uac.names.callid);
        self.over.retain(|(at, _)| *at + LINGERS > now);
        self.over.push((now, uac.names.callid.clone()));
        let phone = user.and_then(|user| self.phones.get(user)).cloned();
        let reply = self.uac_reply(uac, phone.as_ref(), fate);
        self.answer(now, &uac.asker, reply);
    }

    fn uac_reply(&self, uac: &Uac, phone: Option<&Behaviour>, fate: Fate) -> Reply {
        let did = uac.dialog.and_then(|key| self.dialogs.get(key)).map(|dialog| dialog.did.clone());
        let next_hop =
            format!("sip:{};lr;ftag={};did={}", self.config.domain, uac.names.from_tag, did.unwrap_or_default());
        let said = |code| status(code);
        let nothing = UacResult { status: "", ruri: None, next_hop: None, routes: None, message: None };
        match (fate, phone) {
            (Fate::Answered, Some(phone)) => Reply::result(&UacResult {
                status: phone.ok(),
                ruri: Some(&phone.contact),
                next_hop: Some(&next_hop),
                routes: Some([format!("<{next_hop}>")]),
                message: Some(message(&uac.names, phone, Some(&next_hop), true)),
            }),
            (Fate::Refused(code), Some(phone)) => {
                let message = Some(message(&uac.names, phone, Some(&next_hop), false));
                Reply::result(&UacResult { status: &said(code), message, ..nothing })
            }
            (Fate::Rejected(code) | Fate::Refused(code), _) => {
                let message = Some(own_message(&uac.names, self.config.version.server()));
                Reply::result(&UacResult { status: &said(code), message, ..nothing })
            }
            (Fate::TimedOut | Fate::Answered | Fate::Rings, _) => {
                Reply::result(&UacResult { status: &said(408), ..nothing })
            }
        }
    }

    /// A BYE that somebody made up: the phone may know the call or not, the proxy does not see it.
    fn hand_made_bye(&mut self, ruri: &str, names: Names) -> Reply {
        let hop = self.config.hop * 2;
        let key = self.dialogs.by_callid(&names.callid);
        let end = key.and_then(|key| self.dialogs.get_mut(key)).map(|dialog| &mut dialog.callee);
        let is_there = end.is_some_and(|end| std::mem::replace(&mut end.is_there, false));
        let user = self.user_at(ruri);
        let Some(phone) = user.and_then(|user| self.phones.get(&user)) else {
            return Reply::result(&UacResult {
                status: "408 Request Timeout",
                ruri: None,
                next_hop: None,
                routes: None,
                message: None,
            })
            .later(self.config.fr_timeout);
        };
        let text = if is_there { status(200) } else { status(481) };
        let place = is_there.then_some(ruri);
        Reply::result(&UacResult {
            status: &text,
            ruri: place,
            next_hop: place,
            routes: None,
            message: Some(message(&names, phone, None, false)),
        })
        .later(hop)
    }

    /// `t_uac_cancel`
    pub(crate) fn uac_cancel(&mut self, now: Time, params: &Params) -> Reply {
        let callid = params.text("callid");
        if let Some(uac) = self.uacs.get(&callid).filter(|uac| uac.names.cseq.starts_with(params.text("cseq").as_str()))
        {
            let serial = uac.serial;
            self.agenda.put(now + self.config.hop * 2, Step::Uac(callid, serial, Fate::Refused(487)));
            return Reply::result(&"OK");
        }
        // One that is over can be found for a while; cancelling it does nothing.
        self.over.retain(|(at, _)| *at + LINGERS > now);
        if self.over.iter().any(|(_, over)| *over == callid) {
            return Reply::result(&"OK");
        }
        Reply::error(481, "No such transaction")
    }

    /// A dialog that is still ringing is ended: the INVITE is cancelled.
    pub(crate) fn cancel_early(&mut self, now: Time, key: u64, callid: &CompactString) -> Reply {
        let at = now + self.config.hop * 2;
        match self.uacs.get(callid).filter(|uac| uac.dialog == Some(key)) {
            Some(uac) => self.agenda.put(at, Step::Uac(callid.clone(), uac.serial, Fate::Refused(487))),
            None if self.new_calls.contains_key(&key) => self.agenda.put(at, Step::NewCall(key, Fate::Refused(487))),
            None => self.agenda.put(at, Step::Dialog(key, State::Deleted)),
        }
        Reply::result(&"OK")
    }
}

/// A phone's answer as `Message` has it: header fields, and a session description if it answered the call.
fn message(names: &Names, phone: &Behaviour, route: Option<&str>, answered: bool) -> String {
    let Names { callid, from, from_tag, to, to_tag, cseq, branch } = names;
    let (from, to) = (format!("From: {from};tag={from_tag}\r\n"), format!("To: {to};tag={to_tag}\r\n"));
    let (callid, cseq) = (format!("Call-ID: {callid}\r\n"), format!("CSeq: {cseq}\r\n"));
    let via = format!("Via: SIP/2.0/UDP 127.0.0.1:5080;branch={branch}\r\n");
    let route = route.map(|route| format!("Record-Route: <{route}>\r\n")).unwrap_or_default();
    let contact = format!("Contact: <{}>\r\n", phone.contact);
    let sdp = if answered { phone.sdp(1) } else { String::new() };
    let content = if answered { "Content-Type: application/sdp\r\n" } else { "" };
    let tail = format!("{content}Content-Length: {}\r\n\r\n{sdp}", sdp.len());
    match phone.make {
        Make::Scripted => format!("{via}{route}{from}{to}{callid}{cseq}{contact}{tail}"),
        Make::Baresip => {
            let server = "Server: baresip v1.0.0 (x86_64/linux)\r\n";
            let allow = "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,NOTIFY,SUBSCRIBE,INFO,MESSAGE,REFER\r\n";
            let more = if answered { format!("{contact}{allow}") } else { String::new() };
            format!("{route}{via}{to}{from}{cseq}{callid}{server}{more}{tail}")
        }
    }
}

/// An answer that OpenSIPS's own script made.
fn own_message(names: &Names, server: &str) -> String {
    let Names { callid, from, from_tag, to, to_tag, cseq, branch } = names;
    format!(
        "Via: SIP/2.0/UDP 127.0.0.1:5080;branch={branch}\r\nTo: {to};tag={to_tag}\r\nFrom: {from};tag={from_tag}\r\n\
         Call-ID: {callid}\r\nCSeq: {cseq}\r\nServer: {server}\r\nContent-Length: 0\r\n\r\n"
    )
}
