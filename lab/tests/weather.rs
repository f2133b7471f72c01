//! The same calls in any weather: each ends once, nothing is left, and who was joined heard the other.

use hookswitch_lab::{Audio, Dice, Lab, PhoneId, SwitchConfig, Weather, millis, seconds, seeds};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip::Transport;

/// Every so many seeds, the phones themselves listen.
const LISTEN_EVERY: u64 = 25;

struct Play {
    lab: Lab,
    dice: Dice,
    alice: PhoneId,
    bob: PhoneId,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let weather = Weather::ALL[dice.below(5) as usize];
        let mut lab = Lab::with(seed, Weather::CLEAR, SwitchConfig::default());
        lab.set_audio(if seed.is_multiple_of(LISTEN_EVERY) { Audio::Heard } else { Audio::Probed });
        let answer = match dice.below(8) {
            0 => AnswerPolicy::BUSY,
            1 => AnswerPolicy::Ring,
            2 => AnswerPolicy::Refuse { status: 480, after: millis(dice.below(3_000)) },
            _ => AnswerPolicy::Answer { after: millis(dice.below(3_000)) },
        };
        let mut transport = || if dice.percent(30) { Transport::Tcp } else { Transport::Udp };
        let (one, other) = (transport(), transport());
        let alice = lab.phone_with("alice", |phone| {
            phone.transport = one;
            phone.late_offer = seed.is_multiple_of(5);
        });
        let bob = lab.phone_with("bob", |phone| {
            phone.transport = other;
            phone.answer = answer;
        });
        lab.register(alice);
        lab.register(bob);
        lab.set_weather(weather);
        Self { lab, dice, alice, bob }
    }

    fn run(mut self) {
        self.lab.dial(self.alice, "bob");
        // From before the phone has rung to long after it was answered.
        let patience = millis(self.dice.below(8_000));
        self.lab.pass(patience);
        let both = [self.alice, self.bob];
        match self.dice.below(4) {
            0 => both.iter().for_each(|phone| self.lab.hang_up(*phone)),
            1 => self.lab.hang_up(self.bob),
            _ => self.lab.hang_up(self.alice),
        }
        self.lab.pass(seconds(40));
        // Whoever has not heard of the end by then ends it too.
        both.iter().for_each(|phone| self.lab.hang_up(*phone));
        self.lab.finish();
    }
}

#[test]
fn calls_end_once_and_leave_nothing() {
    for seed in seeds(0..300) {
        Play::new(seed).run();
    }
}
