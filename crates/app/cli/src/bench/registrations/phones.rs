//! The phones: small clients that register and keep their nonce, as phones do.
//!
//! ```text
//!   start ─▶ Asking ─200─▶ Idle ─start─▶ …
//!              │ ▲ 401: once more, with the answer to it
//!              │ └────── 503 with Retry-After: Waiting
//!              ▼ 32 s, any other answer
//!            Idle, counted as failed
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_sip::{T1, T2};
use hookswitch_sip_msg::digest::{Algorithm, Challenge, HexDigest, Protection, ha1, ha2, response};
use hookswitch_sip_msg::{AuthParams, HeaderName, Message};

use super::args::RegistrationsArgs;
use super::course::Course;

/// A request without an answer is given up after this time (RFC 3261 section 17.1.2.2, Timer F).
const GIVE_UP: Duration = Duration::from_secs(32);

/// Challenges that one registration answers: the first, and one more when the nonce has grown old meanwhile.
const MAX_CHALLENGES: u8 = 2;

/// Size of the pieces of memory that messages are cut from.
const BUFFER: usize = 64 * 1024;

/// Room that any message of ours fits in.
const ROOM: usize = 2_048;

const CNONCE: &str = "0a4f113b";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Asking,
    Waiting,
}

/// What a phone keeps of the challenge that it has answered last.
struct Ticket {
    algorithm: Algorithm,
    realm: Box<str>,
    nonce: Box<str>,
    opaque: Option<Box<str>>,
    ha1: HexDigest,
    count: u32,
}

struct Phone {
    step: Step,
    cseq: u32,
    challenges: u8,
    began: Duration,
    deadline: Duration,
    give_up: Duration,
    interval: Duration,
    request: Bytes,
    ticket: Option<Box<Ticket>>,
}

/// All phones.
pub(super) struct Phones {
    args: RegistrationsArgs,
    server: SocketAddr,
    /// Tells this run's answers from late ones of another.
    run: u32,
    phones: Vec<Phone>,
    timers: BinaryHeap<Reverse<(Duration, u32)>>,
    /// Registrations that are not over.
    open: usize,
    buffer: BytesMut,
    /// To be sent: from which phone, and what.
    pub(super) out: Vec<(u32, Bytes)>,
}

impl Phones {
    pub(super) fn new(args: &RegistrationsArgs, run: u32) -> Phones {
        let phone = || Phone {
            step: Step::Idle,
            cseq: 0,
            challenges: 0,
            began: Duration::ZERO,
            deadline: Duration::MAX,
            give_up: Duration::MAX,
            interval: T1,
            request: Bytes::new(),
            ticket: None,
        };
        Phones {
            args: args.clone(),
            server: SocketAddr::V4(args.server),
            run,
            phones: (0..args.users).map(|_| phone()).collect(),
            timers: BinaryHeap::new(),
            open: 0,
            buffer: BytesMut::with_capacity(BUFFER),
            out: Vec::new(),
        }
    }

    /// Registrations that are not over.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Begins a registration, or a refresh. False while the last one of this phone is not over.
    pub(super) fn start(&mut self, now: Duration, number: u32, course: &mut Course) -> bool {
        let phone = &mut self.phones[number as usize];
        if phone.step != Step::Idle {
            return false;
        }
        phone.began = now;
        phone.challenges = 0;
        self.open += 1;
        course.started += 1;
        self.ask(now, number);
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Duration, course: &mut Course) {
        while let Some(Reverse((at, number))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let phone = &mut self.phones[number as usize];
            if phone.deadline != at {
                continue;
            }
            match phone.step {
                Step::Idle => {}
                Step::Waiting => self.ask(now, number),
                Step::Asking if now >= phone.give_up => {
                    course.fail(now, "no answer".into());
                    self.over(number);
                }
                Step::Asking => {
                    phone.interval = (phone.interval * 2).min(T2);
                    let next = (now + phone.interval).min(phone.give_up);
                    self.out.push((number, phone.request.clone()));
                    course.repeats += 1;
                    self.arm(number, next);
                }
            }
        }
    }

    /// An answer has come.
    pub(super) fn receive(&mut self, now: Duration, message: &Message, course: &mut Course) {
        let number = message.call_id().ok().and_then(|id| self.read_key(id));
        let (Some(number), Ok(cseq), Some(status)) = (number, message.cseq(), message.status()) else {
            course.strays += 1;
            return;
        };
        let phone = &self.phones[number as usize];
        if phone.step != Step::Asking || phone.cseq != cseq.number {
            course.repeats_seen += 1;
            return;
        }
        match status {
            100..200 => {}
            200..300 => {
                course.succeed(now, now.saturating_sub(phone.began));
                self.over(number);
            }
            401 if phone.challenges < MAX_CHALLENGES && self.take_challenge(number, message) => {
                course.challenges += 1;
                self.ask(now, number);
            }
            503 if message.seconds(HeaderName::RetryAfter).is_some() => {
                let pause = message.seconds(HeaderName::RetryAfter).unwrap_or_default();
                course.sent_away += 1;
                self.phones[number as usize].step = Step::Waiting;
                self.arm(number, now + Duration::from_secs(pause.into()));
            }
            _ => {
                course.fail(now, format!("{status} {}", String::from_utf8_lossy(message.reason())));
                self.over(number);
            }
        }
    }

