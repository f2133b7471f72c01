//! One run: the phones are set up, the steps are done, and then everybody goes home.

use hookswitch_codec::{pcma, pcmu, telephone_event};
use hookswitch_phone::{AnswerPolicy, Hold, Keys, Line, Phase, Phone, PhoneConfig, ReferPolicy, Sound};
use hookswitch_sip::{Header, Transport};
use hookswitch_sip_msg::HeaderName;
use serde_json::json;

use super::Case;
use super::act::{AIMED, Act, Set, Step};
use crate::journal::Telling;
use crate::lab::{AppId, Audio, Lab, PhoneId};
use crate::mail::Place;
use crate::switch::{SwitchConfig, USERS, joined};
use crate::verbs::address_of;
use crate::weather::Weather;
use crate::{millis, seconds};

/// How long everybody has for what is under way when the last step is done.
const SETTLING: u64 = 12;

/// How often everybody hangs up: what rings then is somebody whom a transfer still calls.
const MOST_ROUNDS: usize = 12;

/// Calls that a phone may have.
const LINES: u8 = 2;

/// How a phone holds.
const STYLES: [Hold; 4] = [Hold::Off, Hold::On, Hold::Silent, Hold::Nowhere];

pub(super) struct Play {
    pub(super) lab: Lab,
    pub(super) phones: Vec<PhoneId>,
    pub(super) app: AppId,
    commands: u32,
    starts: Vec<String>,
    /// A phone has forgotten its calls, and the switch cannot know.
    pub(super) has_forgotten: bool,
}

/// Plays a case to its end; returns what was told of its calls, and how its commands began and ended.
pub(super) fn play(case: &Case, telling: Telling) -> Vec<String> {
    let mut play = Play::new(case, telling);
    play.lab.set_weather(Weather::ALL[usize::from(case.weather)]);
    for Step { act, after } in &case.steps {
        play.act(*act);
        play.lab.pass(millis(u64::from(*after)));
    }
    play.lab.set_weather(Weather::CLEAR);
    play.lab.pass(seconds(SETTLING));
    play.verify();
    play.go_home();
    let tally = play.tally();
    play.lab.finish();
    tally
}

fn policy(policy: u8, rings: u16) -> AnswerPolicy {
    let after = millis(rings.into());
    match policy {
        0 => AnswerPolicy::Answer { after },
        1 => AnswerPolicy::Ring,
        2 => AnswerPolicy::BUSY,
        3 => AnswerPolicy::Refuse { status: 480, after },
        _ => AnswerPolicy::Silent,
    }
}

/// The user part of an address that stands for several users.
pub(super) const GROUP: &str = "group";

pub(super) fn name(user: u8) -> &'static str {
    match user {
        6 => "echo",
        7 => "nobody",
        8 => "tone",
        9 => GROUP,
        user => USERS[usize::from(user) % USERS.len()],
    }
}

impl Play {
    fn new(case: &Case, telling: Telling) -> Play {
        let mut config = SwitchConfig::default();
        config.shard.limits.ring_time = seconds(20);
        case.setting.apply(&mut config);
        let mut lab = Lab::with(case.seed, Weather::CLEAR, config);
        lab.telling = telling;
        lab.set_audio(Audio::Marked);
        lab.expect_strays();
        let set_up = |phone: &mut PhoneConfig, set: &Set| {
            phone.transport = if set.tcp { Transport::Tcp } else { Transport::Udp };
            phone.late_offer = set.late;
            phone.doubles = set.doubles && !set.tcp;
            phone.early_media = set.early;
            phone.reliable = set.reliable;
            phone.refer_sub = !set.quiet;
            phone.refer = if set.stays { ReferPolicy::Refuse(603) } else { ReferPolicy::Accept };
            phone.answer = policy(set.policy, set.rings);
            phone.sound = Sound::Nothing;
            phone.lines = LINES;
        };
        let mut phones = Vec::with_capacity(case.phones.len());
        for set in &case.phones {
            let phone = match set.v6 {
                true => lab.phone_v6(name(set.user), |phone| set_up(phone, set)),
                false => lab.phone_with(name(set.user), |phone| set_up(phone, set)),
            };
            phones.push(phone);
            lab.phone_acts(phone, Phone::register);
        }
        lab.pass(millis(100));
        let app = lab.app();
        Play { lab, phones, app, commands: 0, starts: Vec::new(), has_forgotten: false }
    }

