//! From what is known of a call's audio to what is wrong with it, in words.
//!
//! ```text
//!   what the party's SDP said ─┐
//!   what ours said ────────────┤
//!   where packets come from ───┼──▶ findings: what is so, why most likely, what to do
//!   when they came, and what ──┤
//!   those were that are not ───┘
//!   believed or not agreed
//! ```
//!
//! A finding is what the facts show. Why nothing comes is what they make most likely: a packet that was
//! lost on its way tells nobody where.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::words::{AudioFacts, CallAudio, Party, Strange, Time};

/// A party of which packets come, and in them nothing but silence for this long, is mute.
pub const MUTE_AFTER: Duration = Duration::from_secs(30);

/// Something that the facts show about one party's audio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Its packets come from another host than its description says: there is a NAT in between. Audio
    /// goes to where they come from.
    BehindNat {
        /// What its description says.
        said: SocketAddr,
        /// Where its packets come from.
        source: SocketAddr,
    },
    /// Its packets come from the host that its description says, and from another port.
    OtherPort {
        /// What its description says.
        said: SocketAddr,
        /// Where its packets come from.
        source: SocketAddr,
    },
    /// Its packets have come from elsewhere than before, in the middle of the call.
    Moved {
        /// How often that was so.
        times: u32,
        /// Where they come from now.
        source: SocketAddr,
    },
    /// It is to be heard, and nothing comes.
    Silent {
        /// Since when: its last packet, or the moment from which it was to be heard.
        since: Time,
        /// Whether there ever was a packet.
        heard_before: bool,
        /// Why that most likely is so.
        why: Silence,
    },
    /// Its packets come and have nothing in them but silence, while the other party is heard, as far as that is known.
    Mute {
        /// Since when.
        since: Time,
        /// Whether there ever was anything else.
        heard_before: bool,
    },
    /// Nothing has shown where it is, and what is sent to it goes to an address that only its own
    /// network knows.
    Unreached {
        /// That address.
        to: SocketAddr,
    },
}

/// Why nothing comes from a party, most likely.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// It sends a payload type that was not agreed.
    OtherCodec {
        /// Which.
        payload_type: u8,
    },
    /// It sends DTLS: it wants its audio encrypted, and that was not agreed.
    Encrypted,
    /// It sends STUN: it checks ways of ICE, and that was not agreed.
    Ice,
    /// It sends what is no RTP.
    NotRtp,
    /// Packets come from a source that is not believed.
    NotBelieved {
        /// Which.
        source: SocketAddr,
    },
    /// Our description names an address that cannot be reached from where the party is.
    OurAddress {
        /// That address.
        ours: SocketAddr,
    },
    /// It sends reports and no audio: its microphone is off, or it sends nothing while nobody speaks.
    ReportsOnly,
    /// It had been heard, and the way has broken: the NAT has forgotten it, or the phone is gone.
    Lost,
    /// Nothing shows why: a firewall, a NAT, or a phone that does not send.
    Unknown,
}

/// What is to be said of one party's audio.
#[must_use]
pub fn findings(audio: &CallAudio, party: Party) -> Vec<Finding> {
    let mut found = Vec::new();
    let facts = audio.of(party);
    if let (Some(said), Some(source)) = (facts.said, facts.source) {
        if said.ip() != source.ip() {
            found.push(Finding::BehindNat { said, source });
        } else if said.port() != source.port() {
            found.push(Finding::OtherPort { said, source });
        }
        if facts.moves > 0 {
            found.push(Finding::Moved { times: facts.moves, source });
        }
    }
    found.extend(silence(facts, audio.at, audio.patience).or_else(|| mute(audio, party)));
    if let (Some(to), None, true) = (facts.said, facts.source, facts.listens && facts.sent > 0)
        && is_out_of_reach(to.ip(), facts.ours.map(|ours| ours.ip()))
        && found.iter().any(|finding| matches!(finding, Finding::Silent { .. }))
    {
        found.push(Finding::Unreached { to });
    }
    found
}

