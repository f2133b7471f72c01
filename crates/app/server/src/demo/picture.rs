//! What the viewer sees: remarks, JSON-RPC and the SIP ladder, in the order in which they happen.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_cli::ladder::{Ladder, Style};
use hookswitch_drive::{Direction, Tap};
use hookswitch_sip::Flow;

/// The picture. Everybody draws into it.
pub struct Picture {
    style: Style,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    ladder: Ladder,
    /// The switch's address as its phones write it.
    switch: Option<SocketAddr>,
    /// Whether SIP is shown.
    showing: bool,
}

impl Picture {
    pub fn new(style: Style) -> Self {
        let drawn = Drawn { ladder: Ladder::new(style), switch: None, showing: false };
        Self { style, drawn: Mutex::new(drawn) }
    }

    /// Says where the switch is.
    pub fn switch_at(&self, address: SocketAddr) {
        self.lock().switch = Some(address);
    }

    /// Shows SIP between these parties from now on.
    pub fn show_calls<const N: usize>(&self, parties: [(&str, SocketAddr); N]) {
        let mut drawn = self.lock();
        drawn.ladder = Ladder::new(self.style);
        for (name, address) in parties {
            drawn.ladder.party(name, address);
        }
        drawn.showing = true;
    }

    /// Shows no SIP from now on.
    pub fn quiet(&self) {
        self.lock().showing = false;
    }

    /// A line of its own.
    pub fn say(&self, text: &str) {
        let _in_turn = self.lock();
        print(&format!("{text}\n"));
    }

    fn lock(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for Picture {
    fn message(&self, at: Duration, direction: Direction, flow: &Flow, bytes: &[u8]) {
        let mut drawn = self.lock();
        let (true, Some(switch)) = (drawn.showing, drawn.switch) else { return };
        let (from, to) = match direction {
            Direction::Received => (flow.remote, switch),
            Direction::Sent => (switch, flow.remote),
        };
        let line = drawn.ladder.message(at, from, to, bytes);
        print(&line);
    }
}

/// A viewer that has gone away is no reason to stop the call.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
