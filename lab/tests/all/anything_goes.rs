//! Phones and applications that do whatever comes to mind, in changing weather, while things break.
//! Whatever happens, every call and every command ends once, and nothing is left.

use hookswitch_lab::{AppId, Audio, Dice, Lab, PhoneId, Place, SwitchConfig, Weather, millis, seconds, seeds};
use hookswitch_phone::{AnswerPolicy, Hold, Sound};
use hookswitch_sip::Transport;

/// Things that happen in one play.
const ACTS: u64 = 40;

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

struct Play {
    lab: Lab,
    dice: Dice,
    phones: Vec<PhoneId>,
    gone: Vec<PhoneId>,
    apps: Vec<AppId>,
    commands: u32,
    /// Whether things break, beside the weather.
    is_rough: bool,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed);
        let mut config = SwitchConfig::default();
        config.shard.limits.ring_time = seconds(20);
        config.media.rtp_timeout = seconds(15);
        let mut lab = Lab::with(seed, Weather::CLEAR, config);
        lab.set_audio(Audio::Unchecked);
        let mut phones = Vec::new();
        for index in 0..6 {
            let user = USERS[index % USERS.len()];
            let transport = if dice.percent(40) { Transport::Tcp } else { Transport::Udp };
            let answer = policy(&mut dice);
            let late_offer = dice.percent(15);
            let talks = dice.percent(15);
            let change = |phone: &mut hookswitch_phone::PhoneConfig| {
                phone.transport = transport;
                phone.answer = answer;
                phone.late_offer = late_offer;
                if !talks {
                    phone.sound = Sound::Nothing;
                }
            };
            let phone =
                if dice.percent(30) { lab.phone_behind_nat(user, change) } else { lab.phone_with(user, change) };
            lab.register(phone);
            phones.push(phone);
        }
        let apps = vec![lab.app(), lab.app()];
        let is_rough = seed % 2 == 1;
        if is_rough {
            lab.expect_strays();
        }
        Self { lab, dice, phones, gone: Vec::new(), apps, commands: 0, is_rough }
    }

    fn run(mut self) {
        for _ in 0..ACTS {
            if self.dice.percent(15) {
                let weather = Weather::ALL[self.dice.below(5) as usize];
                self.lab.set_weather(weather);
            }
            self.act();
            let pause = millis(self.dice.below(1_500));
            self.lab.pass(pause);
        }
        for phone in self.gone.clone() {
            self.bring_back(phone);
        }
        self.lab.pass(seconds(60));
        for phone in self.phones.clone() {
            self.lab.hang_up(phone);
        }
        self.lab.finish();
    }

    fn someone(&mut self) -> PhoneId {
        self.phones[self.dice.below(self.phones.len() as u64) as usize]
    }

    fn someones_name(&mut self) -> &'static str {
        ["alice", "bob", "carol", "dave", "erin", "nobody", "echo", "tone"][self.dice.below(8) as usize]
    }

    fn is_there(&self, phone: PhoneId) -> bool {
        !self.gone.contains(&phone)
    }

    fn act(&mut self) {
        let phone = self.someone();
        let app = self.apps[self.dice.below(2) as usize];
        match self.dice.below(if self.is_rough { 16 } else { 12 }) {
            0..=2 if self.is_there(phone) && !self.lab.in_call(phone) => {
                let who = self.someones_name();
                self.lab.dial(phone, who);
            }
            3 | 4 if self.is_there(phone) => self.lab.hang_up(phone),
            5 if self.is_there(phone) && self.lab.in_call(phone) => {
                let hold = [Hold::On, Hold::Off, Hold::Silent][self.dice.below(3) as usize];
                self.lab.try_hold(phone, hold);
            }
            6 | 7 => {
                self.commands += 1;
                let (caller, callee) = (self.someones_name(), self.someones_name());
                self.lab.start_call(app, &format!("c{}", self.commands), caller, callee);
            }
            8 | 9 if self.commands > 0 => {
                let which = self.dice.below(u64::from(self.commands)) + 1;
                self.commands += 1;
                self.lab.end_call(app, &format!("e{}", self.commands), &format!("c{which}"));
            }
            10 if self.is_there(phone) => {
                let answer = policy(&mut self.dice);
                self.lab.set_answer(phone, answer);
            }
            11 => {
                let pause = millis(self.dice.below(2_000));
                let place = if self.dice.percent(30) { Place::Switch } else { phone.into() };
                self.lab.pause(place, pause);
            }
            12 => self.lab.break_streams(phone.into()),
            13 if self.is_there(phone) => {
                self.gone.push(phone);
                if self.dice.percent(50) { self.lab.kill(phone) } else { self.lab.vanish(phone) }
            }
            14 => {
                if let Some(phone) = self.gone.pop() {
                    self.bring_back(phone);
                }
            }
            15 => self.break_something(app),
            _ => {}
        }
    }

    fn break_something(&mut self, app: AppId) {
        match self.dice.below(6) {
            0 => {
                self.lab.restart_switch();
                self.apps = vec![self.lab.app(), self.lab.app()];
            }
            1 => {
                self.lab.disconnect(app);
                self.apps.retain(|other| *other != app);
                let new = self.lab.app();
                self.apps.push(new);
            }
            _ => {
                let phone = self.someone();
                self.lab.reset_nat(phone);
            }
        }
    }

    /// A phone that was killed starts anew, one that was cut off goes on.
    fn bring_back(&mut self, phone: PhoneId) {
        self.lab.bring_back(phone);
        self.gone.retain(|other| *other != phone);
    }
}

fn policy(dice: &mut Dice) -> AnswerPolicy {
    let after = millis(dice.below(3_000));
    match dice.below(8) {
        0 => AnswerPolicy::Ring,
        1 => AnswerPolicy::BUSY,
        2 => AnswerPolicy::Refuse { status: [404, 480, 500, 503, 603][dice.below(5) as usize], after },
        _ => AnswerPolicy::Answer { after },
    }
}

#[test]
fn and_everything_ends() {
    for seed in seeds(0..30) {
        Play::new(seed).run();
    }
}
