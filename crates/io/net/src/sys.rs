//! The system calls that no safe crate offers: datagrams in batches with their local address, the
//! socket error queue, the list of interfaces, the CPUs of a thread, the descriptor limit.
//!
//! All unsafe code of the crate is here and in `ring`. Every function takes and returns plain safe types
//! and states why its calls are sound.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

/// Datagrams that one system call moves.
pub(crate) const BATCH: usize = 32;

/// Room for the control messages of a datagram: the larger of the two packet-info structures and a
/// time, each with its header.
const CONTROL: usize = 72;
/// Room for the control messages of the error queue: the error with its offender's address, and
/// the packet info that comes along.
const ERROR_CONTROL: usize = 256;

/// A socket address as the kernel writes it. 28 bytes instead of the 128 of `sockaddr_storage`:
/// only the two internet families occur here.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) union RawAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

impl RawAddress {
    pub(crate) const LEN: libc::socklen_t = mem::size_of::<Self>() as libc::socklen_t;

    fn zeroed() -> Self {
        // SAFETY: both variants are plain integers, for which all-zero is a value.
        unsafe { mem::zeroed() }
    }

    pub(crate) fn new(address: SocketAddr) -> (Self, libc::socklen_t) {
        let mut raw = Self::zeroed();
        let len = match address {
            SocketAddr::V4(v4) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: in_addr(*v4.ip()),
                    sin_zero: [0; 8],
                };
                mem::size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: in6_addr(*v6.ip()),
                    sin6_scope_id: v6.scope_id(),
                };
                mem::size_of::<libc::sockaddr_in6>()
            }
        };
        (raw, len as libc::socklen_t)
    }

    /// An address as the kernel has written it somewhere else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<SocketAddr> {
        let mut raw = Self::zeroed();
        let len = bytes.len().min(Self::LEN as usize);
        // SAFETY: at most LEN bytes are copied into a value of that size, of which every pattern of bits is a value.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), ptr::from_mut(&mut raw).cast(), len) };
        raw.read(len as libc::socklen_t)
    }

    fn read(&self, len: libc::socklen_t) -> Option<SocketAddr> {
        // SAFETY: the family is the first field of both variants and was zeroed or written by the
        // kernel; each variant is read only under its own family and only if it was written whole.
        unsafe {
            match i32::from(self.v4.sin_family) {
                libc::AF_INET if len as usize >= mem::size_of::<libc::sockaddr_in>() => {
                    let ip = Ipv4Addr::from(u32::from_be(self.v4.sin_addr.s_addr));
                    let port = u16::from_be(self.v4.sin_port);
                    Some(SocketAddrV4::new(ip, port).into())
                }
                libc::AF_INET6 if len as usize >= mem::size_of::<libc::sockaddr_in6>() => {
                    let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
                    let port = u16::from_be(self.v6.sin6_port);
                    let (flow, scope) = (self.v6.sin6_flowinfo, self.v6.sin6_scope_id);
                    Some(SocketAddrV6::new(ip, port, flow, scope).into())
                }
                _ => None,
            }
        }
    }
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from(ip).to_be() }
}

fn in6_addr(ip: Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr { s6_addr: ip.octets() }
}

/// What is known of one received datagram, beside its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) from: SocketAddr,
    /// The address of this host that it was sent to, where the kernel says so.
    pub(crate) to: Option<IpAddr>,
    /// When the kernel took it in, by the calendar's clock, where it was asked to note that.
    pub(crate) arrived: Option<Duration>,
    /// It was longer than the room for it.
    pub(crate) truncated: bool,
}

/// What one system call says about a batch. Nearly every batch is of one or two datagrams, so what is not used of it is
/// not written either.
struct Messages {
    headers: [MaybeUninit<libc::mmsghdr>; BATCH],
    iovecs: [MaybeUninit<libc::iovec>; BATCH],
}

impl Messages {
    const fn new() -> Self {
        Self { headers: [const { MaybeUninit::uninit() }; BATCH], iovecs: [const { MaybeUninit::uninit() }; BATCH] }
    }

