//! Datagrams over a UNIX socket: a file in the file system that is ours while the socket lives.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::{Interest, Registry, Token, event};

use crate::error::NetError;

/// Longest path of a UNIX socket on Linux, in bytes (unix(7)).
pub const MAX_UNIX_PATH: usize = 107;

/// A UNIX datagram socket bound to a path. Dropping it removes the file.
#[derive(Debug)]
pub struct UnixSocket {
    socket: mio::net::UnixDatagram,
    file: SocketFile,
}

impl UnixSocket {
    /// Binds a socket to `path`. A file that an earlier socket has left there is removed if nobody listens to it any
    /// more; nothing else is ever removed. `mode` is given to the file: who may write to it may send.
    ///
    /// # Errors
    /// [`NetError::PathInUse`] if somebody listens there, [`NetError::NotASocket`] if something else has the name,
    /// [`NetError::Path`] with whatever else the system says.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, NetError> {
        let other = |source| NetError::Path { path: path.to_owned(), source };
        if path.as_os_str().len() > MAX_UNIX_PATH {
            return Err(other(io::Error::new(io::ErrorKind::InvalidFilename, "longer than 107 bytes")));
        }
        remove_stale(path)?;
        let socket = mio::net::UnixDatagram::bind(path).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => NetError::PathInUse { path: path.to_owned() },
            _ => other(error),
        })?;
        let file = SocketFile::of(path).map_err(other)?;
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(other)?;
        Ok(Self { socket, file })
    }

    /// Where it is bound.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Sends one datagram to the socket at `path`, whoever has made it. Whoever receives it may answer from another
    /// socket, as OpenSIPS does: a connected socket would not be allowed to hear that.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when the receiver has too many unread ones, and then nothing tells when it has
    /// read them: try again after a while. [`io::ErrorKind::ConnectionRefused`] when the receiver is gone and
    /// [`io::ErrorKind::NotFound`] when its file is, too.
    pub fn send_to(&self, bytes: &[u8], path: &Path) -> io::Result<()> {
        loop {
            match self.socket.send_to(bytes, path) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(|_| ()),
            }
        }
    }

    /// Receives one datagram into `room`, without waiting; `None` when there is none. One that fills the room may have
    /// lost its end.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&self, room: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.socket.recv(room) {
                Ok(len) => return Ok(Some(len)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(None),
                    _ => return Err(error),
                },
            }
        }
    }
}

impl event::Source for UnixSocket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.socket.deregister(registry)
    }
}

/// Removes a socket file that nobody listens to.
fn remove_stale(path: &Path) -> Result<(), NetError> {
    let other = |source| NetError::Path { path: path.to_owned(), source };
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(other(error)),
    };
    if !kind.is_socket() {
        return Err(NetError::NotASocket { path: path.to_owned() });
    }
    let asker = mio::net::UnixDatagram::unbound().map_err(other)?;
    match asker.connect(path) {
        // Only a file whose socket is closed refuses: a listener of another kind is a different error.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(other(error)),
        Ok(()) | Err(_) => Err(NetError::PathInUse { path: path.to_owned() }),
    }
}

/// The file of a socket, told from others that may have its name later.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it and bound the name anew; that file is not ours.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A folder that only this user can enter, for sockets that only this user and root should reach. Dropping it removes
/// it, if it is empty.
#[derive(Debug)]
pub struct PrivateFolder {
    path: PathBuf,
}

impl PrivateFolder {
    /// Makes a new folder with mode 0700 in the system's temporary folder; `number` makes its name differ from others.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AlreadyExists`] asks for another number.
    pub fn create(number: u64) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("hookswitch-{number:016x}"));
        // Not recursive: a folder that is there already, perhaps laid out by somebody else, is an error.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}
