//! Names over real sockets: a little name server, a phone whose address is a name, and servers that say nothing.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{LOOPBACK, PATIENCE, config, http, receive, sip_address, tcp, udp};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hookswitch_b2bua::route::Route;
use hookswitch_drive::{DnsConfig, Switch, SwitchConfig};
use hookswitch_sip::Transport;

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

/// A name server on a port of its own. Names below `silent.test` get no answer; those that it does not have are not
/// there.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(records: Vec<(&str, RData)>) -> Self {
        let socket = UdpSocket::bind(LOOPBACK).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let mut zone: HashMap<String, Vec<RData>> = HashMap::new();
        for (owner, data) in records {
            zone.entry(owner.to_owned()).or_default().push(data);
        }
        let thread = {
            let (asked, stop) = (Arc::clone(&asked), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut buffer = [0; 2_048];
                while stop.load(Ordering::Relaxed) == 0 {
                    let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                    if let Some(answer) = reply(&zone, &buffer[..len], &asked) {
                        socket.send_to(&answer, from).unwrap();
                    }
                }
            })
        };
        Self { address, asked, stop, thread: Some(thread) }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(1, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn reply(zone: &HashMap<String, Vec<RData>>, question: &[u8], asked: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let owner = query.name().to_ascii().to_ascii_lowercase().trim_end_matches('.').to_owned();
    asked.lock().unwrap().push(format!("{owner} {}", query.query_type()));
    if owner.ends_with("silent.test") {
        return None;
    }
    let mut answer = Message::response(question.id, question.op_code);
    answer.add_query(query.clone());
    let mut owner = owner;
    // An alias brings what it stands for along, as servers do.
    while let Some(all) = zone.get(&owner) {
        let alias =
            all.iter().find_map(|data| if let RData::CNAME(alias) = data { Some(alias.0.clone()) } else { None });
        for data in all {
            if data.record_type() == query.query_type() || data.record_type() == RecordType::CNAME {
                answer.add_answer(Record::from_rdata(name(&owner), 60, data.clone()));
            }
        }
        match alias {
            Some(alias) => owner = alias.to_ascii().trim_end_matches('.').to_owned(),
            None => break,
        }
    }
    if answer.answers.is_empty() && !zone.contains_key(&owner) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    Some(answer.to_vec().unwrap())
}

fn localhost() -> RData {
    RData::A(A::new(127, 0, 0, 1))
}

/// A switch that asks this server and sends everything for `9…` to that destination.
fn switch_to(server: &Server, to: &str, first_port: u16, hosts: PathBuf) -> Switch {
    let mut config: SwitchConfig = config(first_port);
    config.dns = DnsConfig { servers: vec![server.address], hosts, ..DnsConfig::default() };
    config.shard.b2bua.routes = vec![
        Route::new("sip:9*", to).unwrap(),
        Route::new("sip:8*", "sip:never.silent.test:5060").unwrap(),
        Route::new("sip:7*", "sip:gone.test:5060").unwrap(),
    ];
    Switch::start(config).unwrap()
}

fn no_hosts() -> PathBuf {
    PathBuf::from("/nonexistent/hosts")
}

fn invite(from: SocketAddr, number: &str) -> String {
    let sdp =
        format!("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", from.ip());
    format!(
        "INVITE sip:{number}@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:tester@localhost>;tag={number}\r\nTo: <sip:{number}@localhost>\r\n\
         Call-ID: {number}@tester\r\nCSeq: 1 INVITE\r\nContact: <sip:tester@{from}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// Sends an INVITE and waits until `phone` gets one.
fn call(switch: &Switch, phone: &UdpSocket, number: &str) -> String {
    let caller = udp();
    let invite = invite(caller.local_addr().unwrap(), number);
    caller.send_to(invite.as_bytes(), sip_address(switch, Transport::Udp)).unwrap();
    receive(phone)
}

#[test]
fn a_domain_is_called_where_its_naptr_and_srv_records_say() {
    let phone = udp();
    let port = phone.local_addr().unwrap().port();
    let naptr = NAPTR::new(
        10,
        10,
        b"s".to_vec().into(),
        b"SIP+D2U".to_vec().into(),
        b"".to_vec().into(),
        name("_sip._udp.pbx.test"),
    );
    let server = Server::start(vec![
        ("pbx.test", RData::NAPTR(naptr)),
        ("_sip._udp.pbx.test", RData::SRV(SRV::new(1, 0, port, name("alias.pbx.test")))),
        ("alias.pbx.test", RData::CNAME(CNAME(name("host.pbx.test")))),
        ("host.pbx.test", localhost()),
    ]);
    let switch = switch_to(&server, "sip:pbx.test", 33_000, no_hosts());
    let got = call(&switch, &phone, "91");
    assert!(got.starts_with("INVITE sip:91@pbx.test SIP/2.0\r\n"), "{got}");
    let asked = server.asked();
    assert_eq!(asked[..3], ["pbx.test NAPTR", "_sip._udp.pbx.test SRV", "alias.pbx.test A"], "{asked:?}");
    // The next call asks nobody.
    call(&switch, &phone, "92");
    assert_eq!(server.asked(), asked);
    let page = http(&mut tcp(switch.addresses().http[0]), "GET", "/metrics", "").body;
    let value = |metric: &str| -> usize {
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("hookswitch_dns_{metric} ")));
        line.unwrap_or_else(|| panic!("no {metric} in\n{page}")).parse().unwrap()
    };
    assert_eq!(value(r#"questions_total{carrier="sip"}"#), asked.len());
    assert!(value(r#"questions_saved_total{carrier="sip"}"#) >= 3, "the second call was answered from what was kept");
    assert!(value(r#"answers_total{carrier="sip",result="found"}"#) >= 3);
    assert_eq!(value(r#"answers_total{carrier="sip",result="failed"}"#), 0);
    assert!(switch.stop());
}

#[test]
fn a_silent_server_holds_up_nothing_but_the_call_that_asked_it() {
    let phone = udp();
    let port = phone.local_addr().unwrap().port();
    let server = Server::start(vec![("host.test", localhost())]);
    let switch = switch_to(&server, &format!("sip:host.test:{port}"), 33_200, no_hosts());
    let waiting = udp();
    let start = Instant::now();
    let request = invite(waiting.local_addr().unwrap(), "81");
    waiting.send_to(request.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    for round in 0..20 {
        let got = call(&switch, &phone, &format!("9{round}"));
        assert!(got.starts_with(&format!("INVITE sip:9{round}@host.test:{port} ")), "{got}");
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // It was asked twice, two seconds each.
    let refusal = loop {
        let got = receive(&waiting);
        if !got.starts_with("SIP/2.0 1") {
            break got;
        }
    };
    assert!(refusal.starts_with("SIP/2.0 480 "), "{refusal}");
    let took = start.elapsed();
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(9), "{took:?}");
    assert!(switch.stop());
}

#[test]
fn a_name_that_is_not_there_is_refused_at_once() {
    let server = Server::start(Vec::new());
    let switch = switch_to(&server, "sip:gone.test", 33_400, no_hosts());
    let caller = udp();
    let start = Instant::now();
    let request = invite(caller.local_addr().unwrap(), "71");
    caller.send_to(request.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    let refusal = std::iter::repeat_with(|| receive(&caller)).find(|got| !got.starts_with("SIP/2.0 1")).unwrap();
    assert!(refusal.starts_with("SIP/2.0 404 "), "{refusal}");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(switch.stop());
}

#[test]
fn what_the_hosts_file_knows_no_server_is_asked_for() {
    let phone = udp();
    let port = phone.local_addr().unwrap().port();
    let server = Server::start(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "# phones\n127.0.0.1 desk.silent.test desk # mine\n").unwrap();
    let switch = switch_to(&server, &format!("sip:desk.silent.test:{port}"), 33_600, hosts);
    let got = call(&switch, &phone, "95");
    assert!(got.starts_with(&format!("INVITE sip:95@desk.silent.test:{port} ")), "{got}");
    assert_eq!(server.asked(), Vec::<String>::new());
    assert!(switch.stop());
}

#[test]
fn a_switch_that_is_stopped_does_not_wait_for_name_servers() {
    let server = Server::start(Vec::new());
    let switch = switch_to(&server, "sip:gone.test", 33_800, no_hosts());
    let caller = udp();
    let request = invite(caller.local_addr().unwrap(), "82");
    caller.send_to(request.as_bytes(), sip_address(&switch, Transport::Udp)).unwrap();
    let start = Instant::now();
    while server.asked().is_empty() {
        assert!(start.elapsed() < PATIENCE, "it was never asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let start = Instant::now();
    assert!(switch.stop());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