fn mute(audio: &CallAudio, party: Party) -> Option<Finding> {
    let mute_since = |facts: &AudioFacts| {
        let speaks = facts.sends && !facts.held;
        let since = facts.quality.sound.and_then(|sound| sound.silent_since).filter(|_| speaks)?;
        let since = since.max(facts.agreed?);
        (audio.at.saturating_sub(since) >= MUTE_AFTER).then_some(since)
    };
    let (own, other) = (audio.of(party), audio.of(party.other()));
    // Where both are there is nothing to be missed.
    let since = mute_since(own).filter(|_| mute_since(other).is_none())?;
    let heard_before = own.quality.sound.is_some_and(|sound| sound.level.is_some());
    Some(Finding::Mute { since, heard_before })
}

fn silence(facts: &AudioFacts, at: Time, patience: Duration) -> Option<Finding> {
    let agreed = facts.agreed.filter(|_| facts.sends && !facts.held)?;
    let since = facts.last.map_or(agreed, |last| last.max(agreed));
    if at.saturating_sub(since) < patience {
        return None;
    }
    let recently = |time: Option<Time>| time.is_some_and(|time| time > since);
    // What came before it fell silent explains nothing, nor what came on the way to being believed.
    let strange = facts.strange_last.filter(|(at, _)| *at >= since).map(|(_, kind)| kind);
    let refused = facts.refused_last.filter(|(at, from)| *at >= since && Some(*from) != facts.source);
    let why = match (strange, refused.map(|(_, source)| source)) {
        (Some(Strange::PayloadType(payload_type)), _) => Silence::OtherCodec { payload_type },
        (Some(Strange::Dtls), _) => Silence::Encrypted,
        (Some(Strange::Stun), _) => Silence::Ice,
        (None | Some(Strange::Other), Some(source)) => Silence::NotBelieved { source },
        (Some(Strange::Other), None) => Silence::NotRtp,
        (None, None) if recently(facts.last_report) => Silence::ReportsOnly,
        (None, None) if facts.last.is_some() => Silence::Lost,
        (None, None) => match facts.ours {
            Some(ours) if is_out_of_reach(ours.ip(), facts.said.map(|said| said.ip())) => Silence::OurAddress { ours },
            _ => Silence::Unknown,
        },
    };
    Some(Finding::Silent { since, heard_before: facts.last.is_some(), why })
}

/// Whether an address means nothing to somebody at that other one.
fn is_out_of_reach(address: IpAddr, from: Option<IpAddr>) -> bool {
    match (address, from) {
        (_, _) if !is_private(address) => false,
        (_, None) => false,
        (IpAddr::V4(address), Some(IpAddr::V4(from))) => {
            // Networks of one house mostly have their first two octets in common.
            !is_private(from.into()) || address.octets()[..2] != from.octets()[..2]
        }
        (_, Some(from)) => !is_private(from),
    }
}

/// Whether an address means something in its own network only: RFC 1918, RFC 6598, RFC 4193, link-local, loopback.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

impl Finding {
    /// Whether somebody hears less than he should. The rest is as it has to be, and good to know.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        match self {
            Self::Silent { .. } | Self::Unreached { .. } => true,
            // Who was heard before has pressed a key, most likely.
            Self::Mute { heard_before, .. } => !*heard_before,
            Self::BehindNat { .. } | Self::OtherPort { .. } | Self::Moved { .. } => false,
        }
    }

    /// A name for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BehindNat { .. } => "behind_nat",
            Self::OtherPort { .. } => "other_port",
            Self::Moved { .. } => "moved",
            Self::Silent { .. } => "silent",
            Self::Mute { .. } => "mute",
            Self::Unreached { .. } => "unreached",
        }
    }

    /// What is so, in a sentence about `party`. Addresses are named only if `shown`.
    #[must_use]
    pub fn text(&self, audio: &CallAudio, party: Party, shown: bool) -> String {
        let who = match party {
            Party::Caller => "the caller",
            Party::Callee => "the called party",
        };
        let at = |address| Shown { address, shown };
        match *self {
            Self::BehindNat { said, source } => {
                format!("{who} is behind a NAT: its SDP said {}, its packets come from {}", at(said), at(source))
            }
            Self::OtherPort { said, source } => {
                format!("{who} sends from another port than its SDP said: {} instead of {}", at(source), at(said))
            }
            Self::Moved { times, source } => {
                let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
                format!("the packets of {who} changed their source {times} during the call, now {}", at(source))
            }
            Self::Silent { since, heard_before, why } => {
                let seconds = audio.at.saturating_sub(since).as_secs();
                let begin = if heard_before { "its last packet" } else { "the answer" };
                let facts = audio.of(party);
                let said = facts.said.map_or_else(|| "no address".to_owned(), |said| at(said).to_string());
                let why = why.text(facts, shown);
                format!("no RTP from {who} since {begin}, {seconds} s ago: its SDP said {said}; {why}")
            }
            Self::Mute { since, heard_before } => {
                let seconds = audio.at.saturating_sub(since).as_secs();
                let ever = if heard_before { "for" } else { "since its audio began," };
                format!("nothing but silence in the packets of {who} {ever} {seconds} s")
            }
            Self::Unreached { to } => {
                format!("what is sent to {who} goes to {}, which only its own network knows", at(to))
            }
        }
    }

    /// What to do about it; nothing where all is as it has to be.
    #[must_use]
    pub const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::BehindNat { .. } | Self::OtherPort { .. } | Self::Moved { .. } => None,
            Self::Silent { why, .. } => Some(why.advice()),
            Self::Mute { heard_before: true, .. } => None,
            Self::Mute { .. } => Some("look for the phone's mute key, and for its microphone"),
            Self::Unreached { .. } => Some("as soon as one packet comes from the phone, it is sent its audio there"),
        }
    }
}

