//! What one REGISTER refresh costs: reading it, checking its digest, moving its binding and writing down the answer.
//!
//! 10,000 phones are registered, each with a user of its own; they take turns.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_sip::auth::{Credentials, Gate, GateConfig, Secret, Session, Verdict, Which};
use hookswitch_sip::registrar::{Registrar, RegistrarConfig, aor_of};
use hookswitch_sip::{Flow, Time};
use hookswitch_sip_msg::digest::Algorithm;
use hookswitch_sip_msg::{HeaderName, Message, Method};

const PHONES: usize = 10_000;
const REALM: &str = "example.test";
const URI: &str = "sip:example.test";
const NOW: Time = Time::from_secs(1_795_000_000);

struct Phone {
    number: usize,
    cseq: u32,
    credentials: Credentials,
    session: Option<Session>,
}

impl Phone {
    fn request(&mut self) -> Vec<u8> {
        self.cseq += 1;
        let (number, cseq) = (self.number, self.cseq);
        let mut text = format!(
            "REGISTER {URI} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{number}x{cseq};rport\r\n\
             Max-Forwards: 70\r\n\
             From: \"User {number}\" <sip:user{number}@example.test>;tag=8a1f{number}\r\n\
             To: \"User {number}\" <sip:user{number}@example.test>\r\n\
             Call-ID: 5f0c1e7a9b3d-{number}@198.51.100.7\r\n\
             CSeq: {cseq} REGISTER\r\n\
             User-Agent: Testphone 1.0\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER\r\n\
             Supported: path, outbound\r\n\
             Contact: <sip:user{number}@198.51.100.7:5060;transport=udp>;+sip.instance=\"<urn:uuid:{number:032}>\"\r\n\
             Expires: 3600\r\n"
        );
        if let Some(session) = &mut self.session {
            let (name, value) = session.authorize(&Method::Register, URI, b"", &self.credentials, "0a4f113b");
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        text.into_bytes()
    }
}

struct Switch {
    gate: Gate,
    registrar: Registrar,
}

impl Switch {
    fn check(&mut self, request: &Message) -> Verdict {
        self.gate.check(NOW, request, REALM, Which::Www, |_: &str, _: &str| Some(Secret::Password("wonderland")))
    }

    fn register(&mut self, request: &Message) {
        let to = request.to().expect("a To");
        let aor = aor_of(&to.uri().expect("a URI")).expect("an address of record");
        let flow = Flow::udp(([192, 0, 2, 1], 5060).into(), ([198, 51, 100, 7], 5060).into());
        let outcome = self.registrar.register(NOW, &aor, request, flow);
        assert_eq!(outcome.status, 200);
        black_box(outcome);
        while let Some(change) = self.registrar.poll_change() {
            black_box(change);
        }
    }
}

fn response(headers: &[(HeaderName, String)]) -> Message {
    let mut text = "SIP/2.0 401 Unauthorized\r\n".to_owned();
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Message::parse(text.into_bytes().into()).expect("a response")
}

/// All phones registered.
fn registered(algorithm: Algorithm) -> (Switch, Vec<Phone>) {
    let config = GateConfig { algorithms: vec![algorithm], ..GateConfig::default() };
    let mut switch = Switch { gate: Gate::new(config, [7; 32]), registrar: Registrar::new(RegistrarConfig::default()) };
    let phones = (0..PHONES).map(|number| {
        let credentials = Credentials::new(format!("user{number}"), "wonderland");
        let mut phone = Phone { number, cseq: 0, credentials, session: None };
        let request = Message::parse(phone.request().into()).expect("a request");
        let Verdict::Challenge { headers, .. } = switch.check(&request) else { panic!("expected a challenge") };
        phone.session = Session::new(&response(&headers), &phone.credentials).ok();
        let request = Message::parse(phone.request().into()).expect("a request");
        assert!(matches!(switch.check(&request), Verdict::Accepted(_)));
        switch.register(&request);
        phone
    });
    let phones = phones.collect();
    (switch, phones)
}

fn refresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("register_refresh");
    group.throughput(Throughput::Elements(1));
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let (mut switch, mut phones) = registered(algorithm);
        let mut turn = 0;
        group.bench_function(format!("parse_check_{algorithm}_register"), |bencher| {
            bencher.iter_batched(
                || next_request(&mut phones, &mut turn),
                |bytes| {
                    let request = Message::parse(bytes.into()).expect("a request");
                    assert!(matches!(switch.check(&request), Verdict::Accepted(_)));
                    switch.register(&request);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("register_parts");
    group.throughput(Throughput::Elements(1));
    let (mut switch, mut phones) = registered(Algorithm::Md5);
    let mut turn = 0;
    let parsed = |bytes: Vec<u8>| Message::parse(bytes.into()).expect("a request");
    group.bench_function("digest_check", |bencher| {
        bencher.iter_batched(
            || parsed(next_request(&mut phones, &mut turn)),
            |request| assert!(matches!(switch.check(&request), Verdict::Accepted(_))),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("binding_refresh", |bencher| {
        bencher.iter_batched(
            || parsed(next_request(&mut phones, &mut turn)),
            |request| switch.register(&request),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("challenge", |bencher| {
        bencher.iter(|| black_box(switch.gate.challenge(NOW, REALM, Which::Www, false)));
    });
    group.bench_function("lookup", |bencher| {
        bencher.iter(|| {
            turn = (turn + 7_919) % PHONES;
            let mut aor = compact_str::CompactString::const_new("user");
            aor.push_str(&turn.to_string());
            aor.push_str("@example.test");
            assert!(switch.registrar.bindings(NOW, black_box(&aor)).next().is_some());
        });
    });
    group.finish();
}

fn next_request(phones: &mut [Phone], turn: &mut usize) -> Vec<u8> {
    // Far apart, so that the cache does not help more than it would in a real crowd.
    *turn = (*turn + 7_919) % PHONES;
    phones[*turn].request()
}

criterion_group!(benches, refresh, parts);
criterion_main!(benches);
