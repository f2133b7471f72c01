//! One engine has so many recordings, in however many calls, and no more.

use crate::stage::Stage;
use hookswitch_call::{CallId, MediaOp, MediaReport, Party, RecordEnd, RecordNews, RecordOrder, RecordPlan};
use hookswitch_media::{FileOrder, FileReport, MAX_RECORDINGS, MAX_RECORDINGS_PER_PARTY, Written};

const PER_CALL: usize = 2 * MAX_RECORDINGS_PER_PARTY;

/// Begins the nth recording: of the caller, then of the callee, then of the next call.
fn begin(stage: &mut Stage, n: usize) {
    let (call, within) = (CallId((n / PER_CALL) as u64), n % PER_CALL);
    if within == 0 {
        stage.perform(MediaOp::Open { call, offer: None, codecs: None, near: None, room: None });
    }
    let party = if within < MAX_RECORDINGS_PER_PARTY { Party::Caller } else { Party::Callee };
    let recording = hookswitch_call::RecordingId(within as u16);
    let order = RecordOrder::Begin(Box::new(RecordPlan::both_sides(format!("{n}.wav").into())));
    stage.perform(MediaOp::Record { call, party, recording, order });
}

/// Why recordings are over, since this was asked last.
fn ends(stage: &mut Stage) -> Vec<RecordEnd> {
    let mut ends = Vec::new();
    for news in stage.take_news() {
        if let MediaReport::Recorded { news: RecordNews::Finished(recorded), .. } = news {
            ends.push(recorded.reason);
        }
    }
    ends
}

#[test]
fn one_engine_has_so_many_recordings_and_room_again_when_one_is_over() {
    let mut stage = Stage::new();
    for n in 0..MAX_RECORDINGS {
        begin(&mut stage, n);
    }
    assert_eq!((stage.engine.recordings(), ends(&mut stage)), (MAX_RECORDINGS, Vec::new()));
    begin(&mut stage, MAX_RECORDINGS);
    assert_eq!(stage.engine.recordings(), MAX_RECORDINGS);
    assert_eq!(ends(&mut stage), [RecordEnd::Failed("too many recordings at once".into())]);
    // The first of all.
    let Some(FileOrder::CreateRecording { file, .. }) = stage.engine.poll_file() else { panic!("no file is ordered") };
    stage.engine.file_done(stage.now, FileReport::RecordingOver { file, written: Written::default() });
    assert_eq!(stage.engine.recordings(), MAX_RECORDINGS - 1);
    begin(&mut stage, MAX_RECORDINGS + 1);
    assert_eq!(stage.engine.recordings(), MAX_RECORDINGS);
}