    fn tally(&self) -> Vec<String> {
        let told = self.lab.told().iter().map(|told| {
            let word = format!("{:?}", told.event);
            word.split([' ', '{']).next().unwrap_or_default().to_owned()
        });
        let app = self.lab.heard_by(self.app);
        let notices = app.notices().iter().map(|notice| format!("notified {}", notice.event));
        let refused = app.errors().len();
        told.chain(notices).chain((0..refused).map(|_| "refused".to_owned())).collect()
    }

    fn phone(&self, who: u8) -> PhoneId {
        self.phones[usize::from(who % AIMED) % self.phones.len()]
    }

    /// The phone with this number, or from [`AIMED`] on one that can do this.
    fn phone_that(&self, who: u8, can: impl Fn(&Phone) -> bool) -> PhoneId {
        let able = |phone: &PhoneId| can(&self.lab.handset(*phone).phone);
        let able: Vec<PhoneId> = self.phones.iter().copied().filter(|phone| who >= AIMED && able(phone)).collect();
        able.get(usize::from(who % AIMED) % able.len().max(1)).copied().unwrap_or_else(|| self.phone(who))
    }

    /// The Call-ID of one of the calls that phones have, or from [`AIMED`] on, of one whose parties talk if there is
    /// one, and of another call than that of this Call-ID.
    fn call(&self, number: u8, other: Option<&str>) -> String {
        let aimed = if number < AIMED { Vec::new() } else { self.answered(other) };
        let chosen = aimed.get(usize::from(number % AIMED) % aimed.len().max(1));
        if let Some([caller, callee]) = chosen {
            return if number.is_multiple_of(2) { caller.clone() } else { callee.clone() };
        }
        let ids: Vec<&str> = self
            .phones
            .iter()
            .flat_map(|phone| self.lab.handset(*phone).phone.calls())
            .map(|call| call.call_id)
            .filter(|id| number < AIMED || other.is_none_or(|other| !self.are_of_one_call(id, other)))
            .collect();
        let chosen = ids.get(usize::from(number) % ids.len().max(1));
        chosen.map_or_else(|| "nowhere@x.test".to_owned(), |id| (*id).to_owned())
    }

    fn are_of_one_call(&self, one: &str, other: &str) -> bool {
        self.lab.calls().into_iter().filter_map(|call| self.lab.switch.shard.record(call)).any(|record| {
            [one, other].iter().all(|id| record.call.legs.iter().any(|leg| leg.wire_id.as_deref() == Some(*id)))
        })
    }

    /// The Call-IDs of the parties of each call that talk.
    fn answered(&self, other: Option<&str>) -> Vec<[String; 2]> {
        let calls = self.lab.calls().into_iter().filter_map(|call| {
            let [caller, callee] = joined(&self.lab.switch.shard.record(call)?);
            Some([caller?.1?, callee?.1?])
        });
        calls.filter(|ids| other.is_none_or(|other| ids.iter().all(|id| id != other))).collect()
    }

    fn ask(&mut self, method: &str, params: serde_json::Value) -> String {
        self.commands += 1;
        let cmd_id = format!("c{}", self.commands);
        self.lab.ask(self.app, &cmd_id, method, params);
        cmd_id
    }

