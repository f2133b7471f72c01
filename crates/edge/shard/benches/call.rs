//! One whole call through a shard in memory: INVITE, 180, 200, ACK, BYE, 200 on both sides of the B2BUA, signalling
//! only, from a trusted network along a route. The phones are templates, so that nearly all the time is the shard's.
//!
//! `quiet` lets every timer of a call run out before the next. `busy` lets the clock go on by 200 µs with each call, so
//! that everything that lingers for 32 s behind a call is there as it is at 5,000 calls per second.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_b2bua::B2buaConfig;
use hookswitch_b2bua::route::Route;
use hookswitch_call::directory::{Directory, Layer};
use hookswitch_call::{Limits, Time};
use hookswitch_shard::{Input, Output, Shard, ShardConfig};
use hookswitch_sip::{EndpointConfig, Flow, Listen, Network, Transport};

const SDP: &str = "v=0\r\no=- 3847362 3847362 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

/// Messages of a call on the wire: six on either side.
const MESSAGES: u64 = 12;

fn address(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 5060).into()
}

struct Bench {
    shard: Shard,
    now: Time,
    calls: u64,
    messages: u64,
    caller: Flow,
    callee: Flow,
}

impl Bench {
    fn new() -> Self {
        let mut directory = Directory::new();
        directory.configure("example.test", Layer::default()).expect("a good name");
        let network = Network { addr: address(0).ip(), prefix: 24 };
        let config = ShardConfig {
            b2bua: B2buaConfig {
                endpoint: EndpointConfig {
                    listen: vec![Listen { transport: Transport::Udp, address: address(1), advertise: None }],
                    max_pending_per_source: 0,
                    ..EndpointConfig::default()
                },
                trusted: vec![network],
                routes: vec![Route::new("sip:bench-*@*", "sip:192.0.2.20:5060").expect("a good route")],
                ..B2buaConfig::default()
            },
            limits: Limits { anchor: false, ..Limits::default() },
            directory,
            first_call: 1,
            ..ShardConfig::default()
        };
        Self {
            shard: Shard::new(config, [7; 32]),
            now: Duration::from_secs(1_763_700_000),
            calls: 0,
            messages: 0,
            caller: Flow::udp(address(1), address(10)),
            callee: Flow::udp(address(1), address(20)),
        }
    }

    fn hear(&mut self, flow: Flow, text: String) {
        self.messages += 1;
        let input = hookswitch_sip::Input::Datagram { flow, bytes: text.into() };
        self.shard.handle(self.now, Input::Sip(input));
    }

    /// A request of the caller; `to` is the To value.
    fn caller_says(&mut self, method: &str, cseq: u32, to: &str, body: &str) {
        let n = self.calls;
        let more = match body {
            "" => "",
            _ => {
                "Supported: replaces, timer\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER\r\n\
                 User-Agent: Load 1.0\r\nContent-Type: application/sdp\r\n"
            }
        };
        let text = format!(
            "{method} sip:bench-{n}@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{n}-{method};\
             rport\r\nMax-Forwards: 70\r\nFrom: \"Bench\" <sip:caller@example.test>;tag=f{n}\r\nTo: {to}\r\n\
             Call-ID: call-{n}@192.0.2.10\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@192.0.2.10:5060>\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.hear(self.caller, text);
    }

    fn callee_answers(&mut self, request: &str, status: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for line in request.split("\r\n").take_while(|line| !line.is_empty()) {
            match line.split_once(':') {
                Some(("Via" | "From" | "Call-ID" | "CSeq", _)) => text.push_str(&format!("{line}\r\n")),
                Some(("To", _)) if line.contains(";tag=") => text.push_str(&format!("{line}\r\n")),
                Some(("To", _)) => text.push_str(&format!("{line};tag=t{}\r\n", self.calls)),
                _ => {}
            }
        }
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let contact = "Contact: <sip:callee@192.0.2.20:5060>\r\n";
        text.push_str(&format!("{contact}{kind}Content-Length: {}\r\n\r\n{body}", body.len()));
        self.hear(self.callee, text);
    }

    /// What the shard sends now to this address.
    fn said(&mut self, to: Flow) -> Option<Bytes> {
        let mut found = None;
        while let Some(output) = self.shard.poll_output() {
            if let Output::Send { flow, bytes } = output {
                self.messages += 1;
                if flow.remote == to.remote {
                    found = Some(bytes);
                }
            }
        }
        found
    }

    fn call(&mut self) {
        self.calls += 1;
        self.caller_says("INVITE", 1, &format!("<sip:bench-{}@example.test>", self.calls), SDP);
        let invite = self.said(self.callee).expect("an INVITE");
        let invite = std::str::from_utf8(&invite).expect("ASCII");
        self.callee_answers(invite, "180 Ringing", "");
        self.said(self.caller).expect("a 180");
        self.callee_answers(invite, "200 OK", SDP);
        let answer = self.said(self.caller).expect("a 200");
        let answer = std::str::from_utf8(&answer).expect("ASCII");
        let to = answer.split("\r\nTo: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a To");
        self.caller_says("ACK", 1, to, "");
        self.caller_says("BYE", 2, to, "");
        let bye = self.said(self.callee).expect("a BYE");
        self.callee_answers(std::str::from_utf8(&bye).expect("ASCII"), "200 OK", "");
        black_box(self.said(self.caller));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.shard.poll_timeout().is_some_and(|next| next <= self.now) {
            self.shard.handle_timeout(self.now);
            black_box(self.said(self.caller));
        }
    }
}

fn whole_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("b2bua_call");
    group.throughput(Throughput::Elements(1));

    let mut quiet = Bench::new();
    group.bench_function("quiet", |bencher| {
        bencher.iter(|| {
            quiet.call();
            quiet.pass(Duration::from_secs(40));
        });
    });
    assert_eq!(quiet.messages, quiet.calls * MESSAGES, "nothing is repeated");
    assert_eq!(quiet.shard.counts().calls, 0);

    // Outside of the measured function, which is entered anew for each sample.
    let mut busy = Bench::new();
    for _ in 0..200_000 {
        busy.call();
        busy.pass(Duration::from_micros(200));
    }
    let counts = busy.shard.counts();
    assert!(counts.transactions > 300_000 && counts.calls == 0, "{counts:?}");
    group.bench_function("busy", |bencher| {
        bencher.iter(|| {
            busy.call();
            busy.pass(Duration::from_micros(200));
        });
    });
    assert_eq!(busy.messages, busy.calls * MESSAGES, "nothing is repeated");
    group.finish();
}

criterion_group!(benches, whole_call);
criterion_main!(benches);
