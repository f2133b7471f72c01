//! Calls that are transferred once they stand: an application beside the load tells the server to connect each caller
//! with somebody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mio::{Registry, Token};
use serde::{Deserialize, Serialize};

use super::call_api::Socket;
use super::histogram::Histogram;
use super::summary::Spread;

/// What the names of commands begin with; the number of the call follows.
const NAME: &str = "transfer-";

/// The commands of a run.
pub(super) struct Transfers {
    socket: Socket,
    /// Whom callers are connected with; `{n}` is replaced by the number of the call.
    to: String,
    /// When each command was sent that has not ended.
    running: BTreeMap<u64, Duration>,
    asked: u64,
    done: u64,
    failed: BTreeMap<String, u64>,
    took: Histogram,
}

/// What became of the transfers.
#[derive(Debug, Serialize)]
pub(super) struct TransferReport {
    pub(super) asked: u64,
    pub(super) done: u64,
    pub(super) failed_by_reason: BTreeMap<String, u64>,
    /// From the command to its end.
    pub(super) took: Spread,
}

#[derive(Deserialize)]
struct Message {
    params: Option<Said>,
    result: Option<Said>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Said {
    cmd_id: String,
    event: String,
    #[serde(default)]
    data: serde_json::Value,
}

impl Transfers {
    /// Opens a session with the Call API.
    pub(super) fn open(server: SocketAddr, to: String, registry: &Registry, token: Token) -> anyhow::Result<Self> {
        Ok(Self {
            socket: Socket::open(server, "/call-api", registry, token)?,
            to,
            running: BTreeMap::new(),
            asked: 0,
            done: 0,
            failed: BTreeMap::new(),
            took: Histogram::new(),
        })
    }

    /// The call of this number stands.
    pub(super) fn ask(&mut self, now: Duration, number: u64, call_id: &str) -> anyhow::Result<()> {
        let to = self.to.replace("{n}", &number.to_string());
        self.socket.say(&format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"CallBlindTransfer","params":{{"cmd_id":"{NAME}{number}","callid":"{call_id}","leg":"caller","destination":"{to}"}}}}"#
        ));
        self.asked += 1;
        self.running.insert(number, now);
        self.socket.flush()
    }

    /// Takes what the server says.
    pub(super) fn receive(&mut self, now: Duration) -> anyhow::Result<()> {
        self.socket.flush()?;
        self.socket.fill()?;
        while let Some(text) = self.socket.next()? {
            let message: Message = serde_json::from_str(&text)?;
            anyhow::ensure!(message.error.is_none(), "the Call API says {text}");
            let Some(said) = message.params.or(message.result) else { continue };
            let Some(number) = said.cmd_id.strip_prefix(NAME).and_then(|number| number.parse().ok()) else { continue };
            match said.event.as_str() {
                "Error" => *self.failed.entry(said.data.as_str().unwrap_or("?").to_owned()).or_default() += 1,
                "TransferSuccessful" => self.done += 1,
                "Ended" => {
                    if let Some(asked) = self.running.remove(&number) {
                        self.took.add(now.saturating_sub(asked));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn report(&self) -> TransferReport {
        let Self { asked, done, failed, took, .. } = self;
        TransferReport { asked: *asked, done: *done, failed_by_reason: failed.clone(), took: Spread::of(took) }
    }
}

impl TransferReport {
    /// Whether every transfer was done.
    pub(super) fn is_clean(&self) -> bool {
        self.asked == self.done && self.failed_by_reason.is_empty()
    }
}
