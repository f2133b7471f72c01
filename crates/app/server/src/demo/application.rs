//! An application on the Call API: what any client of it would do.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, connect};

use super::picture::Picture;

/// How long one read waits, so that nobody waits for ever.
const READ_WAIT: Duration = Duration::from_millis(50);

/// One connection.
pub struct Application {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    picture: Arc<Picture>,
}

impl Application {
    /// Connects, and shows everything that is said from now on.
    pub fn connect(url: &str, picture: Arc<Picture>) -> anyhow::Result<Self> {
        picture.say(&format!("an application connects to {url}"));
        let (socket, _) = connect(url).with_context(|| format!("cannot connect to {url}"))?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(READ_WAIT))?;
        }
        Ok(Self { socket, picture })
    }

    /// Sends a request.
    pub fn send(&mut self, request: &Value) -> anyhow::Result<()> {
        let text = request.to_string();
        self.picture.say(&format!("→ {text}"));
        self.socket.send(Message::text(text)).context("the WebSocket is lost")
    }

    /// The next message.
    pub fn next(&mut self, patience: Duration) -> anyhow::Result<Value> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.picture.say(&format!("← {text}"));
                    return serde_json::from_str(&text).context("not JSON");
                }
                Ok(_) => {}
                Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).context("the WebSocket is lost"),
            }
        }
        bail!("nothing more was said within {} s", patience.as_secs())
    }
}
