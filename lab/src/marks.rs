//! Audio that names who sent it: a few packets are enough to tell who hears whom.

use std::net::SocketAddr;

use bytes::Bytes;
use hookswitch_rtp::{Header, Packet};

use crate::lab::{Lab, PhoneId};

/// What a marked packet begins with.
const MARK: &[u8; 4] = b"\x7fmrk";

/// Bytes of a packet of 20 ms.
const PAYLOAD: usize = 160;

/// One of a phone's calls, as audio names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// The phone.
    pub phone: PhoneId,
    /// Its line.
    pub line: hookswitch_phone::Line,
}

/// A marked packet that arrived.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// At which port of a phone.
    pub to: SocketAddr,
    /// Who sent it.
    pub voice: Voice,
}

impl Lab {
    /// A phone sends one packet of each of its calls that may send, marked; `serial` counts the packets of the run.
    pub fn mark(&mut self, phone: PhoneId, serial: u16) {
        let calls: Vec<_> = self.phones[phone.0]
            .phone
            .calls()
            .map(|call| {
                let ready = call.sends && call.phase == hookswitch_phone::Phase::Talking;
                (call.line, call.local, call.remote.filter(|_| ready), call.payload_type, ssrc_of(call.call_id))
            })
            .collect();
        for (line, local, remote, payload_type, ssrc) in calls {
            let (Some(remote), Some(payload_type)) = (remote, payload_type) else { continue };
            let timestamp = u32::from(serial) * PAYLOAD as u32;
            let header = Header { marker: serial == 0, payload_type, sequence: serial, timestamp, ssrc };
            let mut packet = header.to_bytes().to_vec();
            packet.extend_from_slice(MARK);
            packet.extend_from_slice(&[phone.0 as u8, line.0]);
            packet.resize(packet.len() + PAYLOAD - MARK.len() - 2, 0xff);
            self.send_datagram(local, remote, Bytes::from(packet));
        }
    }

    /// The marked packets that arrived at phones since the last time this was asked.
    pub fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    pub(crate) fn hear_mark(&mut self, to: SocketAddr, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        if let Some([phone, line, ..]) = packet.payload().strip_prefix(MARK) {
            let voice = Voice { phone: PhoneId(usize::from(*phone)), line: hookswitch_phone::Line(*line) };
            self.marks.push(Mark { to, voice });
        }
    }
}

fn ssrc_of(call_id: &str) -> u32 {
    call_id.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
