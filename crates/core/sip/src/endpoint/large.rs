//! Requests too large for a datagram go by TCP, and come back to UDP where nobody takes them there (RFC 3261 18.1.1).
//!
//! Only in dialogs whose user has said that the other side may be connected to: a phone behind a NAT, which is reached by
//! the flow that it has registered on, is not.

use bytes::{Bytes, BytesMut};
use hookswitch_sip_msg::Method;

use super::tables::{ClientMachine, Owner};
use super::{Endpoint, NewClient};
use crate::Time;
use crate::transaction::{Client, ClientInvite};
use crate::transport::{Flow, Transport};

/// How the first Via of a request of ours begins, behind the request line.
const VIA: &[u8] = b"\r\nVia: SIP/2.0/";

impl Endpoint {
    /// Turns a request that is too large for UDP to TCP; the flow it had before is the result.
    pub(super) fn turn_to_stream(&mut self, new: &mut NewClient) -> Option<Box<Flow>> {
        let most = self.config.stream_above;
        if most == 0 || new.bytes.len() <= most || new.flow.transport != Transport::Udp {
            return None;
        }
        let (Owner::Invite(id) | Owner::Reinvite(id) | Owner::Update(id) | Owner::Refresh(id)) = &new.owner else {
            return None;
        };
        if !self.tables.call(*id)?.dialog.may_connect {
            return None;
        }
        let remote = new.flow.remote;
        let mut listen = self.config.listen.iter();
        let ours = listen.find(|at| at.transport == Transport::Tcp && at.address.is_ipv4() == remote.is_ipv4())?;
        let local = std::net::SocketAddr::new(new.flow.local.ip(), ours.address.port());
        let stream = self.live(Flow::tcp(local, remote));
        let bytes = with_via(&new.bytes, &stream, &self.desk.names.sent_by(&stream))?;
        let datagrams = std::mem::replace(&mut new.flow, stream);
        new.bytes = bytes;
        Some(Box::new(datagrams))
    }

    /// Sends a request by UDP after all, if it was turned to TCP and nobody was there. False if it was not.
    pub(super) fn turn_to_datagrams(&mut self, now: Time, slot: u32) -> bool {
        let Some(flow) = self.tables.clients[slot as usize].datagrams.take() else {
            return false;
        };
        let bytes = with_via(&self.tables.clients[slot as usize].bytes, &flow, &self.desk.names.sent_by(&flow));
        let Some(bytes) = bytes else {
            return false;
        };
        self.tables.unlink(slot);
        let txn = &mut self.tables.clients[slot as usize];
        txn.flow = *flow;
        txn.bytes = bytes.clone();
        txn.machine = match txn.method {
            Method::Invite => ClientMachine::Invite(ClientInvite::start(now, &self.config.timers, flow.transport)),
            _ => ClientMachine::Other(Client::start(now, &self.config.timers, flow.transport)),
        };
        self.tables.link(slot);
        self.arm_client(slot);
        self.send(*flow, bytes);
        true
    }
}

/// The same request with another transport and address in its topmost Via, which is the first line behind the first.
fn with_via(request: &Bytes, flow: &Flow, sent_by: &str) -> Option<Bytes> {
    let start = request.windows(2).position(|pair| pair == b"\r\n")?;
    let rest = request[start..].strip_prefix(VIA)?;
    let end = request.len() - rest.len() + rest.iter().position(|byte| *byte == b';')?;
    let mut out = BytesMut::with_capacity(request.len() + 64);
    for part in [&request[..start], VIA, flow.transport.name().as_bytes(), b" ", sent_by.as_bytes(), &request[end..]] {
        out.extend_from_slice(part);
    }
    Some(out.freeze())
}
