//! Two switches that are each other's trunk over TLS: who is believed, who is called when nobody is, and over which
//! connection.

use std::net::{Ipv4Addr, UdpSocket};

use crate::harness::secure::{Authority, secure};
use crate::harness::{PATIENCE, http, options, receive, sip_address, tcp};
use hookswitch_b2bua::route::Route;
use hookswitch_b2bua::trunk::{Trunk, TrunkHost};
use hookswitch_drive::{ClientCertificates, SipTls, Switch, SwitchConfig, TlsFiles};
use hookswitch_sip::{Network, Transport};
use rcgen::CertificateParams;
use serde_json::Value;

/// Phones here may call; trunks have to prove who they are.
const PHONES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

struct World {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new() }
    }

    /// What a switch with this certificate needs, whose clients all have to show one.
    fn tls(&self, own: TlsFiles) -> SipTls {
        let ca = Some(self.authority.file(self.folder.path()));
        SipTls {
            identities: vec![own],
            clients: ClientCertificates::Required,
            client_ca: ca.clone(),
            ca,
            ..SipTls::default()
        }
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsFiles {
        self.authority.issue_with(self.folder.path(), name, change)
    }

    /// A switch whose trunk is known by a certificate for that domain.
    fn carrier(&self, first_port: u16, own: TlsFiles, known_by: &str) -> Switch {
        Switch::start(self.carrier_config(first_port, own, known_by)).unwrap()
    }

    fn carrier_config(&self, first_port: u16, own: TlsFiles, known_by: &str) -> SwitchConfig {
        let mut config = secure(first_port, self.tls(own));
        config.shard.b2bua.trusted = vec![Network { addr: PHONES.into(), prefix: 32 }];
        let mut trunk = Trunk::new("customer", "sip:127.0.0.1:9;transport=tls");
        trunk.inbound.certificates = vec![known_by.into()];
        config.shard.b2bua.trunks = vec![trunk];
        config
    }

    /// A switch whose calls all go to the first of these that takes them.
    fn customer(&self, first_port: u16, own: TlsFiles, hosts: &[&Switch]) -> Switch {
        let mut config = secure(first_port, self.tls(own));
        config.shard.b2bua.trusted = vec![Network { addr: PHONES.into(), prefix: 32 }];
        let mut trunk = Trunk::new("carrier", "sip:unused");
        let host = |(order, switch): (u16, &&Switch)| TrunkHost { order, ..TrunkHost::new(&at(switch)) };
        trunk.hosts = (0..).zip(hosts).map(host).collect();
        config.shard.b2bua.trunks = vec![trunk];
        config.shard.b2bua.routes = vec![Route::new("sip:*@elsewhere.test", "trunk:carrier").unwrap()];
        Switch::start(config).unwrap()
    }
}

/// Where a switch is reached over TLS, by the name that its certificate is for.
fn at(switch: &Switch) -> String {
    format!("sip:localhost:{};transport=tls", sip_address(switch, Transport::Tls).port())
}

