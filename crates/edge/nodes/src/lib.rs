//! The switchboard's legs and audio on other nodes: [`Op`]s become requests to `/dialog` of SIP nodes, [`MediaOp`]s requests
//! to `/channel` of media nodes.
//!
//! ```text
//!   board ── Op ──────▶ legs ── POST, PUT /dialog/… ──────────▶ SIP node      tells: PUT <control>/sip-node/<n>/dialog/<callid>
//!         ◀─ Report ──                                                                           …/reg/<domain>/<user>
//!         ── MediaOp ─▶ media ── POST, PUT, DELETE /channel… ─▶ media node    tells: PUT <control>/media-node/<n>/channel/<uuid>
//!         ◀─ MediaReport
//! ```
//!
//! A machine without sockets and clocks: ops, answers, what nodes tell and the time go in, [`Request`]s and reports come out.
//! The two halves know nothing of each other; a switch may have its legs elsewhere and its audio at home, or the other way
//! round. Where nodes are told to send what they tell carries their number, so that nobody has to guess by addresses who speaks.
//!
//! | file | what |
//! |---|---|
//! | `legs/` | the half with the legs |
//! | [`media`] | the half with the audio |
//! | `places.rs` | which node has room |
//! | `orders.rs` | requests of one leg or channel go one after the other |
//! | `pulse.rs` | which nodes are there |
//! | `standing.rs` | how nodes stand, for whoever looks after them |

#![forbid(unsafe_code)]

mod legs;
pub mod media;
mod orders;
mod places;
mod pulse;
mod standing;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::port::{Backend, MediaLink};
use hookswitch_call::{CallId, Found, MediaOp, MediaReport, Op, RecordingId, Report, Time};

pub use legs::{Legs, MAX_LEGS, MAX_PHONES, MAX_REGISTERED};
pub use media::Media;
pub use orders::{MAX_LANE, MAX_WAITING, Orders, TooMany};
pub use places::{CHANNELS, DIALOGS, Load, PlaceNews, Places};
pub use pulse::{BEAT, MISSES, Pulse, PulseNews};
pub use standing::{NodeKind, NodeState, NodeStatus, Standing};

/// What the control server's path of what SIP nodes tell begins with; the number of the node follows.
pub const SIP_NODE: &str = "/sip-node/";

/// The same of media nodes.
pub const MEDIA_NODE: &str = "/media-node/";

/// Where registrations are told by whoever has one SIP node only and does not number it, as in the readme of project-mediaswitch.
pub const REGISTRATIONS: &str = "/reg";

/// Where a media node gives out the files of its recordings; the name of the file follows, escaped.
pub const RECORDING: &str = "/recording/";

/// The path of a file at [`RECORDING`].
#[must_use]
pub fn recording_path(file: &str) -> String {
    format!("{RECORDING}{}", hookswitch_mediaswitch::escaped(file))
}

/// Most nodes of either kind.
pub const MAX_NODES: usize = 64;

/// Names a node: its place in the list of the configuration. Each half counts from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u16);

/// Names a request of one half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AskId(pub u64);

/// A request of one half to one of its nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Names it.
    pub id: AskId,
    /// To whom.
    pub node: NodeId,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// With a slash at its beginning, escaped.
    pub path: String,
    /// A JSON document, or nothing.
    pub body: String,
}

/// What came of an [`Ask`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Of which.
    pub id: AskId,
    /// Status and body; none where there was no answer in time, or no connection.
    pub result: Option<(u16, Bytes)>,
}

/// A request of a node to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told<'a> {
    /// `PUT` or `DELETE`.
    pub method: &'a str,
    /// What follows the node's number, with a slash at its beginning, escaped as received.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// An HTTP request to be made, of either half. To be answered by [`Nodes::answered`] in any case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Names it, over both halves.
    pub id: AskId,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// A JSON document, or nothing.
    pub body: String,
}

/// What has become of a node, for logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeNews {
    /// Its base URL.
    pub url: CompactString,
    /// What.
    pub news: PulseNews,
}

