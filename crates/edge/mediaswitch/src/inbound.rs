//! A party calls, and its domain has a controller.

use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Fault, Handle, Kind, LegId, Op, Sdp, Time};

use crate::body::MAX_CALLID;
use crate::detail::{News, Party};
use crate::outbox::Lane;
use crate::record::{Change, Epochs, Record, Stage};
use crate::{Dialogs, Output};

/// The leg of a party that calls.
const CALLER: LegId = LegId(0);

/// A party that calls, admitted by the backend and not yet adopted.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// The backend's name for the leg.
    pub handle: Handle,
    /// Its Call-ID.
    pub wire_id: CompactString,
    /// The base URL of its controller.
    pub control: CompactString,
    /// Its domain.
    pub domain: CompactString,
    /// The user that calls.
    pub from: CompactString,
    /// The user that is called.
    pub to: CompactString,
    /// Hops that the INVITE had left.
    pub maxforwards: u8,
    /// The party's offer.
    pub offer: Option<Sdp>,
    /// The dialog that it wants to take over.
    pub replaces: Option<CallId>,
    /// Who calls and who is called, for a switchboard.
    pub party: Party,
}

impl Dialogs {
    /// Takes a party that calls: its first event is told by [`Dialogs::introduced`]. `None` where it was refused.
    pub fn arrived(&mut self, now: Time, arrival: Arrival) -> Option<CallId> {
        // One that takes over another is no new call.
        if let Some(cause) = self.full(arrival.replaces.is_some()) {
            self.out.push_back(Output::Op(Op::Refuse { handle: arrival.handle, cause }));
            return None;
        }
        let call = self.name();
        let usable = |id: &CompactString| {
            let fits = id.len() <= MAX_CALLID && !matches!(id.as_str(), "" | "." | "..");
            fits && !self.by_callid.contains_key(id)
        };
        let callid = Some(arrival.wire_id).filter(usable).unwrap_or_else(|| self.callid(call));
        let replaces = arrival.replaces.and_then(|other| Some(self.records.get(&other)?.callid.clone()));
        let hold = arrival.offer.as_ref().is_some_and(|offer| crate::sdp::is_hold(&offer.0));
        self.out.push_back(Output::Op(Op::Adopt { handle: arrival.handle, call, leg: CALLER }));
        self.enter(
            now,
            Record {
                call,
                callid,
                control: Some(base(&arrival.control)),
                domain: arrival.domain,
                to: arrival.to,
                from: arrival.from,
                contact: CompactString::default(),
                maxforwards: arrival.maxforwards,
                originator: false,
                ring: false,
                answered: false,
                hold,
                hangup: false,
                error: None,
                remote: None,
                them: arrival.offer,
                us: None,
                refer: None,
                replaces,
                party: Some(Box::new(arrival.party)),
                epochs: Epochs { start: now.as_secs(), ..Epochs::default() },
                seq: 0,
                stage: Stage::Taking,
                change: Change::Nothing,
                leg: CALLER,
                calling: None,
                due: None,
            },
        );
        Some(call)
    }

    /// Tells the controller of the party that has [arrived](Dialogs::arrived), with what can be seen of its leg now.
    pub fn introduced(&mut self, now: Time, call: CallId, seen: crate::Seen) {
        self.look(call, seen);
        let described = self.records.get(&call).is_some_and(|record| record.them.is_some());
        self.tell(now, call, News::Arrived { described });
    }

    /// The controller knows of the call.
    pub(crate) fn taken(&mut self, call: CallId) {
        if let Some(record) = self.records.get_mut(&call) {
            record.stage = Stage::Deciding;
        }
    }

    /// The controller does not take the call, or there is none: nobody else is told.
    pub(crate) fn not_taken(&mut self, call: CallId) {
        self.outbox.forget(&Lane::Dialog(call));
        if let Some(record) = self.records.get_mut(&call) {
            record.control = None;
        }
        self.hang_up(call, &Cause::new(Kind::Unreachable, Fault::Server));
    }

    /// The party has acknowledged our answer: to its call, or to a change.
    pub(crate) fn confirmed(&mut self, now: Time, call: CallId, sdp: Option<Sdp>) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let first = record.stage == Stage::Ack;
        if !first && sdp.is_none() {
            return;
        }
        if first {
            record.stage = Stage::Talking;
        }
        let described = sdp.is_some();
        if described {
            record.hold = sdp.as_ref().is_some_and(|sdp| crate::sdp::is_hold(&sdp.0));
            record.them = sdp;
        }
        self.tell(now, call, News::Confirmed { described });
    }
}

/// A base URL without a slash at the end.
pub(crate) fn base(url: &str) -> CompactString {
    url.trim_end_matches('/').into()
}
