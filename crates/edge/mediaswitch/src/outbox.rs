//! What controllers are told, in order.
//!
//! ```text
//!   lane (dialog, channel, user): note ─ note ─ note            at most MAX_LANE; MAX_NOTES in all
//!                                  │ one at a time
//!          ┌───────────────────────┴─────────────┐
//!          ▼                                     │ RETRY_FIRST, twice as long each time, at most RETRY_MOST
//!       under way ── 2xx ──▶ taken; the next     │
//!          ├──────── 3xx, 4xx ──▶ refused; the next
//!          └──────── 408, 429, 5xx, no answer ───┘   until the note is PATIENCE old: given up; the next
//! ```
//!
//! A lane that is full loses its oldest note that is not under way: whatever comes later says more of the same. The
//! numbers (`seq`) show the gap.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{CallId, Time};
use serde_json::json;

/// Most notes of one dialog or user that wait.
pub const MAX_LANE: usize = 32;

/// Most notes that wait in all. Beyond, new ones are lost.
pub const MAX_NOTES: usize = 65_536;

/// How long a note that nobody takes is offered.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How long the second attempt waits after the first.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);

/// How long any attempt waits after the one before.
pub const RETRY_MOST: Duration = Duration::from_secs(30);

/// Names a note that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NoteId(pub u64);

/// One HTTP request to a controller. To be answered by [`Dialogs::noted`](crate::Dialogs::noted).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Names it.
    pub id: NoteId,
    /// `PUT` or `DELETE`.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// A JSON document, or nothing.
    pub body: String,
}

/// Whose notes go one after the other.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Lane {
    /// A dialog's.
    Dialog(CallId),
    /// A media channel's.
    Channel(CallId),
    /// A user's, by its address of record.
    User(CompactString),
}

/// What is to be told.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub method: &'static str,
    pub url: String,
    pub body: String,
    /// How long ago each of these is when it is sent, in seconds, becomes the member `ages` of the body: a note may have waited, and
    /// clocks of hosts differ.
    pub ages: Vec<Time>,
    /// Nothing is offered a second time that asks whether there is a controller at all.
    pub once: bool,
}

/// What has become of a note.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Taken,
    /// It comes again.
    Waits,
    Lost,
    /// There was but one chance.
    Refused,
}

impl Letter {
    fn body_at(&self, now: Time) -> String {
        let Some(members) = self.body.strip_suffix('}').filter(|_| !self.ages.is_empty()) else {
            return self.body.clone();
        };
        let ages: Vec<f64> = self.ages.iter().map(|at| now.saturating_sub(*at).as_millis() as f64 / 1_000.0).collect();
        format!("{members},\"ages\":{}}}", json!(ages))
    }
}

struct Queued {
    letter: Letter,
    since: Time,
    attempts: u32,
}

#[derive(Clone, Copy)]
enum State {
    Ready,
    UnderWay,
    Until(Time),
}

struct Queue {
    letters: VecDeque<Queued>,
    state: State,
}

/// Notes that wait or are under way.
#[derive(Default)]
pub(crate) struct Outbox {
    lanes: AHashMap<Lane, Queue>,
    under_way: AHashMap<NoteId, Lane>,
    due: BTreeSet<(Time, Lane)>,
    ready: VecDeque<Lane>,
    waiting: usize,
    next: u64,
    lost: u64,
    /// As it was when anything happened last.
    now: Time,
}

impl Outbox {
    /// Adds a note behind those of its lane.
    pub fn push(&mut self, now: Time, lane: &Lane, letter: Letter) {
        self.now = now;
        if self.waiting >= MAX_NOTES {
            self.lost += 1;
            return;
        }
        let new = || Queue { letters: VecDeque::new(), state: State::Ready };
        let queue = self.lanes.entry(lane.clone()).or_insert_with(new);
        // What a user is now is all that matters.
        let most = if matches!(lane, Lane::User(_)) { 2 } else { MAX_LANE };
        if queue.letters.len() >= most {
            let first = usize::from(matches!(queue.state, State::UnderWay));
            queue.letters.remove(first);
            self.waiting -= 1;
            self.lost += u64::from(!matches!(lane, Lane::User(_)));
        }
        queue.letters.push_back(Queued { letter, since: now, attempts: 0 });
        self.waiting += 1;
        if matches!(queue.state, State::Ready) {
            self.ready.push_back(lane.clone());
        }
    }

