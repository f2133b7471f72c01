//! One whole call between two endpoints in memory: INVITE, 180, 200, ACK, BYE, 200. The time is that of both ends.
//!
//! `quiet` measures calls one by one with nothing else held. `busy` lets the clock go on by 200 µs with each call, so
//! that everything that lingers for 32 s behind a call is there as it is at 5,000 calls per second.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_sip::{
    Body, Endpoint, EndpointConfig, Event, Flow, Input, Invite, Listen, Output, Response, Time, Transport,
};

const SDP: &str = "v=0\r\no=- 3847362 3847362 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

struct Pair {
    now: Time,
    ends: [Endpoint; 2],
    flows: [Flow; 2],
    messages: u64,
}

impl Pair {
    fn new() -> Pair {
        let addresses: [SocketAddr; 2] = [([192, 0, 2, 10], 5060).into(), ([192, 0, 2, 20], 5060).into()];
        let end = |index: usize| {
            let config = EndpointConfig {
                listen: vec![Listen { transport: Transport::Udp, address: addresses[index], advertise: None }],
                max_pending_per_source: 0,
                ..EndpointConfig::default()
            };
            Endpoint::new(config, [index as u8; 32])
        };
        Pair {
            now: Duration::from_secs(1_763_700_000),
            ends: [end(0), end(1)],
            flows: [Flow::udp(addresses[0], addresses[1]), Flow::udp(addresses[1], addresses[0])],
            messages: 0,
        }
    }

    fn call(&mut self, offer: &Bytes) {
        let mut invite = Invite::new(
            "sip:bob@192.0.2.20:5060",
            "\"Alice\" <sip:alice@example.test>",
            "<sip:bob@example.test>",
            self.flows[0],
        );
        invite.body = Some(Body::sdp(offer.clone()));
        self.ends[0].invite(self.now, invite).expect("room for a call");
        let mut turn = 0;
        let mut idle = 0;
        while idle < 2 {
            let busy = self.turn(turn, offer);
            idle = if busy { 0 } else { idle + 1 };
            turn = 1 - turn;
        }
    }

    /// Takes out what one end wants and brings it to the other; the ends behave as phones that answer at once.
    fn turn(&mut self, from: usize, offer: &Bytes) -> bool {
        let mut busy = false;
        while let Some(output) = self.ends[from].poll_output() {
            busy = true;
            match output {
                Output::Send { bytes, .. } => {
                    self.messages += 1;
                    let flow = self.flows[1 - from];
                    self.ends[1 - from].handle_input(self.now, Input::Datagram { flow, bytes });
                }
                Output::Event(event) => self.react(from, event, offer),
                Output::Close { .. } => {}
            }
        }
        busy
    }

    fn react(&mut self, at: usize, event: Event, offer: &Bytes) {
        let end = &mut self.ends[at];
        match event {
            Event::Invite { dialog, request, .. } => {
                black_box(request.body());
                end.respond(self.now, dialog, Response::new(180));
                end.respond(self.now, dialog, Response::new(200).with_body(Body::sdp(offer.clone())));
            }
            Event::Answered { dialog, .. } => {
                end.ack(self.now, dialog, None);
                end.bye(self.now, dialog, Vec::new());
            }
            other => {
                black_box(other);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            if end.poll_timeout().is_some_and(|next| next <= self.now) {
                end.handle_timeout(self.now);
                while let Some(output) = end.poll_output() {
                    black_box(output);
                }
            }
        }
    }
}

fn whole_call(criterion: &mut Criterion) {
    let offer = Bytes::from_static(SDP.as_bytes());
    let mut group = criterion.benchmark_group("call");
    group.throughput(Throughput::Elements(1));

    let mut quiet = Pair::new();
    group.bench_function("quiet", |bencher| {
        bencher.iter(|| {
            quiet.call(&offer);
            quiet.pass(Duration::from_secs(33));
        });
    });

    // Outside of the measured function, which is entered anew for each sample.
    let mut busy = Pair::new();
    for _ in 0..200_000 {
        busy.call(&offer);
        busy.pass(Duration::from_micros(200));
    }
    let counts = busy.ends[0].counts();
    assert!(counts.transactions > 150_000, "{counts:?}");
    assert_eq!(busy.messages, 200_000 * 6, "nothing is repeated");
    group.bench_function("busy", |bencher| {
        bencher.iter(|| {
            busy.call(&offer);
            busy.pass(Duration::from_micros(200));
        });
    });
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let offer = Bytes::from_static(SDP.as_bytes());
    criterion.bench_function("invite is sent", |bencher| {
        bencher.iter_batched_ref(
            Pair::new,
            |pair| {
                for _ in 0..100 {
                    let invite = Invite {
                        body: Some(Body::sdp(offer.clone())),
                        ..Invite::new("sip:bob@192.0.2.20:5060", "<sip:alice@x>", "<sip:bob@x>", pair.flows[0])
                    };
                    let _ = black_box(pair.ends[0].invite(pair.now, invite));
                    while let Some(output) = pair.ends[0].poll_output() {
                        black_box(output);
                    }
                }
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, whole_call, parts);
criterion_main!(benches);