/// What both halves do beside their words.
pub trait Half {
    /// The next request.
    fn poll_ask(&mut self) -> Option<Ask>;
    /// What came of one. Exactly once for each.
    fn answered(&mut self, now: Time, answer: Answer);
    /// A node tells something: the status of our answer, 404 where it is of a leg or channel that nobody here knows.
    fn told(&mut self, now: Time, node: NodeId, told: Told<'_>) -> u16;
    /// Lets time pass.
    fn handle_timeout(&mut self, now: Time);
    /// When that is wanted next.
    fn poll_timeout(&self) -> Option<Time>;
    /// Which node has the file of a recording; to be asked before the report that it is over is. Nothing by default.
    fn poll_recorded(&mut self) -> Option<(NodeId, CallId, RecordingId)> {
        None
    }
    /// How its nodes stand, in their order. Nothing by default.
    fn standing(&self) -> Vec<Standing> {
        Vec::new()
    }
    /// What has become of a node, for logs. Nothing by default.
    fn poll_news(&mut self) -> Option<(NodeId, PulseNews)> {
        None
    }
}

/// The half with the legs.
pub trait LegsHalf: Backend + Half + Send {
    /// An address is being looked for in our own directory. `anywhere`: a controller has named it, so it need not be ours;
    /// `user`: the address of record of the user of ours that it would be.
    fn seek(&mut self, call: CallId, to: &str, anywhere: bool, user: Option<CompactString>);
    /// Our own directory says this of it: where the call is to go.
    fn found(&mut self, call: CallId, found: Found) -> Found;
    /// A domain of ours is new or has changed: its users as JSON, as `/dir` takes them; none if it is gone.
    fn domain(&mut self, name: &str, users: Option<String>);
}

/// The half with the audio.
pub trait MediaHalf: MediaLink + Half + Send {}

impl<T: MediaLink + Half + Send> MediaHalf for T {}

/// One half, and where its nodes are.
struct Beyond<T: ?Sized> {
    urls: Vec<CompactString>,
    half: Box<T>,
}

/// Where nodes are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Base URLs of SIP nodes, without slashes at their ends; none where legs are not elsewhere. At most [`MAX_NODES`].
    pub sip: Vec<CompactString>,
    /// The same of media nodes; none where audio is not elsewhere.
    pub media: Vec<CompactString>,
    /// Our own base URL, as they reach us.
    pub control: CompactString,
}

/// What is elsewhere of a switch.
#[derive(Default)]
pub struct Nodes {
    legs: Option<Beyond<dyn LegsHalf>>,
    media: Option<Beyond<dyn MediaHalf>>,
}

