//! What is offered and answered, and what is refused.

use crate::stage::{
    self, ALICE, BOB, CALL, CALLEE_LEG, SWITCH, SWITCH_V6, Stage, at, formats_in, ip, phone, phone_with,
};
use hookswitch_call::{Codecs, Fault, Kind, LegId, MediaOp, MediaReport, Party, Sdp};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_sdp::{Direction, SessionDescription};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// Caller offers, callee is offered, callee answers, caller is answered.
#[test]
fn codecs_are_chosen_by_this_table() {
    let table = [
        // Ours in our order, the callee's choice, events for each that has them: for the other they are sounds.
        ("0 8 101", "0 8 101", "0 101", "0 101"),
        ("8 0 101", "0 8 101", "8 101", "8 101"),
        ("8 0 101", "0 8 101", "0 8 101", "0 101"),
        ("8", "8 0 101", "8", "8"),
        ("0 8", "0 8 101", "8 0", "8"),
        ("18 9 8", "8 0 101", "8", "8"),
        // Where both cannot have one codec, each has its own; what both have wins, whatever the callee likes best.
        ("8 101", "8 0 101", "0 101", "8 101"),
        ("8 101", "8 0 101", "0 8 101", "8 101"),
        ("0", "0 8 101", "8", "0"),
        ("0 8 101", "0 8 101", "0", "0 101"),
        ("0 96", "0 8 96", "0 96", "0 96"),
        ("101 0", "0 8 101", "0 101", "0 101"),
    ];
    for (offer, offered_on, answer, answered_on) in table {
        let mut stage = Stage::new();
        stage.open(Some(&phone(ALICE, offer)));
        let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
        assert_eq!(formats_in(&on), offered_on, "offered on for {offer}");
        stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, answer)).expect("usable");
        let back = stage.make_answer(CALLER).expect("an answer");
        assert_eq!(formats_in(&back), answered_on, "answered for {offer} / {answer}");
    }
}

#[test]
fn no_common_codec_is_refused_with_488_before_the_callee_rings() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "9 18 101")));
    let cause = stage.make_offer(CALLEE, CALLEE_LEG).expect_err("nothing in common");
    assert_eq!((cause.code, cause.kind, cause.fault), (488, Kind::NotAcceptable, Fault::Peer));
    let cause = stage.make_answer(CALLER).expect_err("nothing in common");
    assert_eq!(cause.code, 488);
}

#[test]
fn an_answer_with_a_codec_we_did_not_offer_is_refused_with_488() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 101")));
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    let cause = stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, "9")).expect_err("not offered");
    assert_eq!(cause.code, 488);
}

#[test]
fn an_answer_to_no_offer_is_our_own_fault() {
    let mut stage = Stage::new();
    stage.open(None);
    let cause = stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, "0")).expect_err("no offer");
    assert_eq!((cause.code, cause.fault), (500, Fault::Server));
}

#[test]
fn late_offer_goes_the_other_way_round() {
    let mut stage = Stage::new();
    stage.open(None);
    let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(formats_in(&on), "0 8 101");
    stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, "8 96")).expect("usable");
    let ours = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer in the 200");
    assert_eq!(formats_in(&ours), "8 0 96", "first what the callee agreed to, under its numbers");
    stage.accept(CALLER, stage::CALLER_LEG, &phone(ALICE, "8 96")).expect("the answer in the ACK");
    stage.hear(CALLEE, hookswitch_call::Source::Peer);
    let forward = stage.send(CALLER, ALICE, &mut stage::rtp(8, 1, 1));
    assert_eq!(stage::sent_to(forward), at(BOB));
}

#[test]
fn third_party_call_offers_the_callee_what_the_caller_answered_first() {
    let mut stage = Stage::new();
    stage.open(None);
    let first = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer");
    assert_eq!(formats_in(&first), "0 8 101");
    stage.accept(CALLER, stage::CALLER_LEG, &phone(ALICE, "8 0 101")).expect("usable");
    let second = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(formats_in(&second), "8 0 101");
}

#[test]
fn a_domain_may_want_other_codecs_in_another_order() {
    let names = |list: &[&str]| Codecs(list.iter().map(|name| (*name).into()).collect());
    for (wanted, offered) in [
        (vec!["pcma", "PCMU", "telephone-event"], Ok("8 0 101")),
        (vec!["PCMA"], Ok("8")),
        (vec!["PCMA", "speex", "PCMA"], Ok("8")),
        (vec!["PCMA", "opus"], Ok("8 96")),
        (vec!["opus"], Err(488)),
    ] {
        let mut stage = Stage::new();
        let offer = Some((CALLER, Sdp::from(phone(ALICE, "0 8 101").as_str())));
        stage.perform(MediaOp::Open { call: CALL, offer, codecs: Some(names(&wanted)), near: None, room: None });
        let got = stage.make_offer(CALLEE, CALLEE_LEG);
        let got = got.map(|sdp| formats_in(&sdp)).map_err(|cause| cause.code);
        assert_eq!(got, offered.map(str::to_owned), "{wanted:?}");
    }
}

