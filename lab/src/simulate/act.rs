//! What phones and applications may do, as numbers.

use crate::dice::Dice;

/// How a phone is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Whose it is: which of [`USERS`](crate::USERS).
    pub user: u8,
    /// SIP over TCP.
    pub tcp: bool,
    /// It calls without an offer.
    pub late: bool,
    /// It says everything twice.
    pub doubles: bool,
    /// It rings with early media.
    pub early: bool,
    /// It rings reliably.
    pub reliable: bool,
    /// It refuses to be transferred by REFER.
    pub stays: bool,
    /// It has an IPv6 address and no other.
    pub v6: bool,
    /// It does not want to be told what comes of its REFERs.
    pub quiet: bool,
    /// What it does with calls: see [`Act::Policy`].
    pub policy: u8,
    /// How long it rings before, in milliseconds.
    pub rings: u16,
}

impl Set {
    /// A phone that answers at once.
    #[must_use]
    pub const fn plain(user: u8) -> Set {
        Set {
            user,
            tcp: false,
            late: false,
            doubles: false,
            early: false,
            reliable: false,
            stays: false,
            v6: false,
            quiet: false,
            policy: 0,
            rings: 0,
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        *self == Set::plain(self.user)
    }

    pub(super) fn any(dice: &mut Dice, index: u8) -> Set {
        Set {
            // Now and then two phones of one user.
            user: if index > 2 && dice.percent(30) { dice.below(3) as u8 } else { index },
            tcp: dice.percent(20),
            late: dice.percent(15),
            doubles: dice.percent(5),
            early: dice.percent(20),
            reliable: dice.percent(25),
            stays: dice.percent(15),
            v6: dice.percent(12),
            quiet: dice.percent(20),
            policy: policy(dice),
            rings: if dice.percent(50) { 0 } else { dice.below(3_000) as u16 },
        }
    }
}

fn policy(dice: &mut Dice) -> u8 {
    // Mostly it answers.
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4][dice.below(16) as usize]
}

/// Something that happens, and how long afterwards the next thing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub act: Act,
    /// Milliseconds to the next step.
    pub after: u16,
}

impl Step {
    /// Somebody calls somebody else who is there, and mostly nothing happens until they talk.
    pub(super) fn call(dice: &mut Dice, phones: u8) -> Step {
        let who = dice.below(u64::from(phones)) as u8;
        let to = (who + 1 + dice.below(u64::from(phones) - 1) as u8) % phones;
        let act = if dice.percent(50) { Act::Dial { who, to } } else { Act::Start { caller: who, callee: to } };
        Step { act, after: 200 + dice.below(4_000) as u16 }
    }

    /// Somebody asks a third one about a caller, and transfers it before or after the answer.
    pub(super) fn consultation(dice: &mut Dice, phones: u8) -> [Step; 3] {
        let who = dice.below(u64::from(phones)) as u8;
        let to = whom(dice, phones);
        let mut step = |act, most: u64| Step { act, after: dice.below(most) as u16 };
        [step(Act::Hold { who, style: 1 }, 1_500), step(Act::Dial { who, to }, 3_000), step(Act::Attend { who }, 4_000)]
    }

    /// An application keeps a party waiting, and resumes.
    pub(super) fn waiting(dice: &mut Dice) -> [Step; 2] {
        let (call, leg) = (AIMED + dice.below(6) as u8, dice.below(3) as u8);
        [true, false].map(|on| Step { act: Act::Keep { call, leg, on }, after: dice.below(4_000) as u16 })
    }

    pub(super) fn any(dice: &mut Dice, phones: u8) -> Step {
        let act = Act::any(dice, phones);
        let after = match dice.below(6) {
            0 => 0,
            1 => dice.below(30) as u16,
            2 => dice.below(300) as u16,
            _ => dice.below(4_000) as u16,
        };
        Step { act, after }
    }
}

/// From this number on, a phone or call is not the one with this number, but one of those with which the thing can be
/// done: a phone that rings, if it is to answer; an answered call, if it is to be held. If there is none, it is any, and
/// if there are no calls at all, a command begins one.
pub const AIMED: u8 = 8;

