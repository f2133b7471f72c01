//! What commands do to the audio of a party: sounds, recordings, keys.
//!
//! ```text
//!   Play     ──▶ MediaOp::Play ── PlayNews::Ended ──▶ outcome
//!   Collect  ──▶ its prompt, if any ── over, or a key ──▶ keys ── complete, or time is out ──▶ Collected, outcome
//!   Record   ──▶ MediaOp::Record ── Begun ──▶ Recording, outcome ── Finished ──▶ the outcome of RecordControl::Finish
//!      └ After ──▶ MediaOp::Play and MediaOp::Record ── over, a key, the party speaks ──▶ Begun …
//! ```
//!
//! None of it waits for what else is done to the call, and the end of the call is the end of all of it. For each party
//! there is one thing that is played and one wait for keys at a time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, Call, Scene, State};
use crate::words::{
    AfterPlay, Audience, AudioOrder, BargeIn, Collect, Collected, Digit, Event, FIRST_ORDERED, Failure, KEY_TIME,
    MAX_KEYS, MAX_RECORDINGS, MediaOp, OrderNews, Outcome, Part, Party, PlayControl, PlayEnd, PlayId, PlayNews,
    RecordControl, RecordNews, RecordOrder, RecordPlan, RecordingId, Refused, Soup, Stage, Ticket,
};

/// What commands have done to the audio of the parties, and who waits for its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// At most one for each party and audience, but for what is about to be told as replaced.
    playing: SmallVec<[Playing; 1]>,
    /// The same.
    collecting: SmallVec<[Collecting; 1]>,
    recordings: SmallVec<[Recording; 1]>,
    plays: u32,
    recorded: u16,
}

/// Something that is played to a party.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Playing {
    party: Party,
    play: PlayId,
    to: Audience,
    /// The command; none for the prompt of [`Collecting`].
    ticket: Option<Ticket>,
    /// The first key that the party presses ends it.
    #[serde(default)]
    interrupt: bool,
    /// One has that its carrier told of, and the end of it has not come yet.
    #[serde(default)]
    keyed: bool,
    /// A recording begins where it ends, and then its command has its outcome.
    #[serde(default)]
    records: bool,
}

/// A wait for the keys of a party.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Collecting {
    party: Party,
    ticket: Ticket,
    collect: Box<Collect>,
    keys: CompactString,
}

/// A recording that has been ordered and is not over.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recording {
    party: Party,
    recording: RecordingId,
    /// The command that waits for its beginning.
    begins: Option<Ticket>,
    /// Those that wait for its end.
    ends: SmallVec<[Ticket; 1]>,
}

impl Call {
    /// Whether a command may do something to the audio of a party now.
    pub(crate) fn may_order(&self, party: Party, order: &AudioOrder) -> Result<(), Refused> {
        match self.state {
            State::AwaitEnds => return Err(Refused::Ending),
            State::Talking => {}
            State::AwaitLocation(_) | State::AwaitAnswer(_) | State::AwaitStep | State::AwaitDescription => {
                return Err(Refused::NotAnswered);
            }
        }
        if !self.media_open {
            return Err(Refused::Unsupported("the audio of the call does not run through the switch".into()));
        }
        if self.end_of(party).is_none() {
            return Err(Refused::NotAnswered);
        }
        if self.service(party).is_some() {
            return Err(Refused::Impossible("the party is a service of the switch".into()));
        }
        match order {
            AudioOrder::Play { to: Audience::Room, .. } if self.room_of(party).is_none() => {
                Err(Refused::Impossible("the party is in no conference".into()))
            }
            // Beside all that the party alone hears.
            AudioOrder::Play { soup, to: Audience::Room, .. } => is_something(soup),
            AudioOrder::Play { soup, to: Audience::Party, .. } => self.may_play(party, Some(soup)),
            AudioOrder::Collect { prompt, collect } => self.may_collect(party, collect, prompt.as_deref()),
            AudioOrder::ControlPlay(_) if self.played_by_command(party).is_none() => {
                Err(Refused::Impossible("nothing is played to the party by command".into()))
            }
            AudioOrder::ControlPlay(_) => Ok(()),
            AudioOrder::SendKeys(keys) => may_send(keys),
            AudioOrder::Record(_) => self.may_record(),
            AudioOrder::RecordAfter { prompt, .. } => {
                self.may_record()?;
                self.may_play(party, Some(prompt))
            }
            AudioOrder::ControlRecording(recording, _) => match self.recording(party, *recording) {
                Some(_) => Ok(()),
                None => Err(Refused::Impossible("the party has no such recording".into())),
            },
            AudioOrder::TakePart(_) if self.room_of(party).is_none() => {
                Err(Refused::Impossible("the party is in no conference".into()))
            }
            AudioOrder::TakePart(_) => Ok(()),
        }
    }

