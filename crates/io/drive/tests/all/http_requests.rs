//! Directory and registrations over HTTP: connections stay, limits hold, what was answered is on the disk.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::harness::{config, http, options, read_response, receive, sip_address, store, tcp, udp, web};
use hookswitch_drive::{HttpConfig, MAX_BODY, Switch};
use hookswitch_sip::Transport;

fn connect(switch: &Switch) -> TcpStream {
    tcp(switch.addresses().http[0])
}

const BODY: &str = r#"{"control":"http://127.0.0.1:1","users":[{"username":"alice","secret":"s3cret"}]}"#;

#[test]
fn a_connection_serves_many_requests() {
    let switch = Switch::start(config(29_200)).unwrap();
    let mut stream = connect(&switch);
    assert_eq!(http(&mut stream, "GET", "/dir/example.test", "").status(), 404);
    let created = http(&mut stream, "PUT", "/dir/example.test", BODY).status();
    assert!((200..300).contains(&created), "{created}");
    let known = http(&mut stream, "GET", "/dir/example.test", "");
    assert_eq!(known.status(), 200);
    assert!(known.body.contains("alice") && !known.body.contains("s3cret"), "{}", known.body);
    assert_eq!(http(&mut stream, "GET", "/reg", "").status(), 200);
    assert_eq!(http(&mut stream, "GET", "/health", "").status(), 200);
    assert_eq!(http(&mut stream, "GET", "/elsewhere", "").status(), 404);
    let refused = http(&mut stream, "POST", "/dir/example.test", "");
    if refused.status() == 405 {
        assert!(refused.head.contains("\r\nallow: "), "{}", refused.head);
    }
}

#[test]
fn what_was_answered_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut config = config(29_200);
        config.store = Some(store(folder.path()));
        Switch::start(config).unwrap()
    };
    let switch = start();
    let mut stream = connect(&switch);
    assert!(http(&mut stream, "PUT", "/dir/example.test", BODY).status() < 300);
    drop(switch);
    let switch = start();
    let mut stream = connect(&switch);
    assert!(http(&mut stream, "GET", "/dir/example.test", "").body.contains("alice"));
    assert!(http(&mut stream, "DELETE", "/dir/example.test", "").status() < 300);
    drop(switch);
    let switch = start();
    assert_eq!(http(&mut connect(&switch), "GET", "/dir/example.test", "").status(), 404);
}

#[test]
fn a_body_too_large_is_refused_without_being_read() {
    let switch = Switch::start(config(29_200)).unwrap();
    let mut stream = connect(&switch);
    let length = MAX_BODY + 1;
    let head = format!("PUT /dir/example.test HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_response(&mut stream).status(), 413);
}

#[test]
fn a_chunked_body_has_the_same_limit() {
    let switch = Switch::start(config(29_200)).unwrap();
    let mut stream = connect(&switch);
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let head = "PUT /dir/example.test HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = writer.write_all(head.as_bytes());
        let chunk = vec![b' '; 1024 * 1024];
        for _ in 0..=MAX_BODY / chunk.len() {
            let _ = write!(writer, "{:x}\r\n", chunk.len());
            let _ = writer.write_all(&chunk);
            let _ = writer.write_all(b"\r\n");
        }
    });
    assert_eq!(read_response(&mut stream).status(), 413);
    drop(stream);
    sender.join().unwrap();
}

#[test]
fn a_browser_that_others_have_led_here_is_refused() {
    let mut config = config(29_200);
    config.channels = Some(HttpConfig::new(web("127.0.0.1:0")));
    let switch = Switch::start(config).unwrap();
    let (directory, channels) = (switch.addresses().http[0], switch.addresses().channels[0]);
    let ask = |to, request: &str, fields: &str| {
        let mut stream = tcp(to);
        let text = format!("{request} HTTP/1.1\r\n{fields}Content-Length: 0\r\n\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        read_response(&mut stream).status()
    };
    for (to, request) in [(directory, "POST /drain"), (directory, "GET /reg"), (channels, "POST /channel")] {
        assert_eq!(ask(to, request, "Host: 127.0.0.1\r\nOrigin: http://evil.test\r\n"), 403, "{request}");
        // DNS rebinding: to the browser the page is of the same origin.
        assert_eq!(ask(to, request, "Host: evil.test\r\nOrigin: http://evil.test\r\n"), 403, "{request}");
        assert_eq!(ask(to, request, "Host: evil.test\r\n"), 421, "{request}");
    }
    assert_eq!(ask(directory, "GET /health", "Host: switch\r\n"), 200);
    assert_eq!(ask(directory, "GET /reg", "Host: localhost\r\n"), 200);
    assert_eq!(http(&mut tcp(channels), "POST", "/channel", "{}").status(), 200);
}

#[test]
fn a_request_that_never_ends_costs_only_its_sender() {
    let mut config = config(29_200);
    config.http.as_mut().unwrap().idle_timeout = Duration::from_millis(300);
    let switch = Switch::start(config).unwrap();
    let mut stuck = connect(&switch);
    stuck.write_all(b"PUT /dir/example.test HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le").unwrap();
    assert_eq!(http(&mut connect(&switch), "GET", "/health", "").status(), 200);
    // The connection is closed, with or without a word.
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));
}

#[test]
fn rubbish_is_refused_and_the_switch_goes_on() {
    let switch = Switch::start(config(29_200)).unwrap();
    for rubbish in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"INVITE sip:a@b SIP/2.0\r\n\r\n"] {
        let mut stream = connect(&switch);
        stream.write_all(rubbish).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(http(&mut connect(&switch), "GET", "/health", "").status(), 200);
    let phone: UdpSocket = udp();
    let request = options("UDP", phone.local_addr().unwrap(), "after");
    phone.send_to(request.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    assert!(receive(&phone).starts_with("SIP/2.0 200 "));
}