/// A phone calls a number, and is told what becomes of it.
fn call(switch: &Switch, number: &str) -> String {
    let phone = UdpSocket::bind((PHONES, 0)).unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    let from = phone.local_addr().unwrap();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let more = format!(
        "1 INVITE\r\nContact: <sip:tester@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let invite = options("UDP", from, number)
        .replace("OPTIONS sip:localhost", &format!("INVITE sip:{number}@elsewhere.test"))
        .replace("1 OPTIONS\r\nContent-Length: 0\r\n\r\n", &more);
    phone.send_to(invite.as_bytes(), sip_address(switch, Transport::Udp)).unwrap();
    loop {
        let answer = receive(&phone);
        if !answer.starts_with("SIP/2.0 1") {
            return answer[8..11].to_owned();
        }
    }
}

/// How many calls have come from the trunk, and how many it passed over.
fn trunk(switch: &Switch) -> (u64, u64) {
    let address = switch.addresses().http.first().copied().unwrap();
    let body = http(&mut tcp(address), "GET", "/trunks", "").body;
    let trunks: Value = serde_json::from_str(&body).unwrap();
    (trunks[0]["received"].as_u64().unwrap(), trunks[0]["passed_over"].as_u64().unwrap())
}

fn over(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
}

#[test]
fn a_trunk_is_believed_by_its_certificate_and_a_stranger_has_to_show_another_proof() {
    let world = World::new();
    let own = world.issue("localhost", |_| {});
    let customer = world.issue("customer.example", |_| {});
    for (first_port, known_by, expected, received) in
        [(14_000, "customer.example", "404", 1), (14_200, "other.example", "403", 0)]
    {
        let carrier = world.carrier(first_port, own.clone(), known_by);
        let near = world.customer(first_port + 200, customer.clone(), &[&carrier]);
        assert_eq!(call(&near, "one"), expected, "{known_by}");
        assert_eq!(trunk(&carrier).0, received, "{known_by}");
    }
}

#[test]
fn a_host_whose_certificate_is_not_good_is_passed_over() {
    let world = World::new();
    let good = world.carrier(14_600, world.issue("localhost", |_| {}), "customer.example");
    let customer = world.issue("customer.example", |_| {});
    let elsewhere = tempfile::tempdir().unwrap();
    let strangers = Authority::new().issue(elsewhere.path(), "localhost");
    let other_folder = tempfile::tempdir().unwrap();
    let expired = world.authority.issue_with(other_folder.path(), "localhost", over);
    let other = world.issue("other.example", |_| {});
    for (n, (what, wrong)) in
        [("a stranger's", strangers), ("expired", expired), ("another name", other)].into_iter().enumerate()
    {
        let bad = world.carrier(14_800, wrong, "customer.example");
        let near = world.customer(15_000, customer.clone(), &[&bad, &good]);
        assert_eq!(call(&near, "one"), "404", "{what}");
        assert_eq!((trunk(&bad).0, trunk(&good).0), (0, n as u64 + 1), "{what}");
        assert_eq!(trunk(&near).1, 1, "{what}");
    }
}

#[test]
fn a_host_that_does_not_take_our_certificate_is_passed_over() {
    let world = World::new();
    let own = world.issue("localhost", |_| {});
    let customer = world.issue("customer.example", |_| {});
    let good = world.carrier(15_200, own.clone(), "customer.example");
    let elsewhere = tempfile::tempdir().unwrap();
    let mut config = world.carrier_config(15_400, own, "customer.example");
    config.tls.client_ca = Some(Authority::new().file(elsewhere.path()));
    let bad = Switch::start(config).unwrap();
    let near = world.customer(15_600, customer, &[&bad, &good]);
    assert_eq!(call(&near, "one"), "404");
    assert_eq!((trunk(&bad).0, trunk(&good).0, trunk(&near).1), (0, 1, 1));
}

fn connections(switch: &Switch) -> String {
    let address = switch.addresses().http.first().copied().unwrap();
    let body = http(&mut tcp(address), "GET", "/metrics", "").body;
    let line = body.lines().find(|line| line.starts_with("hookswitch_sip_connections{")).map(str::to_owned);
    line.unwrap_or(body)
}

#[test]
fn the_carrier_calls_back_over_the_connection_that_its_customer_has_opened() {
    let world = World::new();
    let both = world.issue("localhost", |_| {});
    // Each needs to know the port of the other: the one that is started first is started again.
    let carrier = world.carrier(15_800, both.clone(), "localhost");
    let near = world.customer(16_000, both.clone(), &[&carrier]);
    let mut config = world.carrier_config(15_800, both, "localhost");
    config.sip = carrier.addresses().sip.clone();
    config.shard.b2bua.trunks[0].hosts = vec![TrunkHost::new(&at(&near))];
    config.shard.b2bua.routes = vec![Route::new("sip:*@elsewhere.test", "trunk:customer").unwrap()];
    drop(carrier);
    let carrier = Switch::start(config).unwrap();
    assert_eq!(call(&near, "there"), "404");
    let one = r#"hookswitch_sip_connections{carrier="sip"} 1"#;
    assert_eq!((connections(&near), connections(&carrier)), (one.to_owned(), one.to_owned()));
    // The customer knows nobody by certificates, and asks its carrier for a password.
    assert_eq!(call(&carrier, "back"), "403");
    assert_eq!((connections(&near), connections(&carrier)), (one.to_owned(), one.to_owned()), "no second connection");
}
