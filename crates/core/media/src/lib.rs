//! Media of anchored calls, without sockets and without a clock.
//!
//! An [`Engine`] is all the media of one thread. It is driven from two sides:
//!
//! * Signalling gives [`MediaOp`](hookswitch_call::MediaOp)s to [`Engine::perform`] and gets
//!   [`MediaReport`](hookswitch_call::MediaReport)s back from [`Engine::poll_report`]: offers and
//!   answers ([`negotiate`]) that name our ports, so that both parties send to us.
//! * The owner of the sockets gives each packet to [`Engine::handle_packet`], which says where it
//!   goes: to the other party as it came, but for the payload type where the parties number
//!   differently, and for its place in the receiver's stream once that had another source: a party
//!   is sent one stream with one SSRC, whatever it hears ([`Outgoing`]). Whom to believe is decided
//!   by a [`latch`]. While a party hears a tone, music on hold or itself, or is sent keys, [`Engine::next_tick`] asks for
//!   [`Engine::tick`].
//!
//! ```text
//!              perform()  ┌───────────────── Engine ─────────────────┐  Ports: take, give_back, send
//!   MediaOp ────────────▶ │ Call ┌ caller: session, latch, counters ┐│ ─────────▶
//!   MediaReport ◀──────── │      ├ callee: session, latch, counters ┤│
//!                         │      └ spare, while a place is handed on ┘│
//!            poll_report()│ Generator: tone or echo, SR + SDES + BYE │ ◀───────── tick()
//!                         └──────────────────────────────────────────┘
//!                   handle_packet(socket, from, bytes) ─▶ Forward::Send or Drop(why); send_ready() where there are more
//! ```
//!
//! Where both parties can use one codec they do, and packets pass as they are; else each packet is turned into
//! the receiver's codec when it comes. A party's hold is answered to that party, told and respected when
//! forwarding, and is not passed on to the other.

#![forbid(unsafe_code)]

mod agree;
mod channel;
mod config;
mod describe;
mod engine;
mod event_clock;
mod files;
mod formats;
mod generate;
mod hearing;
mod hold_music;
mod idle;
mod impression;
mod inspect;
mod jitter;
mod keyer;
mod keys;
mod keys_in_sound;
pub mod latch;
mod mixer;
mod moving;
pub mod negotiate;
mod outgoing;
mod player;
mod power;
mod prelude;
mod quality;
mod record;
mod recorder;
mod recordings;
mod relay;
mod report;
mod rooms;
mod saying;
mod slip;
mod sounds;
mod spare;
mod stats;
mod tone;
mod track;
mod transcode;

pub use config::{
    AddressPolicy, DEFAULT_IDLE_AFTER, DEFAULT_IDLE_HELD_AFTER, DEFAULT_MAX_CALLS, DEFAULT_QUIET_AFTER,
    DEFAULT_ROOM_MEMBERS, DEFAULT_RTP_TIMEOUT, EngineConfig, FRAME, FRAME_MS, MAX_SOCKETS, PortPair, Ports, SocketIx,
};
pub use describe::{Draft, MAX_MIRRORED_LINES};
pub use engine::{Engine, MAX_CLOSED};
pub use files::{CHUNK_MS, FileError, FileId, FileOrder, FileReport};
pub use generate::{MAX_CATCH_UP, REPORT_INTERVAL};
pub use hold_music::{HoldMusic, MAX_MUSIC_FILE, MAX_MUSIC_S, MIN_MUSIC_MS, MusicError};
pub use keyer::{MAX_KEY_TIME, MAX_KEYS_WAITING, MIN_KEY_TIME};
pub use latch::LatchConfig;
pub use moving::Moved;
pub use negotiate::{Negotiated, Refusal};
pub use outgoing::Outgoing;
pub use player::MAX_STALL_MS;
pub use power::{MAX_AVERAGE, MAX_RECORDING_S};
pub use record::{EndRecord, MediaRecord};
pub use recorder::PIECE;
pub use recordings::{MAX_RECORDINGS, MAX_RECORDINGS_PER_PARTY, Written};
pub use relay::Forward;
pub use rooms::SMALL as SMALL_ROOM;
pub use stats::{CLIPPED_PERCENT, CallStats, Counters, DropReason, POOR, Rated, Totals};
pub use tone::{MAX_LOOP_MS, REFERENCE_HZ};
pub use track::{MAX_WAITING, MAX_WAITING_BYTES, PATIENCE};
