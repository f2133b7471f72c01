//! A party is called because a controller wants it.

use compact_str::{CompactString, format_compact};
use hookswitch_call::directory::Directory;
use hookswitch_call::{
    Address, CallId, Cause, Dial, Fault, Found, Identity, Kind, LegId, MAX_BRANCHES, Op, Orderer, Sdp, Target, Time,
};

use crate::body::{Invitation, name_in};
use crate::command::Response;
use crate::detail::{News, Party};
use crate::inbound::base;
use crate::record::{Calling, Change, Epochs, Record, Stage};
use crate::sdp::is_hold;
use crate::{CHANGE_TIME, Dialogs, Manner, Output, RequestId};

/// How often a call may be turned away by those it goes to before it is called a loop.
const MAX_DIVERTED: u8 = 5;

impl Dialogs {
    /// A controller wants a party called. Answered when it is known where that is.
    pub(crate) fn invite(&mut self, now: Time, id: RequestId, wanted: Invitation, directory: &Directory) {
        // Where it goes is not known yet.
        if let Some(cause) = self.full(true) {
            return self.out.push_back(Output::Answer(id, Response::failed(cause.code, &cause.text, "")));
        }
        if wanted.callid.as_ref().is_some_and(|callid| self.by_callid.contains_key(callid)) {
            let refusal = Response::failed(409, "there is a dialog of this name", "callid");
            return self.out.push_back(Output::Answer(id, refusal));
        }
        let call = self.name();
        let from = wanted.from_domain;
        let domain = directory.resolve(&from).map_or_else(|| from.clone(), CompactString::from);
        let control = wanted.control.or_else(|| directory.control(&domain).map(CompactString::from));
        let to_domain = wanted.to_domain.unwrap_or_else(|| from.clone());
        let calling = Calling {
            to: whole(&wanted.party, |party| &party.to).unwrap_or_else(|| name_in(&wanted.to_user, &to_domain)),
            from: whole(&wanted.party, |party| &party.from).unwrap_or_else(|| name_in(&wanted.from_user, &from)),
            secret: wanted.secret,
            cid: wanted.cid,
            places: Vec::new(),
            legs: Vec::new(),
            party: wanted.party,
            worst: None,
            diverted: 0,
            next: 0,
        };
        let to = Address(calling.to.clone());
        let anywhere = calling.party.as_ref().is_none_or(|party| party.anywhere);
        self.enter(
            now,
            Record {
                call,
                callid: wanted.callid.unwrap_or_else(|| self.callid(call)),
                control: control.map(|control| base(&control)),
                domain,
                to: wanted.to_user,
                from: wanted.from_user,
                contact: CompactString::default(),
                maxforwards: wanted.maxforwards,
                originator: true,
                ring: false,
                answered: false,
                hold: false,
                hangup: false,
                error: None,
                remote: None,
                them: None,
                us: wanted.sdp.map(|sdp| Sdp::from(sdp.as_str())),
                refer: None,
                replaces: None,
                party: None,
                epochs: Epochs { start: now.as_secs(), ..Epochs::default() },
                seq: 0,
                stage: Stage::Located(id.0),
                change: Change::Nothing,
                leg: LegId(0),
                calling: Some(Box::new(calling)),
                due: None,
            },
        );
        self.locate(call, to, anywhere);
    }

    fn locate(&mut self, call: CallId, to: Address, anywhere: bool) {
        // Nobody's phone asks for it.
        let by = Orderer::default();
        self.out.push_back(Output::Op(Op::Locate { call, to, anywhere, by }));
    }

