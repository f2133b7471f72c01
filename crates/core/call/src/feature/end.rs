//! Every way in which a call ends, and the one cause that all of them carry through.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, Call, LegState, Scene, State};
use crate::words::{Event, Failure, LegId, MediaOp, Op, Party, Stage};

impl Call {
    /// Ends one leg in whatever state it is.
    pub(crate) fn hang_up(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        let party = leg.party;
        match leg.state {
            LegState::AwaitEnd | LegState::Ended => {}
            LegState::Up if leg.service.is_some() => {
                leg.state = LegState::Ended;
                self.leave(scene, id);
            }
            // Nothing of it is on the wire.
            LegState::AwaitOffer => {
                leg.state = LegState::Ended;
                self.event(scene, Event::LegEnded { leg: id, party, cause });
            }
            LegState::AwaitAnswer | LegState::Offered | LegState::AwaitConfirm | LegState::Up => {
                leg.state = LegState::AwaitEnd;
                scene.out.op(Op::Hangup { call, leg: id, cause });
            }
        }
    }

    /// Ends the call: every leg is told the same cause, and the command that made the call, if it
    /// is still waiting, has failed with it.
    pub(crate) fn end(&mut self, scene: &mut Scene<'_>, cause: Cause) {
        if self.state == State::AwaitEnds {
            return;
        }
        let stage = match self.state {
            State::AwaitLocation(Party::Caller) | State::AwaitAnswer(Party::Caller) => Stage::Caller,
            _ => Stage::Callee,
        };
        let reported = if cause.code < 300 {
            // The command failed because somebody ended it, which is a failure of its own.
            Cause::new(Kind::Cancelled, cause.fault)
        } else {
            cause.clone()
        };
        self.state = State::AwaitEnds;
        self.alarms.clear();
        self.hunt = None;
        self.serving = None;
        // A leg whose end is never reported would otherwise keep the call for ever.
        self.wait(scene, scene.limits.end_time);
        self.cause = Some(cause.clone());
        self.abandon(scene, &cause);
        self.abandon_orders(scene, &cause);
        self.abandon_step(scene, &cause);
        self.settle(scene, Err(Failure::new(stage, reported)));
        for party in [Party::Caller, Party::Callee] {
            for leg in self.live_legs(party) {
                self.hang_up(scene, leg, cause.clone());
            }
        }
    }

    pub(crate) fn leg_ended(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.state == LegState::Ended {
            return;
        }
        let was_live = leg.live();
        let party = leg.party;
        let waited = std::mem::replace(&mut leg.state, LegState::Ended);
        let event = Event::LegEnded { leg: id, party, cause: cause.clone() };
        self.event(scene, event);
        self.forget_parcels(scene, id);
        if !was_live {
            return;
        }
        match waited {
            LegState::AwaitAnswer if self.hunt.as_ref().is_some_and(|hunt| hunt.party == party) => {
                self.branch_failed(scene, id, cause);
            }
            _ if self.goes_on_without(scene, id) => {}
            _ => self.end(scene, cause),
        }
    }

    /// One of the call's times is up.
    pub(crate) fn timed_out(&mut self, scene: &mut Scene<'_>) {
        let due = self.alarms.first().copied().filter(|(at, _)| *at <= scene.now);
        let Some((_, alarm)) = due else { return };
        self.alarms.remove(0);
        match alarm {
            Alarm::Stage => self.stage_timed_out(scene),
            Alarm::Hunt => self.hunt_timed_out(scene),
            Alarm::Place => self.call_places(scene),
            Alarm::Ring(leg) => self.branch_rang_out(scene, leg),
            Alarm::Operation => self.op_timed_out(scene),
            Alarm::Key => self.no_key(scene),
            Alarm::Collect(party) => self.collect_timed_out(scene, party),
            Alarm::Duration => self.end(scene, Cause::new(Kind::Expired, Fault::Nobody)),
        }
    }

    fn stage_timed_out(&mut self, scene: &mut Scene<'_>) {
        match self.state {
            // The look for a party has times of its own.
            State::AwaitLocation(_) | State::AwaitAnswer(_) => {}
            State::AwaitStep => self.no_step(scene),
            State::AwaitDescription => {
                let cause = Cause::new(Kind::Other, Fault::Server).with_text("Setup Timeout");
                self.end(scene, cause);
            }
            State::AwaitEnds => {
                for leg in &mut self.legs {
                    leg.state = LegState::Ended;
                }
            }
            // Somebody was on hold and speaks again: the audio tells whether the parties are there.
            State::Talking if self.anchored && !self.holds.any() => self.clear_alarm(Alarm::Stage),
            // Audio that does not run through this host, or is not sent, cannot tell.
            State::Talking => {
                self.wait(scene, scene.limits.probe_time);
                self.probe(scene, Party::Caller);
                self.probe(scene, Party::Callee);
            }
        }
    }

    /// The last words of a call.
    pub(crate) fn finish(&mut self, scene: &mut Scene<'_>) {
        if self.media_open {
            self.media_open = false;
            scene.out.media(MediaOp::Close { call: self.id });
        }
        let talked = self.joined.map_or_else(Default::default, |since| scene.now.saturating_sub(since));
        let cause = self.cause.clone().unwrap_or_else(Cause::hangup);
        self.event(scene, Event::Ended { cause, talked });
    }
}
