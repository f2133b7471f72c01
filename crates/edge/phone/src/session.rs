//! What the two sides of a call agree to send: offers and answers of a phone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hookswitch_codec::Codec;
use hookswitch_media::negotiate::{Formats, Local, Peer, accept, make_answer, make_offer};
use hookswitch_media::{Draft, Negotiated, Refusal};
use hookswitch_sdp::{Direction, OwnOrigin, SessionDescription};

/// Milliseconds per packet that we ask for.
const PTIME: u32 = 20;

/// Which way we want media to flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Both ways.
    Off,
    /// We send (music on hold, as it were) and want nothing.
    On,
    /// Neither way.
    Silent,
    /// As RFC 2543 had it: nothing is wanted, because our address is `0.0.0.0`.
    Nowhere,
}

impl Hold {
    fn direction(self) -> Direction {
        match self {
            Hold::Off | Hold::Nowhere => Direction::SendRecv,
            Hold::On => Direction::SendOnly,
            Hold::Silent => Direction::Inactive,
        }
    }
}

/// The session of one call.
pub(crate) struct Session {
    /// What is in force: what we say of ourselves in every description but that of a change of our own.
    wish: Wish,
    id: u64,
    version: u64,
    /// An offer of ours that has no answer yet, other than that of a change.
    offered: Option<Offered>,
    agreed: Option<Negotiated>,
    /// The other side's last description.
    remote: Option<SessionDescription>,
    /// A change that we have asked for. It counts for nothing before it is accepted: it may wait behind changes of the
    /// other side's (RFC 3261 14.1), which we answer meanwhile.
    change: Option<Change>,
}

/// What we want of a session.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    codecs: Vec<&'static Codec>,
    local: SocketAddr,
    hold: Hold,
}

/// What we have offered, as its answer is to be read.
#[derive(Debug, Clone)]
struct Offered {
    formats: Formats,
    audio_index: usize,
}

struct Change {
    wish: Wish,
    offered: Offered,
}

impl Wish {
    /// Where audio is wanted.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn set_hold(&mut self, hold: Hold) {
        self.hold = hold;
    }

    /// Audio is wanted at another port.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.local.set_port(port);
    }

    pub(crate) fn set_codecs(&mut self, codecs: &[&'static Codec]) {
        self.codecs = codecs.to_vec();
    }

    fn own(&self) -> Local {
        Local {
            address: self.local.ip(),
            port: self.local.port(),
            ptime: PTIME,
            direction: Direction::SendRecv,
            sounds: false,
        }
    }
}

impl Session {
    pub(crate) fn new(codecs: &[&'static Codec], local: SocketAddr, id: u64) -> Session {
        Session {
            wish: Wish { codecs: codecs.to_vec(), local, hold: Hold::Off },
            // Positive as a signed number: some phones read it as one.
            id: id >> 1,
            version: 0,
            offered: None,
            agreed: None,
            remote: None,
            change: None,
        }
    }

    /// Where we want audio.
    pub(crate) fn local(&self) -> SocketAddr {
        self.wish.local
    }

    /// Whether audio may come to this address of ours: whoever was offered another one may use it before it answers.
    pub(crate) fn listens_at(&self, local: SocketAddr) -> bool {
        self.wish.local == local || self.change.as_ref().is_some_and(|change| change.wish.local == local)
    }

    pub(crate) fn hold(&self) -> Hold {
        self.wish.hold
    }

    pub(crate) fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// We have sent an offer and wait for its answer. That of a change is not meant.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.offered.is_some()
    }

    /// Begins a change: its offer.
    pub(crate) fn change(&mut self, what: impl FnOnce(&mut Wish)) -> Result<Vec<u8>, Refusal> {
        let mut wish = self.wish.clone();
        what(&mut wish);
        let (offered, text) = self.describe(&wish)?;
        self.change = Some(Change { wish, offered });
        Ok(text)
    }

    /// The change was refused, or never sent: everything is as before.
    pub(crate) fn revert(&mut self) {
        self.change = None;
    }

    /// The change was answered. What cannot be used changes nothing.
    pub(crate) fn accept_change(&mut self, answer: &[u8]) -> Result<(), Refusal> {
        let Change { wish, offered } = self.change.take().ok_or(Refusal::NoOffer)?;
        self.read(&offered, answer)?;
        self.wish = wish;
        Ok(())
    }

    pub(crate) fn sends(&self) -> bool {
        self.agreed.as_ref().is_some_and(|session| session.direction.receives()) && self.wish.hold != Hold::Silent
    }

    pub(crate) fn receives(&self) -> bool {
        self.agreed.as_ref().is_some_and(|session| session.direction.sends()) && self.wish.hold == Hold::Off
    }

    pub(crate) fn offer(&mut self) -> Result<Vec<u8>, Refusal> {
        let wish = self.wish.clone();
        let (offered, text) = self.describe(&wish)?;
        self.offered = Some(offered);
        Ok(text)
    }

    pub(crate) fn answer(&mut self, offer: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (offer, wish) = (SessionDescription::parse(offer)?, self.wish.clone());
        let (draft, agreed) = make_answer(&offer, &wish.codecs, None, None, &wish.own(), None)?;
        let direction = agreed.direction.answer(wish.hold.direction());
        let text = self.write(&wish, &draft, agreed.audio_index, direction);
        self.agreed = Some(agreed);
        self.remote = Some(offer);
        self.offered = None;
        Ok(text)
    }

    pub(crate) fn accept(&mut self, answer: &[u8]) -> Result<(), Refusal> {
        let offered = self.offered.clone().ok_or(Refusal::NoOffer)?;
        self.read(&offered, answer)
    }

    /// The offer is answered for good, or refused: a further answer would belong to another one.
    pub(crate) fn settle(&mut self) {
        self.offered = None;
    }

    fn describe(&mut self, wish: &Wish) -> Result<(Offered, Vec<u8>), Refusal> {
        let formats = Formats::to_offer(&wish.codecs, Peer::Unknown, self.agreed.as_ref(), false)?;
        let audio_index = self.agreed.as_ref().map_or(0, |session| session.audio_index);
        let earlier = self.remote.as_ref().map(|remote| (remote, audio_index));
        let draft = make_offer(&wish.own(), &formats, None, earlier);
        let text = self.write(wish, &draft, audio_index, wish.hold.direction());
        Ok((Offered { formats, audio_index }, text))
    }

    fn read(&mut self, offered: &Offered, answer: &[u8]) -> Result<(), Refusal> {
        let answer = SessionDescription::parse(answer)?;
        self.agreed = Some(accept(&offered.formats, offered.audio_index, &answer, None)?);
        self.remote = Some(answer);
        Ok(())
    }

    fn write(&mut self, wish: &Wish, draft: &Draft, audio_index: usize, direction: Direction) -> Vec<u8> {
        self.version += 1;
        let origin =
            OwnOrigin { username: "-", session_id: self.id, session_version: self.version, address: wish.local.ip() };
        let text = draft.finish(&origin);
        let Ok(mut description) = SessionDescription::parse(&text) else {
            return text.into_bytes();
        };
        if let Some(mut media) = description.media_mut(audio_index) {
            media.set_direction(direction);
        }
        if wish.hold == Hold::Nowhere {
            let nowhere: IpAddr =
                if wish.local.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            description.set_all_connections(nowhere);
        }
        description.to_bytes()
    }
}
