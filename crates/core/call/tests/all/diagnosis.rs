//! From the facts about a party's audio to what is said about it.

use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_call::diagnosis::{Finding, Silence, findings, is_private};
use hookswitch_call::{AudioFacts, AudioQuality, AudioSound, CallAudio, Party, Strange};

const PATIENCE: Duration = Duration::from_secs(5);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn sec(n: u64) -> Duration {
    Duration::from_secs(1_800_000_000 + n)
}

/// A phone at a public address, answered at 0, that has not been heard.
fn unheard() -> AudioFacts {
    AudioFacts {
        said: Some(at("203.0.113.5:4000")),
        ours: Some(at("198.51.100.1:10000")),
        codec: Some("PCMA".into()),
        sends: true,
        listens: true,
        agreed: Some(sec(0)),
        sent: 250,
        ..AudioFacts::default()
    }
}

/// The same, heard until `last`.
fn heard(last: u64) -> AudioFacts {
    let source = unheard().said;
    AudioFacts { source, first: Some(sec(0)), last: Some(sec(last)), received: 50 * last, ..unheard() }
}

fn found(facts: &AudioFacts, at: u64) -> Vec<Finding> {
    let audio = CallAudio { at: sec(at), patience: PATIENCE, caller: facts.clone(), callee: AudioFacts::default() };
    assert_eq!(findings(&audio, Party::Callee), [], "nobody has agreed to anything there");
    findings(&audio, Party::Caller)
}

fn why(facts: &AudioFacts) -> Silence {
    let found = found(facts, 60);
    let mut silent = found.iter().filter_map(|finding| match finding {
        Finding::Silent { why, .. } => Some(*why),
        _ => None,
    });
    silent.next().unwrap_or_else(|| panic!("{found:?}"))
}

#[test]
fn a_party_that_is_heard_where_it_said_is_nothing_to_talk_about() {
    assert_eq!(found(&heard(8), 10), []);
}

#[test]
fn a_party_that_is_not_to_be_heard_may_be_silent() {
    for facts in [
        AudioFacts { sends: false, ..unheard() },
        AudioFacts { held: true, ..unheard() },
        AudioFacts { agreed: None, ..unheard() },
    ] {
        assert_eq!(found(&facts, 60), [], "{facts:?}");
    }
}

#[test]
fn it_may_be_silent_for_a_while() {
    assert_eq!(found(&unheard(), 4), []);
    let silent = |since, heard_before, why| vec![Finding::Silent { since: sec(since), heard_before, why }];
    assert_eq!(found(&unheard(), 5), silent(0, false, Silence::Unknown));
    assert_eq!(found(&heard(8), 12), []);
    assert_eq!(found(&heard(8), 13), silent(8, true, Silence::Lost));
    // Whoever was taken off hold a moment ago has not been silent since its last packet.
    assert_eq!(found(&AudioFacts { agreed: Some(sec(20)), ..heard(8) }, 24), []);
}

#[test]
fn why_nothing_comes_is_what_the_facts_make_most_likely() {
    let (private, stranger) = (Some(at("192.168.1.5:4000")), at("203.0.113.77:9"));
    let ours = at("10.0.0.5:10000");
    let report = Some(sec(50));
    let table = [
        (unheard(), Silence::Unknown),
        (AudioFacts { said: private, ..unheard() }, Silence::Unknown),
        (AudioFacts { ours: Some(ours), ..unheard() }, Silence::OurAddress { ours }),
        (AudioFacts { ours: Some(ours), said: private, ..unheard() }, Silence::OurAddress { ours }),
        // One house: the address is as good as any.
        (AudioFacts { ours: Some(ours), said: Some(at("10.0.7.5:4000")), ..unheard() }, Silence::Unknown),
        (AudioFacts { ours: Some(ours), said: None, ..unheard() }, Silence::Unknown),
        (AudioFacts { last_report: report, ..unheard() }, Silence::ReportsOnly),
        (AudioFacts { last_report: report, ..heard(8) }, Silence::ReportsOnly),
        (heard(8), Silence::Lost),
        (AudioFacts { refused_last: Some((sec(9), stranger)), ..heard(8) }, Silence::NotBelieved { source: stranger }),
        // That was before, or on the way to where it was heard.
        (AudioFacts { refused_last: Some((sec(7), stranger)), ..heard(8) }, Silence::Lost),
        (AudioFacts { refused_last: Some((sec(8), heard(8).source.unwrap())), ..heard(8) }, Silence::Lost),
        (AudioFacts { strange_last: Some((sec(9), Strange::Other)), ..unheard() }, Silence::NotRtp),
        (AudioFacts { strange_last: Some((sec(9), Strange::Dtls)), ..unheard() }, Silence::Encrypted),
        (AudioFacts { strange_last: Some((sec(9), Strange::Stun)), ..unheard() }, Silence::Ice),
        (
            AudioFacts { strange_last: Some((sec(9), Strange::PayloadType(18))), ..unheard() },
            Silence::OtherCodec { payload_type: 18 },
        ),
    ];
    for (facts, expected) in table {
        assert_eq!(why(&facts), expected, "{facts:?}");
    }
}

#[test]
fn a_nat_is_seen_by_the_source_of_packets() {
    let (said, source) = (at("192.168.1.5:4000"), at("203.0.113.5:61000"));
    let facts = AudioFacts { said: Some(said), source: Some(source), ..heard(8) };
    assert_eq!(found(&facts, 9), [Finding::BehindNat { said, source }]);
    let facts = AudioFacts { said: Some(at("203.0.113.5:4000")), moves: 2, ..facts };
    let said = at("203.0.113.5:4000");
    assert_eq!(found(&facts, 9), [Finding::OtherPort { said, source }, Finding::Moved { times: 2, source }]);
}

