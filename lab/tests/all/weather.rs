//! The same calls in any weather: each ends once, nothing is left, and who was joined heard the other.

use hookswitch_lab::{Audio, Dice, Lab, PhoneId, SwitchConfig, Weather, millis, seconds, seeds};
use hookswitch_phone::{AnswerPolicy, PhoneConfig};
use hookswitch_sip::Transport;

/// Every so many seeds, the phones themselves listen.
const LISTEN_EVERY: u64 = 25;

/// Phones that are registered, and the weather that comes up.
struct Scene {
    lab: Lab,
    dice: Dice,
    alice: PhoneId,
    /// Bob has one phone or two.
    bobs: Vec<PhoneId>,
    weather: Weather,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let weather = Weather::ALL[dice.below(5) as usize];
        let mut lab = Lab::with(seed, Weather::CLEAR, SwitchConfig::default());
        if seed.is_multiple_of(LISTEN_EVERY) {
            lab.set_audio(Audio::Heard);
        }
        let alice = any_phone(&mut lab, &mut dice, "alice", AnswerPolicy::Answer { after: millis(500) });
        let count = if dice.percent(30) { 2 } else { 1 };
        let bobs = (0..count).map(|_| {
            let answer = any_answer(&mut dice);
            any_phone(&mut lab, &mut dice, "bob", answer)
        });
        let bobs = bobs.collect();
        Self { lab, dice, alice, bobs, weather }
    }

    fn phones(&self) -> Vec<PhoneId> {
        std::iter::once(self.alice).chain(self.bobs.iter().copied()).collect()
    }

    /// Somebody ends it; whoever has not heard of the end after a while ends it too.
    fn end(mut self) {
        let phones = self.phones();
        match self.dice.below(4) {
            0 => phones.iter().for_each(|phone| self.lab.hang_up(*phone)),
            1 => self.bobs.iter().for_each(|phone| self.lab.hang_up(*phone)),
            _ => self.lab.hang_up(self.alice),
        }
        self.lab.pass(seconds(40));
        phones.iter().for_each(|phone| self.lab.hang_up(*phone));
        self.lab.finish();
    }
}

fn any_answer(dice: &mut Dice) -> AnswerPolicy {
    let after = millis(dice.below(3_000));
    match dice.below(8) {
        0 => AnswerPolicy::BUSY,
        1 => AnswerPolicy::Ring,
        2 => AnswerPolicy::Refuse { status: 480, after },
        _ => AnswerPolicy::Answer { after },
    }
}

fn any_phone(lab: &mut Lab, dice: &mut Dice, user: &str, answer: AnswerPolicy) -> PhoneId {
    let transport = if dice.percent(30) { Transport::Tcp } else { Transport::Udp };
    let late_offer = dice.percent(20);
    let change = |phone: &mut PhoneConfig| {
        phone.transport = transport;
        phone.answer = answer;
        phone.late_offer = late_offer;
    };
    let phone = match dice.below(5) {
        0 => lab.phone_behind_nat(user, change),
        1 => lab.phone_v6(user, change),
        _ => lab.phone_with(user, change),
    };
    lab.register(phone);
    phone
}

#[test]
fn calls_end_once_and_leave_nothing() {
    for seed in seeds(0..250) {
        let mut scene = Scene::new(seed);
        scene.lab.set_weather(scene.weather);
        scene.lab.dial(scene.alice, "bob");
        // From before the phone has rung to long after it was answered.
        let patience = millis(scene.dice.below(8_000));
        scene.lab.pass(patience);
        scene.end();
    }
}

#[test]
fn calls_of_applications_as_well() {
    for seed in seeds(1_000..1_060) {
        let mut scene = Scene::new(seed);
        scene.lab.set_weather(scene.weather);
        let app = scene.lab.app();
        scene.lab.start_call(app, "c1", "alice", "bob");
        let patience = millis(scene.dice.below(9_000));
        scene.lab.pass(patience);
        if scene.dice.percent(60) {
            scene.lab.end_call(app, "e1", "c1");
            scene.lab.pass(seconds(1));
        }
        if scene.dice.percent(20) {
            scene.lab.disconnect(app);
        }
        scene.end();
    }
}

#[test]
fn registrations_get_through() {
    for seed in seeds(2_000..2_020) {
        let mut lab = Lab::with(seed, Weather::ALL[(seed % 5) as usize], SwitchConfig::default());
        let alice = lab.phone("alice");
        let bob = lab.phone_with("bob", |phone| phone.transport = Transport::Tcp);
        let carol = lab.phone_behind_nat("carol", |_| {});
        [alice, bob, carol].into_iter().for_each(|phone| lab.register(phone));
        assert_eq!(lab.counts().bindings, 3);
        lab.finish();
    }
}
