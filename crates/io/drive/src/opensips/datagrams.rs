//! Requests to `mi_datagram`, over UDP or a UNIX socket.
//!
//! ```text
//!           send()                    error of the socket
//!  Closed ──────────▶ Open ─────────────────────────────────▶ Closed, not before a pause that grows
//!                      │ the system takes no more: what follows waits until the socket is writable (UDP), or for
//!                      │ a millisecond (UNIX)
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_net::{BATCH, NetError, PrivateFolder, RecvBatch, UdpOptions, UdpSocket, UnixSocket};
use hookswitch_opensips::{Input, MiError, RequestId};
use mio::event::Event;
use mio::{Interest, Registry, Token};

/// Requests that may wait while the system takes no more; beyond, they fail.
pub(super) const MAX_WAITING: usize = 4_096;

/// Longest reply over a UNIX socket, in bytes: twice what OpenSIPS can send.
const MAX_UNIX_REPLY: usize = 128 * 1024;

/// Pause before a socket that has failed is opened again; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long OpenSIPS is given to read, before a UNIX socket that was full is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// Who may write to the socket in a private folder: that folder lets in nobody else anyway.
const PRIVATE_MODE: u32 = 0o600;

/// Who may write to a socket at a path of the operator's choice: this user's group, which OpenSIPS can be a member of.
pub(super) const SHARED_MODE: u32 = 0o660;

/// Where requests go.
#[derive(Debug)]
pub(super) enum Target {
    Udp(SocketAddr),
    /// OpenSIPS's socket.
    Unix(PathBuf),
}

enum Socket {
    Udp { socket: UdpSocket, batch: RecvBatch },
    Unix { socket: UnixSocket, room: Box<[u8]> },
}

/// The socket that requests leave from and replies come to.
pub(super) struct Datagrams {
    registry: Registry,
    token: Token,
    target: Target,
    socket: Option<Socket>,
    is_readable: bool,
    /// There is something in the error queue.
    is_failing: bool,
    /// The system took no more.
    is_blocked: bool,
    /// When to try again, where nothing tells that there is room: sockets in the file system.
    retry_at: Option<Duration>,
    waiting: VecDeque<(RequestId, Bytes)>,
    /// Not opened again before.
    again_at: Duration,
    pause: Duration,
    /// Dropped after the socket in it.
    _folder: Option<PrivateFolder>,
}

impl Datagrams {
    /// Requests over UDP. The socket is opened when it is needed.
    pub(super) fn udp(registry: Registry, token: Token, to: SocketAddr) -> Self {
        Self::new(registry, token, Target::Udp(to), None, None)
    }

    /// Requests over a UNIX socket. Replies come to a socket of ours at `reply`, or, without one, in a folder that only
    /// this user and root can enter; its name is made of `number`.
    pub(super) fn unix(
        registry: Registry,
        token: Token,
        to: PathBuf,
        reply: Option<PathBuf>,
        number: u64,
    ) -> Result<Self, NetError> {
        let (folder, reply, mode) = match reply {
            Some(reply) => (None, reply, SHARED_MODE),
            None => {
                let folder = PrivateFolder::create(number)
                    .map_err(|source| NetError::Path { path: std::env::temp_dir(), source })?;
                let reply = folder.path().join("mi-reply");
                (Some(folder), reply, PRIVATE_MODE)
            }
        };
        let mut socket = UnixSocket::bind(&reply, mode)?;
        registry
            .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
            .map_err(|source| NetError::Path { path: reply, source })?;
        let room = vec![0; MAX_UNIX_REPLY].into_boxed_slice();
        let socket = Socket::Unix { socket, room };
        Ok(Self::new(registry, token, Target::Unix(to), Some(socket), folder))
    }

    fn new(
        registry: Registry,
        token: Token,
        target: Target,
        socket: Option<Socket>,
        folder: Option<PrivateFolder>,
    ) -> Self {
        Self {
            registry,
            token,
            target,
            socket,
            is_readable: false,
            is_failing: false,
            is_blocked: false,
            retry_at: None,
            waiting: VecDeque::new(),
            again_at: Duration::ZERO,
            pause: FIRST_PAUSE,
            _folder: folder,
        }
    }

    /// Where requests go over UDP.
    pub(super) const fn udp_target(&self) -> Option<SocketAddr> {
        match &self.target {
            Target::Udp(to) => Some(*to),
            Target::Unix(_) => None,
        }
    }