impl Silence {
    /// A name for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherCodec { .. } => "other_codec",
            Self::Encrypted => "encrypted",
            Self::Ice => "ice",
            Self::NotRtp => "not_rtp",
            Self::NotBelieved { .. } => "not_believed",
            Self::OurAddress { .. } => "our_address",
            Self::ReportsOnly => "reports_only",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }

    fn text(self, facts: &AudioFacts, shown: bool) -> String {
        let at = |address| Shown { address, shown };
        match self {
            Self::OtherCodec { payload_type } => {
                let agreed = facts.codec.as_deref().unwrap_or("another codec");
                format!("{} packets had payload type {payload_type}, and {agreed} was agreed", facts.strange)
            }
            Self::Encrypted => format!("{} packets were no RTP; the last was DTLS", facts.strange),
            Self::Ice => format!("{} packets were no RTP; the last was STUN", facts.strange),
            Self::NotRtp => format!("{} packets were no RTP", facts.strange),
            Self::NotBelieved { source } => {
                format!("{} packets came from {}, which is not believed", facts.refused, at(source))
            }
            Self::OurAddress { ours } => {
                format!("no packet came; our SDP said {}, which cannot be reached from there", at(ours))
            }
            Self::ReportsOnly => "its RTCP comes, its audio does not".to_owned(),
            Self::Lost => {
                let source = facts.source.map_or_else(|| "nowhere".to_owned(), |source| at(source).to_string());
                format!("{} packets had come, the last from {source}", facts.received)
            }
            Self::Unknown => match facts.ours {
                Some(ours) => format!("no packet came to {}", at(ours)),
                None => "no packet came".to_owned(),
            },
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::OtherCodec { .. } => "let the phone use a codec of media.codecs, and no number of its own for it",
            Self::Encrypted => "switch SRTP off at the phone",
            Self::Ice => "switch ICE off at the phone",
            Self::NotRtp => "look what sends to our media ports",
            Self::NotBelieved { .. } => {
                "a source is believed after five packets in a row, and in the place of another once that is silent"
            }
            Self::OurAddress { .. } => {
                "set network.public or media.address to the address at which phones see this host"
            }
            Self::ReportsOnly => "look for the phone's mute key, and for silence suppression in its settings",
            Self::Lost => "look whether the phone still has its network, and how long its NAT remembers UDP",
            Self::Unknown => "let the UDP ports of media.ports through every firewall, and see whether the phone sends",
        }
    }
}

/// An address, or only of what kind it is.
struct Shown {
    address: SocketAddr,
    shown: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shown, is_private(self.address.ip())) {
            (true, true) => write!(f, "{} (private)", self.address),
            (true, false) => self.address.fmt(f),
            (false, true) => f.write_str("a private address"),
            (false, false) => f.write_str("a public address"),
        }
    }
}
