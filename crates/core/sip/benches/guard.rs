//! What it costs to ask whether a message is to be read: while nobody is banned, beside many bans, and of a banned source.

use core::time::Duration;
use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use hookswitch_sip::guard::{Guard, GuardConfig, Source};

const NOW: Duration = Duration::from_secs(1_000_000);
const BANS: u32 = 10_000;

fn guard() -> Guard {
    Guard::new(GuardConfig { enabled: true, ..GuardConfig::default() }, [1, 2, 3, 4])
}

fn numbered(number: u32) -> SocketAddr {
    SocketAddr::new((0x0a00_0000 + number).to_be_bytes().into(), 5060)
}

fn admission(c: &mut Criterion) {
    let friend: SocketAddr = "192.0.2.1:5060".parse().expect("an address");
    let mut empty = guard();
    c.bench_function("guard/nobody banned", |b| b.iter(|| empty.admits(NOW, black_box(friend))));
    let mut full = guard();
    for number in 0..BANS {
        full.ban(NOW, Source::of(numbered(number).ip()), Duration::from_secs(60), "").expect("room");
    }
    while full.poll_news().is_some() {}
    c.bench_function("guard/heard beside 10,000 bans", |b| b.iter(|| full.admits(NOW, black_box(friend))));
    let mut next = 0;
    c.bench_function("guard/dropped", |b| {
        b.iter(|| {
            next = (next + 1) % BANS;
            full.admits(NOW, black_box(numbered(next)))
        });
    });
}

criterion_group!(benches, admission);
criterion_main!(benches);