    /// Writes the n-th header: one piece of data, neither name nor control messages yet. It points into `self`.
    fn begin(&mut self, index: usize, data: *mut u8, len: usize) -> &mut libc::msghdr {
        let iovec = self.iovecs[index].write(libc::iovec { iov_base: data.cast(), iov_len: len });
        // SAFETY: a plain C structure for which all-zero is a value.
        let header = self.headers[index].write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        &mut header.msg_hdr
    }
}

/// Receives up to [`BATCH`] datagrams, the n-th into `room[n * size..][..size]`. Never waits.
pub(crate) fn receive_batch(
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    size: usize,
    out: &mut Vec<Received>,
) -> io::Result<()> {
    out.clear();
    let mut messages = Messages::new();
    let mut names = [RawAddress::zeroed(); BATCH];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
    let mut count = 0;
    for (index, piece) in room.chunks_exact_mut(size).take(BATCH).enumerate() {
        let header = messages.begin(index, piece.as_mut_ptr(), piece.len());
        header.msg_name = ptr::from_mut(&mut names[index]).cast();
        header.msg_namelen = RawAddress::LEN;
        header.msg_control = controls[index].as_mut_ptr().cast();
        header.msg_controllen = CONTROL as _;
        count += 1;
    }
    // SAFETY: the first `count` headers are written and point into `room`, `names`, `messages` and `controls`, all of
    // which outlive the call and are not touched otherwise meanwhile; each piece of `room` is
    // named once, with its own length. What the kernel does not write of a control buffer is not in the length that it
    // leaves in `msg_controllen`.
    let done = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.headers.as_mut_ptr().cast(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    for (index, header) in messages.headers.iter().take(done as usize).enumerate() {
        // SAFETY: `done` is at most `count`.
        let header = unsafe { header.assume_init_ref() };
        let (to, arrived) = control_messages(&header.msg_hdr);
        out.push(Received {
            len: (header.msg_len as usize).min(size),
            // A datagram whose sender the kernel does not name cannot be answered; port 0 marks it.
            from: names[index]
                .read(header.msg_hdr.msg_namelen)
                .unwrap_or(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))),
            to,
            arrived,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        });
    }
    Ok(())
}

/// Lets the system note when what comes in on a socket arrived; [`read_stamped`] says it.
///
/// # Errors
/// The system's.
pub fn stamp_arrivals(socket: &impl AsFd) -> io::Result<()> {
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Reads from a stream, and says when the last piece of what was read arrived: time since the UNIX epoch by the
/// calendar's clock, where [`stamp_arrivals`] was called before. Never waits.
///
/// # Errors
/// The system's.
pub fn read_stamped(socket: &impl AsFd, room: &mut [u8]) -> io::Result<(usize, Option<Duration>)> {
    let mut control = Control([0; CONTROL]);
    let mut iovec = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: a plain C structure for which all-zero is a value.
    let mut header = unsafe { mem::zeroed::<libc::msghdr>() };
    header.msg_iov = &raw mut iovec;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    // SAFETY: the header points to `room` and `control`, which outlive the call, with their own lengths.
    let read = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    let (_, arrived) = control_messages(&header);
    Ok((read as usize, arrived))
}

/// The address of this host that a datagram was sent to, and when it arrived.
fn control_messages(header: &libc::msghdr) -> (Option<IpAddr>, Option<Duration>) {
    let (mut to, mut arrived) = (None, None);
    // SAFETY: the kernel has filled the control buffer that `header` points to and set its length;
    // the CMSG functions stay within that length, and the data of each kind has the type that
    // ip(7), ipv6(7) and socket(7) give for it. `read_unaligned` makes no claim about alignment.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    to = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    arrived = Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32));
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    (to, arrived)
}

/// One datagram to send.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) to: SocketAddr,
    /// The address of this host to send from, where the socket is bound to all of them.
    pub(crate) source: Option<IpAddr>,
    pub(crate) bytes: &'a [u8],
}

