//! Thousands of calls that come and go while they are played to, recorded and mixed: nothing is left of them, and
//! who talks meanwhile never notices.

mod originals;
mod stage;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use hookswitch_call::{
    CallId, LegId, MediaOp, Part, Party, PlayEnd, PlayId, Plays, RecordNews, RecordPlan, Room, Soup, Source,
};
use hookswitch_media::SocketIx;
use originals::{Disk, begin, file, play, plays_ended, says, soup, told_of_recordings};
use stage::{ALICE, BOB, CALL, CALLEE_LEG, Sent, Stage, at, config, parse, phone};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// Where everybody is who comes and goes.
const CROWD: &str = "198.51.100.99:9000";

/// Most calls that come and go at once.
const CALLS_AT_ONCE: usize = 100;

/// Counts the bytes in use of each thread, so that tests can run side by side.
struct Counting;

thread_local! {
    static IN_USE: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system allocator as it is; counting touches a thread-local number only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.with(|bytes| bytes.set(bytes.get() + layout.size().cast_signed()));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.with(|bytes| bytes.set(bytes.get() - layout.size().cast_signed()));
        // SAFETY: the memory came from `alloc` above with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers that look like chance and are the same in every run.
fn chance(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// One that has come and will go.
struct Guest {
    call: CallId,
    socket: SocketIx,
    sequence: u16,
    /// When it goes, in beats.
    until: u64,
}

struct Crowd {
    stage: Stage,
    disk: Disk,
    guests: Vec<Guest>,
    state: u64,
    beats: u64,
    came: u64,
}

impl Crowd {
    /// With a call that hears a tone all the time, by whose packets it is seen whether anybody is late.
    fn new() -> Self {
        let mut stage = Stage::with(config(), 2 * CALLS_AT_ONCE as u32);
        stage.open(Some(&phone(ALICE, "0")));
        stage.make_answer(CALLER).expect("an answer");
        stage.hear(CALLER, Source::Reference);
        let disk = Disk::default().with("short", 0x21, 300).with("long", 0x45, 60_000);
        Self { stage, disk, guests: Vec::new(), state: 11, beats: 0, came: 1 }
    }

    /// Somebody comes, for some while, and something is done with it.
    fn one_comes(&mut self) {
        self.came += 1;
        let call = CallId(self.came);
        let stage = &mut self.stage;
        let offer = Some((CALLER, phone(CROWD, "0 101").as_str().into()));
        stage.perform(MediaOp::Open { call, offer, codecs: None, near: None, room: None });
        stage.perform(MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: LegId(0) });
        let socket = stage.socket_of(CALLER);
        let which = chance(&mut self.state) % 5;
        let source = [Source::Echo, Source::Sounds, Source::Sounds, Source::Room, Source::Echo][which as usize];
        if which == 3 {
            let (room, part) = (Room::from(format!("{}@example.com", self.came % 7).as_str()), Part::default());
            stage.perform(MediaOp::Join { call, party: CALLER, room, part });
        }
        stage.perform(MediaOp::Hear { call, seat: CALLER.into(), source });
        if matches!(which, 1 | 2) {
            let soup = soup([file("short"), file("missing"), file("long")]);
            play(stage, call, CALLER, PlayId(1), Soup { plays: Plays::Forever, ..soup });
        }
        if which == 2 || which == 4 {
            let plan = RecordPlan::both_sides(format!("{}.wav", self.came).as_str().into());
            begin(stage, call, CALLER, 1, plan);
        }
        let until = self.beats + 1 + chance(&mut self.state) % 50;
        self.guests.push(Guest { call, socket, sequence: 0, until });
    }

    fn leaves(&mut self, place: usize) {
        let guest = self.guests.swap_remove(place);
        self.stage.perform(MediaOp::Close { call: guest.call });
        assert!(self.stage.engine.poll_closed().is_some_and(|stats| stats.call == guest.call));
    }

    /// One beat: some come, some go, all speak, and Alice is sent one packet, in time.
    fn beat(&mut self, may_come: bool) {
        self.beats += 1;
        while let Some(place) = self.guests.iter().position(|guest| guest.until <= self.beats) {
            self.leaves(place);
        }
        for _ in 0..chance(&mut self.state) % 7 {
            if may_come && self.guests.len() < CALLS_AT_ONCE {
                self.one_comes();
            }
        }
        for guest in &mut self.guests {
            guest.sequence += 1;
            let mut packet = says(0, guest.sequence, guest.call.0 as u32, 0x31);
            let len = packet.len();
            self.stage.engine.handle_packet(self.stage.now, guest.socket, at(CROWD), &mut packet, len);
            self.stage.engine.send_ready(&mut |_, _, _| {});
        }
        let due = self.stage.now;
        let sent = self.disk.run(&mut self.stage, 20);
        let of_alice: Vec<&Sent> = sent.iter().filter(|sent| sent.to == at(ALICE)).collect();
        assert!(matches!(of_alice[..], [packet] if packet.at == due), "one packet a beat, at the beat");
    }

    /// Until so many have come and all are gone.
    fn until(&mut self, came: u64) {
        while self.came < came {
            self.beat(true);
        }
        while !self.guests.is_empty() {
            self.beat(false);
        }
        // The last recordings are written.
        for _ in 0..50 {
            self.beat(false);
        }
    }

    /// The bytes in use, what the test itself remembers aside.
    fn in_use(&mut self) -> isize {
        assert!(self.disk.tapes.values().all(|tape| tape.is_finished), "every file is closed");
        assert_eq!(self.disk.open_files(), 0);
        self.disk.tapes.clear();
        self.stage.told.clear();
        self.stage.take_news();
        self.stage.ports.farewells = Vec::new();
        self.guests.shrink_to_fit();
        IN_USE.with(Cell::get)
    }
}

#[test]
fn of_ten_thousand_calls_that_come_and_go_nothing_is_left_and_nobody_else_is_late() {
    const HALF: u64 = 5_000;
    let mut crowd = Crowd::new();
    crowd.until(HALF);
    let before = crowd.in_use();
    crowd.until(2 * HALF);
    let more = crowd.in_use() - before;
    // A word for each call would be more than this; what is more are tables that have grown once more.
    assert!(more < 8 * HALF as isize, "{more} bytes more after another {HALF} calls");
    let totals = crowd.stage.engine.totals();
    assert_eq!((totals.calls, totals.port_pairs, totals.generators), (1, 1, 1), "Alice alone is left");
    assert_eq!(crowd.stage.ports.free(), 4 * CALLS_AT_ONCE - 1);
    crowd.stage.close();
    crowd.stage.run(2_000);
    assert_eq!(crowd.stage.engine.next_tick(), None);
}

#[test]
fn when_the_ports_run_out_calls_are_refused_with_503_and_have_one_as_soon_as_another_ends() {
    let mut stage = Stage::with(config(), 10);
    let opens = |stage: &mut Stage, n: u64| {
        let call = CallId(n);
        let offer = Some((CALLER, phone(CROWD, "0").as_str().into()));
        stage.perform(MediaOp::Open { call, offer, codecs: None, near: None, room: None });
        let told = stage.perform(MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: LegId(0) });
        match &told[..] {
            [hookswitch_call::MediaReport::Local { .. }] => 200,
            [hookswitch_call::MediaReport::Refused { cause, .. }] => cause.code,
            other => panic!("{other:?}"),
        }
    };
    for round in 0..20 {
        let first = 100 * round + 1;
        let codes: Vec<u16> = (first..first + 15).map(|n| opens(&mut stage, n)).collect();
        assert_eq!(codes, [[200; 10].as_slice(), &[503; 5]].concat(), "round {round}");
        stage.perform(MediaOp::Close { call: CallId(first + 3) });
        assert_eq!(opens(&mut stage, first + 50), 200);
        for n in (first..first + 15).chain([first + 50]) {
            stage.perform(MediaOp::Close { call: CallId(n) });
        }
        assert_eq!((stage.engine.totals().calls, stage.ports.free()), (0, 20));
    }
}