    /// The next request to make.
    pub fn poll(&mut self) -> Option<Note> {
        while let Some(lane) = self.ready.pop_front() {
            let Some(queue) = self.lanes.get_mut(&lane) else { continue };
            let (State::Ready, Some(first)) = (queue.state, queue.letters.front_mut()) else { continue };
            first.attempts += 1;
            let id = NoteId(self.next);
            self.next += 1;
            queue.state = State::UnderWay;
            let Letter { method, url, .. } = &first.letter;
            let note = Note { id, method, url: url.clone(), body: first.letter.body_at(self.now) };
            self.under_way.insert(id, lane);
            return Some(note);
        }
        None
    }

    /// What came of a request: a status, or nothing. `None` for one that nobody waits for any more.
    pub fn answered(&mut self, now: Time, id: NoteId, status: Option<u16>) -> Option<(Lane, Fate)> {
        self.now = now;
        let lane = self.under_way.remove(&id)?;
        let queue = self.lanes.get_mut(&lane)?;
        let first = queue.letters.front()?;
        let fate = match status {
            Some(200..=299) => Fate::Taken,
            Some(408 | 429 | 500..) | None if !first.letter.once && now < first.since + PATIENCE => Fate::Waits,
            Some(_) | None if first.letter.once => Fate::Refused,
            Some(_) | None => Fate::Lost,
        };
        if fate == Fate::Waits {
            let doubled = RETRY_FIRST.saturating_mul(1 << (first.attempts - 1).min(16));
            let at = now + doubled.min(RETRY_MOST);
            queue.state = State::Until(at);
            self.due.insert((at, lane.clone()));
        } else {
            self.lost += u64::from(fate != Fate::Taken);
            self.waiting -= 1;
            queue.letters.pop_front();
            queue.state = State::Ready;
            match queue.letters.is_empty() {
                true => drop(self.lanes.remove(&lane)),
                false => self.ready.push_back(lane.clone()),
            }
        }
        Some((lane, fate))
    }

    /// Whether nothing is left of a lane.
    pub fn is_empty(&self, lane: &Lane) -> bool {
        !self.lanes.contains_key(lane)
    }

