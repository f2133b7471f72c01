//! What the machines of commands do, done.

use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Event, Failure, Outcome, Ticket, Time, Told};

use crate::command::{Cx, End, Machine, News, Step};
use crate::evi::Topic;
use crate::mi::request::Ask;
use crate::mi::{Asker, Matter, Sending};
use crate::port::{Output, RequestId};
use crate::{Link, MiKind, OpenSips, Running, Timer};

/// How soon after its end was asked for a call is looked up, should nothing tell of the end.
const AUDIT_SOON: Time = Time::from_secs(5);

/// Most dialogs that are being ended for commands that are over, per command that may run; those beyond are left to
/// OpenSIPS's own time-outs.
const MAX_LEFTOVERS: usize = 2;

impl OpenSips {
    /// Lets a command hear something, and does what it does about it.
    pub(crate) fn hear(&mut self, now: Time, ticket: Ticket, news: News<'_>) {
        let Some(running) = self.running.get_mut(&ticket) else { return };
        let mut cx =
            Cx { now, config: &self.config, knows_dialogs: self.knows_dialogs, late: false, steps: Vec::new() };
        running.machine.hear(&mut cx, news);
        let (late, steps) = (cx.late, cx.steps);
        if late {
            match news {
                News::Answer(..) => self.counts.replies_late += 1,
                News::Transfer(_) | News::Hold(_) | News::Dialog(_) => self.counts.events_late += 1,
                _ => {}
            }
        }
        for step in steps {
            self.take(now, ticket, step);
        }
        self.arm(ticket);
    }

    fn take(&mut self, now: Time, ticket: Ticket, step: Step) {
        match step {
            Step::Ask(matter, ask) => {
                let request = self.send(now, Asker::Command(ticket, matter), &ask);
                if let Some(running) = self.running.get_mut(&ticket) {
                    running.requests.push((matter, request));
                    if matter == Matter::Invite {
                        running.invite = Some(request);
                    }
                }
            }
            Step::Drop(matter) => self.drop_requests(ticket, Some(matter)),
            Step::Tell(event) => {
                if let Some(call) = self.running.get(&ticket).and_then(|running| running.call) {
                    self.tell(now, call, Some(ticket), event);
                }
            }
            Step::TellSecond(event) => {
                if let Some(call) = self.running.get(&ticket).and_then(|running| running.second) {
                    self.tell(now, call, Some(ticket), event);
                }
            }
            Step::Follow(callid) => self.follow(ticket, &callid),
            Step::Second(callid) => self.make_second(now, ticket, &callid),
            Step::Close { callid, cancel } => self.leave(now, callid, cancel),
            Step::Doubt => self.check(now),
            Step::Learned => self.knows_dialogs = true,
            Step::Finish(result) => self.finish(now, ticket, result),
        }
    }

    /// A command makes another call: it may have come to notice by its dialog already.
    fn make_second(&mut self, now: Time, ticket: Ticket, callid: &CompactString) {
        self.follow(ticket, callid);
        let call = self.book.open(now, callid, None);
        self.book.claim(call, ticket);
        if let Some(known) = self.book.get_mut(call) {
            known.users += 1;
        }
        if let Some(running) = self.running.get_mut(&ticket) {
            running.second = Some(call);
        }
    }

    /// Sets a command's timer to what it wants now.
    fn arm(&mut self, ticket: Ticket) {
        let Some(running) = self.running.get_mut(&ticket) else { return };
        let wanted = running.machine.deadline();
        if wanted != running.armed {
            if let Some(at) = running.armed {
                self.timers.remove(&(at, Timer::Command(ticket)));
            }
            if let Some(at) = wanted {
                self.timers.insert((at, Timer::Command(ticket)));
            }
            running.armed = wanted;
        }
    }

    pub(crate) fn command_due(&mut self, now: Time, ticket: Ticket) {
        if let Some(running) = self.running.get_mut(&ticket) {
            running.armed = None;
            self.hear(now, ticket, News::Due);
        }
    }

    /// Sends a request and sets its timer.
    pub(crate) fn send(&mut self, now: Time, asker: Asker, ask: &Ask) -> RequestId {
        let patience = match ask {
            // The command cancels when ringing is over; the reply comes after that.
            Ask::Invite(_) => self.config.ring_timeout + self.config.mi_timeout * 2,
            _ if self.is_occupied() => self.config.ring_timeout + self.config.mi_timeout,
            _ => self.config.mi_timeout,
        };
        let how = Sending { patience, repeats: self.config.mi == MiKind::Datagram };
        let (request, bytes) = self.requests.open(now, asker, ask, how);
        if let Some(flight) = self.requests.get_mut(request) {
            self.timers.insert((flight.due(), Timer::Request(request)));
        }
        self.counts.requests_sent += 1;
        self.outputs.push_back(Output::Mi { request, bytes, patience });
        request
    }

    /// Waits no longer for some replies of a command's.
    fn drop_requests(&mut self, ticket: Ticket, matter: Option<Matter>) {
        let Some(running) = self.running.get_mut(&ticket) else { return };
        let is_dropped = |other: Matter| matter.is_none_or(|matter| matter == other);
        let (dropped, kept): (Vec<_>, Vec<_>) = running.requests.drain(..).partition(|(other, _)| is_dropped(*other));
        running.requests = kept;
        for (_, request) in dropped {
            self.close_request(request);
        }
    }

