//! What `hookswitch phone` can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip::Transport;
use hookswitch_sip_msg::Uri;

use crate::line::{address_towards, resolve};

const EXIT_CODES: &str = "\
Exit codes:
  0  what was asked for happened: registered, call answered, tone heard for 1 s
  1  sockets or files failed
  2  the command line cannot be understood
  3  the registration failed
  4  the call was refused or ended without an answer
  5  nobody answered: no reply, or unreachable
  6  the expected tone was not heard
  7  no call came in";

/// A SIP phone for scripts: it registers, calls or answers, plays and listens, and its exit code says whether what was
/// asked for happened.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub struct PhoneArgs {
    /// Whom to call: a SIP URI, or just the user at --domain. The user `echo` is expected to send back the tone
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// The same as TARGET
    #[arg(long, value_name = "URI", conflicts_with = "target")]
    pub call: Option<String>,
    /// User part of the phone's own address
    #[arg(long, default_value = "phone")]
    pub user: String,
    /// Password for challenges
    #[arg(long, env = "HOOKSWITCH_PHONE_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// Host part of the phone's own address [default: that of the target, else of --server]
    #[arg(long)]
    pub domain: Option<String>,
    /// Where requests are sent, HOST or HOST:PORT [default: the target's host, else --domain]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub server: Option<String>,
    /// How SIP travels [default: that of the target's URI, else udp]
    #[arg(long, value_enum)]
    pub transport: Option<TransportArg>,
    /// Address for SIP; port 0 takes any [default: the address towards the server, any port]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<SocketAddr>,
    /// Register first, and remove the registration in the end
    #[arg(long)]
    pub register: bool,
    /// How long the registration is asked to last, in seconds
    #[arg(long, value_name = "S", default_value_t = 3600)]
    pub expires: u32,
    /// Wait for a call and answer it
    #[arg(long)]
    pub answer: bool,
    /// Wait for a call and refuse it as busy (486)
    #[arg(long, conflicts_with = "answer")]
    pub busy: bool,
    /// Wait for a call and decline it (603)
    #[arg(long, conflicts_with_all = ["answer", "busy"])]
    pub decline: bool,
    /// Wait for a call and let it ring until the caller gives up
    #[arg(long, conflicts_with_all = ["answer", "busy", "decline"])]
    pub ring: bool,
    /// Ring so long before the decision, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub after: u64,
    /// How long to wait for a call to come in, in seconds
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub wait: f64,
    /// Take so many calls, one after the other; 0 goes on for ever
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub calls: u32,
    /// Call without an offer, and answer in the ACK
    #[arg(long)]
    pub late_offer: bool,
    /// Send a tone of this frequency [default: 440]
    #[arg(long, value_name = "HZ")]
    pub tone: Option<f32>,
    /// Send this WAV file once, then silence
    #[arg(long, value_name = "FILE", conflicts_with = "tone")]
    pub play: Option<PathBuf>,
    /// Send no audio at all
    #[arg(long, conflicts_with_all = ["tone", "play"])]
    pub silent: bool,
    /// Write what is heard to this WAV file
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The tone that must be heard for 1 s in all, and its lowest level in dBFS [default: the tone sent, when the
    /// target's user is echo]
    #[arg(long, value_name = "HZ[,DB]")]
    pub expect_tone: Option<ExpectedTone>,
    /// Hang up so long after the answer, in seconds [default: 3 for calls placed, never for calls taken]
    #[arg(long, value_name = "S")]
    pub duration: Option<f64>,
    /// Draw the SIP messages as they come and go
    #[arg(long)]
    pub ladder: bool,
    /// One JSON object per line instead of text
    #[arg(long)]
    pub json: bool,
}

/// The frequency sent where nothing else is asked for, in Hz.
pub(super) const TONE_HZ: f32 = 440.0;

/// The lowest level an expected tone may have where nothing else is said, in dBFS.
pub(super) const LEVEL_DBFS: f32 = -40.0;

/// How long a call lasts that we place, where nothing else is said.
const DURATION: Duration = Duration::from_secs(3);

/// How SIP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransportArg {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

impl From<TransportArg> for Transport {
    fn from(arg: TransportArg) -> Transport {
        match arg {
            TransportArg::Udp => Transport::Udp,
            TransportArg::Tcp => Transport::Tcp,
        }
    }
}

