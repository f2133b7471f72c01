//! What the machine itself takes: a datagram to another thread that sends it back, at the pace of the measurement, from
//! before it is sent until the system has it again. One thread wakes up meanwhile, as the daemon does for every message,
//! so nobody gets below it.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use hookswitch_drive::Clock;
use hookswitch_net::{read_stamped, stamp_arrivals};

use super::report::Spread;
use crate::bench::histogram::Histogram;

/// Round trips.
const SAMPLES: usize = 300;

/// As long as a request to OpenSIPS.
const DATAGRAM: [u8; 300] = [b'x'; 300];

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures round trips at this pace: one wake-up each.
pub(super) fn measure(rate: f64) -> anyhow::Result<Spread> {
    let (ours, theirs) = (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    ours.connect(theirs.local_addr()?)?;
    theirs.connect(ours.local_addr()?)?;
    ours.set_read_timeout(Some(PATIENCE))?;
    stamp_arrivals(&ours)?;
    let other = thread::spawn(move || {
        let mut room = [0; DATAGRAM.len()];
        // An empty datagram is the last one.
        while let Ok(len @ 1..) = theirs.recv(&mut room) {
            if theirs.send(&room[..len]).is_err() {
                return;
            }
        }
    });
    let (clock, mut histogram) = (Clock::start(), Histogram::new());
    let pause = Duration::from_secs_f64(1.0 / rate).min(Duration::from_millis(10));
    let mut room = DATAGRAM;
    for _ in 0..SAMPLES {
        thread::sleep(pause);
        let start = clock.now();
        ours.send(&DATAGRAM)?;
        ours.peek(&mut room)?;
        let (_, arrived) = read_stamped(&ours, &mut room)?;
        let late = arrived.map_or(Duration::ZERO, |arrived| clock.since(arrived));
        histogram.add(clock.now().saturating_sub(start + late));
    }
    ours.send(&[])?;
    // It ends with the datagram that was just sent, whatever it has done before.
    let _ = other.join();
    Ok(Spread::of(&histogram))
}
