//! Whoever fetches a recording and stops reading loses the connection, and with it the place among those who fetch.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, config, tcp, web};
use hookswitch_drive::{HttpConfig, MAX_FETCHES, Switch};

/// More than the system holds of a connection that nobody reads.
const LENGTH: u64 = 64 * 1024 * 1024;

/// How long nothing may move.
const IDLE: Duration = Duration::from_secs(2);

/// A fetch of which only the first line is read, and its status.
fn fetch(from: SocketAddr) -> (TcpStream, u16) {
    let mut stream = tcp(from);
    stream.write_all(b"GET /recording/long.wav HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    let status = std::str::from_utf8(&line).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    (stream, status)
}

#[test]
fn whoever_stops_reading_is_cut_off_and_makes_room_for_others() {
    let folder = tempfile::tempdir().unwrap();
    // A file of holes: nothing of it is on the disk.
    File::create(folder.path().join("long.wav")).unwrap().set_len(LENGTH).unwrap();
    let mut config = config(20_800);
    let recordings = Some(folder.path().to_owned());
    config.channels = Some(HttpConfig { recordings, idle_timeout: IDLE, ..HttpConfig::new(web("127.0.0.1:0")) });
    let switch = Switch::start(config).unwrap();
    let from = switch.addresses().channels[0];
    let start = Instant::now();
    let stalled: Vec<TcpStream> = (0..MAX_FETCHES)
        .map(|_| {
            let (stream, status) = fetch(from);
            assert_eq!(status, 200);
            stream
        })
        .collect();
    let (_, status) = fetch(from);
    assert_eq!(status, 503, "all places are taken");
    let again = loop {
        let (stream, status) = fetch(from);
        if status == 200 {
            break stream;
        }
        assert!(start.elapsed() < PATIENCE, "nobody is cut off");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(start.elapsed() >= IDLE, "and not before their time");
    // By then the last one has been sent nothing for so long either.
    std::thread::sleep(IDLE + Duration::from_secs(1));
    for mut stream in stalled {
        let mut seen = 0;
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            seen += count as u64;
        }
        assert!(seen < LENGTH, "{seen} bytes");
    }
    drop(again);
    assert!(switch.stop());
}