    fn may_play(&self, party: Party, soup: Option<&Soup>) -> Result<(), Refused> {
        if self.is_served(party) {
            return Err(Refused::Pending("a service plays to the party".into()));
        }
        if self.collecting(party).is_some() {
            return Err(Refused::Pending("keys of the party are being collected".into()));
        }
        soup.map_or(Ok(()), is_something)
    }

    fn may_record(&self) -> Result<(), Refused> {
        match self.orders.as_ref().is_some_and(|orders| orders.is_full()) {
            true => Err(Refused::Impossible(format_compact!("{MAX_RECORDINGS} recordings of the call are running"))),
            false => Ok(()),
        }
    }

    fn may_collect(&self, party: Party, collect: &Collect, prompt: Option<&Soup>) -> Result<(), Refused> {
        if collect.most == 0 || usize::from(collect.most) > MAX_KEYS {
            return Err(Refused::Impossible(format_compact!("1 to {MAX_KEYS} keys can be collected")));
        }
        self.may_play(party, prompt)
    }

    /// Does what a command asks for; [`Call::may_order`] has been asked.
    pub(crate) fn order(&mut self, scene: &mut Scene<'_>, ticket: Ticket, party: Party, order: AudioOrder) {
        match order {
            AudioOrder::Play { soup, update, to } => self.order_play(scene, ticket, party, (soup, update, to)),
            AudioOrder::ControlPlay(control) => {
                if let Some(play) = self.played_by_command(party) {
                    self.media(scene, MediaOp::ControlPlay { call: self.id, party, play, control });
                }
                done(scene, ticket);
            }
            AudioOrder::Collect { collect, prompt } => self.order_collect(scene, ticket, party, (collect, prompt)),
            AudioOrder::SendKeys(keys) => {
                for key in keys.chars() {
                    let digit = Digit { key: key.to_ascii_uppercase(), time: KEY_TIME };
                    self.media(scene, MediaOp::Digit { call: self.id, party, digit });
                }
                done(scene, ticket);
            }
            AudioOrder::Record(plan) => self.order_recording(scene, ticket, party, plan),
            AudioOrder::RecordAfter { prompt, barge_in, plan } => {
                self.order_recording_after(scene, ticket, party, (prompt, barge_in, plan));
            }
            AudioOrder::ControlRecording(recording, control) => {
                self.control_recording(scene, ticket, party, (recording, control));
            }
            AudioOrder::TakePart(part) => {
                self.take_part(scene, party, part);
                done(scene, ticket);
            }
        }
    }

    fn orders(&mut self) -> &mut Orders {
        self.orders.get_or_insert_default()
    }

    // Sounds.

    fn order_play(
        &mut self,
        scene: &mut Scene<'_>,
        ticket: Ticket,
        party: Party,
        (soup, update, to): (Arc<Soup>, bool, Audience),
    ) {
        // The last of it, as played_by_command has it: one before that is about to be told as replaced.
        let is_it = |playing: &&mut Playing| playing.party == party && playing.to == to;
        let running = self.orders().playing.iter_mut().rev().find(is_it);
        let Some(running) = running.filter(|playing| update && !playing.records) else {
            self.play_to(scene, (party, to), soup, Some(ticket));
            return;
        };
        // It goes on under the same name, and its end is told once.
        let (play, before) = (running.play, running.ticket.replace(ticket));
        (running.interrupt, running.keyed) = (soup.interrupt, false);
        if let Some(before) = before {
            done(scene, before);
        }
        self.media(scene, MediaOp::Play { call: self.id, party, play, soup, to });
    }