/// A tone that must be heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpectedTone {
    /// Frequency in Hz.
    pub hz: f32,
    /// Lowest level in dBFS.
    pub level_dbfs: f32,
}

impl FromStr for ExpectedTone {
    type Err = String;

    fn from_str(text: &str) -> Result<ExpectedTone, String> {
        let (hz, level) = text.split_once(',').unwrap_or((text, ""));
        let hz = hz.trim().parse().ok().filter(|hz| (200.0..=3600.0).contains(hz));
        let hz = hz.ok_or("the frequency must be a number from 200 to 3600")?;
        let level_dbfs = match level.trim() {
            "" => LEVEL_DBFS,
            level => level.parse().ok().filter(|level| *level <= 0.0).ok_or("the level must be 0 dBFS or less")?,
        };
        Ok(ExpectedTone { hz, level_dbfs })
    }
}

/// The command line as it is meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// URI to call.
    pub(super) target: Option<String>,
    /// What to do with calls that come in; `None` waits for none.
    pub(super) incoming: Option<AnswerPolicy>,
    pub(super) domain: String,
    pub(super) server: SocketAddr,
    pub(super) transport: Transport,
    pub(super) listen: SocketAddr,
    pub(super) expect: Option<ExpectedTone>,
    /// Length of a call before we end it.
    pub(super) duration: Option<Duration>,
    pub(super) wait: Duration,
}

impl PhoneArgs {
    /// Finds out what is meant, which may ask name servers and the routing table.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let incoming = self.incoming();
        let asked = self.target.as_ref().or(self.call.as_ref());
        if asked.is_none() && incoming.is_none() && !self.register {
            bail!("nothing to do: give a TARGET to call, --register, --answer, --busy, --decline or --ring");
        }
        let target = asked.map(|asked| self.as_uri(asked)).transpose()?;
        let uri = target.as_deref().map(Uri::parse).transpose().context("the target is no SIP URI")?;
        let named = uri.as_ref().map(|uri| (uri.host.to_string(), uri.port));
        let (host, port) = match &self.server {
            Some(server) => host_and_port(server)?,
            None => match (&named, &self.domain) {
                (Some((host, port)), _) => (host.clone(), *port),
                (None, Some(domain)) => (domain.clone(), None),
                (None, None) => bail!("where to register? Give --server or --domain"),
            },
        };
        let in_uri = uri.as_ref().and_then(|uri| uri.param("transport")).and_then(Transport::from_name);
        let transport = self.transport.map(Transport::from).or(in_uri).unwrap_or(Transport::Udp);
        let server = resolve(&host, port.unwrap_or(transport.default_port()))?;
        let domain = self.domain.clone().or_else(|| named.map(|(host, _)| host)).unwrap_or(host);
        let listen = match self.listen {
            Some(listen) if !listen.ip().is_unspecified() => listen,
            Some(listen) => SocketAddr::new(address_towards(server)?, listen.port()),
            None => SocketAddr::new(address_towards(server)?, 0),
        };
        let is_echo = uri.as_ref().is_some_and(|uri| uri.user == Some("echo"));
        let own_tone = ExpectedTone { hz: self.tone.unwrap_or(TONE_HZ), level_dbfs: LEVEL_DBFS };
        let heard_back = (is_echo && self.play.is_none() && !self.silent).then_some(own_tone);
        Ok(Plan {
            incoming,
            domain,
            server,
            transport,
            listen,
            expect: self.expect_tone.or(heard_back),
            duration: match (self.duration, &target) {
                (Some(wanted), _) => Some(seconds(wanted).context("--duration")?),
                (None, Some(_)) => Some(DURATION),
                (None, None) => None,
            },
            wait: seconds(self.wait).context("--wait")?,
            target,
        })
    }

    fn incoming(&self) -> Option<AnswerPolicy> {
        let after = Duration::from_millis(self.after);
        match (self.answer, self.busy, self.decline, self.ring) {
            (true, ..) => Some(AnswerPolicy::Answer { after }),
            (_, true, ..) => Some(AnswerPolicy::Refuse { status: 486, after }),
            (_, _, true, _) => Some(AnswerPolicy::Refuse { status: 603, after }),
            (_, _, _, true) => Some(AnswerPolicy::Ring),
            (false, false, false, false) => None,
        }
    }

    /// What people write for a SIP URI.
    fn as_uri(&self, target: &str) -> anyhow::Result<String> {
        let scheme = target.get(..4).unwrap_or_default().to_ascii_lowercase();
        if scheme == "sip:" || target.to_ascii_lowercase().starts_with("sips:") {
            return Ok(target.into());
        }
        if target.contains('@') {
            return Ok(format!("sip:{target}"));
        }
        let domain = self.domain.as_deref().or(self.server.as_deref());
        let domain = domain.with_context(|| format!("{target} at which host? Write sip:{target}@HOST"))?;
        Ok(format!("sip:{target}@{domain}"))
    }
}

