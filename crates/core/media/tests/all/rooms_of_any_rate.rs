//! Rooms of members with codecs of all rates: each hears of the others what its own codec can carry.

use crate::hall::{Hall, OPUS};
use crate::stage::{self, parse};
use hookswitch_call::{Part, Role};
use hookswitch_codec::by_label;
use hookswitch_media::EngineConfig;
use hookswitch_rtp::ReportBlock;

fn with_opus() -> EngineConfig {
    let mut config = stage::with_g722();
    config.codecs.push(by_label("opus").expect("Opus"));
    config.max_calls = 20;
    config
}

fn hall() -> Hall {
    Hall::with(with_opus(), 16)
}

#[test]
fn two_on_opus_hear_each_other_up_to_the_highest_notes() {
    let mut hall = hall();
    hall.joins(OPUS, 9_000.0, Part::default());
    hall.joins(OPUS, 440.0, Part::default());
    hall.joins(9, 5_500.0, Part::default());
    hall.joins(0, 1_060.0, Part::default());
    // The phone on G.722 hears up to 7 kHz, that on G.711 up to 3.4 kHz.
    assert_eq!(hall.matrix(), [vec![1, 2, 3], vec![0, 2, 3], vec![1, 3], vec![1]]);
}

#[test]
fn one_on_opus_among_narrow_phones_is_heard_and_hears() {
    let mut hall = hall();
    hall.joins(OPUS, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    hall.joins(8, 1_060.0, Part::default());
    assert_eq!(hall.matrix(), [[1, 2], [0, 2], [0, 1]]);
    for (hearer, speaker) in [(1, 0), (0, 1)] {
        let level = hall.level(hearer, speaker) - 20.0 * (6_000.0f32 / 32_768.0).log10();
        assert!(level.abs() < 2.0, "{hearer} hears {speaker} {level} dB too loud");
    }
}

#[test]
fn whoever_comes_with_a_better_codec_is_heard_as_well_as_those_there_can() {
    let mut hall = hall();
    hall.joins(OPUS, 9_000.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    assert_eq!(hall.matrix(), [vec![1], vec![]], "a narrow room");
    let wide = hall.joins(OPUS, 1_060.0, Part::default());
    assert_eq!(hall.matrix(), [vec![1, 2], vec![2], vec![0, 1]], "a wide one, with the same decoders and encoders");
    hall.leaves(wide);
    hall.members.pop();
    assert_eq!(hall.matrix(), [vec![1], vec![]], "and a narrow one again");
}

#[test]
fn ten_loud_talkers_on_opus_do_not_clip() {
    let mut hall = hall();
    for n in 0..10 {
        let place = hall.joins(OPUS, 300.0 + 211.0 * f64::from(n), Part::default());
        hall.members[place].amplitude = 30_000.0;
    }
    hall.pass(2_000);
    let (sound, rate) = hall.sound(0);
    assert_eq!(rate, 48_000);
    let flat = sound.windows(4).filter(|four| four.iter().all(|sample| sample.unsigned_abs() > 32_700)).count();
    // Opus itself goes a little beyond what it is given.
    assert!(flat < 200, "{flat} of {} places are flat", sound.len());
    assert!(hall.level(0, 3) > -30.0, "and each is heard");
}

#[test]
fn who_loses_packets_is_sent_them_twice_from_then_on() {
    let mut hall = hall();
    let listener = Part { role: Role::Listen, ..Part::default() };
    let speaker = hall.joins(9, 440.0, Part::default());
    let [lossy, other] = [(); 2].map(|()| hall.joins(OPUS, 440.0, listener));
    hall.pass(1_000);
    let payloads = |hall: &Hall, place: usize| -> Vec<Vec<u8>> {
        hall.members[place].heard.iter().map(|(_, bytes)| parse(bytes).payload().to_vec()).collect()
    };
    assert!(
        payloads(&hall, lossy).len() > 45 && payloads(&hall, lossy)[5..] == payloads(&hall, other)[5..],
        "the same"
    );
    let ssrc = parse(&hall.members[lossy].heard[0].1).ssrc();
    let block = ReportBlock { ssrc, cumulative_lost: 25, fraction_lost: 100, ..ReportBlock::default() };
    hall.reports(lossy, block);
    hall.pass(6_000);
    hall.forget();
    hall.pass(1_000);
    assert_ne!(payloads(&hall, lossy), payloads(&hall, other));
    assert!(hall.level(lossy, speaker) > -20.0, "and heard as well");
}