    fn play_to(
        &mut self,
        scene: &mut Scene<'_>,
        (party, to): (Party, Audience),
        soup: Arc<Soup>,
        ticket: Option<Ticket>,
    ) {
        let orders = self.orders();
        orders.plays += 1;
        // From above: services count from below.
        let play = PlayId(u32::MAX - orders.plays);
        let interrupt = soup.interrupt;
        orders.playing.push(Playing { party, play, to, ticket, interrupt, keyed: false, records: false });
        self.media(scene, MediaOp::Play { call: self.id, party, play, soup, to });
    }

    /// What a command plays to a party: the last of it, since that before it is about to be told as replaced.
    fn played_by_command(&self, party: Party) -> Option<PlayId> {
        let playing = self.orders.as_ref()?.playing.iter().rev();
        playing.filter(|playing| playing.party == party && playing.ticket.is_some()).map(|playing| playing.play).next()
    }

    /// A party has pressed a key that was not in its audio: the media engine knows nothing of it, so what may be
    /// interrupted is ended here. One that was in it has ended all but the prompt of a recording there.
    pub(crate) fn interrupt_play(&mut self, scene: &mut Scene<'_>, party: Party, was_in_audio: bool) {
        let call = self.id;
        let Some(orders) = self.orders.as_mut() else { return };
        let is_it = |one: &&mut Playing| one.party == party && one.to == Audience::Party && one.ticket.is_some();
        let ends = |one: &&mut Playing| one.interrupt && (one.records || !was_in_audio);
        let Some(playing) = orders.playing.iter_mut().rev().find(is_it).filter(ends) else { return };
        playing.keyed = true;
        let play = playing.play;
        self.media(scene, MediaOp::ControlPlay { call, party, play, control: PlayControl::Stop });
    }

    /// What has become of something that is played.
    pub(crate) fn ordered_played(
        &mut self,
        scene: &mut Scene<'_>,
        party: Party,
        play: PlayId,
        (news, position): (PlayNews, Duration),
    ) {
        let Some(orders) = self.orders.as_mut().filter(|_| self.state == State::Talking) else { return };
        let Some(place) = orders.playing.iter().position(|one| one.play == play && one.party == party) else { return };
        let (ticket, keyed, records) =
            orders.playing.get(place).map_or((None, false, false), |one| (one.ticket, one.keyed, one.records));
        // It was we who stopped it, since a key was pressed.
        let is_by_key = keyed && news == PlayNews::Ended(PlayEnd::Stopped);
        let news = if is_by_key { PlayNews::Ended(PlayEnd::TelephoneEvent) } else { news };
        let over = match &news {
            PlayNews::Ended(end) => Some(*end),
            PlayNews::Started | PlayNews::Missing { .. } => None,
        };
        if over.is_some() {
            orders.playing.remove(place);
        }
        let owner = ticket.or_else(|| self.collecting(party).map(|collecting| collecting.ticket));
        self.event_of(scene, owner, Event::Audio { party, news: OrderNews::Play { news, position } });
        // How the command of a recording with a prompt has ended, the recording says.
        let Some(end) = over.filter(|_| !records) else { return };
        let result = match end {
            PlayEnd::Completed
            | PlayEnd::Replaced
            | PlayEnd::TelephoneEvent
            | PlayEnd::Interrupted
            | PlayEnd::Stopped => Ok(()),
            PlayEnd::Closed => Err(failure(Kind::Cancelled, "the party has left")),
            PlayEnd::Failed => Err(failure(Kind::NotFound, "nothing of it could be played")),
        };
        match ticket {
            Some(ticket) => scene.out.outcome(Outcome { ticket, result }),
            None => self.prompt_over(scene, party, result),
        }
    }

    // Keys.

    fn order_collect(
        &mut self,
        scene: &mut Scene<'_>,
        ticket: Ticket,
        party: Party,
        (collect, prompt): (Box<Collect>, Option<Arc<Soup>>),
    ) {
        let first = collect.first;
        self.orders().collecting.push(Collecting { party, ticket, collect, keys: CompactString::default() });
        match prompt {
            Some(soup) => self.play_to(scene, (party, Audience::Party), soup, None),
            None => self.set_alarm(scene.now + first, Alarm::Collect(party)),
        }
    }

    fn collecting(&self, party: Party) -> Option<&Collecting> {
        self.orders.as_ref()?.collecting.iter().find(|collecting| collecting.party == party)
    }

