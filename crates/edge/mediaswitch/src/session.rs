//! What a party does once it talks: it changes its session, asks for a transfer, and ends.

use hookswitch_call::{Address, CallId, Cause, Fault, Kind, LegId, Op, ReferTo, Sdp, Time};

use crate::body::user_of;
use crate::detail::News;
use crate::record::{Change, Record, Refer, Stage};
use crate::sdp::is_hold;
use crate::{CHANGE_TIME, Dialogs, Output};

impl Dialogs {
    /// The party wants to change its session.
    pub(crate) fn reoffered(&mut self, now: Time, call: CallId, sdp: Option<Sdp>) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let leg = record.leg;
        // It only wants to know whether we are still here (RFC 4028).
        if let (Some(offer), Some(us)) = (&sdp, &record.us)
            && record.them.as_ref() == Some(offer)
        {
            let sdp = Ok(us.clone());
            return self.out.push_back(Output::Op(Op::Reanswer { call, leg, sdp }));
        }
        record.change = Change::Theirs(record.them.clone(), record.hold);
        let described = sdp.is_some();
        if let Some(offer) = sdp {
            record.hold = is_hold(&offer.0);
            record.them = Some(offer);
        }
        self.wait(call, Some(now + CHANGE_TIME));
        self.tell(now, call, News::Reoffered { described });
    }

    pub(crate) fn withdrawn(&mut self, now: Time, call: CallId) {
        if self.as_before(call) {
            self.wait(call, None);
            self.tell(now, call, News::Withdrawn);
        }
    }

    /// The party's change comes to nothing. Whether there was one.
    pub(crate) fn as_before(&mut self, call: CallId) -> bool {
        let Some(record) = self.records.get_mut(&call) else { return false };
        let Change::Theirs(them, hold) = std::mem::take(&mut record.change) else { return false };
        (record.them, record.hold) = (them, hold);
        true
    }

    /// The party has answered our change.
    pub(crate) fn reaccepted(&mut self, now: Time, call: CallId, sdp: Result<Option<Sdp>, Cause>) {
        let Some(record) = self.records.get_mut(&call) else { return };
        let Change::Ours(before) = std::mem::take(&mut record.change) else { return };
        let mut until = None;
        let (mut failed, mut news) = (None, News::Reaccepted { described: sdp.as_ref().is_ok_and(Option::is_some) });
        match sdp {
            Ok(Some(sdp)) => {
                if record.us.is_none() {
                    // We had none to offer, and this is the party's.
                    record.change = Change::Offered;
                    record.us = before;
                    until = Some(now + CHANGE_TIME);
                }
                record.hold = is_hold(&sdp.0);
                record.them = Some(sdp);
            }
            Ok(None) => {
                if record.us.is_none() {
                    record.us = before;
                }
            }
            Err(cause) => {
                record.us = before;
                failed = Some((cause.code, cause.text.clone()));
                news = News::Refused { cause };
            }
        }
        record.error = failed;
        self.wait(call, until);
        self.tell(now, call, news);
        // It was an event and is no state.
        if let Some(record) = self.records.get_mut(&call) {
            record.error = None;
        }
    }

    /// The party asks for a transfer. It is agreed to at once, since a phone would not wait for a controller, and what
    /// comes of it the controller says.
    pub(crate) fn refer_asked(&mut self, now: Time, (call, leg): (CallId, LegId), to: ReferTo, by: Option<Address>) {
        let refer = match &to {
            ReferTo::Address(address) => {
                Some(Refer { to: user_of(&address.0), uri: Some(address.0.clone()), replaces: None })
            }
            ReferTo::Leg(other, _) => self.records.get(other).map(|other| Refer {
                // Whom the party talks with there.
                to: if other.originator { other.from.clone() } else { other.to.clone() },
                uri: None,
                replaces: Some(other.callid.clone()),
            }),
        };
        let Some(record) = self.records.get_mut(&call).filter(|record| !record.hangup) else { return };
        let Some(refer) = refer else {
            let cause = Cause::new(Kind::Declined, Fault::Nobody);
            return self.out.push_back(Output::Op(Op::AnswerRefer { call, leg, result: Err(cause) }));
        };
        record.refer = Some(refer);
        self.out.push_back(Output::Op(Op::AnswerRefer { call, leg, result: Ok(()) }));
        self.tell(now, call, News::ReferAsked { by });
    }

    /// A leg is over.
    pub(crate) fn ended(&mut self, now: Time, (call, leg): (CallId, LegId), cause: Cause) {
        let Some(record) = self.records.get_mut(&call) else { return };
        if record.stage == Stage::Over {
            return;
        }
        if record.calling.is_some() {
            return self.branch_ended(now, (call, leg), cause);
        }
        if record.leg == leg {
            self.over(now, call, &cause);
        }
    }

    /// The dialog is over.
    pub(crate) fn over(&mut self, now: Time, call: CallId, cause: &Cause) {
        self.as_before(call);
        self.wait(call, None);
        let Some(record) = self.records.get_mut(&call) else { return };
        record.stage = Stage::Over;
        record.change = Change::Nothing;
        record.hangup = true;
        record.epochs.end = now.as_secs();
        // A password is not kept longer than it is needed.
        record.calling = None;
        let ordinary = matches!(cause.kind, Kind::Hangup | Kind::Cancelled | Kind::AnsweredElsewhere);
        if !ordinary && cause.fault != Fault::Controller && record.error.is_none() {
            record.error = Some((cause.code, cause.text.clone()));
        }
        self.live -= 1;
        self.tell(now, call, News::Ended { cause: cause.clone() });
        self.clear(call);
    }

    /// Ends a dialog in whatever state it is; its end is reported, unless nobody was called yet.
    pub(crate) fn hang_up(&mut self, call: CallId, cause: &Cause) {
        let Some(record) = self.records.get(&call) else { return };
        match record.stage {
            Stage::Over => {}
            Stage::Located(request) => {
                self.refuse(request, cause);
                self.forget(call);
            }
            Stage::Calling => self.give_up(call, cause),
            Stage::Taking | Stage::Deciding => {
                let op = Op::Hangup { call, leg: record.leg, cause: cause.clone() };
                self.out.push_back(Output::Op(op));
            }
            Stage::Ack | Stage::Description | Stage::Talking => {
                let cause = Cause { fault: Fault::Controller, ..Cause::hangup() };
                let op = Op::Hangup { call, leg: record.leg, cause };
                self.out.push_back(Output::Op(op));
            }
        }
    }

    /// A dialog that nobody has heard of was none.
    pub(crate) fn forget(&mut self, call: CallId) {
        self.wait(call, None);
        if let Some(record) = self.records.remove(&call) {
            self.by_callid.remove(&record.callid);
            self.live -= 1;
        }
    }

    /// Something has taken too long.
    pub(crate) fn due(&mut self, now: Time, call: CallId) {
        let Some(Record { stage, leg, .. }) = self.records.get(&call) else { return };
        let leg = *leg;
        match stage {
            Stage::Taking | Stage::Deciding => self.hang_up(call, &Cause::new(Kind::Unreachable, Fault::Server)),
            Stage::Calling => self.hang_up(call, &Cause::new(Kind::NoAnswer, Fault::Peer)),
            Stage::Located(_) => self.hang_up(call, &Cause::new(Kind::Unreachable, Fault::Server)),
            Stage::Description => {
                self.out.push_back(Output::Op(Op::Confirm { call, leg, sdp: None }));
                self.hang_up(call, &Cause::hangup());
            }
            Stage::Ack | Stage::Talking => self.change_is_late(now, call, leg),
            Stage::Over => {}
        }
    }

    fn change_is_late(&mut self, now: Time, call: CallId, leg: LegId) {
        if self.records.get(&call).is_some_and(|record| record.change == Change::Offered) {
            // Without an answer there is no session any more.
            self.out.push_back(Output::Op(Op::Confirm { call, leg, sdp: None }));
            return self.hang_up(call, &Cause::hangup());
        }
        if self.as_before(call) {
            let cause = Cause::new(Kind::Unreachable, Fault::Server);
            self.out.push_back(Output::Op(Op::Reanswer { call, leg, sdp: Err(cause) }));
            self.tell(now, call, News::Withdrawn);
        }
    }
}
