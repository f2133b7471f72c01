//! Stream connections: cutting them into messages, keep-alives, and what their end means.

use std::net::SocketAddr;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::{Answer, Frame, FramingError, KeepAlive, Message, StreamFramer, Via};

use super::Endpoint;
use super::tables::Due;
use crate::Time;
use crate::config::PARTIAL_MESSAGE_PATIENCE;
use crate::event::{Event, FailCause};
use crate::transport::{ConnId, Flow, MAX_PROVED, MAX_PROVED_NAME, Output, PeerId, Transport};
use crate::wheel::TimerKey;

/// What asks for a sign of life (RFC 5626 4.4.1).
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";

/// What connections are chosen by when any will do: one that somebody else has proved to be at its end is none.
pub(super) type Towards = (Transport, SocketAddr, Option<PeerId>);

pub(super) fn towards(flow: &Flow) -> Towards {
    (flow.transport, flow.remote, flow.peer)
}

/// One connection.
pub(super) struct Stream {
    flow: Flow,
    framer: StreamFramer,
    /// Runs while half a message is held.
    partial: Option<TimerKey>,
    /// The domains that the other end has proved to be.
    names: Box<[CompactString]>,
    /// Where else it listens, and has said to be reached over this connection instead.
    alias: Option<SocketAddr>,
    /// Whoever uses the endpoint trusts the other end.
    pub(super) trusted: bool,
}

impl Endpoint {
    pub(super) fn on_opened(&mut self, flow: Flow) {
        let Some(conn) = flow.conn else {
            return;
        };
        if self.streams.len() >= self.config.max_connections {
            self.out.push_back(Output::Close { flow });
            return;
        }
        self.streams.entry(conn).or_insert_with(|| Stream {
            flow,
            framer: StreamFramer::new(),
            partial: None,
            names: Box::default(),
            alias: None,
            trusted: false,
        });
        self.stream_to.insert(towards(&flow), conn);
        // Whoever waited for a connection to that address has one now.
        let waiting = Flow { conn: None, ..flow };
        for txn in self.tables.over(&waiting) {
            self.tables.unlink(txn.slot);
            self.tables.clients[txn.slot as usize].flow.conn = Some(conn);
            self.tables.link(txn.slot);
        }
    }

    /// What a connection brings from then on comes from these domains. One that was not let in is none.
    pub(super) fn on_proved(&mut self, flow: Flow, names: Box<[CompactString]>) {
        let Some(stream) = flow.conn.and_then(|conn| self.streams.get_mut(&conn)) else {
            return;
        };
        let fits = |name: &CompactString| name.len() <= MAX_PROVED_NAME;
        stream.names = names.into_iter().filter(fits).take(MAX_PROVED).collect();
    }

    /// The domains that the other end of a connection has proved to be by its certificate (RFC 5922), in lower case. None
    /// of other flows, and none when the connection is gone.
    #[must_use]
    pub fn proved(&self, flow: Flow) -> &[CompactString] {
        let stream = flow.conn.and_then(|conn| self.streams.get(&conn));
        stream.map(|stream| &*stream.names).unwrap_or_default()
    }

    /// Whoever has proved who it is may have us use its connection in the place of one of our own to the port on which it
    /// listens (RFC 5923 section 8.2). Its address is the one that it is seen at.
    pub(super) fn note_alias(&mut self, flow: Flow, via: &Via<'_>) {
        if flow.transport != Transport::Tls || via.params.find("alias").is_none() {
            return;
        }
        let address = SocketAddr::new(flow.remote.ip(), via.port_or_default());
        let Some(conn) = flow.conn else { return };
        let Some(stream) = self.streams.get_mut(&conn).filter(|stream| !stream.names.is_empty()) else { return };
        let before = stream.alias.replace(address).filter(|before| *before != address);
        self.aliases.insert(address, conn);
        if let Some(before) = before {
            self.forget_alias(before, conn);
        }
    }

    fn forget_alias(&mut self, address: SocketAddr, conn: ConnId) {
        if self.aliases.get(&address) == Some(&conn) {
            self.aliases.remove(&address);
        }
    }

    /// The connection to use in the place of one to that address, if the other end wants that and has proved to be `name`,
    /// for which its certificate is (RFC 5923 section 8.1).
    #[must_use]
    pub fn alias(&self, address: SocketAddr, name: &str) -> Option<ConnId> {
        let conn = *self.aliases.get(&address)?;
        let proved = self.streams.get(&conn)?.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        proved.then_some(conn)
    }

    /// What comes over this connection comes from many: it is no flood, and whoever else is behind that address does not
    /// keep it from being heard.
    pub fn trust(&mut self, now: Time, flow: Flow) {
        if let Some(stream) = flow.conn.and_then(|conn| self.streams.get_mut(&conn)) {
            stream.trusted = true;
            self.guard.know(now, flow.remote);
        }
    }