impl Nodes {
    /// Everything that a configuration says is elsewhere. The seed makes names unguessable: draw it from the operating system.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut nodes = Self::default();
        if !config.media.is_empty() {
            let controls =
                (0..config.media.len()).map(|node| format!("{}{MEDIA_NODE}{node}", config.control)).collect();
            nodes = nodes.with_media(config.media, Box::new(Media::new(controls)));
        }
        if config.sip.is_empty() {
            return nodes;
        }
        let legs = Legs::new(config.sip.len(), &config.control, seed);
        nodes.with_legs(config.sip, Box::new(legs))
    }

    /// Legs are on these nodes. At most [`MAX_NODES`]; base URLs without a slash at their ends.
    #[must_use]
    pub fn with_legs(self, urls: Vec<CompactString>, half: Box<dyn LegsHalf>) -> Self {
        Self { legs: Some(Beyond { urls, half }), ..self }
    }

    /// Audio is on these nodes.
    #[must_use]
    pub fn with_media(self, urls: Vec<CompactString>, half: Box<dyn MediaHalf>) -> Self {
        Self { media: Some(Beyond { urls, half }), ..self }
    }

    /// Whether legs are elsewhere.
    #[must_use]
    pub const fn have_legs(&self) -> bool {
        self.legs.is_some()
    }

    /// Whether audio is elsewhere.
    #[must_use]
    pub const fn have_media(&self) -> bool {
        self.media.is_some()
    }

    /// Takes an op for legs. Gives it back where legs are not elsewhere.
    ///
    /// # Errors
    /// The op: there is nobody here for it.
    pub fn perform(&mut self, now: Time, op: Op) -> Result<(), Op> {
        match &mut self.legs {
            Some(legs) => legs.half.perform(now, op),
            None => return Err(op),
        }
        Ok(())
    }

    /// Takes an op for audio. Gives it back where audio is not elsewhere.
    ///
    /// # Errors
    /// The op: there is nobody here for it.
    pub fn perform_media(&mut self, now: Time, op: MediaOp) -> Result<(), MediaOp> {
        match &mut self.media {
            Some(media) => media.half.perform(now, op),
            None => return Err(op),
        }
        Ok(())
    }

    /// The half with the legs, if they are elsewhere.
    pub fn legs_mut(&mut self) -> Option<&mut (dyn LegsHalf + 'static)> {
        self.legs.as_mut().map(|legs| &mut *legs.half)
    }

    /// The next report of legs.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.legs.as_mut()?.half.poll_report()
    }

    /// The next report of audio.
    pub fn poll_media_report(&mut self) -> Option<MediaReport> {
        self.media.as_mut()?.half.poll_report()
    }

    /// The base URL of the node that has the file of a recording, before [`Nodes::poll_media_report`] tells that it is over.
    pub fn poll_recorded(&mut self) -> Option<(CompactString, CallId, RecordingId)> {
        let Beyond { urls, half } = self.media.as_mut()?;
        let (node, call, recording) = half.poll_recorded()?;
        Some((urls.get(usize::from(node.0))?.clone(), call, recording))
    }

    /// The next request to make.
    pub fn poll_request(&mut self) -> Option<Request> {
        if let Some(Beyond { urls, half }) = &mut self.legs
            && let Some(ask) = half.poll_ask()
        {
            return Some(request(urls, ask, 0));
        }
        let Beyond { urls, half } = self.media.as_mut()?;
        half.poll_ask().map(|ask| request(urls, ask, 1))
    }

    /// What has become of a node.
    pub fn poll_news(&mut self) -> Option<NodeNews> {
        let url = |urls: &[CompactString], node: NodeId| urls.get(usize::from(node.0)).cloned().unwrap_or_default();
        if let Some(Beyond { urls, half }) = &mut self.legs
            && let Some((node, news)) = half.poll_news()
        {
            return Some(NodeNews { url: url(urls, node), news });
        }
        let Beyond { urls, half } = self.media.as_mut()?;
        half.poll_news().map(|(node, news)| NodeNews { url: url(urls, node), news })
    }

    /// What came of a request.
    pub fn answered(&mut self, now: Time, answer: Answer) {
        let own = Answer { id: AskId(answer.id.0 >> 1), ..answer };
        match answer.id.0 & 1 {
            0 => self.legs.iter_mut().for_each(|legs| legs.half.answered(now, own.clone())),
            _ => self.media.iter_mut().for_each(|media| media.half.answered(now, own.clone())),
        }
    }

    /// A node tells something, at this path: the status of our answer.
    pub fn told(&mut self, now: Time, method: &str, path: &str, body: &[u8]) -> u16 {
        let Some((of_legs, node, path)) = split(path) else { return 404 };
        let told = Told { method, path, body };
        let known = |urls: &[CompactString]| usize::from(node.0) < urls.len();
        match (&mut self.legs, &mut self.media) {
            (Some(legs), _) if of_legs && known(&legs.urls) => legs.half.told(now, node, told),
            (_, Some(media)) if !of_legs && known(&media.urls) => media.half.told(now, node, told),
            _ => 404,
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(legs) = &mut self.legs {
            legs.half.handle_timeout(now);
        }
        if let Some(media) = &mut self.media {
            media.half.handle_timeout(now);
        }
    }

    /// When [`Nodes::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let legs = self.legs.as_ref().and_then(|legs| legs.half.poll_timeout());
        let media = self.media.as_ref().and_then(|media| media.half.poll_timeout());
        [legs, media].into_iter().flatten().min()
    }
}

/// Whether a path is one by which nodes tell something.
#[must_use]
pub fn is_of_nodes(path: &str) -> bool {
    path.starts_with(SIP_NODE) || path.starts_with(MEDIA_NODE) || is_plain(path)
}