/// Something that happens. `who` is a phone, `to` a user (6 and beyond: the echo, nobody, the tone, the group), `call` a
/// call by its place among those that phones have; see also [`AIMED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are said above, once
pub enum Act {
    /// Calls, from the next free line.
    Dial { who: u8, to: u8 },
    /// Answers what rings.
    Answer { who: u8 },
    /// Refuses what rings, with 480, 486, 503 or 603.
    Refuse { who: u8, how: u8 },
    /// Hangs up the chosen line, or takes back its call.
    HangUp { who: u8 },
    /// Off, sendonly, inactive, `0.0.0.0`.
    Hold { who: u8, style: u8 },
    /// re-INVITE with another port.
    Move { who: u8 },
    /// re-INVITE with the codecs in another order.
    Prefer { who: u8 },
    /// re-INVITE without an offer.
    Late { who: u8 },
    /// UPDATE with an offer: the session as it is, or as [`Act::Hold`] would have it.
    Update { who: u8, style: u8 },
    /// REFER to a user.
    Refer { who: u8, to: u8 },
    /// REFER of the first line to the second, whether that is answered or not.
    Attend { who: u8 },
    /// It refuses every change of its session from now on, or does not any more.
    Firm { who: u8, on: bool },
    /// INVITE that replaces the call of another phone.
    Pickup { who: u8, whom: u8 },
    /// A key, by INFO or in the audio.
    Press { who: u8, by: u8 },
    /// A text.
    Text { who: u8 },
    /// Orders are for the other line.
    Choose { who: u8 },
    /// What the phone does from now on: answers, rings for ever, is busy, refuses late, is silent.
    Policy { who: u8, policy: u8 },
    /// Its process dies and comes back.
    Restart { who: u8 },
    /// It does nothing for a time, in tens of milliseconds.
    Pause { who: u8, time: u8 },
    /// The signalling of the switch does nothing for a time, in tens of milliseconds.
    PauseSwitch { time: u8 },
    /// CallStart.
    Start { caller: u8, callee: u8 },
    /// CallEnd of what a CallStart began, by its number.
    Cancel { start: u8 },
    /// CallEnd.
    End { call: u8 },
    /// CallHold or CallUnhold; of both parties (0), the caller (1) or the callee (2).
    Keep { call: u8, leg: u8, on: bool },
    /// CallBlindTransfer of the caller (1) or the callee.
    Blind { call: u8, leg: u8, to: u8 },
    /// CallAttendedTransfer.
    Attended { call: u8, leg: u8, other: u8, other_leg: u8 },
}

/// Whom somebody calls: mostly somebody who is there.
fn whom(dice: &mut Dice, phones: u8) -> u8 {
    match dice.below(10) {
        0..=6 => dice.below(u64::from(phones)) as u8,
        7 => 9,
        _ => 5 + dice.below(4) as u8,
    }
}

impl Act {
    fn any(dice: &mut Dice, phones: u8) -> Act {
        // Now and then somebody with whom nothing can be done.
        let aim = if dice.percent(80) { AIMED } else { 0 };
        if dice.percent(33) { Act::command(dice, phones, aim) } else { Act::at_phone(dice, phones, aim) }
    }

    fn command(dice: &mut Dice, phones: u8, aim: u8) -> Act {
        let to = whom(dice, phones);
        let mut small = |end: u64| dice.below(end) as u8;
        let call = aim + small(6);
        match small(20) {
            0..=3 => Act::Start { caller: small(5), callee: to },
            4 => Act::Cancel { start: small(3) },
            5 => Act::End { call },
            6..=10 => Act::Keep { call, leg: small(3), on: small(3) > 0 },
            11..=15 => Act::Blind { call, leg: 1 + small(2), to },
            _ => Act::Attended { call, leg: 1 + small(2), other: aim + small(6), other_leg: 1 + small(2) },
        }
    }

    fn at_phone(dice: &mut Dice, phones: u8, aim: u8) -> Act {
        let to = whom(dice, phones);
        let who = dice.below(u64::from(phones)) as u8 + aim;
        let mut small = |end: u64| dice.below(end) as u8;
        match small(34) {
            0..=5 => Act::Dial { who, to },
            6 | 7 => Act::Answer { who },
            8 => Act::Refuse { who, how: small(4) },
            9 | 10 => Act::HangUp { who },
            11..=13 => Act::Hold { who, style: small(4) },
            14 => Act::Move { who },
            15 => Act::Prefer { who },
            16 => Act::Late { who },
            17 | 18 => Act::Update { who, style: small(4) },
            19..=21 => Act::Refer { who, to },
            22..=24 => Act::Attend { who },
            25 | 26 => Act::Pickup { who, whom: aim + small(5) },
            27 => match small(3) {
                0 => Act::Text { who },
                by => Act::Press { who, by },
            },
            28 | 29 => Act::Choose { who },
            30 => Act::Policy { who: who % AIMED, policy: small(5) },
            31 => Act::Firm { who: who % AIMED, on: small(3) > 0 },
            _ => match small(3) {
                0 => Act::Restart { who: who % AIMED },
                1 => Act::Pause { who: who % AIMED, time: small(200) },
                _ => Act::PauseSwitch { time: small(100) },
            },
        }
    }
}
