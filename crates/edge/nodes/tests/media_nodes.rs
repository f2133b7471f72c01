//! Calls of a switchboard whose audio is on media hosts that die, are drained, started again, and come too late.

mod hosts;
use hosts::*;

use std::time::Duration;

use hookswitch_call::port::MediaLink as _;
use hookswitch_call::*;
use hookswitch_nodes::media::{LEAVE_TIME, MAX_QUEUE, PATIENCE};
use hookswitch_nodes::{Half as _, NodeId, NodeState, PulseNews};

fn sec(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_call_is_carried_from_its_first_offer_to_its_last_word() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    assert_eq!(site.tables(), [1]);
    let table = site.hosts[0].calls.values().next().unwrap();
    assert_eq!(table.hears["Of(Caller)"], Source::Peer);
    assert_eq!(table.accepted["Of(Callee)"], "bob answers");
    site.hangs_up(call);
    assert_eq!((site.tables(), site.media.len(), site.closed.clone()), (vec![0], 0, vec![call]));
}

#[test]
fn calls_are_spread_over_all_hosts_and_refused_when_none_has_room() {
    let mut site = Site::new(&[4, 4]);
    let calls: Vec<CallId> = (0..4).map(|_| site.talking()).collect();
    assert_eq!(site.tables(), [2, 2]);
    assert!(calls.iter().all(|call| site.sends_to(*call, ALICE) == site.sends_to(*call, BOB)), "both at one host");
    site.pass(sec(2));
    let call = site.calls();
    site.located(call);
    site.carry();
    assert!(site.board.call(call).is_none(), "nobody is rung up who could not be heard");
    let refused =
        |op: &Op| matches!(op, Op::Hangup { cause, .. } if (cause.code, &*cause.text) == (503, "No Media Node"));
    assert!(site.ops.iter().any(refused), "{:?}", site.ops.last());
    site.hangs_up(calls[0]);
    site.pass(sec(2));
    site.talking();
    assert_eq!(site.tables(), [2, 2]);
}

#[test]
fn it_is_known_how_hosts_stand_and_which_has_which_calls() {
    let mut site = Site::new(&[100, 100]);
    let calls: Vec<CallId> = (0..3).map(|_| site.talking()).collect();
    site.pass(sec(2));
    let standing = |site: &Site| site.media.standing().iter().map(|one| (one.state, one.carries)).collect::<Vec<_>>();
    assert_eq!(standing(&site), [(NodeState::Up, 2), (NodeState::Up, 1)]);
    site.hangs_up(calls[0]);
    site.kill(1);
    site.pass(sec(10));
    assert_eq!(standing(&site), [(NodeState::Up, 2), (NodeState::Lost, 0)], "what it had is on the other one");
}

/// Everything that can be said between the first word of a call and its last.
fn steps() -> usize {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    site.hangs_up(call);
    site.carried
}

#[test]
fn a_host_that_dies_at_any_step_of_a_call_costs_no_call() {
    let steps = steps();
    assert!(steps > 8, "{steps}");
    for step in 0..steps {
        let mut site = Site::new(&[100, 100]);
        let mut left = step;
        let mut carry = |site: &mut Site| loop {
            if left == 0 {
                site.kill(0);
            }
            left = left.wrapping_sub(1);
            if !site.carry_one() {
                break;
            }
        };
        let call = site.calls();
        site.located(call);
        carry(&mut site);
        site.answers(call);
        carry(&mut site);
        site.kill(0);
        site.pass(sec(10));
        assert!(site.talks(call), "step {step}: {:?}", site.ops);
        assert_eq!((site.sends_to(call, ALICE), site.sends_to(call, BOB)), (1, 1), "step {step}");
        assert_eq!(site.tables()[1], 1, "step {step}");
        let table = site.hosts[1].calls.values().next().unwrap();
        assert_eq!((table.hears["Of(Caller)"], table.hears["Of(Callee)"]), (Source::Peer, Source::Peer), "step {step}");
        site.hangs_up(call);
        site.pass(sec(1));
        assert_eq!((site.tables()[1], site.media.len()), (0, 0), "step {step}");
    }
}

const CAROL: LegId = LegId(2);

