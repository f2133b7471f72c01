//! A service that plays something to a party, and where its keys lead.
//!
//! ```text
//!                    ┌──────────── again, while there are tries ────────────┐
//!                    ▼                                                      │
//!   joined ──▶ Plays(prompt) ── over ──▶ AwaitKey ── time is out ───────────┤
//!                    │ a key                │ a key                         │
//!                    ▼                      ▼                               │
//!                 AwaitMore ◀───────────────┘                               │
//!                    │ complete ── leads nowhere ──▶ Plays(invalid) ── over ┤
//!                    ▼                                                      │
//!                 Leads: the party is connected with somebody ── in vain ───┘── no try left ──▶ then
//! ```
//!
//! A service without a menu plays once, and what comes then comes at once; or it takes a message first, which is recorded
//! from the end of the prompt on:
//!
//! ```text
//!   joined ──▶ Plays(prompt) ── over, a key, the party speaks ──▶ Message ── silence, a key, too long ──▶ then
//! ```

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::operation::Whose;
use super::transfer::By;
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, Call, Scene, State};
use crate::words::{
    Address, Attendant, Audience, Collected, Digit, FIRST_ORDERED, MediaOp, Party, PlayControl, PlayEnd, PlayId,
    PlayNews, RecordNews, RecordOrder, RecordingId, Service, Soup, Then,
};

/// More than a service ever plays: prompts and what follows wrong keys.
const PLAYS: u32 = 2 * u8::MAX as u32 + 1;

/// A party that is served.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    /// Who is served.
    party: Party,
    /// By what.
    by: Arc<Attendant>,
    awaits: Awaits,
    keys: CompactString,
    /// How often the prompt has been played.
    tries: u8,
    /// The recording of the party's message, until it is complete.
    message: Option<RecordingId>,
    /// What was played last. Nothing else in the call ever goes by the same name: an event comes before every service.
    play: PlayId,
}

/// What is awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Awaits {
    /// The end of the prompt.
    Prompt(PlayId),
    /// The end of what is played when keys lead nowhere.
    Invalid(PlayId),
    /// The first key.
    Key,
    /// Another one.
    More,
    /// The end of the message.
    Message,
    /// Whoever the party is connected with.
    Answer {
        /// Nothing is left to try after that.
        last: bool,
    },
}

impl Call {
    /// Whoever has come to talk with a service is served.
    pub(crate) fn serve(&mut self, scene: &mut Scene<'_>) {
        for party in [Party::Caller, Party::Callee] {
            if let Some(Service::Attendant(by)) = self.service(party.other()) {
                let (keys, play) = (CompactString::default(), PlayId(self.seq.wrapping_mul(PLAYS)));
                let serving =
                    Serving { party, by: Arc::clone(by), awaits: Awaits::Key, keys, tries: 0, message: None, play };
                self.serving = Some(Box::new(serving));
                self.prompt(scene);
            }
        }
    }

    /// A service has lost its place.
    pub(crate) fn serve_no_more(&mut self, scene: &mut Scene<'_>) {
        self.clear_alarm(Alarm::Key);
        let Some(serving) = self.serving.take() else { return };
        self.hush(scene, &serving);
        self.message_done(scene, &serving);
    }

    /// Plays the prompt, unless that has been done often enough.
    fn prompt(&mut self, scene: &mut Scene<'_>) {
        let Some(serving) = &mut self.serving else { return };
        let most = serving.by.menu.as_ref().map_or(1, |menu| menu.tries.max(1));
        if serving.tries >= most {
            self.come_to_the_end(scene);
            return;
        }
        serving.tries += 1;
        serving.keys.clear();
        let mut soup = Arc::clone(&serving.by.play);
        if serving.by.record.is_some() && soup.interrupt {
            // The engine would end it with the beginning of a key, which would be told of while the message is recorded, and
            // could end that too.
            soup = Arc::new(Soup { interrupt: false, ..Soup::clone(&soup) });
        }
        self.play(scene, soup, Awaits::Prompt);
        self.take_message(scene);
    }

