//! Many UDP sockets served by one thread through io_uring: packets are received and sent without a system call for
//! each.
//!
//! Every watched socket has one standing request that receives into buffers the kernel takes from a shared supply.
//! [`UdpRing::wait`] hands over everything that is to be sent, waits, and collects what has arrived: one system call
//! for any number of packets.
//!
//! This is the second place of the crate with unsafe code. What makes it sound:
//! * the kernel writes only to memory of `Buffers`, which lives as long as the ring and never moves;
//! * a buffer is either the kernel's or belongs to exactly one [`Arrival`], which cannot be copied;
//! * an answer sent from a buffer is read by the kernel within `io_uring_enter`, before the buffer goes back.

use std::alloc::{self, Layout};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, CancelBuilder, Fixed, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::sys::RawAddress;

/// Packets that may wait between two turns, over all sockets; more wait in the sockets themselves. A power of two.
const BUFFERS: u16 = 1_024;

/// Room of a buffer: the kernel's own header and the sender's address, then the packet.
const BUFFER: usize = 2_048;

/// From one buffer to the next: a power of two would put the beginnings of all, and packets are short, into the same
/// few sets of the processor's caches. An odd number of lines of 64 bytes.
const STRIDE: usize = BUFFER + 5 * 64;

/// Requests handed over in one system call.
const REQUESTS: u32 = 1_024;

/// Completions that may wait.
const COMPLETIONS: u32 = 4 * REQUESTS;

/// What a completion is about, in the top byte of its tag.
const RECEIVE: u64 = 1 << 56;
const SEND: u64 = 2 << 56;
const WATCH: u64 = 3 << 56;
const KIND: u64 = 0xff << 56;

/// IORING_ENTER_GETEVENTS of io_uring_enter(2): completions are written, even if none is waited for.
const GET_EVENTS: u32 = 1;

/// Longest packet that is received whole, in bytes.
pub const MAX_RING_PACKET: usize = BUFFER - HEAD;

/// Before the packet: io_uring_recvmsg_out, and room for an address.
const HEAD: usize = 16 + RawAddress::LEN as usize;

/// UDP sockets of one thread.
pub struct UdpRing {
    // Before the buffers: its end is also the end of all requests that write to them.
    ring: IoUring,
    buffers: Buffers,
    /// How the kernel is to lay out what it receives.
    shape: Box<libc::msghdr>,
    slots: Vec<Slot>,
    completed: VecDeque<cqueue::Entry>,
    /// Sockets, with their generation, whose standing request has ended: there were no buffers, or for another passing
    /// reason.
    ended: Vec<(u32, u32)>,
    /// Buffers that are free as soon as what is to be sent has been handed over.
    spent: Vec<u16>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    is_watched: bool,
    /// Tells the present socket of a slot from earlier ones.
    generation: u32,
}

/// What has happened.
#[derive(Debug)]
pub enum Happened {
    /// A packet has arrived.
    Packet(Arrival),
    /// The socket in this slot could not send or receive. Of one that is connected this says that nobody is at the
    /// other end, or that our own address is gone; of others, nothing worth knowing. It is received at as before.
    Failed(u32),
    /// The descriptor of [`UdpRing::watch_descriptor`] is readable.
    Ready,
}

/// A packet that has arrived, until it is sent on or given back.
#[derive(Debug)]
#[must_use = "its buffer is lost unless it is sent on or given back"]
pub struct Arrival {
    buffer: u16,
    len: usize,
    /// At which socket.
    pub slot: u32,
    /// Who sent it.
    pub from: SocketAddr,
}