    /// Keeps what is needed to answer the challenge. False when there is none that we understand.
    fn take_challenge(&mut self, number: u32, message: &Message) -> bool {
        let mut offers = message.headers(HeaderName::WwwAuthenticate).filter_map(|value| AuthParams::parse(value).ok());
        let usable = |params: &AuthParams<'_>| {
            Challenge::read(params).is_some_and(|offer| offer.qop_auth && !offer.algorithm.is_session())
        };
        let Some(params) = offers.find(usable) else { return false };
        let Some(offer) = Challenge::read(&params) else { return false };
        let phone = &mut self.phones[number as usize];
        let user = numbered(&self.args.user, number);
        phone.challenges += 1;
        phone.ticket = Some(Box::new(Ticket {
            algorithm: offer.algorithm,
            realm: offer.realm.as_ref().into(),
            nonce: offer.nonce.as_ref().into(),
            opaque: offer.opaque.as_deref().map(Into::into),
            ha1: ha1(offer.algorithm, &user, &offer.realm, &self.args.password),
            count: 0,
        }));
        true
    }

    /// Sends the next REGISTER of a phone.
    fn ask(&mut self, now: Duration, number: u32) {
        let address = self.args.address(number);
        let phone = &mut self.phones[number as usize];
        phone.step = Step::Asking;
        phone.cseq += 1;
        phone.interval = T1;
        phone.give_up = now + GIVE_UP;
        if self.buffer.capacity() - self.buffer.len() < ROOM {
            self.buffer = BytesMut::with_capacity(BUFFER);
        }
        let RegistrationsArgs { domain, expires, .. } = &self.args;
        let (user, run, cseq) = (numbered(&self.args.user, number), self.run, phone.cseq);
        let out = &mut self.buffer;
        // Writing to a buffer that grows cannot fail.
        let _ = write!(
            out,
            "REGISTER sip:{domain} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};rport;branch=z9hG4bK{run:08x}{number:08x}{cseq:x}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag={run:08x}{number:08x}\r\nTo: <sip:{user}@{domain}>\r\n\
             Call-ID: {run:08x}{number:08x}@{ip}\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{user}@{address}>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{number:012x}>\"\r\n\
             Expires: {expires}\r\nUser-Agent: hookswitch bench\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n",
            ip = address.ip(),
        );
        if let Some(ticket) = &mut phone.ticket {
            ticket.count += 1;
            ticket.write(out, &user, domain);
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        phone.request = out.split().freeze();
        self.out.push((number, phone.request.clone()));
        self.arm(number, now + T1);
    }

    fn arm(&mut self, number: u32, at: Duration) {
        self.phones[number as usize].deadline = at;
        self.timers.push(Reverse((at, number)));
    }

    fn over(&mut self, number: u32) {
        let phone = &mut self.phones[number as usize];
        phone.step = Step::Idle;
        phone.deadline = Duration::MAX;
        phone.request = Bytes::new();
        self.open -= 1;
    }

    fn read_key(&self, id: &str) -> Option<u32> {
        let part = |from: usize| u32::from_str_radix(id.get(from..from + 8)?, 16).ok();
        let number = part(8)?;
        (part(0)? == self.run && (number as usize) < self.phones.len()).then_some(number)
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }
}

impl Ticket {
    fn write(&self, out: &mut BytesMut, user: &str, domain: &str) {
        let Ticket { algorithm, realm, nonce, opaque, count, .. } = self;
        let (uri, nc) = (format!("sip:{domain}"), format!("{count:08x}"));
        let protection = Protection { qop: "auth", cnonce: CNONCE, nc: &nc };
        let request = ha2(*algorithm, "REGISTER", &uri);
        let sum = response(*algorithm, self.ha1.as_str(), nonce, Some(protection), request.as_str());
        let _ = write!(
            out,
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{sum}\", algorithm={algorithm}, qop=auth, cnonce=\"{CNONCE}\", nc={nc}"
        );
        if let Some(opaque) = opaque {
            let _ = write!(out, ", opaque=\"{opaque}\"");
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn numbered(text: &str, number: u32) -> String {
    text.replace("{n}", &number.to_string())
}