    fn collected(&mut self, party: Party) -> Option<Collecting> {
        let orders = self.orders.as_mut()?;
        let place = orders.collecting.iter().position(|collecting| collecting.party == party)?;
        self.clear_alarm(Alarm::Collect(party));
        self.orders.as_mut().map(|orders| orders.collecting.remove(place))
    }

    /// The prompt of a party is over: now its first key is waited for.
    fn prompt_over(&mut self, scene: &mut Scene<'_>, party: Party, result: Result<(), Failure>) {
        let Some(collecting) = self.collecting(party) else { return };
        // A key has ended it already, and the time for the next one runs.
        let waits = !collecting.keys.is_empty() || self.alarms.iter().any(|(_, alarm)| *alarm == Alarm::Collect(party));
        let (first, ticket) = (collecting.collect.first, collecting.ticket);
        match result {
            Ok(()) if waits => {}
            Ok(()) => self.set_alarm(scene.now + first, Alarm::Collect(party)),
            Err(failure) => {
                self.collected(party);
                scene.out.outcome(Outcome { ticket, result: Err(failure) });
            }
        }
    }

    /// Takes a key if a command waits for it.
    pub(crate) fn collect_key(&mut self, scene: &mut Scene<'_>, party: Party, digit: Digit) -> bool {
        let call = self.id;
        let Some(orders) = self.orders.as_mut() else { return false };
        let Some(collecting) = orders.collecting.iter_mut().find(|one| one.party == party) else { return false };
        let (taken, next) = (collecting.collect.take(&mut collecting.keys, digit.key), collecting.collect.next);
        let prompt = orders.playing.iter().find(|playing| playing.party == party && playing.ticket.is_none());
        if let Some(play) = prompt.map(|playing| playing.play) {
            self.media(scene, MediaOp::ControlPlay { call, party, play, control: PlayControl::Stop });
        }
        match taken {
            Collected::Complete => self.keys_collected(scene, party, true),
            Collected::More => self.set_alarm(scene.now + next, Alarm::Collect(party)),
        }
        true
    }

    /// No key has come in time.
    pub(crate) fn collect_timed_out(&mut self, scene: &mut Scene<'_>, party: Party) {
        self.keys_collected(scene, party, false);
    }

    fn keys_collected(&mut self, scene: &mut Scene<'_>, party: Party, complete: bool) {
        let Some(Collecting { ticket, keys, .. }) = self.collected(party) else { return };
        let news = OrderNews::Collected { keys, complete };
        self.event_of(scene, Some(ticket), Event::Audio { party, news });
        done(scene, ticket);
    }

    // Recordings.

    fn order_recording(&mut self, scene: &mut Scene<'_>, ticket: Ticket, party: Party, plan: Box<RecordPlan>) {
        let orders = self.orders();
        let recording = RecordingId(FIRST_ORDERED.0 + orders.recorded);
        orders.recorded += 1;
        orders.recordings.push(Recording { party, recording, begins: Some(ticket), ends: SmallVec::new() });
        let order = RecordOrder::Begin(plan);
        self.media(scene, MediaOp::Record { call: self.id, party, recording, order });
    }

    fn order_recording_after(
        &mut self,
        scene: &mut Scene<'_>,
        ticket: Ticket,
        party: Party,
        (prompt, barge_in, mut plan): (Arc<Soup>, Option<BargeIn>, Box<RecordPlan>),
    ) {
        // The engine would end it with the beginning of a key, which would be told of while the recording runs, and could
        // be taken for one that ends it.
        let soup = Arc::new(Soup { interrupt: false, ..Soup::clone(&prompt) });
        self.play_to(scene, (party, Audience::Party), soup, Some(ticket));
        if let Some(playing) = self.orders().playing.last_mut() {
            (playing.interrupt, playing.records) = (prompt.interrupt, true);
            plan.after = Some(AfterPlay::of_prompt(playing.play, barge_in));
        }
        self.order_recording(scene, ticket, party, plan);
    }

    fn recording(&self, party: Party, recording: RecordingId) -> Option<&Recording> {
        let recordings = &self.orders.as_ref()?.recordings;
        recordings.iter().find(|one| one.recording == recording && one.party == party)
    }

