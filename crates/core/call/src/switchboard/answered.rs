//! What is asked about calls that are answered, by commands and by phones, and what calls write to
//! each other.

use super::Switchboard;
use crate::cause::{Cause, Fault, Kind};
use crate::feature::join::{Letter, Says};
use crate::feature::operation::Whose;
use crate::feature::refer::Goal;
use crate::feature::transfer::By as Word;
use crate::machine::{Call, State};
use crate::words::{
    Address, AudioOrder, By, CallId, CallRef, Failure, Incoming, LegId, MAX_ADDRESS, Notes, Op, Outcome, Party,
    ReferTo, Refused, Replaces, Stage, Step, Ticket, Time,
};

impl Switchboard {
    /// The call of this name.
    ///
    /// # Errors
    /// [`Refused::NoSuchCall`].
    pub fn find(&self, which: &CallRef) -> Result<&Call, Refused> {
        let id = match which {
            CallRef::Id(id) => Some(*id),
            CallRef::Wire(wire_id) => self.by_wire(wire_id),
            CallRef::Ticket(ticket) => self.by_ticket.get(ticket).copied(),
        };
        id.and_then(|id| self.calls.get(&id)).ok_or(Refused::NoSuchCall)
    }

    pub(super) fn hold(
        &mut self,
        now: Time,
        which: &CallRef,
        on: bool,
        (party, notes): (Option<Party>, Notes),
    ) -> Result<Ticket, Refused> {
        let call = self.find(which)?;
        call.may_hold(party)?;
        let (id, ticket) = (call.id, self.ticket());
        self.touch(now, id, |call, scene| call.hold(scene, ticket, on, party, notes));
        Ok(ticket)
    }

    pub(super) fn order(
        &mut self,
        now: Time,
        which: &CallRef,
        party: Party,
        order: AudioOrder,
    ) -> Result<Ticket, Refused> {
        let call = self.find(which)?;
        call.may_order(party, &order)?;
        let (id, ticket) = (call.id, self.ticket());
        self.touch(now, id, |call, scene| call.order(scene, ticket, party, order));
        Ok(ticket)
    }

    pub(super) fn step(&mut self, now: Time, which: &CallRef, step: Step) -> Result<Ticket, Refused> {
        let call = self.find(which)?;
        call.may_step(&step)?;
        let (id, ticket) = (call.id, self.ticket());
        self.touch(now, id, |call, scene| call.step(scene, ticket, step));
        Ok(ticket)
    }

    pub(super) fn transfer(
        &mut self,
        now: Time,
        which: &CallRef,
        stays: Party,
        (to, by): (Address, Option<By>),
    ) -> Result<Ticket, Refused> {
        let call = self.find(which)?;
        if to.0.len() > MAX_ADDRESS {
            return Err(Refused::AddressTooLong);
        }
        call.may_transfer(stays)?;
        let by = self.manner(call, by)?;
        let (id, ticket) = (call.id, self.ticket());
        self.touch(now, id, |call, scene| match by {
            By::Bridge => {
                let word = Word { is_controller: true, ..Word::default() };
                call.transfer(scene, Whose::Command(ticket), stays, (to, word));
            }
            By::Refer => call.refer(scene, Whose::Command(ticket), stays, Goal::Address(to), None),
        });
        Ok(ticket)
    }

    /// How a transfer is done if nobody says: as configured where that can be.
    fn manner(&self, call: &Call, by: Option<By>) -> Result<By, Refused> {
        let by = by.unwrap_or(if call.anchored { self.limits.transfers } else { By::Refer });
        if by == By::Bridge {
            call.may_bridge()?;
        }
        Ok(by)
    }

