//! One connection of the web: in the clear or in TLS, not for ever unused, and with an end that the peer can see.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::accept::Place;

/// How long a connection that we end is still read, so that our last words are not lost with what the peer was sending.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// How much is read meanwhile, in bytes; a peer that sends more may lose our last words.
pub(super) const MAX_LINGER_BYTES: usize = 16 * 1024 * 1024;

/// The bytes of a connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that fails when nothing has moved for a while, in either direction.
///
/// A socket that is closed while unread bytes lie in it is reset by the system, and the reset overtakes what was written
/// last. So when we are the ones who end it, the end is announced, and then the peer is read until it has seen that.
pub(super) struct Connection {
    /// None once it was handed to whoever reads the rest.
    stream: Option<Stream>,
    sleep: Pin<Box<Sleep>>,
    idle: Duration,
    /// The peer has ended its side, or the network has.
    over: bool,
    place: Option<Place>,
}

impl Connection {
    /// Must be called within a runtime.
    pub(super) fn new(stream: Stream, place: Place, idle: Duration) -> Self {
        let sleep = Box::pin(tokio::time::sleep(idle));
        Self { stream: Some(stream), sleep, idle, over: false, place: Some(place) }
    }

    /// Passes on what an operation said, unless it waits and time is up.
    fn timed<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending => {
                ready!(self.sleep.as_mut().poll(context));
                self.over = true;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(result) => {
                self.over |= result.is_err();
                let at = Instant::now() + self.idle;
                self.sleep.as_mut().reset(at);
                Poll::Ready(result)
            }
        }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("the stream is taken when the connection is dropped, and not before"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(stream), Some(place)) = (self.stream.take(), self.place.take()) else { return };
        if self.over {
            return;
        }
        // Without a runtime the program is ending, and nobody waits for the rest.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(LINGER, linger(stream)).await;
                drop(place);
            });
        }
    }
}

/// Says that nothing more comes, and reads until the peer says so too.
async fn linger(mut stream: Stream) -> io::Result<()> {
    stream.shutdown().await?;
    // What still comes in TLS is not worth its decryption.
    let tcp = match &mut stream {
        Stream::Plain(tcp) => tcp,
        Stream::Tls(tls) => tls.get_mut().0,
    };
    let mut rest = vec![0; 16 * 1024];
    let mut seen = 0;
    while seen < MAX_LINGER_BYTES {
        match tcp.read(&mut rest).await? {
            0 => break,
            len => seen += len,
        }
    }
    Ok(())
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (into.filled().len(), into.remaining());
        let polled = self.stream().poll_read(context, into);
        if matches!(polled, Poll::Ready(Ok(()))) && room > 0 && into.filled().len() == before {
            self.over = true;
        }
        self.timed(context, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.stream().poll_write(context, bytes);
        self.timed(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream().poll_write_vectored(context, pieces);
        self.timed(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_write_vectored)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, pieces),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