    /// Sends requests elsewhere from now on.
    pub(super) fn redirect(&mut self, to: SocketAddr) {
        self.target = Target::Udp(to);
        self.close();
        (self.again_at, self.pause) = (Duration::ZERO, FIRST_PAUSE);
    }

    /// Sends one request, or keeps it until there is room. A failure goes to `into`.
    pub(super) fn send(&mut self, now: Duration, request: RequestId, bytes: Bytes, into: &mut VecDeque<Input>) {
        // A socket that was opened anew is not blocked, whatever its predecessor was.
        self.send_waiting(now, into);
        if self.is_blocked {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back((request, bytes));
            } else {
                let error = MiError::Other(CompactString::const_new("too many requests wait to be sent"));
                into.push_back(Input::MiFailed { request, error });
            }
            return;
        }
        match self.send_now(now, &bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.block(now);
                self.waiting.push_back((request, bytes));
            }
            Err(error) => into.push_back(Input::MiFailed { request, error: described(&error) }),
        }
    }

    fn send_now(&mut self, now: Duration, bytes: &[u8]) -> io::Result<()> {
        self.open(now)?;
        let sent = match (&mut self.socket, &self.target) {
            (Some(Socket::Udp { socket, .. }), _) => socket.send(bytes),
            (Some(Socket::Unix { socket, .. }), Target::Unix(to)) => socket.send_to(bytes, to),
            (Some(Socket::Unix { .. }), Target::Udp(_)) | (None, _) => Err(io::ErrorKind::NotConnected.into()),
        };
        match &sent {
            Ok(()) => self.pause = FIRST_PAUSE,
            // Nobody listens there, which a new socket would not change.
            Err(error) if is_about_this_datagram(error) || error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => self.fail(now),
        }
        sent
    }

    /// Opens the socket if it is closed and the time has come.
    fn open(&mut self, now: Duration) -> io::Result<()> {
        let Target::Udp(to) = self.target else { return Ok(()) };
        if self.socket.is_some() {
            return Ok(());
        }
        if now < self.again_at {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "no way to OpenSIPS"));
        }
        let opened = || -> io::Result<UdpSocket> {
            let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            let mut socket = UdpSocket::bind(any, UdpOptions::default()).map_err(io::Error::other)?;
            socket.connect(to)?;
            self.registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        };
        match opened() {
            Ok(socket) => {
                self.socket = Some(Socket::Udp { socket, batch: RecvBatch::new() });
                Ok(())
            }
            Err(error) => {
                self.fail(now);
                Err(error)
            }
        }
    }

    /// Closes a socket that cannot be used any more. One in the file system stays: its failures are the receiver's.
    fn fail(&mut self, now: Duration) {
        if matches!(self.socket, Some(Socket::Unix { .. })) {
            return;
        }
        self.close();
        self.again_at = now + self.pause;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
    }

    fn close(&mut self) {
        if let Some(Socket::Udp { mut socket, .. }) = self.socket.take_if(|socket| matches!(socket, Socket::Udp { .. }))
        {
            let _ = self.registry.deregister(&mut socket);
            self.is_readable = false;
            self.is_failing = false;
            self.is_blocked = false;
        }
    }

    /// Takes one readiness event.
    pub(super) fn ready(&mut self, now: Duration, event: &Event, into: &mut VecDeque<Input>) {
        // An error may end a batch early, so after one there may be datagrams that no event announces.
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_failing |= event.is_error();
        if event.is_writable() && self.is_blocked {
            self.is_blocked = false;
            self.send_waiting(now, into);
        }
    }

    fn block(&mut self, now: Duration) {
        self.is_blocked = true;
        self.retry_at = matches!(self.target, Target::Unix(_)).then_some(now + RETRY_AFTER);
    }

    /// When [`Datagrams::handle_timeout`] wants to be called next.
    pub(super) const fn poll_timeout(&self) -> Option<Duration> {
        self.retry_at
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.is_blocked = false;
            self.send_waiting(now, into);
        }
    }

    /// Sends what had to wait, as far as there is room.
    fn send_waiting(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        while !self.is_blocked
            && let Some((request, bytes)) = self.waiting.pop_front()
        {
            match self.send_now(now, &bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.block(now);
                    self.waiting.push_front((request, bytes));
                }
                Err(error) => into.push_back(Input::MiFailed { request, error: described(&error) }),
            }
        }
    }

    /// Whether something has arrived that the last [`Datagrams::receive`] has left.
    pub(super) const fn has_more(&self) -> bool {
        self.is_readable
    }

    /// Reads one batch of replies, and what the network has reported.
    pub(super) fn receive(&mut self, now: Duration, into: &mut VecDeque<Input>) {
        if !std::mem::take(&mut self.is_readable) {
            return;
        }
        let has_more = match &mut self.socket {
            Some(Socket::Udp { socket, batch }) => {
                if std::mem::take(&mut self.is_failing) {
                    let mut reported = None;
                    self.is_failing = socket.take_errors(|failed| reported = Some(described(&failed.error)));
                    into.extend(reported.map(Input::MiDown));
                }
                let received = socket.receive(batch);
                into.extend(batch.datagrams().map(|reply| Input::Reply(Bytes::copy_from_slice(reply.bytes))));
                received.map(|received| received == BATCH || self.is_failing)
            }
            Some(Socket::Unix { socket, room, .. }) => receive_unix(socket, room, into),
            None => Ok(false),
        };
        match has_more {
            Ok(has_more) => self.is_readable = has_more,
            Err(error) => {
                into.push_back(Input::MiDown(described(&error)));
                self.fail(now);
            }
        }
    }
}