    pub(super) fn on_stream(&mut self, now: Time, flow: Flow, bytes: &[u8]) {
        let Some(conn) = flow.conn else {
            return;
        };
        if !self.streams.contains_key(&conn) {
            self.on_opened(flow);
        }
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        stream.framer.push(bytes);
        loop {
            // Looked up again each time, because a message may have closed the connection.
            let Some(stream) = self.streams.get_mut(&conn) else {
                return;
            };
            match stream.framer.next() {
                Ok(Some(Frame::Message(message))) => self.receive(now, flow, message),
                Ok(Some(Frame::KeepAlive(KeepAlive::Ping))) => self.send(flow, Bytes::from_static(b"\r\n")),
                Ok(Some(Frame::KeepAlive(KeepAlive::Pong))) => {}
                Ok(None) => break,
                Err(error) => {
                    self.refuse_stream(now, flow, &error);
                    self.close(now, flow, conn);
                    return;
                }
            }
        }
        self.watch_partial(now, conn);
    }

    /// A message that came whole, or a keep-alive: WebSocket has its own, and yet some send that of streams.
    pub(super) fn on_message(&mut self, now: Time, flow: Flow, bytes: Bytes) {
        let Some(conn) = flow.conn else {
            return;
        };
        if !self.streams.contains_key(&conn) {
            self.on_opened(flow);
        }
        if !self.streams.contains_key(&conn) {
            return;
        }
        if bytes.iter().take(KEEP_ALIVE.len() + 1).all(|byte| matches!(byte, b'\r' | b'\n')) {
            if *bytes == *KEEP_ALIVE {
                self.send(flow, Bytes::from_static(b"\r\n"));
            }
            return;
        }
        self.receive(now, flow, bytes);
    }

    /// A message that never becomes whole must not hold a connection and its buffer for ever.
    fn watch_partial(&mut self, now: Time, conn: ConnId) {
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        match (stream.framer.pending() > 0, stream.partial) {
            (true, None) => {
                stream.partial = Some(self.wheel.insert(now + PARTIAL_MESSAGE_PATIENCE, Due::Partial(conn)));
            }
            (false, Some(timer)) => {
                self.wheel.remove(timer);
                stream.partial = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    pub(super) fn on_partial_timeout(&mut self, now: Time, conn: ConnId) {
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        stream.partial = None;
        let flow = stream.flow;
        self.close(now, flow, conn);
    }

    /// Says what was wrong, as far as the head of the message could be read.
    fn refuse_stream(&mut self, now: Time, flow: Flow, error: &FramingError) {
        self.count_garbage(now, flow);
        let Some(head) = &error.head else {
            return;
        };
        let message = match Message::parse(head.clone()) {
            Ok(message) => Some(message),
            Err(error) => error.into_salvage(),
        };
        let reason = format!("Bad Request - {}", error.problem);
        let status = error.problem.status();
        let answer = Answer {
            status,
            reason: if status == 400 { &reason } else { "" },
            to_tag: Some("refused"),
            source: Some(flow.remote),
        };
        if let Some(draft) = message.and_then(|message| answer.write(&message)) {
            self.send(flow, draft.finish());
        }
    }

    pub(super) fn close(&mut self, now: Time, flow: Flow, conn: ConnId) {
        self.out.push_back(Output::Close { flow });
        self.forget_stream(flow, conn);
        self.fail_over(now, flow);
    }

    pub(super) fn on_closed(&mut self, now: Time, flow: Flow) {
        if let Some(conn) = flow.conn
            && self.streams.contains_key(&conn)
        {
            self.forget_stream(flow, conn);
        }
        self.fail_over(now, flow);
    }

    /// Nobody is there: connections to that address are not touched, only what was being sent there.
    pub(super) fn on_unreachable(&mut self, now: Time, flow: Flow) {
        self.fail_over(now, flow);
    }

    fn forget_stream(&mut self, flow: Flow, conn: ConnId) {
        let Some(stream) = self.streams.remove(&conn) else {
            return;
        };
        if let Some(timer) = stream.partial {
            self.wheel.remove(timer);
        }
        if let Some(address) = stream.alias {
            self.forget_alias(address, conn);
        }
        self.guard.forget(flow.remote);
        if self.stream_to.get(&towards(&stream.flow)) == Some(&conn) {
            self.stream_to.remove(&towards(&stream.flow));
        }
        self.emit(Event::FlowClosed { flow });
    }

    /// Requests that were sent over this flow and have no final response will not get one.
    fn fail_over(&mut self, now: Time, flow: Flow) {
        for txn in self.tables.over(&flow) {
            // Giving one up may end others and start new ones, so each is looked up by name.
            if self.tables.client(txn).is_some_and(|txn| txn.machine.awaits_final())
                && !self.turn_to_datagrams(now, txn.slot)
            {
                self.give_up(now, txn.slot, FailCause::Unreachable);
            }
        }
    }
}
