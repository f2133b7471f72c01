//! Via (RFC 3261 20.42).

use std::net::IpAddr;

use crate::error::HeaderProblem;
use crate::params::Params;
use crate::scan::{decimal, is_token, is_ws, trim};
use crate::uri::{Host, host_and_port};

/// What every branch made by an RFC 3261 element starts with (RFC 3261 8.1.1.7).
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

/// Transports whose port is not 5060 when none is written (RFC 3261 18.2.2, RFC 7118 5.3).
const DEFAULT_PORTS: [(&str, u16); 3] = [("TLS", 5061), ("WS", 80), ("WSS", 443)];

/// One hop: where a request came through and where its response goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS`, `WS`...; in the case it was written in.
    pub transport: &'a str,
    /// Host of sent-by.
    pub host: Host<'a>,
    /// Port of sent-by, when one is written.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
    /// Host and port as written; part of the transaction key.
    pub sent_by: &'a str,
}

impl<'a> Via<'a> {
    /// Reads one Via value (not a list of them).
    ///
    /// # Errors
    ///
    /// Anything but `SIP/2.0/transport sent-by *(;param)`; white space may stand around slashes and the colon.
    pub fn parse(value: &'a [u8]) -> Result<Via<'a>, HeaderProblem> {
        let rest = word(value, b"SIP").ok_or(HeaderProblem::Malformed("protocol is not SIP"))?;
        let rest = slash(rest)?;
        let rest = word(rest, b"2.0").ok_or(HeaderProblem::Malformed("protocol version is not 2.0"))?;
        let rest = trim(slash(rest)?);
        let end = rest.iter().position(|b| !is_token(*b)).unwrap_or(rest.len());
        let (transport, rest) = rest.split_at(end);
        if transport.is_empty() || !rest.first().is_some_and(|b| is_ws(*b)) {
            return Err(HeaderProblem::Malformed("no transport before the host"));
        }
        let (sent_by, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
        let sent_by = text(trim(sent_by))?;
        let (host, port) = if sent_by.bytes().any(is_ws) {
            spaced_host_port(sent_by)?
        } else {
            host_and_port(sent_by).map_err(HeaderProblem::Uri)?
        };
        Ok(Via { transport: text(transport)?, host, port, params: Params::new(params), sent_by })
    }

    /// The branch; an empty one counts as none.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// True when the branch was made by RFC 3261 rules and identifies the transaction alone: it starts with the magic
    /// cookie and has something behind it.
    pub fn has_unique_branch(&self) -> bool {
        self.unique_branch().is_some()
    }

    /// The branch, if it starts with the magic cookie and has something behind it.
    pub fn unique_branch(&self) -> Option<&'a str> {
        self.branch().filter(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch.as_bytes()[..MAGIC_COOKIE.len()].eq_ignore_ascii_case(MAGIC_COOKIE.as_bytes())
        })
    }

    /// `rport` (RFC 3581): `Some(None)` asks for it, `Some(Some(port))` is the answer. Garbage counts as asking.
    pub fn rport(&self) -> Option<Option<u16>> {
        let value = self.params.find("rport")?;
        Some(value.and_then(decimal).and_then(|port| u16::try_from(port).ok()))
    }

    /// `received`; `None` when it is absent or no address. IPv6 may stand in brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// `maddr`.
    pub fn maddr(&self) -> Option<&'a str> {
        self.params.get("maddr")
    }

    /// The port where sent-by listens: the one written, or the transport's default.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| {
            let known = DEFAULT_PORTS.iter().find(|(name, _)| self.transport.eq_ignore_ascii_case(name));
            known.map_or(5060, |(_, port)| *port)
        })
    }
}

/// `word` at the start of `text` without case, white space in front ignored; returns what follows.
fn word<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let text = trim(text);
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

fn slash(text: &[u8]) -> Result<&[u8], HeaderProblem> {
    trim(text).strip_prefix(b"/").ok_or(HeaderProblem::Malformed("slash expected in protocol"))
}

fn text(bytes: &[u8]) -> Result<&str, HeaderProblem> {
    std::str::from_utf8(bytes).map_err(|_| HeaderProblem::NotUtf8)
}

/// `host : port`, as the grammar allows and only test suites write.
fn spaced_host_port(sent_by: &str) -> Result<(Host<'_>, Option<u16>), HeaderProblem> {
    let host_end = match sent_by.rfind(']') {
        Some(bracket) => bracket + 1,
        None => sent_by.find(':').unwrap_or(sent_by.len()),
    };
    let (host, port) = sent_by.split_at(host_end);
    let (host, _) = host_and_port(host.trim()).map_err(HeaderProblem::Uri)?;
    let port = match port.trim().strip_prefix(':') {
        Some(digits) => Some(digits.trim().parse().map_err(|_| HeaderProblem::OutOfRange)?),
        None if port.trim().is_empty() => None,
        None => return Err(HeaderProblem::Malformed("text behind the host")),
    };
    Ok((host, port))
}