#[test]
fn audio_to_a_private_address_that_never_spoke_reaches_nobody() {
    let to = at("192.168.1.5:4000");
    let facts = AudioFacts { said: Some(to), ..unheard() };
    assert!(found(&facts, 5).contains(&Finding::Unreached { to }));
    assert!(found(&facts, 5).iter().all(Finding::is_trouble));
    assert!(!found(&AudioFacts { sent: 0, ..facts.clone() }, 5).contains(&Finding::Unreached { to }));
    // It may well be in our own network, and just has nothing to say.
    assert_eq!(found(&AudioFacts { sends: false, ..facts }, 5), []);
}

#[test]
fn the_words_name_what_each_side_said_and_hide_it_where_that_is_wanted() {
    let caller =
        AudioFacts { said: Some(at("192.168.1.5:4000")), ours: Some(at("10.0.0.5:10000")), sent: 0, ..unheard() };
    let audio = CallAudio { at: sec(6), patience: PATIENCE, caller, callee: AudioFacts::default() };
    let [finding] = findings(&audio, Party::Caller)[..] else { panic!("one finding") };
    assert_eq!(
        finding.text(&audio, Party::Caller, true),
        "no RTP from the caller since the answer, 6 s ago: its SDP said 192.168.1.5:4000 (private); no packet came; \
         our SDP said 10.0.0.5:10000 (private), which cannot be reached from there"
    );
    let hidden = finding.text(&audio, Party::Caller, false);
    assert!(!hidden.contains("192.168") && !hidden.contains("10.0.0"), "{hidden}");
    assert!(finding.advice().unwrap().contains("media.address"));
}

/// A party of which packets come until `at`, silent ones since `since`.
fn mute(since: u64, level: Option<i8>, at: u64) -> AudioFacts {
    let sound = AudioSound { looked_at: 100, level, silent_since: Some(sec(since)), ..AudioSound::default() };
    AudioFacts { quality: AudioQuality { sound: Some(sound), ..AudioQuality::default() }, ..heard(at) }
}

#[test]
fn packets_with_nothing_but_silence_are_told_after_half_a_minute() {
    let all = |caller: AudioFacts, callee: AudioFacts, at| {
        let audio = CallAudio { at: sec(at), patience: PATIENCE, caller, callee };
        (findings(&audio, Party::Caller), findings(&audio, Party::Callee))
    };
    let never = Finding::Mute { since: sec(0), heard_before: false };
    assert_eq!(all(mute(0, None, 29), heard(29), 29), (vec![], vec![]), "one may listen for a while");
    assert_eq!(all(mute(0, None, 30), heard(30), 30), (vec![never], vec![]));
    assert!(never.is_trouble());
    let then = Finding::Mute { since: sec(20), heard_before: true };
    assert_eq!(all(heard(50), mute(20, Some(-23), 50), 50), (vec![], vec![then]));
    assert!(!then.is_trouble(), "a key, most likely");
    assert_eq!(all(mute(0, None, 60), mute(9, None, 60), 60), (vec![], vec![]), "nobody misses anything");
    let held = AudioFacts { held: true, ..mute(0, None, 60) };
    assert_eq!(all(held, heard(60), 60), (vec![], vec![]));
    let (caller, _) = all(mute(0, None, 40), heard(60), 60);
    assert!(matches!(caller[..], [Finding::Silent { .. }]), "nothing comes at all: {caller:?}");
}

#[test]
fn every_text_says_something_and_every_trouble_has_an_advice() {
    let address = at("192.0.2.1:2");
    let silent = |why| Finding::Silent { since: sec(0), heard_before: true, why };
    let audio = CallAudio { at: sec(6), patience: PATIENCE, caller: heard(1), callee: AudioFacts::default() };
    for finding in [
        Finding::BehindNat { said: address, source: address },
        Finding::OtherPort { said: address, source: address },
        Finding::Moved { times: 1, source: address },
        Finding::Unreached { to: address },
        Finding::Mute { since: sec(0), heard_before: false },
        Finding::Mute { since: sec(0), heard_before: true },
        silent(Silence::OtherCodec { payload_type: 9 }),
        silent(Silence::Encrypted),
        silent(Silence::Ice),
        silent(Silence::NotRtp),
        silent(Silence::NotBelieved { source: address }),
        silent(Silence::OurAddress { ours: address }),
        silent(Silence::ReportsOnly),
        silent(Silence::Lost),
        silent(Silence::Unknown),
    ] {
        assert!(finding.text(&audio, Party::Caller, true).contains("the caller"), "{finding:?}");
        assert!(finding.text(&audio, Party::Callee, false).contains("the called party"), "{finding:?}");
        assert!(!finding.text(&audio, Party::Callee, false).contains("192.0.2"), "{finding:?}");
        assert_eq!(finding.advice().is_some(), finding.is_trouble(), "{finding:?}");
    }
}

#[test]
fn private_is_what_the_internet_does_not_know() {
    for private in
        ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "169.254.1.1", "127.0.0.1", "fd00::1", "fe80::1"]
    {
        assert!(is_private(private.parse().unwrap()), "{private}");
    }
    for public in ["172.32.0.1", "100.128.0.1", "198.51.100.1", "2001:db8::1"] {
        assert!(!is_private(public.parse().unwrap()), "{public}");
    }
}
