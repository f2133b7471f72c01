//! Every way in which a call ends, and the one cause that all of them carry through.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, LegState, Scene, State};
use crate::words::{Event, Failure, LegId, MediaOp, Op, Party, Stage};

impl Call {
    /// Ends one leg in whatever state it is.
    pub(crate) fn hang_up(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        let party = leg.party;
        match leg.state {
            LegState::AwaitEnd | LegState::Ended => {}
            LegState::Up if leg.service.is_some() => leg.state = LegState::Ended,
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
        // A leg whose end is never reported would otherwise keep the call for ever.
        self.wait(scene, scene.limits.end_time);
        self.cause = Some(cause.clone());
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
        if !was_live {
            return;
        }
        match waited {
            LegState::AwaitAnswer if self.state == State::AwaitAnswer(party) => {
                self.branch_failed(scene, party, cause);
            }
            _ => self.end(scene, cause),
        }
    }

    pub(crate) fn timed_out(&mut self, scene: &mut Scene<'_>) {
        match self.state {
            State::AwaitAnswer(_) => {
                // A branch that failed with something definite says more than the clock.
                let cause = self.best_failure.take();
                let cause = cause.filter(|c| c.kind == Kind::Busy || c.kind == Kind::Declined);
                let no_answer = || Cause::new(Kind::NoAnswer, Fault::Peer);
                self.end(scene, cause.unwrap_or_else(no_answer));
            }
            State::AwaitLocation(_) | State::AwaitDescription => {
                let cause = Cause::new(Kind::Other, Fault::Server).with_text("Setup Timeout");
                self.end(scene, cause);
            }
            State::AwaitEnds => {
                for leg in &mut self.legs {
                    leg.state = LegState::Ended;
                }
            }
            // Audio that does not run through this host cannot tell whether the parties are there.
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
