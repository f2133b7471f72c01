//! As much of a WebSocket client as a measurement needs: whole text frames, written and read in as few system calls as
//! possible, so that the daemon is what is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hookswitch_net::{read_stamped, stamp_arrivals};
use mio::{Interest, Registry, Token};

/// Bytes read by one system call.
const READ: usize = 64 * 1024;

/// How long the daemon may take to open a session.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bit of the first byte of a frame (RFC 6455 section 5.2).
const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Bit of the second byte: what a client sends is masked, here with zeros, which change nothing.
const MASKED: u8 = 0x80;

/// One session with the daemon.
pub(in crate::bench) struct Socket {
    stream: mio::net::TcpStream,
    incoming: Vec<u8>,
    /// What of `incoming` was handed out already.
    used: usize,
    outgoing: Vec<u8>,
    /// When the last piece of what was read arrived, by the calendar's clock.
    pub(in crate::bench) arrived: Option<Duration>,
}

impl Socket {
    /// Opens a session.
    pub(in crate::bench) fn open(
        server: SocketAddr,
        path: &str,
        registry: &Registry,
        token: Token,
    ) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(server).with_context(|| format!("no daemon at {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aG9va3N3aXRjaCBiZW5jaA==\r\n\r\n"
        )?;
        let mut incoming = Vec::new();
        let end = loop {
            let mut room = [0; 1024];
            let len = stream.read(&mut room)?;
            ensure!(len > 0, "the daemon closes the connection");
            incoming.extend_from_slice(&room[..len]);
            if let Some(end) = incoming.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let status = String::from_utf8_lossy(&incoming[..end]);
        ensure!(
            status.starts_with("HTTP/1.1 101"),
            "the daemon refuses a session: {}",
            status.lines().next().unwrap_or("")
        );
        stream.set_nonblocking(true)?;
        stamp_arrivals(&stream)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, incoming, used: end, outgoing: Vec::new(), arrived: None })
    }

    /// Queues one text; [`Socket::flush`] sends it.
    pub(in crate::bench) fn say(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes());
    }

    fn frame(&mut self, opcode: u8, payload: &[u8]) {
        self.outgoing.push(FIN | opcode);
        match u16::try_from(payload.len()) {
            Ok(len @ 0..=125) => self.outgoing.push(MASKED | len as u8),
            Ok(len) => {
                self.outgoing.push(MASKED | 126);
                self.outgoing.extend_from_slice(&len.to_be_bytes());
            }
            Err(_) => {
                self.outgoing.push(MASKED | 127);
                self.outgoing.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        self.outgoing.extend_from_slice(&[0; 4]);
        self.outgoing.extend_from_slice(payload);
    }

    /// Sends as much as the system takes.
    pub(in crate::bench) fn flush(&mut self) -> anyhow::Result<()> {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[sent..]) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a session was lost"),
            }
        }
        self.outgoing.drain(..sent);
        Ok(())
    }

    /// Reads what has arrived.
    pub(in crate::bench) fn fill(&mut self) -> anyhow::Result<()> {
        self.incoming.drain(..self.used);
        self.used = 0;
        loop {
            let have = self.incoming.len();
            self.incoming.resize(have + READ, 0);
            let read = read_stamped(&self.stream, &mut self.incoming[have..]);
            self.incoming.truncate(have + read.as_ref().map_or(0, |(len, _)| *len));
            match read {
                Ok((0, _)) => bail!("the daemon has closed a session"),
                Ok((_, arrived)) => self.arrived = arrived.or(self.arrived),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a session was lost"),
            }
        }
    }

    /// Reads once into room that others use as well, and calls `each` with every text that is whole. True if there may be
    /// more: the room was filled.
    pub(in crate::bench) fn read_texts(&mut self, room: &mut [u8], mut each: impl FnMut(&str)) -> anyhow::Result<bool> {
        let len = match read_stamped(&self.stream, room) {
            Ok((0, _)) => bail!("the daemon has closed a session"),
            Ok((len, arrived)) => {
                self.arrived = arrived.or(self.arrived);
                len
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error).context("a session was lost"),
        };
        self.incoming.extend_from_slice(&room[..len]);
        while let Some((opcode, from, to)) = frame(&self.incoming[self.used..]) {
            let payload = self.used + from..self.used + to;
            self.used += to;
            match opcode {
                TEXT => each(std::str::from_utf8(&self.incoming[payload])?),
                PING => {
                    let payload = self.incoming[payload].to_vec();
                    self.frame(PONG, &payload);
                    self.flush()?;
                }
                CLOSE => bail!("the daemon closes a session"),
                _ => {}
            }
        }
        self.incoming.drain(..std::mem::take(&mut self.used));
        Ok(len == room.len())
    }

    /// The next text of those that were read.
    pub(in crate::bench) fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            let Some((opcode, from, to)) = frame(&self.incoming[self.used..]) else { return Ok(None) };
            let payload = self.incoming[self.used + from..self.used + to].to_vec();
            self.used += to;
            match opcode {
                TEXT => return Ok(Some(String::from_utf8(payload)?)),
                PING => {
                    self.frame(PONG, &payload);
                    self.flush()?;
                }
                CLOSE => bail!("the daemon closes a session"),
                _ => {}
            }
        }
    }
}

/// Opcode of the first frame, and where its payload begins and ends; `None` until it is whole.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (from, len): (usize, usize) = match second & !MASKED {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        len => (2, usize::from(len)),
    };
    let to = from.checked_add(len)?;
    (to <= bytes.len()).then_some((first & 0x0F, from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_out_of_a_stream() {
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x89, 0];
        assert_eq!(frame(&bytes[..3]), None);
        assert_eq!(frame(&bytes), Some((TEXT, 2, 4)));
        assert_eq!(frame(&bytes[4..]), Some((PING, 2, 2)));
        bytes = [vec![0x81, 126, 1, 0], vec![b'x'; 256]].concat();
        assert_eq!(frame(&bytes), Some((TEXT, 4, 260)));
        assert_eq!(frame(&bytes[..259]), None);
        bytes = [vec![0x81, 127], 70_000_u64.to_be_bytes().to_vec(), vec![b'x'; 70_000]].concat();
        assert_eq!(frame(&bytes), Some((TEXT, 10, 70_010)));
    }
}
