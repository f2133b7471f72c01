//! What the network does to packets, by name.

use std::time::Duration;

/// One kind of weather. It may change while a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// As printed when a test fails.
    pub name: &'static str,
    /// Datagrams lost, in percent.
    pub loss: u8,
    /// Datagrams doubled, in percent.
    pub double: u8,
    /// Least time that a packet is on its way.
    pub delay: Duration,
    /// Most time added to it at random. Less than the 20 ms between media packets, so that most stay in order.
    pub jitter: Duration,
    /// Packets that take a longer way, in percent, and so come behind later ones.
    pub late: u8,
    /// Most time that this adds.
    pub detour: Duration,
    /// Most bytes of a stream that arrive at once; the cuts are anywhere.
    pub chunk: usize,
    /// Longest time that a word between the signalling and the media thread waits.
    pub turn: Duration,
    /// A party stops for a moment once in so many packets that it gets; never if 0.
    pub pause_every: u64,
    /// Longest such moment.
    pub pause: Duration,
}

const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

impl Weather {
    /// A local network at night: everything arrives, in order, after 5 ms.
    pub const CLEAR: Self = Self {
        name: "clear",
        loss: 0,
        double: 0,
        delay: ms(5),
        jitter: ms(0),
        late: 0,
        detour: ms(0),
        chunk: 1_400,
        turn: ms(0),
        pause_every: 0,
        pause: ms(0),
    };

    /// A home connection: nothing is lost, but some of it comes when it wants.
    pub const BREEZE: Self = Self {
        name: "breeze",
        delay: ms(15),
        jitter: ms(15),
        late: 2,
        detour: ms(100),
        chunk: 300,
        turn: ms(2),
        ..Self::CLEAR
    };

    /// Wireless: one packet in twenty is lost, some come twice, some overtake others.
    pub const RAIN: Self = Self { name: "rain", loss: 5, double: 2, late: 5, chunk: 100, ..Self::BREEZE };

    /// A bad line: one packet in eight is lost, and everybody is busy with something else now and then.
    pub const STORM: Self = Self {
        name: "storm",
        loss: 12,
        double: 8,
        delay: ms(40),
        late: 8,
        detour: ms(500),
        chunk: 30,
        turn: ms(20),
        pause_every: 40,
        pause: ms(250),
        ..Self::RAIN
    };

    /// As bad as it gets while people still try: one packet in five is lost.
    pub const HURRICANE: Self =
        Self { name: "hurricane", loss: 20, double: 20, delay: ms(80), late: 10, detour: ms(900), ..Self::STORM };

    /// Whether everything arrives once, in the order in which it was sent.
    pub(crate) fn is_in_order(&self) -> bool {
        self.loss == 0 && self.double == 0 && self.late == 0 && self.jitter < ms(20) && self.pause_every == 0
    }

    /// From the best to the worst.
    pub const ALL: [Self; 5] = [Self::CLEAR, Self::BREEZE, Self::RAIN, Self::STORM, Self::HURRICANE];
}
