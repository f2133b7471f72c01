//! How the switch of a run is set up, as numbers.

use hookswitch_b2bua::Reliable;
use hookswitch_b2bua::route::{Destination, Route};
use hookswitch_call::directory::Forwarding;
use hookswitch_call::{Address, By, Forwards};

use super::play::{GROUP, name};
use crate::dice::Dice;
use crate::switch::{DOMAIN, SwitchConfig};
use crate::verbs::address_of;
use crate::{millis, seconds};

/// How the switch is set up; the default is a switch without any wish of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setting {
    /// Commands transfer by asking the phone (REFER), and a phone's own REFER goes on to the other phone.
    pub refers: bool,
    /// Early descriptions go out reliably.
    pub reliable: bool,
    /// Whom users have their calls forwarded to.
    pub forwards: Vec<Forward>,
    /// Whom `sip:group@…` stands for; nobody if there is none.
    pub group: Vec<Member>,
}

/// Somebody who is called instead of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The user.
    pub user: u8,
    /// Always (0), when busy (1), when there is no answer within a second (2), when unreachable (3).
    pub when: u8,
    /// Who is called instead, as in an [`Act`](super::Act).
    pub to: u8,
}

/// Somebody who is called for the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Who, as in an [`Act`](super::Act).
    pub to: u8,
    /// Groups are called one after the other.
    pub group: u8,
    /// Milliseconds between the beginning of its group and its own.
    pub after: u16,
    /// Seconds that it may ring; 0 for as long as its group.
    pub rings: u8,
    /// Its share of calls in which it is first; 0 for none.
    pub weight: u8,
}

impl Setting {
    pub(super) fn any(dice: &mut Dice) -> Setting {
        let forwards = if dice.percent(25) { 1 + dice.below(2) } else { 0 };
        let members = if dice.percent(30) { 1 + dice.below(4) } else { 0 };
        Setting {
            refers: dice.percent(25),
            reliable: dice.percent(25),
            forwards: (0..forwards).map(|_| Forward::any(dice)).collect(),
            group: (0..members).map(|_| Member::any(dice)).collect(),
        }
    }

    /// All settings that are a little less than this one.
    pub(super) fn smaller(&self) -> Vec<Setting> {
        let mut less = Vec::new();
        if self.refers {
            less.push(Setting { refers: false, ..self.clone() });
        }
        if self.reliable {
            less.push(Setting { reliable: false, ..self.clone() });
        }
        for index in 0..self.forwards.len() {
            let mut setting = self.clone();
            setting.forwards.remove(index);
            less.push(setting);
        }
        for index in 0..self.group.len() {
            let mut setting = self.clone();
            setting.group.remove(index);
            less.push(setting);
        }
        less
    }

    /// As the Rust that makes it.
    pub(super) fn to_rust(&self) -> String {
        let Setting { refers, reliable, forwards, group } = self;
        format!(
            "Setting {{ refers: {refers}, reliable: {reliable}, forwards: vec!{forwards:?}, group: vec!{group:?} }}"
        )
    }

    pub(super) fn apply(&self, config: &mut SwitchConfig) {
        if self.refers {
            config.shard.limits.transfers = By::Refer;
        }
        config.shard.b2bua.reliable = if self.reliable { Reliable::Offered } else { Reliable::Off };
        let mut forwards: Vec<(&str, Forwarding)> = Vec::new();
        for forward in &self.forwards {
            let user = name(forward.user);
            let at = forwards.iter().position(|(known, _)| *known == user).unwrap_or_else(|| {
                forwards.push((user, Forwarding::default()));
                forwards.len() - 1
            });
            forward.write(&mut forwards[at].1);
        }
        config.forward(forwards);
        if !self.group.is_empty() {
            let members = self.group.iter().map(Member::destination).collect();
            let route = Route::to_all(&format!("sip:{GROUP}@{DOMAIN}"), members);
            config.shard.b2bua.routes.push(route.expect("a few users are within all limits"));
        }
    }
}

impl Forward {
    fn any(dice: &mut Dice) -> Forward {
        let mut small = |end: u64| dice.below(end) as u8;
        Forward { user: small(5), when: small(4), to: small(10) }
    }

    fn write(&self, forwarding: &mut Forwarding) {
        let to = Some(Address::from(address_of(name(self.to)).as_str()));
        let Forwarding { always, otherwise } = forwarding;
        let Forwards { busy, no_answer, no_answer_after, unreachable } = otherwise;
        match self.when {
            0 => *always = to,
            1 => *busy = to,
            2 => {
                *no_answer = to;
                *no_answer_after = Some(seconds(1));
            }
            _ => *unreachable = to,
        }
    }
}

impl Member {
    fn any(dice: &mut Dice) -> Member {
        let after = if dice.percent(50) { 0 } else { dice.below(2_000) as u16 };
        let mut small = |end: u64| dice.below(end) as u8;
        Member { to: small(6), group: small(3), after, rings: small(4), weight: small(6) / 3 }
    }

    fn destination(&self) -> Destination {
        Destination {
            to: address_of(name(self.to)).as_str().into(),
            group: self.group,
            after: millis(u64::from(self.after)),
            ring_time: (self.rings > 0).then(|| seconds(u64::from(self.rings))),
            weight: (self.weight > 0).then(|| u16::from(self.weight)),
        }
    }
}