    /// Nobody is to hear of this any more.
    pub fn forget(&mut self, lane: &Lane) {
        if let Some(queue) = self.lanes.remove(lane) {
            self.waiting -= queue.letters.len();
            if let State::Until(at) = queue.state {
                self.due.remove(&(at, lane.clone()));
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        while let Some((at, lane)) = self.due.pop_first() {
            if at > now {
                self.due.insert((at, lane));
                break;
            }
            if let Some(queue) = self.lanes.get_mut(&lane) {
                queue.state = State::Ready;
                self.ready.push_back(lane);
            }
        }
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Notes that wait or are under way, and those that nobody has taken since the start.
    pub const fn counts(&self) -> (usize, u64) {
        (self.waiting, self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str) -> Letter {
        Letter { method: "PUT", url: "http://c/".to_owned(), body: body.to_owned(), ages: Vec::new(), once: false }
    }

    fn lane(number: u64) -> Lane {
        Lane::Dialog(CallId(number))
    }

    fn sent(outbox: &mut Outbox) -> Vec<(NoteId, String)> {
        std::iter::from_fn(|| outbox.poll()).map(|note| (note.id, note.body)).collect()
    }

    const NOW: Time = Time::from_secs(1_000);

    #[test]
    fn notes_of_a_dialog_go_one_after_the_other_and_others_beside_them() {
        let mut outbox = Outbox::default();
        for (number, body) in [(1, "a"), (1, "b"), (2, "c")] {
            outbox.push(NOW, &lane(number), letter(body));
        }
        let first = sent(&mut outbox);
        assert_eq!(first.iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(outbox.answered(NOW, first[0].0, Some(200)), Some((lane(1), Fate::Taken)));
        assert_eq!(sent(&mut outbox)[0].1, "b");
        assert_eq!(outbox.answered(NOW, first[0].0, Some(200)), None, "it was answered");
        outbox.answered(NOW, first[1].0, Some(204));
        assert!(outbox.is_empty(&lane(2)) && !outbox.is_empty(&lane(1)));
    }

    #[test]
    fn ages_are_those_of_when_it_is_sent_and_not_of_when_it_was_written() {
        let (mut outbox, second) = (Outbox::default(), Time::from_secs(1));
        let ages = vec![NOW - 12 * second, NOW - second / 4];
        outbox.push(NOW, &lane(1), Letter { ages, ..letter(r#"{"a":1}"#) });
        let first = sent(&mut outbox).remove(0);
        assert_eq!(first.1, r#"{"a":1,"ages":[12.0,0.25]}"#);
        outbox.answered(NOW + second, first.0, None);
        outbox.handle_timeout(NOW + 3 * second);
        assert_eq!(sent(&mut outbox)[0].1, r#"{"a":1,"ages":[15.0,3.25]}"#);
    }

    #[test]
    fn a_silent_controller_is_asked_again_ever_more_seldom_until_patience_ends() {
        let mut outbox = Outbox::default();
        outbox.push(NOW, &lane(1), letter("a"));
        let (mut now, mut waits) = (NOW, Vec::new());
        loop {
            let (id, _) = sent(&mut outbox).pop().unwrap();
            let (_, fate) = outbox.answered(now, id, None).unwrap();
            if fate == Fate::Lost {
                break;
            }
            let at = outbox.poll_timeout().unwrap();
            waits.push((at - now).as_secs());
            now = at;
            outbox.handle_timeout(now);
        }
        assert_eq!(waits[..6], [1, 2, 4, 8, 16, 30]);
        assert!(now >= NOW + PATIENCE && now < NOW + PATIENCE + RETRY_MOST);
        assert_eq!((outbox.counts(), outbox.poll_timeout()), ((0, 1), None));
    }

    #[test]
    fn who_refuses_is_not_asked_again() {
        for (status, fate) in [(404, Fate::Lost), (302, Fate::Lost), (429, Fate::Waits), (503, Fate::Waits)] {
            let mut outbox = Outbox::default();
            outbox.push(NOW, &lane(1), letter("a"));
            let (id, _) = sent(&mut outbox).pop().unwrap();
            assert_eq!(outbox.answered(NOW, id, Some(status)), Some((lane(1), fate)), "{status}");
        }
        let mut outbox = Outbox::default();
        outbox.push(NOW, &lane(1), Letter { once: true, ..letter("a") });
        let (id, _) = sent(&mut outbox).pop().unwrap();
        assert_eq!(outbox.answered(NOW, id, None), Some((lane(1), Fate::Refused)));
    }

    #[test]
    fn a_full_lane_loses_its_oldest_note_that_is_not_under_way() {
        let mut outbox = Outbox::default();
        for number in 0..MAX_LANE + 2 {
            outbox.push(NOW, &lane(1), letter(&number.to_string()));
            if number == 0 {
                assert_eq!(sent(&mut outbox).len(), 1);
            }
        }
        assert_eq!(outbox.counts(), (MAX_LANE, 2));
        outbox.answered(NOW, NoteId(0), Some(200));
        assert_eq!(sent(&mut outbox)[0].1, "3");
        let user = Lane::User("u@d".into());
        for body in ["put", "again", "delete"] {
            outbox.push(NOW, &user, letter(body));
        }
        assert_eq!(sent(&mut outbox)[0].1, "again", "nobody needs to hear every refresh");
    }

    #[test]
    fn all_lanes_together_have_a_limit() {
        let mut outbox = Outbox::default();
        for number in 0..=MAX_NOTES as u64 {
            outbox.push(NOW, &lane(number), letter("a"));
        }
        assert_eq!(outbox.counts(), (MAX_NOTES, 1));
        outbox.forget(&lane(0));
        outbox.push(NOW, &lane(0), letter("b"));
        assert_eq!(outbox.counts(), (MAX_NOTES, 1));
    }
}
