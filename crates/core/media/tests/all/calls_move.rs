//! A call that goes on in another engine.

use crate::hall::{Hall, PARTY, room};
use crate::stage::{self, parse};
use hookswitch_call::{
    Audience, CallId, MediaOp, MediaReport, Part, PlayEnd, PlayId, PlayNews, RecordOrder, RecordPlan, RecordingId,
    RoomNews, Sound, SoundKind, Soup, Source,
};
use hookswitch_media::{Engine, FRAME, FileId, FileOrder, FileReport, PortPair, SocketIx, Written};

/// Two halls, whose engines do not make the same names.
fn two() -> (Hall, Hall) {
    let (here, mut there) = (Hall::new(), Hall::new());
    there.stage.engine = Engine::new(stage::with_g722(), 8);
    (here, there)
}

/// Another engine, to which the last of the members moves; where it is there.
fn move_last(from: &mut Hall, to: &mut Hall) -> (usize, Vec<FileId>) {
    let member = from.members.pop().expect("a member");
    to.stage.now = to.stage.now.max(from.stage.now);
    let moved = from.stage.engine.hand_over(from.stage.now, member.call).expect("the call");
    assert_eq!(moved.call(), member.call);
    let pairs: Vec<PortPair> = moved.pairs().collect();
    for pair in &pairs {
        from.stage.ports.taken.retain(|taken| taken != pair);
    }
    // Other numbers, and the same port as far as the hall knows.
    let place = to.members.len();
    let port = 10_000 + 2 * place as u16;
    let renumbered: Vec<_> = (0..pairs.len() as u32)
        .map(|n| PortPair { rtp: SocketIx(900 + 2 * n), rtcp: SocketIx(901 + 2 * n), port })
        .collect();
    to.stage.ports.taken.extend(&renumbered);
    let files = to.stage.engine.take_over(to.stage.now, *moved, &renumbered);
    to.members.push(member);
    (place, files)
}

#[test]
fn a_call_moves_into_a_room_that_another_engine_mixes() {
    let (mut here, mut there) = two();
    there.joins(0, 440.0, Part::default());
    here.calls(0, 300.0);
    here.calls(9, 700.0);
    here.perform(MediaOp::Hear { call: here.members[1].call, seat: PARTY.into(), source: Source::Hold });
    here.pass(1_000);
    let (place, _) = move_last(&mut here, &mut there);
    let call = there.members[place].call;
    let next = here.stage.engine.next_tick();
    assert!(next.is_none_or(|at| at > here.stage.now + FRAME), "nothing beats where it was");
    assert!(here.stage.engine.stats(call).is_none());
    there.pass(500);
    there.perform(MediaOp::Join { call, party: PARTY, room: room(), part: Part::default() });
    there.perform(MediaOp::Hear { call, seat: PARTY.into(), source: Source::Room });
    there.pass(500);
    // Music, then music from elsewhere, then a room: one stream all the time.
    let heard = &there.members[place].heard;
    assert!(heard.len() > 90, "{}", heard.len());
    for pair in heard.windows(2) {
        let (one, next) = (parse(&pair[0].1), parse(&pair[1].1));
        assert_eq!((next.sequence(), next.ssrc()), (one.sequence().wrapping_add(1), one.ssrc()));
        let step = next.timestamp().wrapping_sub(one.timestamp());
        assert!((160..=320).contains(&step), "{step}");
    }
    assert_eq!(there.matrix(), [[1], [0]]);
    let stats = there.stage.engine.stats(call).expect("the call").caller;
    assert!(stats.received_packets > 100 && stats.sent_packets as usize > 90, "all that was counted came along");
    there.perform(MediaOp::Close { call });
    assert_eq!(there.stage.ports.taken.len(), 1, "and its sockets are given back there");
}

#[test]
fn what_is_played_ends_and_a_room_is_left_by_moving() {
    let (mut here, mut there) = two();
    here.joins(0, 440.0, Part::default());
    here.joins(0, 700.0, Part::default());
    here.pass(400);
    let call = here.members[1].call;
    let soup = Soup { sounds: vec![Sound::of(SoundKind::Tone, "1300:5000")], ..Soup::default() };
    let (play, to) = (PlayId(1), Audience::Party);
    here.perform(MediaOp::Play { call, party: PARTY, play, soup: soup.into(), to });
    here.pass(400);
    move_last(&mut here, &mut there);
    here.pass(20);
    assert_eq!(here.news.last(), Some(&(call, RoomNews::Left)));
    let ended = here
        .others
        .iter()
        .any(|report| matches!(report, MediaReport::Played { news: PlayNews::Ended(PlayEnd::Closed), .. }));
    assert!(ended, "{:?}", here.others);
    assert_eq!((here.stage.engine.rooms(), there.stage.engine.rooms()), ((1, 1), (0, 0)));
    there.perform(MediaOp::Close { call });
    assert_eq!(there.stage.engine.next_tick(), None);
}

#[test]
fn a_recording_goes_on_where_its_call_goes() {
    let (mut here, mut there) = two();
    here.calls(0, 440.0);
    here.calls(0, 700.0);
    let call = here.members[1].call;
    let recording = RecordingId(1);
    let order = RecordOrder::Begin(Box::new(RecordPlan::both_sides("a.wav".into())));
    here.perform(MediaOp::Record { call, party: PARTY, recording, order });
    let Some(FileOrder::CreateRecording { file: before, .. }) = here.stage.engine.poll_file() else {
        panic!("no file was ordered")
    };
    here.stage.engine.file_done(here.stage.now, FileReport::RecordingOpen { file: before });
    here.pass(2_000);
    let mut pieces: Vec<(u64, usize)> = Vec::new();
    let mut take = |hall: &mut Hall, file| {
        while let Some(order) = hall.stage.engine.poll_file() {
            assert_eq!(order.file(), file);
            if let FileOrder::AppendRecording { at, samples, .. } = order {
                pieces.push((at, samples.len() / 2));
            }
        }
    };
    take(&mut here, before);
    let (_, files) = move_last(&mut here, &mut there);
    assert_eq!((files.len(), here.stage.engine.recordings(), there.stage.engine.recordings()), (1, 0, 1));
    there.pass(2_000);
    there.perform(MediaOp::Record { call, party: PARTY, recording, order: RecordOrder::Finish });
    take(&mut there, files[0]);
    // No piece is missing, and none is written twice.
    let mut end = 0;
    for (at, count) in pieces {
        assert_eq!(at, end);
        end += count as u64;
    }
    assert!((30_000..=32_000).contains(&end), "{end} samples of four seconds");
    let written = Written { length: end, ..Written::default() };
    there.stage.engine.file_done(there.stage.now, FileReport::RecordingOver { file: files[0], written });
    there.pass(20);
    assert!(there.others.iter().any(|report| matches!(report, MediaReport::Recorded { .. })), "{:?}", there.others);
    assert_eq!(there.stage.engine.recordings(), 0);
}

#[test]
fn a_call_that_is_not_there_does_not_move() {
    let mut hall = Hall::new();
    assert!(hall.stage.engine.hand_over(hall.stage.now, CallId(9)).is_none());
}
