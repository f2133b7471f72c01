//! What `hookswitch bench rest` can be told.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::course::{Pause, requests_of_a_call};

const AFTER_HELP: &str = "\
A call begins with POST /v1/calls and ends with DELETE of the call. In between come --turns of five requests: GET of the
call, POST of a hold of the called party, GET of that command, POST of its end, and GET of that command. All but GET
carry an Idempotency-Key. Each request comes --pause after the answer to the one before, so that the phones have done
what they were told; the hold as long after both phones have had their ACK as well, and fails if they have not after
5 s. A pause is longer or shorter at random, by --spread of itself at most. A phone is called for each party, in this
process: the switch must send sip:bench-*@* to --phones. A request waits for a connection that is free; its time runs
from when it is written to when the answer is in this program's socket, as the system notes it.

Exit codes:
  0  every request was answered as it should be, every command was done, and every phone was hung up
  1  something was not
  2  the command line cannot be understood
  3  sockets failed, or a process to be measured is not there";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::bench) struct RestArgs {
    /// The control listener of the switch
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9001")]
    pub(super) server: SocketAddr,
    /// The bearer token to show [default: none]
    #[arg(long, value_name = "TEXT")]
    pub(super) token: Option<String>,
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 5_000.0)]
    pub(super) rate: f64,
    /// Start calls for so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    pub(super) duration: f64,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) connections: u16,
    /// How often a call is held and taken back
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) turns: u16,
    /// Between an answer and the next request about the call, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    pub(super) pause: u64,
    /// How far pauses differ: 0 is not at all, 1 from none to twice as long
    #[arg(long, value_name = "PART", default_value_t = 0.5)]
    pub(super) spread: f64,
    /// Address of all phones
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.2:5070")]
    pub(super) phones: SocketAddr,
    /// Measure this process and those that it has started; may be given several times
    #[arg(long, value_name = "PID")]
    pub(super) pid: Vec<u32>,
    /// One JSON object instead of text
    #[arg(long)]
    pub(in crate::bench) json: bool,
}

/// Most requests per second.
const MAX_RATE: f64 = 100_000.0;

/// Most requests in all.
const MAX_REQUESTS: f64 = 100_000_000.0;

/// The command line as it is meant.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) calls: u64,
    /// Time between two calls.
    pub(super) interval: Duration,
    pub(super) pause: Pause,
}

impl RestArgs {
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        ensure!(self.rate > 0.0 && self.rate <= MAX_RATE, "--rate must be above 0 and at most {MAX_RATE}");
        ensure!(self.duration > 0.0, "--duration must be above 0");
        let requests = self.rate * self.duration;
        ensure!(requests <= MAX_REQUESTS, "more than {MAX_REQUESTS} requests");
        let is_fit = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(self.token.as_ref().is_none_or(is_fit), "--token must be of visible ASCII characters");
        let each = f64::from(requests_of_a_call(self.turns));
        let calls = (requests / each).round() as u64;
        ensure!(calls > 0, "--rate and --duration make no call of {each} requests");
        ensure!((0.0..=1.0).contains(&self.spread), "--spread must be from 0 to 1");
        let interval = Duration::from_secs_f64(each / self.rate);
        let pause = Pause { mean: Duration::from_millis(self.pause), spread: self.spread };
        Ok(Plan { calls, interval, pause })
    }
}