/// alice, who talks with bob, is transferred to carol, who answers.
fn is_transferred(site: &mut Site, call: CallId, mut carry: impl FnMut(&mut Site)) {
    let (party, to) = (Party::Caller, Address::from("sip:carol@x"));
    let transfer = Command::Transfer { call: CallRef::Id(call), party, to, by: None };
    site.board.submit(site.now, transfer).unwrap();
    site.located(call);
    carry(site);
    let sdp = Some(Sdp::from("carol answers"));
    site.board.tell(site.now, Report::Answered { call, leg: CAROL, sdp });
    carry(site);
}

fn steps_of_a_transfer() -> usize {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    let before = site.carried;
    is_transferred(&mut site, call, Site::carry);
    site.carried - before
}

#[test]
fn a_host_that_dies_at_any_step_of_a_transfer_costs_neither_the_call_nor_the_transfer() {
    let steps = steps_of_a_transfer();
    assert!(steps > 4, "{steps}");
    for step in 0..steps {
        let mut site = Site::new(&[100, 100]);
        let call = site.talking();
        let mut left = step;
        is_transferred(&mut site, call, |site| {
            loop {
                if left == 0 {
                    site.kill(0);
                }
                left = left.wrapping_sub(1);
                if !site.carry_one() {
                    break;
                }
            }
            site.pass(sec(6));
        });
        site.kill(0);
        site.pass(sec(10));
        assert!(site.talks(call), "step {step}: {:?}", site.ops);
        assert_eq!((site.sends_to(call, ALICE), site.sends_to(call, CAROL)), (1, 1), "step {step}");
        assert_eq!(site.tables()[1], 1, "step {step}");
        let told = |what: fn(&Event) -> bool| site.events.iter().filter(|told| what(&told.event)).count();
        assert_eq!(told(|event| matches!(event, Event::Transferred)), 1, "step {step}");
        assert_eq!(told(|event| matches!(event, Event::Ended { .. })), 0, "step {step}");
        site.board.tell(site.now, Report::Ended { call, leg: ALICE, cause: Cause::hangup() });
        site.pass(sec(1));
        let ends = site.events.iter().filter(|told| matches!(told.event, Event::Ended { .. })).count();
        assert_eq!((ends, site.tables()[1], site.media.len()), (1, 0, 0), "step {step}");
    }
}

#[test]
fn a_drained_host_is_empty_soon_and_nobody_is_cut_off_meanwhile() {
    let mut site = Site::new(&[100, 100]);
    let calls: Vec<CallId> = (0..6).map(|_| site.talking()).collect();
    assert_eq!(site.tables(), [3, 3]);
    site.obedient = false;
    site.http(0, "POST", "/drain");
    site.pass(sec(3));
    assert_eq!(site.tables(), [3, 6], "the old ones are there until the phones have agreed");
    site.obedient = true;
    let asked: Vec<(CallId, LegId)> = site
        .ops
        .iter()
        .filter_map(|op| match op {
            Op::Reoffer { call, leg, .. } => Some((*call, *leg)),
            _ => None,
        })
        .collect();
    assert_eq!(asked.len(), 6);
    for (call, leg) in asked {
        site.board.tell(site.now, Report::Reaccepted { call, leg, sdp: Ok(Some(Sdp::from("yes"))) });
    }
    site.pass(sec(1));
    assert_eq!(site.tables(), [0, 6]);
    assert!(calls.iter().all(|call| site.talks(*call) && site.sends_to(*call, BOB) == 1));
    site.http(0, "DELETE", "/drain");
    site.pass(sec(2));
    let call = site.talking();
    assert_eq!(site.sends_to(call, ALICE), 0, "it is used again");
}

#[test]
fn phones_that_do_not_answer_do_not_keep_a_drained_host_for_ever() {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    site.obedient = false;
    site.http(0, "POST", "/drain");
    site.pass(sec(3));
    assert_eq!(site.tables(), [1, 1]);
    site.pass(LEAVE_TIME);
    assert_eq!((site.tables(), site.talks(call)), (vec![0, 1], true));
}

#[test]
fn a_call_that_still_rings_leaves_a_drained_host_once_it_is_answered() {
    let mut site = Site::new(&[100, 100]);
    let call = site.calls();
    site.located(call);
    site.carry();
    site.http(0, "POST", "/drain");
    site.pass(sec(5));
    assert_eq!(site.tables(), [1, 0]);
    site.answers(call);
    site.pass(sec(3));
    assert_eq!((site.tables(), site.sends_to(call, ALICE), site.sends_to(call, BOB)), (vec![0, 1], 1, 1));
}

