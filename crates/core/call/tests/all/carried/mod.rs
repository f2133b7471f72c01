//! What a carrier knows of the legs that it was asked to carry, and what it may not be asked.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch_call::*;

use super::support::Desk;

type Name = (CallId, LegId);

#[derive(Default)]
pub struct Carried {
    handles: u64,
    heard: usize,
    /// Legs that are on a wire; whether they ring.
    live: BTreeMap<Name, bool>,
    unnamed: Vec<Name>,
    /// Calls that wait for a look-up.
    sought: BTreeSet<CallId>,
    /// Names that have belonged to a leg.
    used: BTreeSet<Name>,
    /// Legs that are over, hung up or known by another name.
    gone: BTreeSet<Name>,
    /// Legs that owe an answer to an offer of ours.
    changing: BTreeSet<Name>,
    /// Requests for a transfer that nobody has answered.
    asked: BTreeMap<Name, u32>,
    /// Phones that are told how their transfer goes.
    told: BTreeSet<Name>,
}

impl Carried {
    pub fn handle(&mut self) -> Handle {
        self.handles += 1;
        Handle(self.handles)
    }

    /// The branches whose name on the wire has not been told yet.
    pub fn unnamed(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.unnamed)
    }

    pub fn nth_changing(&self, n: u8) -> Option<Name> {
        self.changing.iter().nth(usize::from(n)).copied()
    }

    pub fn nth_sought(&self, n: u8) -> Option<CallId> {
        self.sought.iter().nth(usize::from(n)).copied()
    }

    pub fn nth_ringing(&self, n: u8) -> Option<Name> {
        self.live.iter().filter(|(_, rings)| **rings).map(|(name, _)| *name).nth(usize::from(n))
    }

    /// What the carrier is about to tell.
    pub fn told(&mut self, report: &Report) {
        match report {
            Report::Ended { call, leg, .. } => self.over((*call, *leg)),
            Report::Located { call, .. } => drop(self.sought.remove(call)),
            Report::Reaccepted { call, leg, .. } => drop(self.changing.remove(&(*call, *leg))),
            Report::Answered { call, leg, .. } => {
                if let Some(rings) = self.live.get_mut(&(*call, *leg)) {
                    *rings = false;
                }
            }
            Report::ReferAsked { call, leg, .. } => *self.asked.entry((*call, *leg)).or_default() += 1,
            _ => {}
        }
    }

    fn over(&mut self, name: Name) {
        self.live.remove(&name);
        self.changing.remove(&name);
        self.asked.remove(&name);
        self.told.remove(&name);
        if self.used.contains(&name) {
            self.gone.insert(name);
        }
    }

    fn begin(&mut self, name: Name, rings: bool) {
        assert!(self.used.insert(name), "{name:?} has been somebody's name");
        self.live.insert(name, rings);
    }

    /// Checks everything that was asked since the last look.
    pub fn hear(&mut self, desk: &mut Desk) {
        for op in &desk.ops[self.heard..] {
            self.asked_for(op);
        }
        self.heard = desk.ops.len();
    }

    fn asked_for(&mut self, op: &Op) {
        match op {
            Op::Refuse { .. } => {}
            Op::Locate { call, .. } => drop(self.sought.insert(*call)),
            Op::Adopt { call, leg, .. } => self.begin((*call, *leg), false),
            Op::Dial { call, leg, .. } => {
                self.begin((*call, *leg), true);
                self.unnamed.push((*call, *leg));
            }
            Op::Move { from, to } => {
                self.on_the_wire(*from, op);
                self.over(*from);
                self.begin(*to, false);
            }
            Op::Reoffer { call, leg, .. } => {
                self.on_the_wire((*call, *leg), op);
                assert!(self.changing.insert((*call, *leg)), "one change of a session at a time: {op:?}");
            }
            Op::AnswerRefer { call, leg, result } => {
                let name = (*call, *leg);
                self.on_the_wire(name, op);
                let asked = self.asked.get_mut(&name).filter(|count| **count > 0);
                *asked.unwrap_or_else(|| panic!("nobody has asked: {op:?}")) -= 1;
                if result.is_ok() {
                    assert!(self.told.insert(name), "two transfers at once");
                }
            }
            Op::TellRefer { call, leg, status, .. } => {
                self.on_the_wire((*call, *leg), op);
                assert!(self.told.contains(&(*call, *leg)), "after the last word, or before we accepted: {op:?}");
                if *status >= 200 {
                    self.told.remove(&(*call, *leg));
                }
            }
            Op::Hangup { call, leg, .. } => {
                self.on_the_wire((*call, *leg), op);
                self.over((*call, *leg));
            }
            Op::Ring { call, leg, .. }
            | Op::Answer { call, leg, .. }
            | Op::Confirm { call, leg, .. }
            | Op::Reanswer { call, leg, .. }
            | Op::Refer { call, leg, .. }
            | Op::Deliver { call, leg, .. }
            | Op::Receipt { call, leg, .. }
            | Op::Withdraw { call, leg }
            | Op::Focus { call, leg, .. }
            | Op::Probe { call, leg } => self.on_the_wire((*call, *leg), op),
        }
    }

    fn on_the_wire(&self, name: Name, op: &Op) {
        assert!(self.used.contains(&name), "never on a wire: {op:?}");
        assert!(!self.gone.contains(&name), "gone: {op:?}");
    }
}
