//! Services of the switch: what can be called and is nobody.

use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::{Address, AfterPlay, BargeIn, Flow, PlayId, RecordPlan, Room, Silence, Soup, Tracks};

/// Most keys that are collected at once.
pub const MAX_KEYS: usize = 32;

/// Longest text of a [`Pattern`], in bytes.
pub const MAX_PATTERN: usize = 256;

/// Most choices of one menu.
pub const MAX_CHOICES: usize = 64;

/// What a [`Pattern`] may take when it is compiled, in bytes.
const PATTERN_ROOM: usize = 64 * 1024;

/// Services built into the switch, and those that are configured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Sends back what it hears.
    Echo,
    /// Plays a steady reference tone.
    Tone,
    /// Lets all who are in this room hear each other.
    Conference(Room),
    /// Plays something to whoever calls, and may ask for keys.
    Attendant(Arc<Attendant>),
    /// Waits for what its leader says: [`Command::Step`](super::Command::Step).
    Flow(Flow),
}

/// A service that plays something and then ends the call, or leads on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attendant {
    /// What it plays to whoever calls.
    pub play: Arc<Soup>,
    /// The keys that lead on, if any do.
    pub menu: Option<Menu>,
    /// What it records after that, if it does; then it has no menu.
    pub record: Option<Message>,
    /// What comes when all has been played and no key has led on.
    pub then: Then,
}

/// How a service records what a caller says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The file, as [`RecordPlan::file`].
    pub file: CompactString,
    /// For whom, as [`RecordPlan::mailbox`].
    pub mailbox: Option<CompactString>,
    /// Longest message.
    pub most: Duration,
    /// A message of which less was said is thrown away.
    pub least: Duration,
    /// The message is over when the caller says nothing for so long.
    pub silence: Option<Silence>,
    /// A key that ends the message; before that, the prompt.
    pub terminator: Option<char>,
    /// Speaking as loud as this ends the prompt.
    pub barge_in: Option<BargeIn>,
}

impl Message {
    /// The recording that follows on a prompt.
    pub(crate) fn plan(&self, play: PlayId) -> RecordPlan {
        RecordPlan {
            tracks: Tracks::Incoming,
            max: self.most,
            silence: self.silence,
            least: self.least,
            after: Some(AfterPlay::of_prompt(play, self.barge_in)),
            mailbox: self.mailbox.clone(),
            ..RecordPlan::both_sides(self.file.clone())
        }
    }
}

/// What comes at the end of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The call ends.
    Hangup,
    /// The party is connected with whoever is at this address.
    To(Address),
}

/// Where keys lead.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Menu {
    /// How they are collected.
    pub collect: Collect,
    /// Keys and whom they lead to; at most [`MAX_CHOICES`].
    pub choices: Vec<(CompactString, Address)>,
    /// Whom keys lead to that match [`Collect::pattern`]; what the text has in the place of `{keys}` are they.
    pub others: Option<Address>,
    /// What is played when keys lead nowhere; none plays the prompt again at once.
    pub invalid: Option<Arc<Soup>>,
    /// How often the prompt is played before it is given up; none is once.
    pub tries: u8,
}

/// How keys are collected.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Collect {
    /// So many keys are enough; at most [`MAX_KEYS`].
    pub most: u8,
    /// This key ends them, and is none of them.
    pub terminator: Option<char>,
    /// They are complete as soon as this is found among them; what it has found is what was collected.
    pub pattern: Option<Pattern>,
    /// How long the first one is waited for, after the prompt.
    pub first: Duration,
    /// How long each further one is.
    pub next: Duration,
}

/// A regular expression for keys, as callmanager's `waitfortelevents` takes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "CompactString", into = "CompactString")]
pub struct Pattern(regex_lite::Regex);

/// A text that is no [`Pattern`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPattern {
    /// Longer than [`MAX_PATTERN`].
    #[error("a pattern is longer than {MAX_PATTERN} bytes")]
    TooLong,
    /// No regular expression; the text says why.
    #[error("no regular expression: {0}")]
    Syntax(String),
    /// It matches where there are no keys.
    #[error("it matches no keys at all")]
    MatchesNothing,
}

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// It is none, or too long, or matches the empty text.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.len() > MAX_PATTERN {
            return Err(BadPattern::TooLong);
        }
        let built = regex_lite::RegexBuilder::new(text).size_limit(PATTERN_ROOM).build();
        let regex = built.map_err(|error| BadPattern::Syntax(error.to_string()))?;
        if regex.is_match("") {
            return Err(BadPattern::MatchesNothing);
        }
        Ok(Self(regex))
    }

    /// The first part of a text that matches.
    #[must_use]
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.0.find(text).map(|found| found.as_str())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl TryFrom<CompactString> for Pattern {
    type Error = BadPattern;

    fn try_from(text: CompactString) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Pattern> for CompactString {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().into()
    }
}

/// What has become of the keys after one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Collected {
    /// More may follow.
    More,
    /// They are complete.
    Complete,
}

impl Collect {
    /// Takes one more key. Once they are complete, `keys` are what was collected.
    pub fn take(&self, keys: &mut CompactString, key: char) -> Collected {
        if self.terminator == Some(key) {
            return Collected::Complete;
        }
        keys.push(key);
        if let Some(found) = self.pattern.as_ref().and_then(|pattern| pattern.find(keys)) {
            *keys = found.into();
            return Collected::Complete;
        }
        if keys.len() >= usize::from(self.most).clamp(1, MAX_KEYS) { Collected::Complete } else { Collected::More }
    }
}

impl Menu {
    /// Whom keys lead to.
    #[must_use]
    pub fn choice(&self, keys: &str) -> Option<Address> {
        if let Some((_, to)) = self.choices.iter().find(|(choice, _)| choice == keys) {
            return Some(to.clone());
        }
        let found = self.collect.pattern.as_ref()?.find(keys)?;
        // No plain character of a SIP URI (RFC 3261 section 25.1).
        let written = found.replace('#', "%23");
        let to = self.others.as_ref().filter(|_| found == keys)?;
        Some(Address(to.0.replace("{keys}", &written).into()))
    }

    /// Whether no key that follows could change where these lead.
    #[must_use]
    pub fn is_settled(&self, keys: &str) -> bool {
        let longer = |choice: &str| choice.len() > keys.len() && choice.starts_with(keys);
        self.collect.pattern.is_none() && !self.choices.iter().any(|(choice, _)| longer(choice))
    }
}

impl Attendant {
    /// The same with every address that is only a name taken as that of a user of this domain.
    #[must_use]
    pub fn within(&self, domain: &str) -> Self {
        let full = |address: &Address| {
            if address.0.contains(':') {
                address.clone()
            } else {
                Address(format_compact!("sip:{}@{domain}", address.0))
            }
        };
        let menu = self.menu.as_ref().map(|menu| Menu {
            choices: menu.choices.iter().map(|(keys, to)| (keys.clone(), full(to))).collect(),
            others: menu.others.as_ref().map(full),
            ..menu.clone()
        });
        let then = match &self.then {
            Then::Hangup => Then::Hangup,
            Then::To(to) => Then::To(full(to)),
        };
        Self { play: Arc::clone(&self.play), menu, record: self.record.clone(), then }
    }
}