#[test]
fn drained_alone_a_host_keeps_its_calls_and_gets_no_new_ones() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    site.http(0, "POST", "/drain");
    site.pass(sec(60));
    assert!(site.talks(call));
    let refused = site.calls();
    site.located(refused);
    site.carry();
    assert!(site.board.call(refused).is_none());
}

#[test]
fn calls_wait_for_the_only_host_to_be_started_again() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    site.kill(0);
    site.pass(sec(5));
    assert!(site.talks(call));
    site.hosts[0].start_again();
    site.pass(sec(5));
    let news: Vec<PulseNews> = std::iter::from_fn(|| site.media.poll_news()).map(|(_, news)| news).collect();
    assert_eq!(news, [PulseNews::There, PulseNews::Lost, PulseNews::There]);
    assert_eq!((site.tables(), site.talks(call)), (vec![1], true));
    let reoffers = site.ops.iter().filter(|op| matches!(op, Op::Reoffer { .. })).count();
    assert_eq!(reoffers, 2);
    assert!(site.told[&(call, ALICE)].0.contains("o=- 00 "), "the same session, described anew");
}

#[test]
fn when_nobody_takes_them_calls_end_with_the_reason() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    site.kill(0);
    site.pass(sec(4) + PATIENCE);
    assert!(site.board.call(call).is_none());
    let ended = |told: &Told| matches!(&told.event, Event::Ended { cause, .. } if &*cause.text == "No Media Node");
    assert!(site.events.iter().any(ended));
    assert_eq!(site.media.len(), 0);
}

#[test]
fn a_host_that_was_started_again_too_fast_to_be_missed_gets_its_calls_anew() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    site.hosts[0].start_again();
    site.pass(sec(2));
    assert_eq!((site.tables(), site.talks(call)), (vec![1], true));
    assert!(site.ops.iter().any(|op| matches!(op, Op::Reoffer { .. })));
}

#[test]
fn one_that_has_forgotten_a_call_is_given_it_again() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    let uuid = *site.hosts[0].calls.keys().next().unwrap();
    site.hosts[0].channels.unknown(uuid);
    site.board.tell(site.now, Report::Reoffered { call, leg: BOB, sdp: Some(Sdp::from("bob changes")) });
    site.pass(sec(1));
    assert!(site.talks(call));
    let answered = |op: &Op| matches!(op, Op::Reanswer { sdp: Ok(_), .. });
    assert!(site.ops.iter().any(answered), "what bob wanted is done all the same");
}

#[test]
fn a_host_that_stops_says_so_and_its_calls_go_elsewhere_at_once() {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    site.hosts[0].channels.end_all();
    site.http(0, "GET", "/channel");
    site.carry();
    assert_eq!((site.sends_to(call, ALICE), site.tables()[1]), (1, 1));
}

#[test]
fn a_conference_is_on_one_host_and_moves_as_a_whole() {
    let mut site = Site::new(&[100, 100]);
    let calls: Vec<CallId> = (0..4)
        .map(|_| {
            let call = site.calls();
            site.in_conference(call, "conference:7");
            call
        })
        .collect();
    assert_eq!(site.tables(), [4, 0]);
    site.talking();
    assert_eq!(site.tables(), [4, 1], "others go where there is room");
    site.http(0, "POST", "/drain");
    site.pass(sec(5));
    assert_eq!(site.tables(), [0, 5]);
    site.http(0, "DELETE", "/drain");
    site.pass(sec(2));
    let late = site.calls();
    site.in_conference(late, "conference:7");
    assert_eq!(site.tables(), [0, 6], "to the others");
    site.kill(1);
    site.pass(sec(10));
    assert!(calls.iter().all(|call| site.talks(*call)));
    let rooms: usize = site.hosts[0].calls.values().map(|table| table.rooms.len()).sum();
    assert_eq!((site.tables()[0], rooms), (6, 5));
}