#[test]
fn payload_types_of_the_caller_are_those_offered_to_the_callee() {
    let mut stage = Stage::new();
    let odd = phone(ALICE, "0 8 120").replace("rtpmap:0 PCMU", "rtpmap:0 pcmu");
    stage.open(Some(&odd));
    let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(formats_in(&on), "0 8 120");
    assert!(on.contains("a=rtpmap:120 telephone-event/8000\r\na=fmtp:120 0-15\r\n"), "{on}");
}

#[test]
fn a_static_codec_without_rtpmap_is_known() {
    let mut stage = Stage::new();
    stage.open(Some(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0\r\n",
    ));
    assert_eq!(formats_in(&stage.make_answer(CALLER).expect("an answer")), "0");
}

#[test]
fn our_description_names_our_address_and_port() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    let sdp = stage.make_answer(CALLER).expect("an answer");
    let parsed = SessionDescription::parse(&sdp).expect("a description");
    let audio = parsed.media_at(0).expect("audio");
    assert_eq!(audio.rtp_address(), Some(at("192.0.2.10:10000")));
    assert_eq!(parsed.origin().and_then(|origin| origin.address.ip()), Some(ip(SWITCH)));
    assert_eq!(audio.direction(), Direction::SendRecv);
    assert_eq!(audio.ptime(), Some(20));
    assert!(!sdp.contains("198.51.100.1"), "nothing of the caller's network is shown: {sdp}");
}

#[test]
fn the_address_is_the_one_the_party_sees_unless_it_is_fixed() {
    for (policy, near, expected) in [
        (AddressPolicy::Auto { fallback: ip(SWITCH) }, None, SWITCH),
        (AddressPolicy::Auto { fallback: ip(SWITCH) }, Some(ip("10.1.2.3")), "10.1.2.3"),
        (AddressPolicy::Fixed(ip("192.0.2.99")), Some(ip("10.1.2.3")), "192.0.2.99"),
    ] {
        let mut stage = Stage::with(EngineConfig::new(policy), 4);
        stage.open(None);
        let reports = stage.perform(MediaOp::MakeOffer { call: CALL, seat: CALLEE.into(), leg: CALLEE_LEG, near });
        let [MediaReport::Local { sdp, .. }] = reports.as_slice() else { panic!("{reports:?}") };
        assert!(sdp.0.contains(&format!("c=IN IP4 {expected}\r\n")), "{}", sdp.0);
    }
}

#[test]
fn ipv6_parties_get_ipv6_descriptions_and_sockets() {
    let mut stage = Stage::new();
    let alice = "[2001:db8:1::a]:4000";
    let offer = Some((CALLER, Sdp::from(phone(alice, "0 101").as_str())));
    stage.perform(MediaOp::Open { call: CALL, offer, codecs: None, near: Some(ip(SWITCH_V6)), room: None });
    // The callee is on IPv4: the switch stands between the two.
    let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert!(on.contains("c=IN IP4 192.0.2.10\r\n"), "{on}");
    stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, "0 101")).expect("usable");
    let back = stage.make_answer(CALLER).expect("an answer");
    assert!(back.contains("IN IP6 2001:db8::10\r\n"), "{back}");
    stage.hear(CALLER, hookswitch_call::Source::Peer).hear(CALLEE, hookswitch_call::Source::Peer);
    let forward = stage.engine.handle_packet(
        stage.now,
        stage.ports.taken.iter().find(|pair| pair.rtp.0 >= 16).expect("an IPv6 pair").rtp,
        at(alice),
        &mut stage::rtp(0, 1, 1),
        172,
    );
    assert_eq!(stage::sent_to(forward), at(BOB));
}

#[test]
fn an_answer_from_the_other_family_is_refused() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    let cause = stage.accept(CALLEE, CALLEE_LEG, &phone("[2001:db8::b]:5000", "0"));
    assert_eq!(cause.expect_err("no way there").code, 488);
}

#[test]
fn srtp_is_refused_and_optional_keys_are_left_out() {
    let mut stage = Stage::new();
    let keys = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n";
    let only = phone_with(ALICE, "0 101", keys).replace("RTP/AVP", "RTP/SAVP");
    stage.open(Some(&only));
    assert_eq!(stage.make_offer(CALLEE, CALLEE_LEG).expect_err("SRTP").code, 488);
    assert_eq!(stage.make_answer(CALLER).expect_err("SRTP").code, 488);

    let mut stage = Stage::new();
    stage.open(Some(&phone_with(ALICE, "0 101", keys)));
    let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("plain RTP is possible");
    assert!(!on.contains("crypto") && !on.contains("c2VjcmV0"), "{on}");
}

