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
    codecs: Vec<&'static Codec>,
    local: SocketAddr,
    id: u64,
    version: u64,
    hold: Hold,
    /// An offer of ours that has no answer yet.
    offered: Option<(Formats, usize)>,
    agreed: Option<Negotiated>,
    /// The other side's last description.
    remote: Option<SessionDescription>,
    /// What was wanted before the change that is under way.
    before: Option<Wish>,
}

/// What we want of a session.
#[derive(Debug, Clone)]
struct Wish {
    codecs: Vec<&'static Codec>,
    local: SocketAddr,
    hold: Hold,
}

impl Session {
    pub(crate) fn new(codecs: &[&'static Codec], local: SocketAddr, id: u64) -> Session {
        Session {
            codecs: codecs.to_vec(),
            local,
            // Positive as a signed number: some phones read it as one.
            id: id >> 1,
            version: 0,
            hold: Hold::Off,
            offered: None,
            agreed: None,
            remote: None,
            before: None,
        }
    }

    /// Where we want audio.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn hold(&self) -> Hold {
        self.hold
    }

    pub(crate) fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// We have sent an offer and wait for its answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.offered.is_some()
    }

    /// Begins a change: [`Session::revert`] undoes what the others change.
    pub(crate) fn begin(&mut self) {
        self.before = Some(Wish { codecs: self.codecs.clone(), local: self.local, hold: self.hold });
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

    /// The change was refused: everything is as before.
    pub(crate) fn revert(&mut self) {
        self.offered = None;
        if let Some(Wish { codecs, local, hold }) = self.before.take() {
            (self.codecs, self.local, self.hold) = (codecs, local, hold);
        }
    }

    pub(crate) fn sends(&self) -> bool {
        self.agreed.as_ref().is_some_and(|session| session.direction.receives()) && self.hold != Hold::Silent
    }

    pub(crate) fn receives(&self) -> bool {
        self.agreed.as_ref().is_some_and(|session| session.direction.sends()) && self.hold == Hold::Off
    }

    pub(crate) fn offer(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut formats = Formats::to_offer(&self.codecs, Peer::Unknown)?;
        let mut audio_index = 0;
        if let Some(session) = &self.agreed {
            formats.keep_numbers(session);
            audio_index = session.audio_index;
        }
        let earlier = self.remote.as_ref().map(|remote| (remote, audio_index));
        let draft = make_offer(&self.own(), &formats, None, earlier);
        self.offered = Some((formats, audio_index));
        Ok(self.write(&draft, audio_index, self.hold.direction()))
    }

    pub(crate) fn answer(&mut self, offer: &[u8]) -> Result<Vec<u8>, Refusal> {
        let offer = SessionDescription::parse(offer)?;
        let (draft, agreed) = make_answer(&offer, &self.codecs, None, &self.own(), None)?;
        let direction = agreed.direction.answer(self.hold.direction());
        let text = self.write(&draft, agreed.audio_index, direction);
        self.agreed = Some(agreed);
        self.remote = Some(offer);
        self.offered = None;
        Ok(text)
    }

    pub(crate) fn accept(&mut self, answer: &[u8]) -> Result<(), Refusal> {
        let (formats, audio_index) = self.offered.as_ref().ok_or(Refusal::NoOffer)?;
        let answer = SessionDescription::parse(answer)?;
        self.agreed = Some(accept(formats, *audio_index, &answer, None)?);
        self.remote = Some(answer);
        Ok(())
    }

    /// The offer is answered for good, or refused: a further answer would belong to another one.
    pub(crate) fn settle(&mut self) {
        self.offered = None;
        self.before = None;
    }

    fn own(&self) -> Local {
        Local { address: self.local.ip(), port: self.local.port(), ptime: PTIME, direction: Direction::SendRecv }
    }

    fn write(&mut self, draft: &Draft, audio_index: usize, direction: Direction) -> Vec<u8> {
        self.version += 1;
        let origin =
            OwnOrigin { username: "-", session_id: self.id, session_version: self.version, address: self.local.ip() };
        let text = draft.finish(&origin);
        let Ok(mut description) = SessionDescription::parse(&text) else {
            return text.into_bytes();
        };
        if let Some(mut media) = description.media_mut(audio_index) {
            media.set_direction(direction);
        }
        if self.hold == Hold::Nowhere {
            let nowhere: IpAddr =
                if self.local.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            description.set_all_connections(nowhere);
        }
        description.to_bytes()
    }
}
