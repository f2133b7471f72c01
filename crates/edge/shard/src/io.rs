//! What goes into a shard and what comes out of it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_b2bua::toll::TollNews;
use hookswitch_b2bua::trunk::TrunkNews;
use hookswitch_b2bua::{Mailbox, MailboxChange};
use hookswitch_call::directory::{DirectoryChange, Layer, LookupNews, Question, QuestionId};
use hookswitch_call::{CallId, MediaOp, MediaReport, Time, Told};
use hookswitch_channels::Effort;
use hookswitch_dialect::call_api::{Admission, LogLost, LogOrder, SessionId, Tag};
use hookswitch_dialect::flow::{FlowNews, Question as FlowQuestion, QuestionId as FlowQuestionId, Reply as FlowReply};
use hookswitch_dialect::journal::CommandName;
use hookswitch_dialect::journal::record::CallDetail;
use hookswitch_dialect::rest;
use hookswitch_mediaswitch::{Note, NoteId};
use hookswitch_nodes as nodes;
use hookswitch_sip::guard::{Ban, GuardNews, Source};
use hookswitch_sip::registrar::{self, Binding, BindingId, RemovedWhy, StaleWhy};
use hookswitch_sip::resolve::{Answer, LookupId, RecordKind};
use hookswitch_sip::subscription::{Key, Subscription};
use hookswitch_sip::{Flow, Network};

use crate::inquiry::{AudioReport, Unreached};
use crate::recordings::RecordReport;
use crate::users::UserReply;

/// One HTTP request, named by the driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HttpId(pub u64);

/// Everything that can happen to a shard, beside the passing of time.
#[derive(Debug)]
pub enum Input {
    /// Bytes, or news of a connection, from a SIP socket.
    Sip(hookswitch_sip::Input),
    /// A media thread answers.
    Media(MediaReport),
    /// The domain name system answers [`Output::Lookup`].
    Answer {
        /// Which question.
        id: LookupId,
        /// What came of it.
        answer: Answer,
    },
    /// What came of [`Output::AskUser`].
    User {
        /// Which question.
        id: QuestionId,
        /// What was said.
        reply: UserReply,
    },
    /// Hosts on the Internet see us at these addresses from now on, at most one of each family.
    PublicAddresses(Vec<IpAddr>),
    /// An application has connected.
    SessionOpened {
        /// Its name from now on.
        session: SessionId,
        /// On which terms: its manner, and what its token allows.
        admission: Admission,
    },
    /// An application says something.
    Text {
        /// Who.
        session: SessionId,
        /// What: one WebSocket message.
        text: String,
    },
    /// An application has gone.
    SessionClosed(SessionId),
    /// What [`Output::Log`] asks for is not there.
    LogLost {
        /// From its order.
        tag: Tag,
        /// Why.
        lost: LogLost,
    },
    /// An HTTP request for the directory or the registrations.
    Http {
        /// Answer with this name.
        id: HttpId,
        /// `GET`, `PUT`, …
        method: CompactString,
        /// Path without query, percent-encoded as received.
        path: String,
        /// The whole body.
        body: Bytes,
    },
    /// A request for a media channel.
    Channel {
        /// Answer with this name, by [`Output::Http`].
        id: HttpId,
        /// `GET`, `PUT`, …
        method: CompactString,
        /// Path without query, percent-encoded as received.
        path: String,
        /// The whole body.
        body: Bytes,
    },
    /// What came of [`Output::Node`].
    Node(nodes::Answer),
    /// A node tells something of a leg, a registration or a channel.
    NodeTells {
        /// Answer with this name, by [`Output::Http`].
        id: HttpId,
        /// `PUT` or `DELETE`.
        method: CompactString,
        /// Path without query, percent-encoded as received; [`is_of_nodes`](nodes::is_of_nodes) knows it.
        path: String,
        /// The whole body.
        body: Bytes,
    },
    /// A request of the native REST.
    Rest {
        /// Answer with this name.
        id: HttpId,
        /// What is asked, and by whom.
        request: Box<rest::Request>,
    },
    /// What came of [`Output::AskFlow`].
    Flow {
        /// Which question.
        id: FlowQuestionId,
        /// The document, or why there is none.
        reply: Result<FlowReply, CompactString>,
    },
    /// The URL of a flow has no good answer to [`Output::AskFlow`], and its fallback URL is asked; what comes of that follows.
    FlowElsewhere {
        /// Which question.
        id: FlowQuestionId,
        /// What was wrong.
        why: CompactString,
    },
    /// What came of [`Output::Controller`].
    Controller {
        /// Which.
        id: NoteId,
        /// The status of the answer; none where there was no answer.
        status: Option<u16>,
    },
    /// A stored entry, at start, before any other input.
    Restore(Stored),
    /// How hard the media threads have worked in the last second.
    Effort(Effort),
    /// How hard the thread works that has the shard, in percent of its time: for whoever places legs on several hosts.
    Busy(f32),
    /// The lists of networks of the guard, allowed and dropped, were read again.
    Lists {
        /// Never banned.
        allow: Vec<Network>,
        /// Never heard.
        drop: Vec<Network>,
    },
    /// Take no new calls; [`Shard::idle`](crate::Shard::idle) says when the last one has ended.
    Drain,
    /// End every call: the program is about to stop.
    EndAll,
    /// Nothing comes any more: what is still owed is told as it is. The last input, after [`Input::EndAll`].
    Finish,
}