    pub(super) fn join(
        &mut self,
        now: Time,
        (which, stays): (&CallRef, Party),
        (other, party): (&CallRef, Party),
        (to, by): (Option<Address>, Option<By>),
    ) -> Result<Ticket, Refused> {
        if to.as_ref().is_some_and(|to| to.0.len() > MAX_ADDRESS) {
            return Err(Refused::AddressTooLong);
        }
        let other = self.find(other);
        let call = self.find(which)?;
        let id = call.id;
        let other = match other {
            Ok(other) => other,
            // A refusal could not say which of the two calls is not there.
            Err(_) => return Ok(self.no_other_call()),
        };
        if other.id == id {
            return Err(Refused::Unsupported(SAME_CALL.into()));
        }
        call.may_transfer(stays)?;
        other.may_transfer(party)?;
        let by = self.manner(call, by)?;
        if by == By::Bridge {
            other.may_bridge()?;
        }
        let mut goal = goal(other, party);
        if let (Goal::End { at, .. }, Some(to)) = (&mut goal, to) {
            *at = to;
        }
        let (other, ticket) = (other.id, self.ticket());
        let whose = Whose::Command(ticket);
        self.touch(now, id, |call, scene| match by {
            By::Bridge => call.join_with(scene, whose, stays, (other, party, false)),
            By::Refer => call.refer(scene, whose, stays, goal, None),
        });
        Ok(ticket)
    }

    fn no_other_call(&mut self) -> Ticket {
        let ticket = self.ticket();
        let cause = Cause::new(Kind::NotFound, Fault::Controller).with_text("Transfer dialog not found");
        self.out.outcome(Outcome { ticket, result: Err(Failure::new(Stage::Transfer, cause)) });
        ticket
    }

    /// A phone asks for a transfer: the call is told whom it means.
    pub(super) fn refer_asked(&mut self, now: Time, (id, leg): (CallId, LegId), to: ReferTo, by: Option<Address>) {
        let goal = match to {
            ReferTo::Address(to) if to.0.len() > MAX_ADDRESS => Err(Cause::new(Kind::BadAddress, Fault::Peer)),
            ReferTo::Address(to) => Ok(Goal::Address(to)),
            ReferTo::Leg(other, leg) => self.other_end(other, leg),
        };
        self.touch(now, id, |call, scene| call.refer_asked(scene, leg, goal, by));
    }

    /// Whoever is at the other end of a leg.
    fn other_end(&self, id: CallId, leg: LegId) -> Result<Goal, Cause> {
        let gone = || Cause::from_status(481, "Call/Transaction Does Not Exist");
        let call = self.calls.get(&id).filter(|call| call.state != State::AwaitEnds).ok_or_else(gone)?;
        let leg = call.leg(leg).filter(|leg| leg.live() && !leg.spare).ok_or_else(gone)?;
        Ok(goal(call, leg.party.other()))
    }

    /// Somebody calls in to take the place of a leg.
    pub(super) fn takes_over(&mut self, now: Time, replaces: Replaces, incoming: Incoming) {
        let gone = || Cause::from_status(481, "Call/Transaction Does Not Exist");
        let call = self.calls.get(&replaces.call);
        let may = call.ok_or_else(gone).and_then(|call| call.may_replace(replaces));
        match may {
            Err(cause) => self.out.op(Op::Refuse { handle: incoming.handle, cause }),
            Ok(()) => {
                self.name(&incoming.wire_id, replaces.call);
                self.touch(now, replaces.call, |call, scene| call.replace(scene, replaces, incoming));
            }
        }
    }

    /// Delivers what the calls have written to each other, and what they answer.
    pub(super) fn deliver(&mut self, now: Time) {
        while let Some(letter) = self.out.next_letter() {
            let Letter { from, to, .. } = letter;
            match (&letter.says, self.calls.contains_key(&to)) {
                (Says::Lent { wire_id: Some(wire_id), .. }, true) => {
                    // The leg has come to another call, and is found there from now on.
                    self.by_wire.insert(wire_id.clone(), to);
                }
                (Says::Lent { leg, .. }, false) => {
                    self.out.op(Op::Hangup { call: to, leg: *leg, cause: Cause::hangup() });
                }
                (Says::Want { .. } | Says::Offer { .. }, false) => {
                    let cause = Cause::from_status(481, "Call/Transaction Does Not Exist");
                    self.out.letter(Letter { from: to, to: from, says: Says::Refused { cause } });
                }
                _ => {}
            }
            self.touch_one(now, to, |call, scene| call.read(scene, letter));
        }
    }
}

/// An end of a call as somebody else's goal.
fn goal(call: &Call, party: Party) -> Goal {
    let at = call.end_of(party).map_or_else(|| call.address(party).clone(), |leg| call.address_of(leg));
    let replaced = call.end_of(party.other()).or_else(|| call.caller_leg().filter(|_| party == Party::Callee));
    Goal::End { call: call.id, party, replaced, at, rings: call.state != State::Talking }
}

const SAME_CALL: &str = "both parties are in the same call";
