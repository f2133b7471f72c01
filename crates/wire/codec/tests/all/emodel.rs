//! How a call sounds, as a number.

use hookswitch_codec::{CODECS, Transmission, by_label, opinion, pcmu, rating};

fn mos(label: &str, delay_ms: f32, loss_percent: f32, burst_ratio: f32) -> f32 {
    let codec = by_label(label).expect("a row");
    opinion(rating(codec.impairment(), Transmission { delay_ms, loss_percent, burst_ratio }))
}

#[test]
fn a_perfect_call_has_the_known_number_of_each_codec() {
    // G.107: 93.2 is 4.41.
    assert!((mos("PCMU", 20.0, 0.0, 1.0) - 4.41).abs() < 0.01);
    assert!((mos("G729", 20.0, 0.0, 1.0) - 4.11).abs() < 0.02, "{}", mos("G729", 20.0, 0.0, 1.0));
    assert!((mos("iLBC", 20.0, 0.0, 1.0) - 4.08).abs() < 0.02, "{}", mos("iLBC", 20.0, 0.0, 1.0));
}

#[test]
fn the_curve_from_rating_to_opinion_is_that_of_annex_b() {
    for (r, expected) in
        [(100.0, 4.5), (90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58), (0.0, 1.0)]
    {
        assert!((opinion(r) - expected).abs() < 0.01, "{r}: {}", opinion(r));
    }
    assert_eq!(opinion(-5.0), 1.0);
    assert_eq!(opinion(200.0), 4.5);
    assert_eq!(opinion(4.0), 1.0, "where the curve dips");
}

#[test]
fn losses_are_heard_and_half_of_all_packets_is_bad() {
    for codec in CODECS.iter().filter(|codec| codec.is_audio()) {
        let at = |loss| mos(codec.label, 50.0, loss, 1.0);
        let falling: Vec<f32> = [0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0].map(at).to_vec();
        assert!(falling.windows(2).all(|pair| pair[1] < pair[0]), "{}: {falling:?}", codec.label);
        assert!(at(50.0) < 1.8, "{}: {}", codec.label, at(50.0));
        assert!(at(1.0) > 3.5, "{}: {}", codec.label, at(1.0));
    }
}

#[test]
fn losses_in_a_row_are_worse_than_single_ones() {
    assert!(mos("PCMU", 50.0, 3.0, 2.0) < mos("PCMU", 50.0, 3.0, 1.0));
    assert_eq!(mos("PCMU", 50.0, 3.0, 0.5), mos("PCMU", 50.0, 3.0, 1.0));
}

#[test]
fn delay_is_noticed_from_100_ms_on() {
    let at = |delay| mos("PCMU", delay, 0.0, 1.0);
    assert_eq!(at(0.0), at(100.0));
    let falling: Vec<f32> = [100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 1_000.0].map(at).to_vec();
    assert!(falling.windows(2).all(|pair| pair[1] < pair[0]), "{falling:?}");
    // G.107 and G.114: at 400 ms few are satisfied.
    assert!((3.0..3.9).contains(&at(400.0)), "{}", at(400.0));
}

#[test]
fn numbers_that_make_no_sense_make_no_nonsense() {
    for odd in [f32::NEG_INFINITY, -1.0, 1e30, f32::INFINITY] {
        let transmission = Transmission { delay_ms: odd, loss_percent: odd, burst_ratio: odd };
        let number = opinion(rating(pcmu().impairment(), transmission));
        assert!((1.0..=4.5).contains(&number), "{odd}: {number}");
    }
}