#[test]
fn a_second_audio_stream_that_is_plain_serves_when_the_first_is_srtp() {
    let mut stage = Stage::new();
    let secure = "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n";
    let offer = phone("198.51.100.1:4002", "0").replace("m=audio", &format!("{secure}m=audio"));
    stage.open(Some(&offer));
    let back = stage.make_answer(CALLER).expect("the second");
    let m_lines: Vec<_> = back.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(m_lines, ["m=audio 0 RTP/SAVP 0", "m=audio 10000 RTP/AVP 0"]);
}

#[test]
fn video_and_others_are_declined_in_their_places() {
    let mut stage = Stage::new();
    let more =
        "m=video 4004 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    let offer = phone_with(ALICE, "0", more).replace("m=audio", "m=image 4002 udptl t38\r\nm=audio");
    stage.open(Some(&offer));
    let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(on.matches("m=").count(), 1, "nobody is offered what we cannot carry: {on}");
    let back = stage.make_answer(CALLER).expect("an answer");
    let m_lines: Vec<_> = back.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        m_lines,
        [
            "m=image 0 udptl t38",
            "m=audio 10002 RTP/AVP 0",
            "m=video 0 RTP/AVP 96 97",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
        ]
    );
    // Asked for an offer of ours later, we must not have fewer m-lines than before.
    let again = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer");
    let kinds: Vec<_> = again.lines().filter_map(|line| line.strip_prefix("m=")?.split(' ').next()).collect();
    assert_eq!(kinds, ["image", "audio", "video", "application"]);
}

#[test]
fn no_audio_or_declined_audio_is_refused() {
    for offer in [
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 96\r\n"
            .to_owned(),
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nt=0 0\r\n".to_owned(),
        phone(ALICE, "0").replace("audio 4000", "audio 0"),
        phone(ALICE, "0").replace("c=IN IP4 198.51.100.1\r\n", ""),
        phone(ALICE, "0").replace("c=IN IP4 198.51.100.1", "c=IN IP4 224.2.1.1/127"),
        "nonsense".to_owned(),
        String::new(),
    ] {
        let mut stage = Stage::new();
        stage.open(Some(&offer));
        assert_eq!(stage.make_answer(CALLER).expect_err(&offer).code, 488, "{offer}");
    }
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    let declined = phone(BOB, "0").replace("audio 5000", "audio 0");
    assert_eq!(stage.accept(CALLEE, CALLEE_LEG, &declined).expect_err("declined").code, 488);
}

#[test]
fn unknown_lines_pass_and_those_of_transport_do_not() {
    let mut stage = Stage::new();
    let more = "b=TIAS:64000\r\na=maxptime:40\r\na=ptime:30\r\na=silenceSupp:off - - - -\r\na=X-color:red\r\n\
                a=rtcp:4001\r\na=rtcp-mux\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\na=ice-ufrag:abcd\r\n\
                a=fingerprint:sha-256 00\r\na=ssrc:1 cname:alice\r\na=mid:0\r\na=sendrecv\r\n";
    let offer = phone_with(ALICE, "0 8 101", more)
        .replace("t=0 0\r\n", "b=AS:80\r\nt=0 0\r\na=tool:phone\r\na=group:BUNDLE 0\r\n")
        .replace("s=call\r\n", "s=call\r\ne=alice@example.test\r\n");
    stage.open(Some(&offer));
    let on = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    for kept in [
        "b=AS:80",
        "a=tool:phone",
        "b=TIAS:64000",
        "a=maxptime:40",
        "a=ptime:30",
        "a=silenceSupp:off - - - -",
        "a=X-color:red",
    ] {
        assert!(on.contains(&format!("{kept}\r\n")), "{kept} is missing in {on}");
    }
    for gone in ["rtcp", "candidate", "ice-", "fingerprint", "ssrc", "mid", "BUNDLE", "e=", "10.0.0.1", "ptime:20"] {
        assert!(!on.contains(gone), "{gone} is left in {on}");
    }
    assert_eq!(on.matches("a=sendrecv").count(), 1);
    // And the callee's lines reach the caller.
    stage.accept(CALLEE, CALLEE_LEG, &phone_with(BOB, "0 101", "a=X-shade:dark\r\na=rtcp:9\r\n")).expect("usable");
    let back = stage.make_answer(CALLER).expect("an answer");
    assert!(back.contains("a=X-shade:dark\r\n") && !back.contains("a=rtcp:9"), "{back}");
    assert!(!back.contains("X-color"), "the caller's own lines do not come back: {back}");
}