    fn control_recording(
        &mut self,
        scene: &mut Scene<'_>,
        ticket: Ticket,
        party: Party,
        (recording, control): (RecordingId, RecordControl),
    ) {
        let order = match control {
            RecordControl::Pause => RecordOrder::Pause,
            RecordControl::Resume => RecordOrder::Resume,
            RecordControl::Finish => RecordOrder::Finish,
        };
        let running = self.orders().recordings.iter_mut().find(|one| one.recording == recording);
        match running.filter(|_| control == RecordControl::Finish) {
            Some(running) => running.ends.push(ticket),
            None => done(scene, ticket),
        }
        self.media(scene, MediaOp::Record { call: self.id, party, recording, order });
    }

    /// How a recording goes.
    pub(crate) fn ordered_recorded(&mut self, scene: &mut Scene<'_>, recording: RecordingId, news: &RecordNews) {
        let Some(orders) = self.orders.as_mut().filter(|_| self.state == State::Talking) else { return };
        let Some(place) = orders.recordings.iter().position(|one| one.recording == recording) else { return };
        match news {
            RecordNews::Begun => {
                let Some(begun) = orders.recordings.get_mut(place) else { return };
                let (party, ticket) = (begun.party, begun.begins.take());
                self.event_of(scene, ticket, Event::Audio { party, news: OrderNews::Recording(recording) });
                ticket.into_iter().for_each(|ticket| done(scene, ticket));
            }
            RecordNews::Loud => {}
            RecordNews::Finished(recorded) => {
                let over = orders.recordings.remove(place);
                if let Some(ticket) = over.begins {
                    let prompt = orders.playing.iter().find(|one| one.records && one.ticket == Some(ticket));
                    if let Some((party, play)) = prompt.map(|prompt| (prompt.party, prompt.play)) {
                        let control = PlayControl::Stop;
                        self.media(scene, MediaOp::ControlPlay { call: self.id, party, play, control });
                    }
                    let why = format!("it was over before it began: {}", recorded.reason.name());
                    scene.out.outcome(Outcome { ticket, result: Err(failure(Kind::Other, why)) });
                }
                over.ends.into_iter().for_each(|ticket| done(scene, ticket));
            }
        }
    }

    // The end.

    /// The call ends, and with it all that commands have done to its audio.
    pub(crate) fn abandon_orders(&mut self, scene: &mut Scene<'_>, cause: &Cause) {
        let Some(orders) = self.orders.take() else { return };
        let Orders { playing, collecting, recordings, .. } = *orders;
        let cause = Cause::new(Kind::Cancelled, cause.fault).with_text("the call has ended");
        let tickets = playing.into_iter().filter(|playing| !playing.records).filter_map(|playing| playing.ticket);
        let tickets = tickets.chain(collecting.into_iter().map(|collecting| collecting.ticket));
        let begun = recordings.into_iter().flat_map(|one| one.begins.into_iter().chain(one.ends));
        for ticket in tickets.chain(begun) {
            let result = Err(Failure::new(Stage::Audio, cause.clone()));
            scene.out.outcome(Outcome { ticket, result });
        }
    }

    fn take_part(&mut self, scene: &mut Scene<'_>, party: Party, part: Part) {
        if let Some(room) = self.room_of(party) {
            self.media(scene, MediaOp::Join { call: self.id, party, room, part });
        }
    }
}

impl Orders {
    /// No further recording may begin; the names of those before are not used again.
    fn is_full(&self) -> bool {
        self.recordings.len() >= MAX_RECORDINGS || self.recorded >= u16::MAX - FIRST_ORDERED.0
    }
}

fn is_something(soup: &Soup) -> Result<(), Refused> {
    match soup.sounds.is_empty() {
        true => Err(Refused::Impossible("there is nothing to play".into())),
        false => Ok(()),
    }
}

fn may_send(keys: &str) -> Result<(), Refused> {
    let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d');
    if let Some(strange) = keys.chars().find(|key| !is_key(*key)) {
        return Err(Refused::Impossible(format_compact!("{strange:?} is no key of a telephone")));
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(Refused::Impossible(format_compact!("1 to {MAX_KEYS} keys can be sent at once")));
    }
    Ok(())
}

fn done(scene: &mut Scene<'_>, ticket: Ticket) {
    scene.out.outcome(Outcome { ticket, result: Ok(()) });
}

fn failure(kind: Kind, why: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Stage::Audio, Cause::new(kind, Fault::Server).with_text(why))
}