#[test]
fn what_only_the_dead_host_knew_comes_to_its_end_once() {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    let order = |order| Command::Audio { call: CallRef::Id(call), party: Party::Caller, order };
    let plan = RecordPlan::both_sides("a.wav".into());
    site.board.submit(site.now, order(AudioOrder::Record(Box::new(plan)))).unwrap();
    let soup = Soup { sounds: vec![Sound::of(SoundKind::Wav, "s")], ..Soup::default() };
    let play = AudioOrder::Play { soup: soup.into(), update: false, to: Audience::Party };
    site.board.submit(site.now, order(play)).unwrap();
    site.carry();
    site.kill(0);
    site.pass(sec(10));
    let finished = site.reports.iter().filter_map(|report| match report {
        MediaReport::Recorded { news: RecordNews::Finished(recorded), .. } => Some(recorded.reason.clone()),
        _ => None,
    });
    assert_eq!(finished.collect::<Vec<_>>(), [RecordEnd::Failed("its media node is gone".into())]);
    let table = site.hosts[1].calls.values().next().unwrap();
    assert_eq!(table.ops.iter().filter(|op| *op == "Play").count(), 1, "it is played again");
    assert!(!table.ops.contains(&"Record".to_owned()));
}

#[test]
fn what_is_played_stands_still_and_is_as_loud_elsewhere_as_it_was() {
    for drains in [false, true] {
        let mut site = Site::new(&[100, 100]);
        let call = site.talking();
        let order = |order| Command::Audio { call: CallRef::Id(call), party: Party::Caller, order };
        let soup = Soup { sounds: vec![Sound::of(SoundKind::Wav, "s")], ..Soup::default() };
        let play = AudioOrder::Play { soup: soup.into(), update: false, to: Audience::Party };
        site.board.submit(site.now, order(play)).unwrap();
        site.carry();
        for control in [PlayControl::Gain(-6), PlayControl::Pause] {
            site.board.submit(site.now, order(AudioOrder::ControlPlay(control))).unwrap();
        }
        site.carry();
        if drains {
            site.http(0, "POST", "/drain");
        } else {
            site.kill(0);
        }
        site.pass(sec(10));
        let table = site.hosts[1].calls.values().next().unwrap();
        assert!(table.ops.contains(&"Play".to_owned()), "{drains}: {:?}", table.ops);
        assert_eq!(table.controls, [PlayControl::Gain(-6), PlayControl::Pause], "{drains}");
    }
}

#[test]
fn what_the_dead_host_was_writing_is_told_as_interrupted_and_where_it_is() {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    let plan = Box::new(RecordPlan::both_sides("a.wav".into()));
    let (party, order) = (Party::Caller, AudioOrder::Record(plan));
    site.board.submit(site.now, Command::Audio { call: CallRef::Id(call), party, order }).unwrap();
    site.carry();
    let theirs = *site.orders_of_recordings.last().unwrap();
    site.report_of(0, MediaReport::Recorded { call: theirs.0, recording: theirs.1, news: RecordNews::Begun });
    site.pass(sec(1));
    let recorded = site.media.poll_recorded().map(|(node, call, _)| (node, call));
    assert_eq!(recorded, Some((NodeId(0), call)), "while it runs");
    site.kill(0);
    site.pass(sec(10));
    let finished = site.reports.iter().filter_map(|report| match report {
        MediaReport::Recorded { news: RecordNews::Finished(recorded), .. } => Some((**recorded).clone()),
        _ => None,
    });
    assert_eq!(finished.collect::<Vec<_>>(), [Recorded::nothing(&"a.wav".into(), RecordEnd::Interrupted)]);
}

#[test]
fn a_call_that_is_over_while_it_is_being_opened_leaves_nothing_anywhere() {
    for steps in 0..6 {
        let mut site = Site::new(&[100, 100]);
        let call = site.calls();
        site.located(call);
        for _ in 0..steps {
            site.carry_one();
        }
        site.board.tell(site.now, Report::Ended { call, leg: ALICE, cause: Cause::hangup() });
        site.pass(sec(2));
        assert_eq!((site.tables(), site.board.live()), (vec![0, 0], 0), "{steps}");
        site.pass(sec(70));
        assert_eq!(site.media.len(), 0, "{steps}");
    }
}

#[test]
fn a_call_that_no_other_host_takes_after_all_stays_where_it_was() {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    // It has answered just before, and is thought to be there.
    site.kill(1);
    site.http(0, "POST", "/drain");
    site.pass(Duration::from_millis(1_500));
    assert!(site.asked(1, "POST") > 0, "it was asked");
    assert!(site.ops.iter().all(|op| !matches!(op, Op::Reoffer { .. })));
    site.hangs_up(call);
    site.pass(sec(1));
    assert_eq!((site.tables()[0], site.media.len(), site.closed.len()), (0, 0, 1), "with its last word");
}

