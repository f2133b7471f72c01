//! What the Call API costs without sockets and without a switch: one `Echo`, and the whole life of a `CallStart` with
//! the switch's answers given by the bench. `busy` does the same beside 1,000 calls that are being made.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_call::{Address, CallId, Cause, Event, LegId, Outcome, Party, Ticket, Time, Told};
use hookswitch_dialect::call_api::{Admission, Config, Hub, HubOutput, Mode, SessionId};

const NOW: Time = Duration::from_secs(1_700_000_000);
const SESSION: SessionId = SessionId(1);
const ECHO: &str = r#"{"jsonrpc":"2.0","id":17,"method":"Echo","params":{"hello":"world"}}"#;

struct Bench {
    hub: Hub,
    tickets: u64,
}

impl Bench {
    fn new(standing: u64) -> Self {
        let mut hub = Hub::new(Config { max_in_flight: 10_000, ..Config::default() }, [7; 32]);
        hub.open(SESSION, Admission::open(Mode::Original)).unwrap();
        let mut bench = Self { hub, tickets: 0 };
        for _ in 0..standing {
            bench.hub.text(NOW, SESSION, &start(bench.tickets));
            bench.drain();
        }
        bench
    }

    /// Takes everything out; how many texts there were.
    fn drain(&mut self) -> usize {
        let mut texts = 0;
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Text { text, .. } => {
                    black_box(text);
                    texts += 1;
                }
                HubOutput::Submit { tag, command } => {
                    black_box(command);
                    self.tickets += 1;
                    self.hub.submitted(tag, Ok(Ticket(self.tickets)));
                }
                HubOutput::Log { .. } | HubOutput::Close { .. } => panic!("nothing that is sent here closes a session"),
            }
        }
        texts
    }

    fn echo(&mut self) -> usize {
        self.hub.text(NOW, SESSION, black_box(ECHO));
        self.drain()
    }

    fn call(&mut self, request: &str) -> usize {
        self.hub.text(NOW, SESSION, black_box(request));
        let mut texts = self.drain();
        let ticket = Ticket(self.tickets);
        let (caller, callee) = (Party::Caller, Party::Callee);
        let dialing = |leg, party, wire_id: &str| Event::Dialing {
            leg: LegId(leg),
            party,
            wire_id: wire_id.into(),
            to: Address::from("sip:somewhere@192.0.2.7:5060"),
        };
        let events = [
            dialing(0, caller, "the-callers-leg@192.0.2.1"),
            Event::Answered { leg: LegId(0), party: caller },
            Event::Connecting { to: Address::from("sip:bob@example.test") },
            dialing(1, callee, "the-callees-leg@192.0.2.1"),
            Event::Progress { leg: LegId(1), party: callee, status: 180, text: "Ringing".into() },
            Event::Answered { leg: LegId(1), party: callee },
        ];
        for (seq, event) in (0..).zip(events) {
            self.hub.told(&Told { at: NOW, seq, call: CallId(ticket.0), owner: Some(ticket), event });
            texts += self.drain();
        }
        self.hub.outcome(&Outcome { ticket, result: Ok(()) });
        let over = Event::Ended { cause: Cause::hangup(), talked: Duration::from_secs(3) };
        self.hub.told(&Told { at: NOW, seq: 6, call: CallId(ticket.0), owner: None, event: over });
        texts + self.drain()
    }
}

fn start(number: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"CallStart","params":{{"caller":"sip:alice@example.test","callee":"sip:bob@example.test","cmd_id":"order-{number}"}}}}"#
    )
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call_api");
    group.throughput(Throughput::Elements(1));
    for (name, standing) in [("quiet", 0), ("busy", 1_000)] {
        let mut bench = Bench::new(standing);
        assert_eq!(bench.echo(), 3);
        group.bench_function(format!("echo/{name}"), |bencher| bencher.iter(|| bench.echo()));
        let request = start(1_000_000);
        assert_eq!(bench.call(&request), 7);
        group.bench_function(format!("call_start/{name}"), |bencher| bencher.iter(|| bench.call(&request)));
        assert_eq!(bench.hub.running(), usize::try_from(standing).unwrap());
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