fn seconds(seconds: f64) -> anyhow::Result<Duration> {
    Ok(Duration::try_from_secs_f64(seconds)?)
}

/// Reads `host`, `host:port`, `[v6]:port` and a bare IPv6 address.
fn host_and_port(text: &str) -> anyhow::Result<(String, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), Some(address.port())));
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok((text.into(), None));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().with_context(|| format!("{text} has no port behind its colon"))?;
            Ok((host.into(), Some(port)))
        }
        None => Ok((text.into(), None)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Shell {
        #[command(flatten)]
        phone: PhoneArgs,
    }

    fn plan(line: &str) -> anyhow::Result<Plan> {
        let words = std::iter::once("phone").chain(line.split_whitespace());
        Shell::try_parse_from(words)?.phone.plan()
    }

    #[test]
    fn the_short_form_means_an_echo_test_on_this_host() {
        let plan = plan("sip:echo@127.0.0.1 --ladder").unwrap();
        assert_eq!(plan.server, "127.0.0.1:5060".parse().unwrap());
        assert_eq!(plan.listen, "127.0.0.1:0".parse().unwrap());
        assert_eq!(plan.domain, "127.0.0.1");
        assert_eq!(plan.expect, Some(ExpectedTone { hz: TONE_HZ, level_dbfs: LEVEL_DBFS }));
        assert_eq!((plan.duration, plan.incoming, plan.transport), (Some(DURATION), None, Transport::Udp));
    }

    #[test]
    fn targets_may_be_brief() {
        assert_eq!(plan("bob --domain a.test --server 127.0.0.1").unwrap().target.unwrap(), "sip:bob@a.test");
        assert_eq!(plan("bob@a.test --server 127.0.0.1").unwrap().target.unwrap(), "sip:bob@a.test");
        assert!(plan("bob").unwrap_err().to_string().contains("at which host"));
        assert_eq!(plan("bob@a.test --server 127.0.0.1").unwrap().expect, None);
    }

    #[test]
    fn transport_and_port_come_from_the_uri_unless_said_otherwise() {
        let tcp = plan("sip:echo@127.0.0.1:5070;transport=tcp").unwrap();
        assert_eq!((tcp.transport, tcp.server.port()), (Transport::Tcp, 5070));
        let udp = plan("sip:echo@127.0.0.1;transport=tcp --transport udp --server [::1]:5080").unwrap();
        assert_eq!((udp.transport, udp.server), (Transport::Udp, "[::1]:5080".parse().unwrap()));
    }

    #[test]
    fn waiting_for_calls_is_one_thing_at_a_time() {
        let busy = AnswerPolicy::Refuse { status: 486, after: Duration::from_millis(200) };
        assert_eq!(plan("--busy --after 200 --server 127.0.0.1").unwrap().incoming, Some(busy));
        assert!(plan("--busy --answer --server 127.0.0.1").is_err());
        assert!(plan("--server 127.0.0.1").unwrap_err().to_string().contains("nothing to do"));
    }

    #[test]
    fn expected_tones_are_read_and_checked() {
        assert_eq!("620,-30".parse(), Ok(ExpectedTone { hz: 620.0, level_dbfs: -30.0 }));
        assert_eq!("620".parse(), Ok(ExpectedTone { hz: 620.0, level_dbfs: LEVEL_DBFS }));
        for wrong in ["", "x", "50", "4000", "620,3", "620,loud"] {
            assert!(wrong.parse::<ExpectedTone>().is_err(), "{wrong}");
        }
    }
}
