//! What waits until a user is looked up: senders whose password is needed, and addresses of users who are not known.
//!
//! ```text
//!  INVITE, REGISTER, … ──► is the sender settled? ──┬─ yes ──────────────────────────────► as ever
//!                                                   ├─ no, and has answered no challenge ► 401
//!                                                   ├─ no ──► question ──► settled ──────► as ever
//!                                                   └─ a limit, or no answer ────────────► 503
//!  Op::Locate, a text ───► is the user settled? ────┴─ the same, but for the challenge
//! ```
//!
//! Nobody is asked for because of a request whose sender has not answered a challenge of ours: that one comes from where
//! it says, and can be held to account. Everything else waits for nothing.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::directory::{Question, QuestionId, RETRY_AFTER, Standing, UserAnswer};
use hookswitch_call::{Address, CallId, Cause, Fault, Found, Kind, Orderer, Time};
use hookswitch_sip::auth::{Peek, Secret, Which};
use hookswitch_sip::guard::Offence;
use hookswitch_sip::{DialogId, Flow, Header, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::inbound::not_admitted;
use crate::locate::{aor, host_text};
use crate::{B2bua, Step, perform};

/// What whoever has to wait longer is told.
const NOT_NOW: &str = "User Look-up Does Not Answer";

/// A user, and the domain it is in.
pub(crate) type UserName = (CompactString, CompactString);

/// Everything that waits for a user.
#[derive(Default)]
pub(crate) struct Lookups {
    waiting: AHashMap<QuestionId, Vec<Waiter>>,
    /// How many are in `waiting`.
    count: usize,
    /// Those whose question is over.
    ready: VecDeque<Waiter>,
}

impl Lookups {
    /// How many requests and calls wait. At most [`max_waiting`](hookswitch_call::directory::LookupConfig::max_waiting)
    /// of them for an answer.
    pub fn len(&self) -> usize {
        self.count + self.ready.len()
    }
}

/// What goes on when a user is settled.
pub(crate) enum Waiter {
    Invite {
        dialog: DialogId,
        request: Message,
        flow: Flow,
    },
    Request {
        txn: TxnId,
        request: Message,
        flow: Flow,
    },
    /// A text whose sender has proved to be somebody.
    Text {
        txn: TxnId,
        request: Message,
        flow: Flow,
    },
    Place {
        call: CallId,
        to: Address,
        anywhere: bool,
        by: Orderer,
    },
}

/// How far it is known who sends a request.
enum Sender {
    /// As far as it will ever be.
    Settled,
    Refused(Response),
    Unsettled(UserName),
}

/// What whoever calls is told while no calls are taken.
#[must_use]
pub fn drained() -> Cause {
    Cause::new(Kind::Overloaded, Fault::Server).with_text("Server Is Drained")
}

impl B2bua {
    /// An INVITE: whether it is admitted, for which its sender may have to be looked up. `waited`: it has been.
    pub(crate) fn invite_came(&mut self, now: Time, dialog: DialogId, request: Message, flow: Flow, waited: bool) {
        // Before anybody is asked to prove anything: another host will ask again.
        if self.draining && request.header(HeaderName::Replaces).is_none() && !waited {
            return self.endpoint.turn_away(dialog, &request, flow, &perform::refusal(&drained()));
        }
        let refusal = match self.sender(now, &request, flow) {
            Sender::Settled => self.refusal_of(now, &request, flow),
            Sender::Refused(refusal) => Some(refusal),
            Sender::Unsettled(name) => match self.question(now, &name, self.stranger(flow)) {
                Some(id) => return self.wait_for(id, Waiter::Invite { dialog, request, flow }),
                None => Some(later()),
            },
        };
        match refusal {
            None => self.invited(now, dialog, &request, flow),
            // A 100 has stopped the caller from asking again: this one must arrive.
            Some(refusal) if waited => self.endpoint.respond(now, dialog, refusal),
            // Whoever has proved nothing gets an answer and no memory.
            Some(refusal) => self.endpoint.turn_away(dialog, &request, flow, &refusal),
        }
    }

    /// A request, whose sender may have to be looked up first.
    pub(crate) fn request_came(
        &mut self,
        now: Time,
        txn: TxnId,
        dialog: Option<DialogId>,
        request: Message,
        flow: Flow,
    ) {
        let has_sender =
            matches!(request.method(), Some(Method::Register | Method::Message | Method::Subscribe | Method::Publish));
        let sender = if dialog.is_none() && has_sender { self.sender(now, &request, flow) } else { Sender::Settled };
        let name = match sender {
            Sender::Settled => return self.requested(now, txn, dialog, &request, flow),
            Sender::Refused(refusal) => return self.endpoint.turn_away_request(txn, &request, flow, &refusal),
            Sender::Unsettled(name) => name,
        };
        match self.question(now, &name, self.stranger(flow)) {
            Some(id) => self.wait_for(id, Waiter::Request { txn, request, flow }),
            None => self.endpoint.turn_away_request(txn, &request, flow, &later()),
        }
    }

    /// A text waits for the user it goes to. The refusal, if it may not.
    pub(crate) fn text_waits(
        &mut self,
        now: Time,
        name: &UserName,
        (txn, request, flow): (TxnId, &Message, Flow),
    ) -> Option<Response> {
        match self.question(now, name, self.stranger(flow)) {
            Some(id) => {
                self.wait_for(id, Waiter::Text { txn, request: request.clone(), flow });
                None
            }
            None => Some(later()),
        }
    }

    /// A call waits for the user it goes to.
    pub(crate) fn call_waits(
        &mut self,
        now: Time,
        (call, to): (CallId, &Address),
        anywhere: bool,
        by: &Orderer,
        name: &UserName,
    ) {
        match self.question(now, name, None) {
            Some(id) => self.wait_for(id, Waiter::Place { call, to: to.clone(), anywhere, by: by.clone() }),
            None => self.located(call, to, Found::Nowhere(out_of_order()), None),
        }
    }

    /// A caller has given up before we knew who it is. Whether it was one that waits.
    pub(crate) fn forget_invite(&mut self, gone: DialogId) -> bool {
        let waits = |waiter: &Waiter| matches!(waiter, Waiter::Invite { dialog, .. } if *dialog == gone);
        let before = self.lookups.len();
        for waiters in self.lookups.waiting.values_mut() {
            let all = waiters.len();
            waiters.retain(|waiter| !waits(waiter));
            self.lookups.count -= all - waiters.len();
        }
        self.lookups.ready.retain(|waiter| !waits(waiter));
        self.lookups.len() < before
    }

    /// Takes the answer to [`Step::AskUser`].
    pub fn handle_user(&mut self, now: Time, id: QuestionId, answer: UserAnswer) {
        self.directory.answered(now, id, answer);
    }

    /// How many requests and calls wait for users to be looked up.
    #[must_use]
    pub fn waiting_for_users(&self) -> usize {
        self.lookups.len()
    }

    /// The next thing that the look-ups want done.
    pub(crate) fn step_lookups(&mut self, now: Time) -> Option<Step> {
        if let Some(waiter) = self.lookups.ready.pop_front() {
            self.go_on(now, waiter);
            return Some(Step::Handled);
        }
        if let Some(question) = self.directory.poll_settled() {
            self.user_settled(now, &question);
            return Some(Step::Handled);
        }
        self.directory.poll_question().map(Step::AskUser)
    }

    fn user_settled(&mut self, now: Time, question: &Question) {
        let gone = !self.directory.may_have(&question.domain, &question.user);
        // A user that no longer exists must not be reachable either. Of most there never was anything.
        if gone && self.registrar.remove_aor(&aor(&question.user, &question.domain)) > 0 {
            self.end_watches(now, &question.domain);
        }
        let waiters = self.lookups.waiting.remove(&question.id).unwrap_or_default();
        self.lookups.count -= waiters.len();
        self.lookups.ready.extend(waiters);
    }

    fn go_on(&mut self, now: Time, waiter: Waiter) {
        match waiter {
            Waiter::Invite { dialog, request, flow } => self.invite_came(now, dialog, request, flow, true),
            Waiter::Request { txn, request, flow } => self.request_came(now, txn, None, request, flow),
            Waiter::Text { txn, request, flow } => {
                if let Some(refusal) = self.texted(now, txn, &request, flow, true) {
                    self.endpoint.turn_away_request(txn, &request, flow, &refusal);
                }
            }
            Waiter::Place { call, to, anywhere, by } => self.look_for(now, (call, &to), anywhere, &by),
        }
    }

    /// How far it is known who sends a request that has to come from one of our users.
    fn sender(&mut self, now: Time, request: &Message, flow: Flow) -> Sender {
        let registers = request.method() == Some(&Method::Register);
        let believed = !registers && (self.is_trusted(flow) || self.trunk_at(flow).is_some());
        if believed || !self.directory.looks_up() {
            return Sender::Settled;
        }
        let address = if registers { request.to() } else { request.from() };
        let Some(uri) = address.ok().and_then(|address| address.uri().ok()).filter(|uri| uri.is_sip()) else {
            return Sender::Settled;
        };
        let user = CompactString::from(uri.user_unescaped().unwrap_or_default());
        let host = host_text(uri.host);
        let known = self.directory.resolve(&host).map(CompactString::from);
        let (domain, known) = match known {
            Some(domain) => (domain, true),
            None => match self.directory.may_become(&host) {
                Some(domain) => (domain, false),
                None => return Sender::Settled,
            },
        };
        match self.directory.standing(now, &domain, &user) {
            Standing::Nobody => Sender::Settled,
            Standing::Out => Sender::Refused(later()),
            // In a domain that is not known either there is nothing to ask the sender for.
            Standing::Unsettled if !known => Sender::Unsettled((domain, user)),
            Standing::Unsettled => match self.peek(now, request, &domain) {
                Peek::Alive { .. } => Sender::Unsettled((domain, user)),
                seen => Sender::Refused(self.challenge_unknown(now, flow.remote, &domain, seen)),
            },
            Standing::Known if self.directory.was_found(&domain, &user) => match self.peek(now, request, &domain) {
                Peek::Alive { right: false } if self.directory.doubt(now, &domain, &user) => {
                    Sender::Unsettled((domain, user))
                }
                Peek::Alive { .. } | Peek::Stale | Peek::Nothing => Sender::Settled,
            },
            Standing::Known => Sender::Settled,
        }
    }

    fn peek(&self, now: Time, request: &Message, domain: &str) -> Peek {
        let directory = &self.directory;
        let secret = |user: &str, realm: &str| Some(Secret::Password(directory.secret(realm, user)?.reveal()));
        self.gate.peek(now, request, domain, Which::Www, secret)
    }

    /// Asks whoever it is to prove it. As for a user who exists: whether there is one, nobody knows yet. But who does so
    /// under many names is looking for one.
    fn challenge_unknown(&mut self, now: Time, remote: SocketAddr, domain: &str, seen: Peek) -> Response {
        if self.directory.is_fishing(now, remote.ip()) {
            self.endpoint.guard_mut().offend(now, remote, Offence::UnknownUser);
        }
        not_admitted(self.gate.challenge(now, domain, Which::Www, seen == Peek::Stale))
    }

    /// The question that settles a user. None if a limit is reached.
    fn question(&mut self, now: Time, (domain, user): &UserName, source: Option<IpAddr>) -> Option<QuestionId> {
        let has_room = self.directory.has_room(now, self.lookups.count);
        if has_room { self.directory.ask(now, domain, user, source).ok() } else { None }
    }

    fn wait_for(&mut self, id: QuestionId, waiter: Waiter) {
        self.lookups.count += 1;
        self.lookups.waiting.entry(id).or_default().push(waiter);
    }

    /// Where a request comes from that nobody has to believe.
    fn stranger(&self, flow: Flow) -> Option<IpAddr> {
        (!self.is_trusted(flow)).then(|| flow.remote.ip())
    }
}

/// What whoever asks is told while we cannot know.
pub(crate) fn later() -> Response {
    let mut response = Response::new(503);
    response.reason = Some(NOT_NOW.into());
    response.headers.push(Header::new(HeaderName::RetryAfter, RETRY_AFTER.as_secs().to_string()));
    response
}

/// Why a user is not called while we cannot know whether there is one.
pub(crate) fn out_of_order() -> Cause {
    Cause::new(Kind::Overloaded, Fault::Server).with_text(NOT_NOW)
}