/// Sends the first datagrams of `batch`, at most [`BATCH`]; returns how many. Never waits. An error
/// is about the first one, or about an earlier one ([`next_error`] tells).
pub(crate) fn send_batch(socket: BorrowedFd<'_>, batch: &[Outgoing<'_>]) -> io::Result<usize> {
    let mut messages = Messages::new();
    let mut names = [const { MaybeUninit::<RawAddress>::uninit() }; BATCH];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
    let count = batch.len().min(BATCH);
    for (index, datagram) in batch.iter().take(count).enumerate() {
        let (name, name_len) = RawAddress::new(datagram.to);
        let header = messages.begin(index, datagram.bytes.as_ptr().cast_mut(), datagram.bytes.len());
        header.msg_name = ptr::from_mut(names[index].write(name)).cast();
        header.msg_namelen = name_len;
        if let Some(source) = datagram.source {
            header.msg_control = ptr::from_mut(controls[index].write(Control([0; CONTROL]))).cast();
            header.msg_controllen = CONTROL as _;
            write_source(header, source);
        }
    }
    // SAFETY: the first `count` headers are written and point into `batch`, `names`, `messages` and `controls`, which
    // outlive the call; the kernel only reads what iov_base points to when sending.
    let done = unsafe {
        let headers = messages.headers.as_mut_ptr().cast();
        libc::sendmmsg(socket.as_raw_fd(), headers, count as libc::c_uint, libc::MSG_DONTWAIT as _)
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(done as usize)
}

/// Writes one packet-info control message into the buffer of `header` and sets its length.
fn write_source(header: &mut libc::msghdr, source: IpAddr) {
    // SAFETY: the buffer has CONTROL (72) bytes, zeroed and aligned to 8; the largest message
    // written is CMSG_SPACE(20) = 40 bytes. `write_unaligned` makes no claim about alignment.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let len = match source {
            IpAddr::V4(ip) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr(ip),
                    ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
                };
                (*message).cmsg_level = libc::IPPROTO_IP;
                (*message).cmsg_type = libc::IP_PKTINFO;
                let data = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>();
                data.write_unaligned(info);
                mem::size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo { ipi6_addr: in6_addr(ip), ipi6_ifindex: 0 };
                (*message).cmsg_level = libc::IPPROTO_IPV6;
                (*message).cmsg_type = libc::IPV6_PKTINFO;
                let data = libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>();
                data.write_unaligned(info);
                mem::size_of::<libc::in6_pktinfo>()
            }
        } as libc::c_uint;
        (*message).cmsg_len = libc::CMSG_LEN(len) as _;
        header.msg_controllen = libc::CMSG_SPACE(len) as _;
    }
}

/// Takes the oldest entry of a socket's error queue: where the failed datagram was sent, and the
/// error number. `None` when the queue is empty.
pub(crate) fn next_error(socket: BorrowedFd<'_>) -> Option<(SocketAddr, i32)> {
    #[repr(C, align(8))]
    struct Room([u8; ERROR_CONTROL]);
    let mut control = Room([0; ERROR_CONTROL]);
    let mut name = RawAddress::zeroed();
    // SAFETY: all-zero is a value of msghdr (null pointers with zero lengths).
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = ptr::from_mut(&mut name).cast();
    header.msg_namelen = RawAddress::LEN;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = ERROR_CONTROL as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: `header` points to `name` and `control`, which outlive the call.
    if unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) } < 0 {
        return None;
    }
    let to = name.read(header.msg_namelen)?;
    // SAFETY: as in `control_messages`; IP_RECVERR and IPV6_RECVERR carry a sock_extended_err.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            if let (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) =
                ((*message).cmsg_level, (*message).cmsg_type)
            {
                let data = libc::CMSG_DATA(message).cast::<libc::sock_extended_err>();
                return Some((to, data.read_unaligned().ee_errno as i32));
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    None
}

/// Sets an integer option of a socket.
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the option value is one int that outlives the call, and its length is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            mem::size_of_val(&value) as libc::socklen_t,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// One address of one interface: name, address, prefix length, `IFF_*` flags.
pub(crate) type RawInterface = (String, IpAddr, u8, u32);

