//! Clients of the control listener that do not behave, and many that do nothing.

mod harness;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::thread::sleep;
use std::time::{Duration, Instant};

use harness::{PATIENCE, config, http, read_response, tcp, web};
use hookswitch_drive::{ControlConfig, MAX_HEAD, Switch};

fn start(change: impl FnOnce(&mut ControlConfig)) -> (Switch, SocketAddr) {
    let mut config = config(30_600);
    let mut control = ControlConfig::new(web("127.0.0.1:0"));
    change(&mut control);
    config.control = Some(control);
    let switch = Switch::start(config).unwrap();
    let address = switch.addresses().control[0];
    (switch, address)
}

/// Sends byte after byte until the switch has had enough; how long that took.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    for byte in bytes.iter().cycle() {
        assert!(start.elapsed() < PATIENCE, "was never disconnected");
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 256]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn a_head_that_never_ends_is_not_waited_for() {
    let (_switch, address) = start(|control| {
        control.idle_timeout = Duration::from_millis(500);
        control.body_time = Duration::from_millis(100);
    });
    let mut stream = tcp(address);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n").unwrap();
    let took = drip(&mut stream, b"X-Slow: loris\r\n");
    assert!(took >= Duration::from_millis(400), "{took:?}");
    let mut silent = tcp(address);
    assert!(is_closed(&mut silent));
}

#[test]
fn a_body_that_drips_is_answered_408_and_the_connection_ends() {
    let (_switch, address) = start(|control| control.body_time = Duration::from_millis(300));
    let mut stream = tcp(address);
    stream.write_all(b"POST /v1/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n").unwrap();
    stream.set_nodelay(true).unwrap();
    let mut writes = stream.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        for _ in 0..500 {
            if writes.write_all(b" ").is_err() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
    });
    let response = read_response(&mut stream);
    assert_eq!(response.status(), 408);
    assert!(response.body.contains("request_timeout"), "{}", response.body);
    assert!(is_closed(&mut stream));
    dripping.join().unwrap();
}

#[test]
fn bodies_and_heads_have_a_longest() {
    let (_switch, address) = start(|control| control.max_body = 1_000);
    let mut stream = tcp(address);
    let fits = http_to(&mut stream, &" ".repeat(1_000));
    assert_ne!(fits, 413);
    assert_eq!(http_to(&mut stream, &" ".repeat(1_001)), 413);
    // One that does not say how long it is.
    let mut stream = tcp(address);
    let chunked = format!(
        "POST /v1/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        " ".repeat(1_001)
    );
    stream.write_all(chunked.as_bytes()).unwrap();
    assert_eq!(read_response(&mut stream).status(), 413);
    let mut stream = tcp(address);
    let long = "x".repeat(MAX_HEAD);
    let _ = stream.write_all(format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {long}\r\n\r\n").as_bytes());
    assert_eq!(read_response(&mut stream).status(), 431);
    let mut stream = tcp(address);
    let many = "X: y\r\n".repeat(200);
    stream.write_all(format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}\r\n").as_bytes()).unwrap();
    assert_eq!(read_response(&mut stream).status(), 431);
}

fn http_to(stream: &mut TcpStream, body: &str) -> u16 {
    let request = format!("POST /v1/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    read_response(stream).status()
}

#[test]
fn one_address_has_so_many_connections_and_others_have_room() {
    let (_switch, address) = start(|control| control.max_per_address = NonZeroUsize::new(2));
    let mut first = tcp(address);
    assert_eq!(health(&mut first), 200);
    let mut second = tcp(address);
    assert_eq!(health(&mut second), 200);
    assert!(is_closed(&mut tcp(address)));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.2:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut elsewhere = TcpStream::from(socket);
    elsewhere.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(health(&mut elsewhere), 200);
}

#[test]
fn a_thousand_connections_that_say_nothing_hold_up_nobody_and_end() {
    let (_switch, address) = start(|control| control.idle_timeout = Duration::from_secs(3));
    let mut idle: Vec<TcpStream> = (0..1_000).map(|_| tcp(address)).collect();
    let asked = Instant::now();
    let mut stream = tcp(address);
    for _ in 0..100 {
        assert_eq!(health(&mut stream), 200);
    }
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
    assert!(idle.iter_mut().all(is_closed));
}

#[test]
fn beyond_the_last_place_connections_are_closed_until_one_is_free() {
    let (_switch, address) = start(|control| control.max_connections = 2);
    let mut first = tcp(address);
    assert_eq!(health(&mut first), 200);
    let mut second = tcp(address);
    assert_eq!(health(&mut second), 200);
    assert!(is_closed(&mut tcp(address)));
    drop(first);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let mut next = tcp(address);
        let asked = next.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let mut answer = [0; 12];
        if asked.is_ok() && next.read_exact(&mut answer).is_ok() && answer.ends_with(b"200") {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("the place was not given back");
}

fn health(stream: &mut TcpStream) -> u16 {
    let answer = http(stream, "GET", "/health", "");
    answer.status()
}