#[test]
fn the_version_grows_only_when_something_changes() {
    let version = |sdp: &str| {
        let parsed = SessionDescription::parse(sdp).expect("a description");
        let origin = parsed.origin().expect("an origin");
        (origin.session_id.to_owned(), origin.version_number().expect("a number"))
    };
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0 8 101"), &phone(BOB, "0 8 101"));
    let (id, first) = version(&stage.told[&CALLER].clone());
    let same = stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(version(&same), (id.clone(), first));
    let held = stage.reoffer(CALLER, &phone_with(ALICE, "0 8 101", "a=sendonly\r\n")).expect("an answer");
    assert_eq!(version(&held), (id.clone(), first + 1));
    let back = stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(version(&back), (id.clone(), first + 2));
    let (other, _) = version(&stage.told[&CALLEE].clone());
    assert_ne!(id, other, "each party has a session of its own");
}

#[test]
fn a_new_offer_that_nobody_can_use_leaves_the_session_as_it_was() {
    let mut stage = Stage::talking();
    let cause = stage.reoffer(CALLER, &phone("198.51.100.1:6000", "9 18 101")).expect_err("nothing of ours");
    assert_eq!(cause.code, 488);
    let forward = stage.send(CALLEE, BOB, &mut stage::rtp(0, 1, 1));
    assert_eq!(stage::sent_to(forward), at(ALICE), "still the old address and codec");
}

#[test]
fn a_new_offer_without_the_agreed_codec_is_answered_with_another_that_can_be_turned_into_it() {
    let mut stage = Stage::talking();
    for (offer, answer) in [("8 101", "8 101"), ("8 0 101", "0 101"), ("0 8 101", "0 101")] {
        let back = stage.reoffer(CALLER, &phone(ALICE, offer)).expect("an answer");
        assert_eq!(formats_in(&back), answer, "offered {offer}, with PCMU at the other end");
    }
}

#[test]
fn who_has_a_codec_of_its_own_keeps_it_when_it_offers_anew() {
    let mut stage = Stage::with(stage::with_g722(), 8);
    stage.connect(&phone(ALICE, "8 9"), &phone(BOB, "0"));
    assert_eq!(formats_in(&stage.told[&CALLER]), "8");
    stage.reoffer(CALLER, &phone(ALICE, "9")).expect("an answer");
    let back = stage.reoffer(CALLER, &phone_with(ALICE, "8 9", "a=sendonly\r\n")).expect("an answer");
    assert_eq!(formats_in(&back), "9", "what it used before, though PCMA comes first with us");
    let ours = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer");
    assert_eq!(formats_in(&ours), "0 9 8 101", "the other party's, its own, and the rest");
}

#[test]
fn numbers_in_an_offer_never_stand_for_two_formats() {
    let mut stage = Stage::with(stage::with_g722(), 8);
    // Alice has PCMU under the number that we would give to events, and events under 96.
    let odd = phone(ALICE, "0 96").replace(" 0 96", " 101 96").replace("rtpmap:0", "rtpmap:101");
    stage.connect(&odd, &phone(BOB, "9"));
    assert_eq!(stage::numbers_and_names(&stage.told[&CALLEE]), ["101 PCMU", "8 PCMA", "9 G722", "96 telephone-event"]);
    stage.close();
    // Bob's session has events under 9 + 87: ours to Carol is told under his numbers, and none collides.
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0 101").replace("101", "98"));
    let ours = stage.make_offer(CALLEE, LegId(7)).expect("an offer");
    assert_eq!(stage::numbers_and_names(&ours), ["0 PCMU", "8 PCMA", "9 G722", "101 telephone-event"]);
}

#[test]
fn our_own_new_offer_keeps_codec_and_numbers() {
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0 8 96"), &phone(BOB, "8 0 101"));
    let offer = stage.make_offer(CALLER, stage::CALLER_LEG).expect("an offer");
    assert_eq!(formats_in(&offer), "8 96", "the agreed codec, the number in use with this party");
    stage.accept(CALLER, stage::CALLER_LEG, &phone("198.51.100.1:6000", "8 96")).expect("usable");
    let forward = stage.send(CALLEE, BOB, &mut stage::rtp(8, 1, 1));
    assert_eq!(stage::sent_to(forward), at("198.51.100.1:6000"));
}

#[test]
fn avpf_is_answered_as_avpf() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0").replace("RTP/AVP", "RTP/AVPF")));
    let back = stage.make_answer(CALLER).expect("an answer");
    assert!(back.contains("m=audio 10000 RTP/AVPF 0\r\n"), "{back}");
}

#[test]
fn operations_on_a_call_that_is_not_there_are_refused_or_ignored() {
    let mut stage = Stage::new();
    assert_eq!(stage.make_offer(CALLEE, LegId(3)).expect_err("never opened").code, 500);
    assert_eq!(stage.make_answer(CALLER).expect_err("never opened").code, 500);
    stage.hear(CALLER, hookswitch_call::Source::Echo).close();
    assert_eq!(stage.engine.next_tick(), None);
}
