//! The readers of a measurement: WebSockets that look at the clock when an event comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::super::histogram::Histogram;
use super::{Moments, domain};

/// Histograms that the readers share.
const HISTOGRAMS: usize = 16;

/// What all readers have seen.
pub(super) struct Seen {
    pub(super) events: u64,
    /// Events that did not come after one with a smaller id, or that nobody has pushed.
    pub(super) disordered: u64,
    pub(super) latency: Histogram,
}

struct Counted {
    events: AtomicU64,
    disordered: AtomicU64,
    latency: Vec<Mutex<Histogram>>,
}

/// Readers that are connected.
pub(super) struct Readers {
    tasks: Vec<JoinHandle<()>>,
    counted: Arc<Counted>,
}

impl Readers {
    /// Connects them all. From then on every event that is pushed comes to whom it is for.
    pub(super) async fn connect(
        address: SocketAddr,
        readers: u32,
        apart: bool,
        moments: &Arc<Moments>,
    ) -> anyhow::Result<Self> {
        let counted = Arc::new(Counted {
            events: AtomicU64::new(0),
            disordered: AtomicU64::new(0),
            latency: (0..HISTOGRAMS).map(|_| Mutex::new(Histogram::new())).collect(),
        });
        let mut tasks = Vec::new();
        for reader in 0..u64::from(readers) {
            let which = if apart { format!("&domain={}", domain(reader)) } else { String::new() };
            let url = format!("ws://{address}/v1/events?type=call.*{which}");
            let (socket, _) = connect_async(url).await.with_context(|| format!("reader {reader} is not let in"))?;
            let (counted, moments) = (Arc::clone(&counted), Arc::clone(moments));
            tasks.push(tokio::spawn(async move { read(reader, socket, &counted, &moments).await }));
        }
        Ok(Self { tasks, counted })
    }

    /// Waits until so many events have come, or for so long.
    pub(super) async fn finish(self, wanted: u64, patience: Duration) -> Seen {
        let start = Instant::now();
        while self.counted.events.load(Ordering::Relaxed) < wanted && start.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for task in &self.tasks {
            task.abort();
        }
        let mut latency = Histogram::new();
        for part in &self.counted.latency {
            latency.join(&*part.lock().await);
        }
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Seen { events: of(&self.counted.events), disordered: of(&self.counted.disordered), latency }
    }
}

async fn read(
    reader: u64,
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    counted: &Counted,
    moments: &Moments,
) {
    let mut last = 0;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let event = parse(&text).and_then(|(id, call, seq)| Some((id, moments.since(call, seq)?)));
        match event {
            Some((id, latency)) if id > last => {
                last = id;
                counted.latency[reader as usize % HISTOGRAMS].lock().await.add(latency);
            }
            _ => drop(counted.disordered.fetch_add(1, Ordering::Relaxed)),
        }
        counted.events.fetch_add(1, Ordering::Relaxed);
    }
}

/// The id of an event, its call, and its number there, without reading all of its JSON.
fn parse(text: &str) -> Option<(u64, u64, u64)> {
    let after = |name: &str| text.split_once(name).map(|(_, rest)| rest);
    let id = after(r#""id":""#)?.split('"').next()?.parse().ok()?;
    let call = u64::from_str_radix(after(r#""call":"call_"#)?.split('"').next()?, 16).ok()?;
    let seq = after(r#""seq":"#)?.split(',').next()?.parse().ok()?;
    Some((id, call, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_in_an_event_is_found() {
        let text = r#"{"id":"1795","type":"call.bridged","time":"…","call":"call_0000000000ff","seq":2,"domains":[],"data":{}}"#;
        assert_eq!(parse(text), Some((1_795, 255, 2)));
        assert_eq!(parse(r#"{"id":"1","type":"log.gap","data":{}}"#), None);
    }
}
