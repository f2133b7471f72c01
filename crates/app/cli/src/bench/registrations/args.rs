//! What `hookswitch bench registrations` can be told.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use clap::Args;

const EXIT_CODES: &str = "\
Every phone registers once, at --rate and with the challenge that this brings; then they refresh in turn, at the same
rate and with one REGISTER each, because they keep their nonce. Then they stay, if told to, and take OPTIONS and calls.
The server must know the users --user in --domain, all with the same --password.

Exit codes:
  0  every registration and every refresh has succeeded
  1  some have not
  2  the command line cannot be understood
  3  sockets failed, or a process to be measured is not there";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct RegistrationsArgs {
    /// Where REGISTERs are sent
    #[arg(long, value_name = "IP:PORT")]
    pub(super) server: SocketAddrV4,
    /// So many phones, each of a user of its own
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(super) users: u32,
    /// Registrations begun per second
    #[arg(long, value_name = "N", default_value_t = 1_000.0)]
    pub(super) rate: f64,
    /// Refresh for so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(super) refresh: f64,
    /// Then stay for so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(super) stay: f64,
    /// Address of the first phone; each further one has the next address and the same port
    #[arg(long, value_name = "IP:PORT", default_value = "127.64.0.1:5080")]
    pub(super) phones: SocketAddrV4,
    /// Domain of the users
    #[arg(long, value_name = "NAME", default_value = "example.test")]
    pub(super) domain: String,
    /// Names of the users; {n} is replaced by the number of the phone, from 0 on
    #[arg(long, value_name = "NAME", default_value = "phone-{n}")]
    pub(super) user: String,
    /// Their password
    #[arg(long, value_name = "TEXT", default_value = "s3cret")]
    pub(super) password: String,
    /// Lifetime that the phones ask for, in seconds
    #[arg(long, value_name = "S", default_value_t = 3_600)]
    pub(super) expires: u32,
    /// Measure this process and those that it has started; may be given several times
    #[arg(long, value_name = "PID")]
    pub(super) pid: Vec<u32>,
    /// Wait so long before memory is read again, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(super) settle: f64,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Most registrations begun per second.
const MAX_RATE: f64 = 1_000_000.0;

/// Most phones; each takes about 300 bytes of ours.
const MAX_USERS: u32 = 1_000_000;

/// The command line as it is meant.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Time between two registrations.
    pub(super) interval: Duration,
    pub(super) refreshes: u64,
    pub(super) stay: Duration,
    pub(super) settle: Duration,
}

impl RegistrationsArgs {
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        anyhow::ensure!(self.rate > 0.0 && self.rate <= MAX_RATE, "--rate must be above 0 and at most {MAX_RATE}");
        anyhow::ensure!((1..=MAX_USERS).contains(&self.users), "--users must be 1 to {MAX_USERS}");
        anyhow::ensure!(self.users == 1 || self.user.contains("{n}"), "--user must hold {{n}}");
        anyhow::ensure!(u32::from(*self.phones.ip()).checked_add(self.users).is_some(), "--phones is too high");
        let seconds = |value: f64| Ok::<_, anyhow::Error>(Duration::try_from_secs_f64(value)?);
        let refresh = seconds(self.refresh)?;
        Ok(Plan {
            interval: Duration::from_secs_f64(1.0 / self.rate),
            refreshes: (refresh.as_secs_f64() * self.rate).round() as u64,
            stay: seconds(self.stay)?,
            settle: seconds(self.settle)?,
        })
    }

    /// Where a phone is.
    pub(super) fn address(&self, phone: u32) -> SocketAddr {
        let ip = u32::from(*self.phones.ip()).wrapping_add(phone);
        SocketAddr::from((Ipv4Addr::from(ip), self.phones.port()))
    }
}
