//! As much of an HTTP client as a measurement needs: one request at a time on a connection that stays.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use hookswitch_net::{read_stamped, stamp_arrivals};
use mio::{Interest, Registry, Token};

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// Bytes read by one system call.
const ROOM: usize = 16 * 1024;

/// One connection.
pub(super) struct Connection {
    stream: mio::net::TcpStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// When the last piece of what was read arrived, by the calendar's clock.
    pub(super) arrived: Option<Duration>,
    /// What every request says of itself: whom it is for, and who asks.
    common: String,
}

/// Something to ask for.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) body: Option<&'a str>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(
        server: SocketAddr,
        token: Option<&str>,
        registry: &Registry,
        name: Token,
    ) -> anyhow::Result<Self> {
        let stream =
            std::net::TcpStream::connect(server).with_context(|| format!("no control listener at {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        stamp_arrivals(&stream)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        registry.register(&mut stream, name, Interest::READABLE | Interest::WRITABLE)?;
        let mut common = format!("Host: {server}\r\n");
        if let Some(token) = token {
            common.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        Ok(Self { stream, outgoing: Vec::new(), incoming: Vec::new(), arrived: None, common })
    }

    /// Sends a request.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> anyhow::Result<()> {
        let Request { method, path, key, body } = request;
        let out = &mut self.outgoing;
        write!(out, "{method} {path} HTTP/1.1\r\n{}", self.common)?;
        if let Some(key) = key {
            write!(out, "Idempotency-Key: {key}\r\n")?;
        }
        match body {
            Some(body) => {
                write!(out, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())?
            }
            None => write!(out, "\r\n")?,
        }
        self.flush()
    }

    /// Sends as much as the system takes.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[sent..]) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection was lost"),
            }
        }
        self.outgoing.drain(..sent);
        Ok(())
    }

    /// Reads what is there; the answer, when it is whole.
    pub(super) fn read(&mut self) -> anyhow::Result<Option<Answer>> {
        let mut room = [0; ROOM];
        loop {
            match read_stamped(&self.stream, &mut room) {
                Ok((0, _)) => bail!("the switch has closed a connection"),
                Ok((len, arrived)) => {
                    self.arrived = arrived.or(self.arrived);
                    self.incoming.extend_from_slice(&room[..len]);
                    if len < ROOM {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection was lost"),
            }
        }
        let Some((answer, used)) = parse(&self.incoming)? else { return Ok(None) };
        self.incoming.drain(..used);
        Ok(Some(answer))
    }
}

/// The first answer in these bytes and where it ends; none until it is whole.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        ensure!(bytes.len() <= MAX_ANSWER, "the head of an answer does not end");
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..head]).context("an answer is not HTTP")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("an answer is not HTTP: {text}"))?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.with_context(|| format!("an answer does not say how long it is: {text}"))?;
    ensure!(length <= MAX_ANSWER, "an answer of {length} bytes");
    let (from, to) = (head + 4, head + 4 + length);
    Ok((to <= bytes.len()).then(|| (Answer { status, body: bytes[from..to].to_vec() }, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_out_of_a_stream() {
        let one = b"HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n";
        for short in 0..59 {
            assert_eq!(parse(&one[..short]).unwrap(), None, "{short}");
        }
        assert_eq!(parse(one).unwrap(), Some((Answer { status: 201, body: b"{}".to_vec() }, 59)));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bad in
            ["SSH-2.0 hello\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"]
        {
            parse(bad.as_bytes()).unwrap_err();
        }
    }
}