/// Everything a shard wants done.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes on a SIP socket.
    Send {
        /// From where to where.
        flow: Flow,
        /// One datagram, or a piece of the stream.
        bytes: Bytes,
    },
    /// Close a SIP connection.
    Close {
        /// Which.
        flow: Flow,
    },
    /// Ask the media thread of this call.
    Media(MediaOp),
    /// Ask the domain name system; wants [`Input::Answer`], whenever it comes.
    Lookup {
        /// Names the question.
        id: LookupId,
        /// A name without the last dot.
        name: CompactString,
        /// What is wanted.
        kind: RecordKind,
    },
    /// Ask who a user is; wants [`Input::User`], which counts as failed if it comes too late.
    AskUser(Question),
    /// Say something to an application.
    Text {
        /// To whom.
        session: SessionId,
        /// One WebSocket message.
        text: String,
    },
    /// Tell an application of the log of events, or no longer; wants [`Input::LogLost`] if it is not there.
    Log {
        /// Whom.
        session: SessionId,
        /// What.
        order: LogOrder,
    },
    /// Close an application's connection.
    CloseSession {
        /// Whose.
        session: SessionId,
        /// WebSocket close code.
        code: u16,
    },
    /// The answer to an HTTP request.
    Http {
        /// Which.
        id: HttpId,
        /// Status code.
        status: u16,
        /// Value for `Content-Type`.
        content_type: &'static str,
        /// Value for `Allow`, with status 405.
        allow: Option<&'static str>,
        /// The body.
        body: String,
    },
    /// The answer to a request of the native REST.
    Rest {
        /// Which.
        id: HttpId,
        /// What is answered.
        response: rest::Response,
    },
    /// A command of the native REST has ended. Once for each.
    Command(rest::CommandEnd),
    /// A call has a webhook of its own from now on, by name. Before anything that is told of a call that a request makes.
    Webhook {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// The name of the webhook.
        webhook: CompactString,
    },
    /// Ask who leads a call what comes next; wants [`Input::Flow`] unless it is the last question.
    AskFlow(FlowQuestion),
    /// What has become of a call that is led, for logs.
    Flow(FlowNews),
    /// Make this HTTP request to a controller; wants [`Input::Controller`].
    Controller(Note),
    /// Make this HTTP request to a node; wants [`Input::Node`].
    Node(nodes::Request),
    /// What has become of a node, for logs.
    NodeNews(nodes::NodeNews),
    /// Remember or forget something across restarts. An HTTP answer that follows it may be sent
    /// only once this is durable.
    Store(Change),
    /// Something has happened to a binding, for logs. In the order of happening, all of them.
    Binding(BindingNews),
    /// The guard has banned somebody, or let somebody go: for logs, and for who keeps them out elsewhere.
    Guard(GuardNews),
    /// A call was not made because of what it costs, for logs.
    Toll(TollNews),
    /// What has become of the look-ups of users, for logs.
    Users(LookupNews),
    /// Something has become of a trunk, for logs.
    Trunk(TrunkNews),
    /// What has become known of a call's audio, for logs.
    Audio(AudioReport),
    /// How the recording of a call goes, for logs.
    Recorded(RecordReport),
    /// A recording has begun or is over: to be noted, so that it is found after a restart ([`Stored::Recording`]).
    Keep(Box<rest::KeptRecording>),
    /// A place where nobody answers, for logs.
    Unreached(Unreached),
    /// All that is known of a call that is over: once for each call, after everything else about it.
    Record(Box<CallDetail>),
    /// An event of a call, for logs and metrics. In causal order per call.
    Told(Told, Option<CommandName>),
}