/// All internet addresses of this host.
pub(crate) fn interface_addresses() -> io::Result<Vec<RawInterface>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` receives a list that is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: `entry` is a node of the list, alive until freeifaddrs; its name is a C string,
        // its address and mask are null or point to a socket address of the family they name.
        unsafe {
            let name = std::ffi::CStr::from_ptr((*entry).ifa_name);
            let address = read_sockaddr((*entry).ifa_addr);
            let mask = read_sockaddr((*entry).ifa_netmask);
            if let Some(address) = address {
                let prefix = mask.map_or(0, |mask| match mask.ip() {
                    IpAddr::V4(ip) => u32::from(ip).leading_ones(),
                    IpAddr::V6(ip) => u128::from(ip).leading_ones(),
                });
                let name = name.to_string_lossy().into_owned();
                found.push((name, address.ip(), prefix as u8, (*entry).ifa_flags));
            }
            entry = (*entry).ifa_next;
        }
    }
    // SAFETY: `list` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// # Safety
/// `address` is null or points to a socket address of the family it names.
unsafe fn read_sockaddr(address: *const libc::sockaddr) -> Option<SocketAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: by the contract; only as many bytes as the named family has are read.
    unsafe {
        let mut raw = RawAddress::zeroed();
        let len = match i32::from((*address).sa_family) {
            libc::AF_INET => {
                raw.v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                mem::size_of::<libc::sockaddr_in>()
            }
            libc::AF_INET6 => {
                raw.v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                mem::size_of::<libc::sockaddr_in6>()
            }
            _ => return None,
        };
        raw.read(len as libc::socklen_t)
    }
}

/// The CPUs that this process may run on, in ascending order. Empty if the system does not say.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: all-zero is the empty set; the size given is that of the set written to.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        if libc::sched_getaffinity(0, mem::size_of_val(&set), &raw mut set) < 0 {
            return Vec::new();
        }
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    }
}

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// The process may not run on that CPU.
pub fn pin_current_thread(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `cpu` is within the set; the size given is that of the set read.
    let done = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set)
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the calling thread run before others of ordinary priority: nice value -10.
///
/// # Errors
/// The process may not do that (CAP_SYS_NICE, or a limit RLIMIT_NICE that allows it).
pub fn prefer_current_thread() -> io::Result<()> {
    // SAFETY: no memory is involved. On Linux, process 0 is the calling thread.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Raises the limit of open descriptors to what the system allows this process; returns it.
///
/// # Errors
/// The system refuses even that.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    // SAFETY: both calls read or write one rlimit that outlives them.
    unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) < 0 {
            return Err(io::Error::last_os_error());
        }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(limit.rlim_cur)
    }
}

/// Memory of this process comes in pages of the usual size from now on, whatever an allocator asks for: where each of its
/// pieces begins a page of 2 MiB, a process of many small things holds a quarter more than it uses.
///
/// # Errors
/// The system knows of no such thing.
pub fn without_huge_pages() -> io::Result<()> {
    // SAFETY: sets a flag of the process and touches no memory.
    let done = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// CPU time that the calling thread has used, in user and in system mode.
#[must_use]
pub fn thread_cpu_time() -> (Duration, Duration) {
    // SAFETY: getrusage writes one rusage that outlives the call.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    let read =
        |time: libc::timeval| Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64);
    (read(usage.ru_utime), read(usage.ru_stime))
}

/// What the system says of its calendar's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockState {
    /// Somebody keeps it right.
    pub synchronised: bool,
    /// By how much it may be wrong, as whoever keeps it right says.
    pub max_error: Duration,
}

/// Asks the system whether its clock is kept right. Changes nothing.
///
/// # Errors
/// The system does not tell, as some containers do not.
pub fn clock_state() -> io::Result<ClockState> {
    // SAFETY: a plain C structure for which all-zero is a value, and which asks for no change.
    let mut state = unsafe { mem::zeroed::<libc::timex>() };
    // SAFETY: adjtimex reads and writes one timex that outlives the call.
    let found = unsafe { libc::adjtimex(&raw mut state) };
    if found < 0 {
        return Err(io::Error::last_os_error());
    }
    let synchronised = found != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0;
    Ok(ClockState { synchronised, max_error: Duration::from_micros(u64::try_from(state.maxerror).unwrap_or(0)) })
}