#[test]
fn whoever_comes_into_a_room_later_goes_where_the_room_is() {
    let mut site = Site::new(&[100, 100]);
    let member = site.calls();
    site.in_conference(member, "conference:7");
    let call = site.talking();
    assert_eq!(site.tables(), [1, 1]);
    let (party, part) = (Party::Caller, Part::default());
    site.media.perform(site.now, MediaOp::Join { call, party, room: Room::from("conference:7"), part });
    site.pass(sec(1));
    assert_eq!((site.tables(), site.sends_to(call, ALICE)), (vec![2, 0], 0));
    let joined = |report: &MediaReport| matches!(report, MediaReport::Room { news: RoomNews::Joined(2), .. });
    assert_eq!(site.reports.iter().filter(|report| joined(report)).count(), 1);
}

#[test]
fn a_room_whose_host_is_full_takes_nobody_and_is_not_torn_apart() {
    let mut site = Site::new(&[2, 100]);
    let member = site.calls();
    site.in_conference(member, "conference:7");
    site.pass(sec(2));
    let late = site.calls();
    site.in_conference(late, "conference:7");
    assert_eq!(site.tables(), [1, 0]);
    assert!(site.board.call(late).is_none() && site.talks(member));
}

#[test]
fn orders_that_wait_have_a_limit() {
    let mut site = Site::new(&[100]);
    let call = site.talking();
    let digit = Digit { key: '1', time: sec(0) };
    for _ in 0..=MAX_QUEUE {
        site.media.perform(site.now, MediaOp::Digit { call, party: Party::Caller, digit });
    }
    site.carry();
    let why = "Too Many Orders Wait For The Media Node";
    let ended = |told: &Told| matches!(&told.event, Event::Ended { cause, .. } if &*cause.text == why);
    assert!(site.events.iter().any(ended));
    assert_eq!((site.tables(), site.media.len()), (vec![0], 0));
}

#[test]
fn a_call_that_was_given_up_while_it_was_being_opened_stays_given_up() {
    for dies in [false, true] {
        let mut site = Site::new(&[100]);
        let call = site.calls();
        site.located(call);
        let digit = Digit { key: '1', time: sec(0) };
        for _ in 0..=MAX_QUEUE {
            site.media.perform(site.now, MediaOp::Digit { call, party: Party::Caller, digit });
        }
        if dies {
            site.kill(0);
        }
        site.pass(sec(2));
        let opened = site.reports.iter().filter(|report| matches!(report, MediaReport::Moved { result: Ok(()), .. }));
        assert_eq!((opened.count(), site.media.len(), site.board.live()), (0, 0, 0), "{dies}");
        assert!(dies || site.tables() == [0]);
    }
}

#[test]
fn a_recording_on_a_drained_host_is_complete_before_it_is_told() {
    let mut site = Site::new(&[100, 100]);
    let call = site.talking();
    let plan = Box::new(RecordPlan::both_sides("a.wav".into()));
    let (party, order) = (Party::Caller, AudioOrder::Record(plan));
    site.board.submit(site.now, Command::Audio { call: CallRef::Id(call), party, order }).unwrap();
    site.carry();
    site.http(0, "POST", "/drain");
    site.pass(sec(5));
    assert_eq!(site.sends_to(call, ALICE), 1);
    let theirs = *site.orders_of_recordings.last().unwrap();
    let done = Recorded { size: 44, ..Recorded::nothing(&"a.wav".into(), RecordEnd::Closed) };
    let news = RecordNews::Finished(Box::new(done));
    site.report_of(0, MediaReport::Recorded { call: theirs.0, recording: theirs.1, news });
    site.pass(sec(60));
    let reasons = site.reports.iter().filter_map(|report| match report {
        MediaReport::Recorded { news: RecordNews::Finished(recorded), .. } => Some(recorded.reason.clone()),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [RecordEnd::Closed], "once, and as it was");
    let recorded = site.media.poll_recorded().map(|(node, call, _)| (node, call));
    assert_eq!(recorded, Some((NodeId(0), call)), "the host that was drained has the file");
    assert_eq!(site.media.poll_recorded(), None);
}
