//! A switch on ports of its own choice, and peers with real sockets.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod secure;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hookswitch_drive::{
    ApplicationConfig, HttpConfig, MediaConfig, SipListen, StoreConfig, Switch, SwitchConfig, WebListen,
};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::PortRange;
use hookswitch_shard::ShardConfig;
use hookswitch_sip::{Network, Transport};

/// Nothing in these tests takes longer, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Tests run side by side: each file has a range of RTP ports of its own.
pub fn media(first: u16) -> MediaConfig {
    let policy = AddressPolicy::Auto { fallback: Ipv4Addr::LOCALHOST.into() };
    let mut config = MediaConfig::new(EngineConfig::new(policy));
    config.threads = 2;
    config.ports = PortRange { first, last: first + 199 };
    config
}

pub fn web(text: &str) -> WebListen {
    text.parse().unwrap()
}

/// UDP and TCP on the loopback, everything of the web, no store; the loopback is trusted.
pub fn config(first_port: u16) -> SwitchConfig {
    let mut shard = ShardConfig::default();
    shard.b2bua.trusted.push(Network { addr: Ipv4Addr::LOCALHOST.into(), prefix: 8 });
    let listen = |transport| SipListen { transport, address: LOOPBACK };
    let mut config = SwitchConfig::new(vec![listen(Transport::Udp), listen(Transport::Tcp)], media(first_port), shard);
    config.application = Some(ApplicationConfig::new(web("localhost:0")));
    config.http = Some(HttpConfig::new(web("127.0.0.1:0")));
    config
}

pub fn store(folder: &Path) -> StoreConfig {
    StoreConfig { kind: "redb".to_owned(), folder: folder.to_owned() }
}

pub fn sip_address(switch: &Switch, transport: Transport) -> SocketAddr {
    let mut all = switch.addresses().sip.iter();
    all.find(|at| at.transport == transport).unwrap().address
}

/// A UDP socket that does not wait for ever.
pub fn udp() -> UdpSocket {
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub fn tcp(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// An OPTIONS request, which the switch answers by itself.
pub fn options(transport: &str, from: SocketAddr, branch: &str) -> String {
    format!(
        "OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/{transport} {from};rport;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:tester@localhost>;tag={branch}\r\nTo: <sip:localhost>\r\n\
         Call-ID: {branch}@tester\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// One datagram as text.
pub fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 65_536];
    let (len, _) = socket.recv_from(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

/// One HTTP response: status line and headers as one text, and the body.
pub struct HttpResponse {
    pub head: String,
    pub body: String,
}

impl HttpResponse {
    pub fn status(&self) -> u16 {
        self.head.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// Sends a request over a connection that stays open, and reads the response.
pub fn http(stream: &mut TcpStream, method: &str, path: &str, body: &str) -> HttpResponse {
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    read_response(stream)
}

pub fn read_response(stream: &mut TcpStream) -> HttpResponse {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" || line.is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&lower);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    HttpResponse { head, body: String::from_utf8(body).unwrap() }
}