/// What has happened to a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingNews {
    /// The address of record.
    pub aor: Arc<str>,
    /// The contact URI, as its phone wrote it last.
    pub contact: Arc<str>,
    /// What it was.
    pub what: BindingEvent,
}

/// What can happen to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingEvent {
    /// It was made.
    Registered,
    /// It was given more time.
    Refreshed,
    /// Its phone is silent, or its flow is lost.
    Stale(StaleWhy),
    /// It was stale, and its phone was heard.
    Revived,
    /// It is gone.
    Removed(RemovedWhy),
}

impl From<&registrar::Change> for BindingNews {
    fn from(change: &registrar::Change) -> Self {
        let (aor, contact, what) = match change {
            registrar::Change::Put(binding) => {
                let what = if binding.is_new() { BindingEvent::Registered } else { BindingEvent::Refreshed };
                (&binding.aor, &binding.contact, what)
            }
            registrar::Change::Stale { aor, contact, why, .. } => (aor, contact, BindingEvent::Stale(*why)),
            registrar::Change::Revived { aor, contact, .. } => (aor, contact, BindingEvent::Revived),
            registrar::Change::Removed { aor, contact, why, .. } => (aor, contact, BindingEvent::Removed(*why)),
        };
        Self { aor: Arc::clone(aor), contact: Arc::clone(contact), what }
    }
}

/// What is stored.
#[derive(Clone, Debug)]
pub enum Stored {
    /// The pushed layer of a domain.
    Domain(CompactString, Layer),
    /// A registered contact.
    Binding(Box<Binding>),
    /// Somebody who wants to be told.
    Subscription(Box<Subscription>),
    /// What waits for a user, by its address of record.
    Mailbox(CompactString, Mailbox),
    /// A ban, after the bindings.
    Ban(Box<Ban>),
    /// A request of the native REST that must not be carried out twice.
    Key(Box<rest::StoredKey>),
    /// A recording that is over and has a file.
    Recording(Box<rest::KeptRecording>),
}

/// A change of what is stored.
#[derive(Clone, Debug)]
pub enum Change {
    /// Of the pushed directory.
    Directory(DirectoryChange),
    /// A binding is new or refreshed.
    BindingPut(Box<Binding>),
    /// Somebody is banned, or anew.
    BanPut(Box<Ban>),
    /// A ban is lifted, or forgotten.
    BanRemoved(Source),
    /// A binding is gone.
    BindingRemoved {
        /// Its address of record.
        aor: Arc<str>,
        /// Its number within that.
        id: BindingId,
    },
    /// A subscription is new or refreshed.
    SubscriptionPut(Box<Subscription>),
    /// A subscription is gone.
    SubscriptionRemoved(Key),
    /// What waits for a user has changed.
    Mailbox(MailboxChange),
    /// A request of the native REST was carried out that must not be twice.
    KeyPut(Box<rest::StoredKey>),
    /// It is long ago.
    KeyRemoved(rest::KeyName),
}
