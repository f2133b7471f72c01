//! Stream connections: cutting them into messages, keep-alives, and what their end means.

use std::net::SocketAddr;

use bytes::Bytes;
use hookswitch_sip_msg::{Answer, Frame, FramingError, KeepAlive, Message, StreamFramer};

use super::Endpoint;
use super::tables::Due;
use crate::Time;
use crate::config::PARTIAL_MESSAGE_PATIENCE;
use crate::event::{Event, FailCause};
use crate::transport::{ConnId, Flow, Output, PeerId, Transport};
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
        self.streams.entry(conn).or_insert_with(|| Stream { flow, framer: StreamFramer::new(), partial: None });
        self.stream_to.insert(towards(&flow), conn);
        // Whoever waited for a connection to that address has one now.
        let waiting = Flow { conn: None, ..flow };
        for txn in self.tables.over(&waiting) {
            self.tables.unlink(txn.slot);
            self.tables.clients[txn.slot as usize].flow.conn = Some(conn);
            self.tables.link(txn.slot);
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