    fn act(&mut self, act: Act) {
        self.lab.note(format!("— {act:?}"));
        match act {
            Act::Start { .. }
            | Act::Cancel { .. }
            | Act::End { .. }
            | Act::Keep { .. }
            | Act::Blind { .. }
            | Act::Attended { .. } => self.command(act),
            Act::PauseSwitch { time } => self.lab.pause(Place::Switch, millis(u64::from(time) * 10)),
            Act::Pause { who, time } => self.lab.pause(self.phone(who), millis(u64::from(time) * 10)),
            Act::Restart { who } => {
                self.has_forgotten = true;
                let phone = self.phone(who);
                self.lab.kill(phone);
                self.lab.bring_back(phone);
            }
            Act::Pickup { who, whom } => self.pick_up(who, whom),
            _ => self.at_phone(act),
        }
    }

    /// The same, or what makes such a thing possible later.
    fn possible(&self, act: Act) -> Act {
        match act {
            Act::End { call } | Act::Keep { call, .. } | Act::Blind { call, .. } | Act::Attended { call, .. }
                if call >= AIMED && self.lab.calls().is_empty() =>
            {
                let (caller, callee) = (self.phone(call), self.phone(call + 1));
                let user_of = |phone: PhoneId| {
                    let user = &self.lab.handset(phone).phone.config().user;
                    USERS.iter().position(|name| name == user).unwrap_or_default() as u8
                };
                Act::Start { caller: user_of(caller), callee: user_of(callee) }
            }
            _ => act,
        }
    }

    /// What the application asks.
    fn command(&mut self, act: Act) {
        let leg = |leg: u8| if leg == 1 { "caller" } else { "callee" };
        match self.possible(act) {
            Act::Start { caller, callee } => {
                let params = json!({ "caller": address_of(name(caller)), "callee": address_of(name(callee)) });
                let cmd_id = self.ask("CallStart", params);
                self.starts.push(cmd_id);
            }
            Act::Cancel { start } => {
                let Some(start) = self.starts.get(usize::from(start) % self.starts.len().max(1)).cloned() else {
                    return;
                };
                self.ask("CallEnd", json!({ "callid": start }));
            }
            Act::End { call } => {
                let params = json!({ "callid": self.call(call, None) });
                self.ask("CallEnd", params);
            }
            Act::Keep { call, leg: which, on } => {
                let mut params = json!({ "callid": self.call(call, None) });
                if which > 0 {
                    params["leg"] = json!(leg(which));
                }
                self.ask(if on { "CallHold" } else { "CallUnhold" }, params);
            }
            Act::Blind { call, leg: which, to } => {
                let destination = address_of(name(to));
                let callid = self.call(call, None);
                let params = json!({ "callid": callid, "leg": leg(which), "destination": destination });
                self.ask("CallBlindTransfer", params);
            }
            Act::Attended { call, leg: which, other, other_leg } => {
                let first = self.call(call, None);
                let second = self.call(other, Some(&first));
                let params = json!({
                    "callidA": first, "legA": leg(which), "callidB": second, "legB": leg(other_leg),
                });
                self.ask("CallAttendedTransfer", params);
            }
            _ => {}
        }
    }

    fn pick_up(&mut self, who: u8, whom: u8) {
        let whom = self.phone_that(whom, Phone::in_call);
        let who = self.phone_that(who, |phone| phone.calls().count() < LINES.into());
        if who == whom {
            return;
        }
        let other = &self.lab.handset(whom).phone;
        let Some(replaces) = other.replaces(other.chosen()) else { return };
        let uri = address_of(&other.config().user);
        let headers = vec![Header::new(HeaderName::Replaces, replaces.to_string())];
        let _ = self.lab.phone_acts(who, |phone, now| phone.call_with(now, &uri, headers));
    }

