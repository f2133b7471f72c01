//! Tens of thousands of bindings, and what they cost. With `--release` a hundred thousand.

#[path = "all/registrar_phone/mod.rs"]
mod registrar_phone;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_sip::Time;
use hookswitch_sip::registrar::{Registrar, RegistrarConfig, RegistrarCounts};
use registrar_phone::*;

const PHONES: usize = if cfg!(debug_assertions) { 25_000 } else { 100_000 };
/// Bytes one binding may take, indexes and strings included.
const BYTES_PER_BINDING: usize = 850;

/// Counts the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those the system's allocator asks for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn round(registrar: &mut Registrar, second: u64, cseq: u32) {
    for number in 0..PHONES {
        let aor = format!("user{number}@example.test");
        let contact =
            format!("Contact: <sip:user{number}@198.51.100.7:5060;transport=udp>;+sip.instance=\"<urn:{number:036}>\"");
        let request =
            register(&format!("5f0c1e7a9b3d-{number}@198.51.100.7"), cseq, &[&contact, "User-Agent: Testphone 1.0"]);
        assert_status(&registrar.register(at(second), &aor, &request, udp(5060)), 200);
        while registrar.poll_change().is_some() {}
    }
}

#[test]
fn tens_of_thousands_of_phones_fit_and_leave_nothing_behind() {
    let start = IN_USE.load(Ordering::Relaxed);
    let in_use = || IN_USE.load(Ordering::Relaxed).saturating_sub(start);
    // Pinged, but not during this test.
    let config = RegistrarConfig { options_ping: Time::from_secs(1 << 32), ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config);

    round(&mut registrar, 0, 1);
    let full = in_use();
    println!("{} bytes per binding", full / PHONES);
    assert_eq!(registrar.count(), RegistrarCounts { bindings: PHONES, users: PHONES, timers: PHONES });
    assert!(full / PHONES <= BYTES_PER_BINDING, "{} bytes per binding", full / PHONES);

    for cseq in 2..4 {
        round(&mut registrar, 600 * u64::from(cseq), cseq);
    }
    assert!(in_use() <= full + full / 10, "refreshes added {} bytes", in_use() - full);

    let later = at(600 * 3 + 3_600);
    while registrar.poll_timeout().is_some_and(|due| due <= later) {
        registrar.handle_timeout(later);
        while registrar.poll_change().is_some() {}
    }
    assert_eq!(registrar.count(), RegistrarCounts::default());
    assert!(in_use() < 100_000, "{} bytes left behind", in_use());
}
