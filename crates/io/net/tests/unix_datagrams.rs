//! Datagrams over UNIX sockets: files that come and go, and strangers that have their name.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_net::{MAX_UNIX_PATH, NetError, PrivateFolder, UnixSocket};

fn folder() -> PrivateFolder {
    // Unlike in any other test of any other process that runs now.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
    PrivateFolder::create(number).unwrap()
}

#[test]
fn datagrams_go_both_ways_and_the_files_are_removed() {
    let folder = folder();
    let path = folder.path().to_owned();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let ours = UnixSocket::bind(&path.join("a"), 0o600).unwrap();
    let theirs = UnixSocket::bind(&path.join("b"), 0o660).unwrap();
    assert_eq!(fs::metadata(theirs.path()).unwrap().permissions().mode() & 0o777, 0o660);
    ours.send_to(b"ping", theirs.path()).unwrap();
    theirs.send_to(b"pong", ours.path()).unwrap();
    let mut room = [0; 16];
    assert_eq!(theirs.receive(&mut room).unwrap(), Some(4));
    assert_eq!(&room[..4], b"ping");
    assert_eq!(ours.receive(&mut room).unwrap(), Some(4));
    assert_eq!(ours.receive(&mut room).unwrap(), None);
    drop((ours, theirs));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    drop(folder);
    assert!(!path.exists());
}

#[test]
fn a_receiver_that_does_not_read_and_one_that_is_gone() {
    let folder = folder();
    let ours = UnixSocket::bind(&folder.path().join("a"), 0o600).unwrap();
    let path = folder.path().join("b");
    let theirs = UnixSocket::bind(&path, 0o600).unwrap();
    let full = (0..100_000).find_map(|_| ours.send_to(b"x", &path).err()).unwrap();
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    drop(theirs);
    assert_eq!(ours.send_to(b"x", &path).unwrap_err().kind(), io::ErrorKind::NotFound);
    // A process that was killed leaves its file behind.
    drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
    assert_eq!(ours.send_to(b"x", &path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let again = UnixSocket::bind(&path, 0o600).unwrap();
    ours.send_to(b"x", &path).unwrap();
    assert_eq!(again.receive(&mut [0; 4]).unwrap(), Some(1));
}

#[test]
fn an_answer_may_come_from_another_socket_than_the_one_that_was_asked() {
    let folder = folder();
    let ours = UnixSocket::bind(&folder.path().join("a"), 0o600).unwrap();
    let theirs = UnixSocket::bind(&folder.path().join("b"), 0o600).unwrap();
    ours.send_to(b"ping", theirs.path()).unwrap();
    let other = std::os::unix::net::UnixDatagram::unbound().unwrap();
    other.send_to(b"pong", ours.path()).unwrap();
    assert_eq!(ours.receive(&mut [0; 16]).unwrap(), Some(4));
}

#[test]
fn only_a_file_that_nobody_listens_to_is_replaced() {
    let folder = folder();
    let path = folder.path().join("a");
    let first = UnixSocket::bind(&path, 0o600).unwrap();
    let refused = UnixSocket::bind(&path, 0o600).unwrap_err();
    assert!(matches!(refused, NetError::PathInUse { .. }), "{refused}");
    assert!(refused.is_in_use());
    drop(first);

    // A process that was killed leaves its file behind.
    drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
    assert!(path.exists());
    drop(UnixSocket::bind(&path, 0o600).unwrap());
    assert!(!path.exists());

    let stream = UnixListener::bind(&path).unwrap();
    let refused = UnixSocket::bind(&path, 0o600).unwrap_err();
    assert!(matches!(refused, NetError::PathInUse { .. }), "{refused}");
    drop(stream);
    fs::remove_file(&path).unwrap();

    fs::write(&path, "precious").unwrap();
    let refused = UnixSocket::bind(&path, 0o600).unwrap_err();
    assert!(matches!(refused, NetError::NotASocket { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_of_the_same_name_that_is_not_ours_stays() {
    let folder = folder();
    let path = folder.path().join("a");
    let ours = UnixSocket::bind(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    drop(ours);
    assert!(path.exists());
    drop(theirs);
    fs::remove_file(&path).unwrap();
}

#[test]
fn paths_that_cannot_be() {
    let folder = folder();
    let long = folder.path().join("x".repeat(MAX_UNIX_PATH));
    for path in [long, folder.path().join("missing/a")] {
        let refused = UnixSocket::bind(&path, 0o600).unwrap_err();
        assert!(matches!(refused, NetError::Path { .. }), "{refused}");
    }
}