    /// Has what the party says after the prompt recorded, if that is what it is asked for.
    fn take_message(&mut self, scene: &mut Scene<'_>) {
        let (call, seq) = (self.id, self.seq);
        let Some(serving) = &mut self.serving else { return };
        let Some(message) = &serving.by.record else { return };
        // Commands have the names above; an event comes between one service and the next.
        let recording = RecordingId(1 + (seq % u32::from(FIRST_ORDERED.0 - 1)) as u16);
        let plan = message.plan(serving.play);
        serving.message = Some(recording);
        let party = serving.party;
        let order = RecordOrder::Begin(Box::new(plan));
        self.media(scene, MediaOp::Record { call, party, recording, order });
    }

    /// The message is as long as it will be.
    fn message_done(&self, scene: &mut Scene<'_>, serving: &Serving) {
        if let Some(recording) = serving.message {
            let (call, party, order) = (self.id, serving.party, RecordOrder::Finish);
            self.media(scene, MediaOp::Record { call, party, recording, order });
        }
    }

    /// How a recording goes.
    pub(crate) fn message_told(&mut self, scene: &mut Scene<'_>, recording: RecordingId, news: &RecordNews) {
        let Some(serving) = self.serving.as_mut().filter(|serving| serving.message == Some(recording)) else { return };
        if matches!(news, RecordNews::Finished(_)) {
            serving.message = None;
            if serving.awaits == Awaits::Message {
                self.come_to_the_end(scene);
            }
        }
    }

    /// Plays something to whoever is served.
    fn play(&mut self, scene: &mut Scene<'_>, soup: Arc<Soup>, awaits: fn(PlayId) -> Awaits) {
        let call = self.id;
        let Some(serving) = &mut self.serving else { return };
        let play = PlayId(serving.play.0.wrapping_add(1));
        serving.play = play;
        serving.awaits = awaits(play);
        let party = serving.party;
        self.media(scene, MediaOp::Play { call, party, play, soup, to: Audience::Party });
    }

    fn now_awaits(&mut self, awaits: Awaits) {
        if let Some(serving) = &mut self.serving {
            serving.awaits = awaits;
        }
    }

    /// What is being played ends.
    fn hush(&self, scene: &mut Scene<'_>, serving: &Serving) {
        if let Awaits::Prompt(play) | Awaits::Invalid(play) = serving.awaits {
            let (call, party) = (self.id, serving.party);
            self.media(scene, MediaOp::ControlPlay { call, party, play, control: PlayControl::Stop });
        }
    }

    /// What has become of something that is played.
    pub(crate) fn played(&mut self, scene: &mut Scene<'_>, play: PlayId, news: &PlayNews) {
        let PlayNews::Ended(end) = news else { return };
        let Some(serving) = &self.serving else { return };
        match serving.awaits {
            // What cannot be recorded was over before.
            Awaits::Prompt(prompt) if prompt == play && serving.message.is_some() => self.now_awaits(Awaits::Message),
            Awaits::Prompt(prompt) if prompt == play => match &serving.by.menu {
                None => self.come_to_the_end(scene),
                // Nobody can answer what nobody has heard, and it would not be heard the next time either.
                Some(_) if *end == PlayEnd::Failed => self.come_to_the_end(scene),
                Some(menu) => {
                    let first = menu.collect.first;
                    self.now_awaits(Awaits::Key);
                    self.set_alarm(scene.now + first, Alarm::Key);
                }
            },
            Awaits::Invalid(invalid) if invalid == play => self.prompt(scene),
            Awaits::Prompt(_)
            | Awaits::Invalid(_)
            | Awaits::Key
            | Awaits::More
            | Awaits::Message
            | Awaits::Answer { .. } => {}
        }
    }

