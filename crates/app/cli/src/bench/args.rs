//! What `hookswitch bench` can be told.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::call_api::CallApiArgs;
use super::events::EventsArgs;
use super::media::MediaArgs;
use super::quality::QualityArgs;
use super::ratios::RatiosArgs;
use super::registrations::RegistrationsArgs;
use super::rest::RestArgs;

/// Load for SIP servers and Call API daemons, and what it costs them.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub(super) what: What,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum What {
    /// Complete calls through a server, caller and callee in this process
    Calls(CallsArgs),
    /// Register many phones, refresh them and let them be called
    Registrations(RegistrationsArgs),
    /// What audio costs a media thread: relayed, and transcoded between codecs, without signalling
    Media(MediaArgs),
    /// Many readers of the log of events, and how soon it is there again after a restart
    Events(EventsArgs),
    /// Commands to a switch by its native REST, about calls of phones in this process
    Rest(RestArgs),
    /// What becomes of sound on its way from one codec to another, as a WAV file to be judged
    Quality(QualityArgs),
    /// What a Call API daemon adds between its applications and a simulated OpenSIPS
    CallApi(CallApiArgs),
    /// Figures of two servers side by side, from files with what `calls --json` or `registrations --json` printed
    Ratios(RatiosArgs),
}

const EXIT_CODES: &str = "\
Every call is INVITE with SDP, 180, 200, ACK, and after the hold time BYE, 200. The server must send the calls on to
--callee-addr. The callee finds the number of a call at the end of the called user's name. A called user whose name
begins with rings- rings until the call is cancelled, so that a server that forks can be measured.

Exit codes:
  0  every call was completed, and no audio was lost
  1  some calls failed or some audio was lost
  2  the command line cannot be understood
  3  sockets failed, or a process to be measured is not there";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CallsArgs {
    /// Where INVITEs are sent
    #[arg(long, value_name = "IP:PORT")]
    pub(super) server: SocketAddr,
    /// Calls started per second
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    pub(super) rate: f64,
    /// Start so many calls
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub(super) calls: Option<u64>,
    /// Start calls for so long, in seconds [default: 10, unless --calls is given]
    #[arg(long, value_name = "S")]
    pub(super) duration: Option<f64>,
    /// Length of a call from answer to BYE, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub(super) hold: f64,
    /// Time from 180 to 200, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(super) ring: f64,
    /// Address of all callers
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub(super) caller_addr: SocketAddr,
    /// Address of all callees
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.2:5070")]
    pub(super) callee_addr: SocketAddr,
    /// Address of the callers; {n} is replaced by the number of the call
    #[arg(long, value_name = "URI", default_value = "sip:load@127.0.0.1")]
    pub(super) from: String,
    /// Whom to call; {n} is replaced by the number of the call [default: sip:bench-{n}@SERVER]
    #[arg(long, value_name = "URI")]
    pub(super) to: Option<String>,
    /// Call so many users only: {n} in --to runs from 0 to one less, in a scattered order
    #[arg(long, value_name = "N", requires = "to", conflicts_with = "rtp")]
    pub(super) among: Option<NonZeroU64>,
    /// Transfer every call as soon as it is answered: where the server's Call API listens. The caller is connected with
    /// --transfer-to, which must lead to --callee-addr as well
    #[arg(long, value_name = "IP:PORT")]
    pub(super) transfer: Option<SocketAddr>,
    /// Whom callers are connected with; {n} is replaced by the number of the call [default: as --to]
    #[arg(long, value_name = "URI", requires = "transfer")]
    pub(super) transfer_to: Option<String>,
    /// Send PCMU both ways, 50 packets per second, and check what arrives
    #[arg(long)]
    pub(super) rtp: bool,
    /// Measure this process and those that it has started; may be given several times
    #[arg(long, value_name = "PID")]
    pub(super) pid: Vec<u32>,
    /// Stay so long after the last call before memory is read again, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(super) settle: f64,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Most calls started per second.
const MAX_RATE: f64 = 100_000.0;

/// The command line as it is meant.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Time between two calls.
    pub(super) interval: Duration,
    pub(super) calls: u64,
    pub(super) hold: Duration,
    pub(super) ring: Duration,
    pub(super) settle: Duration,
    pub(super) to: String,
}

impl CallsArgs {
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        anyhow::ensure!(self.rate > 0.0 && self.rate <= MAX_RATE, "--rate must be above 0 and at most {MAX_RATE}");
        let seconds = |value: f64| Ok::<_, anyhow::Error>(Duration::try_from_secs_f64(value)?);
        let duration = seconds(self.duration.unwrap_or(10.0))?;
        Ok(Plan {
            interval: Duration::from_secs_f64(1.0 / self.rate),
            calls: self.calls.unwrap_or((duration.as_secs_f64() * self.rate).round() as u64),
            hold: seconds(self.hold)?,
            ring: seconds(self.ring)?,
            settle: seconds(self.settle)?,
            to: self.to.clone().unwrap_or_else(|| format!("sip:bench-{{n}}@{}", self.server)),
        })
    }
}