#[test]
fn a_disk_that_stands_still_holds_up_no_packet_and_all_is_done_when_it_is_back() {
    let mut stage = Stage::talking();
    let mut disk = Disk::default().with("long", 0x21, 60_000);
    let listener = CallId(2);
    let offer = Some((CALLER, phone(CROWD, "0").as_str().into()));
    stage.perform(MediaOp::Open { call: listener, offer, codecs: None, near: None, room: None });
    stage.perform(MediaOp::MakeAnswer { call: listener, seat: CALLER.into(), leg: CALLEE_LEG });
    stage.perform(MediaOp::Hear { call: listener, seat: CALLER.into(), source: Source::Sounds });
    let port = stage.our_port[&CALLER];
    assert_ne!(port, 0);
    play(&mut stage, listener, CALLER, PlayId(7), soup([file("long")]));
    begin(&mut stage, CALL, CALLEE, 1, RecordPlan::both_sides("a.wav".into()));
    let socket = stage.ports.socket(10_002);
    let speaks = |stage: &mut Stage, n: u16| {
        let mut packet = says(0, n, 7, 0x31);
        let len = packet.len();
        let forward = stage.engine.handle_packet(stage.now, socket, at(ALICE), &mut packet, len);
        assert_eq!(stage::sent_to(forward), at(BOB));
        assert_eq!(parse(&packet).sequence(), n);
    };
    for n in 0..100 {
        speaks(&mut stage, n);
        disk.run(&mut stage, 20);
    }
    disk.stands_still = true;
    for n in 100..3_100 {
        speaks(&mut stage, n);
        disk.run(&mut stage, 20);
    }
    let ended = plays_ended(&mut stage);
    assert!(matches!(ended[..], [(7, PlayEnd::Completed | PlayEnd::Failed, _)]), "it was given up: {ended:?}");
    stage.perform(MediaOp::Close { call: listener });
    stage.close();
    disk.stands_still = false;
    disk.run(&mut stage, 1_000);
    let told = told_of_recordings(&mut stage);
    let Some((1, RecordNews::Finished(end))) = told.last() else { panic!("{told:?}") };
    assert_eq!(end.duration, Duration::from_secs(62));
    assert!(disk.tapes["a.wav"].is_finished && disk.open_files() == 0);
    assert_eq!((stage.ports.free(), stage.engine.next_tick()), (16, None));
}
