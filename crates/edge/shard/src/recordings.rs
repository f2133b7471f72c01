//! Which calls are recorded, by rule, and what has become of it.
//!
//! ```text
//!   Event::Bridged ──▶ a rule says so ──▶ MediaOp::Record, both sides, from the answer to the end
//!   MediaReport::Recorded ──▶ Output::Recorded: the log, and the page of the call; one more message for a user
//! ```

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    Address, CallId, Event, MediaOp, Party, RecordEnd, RecordNews, RecordOrder, RecordPlan, Recorded, RecordingId,
    Time, Told,
};
use hookswitch_dialect::journal::record::date_time;

use crate::{Output, Shard};

/// The recording that a rule makes of a call.
pub const BY_RULE: RecordingId = RecordingId(0);

/// Whose calls are recorded from their answer to their end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordRule {
    /// Nobody's.
    #[default]
    Nobody,
    /// Everybody's.
    Everybody,
    /// Those that one of these makes, or that one of these was called in: `USER@DOMAIN`, or the name of a domain for
    /// all its users, in small letters; false takes a user out of its domain.
    These(BTreeMap<CompactString, bool>),
}

impl RecordRule {
    /// Whether the rule has this user recorded, in particular.
    fn names(&self, user: &str, domain: &str) -> bool {
        let Self::These(these) = self else { return false };
        let user = format_compact!("{user}@{domain}").to_lowercase();
        these.get(&*user).or_else(|| these.get(domain)).is_some_and(|recorded| *recorded)
    }
}

/// What has become of a recording.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordReport {
    /// Of which call.
    pub call: CallId,
    /// Which of its recordings.
    pub recording: RecordingId,
    /// What it is.
    pub news: RecordNews,
}

impl Shard {
    /// Begins the recording of a call whose parties have been joined, if a rule wants it.
    pub(crate) fn record_by_rule(&mut self, now: Time, told: &Told) {
        if !matches!(told.event, Event::Bridged) {
            return;
        }
        let Some(call) = self.board.call(told.call).filter(|call| self.is_recorded([&call.caller, &call.callee]))
        else {
            return;
        };
        let (call, anchored) = (call.id, call.anchored);
        let file = file_name(told.at, call);
        if !anchored {
            // Not in silence: whoever has to record calls wants to know of those that are not.
            let reason = RecordEnd::Failed("the audio of the call does not run through the switch".into());
            let news = RecordNews::Finished(Box::new(Recorded::nothing(&file, reason)));
            return self.recorded(told.at, call, BY_RULE, news);
        }
        self.records.records(call, BY_RULE, &file);
        self.rest.record_ordered(call, BY_RULE, None, &file);
        let order = RecordOrder::Begin(Box::new(RecordPlan::both_sides(file)));
        self.perform_media(now, MediaOp::Record { call, party: Party::Caller, recording: BY_RULE, order });
    }

    fn is_recorded(&self, parties: [&Address; 2]) -> bool {
        let rule = &self.record_rule;
        *rule == RecordRule::Everybody
            || parties.iter().any(|party| {
                let Some((user, domain)) = self.b2bua.user_of(party) else { return false };
                // Users who were pushed, or asked for, say it themselves.
                let own = self.b2bua.directory().record(domain, &user);
                own.unwrap_or_else(|| rule.names(&user, domain))
            })
    }

    /// Fills in what stands for something in the order of a recording.
    pub(crate) fn name_recording(&self, now: Time, call: CallId, plan: &mut RecordPlan) {
        let callee = self.board.call(call).and_then(|call| self.b2bua.user_of(&call.callee));
        let (user, domain) = callee.map_or((NOBODY.into(), NOBODY), |(user, domain)| (user.to_lowercase(), domain));
        let told =
            [("{user}", user.as_str()), ("{domain}", domain), ("{day}", &day(now)), ("{call}", &call.to_string())];
        plan.file = filled(&plan.file, told.map(|(place, text)| (place, file_part(text))));
        plan.mailbox =
            plan.mailbox.take().map(|text| filled(&text, told.map(|(place, text)| (place, CompactString::from(text)))));
    }

    /// Passes on what has become of a recording, and keeps it with the call.
    pub(crate) fn recorded(&mut self, now: Time, call: CallId, recording: RecordingId, news: RecordNews) {
        if let RecordNews::Finished(recorded) = &news {
            self.note_recorded(call, recorded);
            self.records.recorded(call, recording, recorded);
            if let Some(mailbox) = recorded.mailbox.as_deref().filter(|_| recorded.size > 0) {
                self.b2bua.message_left(now, mailbox);
            }
        }
        self.out.push_back(Output::Recorded(RecordReport { call, recording, news }));
    }
}

/// What stands in the name of a file for a user or domain that is none of ours.
const NOBODY: &str = "nobody";

/// Longest part of the name of a file that is made of what somebody dialled, in bytes.
const MAX_FILE_PART: usize = 100;

/// A folder for each day, in UTC, and a file for each call.
fn file_name(now: Time, call: CallId) -> CompactString {
    format_compact!("{}/{call}.wav", day(now))
}

fn day(now: Time) -> CompactString {
    let moment = date_time(now);
    moment.split('T').next().unwrap_or_default().into()
}

/// A text with other texts in their places. What comes in is not looked at again.
fn filled<const N: usize>(text: &str, told: [(&str, CompactString); N]) -> CompactString {
    let (mut out, mut rest) = (CompactString::default(), text);
    loop {
        let places = told.iter().filter_map(|(place, text)| Some((rest.find(place)?, place.len(), text)));
        let Some((at, len, text)) = places.min_by_key(|(at, ..)| *at) else { break };
        out.push_str(rest.get(..at).unwrap_or_default());
        out.push_str(text);
        rest = rest.get(at + len..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// A text as one name of a file: nothing in it leads anywhere, nor hides the file.
fn file_part(text: &str) -> CompactString {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' };
    let mut part: CompactString = text.chars().take(MAX_FILE_PART).map(plain).collect();
    if part.is_empty() || part.starts_with('.') {
        part.insert(0, '_');
    }
    part
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_that_was_dialled_leads_out_of_a_folder_or_is_looked_at_again() {
        let told = [("{user}", file_part("{call}")), ("{call}", file_part("1f"))];
        assert_eq!(filled("a/{user}/{call}-{call}.wav", told.clone()), "a/_call_/1f-1f.wav");
        assert_eq!(filled("{{user}}{use", told), "{_call_}{use");
        for (text, expected) in [
            ("..", "_.."),
            ("", "_"),
            ("../../etc/x", "_.._.._etc_x"),
            ("j\u{f6}rg", "j_rg"),
            ("+49.30-1_2", "+49.30-1_2"),
        ] {
            assert_eq!(file_part(text), expected);
        }
        assert_eq!(file_part(&"x".repeat(1_000)).len(), MAX_FILE_PART);
    }

    #[test]
    fn a_recording_is_named_by_its_day_and_its_call() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_735_689_599, "2024-12-31"),
            (1_795_300_000, "2026-11-21"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let name = file_name(Duration::from_secs(seconds), CallId(0x1f));
            assert_eq!(name, format!("{expected}/00000000001f.wav"));
        }
    }
}