fn is_plain(path: &str) -> bool {
    path.strip_prefix(REGISTRATIONS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `<prefix><number><path>`, and whether it is that of legs.
fn split(path: &str) -> Option<(bool, NodeId, &str)> {
    if is_plain(path) {
        return Some((true, NodeId(0), path));
    }
    let (of_legs, rest) = match path.strip_prefix(SIP_NODE) {
        Some(rest) => (true, rest),
        None => (false, path.strip_prefix(MEDIA_NODE)?),
    };
    let end = rest.find('/')?;
    let (number, path) = rest.split_at(end);
    Some((of_legs, NodeId(number.parse().ok()?), path))
}

fn request(urls: &[CompactString], ask: Ask, half: u64) -> Request {
    let Ask { id, node, method, path, body } = ask;
    // A half names no node but those that it was told of.
    let base = urls.get(usize::from(node.0)).map_or("", CompactString::as_str);
    Request { id: AskId(id.0 << 1 | half), method, url: format!("{base}{path}"), body }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A half that asks what it is given, and then for whatever it hears.
    #[derive(Default)]
    struct Scripted(VecDeque<Ask>);

    impl Scripted {
        fn asking(node: u16, path: &str) -> Self {
            let mut half = Self::default();
            half.ask(node, path);
            half
        }

        fn ask(&mut self, node: u16, path: &str) {
            let ask = Ask { id: AskId(7), node: NodeId(node), method: "PUT", path: path.into(), body: String::new() };
            self.0.push_back(ask);
        }
    }

    impl Half for Scripted {
        fn poll_ask(&mut self) -> Option<Ask> {
            self.0.pop_front()
        }
        fn answered(&mut self, _now: Time, answer: Answer) {
            self.ask(0, &format!("/heard/{}", answer.id.0));
        }
        fn told(&mut self, _now: Time, node: NodeId, told: Told<'_>) -> u16 {
            self.ask(node.0, told.path);
            200
        }
        fn handle_timeout(&mut self, _now: Time) {}
        fn poll_timeout(&self) -> Option<Time> {
            None
        }
    }

    impl Backend for Scripted {
        fn perform(&mut self, _now: Time, _op: Op) {}
        fn poll_report(&mut self) -> Option<Report> {
            None
        }
    }

    impl LegsHalf for Scripted {
        fn seek(&mut self, _call: CallId, _to: &str, _anywhere: bool, _user: Option<CompactString>) {}
        fn found(&mut self, _call: CallId, found: Found) -> Found {
            found
        }
        fn domain(&mut self, _name: &str, _users: Option<String>) {}
    }

    impl MediaLink for Scripted {
        fn perform(&mut self, _now: Time, _op: MediaOp) {}
        fn poll_report(&mut self) -> Option<MediaReport> {
            None
        }
    }

    const NOW: Time = Time::from_secs(1);

    fn made(nodes: &mut Nodes) -> Vec<Request> {
        std::iter::from_fn(|| nodes.poll_request()).collect()
    }

    fn urls(made: &[Request]) -> Vec<&str> {
        made.iter().map(|request| request.url.as_str()).collect()
    }

    #[test]
    fn the_halves_use_the_same_names_and_nobody_mixes_them_up() {
        let both = |host: &str| vec![CompactString::from(format!("http://{host}0")), format!("http://{host}1").into()];
        let mut nodes = Nodes::default()
            .with_legs(both("sip"), Box::new(Scripted::asking(1, "/dialog/ring")))
            .with_media(both("media"), Box::new(Scripted::asking(0, "/channel/1")));
        let first = made(&mut nodes);
        assert_eq!(urls(&first), ["http://sip1/dialog/ring", "http://media0/channel/1"]);
        nodes.answered(NOW, Answer { id: first[1].id, result: None });
        assert_eq!(urls(&made(&mut nodes)), ["http://media0/heard/7"]);
        nodes.answered(NOW, Answer { id: first[0].id, result: None });
        assert_eq!(urls(&made(&mut nodes)), ["http://sip0/heard/7"]);
        assert_eq!(nodes.told(NOW, "PUT", "/sip-node/1/dialog/a%20b", b""), 200);
        assert_eq!(nodes.told(NOW, "PUT", "/media-node/0/channel/u", b""), 200);
        assert_eq!(urls(&made(&mut nodes)), ["http://sip1/dialog/a%20b", "http://media0/channel/u"]);
        assert_eq!(nodes.told(NOW, "PUT", "/reg/x.test/bob", b""), 200);
        assert_eq!(urls(&made(&mut nodes)), ["http://sip0/reg/x.test/bob"]);
        for nobody in [
            "/regs",
            "/sip-node/2/dialog/a",
            "/sip-node/x/dialog/a",
            "/sip-node/0",
            "/media-node/-1/channel/u",
            "/else",
        ] {
            assert_eq!(nodes.told(NOW, "PUT", nobody, b""), 404, "{nobody}");
        }
    }

    #[test]
    fn without_nodes_everything_is_given_back() {
        let mut nodes = Nodes::default();
        let call = hookswitch_call::CallId(1);
        assert!(nodes.perform_media(NOW, MediaOp::Close { call }).is_err());
        assert!(nodes.perform(NOW, Op::Probe { call, leg: hookswitch_call::LegId(0) }).is_err());
        assert!(nodes.poll_request().is_none() && !nodes.have_legs() && !nodes.have_media());
    }
}