    /// What a person does at a phone; what the phone refuses is not done.
    fn at_phone(&mut self, act: Act) {
        let number = match act {
            Act::Dial { who, .. }
            | Act::Answer { who }
            | Act::Refuse { who, .. }
            | Act::HangUp { who }
            | Act::Hold { who, .. }
            | Act::Move { who }
            | Act::Prefer { who }
            | Act::Late { who }
            | Act::Update { who, .. }
            | Act::Refer { who, .. }
            | Act::Attend { who }
            | Act::Press { who, .. }
            | Act::Text { who }
            | Act::Choose { who }
            | Act::Firm { who, .. }
            | Act::Policy { who, .. } => who,
            _ => return,
        };
        let phone = self.phone_that(number, |phone| is_for(act, phone));
        let _ = self.lab.phone_acts(phone, |phone, now| match act {
            Act::Dial { to, .. } => phone.call(now, &address_of(name(to))),
            Act::Answer { .. } => phone.answer(now),
            Act::Refuse { how, .. } => phone.refuse(now, [480, 486, 503, 603][usize::from(how) % 4]),
            Act::HangUp { .. } => phone.hang_up(now),
            Act::Hold { style, .. } => phone.hold(now, STYLES[usize::from(style) % 4]),
            Act::Move { .. } => phone.move_audio(now),
            Act::Prefer { .. } => phone.prefer(now, &[pcma(), pcmu(), telephone_event()]),
            Act::Late { .. } => phone.reoffer_late(now),
            Act::Update { style, .. } => match STYLES[usize::from(style) % 4] {
                Hold::Off => phone.update(now),
                hold => phone.hold_by_update(now, hold),
            },
            Act::Refer { to, .. } => phone.refer(now, &address_of(name(to))),
            Act::Attend { .. } => attend(phone, now),
            Act::Press { by: 1, .. } => phone.press(now, '5', Keys::Info),
            Act::Press { .. } => phone.press(now, '5', Keys::Rtp),
            Act::Text { .. } => phone.text(now, "hello"),
            Act::Choose { .. } => choose(phone),
            Act::Firm { on, .. } => {
                phone.refuse_changes(on.then_some(488));
                Ok(())
            }
            Act::Policy { policy: next, .. } => {
                phone.set_answer(policy(next, 1_000));
                Ok(())
            }
            _ => Ok(()),
        });
    }

    /// Everybody hangs up whatever there is.
    fn go_home(&mut self) {
        self.lab.note("— everybody hangs up");
        for _ in 0..MOST_ROUNDS {
            let busy: Vec<PhoneId> = self.phones.iter().copied().filter(|phone| self.lab.in_call(*phone)).collect();
            for phone in &busy {
                self.lab.phone_acts(*phone, |phone, now| {
                    let lines: Vec<Line> = phone.calls().map(|call| call.line).collect();
                    for line in lines {
                        let _ = phone.choose(line).and_then(|()| phone.hang_up(now));
                    }
                });
            }
            self.lab.pass(seconds(3));
            if busy.is_empty() && self.lab.calls().is_empty() {
                return;
            }
        }
    }
}

/// Whether a phone can do this as things are.
fn is_for(act: Act, phone: &Phone) -> bool {
    let chosen = phone.calls().find(|call| call.line == phone.chosen()).map(|call| call.phase);
    match act {
        Act::Dial { .. } => phone.calls().count() < LINES.into(),
        Act::Answer { .. } | Act::Refuse { .. } => chosen == Some(Phase::Ringing),
        Act::HangUp { .. } => chosen.is_some(),
        Act::Attend { .. } | Act::Choose { .. } => phone.calls().count() > 1,
        _ => chosen == Some(Phase::Talking),
    }
}

fn choose(phone: &mut Phone) -> Result<(), hookswitch_phone::PhoneError> {
    let other = phone.calls().map(|call| call.line).find(|line| *line != phone.chosen());
    other.map_or(Ok(()), |line| phone.choose(line))
}

/// The second call takes the place of the first.
fn attend(phone: &mut Phone, now: hookswitch_call::Time) -> Result<(), hookswitch_phone::PhoneError> {
    let stands = |call: &hookswitch_phone::CallView<'_>| call.phase == Phase::Talking;
    let Some(first) = phone.calls().find(stands).map(|call| call.line) else { return Ok(()) };
    let may_follow = |phase| matches!(phase, Phase::Talking | Phase::Calling);
    let second = phone.calls().find(|call| call.line != first && may_follow(call.phase)).map(|call| call.line);
    let Some(second) = second else { return Ok(()) };
    phone.choose(first)?;
    phone.refer_to_line(now, second)
}
