//! What one message costs: reading it, reading its typed headers, and writing a response.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_sip_msg::{Answer, HeaderName, Message, Method, StreamFramer, Writer};

const INVITE: &[u8] = include_bytes!("../tests/fixtures/invite-1340.sip");

fn typed(message: &Message) {
    black_box(message.via().is_ok());
    black_box(message.from().is_ok_and(|from| from.uri().is_ok()));
    black_box(message.to().is_ok_and(|to| to.uri().is_ok()));
    black_box(message.cseq().is_ok());
    black_box(message.call_id().is_ok());
    for contact in message.contacts() {
        black_box(contact.is_ok_and(|contact| contact.uri().is_ok()));
    }
}

fn reading(criterion: &mut Criterion) {
    let bytes = Bytes::from_static(INVITE);
    let mut group = criterion.benchmark_group("read a 1340-byte INVITE");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    group.bench_function("frame only", |b| b.iter(|| Message::parse(black_box(bytes.clone())).is_ok()));
    group.bench_function("with typed Via, From, To, CSeq, Call-ID, Contact", |b| {
        b.iter(|| Message::parse(black_box(bytes.clone())).map(|message| typed(&message)).is_ok())
    });
    group.bench_function("with validate", |b| {
        b.iter(|| Message::parse(black_box(bytes.clone())).is_ok_and(|message| message.validate().is_ok()))
    });
    group.bench_function("out of a stream", |b| {
        let mut framer = StreamFramer::new();
        b.iter(|| {
            framer.push(black_box(INVITE));
            framer.next().is_ok()
        })
    });
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let request = Message::parse(Bytes::from_static(INVITE)).expect("the fixture is a valid message");
    let source = "192.0.2.10:5060".parse().expect("this is an address");
    let mut buffer = BytesMut::new();
    let mut group = criterion.benchmark_group("write");
    group.bench_function("180 to an INVITE", |b| {
        b.iter(|| {
            let answer = Answer { status: 180, reason: "", to_tag: Some("9fe1b2c3"), source: Some(source) };
            let mut out = answer.write_in(&mut buffer, black_box(&request)).expect("the request has a Via");
            out.header(HeaderName::Contact, "<sip:192.0.2.1:5060>");
            out.finish()
        })
    });
    group.bench_function("BYE", |b| {
        b.iter(|| {
            let mut out = Writer::request_in(&mut buffer, &Method::Bye, "sip:alice@192.0.2.10:5060;ob");
            out.header(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK8a7b6c5d4e")
                .header(HeaderName::MaxForwards, "70")
                .header(HeaderName::From, "<sip:bob@sip.example.test>;tag=9fe1b2c3")
                .header(HeaderName::To, "<sip:alice@sip.example.test>;tag=1d2f0b6c9a7e4f35")
                .header(HeaderName::CallId, "7f3c2b1a-9d8e-4c5f-a6b7-1029384756ab")
                .header_fmt(HeaderName::CSeq, format_args!("{} BYE", 21385));
            out.finish()
        })
    });
    group.finish();
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