    /// Where the party is.
    pub(crate) fn located(&mut self, call: CallId, found: Found) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let (Stage::Located(request), Some(calling)) = (record.stage, record.calling.as_deref_mut()) else { return };
        let cause = match found {
            Found::Targets(mut places) => {
                // Stable: the best of a group stays the first.
                places.sort_by_key(|place| place.group);
                places.truncate(MAX_BRANCHES);
                calling.places = places;
                record.stage = Stage::Calling;
                let answer = Response::callid(&record.callid);
                self.out.push_back(Output::Answer(RequestId(request), answer));
                return self.call_next(call);
            }
            Found::Diverted { to, .. } if calling.diverted < MAX_DIVERTED => {
                calling.diverted += 1;
                let anywhere = calling.party.as_ref().is_none_or(|party| party.anywhere);
                return self.locate(call, to, anywhere);
            }
            Found::Diverted { .. } => Cause::loop_detected(),
            // Services of the switch are calls, and this is a leg.
            Found::Service(_) => Cause::new(Kind::NotFound, Fault::Peer),
            Found::Nowhere(cause) => cause,
        };
        self.refuse(request, &cause);
        self.forget(call);
    }

    /// Says to whoever asked for a call why there is none.
    pub(crate) fn refuse(&mut self, request: u64, cause: &Cause) {
        let (status, text) = match cause.kind {
            Kind::NotFound => (404, "To user not found"),
            Kind::Unreachable => (480, "Temporarily Unavailable"),
            _ => cause.refusal(),
        };
        self.out.push_back(Output::Answer(RequestId(request), Response::failed(status, text, "to")));
    }

    /// Calls everybody of the next group.
    fn call_next(&mut self, call: CallId) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let Some(calling) = record.calling.as_deref_mut() else { return };
        let group = calling.places.first().map(|place| place.group);
        while let Some(place) = calling.places.first().filter(|place| Some(place.group) == group).cloned() {
            calling.places.remove(0);
            let leg = LegId(calling.next);
            calling.next += 1;
            calling.legs.push(leg);
            let wire_id = (leg.0 == 0).then(|| record.callid.clone());
            let dial = dial_for(calling, place, wire_id, (record.us.clone(), record.maxforwards));
            if calling.party.is_none() {
                self.out.push_back(Output::Manner(call, leg, manner(calling)));
            }
            self.out.push_back(Output::Op(Op::Dial { call, leg, dial: Box::new(dial) }));
        }
    }

    /// A party that is called rings, or is heard already.
    pub(crate) fn progressed(
        &mut self,
        now: Time,
        (call, leg): (CallId, LegId),
        (status, text): (u16, CompactString),
        sdp: Option<Sdp>,
    ) {
        let Some(record) = self.records.get_mut(&call).filter(|record| record.stage == Stage::Calling) else { return };
        let rings = status == 180 && !record.ring;
        let described = sdp.is_some();
        let speaks = described && sdp != record.them;
        if rings {
            record.ring = true;
            record.epochs.ring = now.as_secs();
        }
        if speaks {
            record.them = sdp;
        }
        record.leg = leg;
        if rings || speaks {
            self.tell(now, call, News::Progress { status, text, described });
        }
    }

    /// A party that is called has answered.
    pub(crate) fn answered(&mut self, now: Time, (call, leg): (CallId, LegId), sdp: Option<Sdp>) {
        let Some(record) = self.records.get_mut(&call).filter(|record| record.stage == Stage::Calling) else {
            // Another one was quicker; this one is being told.
            return;
        };
        let Some(calling) = record.calling.take() else { return };
        for other in calling.legs.into_iter().filter(|other| *other != leg) {
            let cause = Cause::new(Kind::AnsweredElsewhere, Fault::Nobody);
            self.out.push_back(Output::Op(Op::Hangup { call, leg: other, cause }));
        }
        record.leg = leg;
        record.answered = true;
        record.epochs.answer = now.as_secs();
        record.hold = sdp.as_ref().is_some_and(|sdp| is_hold(&sdp.0));
        let described = sdp.is_some();
        record.them = sdp.or(record.them.take());
        let until = match record.us {
            Some(_) => {
                record.stage = Stage::Talking;
                self.out.push_back(Output::Op(Op::Confirm { call, leg, sdp: None }));
                None
            }
            None => {
                record.stage = Stage::Description;
                Some(now + CHANGE_TIME)
            }
        };
        self.wait(call, until);
        self.tell(now, call, News::Answered { described });
    }

    /// One of the places that were called will not answer.
    pub(crate) fn branch_ended(&mut self, now: Time, (call, leg): (CallId, LegId), cause: Cause) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let Some(calling) = record.calling.as_deref_mut() else { return };
        calling.legs.retain(|other| *other != leg);
        if calling.worst.as_ref().is_none_or(|worst| cause.fork_rank() < worst.fork_rank()) {
            calling.worst = Some(cause);
        }
        if !calling.legs.is_empty() {
            return;
        }
        if !calling.places.is_empty() {
            return self.call_next(call);
        }
        let cause = calling.worst.take().unwrap_or_else(|| Cause::new(Kind::Unreachable, Fault::Peer));
        self.over(now, call, &cause);
    }

    /// Nobody is called any longer.
    pub(crate) fn give_up(&mut self, call: CallId, cause: &Cause) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let Some(calling) = record.calling.as_deref_mut() else { return };
        calling.places.clear();
        let late = cause.kind == Kind::NoAnswer;
        if late {
            record.error = Some((cause.code, cause.text.clone()));
        }
        let legs = calling.legs.clone();
        for leg in legs {
            let cause = Cause::new(Kind::Cancelled, Fault::Controller);
            self.out.push_back(Output::Op(Op::Hangup { call, leg, cause }));
        }
    }
}

fn dial_for(calling: &Calling, place: Target, wire_id: Option<CompactString>, (us, hops): (Option<Sdp>, u8)) -> Dial {
    if let Some(party) = &calling.party {
        return Dial {
            wire_id,
            hops,
            identity: party.identity(),
            diversions: party.diversions.clone(),
            alerting: party.alerting(),
            referred_by: party.referred_by.clone(),
            ..Dial::new(place, Address(calling.from.clone()), Address(calling.to.clone()), us)
        };
    }
    let name = &calling.cid.name;
    let shown = !calling.cid.private && !name.is_empty();
    let display = shown.then(|| escaped_name(name).as_bytes().into());
    Dial {
        wire_id,
        hops,
        identity: Identity { display, ..Identity::default() },
        ..Dial::new(place, Address(calling.from.clone()), Address(calling.to.clone()), us)
    }
}

/// An address that a switchboard says.
fn whole(party: &Option<Box<Party>>, of: fn(&Party) -> &CompactString) -> Option<CompactString> {
    party.as_deref().map(of).filter(|address| !address.is_empty()).cloned()
}

/// What stands in the INVITE besides: the number and the name of the caller as the original writes them, whether they are to
/// be shown or not. Whoever is told them is trusted by the controller.
fn manner(calling: &Calling) -> Manner {
    let (user, domain) = calling.from.strip_prefix("sip:").and_then(|from| from.split_once('@')).unwrap_or_default();
    let number = if calling.cid.number.is_empty() { user.into() } else { calling.cid.number.clone() };
    let privacy = if calling.cid.private { ";privacy=full" } else { "" };
    let remote_party = format!("\"{}\" <{}>{privacy}", escaped_name(&calling.cid.name), name_in(&number, domain));
    let login = calling.secret.clone().map(|secret| (user.into(), secret));
    Manner { login, remote_party: Some(remote_party), alert_info: None }
}

/// A name as it stands between quotes (RFC 3261 section 25.1).
fn escaped_name(name: &str) -> CompactString {
    let mut out = CompactString::default();
    for char in name.chars() {
        match char {
            '"' | '\\' => out = format_compact!("{out}\\{char}"),
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out
}