impl UdpRing {
    /// A ring for sockets numbered from 0 to `slots` - 1. Must be made by the thread that uses it.
    ///
    /// # Errors
    /// The system has no io_uring, an older one than Linux 6.1 brings, or does not let us use it.
    pub fn new(slots: u32) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(REQUESTS)?;
        ring.submitter().register_files_sparse(slots)?;
        let buffers = Buffers::new();
        // SAFETY: the supply and its buffers live as long as the ring, which is dropped first.
        unsafe { ring.submitter().register_buf_ring_with_flags(buffers.supply.as_ptr() as u64, BUFFERS, 0, 0)? };
        // SAFETY: all-zero is a value of msghdr: null pointers with zero lengths.
        let mut shape: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        shape.msg_namelen = RawAddress::LEN;
        let mut this = Self {
            ring,
            buffers,
            shape,
            slots: vec![Slot::default(); slots as usize],
            completed: VecDeque::new(),
            ended: Vec::new(),
            spent: Vec::new(),
        };
        this.spent.extend(0..BUFFERS - 1);
        this.hand_over(None)?;
        Ok(this)
    }

    /// Receives at this socket from now on. The caller keeps it open until [`UdpRing::forget`].
    ///
    /// # Errors
    /// No such slot, or the system's.
    pub fn watch(&mut self, slot: u32, socket: &UdpSocket) -> io::Result<()> {
        let entry = self.slots.get_mut(slot as usize).ok_or(io::ErrorKind::InvalidInput)?;
        self.ring.submitter().register_files_update(slot, &[socket.as_raw_fd()])?;
        entry.is_watched = true;
        self.receive_at(slot);
        Ok(())
    }

    /// Stops receiving at a socket. When the caller closes it then, its port is free.
    pub fn forget(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize).filter(|entry| entry.is_watched) else { return };
        let tag = RECEIVE | u64::from(entry.generation) << 32 | u64::from(slot);
        // What has still to be sent keeps the old generation, so nobody is told of its errors.
        *entry = Slot { is_watched: false, generation: (entry.generation + 1) & 0xff_ffff };
        // A request that is still to be handed over would watch whoever comes next.
        let _ = self.hand_over(None);
        let submitter = self.ring.submitter();
        // Not found means that it has ended by itself.
        let _ = submitter.register_sync_cancel(None, CancelBuilder::user_data(tag));
        let _ = submitter.register_files_update(slot, &[-1]);
        // What is cancelled lets go of the socket when its completion is written, which is now.
        // SAFETY: nothing is handed over, and no argument is passed.
        let _ = unsafe { submitter.enter::<()>(0, 0, GET_EVENTS, None) };
    }

    /// Says [`Happened::Ready`] whenever this descriptor becomes readable.
    pub fn watch_descriptor(&mut self, descriptor: &impl AsRawFd) {
        let poll = opcode::PollAdd::new(io_uring::types::Fd(descriptor.as_raw_fd()), libc::POLLIN as u32).multi(true);
        self.push(&poll.build().user_data(WATCH));
    }

    /// Hands over what is to be sent, and waits until something happens or the time is over; without a time, for ever.
    ///
    /// # Errors
    /// The ring does not work any more.
    pub fn wait(&mut self, time: Option<Duration>) -> io::Result<()> {
        for (slot, generation) in std::mem::take(&mut self.ended) {
            if self.is_present(slot, generation) {
                self.receive_at(slot);
            }
        }
        let time = if self.completed.is_empty() { time } else { Some(Duration::ZERO) };
        self.hand_over(Some(time))?;
        self.completed.extend(self.ring.completion());
        Ok(())
    }

    /// The next thing that has happened. Ask until there is none.
    pub fn poll_happened(&mut self) -> Option<Happened> {
        while let Some(entry) = self.completed.pop_front() {
            match entry.user_data() & KIND {
                RECEIVE => {
                    if let Some(happened) = self.received(&entry) {
                        return Some(happened);
                    }
                }
                WATCH => return Some(Happened::Ready),
                // A packet that could not be sent is lost, as in any network.
                _ => {
                    let (slot, generation) = socket_of(entry.user_data());
                    if entry.result() < 0 && self.is_present(slot, generation) {
                        return Some(Happened::Failed(slot));
                    }
                }
            }
        }
        None
    }

    /// The packet.
    #[must_use]
    pub fn bytes(&mut self, arrival: &Arrival) -> &mut [u8] {
        self.buffers.bytes(arrival.buffer, HEAD, arrival.len)
    }

    /// The packet, its length, and behind it room for what it may become: [`MAX_RING_PACKET`] bytes in all.
    #[must_use]
    pub fn room(&mut self, arrival: &Arrival) -> (&mut [u8], usize) {
        (self.buffers.bytes(arrival.buffer, HEAD, MAX_RING_PACKET), arrival.len)
    }

    /// Sends the first `len` bytes of a packet's room on, out of this socket: to this address, or without one to the peer that
    /// the socket is connected to. It leaves with the next [`UdpRing::wait`].
    pub fn send(&mut self, arrival: Arrival, slot: u32, to: Option<SocketAddr>, len: usize) {
        let place = self.buffers.place(arrival.buffer);
        // SAFETY: the buffer belongs to `arrival` and is BUFFER bytes long. It is not touched again before it is
        // handed over.
        let packet = unsafe { place.add(HEAD) };
        let len = len.min(MAX_RING_PACKET) as u32;
        let mut send = opcode::Send::new(Fixed(slot), packet, len).flags(libc::MSG_DONTWAIT);
        if let Some(to) = to {
            let (address, address_len) = RawAddress::new(to);
            // SAFETY: the address fits between the kernel's header, which has been read, and the packet.
            let name = unsafe {
                let name = place.add(HEAD - RawAddress::LEN as usize);
                name.cast::<RawAddress>().write_unaligned(address);
                name
            };
            send = send.dest_addr(name.cast()).dest_addr_len(address_len);
        }
        let tag = SEND | self.tag_of(slot);
        self.push(&send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(tag));
        self.spent.push(arrival.buffer);
    }

    /// Throws a packet away.
    pub fn give_back(&mut self, arrival: Arrival) {
        self.spent.push(arrival.buffer);
    }

    fn received(&mut self, entry: &cqueue::Entry) -> Option<Happened> {
        let (slot, generation) = socket_of(entry.user_data());
        let buffer = cqueue::buffer_select(entry.flags());
        let present = self.is_present(slot, generation);
        if present && !cqueue::more(entry.flags()) {
            self.ended.push((slot, generation));
        }
        let Some(buffer) = buffer else {
            let has_failed = present && entry.result() < 0 && entry.result() != -libc::ENOBUFS;
            return has_failed.then_some(Happened::Failed(slot));
        };
        match self.buffers.arrival(buffer, entry.result(), &self.shape) {
            Some((from, len)) if present => Some(Happened::Packet(Arrival { buffer, len, slot, from })),
            _ => {
                self.spent.push(buffer);
                None
            }
        }
    }

    /// Whether this is still the socket in its slot.
    fn is_present(&self, slot: u32, generation: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|entry| entry.is_watched && entry.generation == generation)
    }

    /// What tells the present socket of a slot from all others, in a tag.
    fn tag_of(&self, slot: u32) -> u64 {
        let generation = self.slots.get(slot as usize).map_or(0, |entry| entry.generation);
        u64::from(generation) << 32 | u64::from(slot)
    }

    fn receive_at(&mut self, slot: u32) {
        let receive = opcode::RecvMsgMulti::new(Fixed(slot), &raw const *self.shape, 0).build();
        let tag = RECEIVE | self.tag_of(slot);
        self.push(&receive.user_data(tag));
    }

    fn push(&mut self, request: &squeue::Entry) {
        // SAFETY: what requests point to (the shape, buffers) lives as long as the ring and does not move.
        while unsafe { self.ring.submission().push(request) }.is_err() {
            if self.hand_over(None).is_err() {
                return;
            }
        }
    }

    /// Hands over all requests; with a time, waits that long for a completion. Then the spent buffers are the
    /// kernel's again.
    fn hand_over(&mut self, wait: Option<Option<Duration>>) -> io::Result<()> {
        let submitter = self.ring.submitter();
        let done = match wait {
            None => submitter.submit(),
            Some(None) => submitter.submit_and_wait(1),
            Some(Some(time)) => {
                let time = Timespec::new().sec(time.as_secs()).nsec(time.subsec_nanos());
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&time))
            }
        };
        match done.map_err(|error| error.raw_os_error()) {
            // The time is over, a signal came, or completions must be collected first.
            Ok(_) | Err(Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) => {}
            Err(error) => return Err(error.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error)),
        }
        if self.ring.submission().is_empty() {
            self.buffers.supply(&mut self.spent);
        }
        Ok(())
    }
}

