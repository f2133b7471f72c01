//! Replies and events find the commands they belong to.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Event, Ticket, Time};

use crate::command::News;
use crate::evi::{self, DialogSign, Heard, HoldSign, HoldStep, Sign, TransferSign, state};
use crate::mi::Asker;
use crate::mi::reply::{self, Answer, Truth};
use crate::port::{Input, Learned, MiError, RequestId};
use crate::{AUDIT_AFTER, OpenSips, Timer};

/// How often OpenSIPS may fail to say whether a call exists before it is taken to be over.
const MAX_UNKNOWN: u8 = 3;

impl OpenSips {
    /// Takes in what came from OpenSIPS.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Reply(bytes) => self.reply(now, &bytes),
            Input::MiFailed { request, error } => self.mi_failed(now, request, &error),
            Input::MiDown(error) => self.mi_down(now, &error),
            Input::Event(bytes) => self.event(now, &bytes),
            Input::EventBytes { connection, bytes } => self.event_bytes(now, connection, &bytes),
            Input::EventClosed { connection } => {
                self.counts.events_bad += self.streams.close(connection);
                // OpenSIPS may be gone, or have expired us.
                self.check(now);
            }
        }
    }

    fn reply(&mut self, now: Time, bytes: &[u8]) {
        let Some(reply) = reply::read(bytes) else {
            self.counts.replies_bad += 1;
            return;
        };
        match self.requests.named(&reply.id) {
            Some(request) => self.replied(now, request, &reply.answer),
            None => self.replied_late(now, &reply.id, &reply.answer),
        }
    }

    /// What has become of a request is known.
    pub(crate) fn answered(&mut self, now: Time, request: RequestId, answer: &Answer) {
        let Some(asker) = self.close_request(request) else { return };
        match asker {
            Asker::Probe => self.probed(now, answer),
            Asker::Subscription(topic) => self.subscribed(now, topic, answer),
            Asker::Unsubscription(_) => {}
            Asker::Check => self.checked(now, answer),
            Asker::Audit(call) => self.audited(now, call, answer),
            Asker::Parties(call) => {
                self.audited(now, call, answer);
                self.look_up(now);
            }
            Asker::Command(ticket, matter) => self.hear(now, ticket, News::Answer(matter, answer)),
        }
    }

    /// Whether a call exists of which nothing has been heard for long.
    fn audited(&mut self, now: Time, id: CallId, answer: &Answer) {
        self.learn(now, id, answer);
        let Some(call) = self.book.get_mut(id) else { return };
        let is_over = match answer.truth() {
            Truth::Gone | Truth::There(state::DELETED) => true,
            Truth::There(_) => {
                call.unknown = 0;
                false
            }
            Truth::Unknown if *answer == Answer::Lost => false,
            Truth::Unknown => {
                call.unknown += 1;
                call.unknown >= MAX_UNKNOWN
            }
        };
        if is_over && call.users == 0 {
            self.outputs.push_back(crate::Output::Learned { at: now, call: id, what: Learned::Gone });
            self.end_call(now, id, None, Cause::hangup());
        } else {
            self.book.audit_at(id, now + AUDIT_AFTER);
        }
    }

    /// A request may have to be sent again, or is given up.
    pub(crate) fn request_due(&mut self, now: Time, request: RequestId) {
        let Some(flight) = self.requests.get_mut(request) else { return };
        if flight.deadline > now
            && let Some((_, pause)) = flight.repeat
        {
            flight.repeat = Some((now + pause, pause * 2));
            let (bytes, patience) = (flight.bytes.clone(), flight.deadline - now);
            self.timers.insert((flight.due(), Timer::Request(request)));
            self.counts.requests_sent += 1;
            self.counts.repeats += 1;
            self.outputs.push_back(crate::Output::Mi { request, bytes, patience });
            return;
        }
        match flight.doubted.take() {
            Some(refusal) => self.answered(now, request, &refusal),
            None => self.lost(now, request),
        }
    }

    /// No reply comes any more.
    fn lost(&mut self, now: Time, request: RequestId) {
        self.counts.replies_lost += 1;
        self.answered(now, request, &Answer::Lost);
        self.suspect(now);
    }

    fn mi_failed(&mut self, now: Time, request: RequestId, error: &MiError) {
        if let Some(why) = fatal(error) {
            self.down(now, why);
        } else if self.requests.get_mut(request).is_some() {
            self.lost(now, request);
        } else {
            self.counts.replies_late += 1;
        }
    }

    fn mi_down(&mut self, now: Time, error: &MiError) {
        match fatal(error) {
            Some(why) => self.down(now, why),
            None => self.suspect(now),
        }
    }

    fn event_bytes(&mut self, now: Time, connection: u64, bytes: &Bytes) {
        let mut objects = Vec::new();
        let bad = self.streams.feed(connection, bytes, &mut |object| objects.push(object.to_vec()));
        self.counts.events_bad += bad;
        for object in objects {
            self.event(now, &object);
        }
    }

    fn event(&mut self, now: Time, bytes: &[u8]) {
        self.counts.events += 1;
        match evi::read(bytes) {
            Heard::Sign(Sign::Transfer(sign)) => self.transfer_sign(now, &sign),
            Heard::Sign(Sign::Hold(sign)) => self.hold_sign(now, &sign),
            Heard::Sign(Sign::Dialog(sign)) => self.dialog_sign(now, &sign),
            Heard::Unasked => self.counts.events_foreign += 1,
            Heard::Bad => self.counts.events_bad += 1,
        }
    }

    /// The oldest command that transfers the call owns the sign: OpenSIPS transfers a call once, so whichever came
    /// later is refused. One that joins the call to another gets it besides.
    fn transfer_sign(&mut self, now: Time, sign: &TransferSign) {
        let followers = self.followers(&sign.callid);
        let call = self.book.named(&sign.callid).and_then(|id| self.book.get(id));
        if sign.new.is_some() && call.is_some_and(|call| call.transferred == sign.new) {
            self.counts.events_late += 1;
            return;
        }
        let is = |ticket: &Ticket, test: &dyn Fn(&crate::command::Machine) -> bool| {
            self.running.get(ticket).is_some_and(|running| running.begun && test(&running.machine))
        };
        let owner = followers.iter().find(|ticket| is(ticket, &|machine| machine.transfers(&sign.callid))).copied();
        let joiners = followers.iter().filter(|ticket| is(ticket, &|machine| machine.joins(&sign.callid)));
        let heard: Vec<_> = owner.into_iter().chain(joiners.copied()).collect();
        if heard.is_empty() {
            self.unheard(&sign.callid);
            self.calls_after_all(now, sign);
        }
        for ticket in heard {
            self.hear(now, ticket, News::Transfer(sign));
        }
    }

    fn hold_sign(&mut self, now: Time, sign: &HoldSign) {
        let on = match sign.step {
            HoldStep::Leg { on, .. } => Some(on),
            HoldStep::Broken => None,
        };
        let followers = self.followers(&sign.callid);
        let owner = followers.into_iter().find(|ticket| {
            self.running.get(ticket).is_some_and(|running| running.begun && running.machine.holds(&sign.callid, on))
        });
        match owner {
            Some(ticket) => self.hear(now, ticket, News::Hold(sign)),
            None => self.unheard(&sign.callid),
        }
    }

    fn dialog_sign(&mut self, now: Time, sign: &DialogSign) {
        for ticket in self.followers(&sign.callid) {
            self.hear(now, ticket, News::Dialog(sign));
        }
        let Some(id) = self.book.named(&sign.callid) else { return self.stranger(now, sign) };
        let Some(call) = self.book.get(id) else { return };
        let is_being_made = call.made_by.is_some_and(|ticket| self.running.contains_key(&ticket));
        if sign.state == state::DELETED && call.is_answered && !sign.is_the_end() {
            // The second dialog of a doubled INVITE.
            return;
        }
        if sign.state != state::DELETED {
            let wire_id = sign.callid.clone();
            if !call.introduced {
                self.introduce(now, id, wire_id);
            }
            if sign.state >= state::ANSWERED {
                self.is_answered_since(now, id, now);
            }
            self.book.audit_at(id, now + AUDIT_AFTER);
        } else if !is_being_made {
            if sign.was_answered() {
                // The event that said so was lost.
                self.is_answered_since(now, id, now);
            }
            self.end_call(now, id, None, Cause::hangup());
        } else if let Some(call) = self.book.get_mut(id) {
            // The command that makes a call says itself what has become of it.
            call.is_over |= sign.is_the_end();
        }
    }

    fn introduce(&mut self, now: Time, id: CallId, wire_id: CompactString) {
        if let Some(call) = self.book.get_mut(id) {
            call.introduced = true;
        }
        self.tell(now, id, None, Event::Noticed { wire_id });
        self.who_talks(now, id);
    }

    /// A dialog that is none of ours.
    fn stranger(&mut self, now: Time, sign: &DialogSign) {
        if self.book.was_ended(&sign.callid) {
            self.counts.events_late += 1;
            if sign.state != state::DELETED {
                self.lives_on(now, &sign.callid);
            }
            return;
        }
        self.counts.events_foreign += 1;
        if sign.state == state::DELETED {
            return;
        }
        if self.book.len() >= self.config.max_calls {
            self.counts.calls_unnoticed += 1;
            return;
        }
        let id = self.book.open(now, &sign.callid, None);
        self.introduce(now, id, sign.callid.clone());
        if sign.state >= state::ANSWERED {
            self.is_answered_since(now, id, now);
        }
    }

    /// An event that no command waits for.
    fn unheard(&mut self, callid: &str) {
        if self.book.named(callid).is_some() || self.book.was_ended(callid) {
            self.counts.events_late += 1;
        } else {
            self.counts.events_foreign += 1;
        }
    }

    fn followers(&self, callid: &str) -> Vec<Ticket> {
        self.interest.get(callid).cloned().unwrap_or_default()
    }
}

/// Why an error means that OpenSIPS cannot be asked at all, if it does.
fn fatal(error: &MiError) -> Option<CompactString> {
    use compact_str::format_compact;
    match error {
        MiError::Refused => Some(CompactString::const_new("nobody listens there")),
        MiError::Unauthorized => Some(CompactString::const_new("the user name and password are not accepted")),
        MiError::Tls(why) => Some(format_compact!("TLS: {why}")),
        MiError::Status(status) => Some(format_compact!("HTTP status {status}")),
        MiError::Timeout | MiError::Other(_) => None,
    }
}