    pub(crate) fn close_request(&mut self, request: RequestId) -> Option<Asker> {
        let flight = self.requests.close(request)?;
        self.timers.remove(&(flight.due(), Timer::Request(request)));
        if let Asker::Parties(_) = flight.asker {
            self.strangers.asked -= 1;
        }
        if let Asker::Command(ticket, _) = flight.asker
            && let Some(running) = self.running.get_mut(&ticket)
        {
            running.requests.retain(|(_, other)| *other != request);
        }
        Some(flight.asker)
    }

    pub(crate) fn follow(&mut self, ticket: Ticket, callid: &CompactString) {
        let Some(running) = self.running.get_mut(&ticket) else { return };
        if running.names.contains(callid) {
            return;
        }
        running.names.push(callid.clone());
        let followers = self.interest.entry(callid.clone()).or_default();
        let place = followers.partition_point(|other| *other < ticket);
        followers.insert(place, ticket);
    }

    /// Tells what has happened in a call. A call that is over has nothing more to tell.
    pub(crate) fn tell(&mut self, now: Time, call: CallId, owner: Option<Ticket>, event: Event) {
        let Some(known) = self.book.get_mut(call) else { return };
        let mut say = |owner, event| {
            let told = Told { at: now, seq: known.seq, call, owner, event };
            known.seq += 1;
            self.outputs.push_back(Output::Event(told));
        };
        let is_new = !std::mem::replace(&mut known.introduced, true);
        if is_new {
            say(None, Event::Noticed { wire_id: known.wire.clone() });
        }
        say(owner, event);
        if is_new {
            self.who_talks(now, call);
        }
    }

    /// A call is over.
    pub(crate) fn end_call(&mut self, now: Time, call: CallId, owner: Option<Ticket>, cause: Cause) {
        let Some(known) = self.book.get(call) else { return };
        if known.introduced && known.seq > 0 {
            let talked = known.joined.map_or(Time::ZERO, |since| now.saturating_sub(since));
            self.tell(now, call, owner, Event::Ended { cause, talked });
        }
        self.book.close(call);
    }

    /// A dialog of ours is left over: sees to its end, and tells nobody.
    pub(crate) fn leave(&mut self, now: Time, callid: CompactString, ringing: bool) {
        if self.leftovers >= self.config.max_commands.saturating_mul(MAX_LEFTOVERS) {
            self.counts.leftovers_dropped += 1;
            return;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.leftovers += 1;
        self.enter(ticket, Machine::End(End::leftover(callid.clone(), ringing)), None, false);
        self.follow(ticket, &callid);
        let news = if self.health.mi == Link::Up { News::Begin } else { News::Park };
        self.hear(now, ticket, news);
    }

    fn finish(&mut self, now: Time, ticket: Ticket, result: Result<(), Failure>) {
        self.drop_requests(ticket, None);
        let Some(running) = self.running.remove(&ticket) else { return };
        if let Some(at) = running.armed {
            self.timers.remove(&(at, Timer::Command(ticket)));
        }
        for name in &running.names {
            if let Some(followers) = self.interest.get_mut(name) {
                followers.retain(|other| *other != ticket);
                if followers.is_empty() {
                    self.interest.remove(name);
                }
            }
        }
        if !running.is_asked_for {
            self.leftovers -= 1;
            return;
        }
        if let Err(failure) = &result {
            // What it made is over before it is: nobody is left in half a call.
            for call in [running.second, running.call.filter(|_| running.machine.makes_calls())].into_iter().flatten() {
                self.end_call(now, call, Some(ticket), failure.cause.clone());
            }
        }
        if let (Err(_), Some(invite)) = (&result, running.invite)
            && let Some(callid) = running.names.first()
        {
            self.given_up.enter(callid.clone(), invite);
        }
        let is_done = result.is_ok();
        self.commands -= 1;
        self.waiting.retain(|other| *other != ticket);
        self.outputs.push_back(Output::Outcome(Outcome { ticket, result }));
        self.leave_calls(now, ticket, &running, is_done);
        for ender in self.enders.remove(&ticket).unwrap_or_default() {
            self.commands -= 1;
            self.outputs.push_back(Output::Outcome(Outcome { ticket: ender, result: Ok(()) }));
        }
    }

    /// What a command that is over means for the calls it dealt with, which may have ended before it.
    fn leave_calls(&mut self, now: Time, ticket: Ticket, running: &Running, is_done: bool) {
        let ends = is_done && running.machine.ends_its_call();
        let tells_ends = self.subscriptions.stands(Topic::Dialog);
        for call in [running.call, running.second].into_iter().flatten() {
            let Some(known) = self.book.get_mut(call) else { continue };
            known.users -= 1;
            let is_unused = known.users == 0;
            if running.second == Some(call) {
                known.joined = Some(now);
                self.book.credit(call, ticket);
                if self.book.get(call).is_some_and(|known| known.is_over) {
                    self.end_call(now, call, None, Cause::hangup());
                }
                continue;
            }
            if let Some(new) = running.machine.new_call() {
                known.transferred = Some(new.clone());
            }
            if known.seq == 0 && is_unused {
                self.book.close(call);
            } else if known.is_over || (ends && !tells_ends) {
                self.end_call(now, call, None, Cause::hangup());
            } else if ends {
                self.book.audit_at(call, now + AUDIT_SOON);
            }
        }
    }
}
