//! Reading an ordinary message allocates nothing, and writing one allocates once at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use hookswitch_sip_msg::{Answer, HeaderName, Message, Method, Writer};

/// Counts the allocations of each thread, so that tests can run side by side.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system allocator as it is; counting touches a thread-local number only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from `alloc` above with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const INVITE: &[u8] = include_bytes!("fixtures/invite-1340.sip");

fn allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = COUNT.with(Cell::get);
    let result = work();
    (result, COUNT.with(Cell::get) - before)
}

/// As a receive buffer hands it out: a shared piece of a larger buffer.
fn received() -> Bytes {
    let mut buffer = BytesMut::with_capacity(4096);
    buffer.extend_from_slice(INVITE);
    buffer.split().freeze()
}

#[test]
fn the_fixture_is_what_the_figures_say() {
    let message = Message::parse(received()).unwrap();
    assert_eq!(INVITE.len(), 1340);
    assert_eq!(message.all_headers().count(), 19);
    assert_eq!(message.validate(), Ok(()));
}

#[test]
fn reading_allocates_nothing() {
    let bytes = received();
    let (message, count) = allocations(|| Message::parse(bytes));
    assert_eq!(count, 0);
    let message = message.unwrap();
    let (_, count) = allocations(|| {
        message.validate().unwrap();
        message.via().unwrap().branch().unwrap();
        message.from().unwrap().uri().unwrap();
        message.to().unwrap().tag();
        message.call_id().unwrap();
        message.cseq().unwrap();
        assert_eq!(message.contacts().count(), 1);
        assert!(message.has_token(HeaderName::Supported, "timer"));
        assert_eq!(message.body().len(), 334);
        message.clone()
    });
    assert_eq!(count, 0);
}

#[test]
fn writing_allocates_once_and_from_a_shared_buffer_hardly_ever() {
    let request = Message::parse(received()).unwrap();
    let source = "198.51.100.7:40000".parse().unwrap();
    let answer = Answer { status: 180, reason: "", to_tag: Some("8f3a"), source: Some(source) };
    let (bytes, count) = allocations(|| answer.write(&request).unwrap().finish());
    // One for the buffer, one for the count of those who share it.
    assert!(count <= 2, "{count} allocations");
    let response = Message::parse(bytes).unwrap();
    assert_eq!(response.via().unwrap().received(), Some(source.ip()));

    let mut buffer = BytesMut::with_capacity(64 * 1024);
    drop(answer.write_in(&mut buffer, &request).unwrap().finish());
    let (_, count) = allocations(|| {
        for number in 0..10 {
            let mut out = Writer::request_in(&mut buffer, &Method::Info, "sip:bob@example.test");
            out.copy(&request, HeaderName::From).header_fmt(HeaderName::CSeq, format_args!("{number} INFO"));
            drop(out.finish());
            drop(answer.write_in(&mut buffer, &request).unwrap().finish());
        }
    });
    assert_eq!(count, 0);
}