    /// Whether the keys of a party are for a service.
    pub(crate) fn is_served(&self, party: Party) -> bool {
        self.serving.as_ref().is_some_and(|serving| serving.party == party)
    }

    /// A party that is served has pressed a key.
    pub(crate) fn key_pressed(&mut self, scene: &mut Scene<'_>, digit: Digit) {
        let Some(serving) = self.serving.as_deref() else { return };
        let Some(menu) = &serving.by.menu else {
            let terminates = serving.by.record.as_ref().is_some_and(|message| message.terminator == Some(digit.key));
            if serving.awaits == Awaits::Message && terminates {
                self.message_done(scene, serving);
            } else if serving.by.play.interrupt || terminates {
                self.hush(scene, serving);
            }
            return;
        };
        match serving.awaits {
            Awaits::Answer { .. } => return,
            Awaits::Prompt(_) | Awaits::Invalid(_) => self.hush(scene, serving),
            Awaits::Key | Awaits::More | Awaits::Message => {}
        }
        let mut keys = serving.keys.clone();
        let collected = menu.collect.take(&mut keys, digit.key);
        let complete = collected == Collected::Complete || menu.is_settled(&keys);
        let next = menu.collect.next;
        if let Some(serving) = &mut self.serving {
            serving.keys = keys;
            serving.awaits = Awaits::More;
        }
        if complete {
            self.keys_complete(scene);
        } else {
            self.set_alarm(scene.now + next, Alarm::Key);
        }
    }

    /// No key has come in time.
    pub(crate) fn no_key(&mut self, scene: &mut Scene<'_>) {
        match self.serving.as_ref().map(|serving| serving.awaits) {
            Some(Awaits::Key) => self.prompt(scene),
            Some(Awaits::More) => self.keys_complete(scene),
            Some(Awaits::Prompt(_) | Awaits::Invalid(_) | Awaits::Message | Awaits::Answer { .. }) | None => {}
        }
    }

    fn keys_complete(&mut self, scene: &mut Scene<'_>) {
        self.clear_alarm(Alarm::Key);
        let Some(serving) = &self.serving else { return };
        let Some(menu) = &serving.by.menu else { return };
        match (menu.choice(&serving.keys), &menu.invalid) {
            (Some(to), _) => self.lead_to(scene, to, false),
            (None, Some(soup)) => {
                let soup = Arc::clone(soup);
                self.play(scene, soup, Awaits::Invalid);
            }
            (None, None) => self.prompt(scene),
        }
    }

    /// All has been played, and no key has led on.
    fn come_to_the_end(&mut self, scene: &mut Scene<'_>) {
        match self.serving.as_ref().map(|serving| serving.by.then.clone()) {
            Some(Then::To(to)) => self.lead_to(scene, to, true),
            Some(Then::Hangup) | None => self.end(scene, Cause::hangup()),
        }
    }

    /// Connects the party with somebody; whose call that is, it has ordered itself.
    fn lead_to(&mut self, scene: &mut Scene<'_>, to: Address, last: bool) {
        let Some(party) = self.serving.as_ref().map(|serving| serving.party) else { return };
        self.now_awaits(Awaits::Answer { last });
        if let Err(refused) = self.may_transfer(party).and_then(|()| self.may_bridge()) {
            let cause = Cause::new(Kind::Pending, Fault::Server).with_text(refused.to_string());
            self.led_nowhere(scene, cause);
            return;
        }
        let by = By { payer: self.end_of(party), ..By::default() };
        self.transfer(scene, Whose::Nobody, party, (to, by));
    }

    /// Nobody has taken the call that a service led to.
    pub(crate) fn led_nowhere(&mut self, scene: &mut Scene<'_>, cause: Cause) {
        let Some(Awaits::Answer { last }) = self.serving.as_ref().map(|serving| serving.awaits) else { return };
        if self.state != State::Talking {
            return;
        }
        if last { self.end(scene, cause) } else { self.prompt(scene) }
    }
}
