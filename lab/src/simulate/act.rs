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

/// Something that happens. `who` is a phone, `to` a user (6 and beyond: the echo, nobody, the tone), `call` a call by
/// its place among those that phones have.
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
    /// UPDATE with an offer.
    Update { who: u8 },
    /// REFER to a user.
    Refer { who: u8, to: u8 },
    /// REFER of the first line to the second.
    Attend { who: u8 },
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

impl Act {
    fn any(dice: &mut Dice, phones: u8) -> Act {
        let who = dice.below(u64::from(phones)) as u8;
        let mut small = |end: u64| dice.below(end) as u8;
        match small(40) {
            0..=5 => Act::Dial { who, to: small(8) % (phones + 3).min(8) },
            6..=8 => Act::Start { caller: small(5), callee: small(7) },
            9 | 10 => Act::Answer { who },
            11 => Act::Refuse { who, how: small(4) },
            12 | 13 => Act::HangUp { who },
            14..=16 => Act::Hold { who, style: small(4) },
            17 => Act::Move { who },
            18 => Act::Prefer { who },
            19 => Act::Late { who },
            20 => Act::Update { who },
            21 | 22 => Act::Refer { who, to: small(8) },
            23 | 24 => Act::Attend { who },
            25 => Act::Pickup { who, whom: small(5) },
            26 => match small(3) {
                0 => Act::Text { who },
                by => Act::Press { who, by },
            },
            27 => Act::Choose { who },
            28 => Act::Policy { who, policy: small(5) },
            29 => match small(3) {
                0 => Act::Restart { who },
                1 => Act::Pause { who, time: small(200) },
                _ => Act::PauseSwitch { time: small(100) },
            },
            30 => Act::Cancel { start: small(3) },
            31 => Act::End { call: small(6) },
            32..=34 => Act::Keep { call: small(6), leg: small(3), on: small(2) == 0 },
            35..=37 => Act::Blind { call: small(6), leg: 1 + small(2), to: small(8) },
            _ => Act::Attended { call: small(6), leg: 1 + small(2), other: small(6), other_leg: 1 + small(2) },
        }
    }
}