/// Slot and generation in a tag.
const fn socket_of(tag: u64) -> (u32, u32) {
    (tag as u32, (tag >> 32) as u32 & 0xff_ffff)
}

/// The buffers, and the supply from which the kernel takes them.
struct Buffers {
    memory: NonNull<u8>,
    supply: NonNull<BufRingEntry>,
    tail: u16,
}

// SAFETY: both pieces of memory are owned by this value alone.
unsafe impl Send for Buffers {}

impl Buffers {
    const MEMORY: Layout = match Layout::from_size_align(BUFFERS as usize * STRIDE, 4_096) {
        Ok(layout) => layout,
        Err(_) => panic!("a valid layout"),
    };
    const SUPPLY: Layout = match Layout::from_size_align(BUFFERS as usize * size_of::<BufRingEntry>(), 4_096) {
        Ok(layout) => layout,
        Err(_) => panic!("a valid layout"),
    };

    fn new() -> Self {
        let allocate = |layout| {
            // SAFETY: neither layout has size zero.
            let memory = unsafe { alloc::alloc_zeroed(layout) };
            NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout))
        };
        Self { memory: allocate(Self::MEMORY), supply: allocate(Self::SUPPLY).cast(), tail: 0 }
    }

    fn place(&self, buffer: u16) -> *mut u8 {
        // SAFETY: the number is taken modulo their count, so the place is within the memory.
        unsafe { self.memory.as_ptr().add(usize::from(buffer % BUFFERS) * STRIDE) }
    }

    fn bytes(&mut self, buffer: u16, from: usize, len: usize) -> &mut [u8] {
        let (from, len) = (from.min(BUFFER), len.min(BUFFER - from.min(BUFFER)));
        // SAFETY: within one buffer, which is initialised from the start and not the kernel's at this time; the
        // borrow of `self` keeps it from being given away meanwhile.
        unsafe { slice::from_raw_parts_mut(self.place(buffer).add(from), len) }
    }

    /// Sender and length of what the kernel has written; none for an error, or a packet that has lost its end.
    fn arrival(&mut self, buffer: u16, result: i32, shape: &libc::msghdr) -> Option<(SocketAddr, usize)> {
        let written = usize::try_from(result).ok()?;
        let out = RecvMsgOut::parse(self.bytes(buffer, 0, written), shape).ok()?;
        if out.is_payload_truncated() || out.is_name_data_truncated() {
            return None;
        }
        Some((RawAddress::from_bytes(out.name_data())?, out.payload_data().len()))
    }

    /// Gives buffers to the kernel.
    fn supply(&mut self, spent: &mut Vec<u16>) {
        if spent.is_empty() {
            return;
        }
        for buffer in spent.drain(..) {
            let place = self.place(buffer) as u64;
            // SAFETY: the index is below BUFFERS. The kernel does not read an entry before the tail has passed it,
            // and there is room for all buffers at once.
            let entry = unsafe { &mut *self.supply.as_ptr().add(usize::from(self.tail % BUFFERS)) };
            entry.set_addr(place);
            entry.set_len(BUFFER as u32);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
        }
        // SAFETY: the tail of the supply is a u16 within its first entry, aligned, which both sides use atomically.
        let tail = unsafe { &*BufRingEntry::tail(self.supply.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with these layouts, and freed once. The ring, and with it every request of the kernel's,
        // is gone already.
        unsafe {
            alloc::dealloc(self.memory.as_ptr(), Self::MEMORY);
            alloc::dealloc(self.supply.as_ptr().cast(), Self::SUPPLY);
        }
    }
}