/// Reads up to a batch of replies. True when there may be more.
fn receive_unix(socket: &UnixSocket, room: &mut [u8], into: &mut VecDeque<Input>) -> io::Result<bool> {
    for _ in 0..BATCH {
        let Some(len) = socket.receive(room)? else { return Ok(false) };
        into.push_back(Input::Reply(Bytes::copy_from_slice(&room[..len])));
    }
    Ok(true)
}

/// Errors after which the way to OpenSIPS is as good as before.
fn is_about_this_datagram(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EMSGSIZE))
}

/// An error of a socket, as the machine knows it.
fn described(error: &io::Error) -> MiError {
    match error.kind() {
        // No file is as good as nobody behind it: OpenSIPS is not running.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => MiError::Refused,
        _ => MiError::Other(compact_str::format_compact!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const MANY: u64 = 500;

    #[test]
    fn what_a_full_unix_socket_does_not_take_is_sent_in_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = UnixDatagram::bind(folder.path().join("mi")).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let (to, reply) = (folder.path().join("mi"), folder.path().join("reply"));
        let mut ours = Datagrams::unix(registry, Token(0), to, Some(reply), 0).unwrap();
        let (mut now, mut news) = (Duration::ZERO, VecDeque::new());
        for n in 0..MANY {
            ours.send(now, RequestId(n), Bytes::from(n.to_string()), &mut news);
        }
        assert!(ours.poll_timeout().is_some(), "the system takes {MANY} at once");
        // It is read a little at a time, and everything comes, in order.
        let mut next = 0;
        while next < MANY {
            let mut room = [0; 16];
            while let Ok(len) = theirs.recv(&mut room) {
                assert_eq!(&room[..len], next.to_string().as_bytes());
                next += 1;
            }
            let Some(at) = ours.poll_timeout() else {
                assert_eq!(next, MANY, "nothing waits any more");
                break;
            };
            assert!(at > now);
            now = at;
            ours.handle_timeout(now, &mut news);
        }
        assert_eq!(ours.poll_timeout(), None);
        assert!(news.is_empty(), "{news:?}");
    }

    #[test]
    fn what_waits_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let deaf = UnixDatagram::bind(folder.path().join("mi")).unwrap();
        let poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let (to, reply) = (folder.path().join("mi"), folder.path().join("reply"));
        let mut ours = Datagrams::unix(registry, Token(0), to, Some(reply), 0).unwrap();
        let mut news = VecDeque::new();
        let mut asked = 0;
        while news.is_empty() {
            ours.send(Duration::ZERO, RequestId(asked), Bytes::from_static(b"{}"), &mut news);
            asked += 1;
            assert!(asked < 100_000, "there is no limit");
        }
        let error = MiError::Other(CompactString::const_new("too many requests wait to be sent"));
        assert_eq!(news, [Input::MiFailed { request: RequestId(asked - 1), error }]);
        assert_eq!(ours.waiting.len(), MAX_WAITING);
        drop(deaf);
    }
}
