//! Who is banned, for how long, and who never is.

use core::time::Duration;
use std::net::SocketAddr;

use hookswitch_sip::guard::{
    Ban, BanError, BanWhy, Guard, GuardConfig, GuardNews, LONGEST_ORDER, LiftedWhy, MAX_BANS_PER_SECOND, MAX_REASON,
    Offence, Source, Weights,
};
use hookswitch_sip::{Network, Time};

const START: Time = Time::from_secs(1_000_000);

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn who(text: &str) -> Source {
    text.parse().expect("a source")
}

fn net(addr: &str, prefix: u8) -> Network {
    Network { addr: addr.parse().expect("an address"), prefix }
}

fn seconds(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn guard(change: impl FnOnce(&mut GuardConfig)) -> Guard {
    let mut config = GuardConfig { enabled: true, ..GuardConfig::default() };
    change(&mut config);
    Guard::new(config, [1, 2, 3, 4])
}

/// Guesses passwords until there is a ban, and says how many it took.
fn guess(guard: &mut Guard, now: Time, from: &str) -> usize {
    (1..=100)
        .find(|_| {
            guard.offend(now, at(from), Offence::WrongPassword);
            guard.bans(now).any(|ban| ban.source == Source::of(at(from).ip()))
        })
        .expect("it is banned in the end")
}

fn news(guard: &mut Guard) -> Vec<GuardNews> {
    std::iter::from_fn(|| guard.poll_news()).collect()
}

fn lengths(guard: &mut Guard) -> Vec<u64> {
    let banned = news(guard).into_iter().filter_map(|news| match news {
        GuardNews::Banned { ban, .. } => Some((ban.until - ban.since).as_secs()),
        GuardNews::Spared { .. }
        | GuardNews::Lifted { .. }
        | GuardNews::Forgotten { .. }
        | GuardNews::Flooded { .. } => None,
    });
    banned.collect()
}

#[test]
fn whoever_guesses_passwords_is_banned_and_nobody_else() {
    let mut guard = guard(|_| {});
    assert_eq!(guess(&mut guard, START, "192.0.2.66:5060"), 10);
    assert!(!guard.admits(START, at("192.0.2.66:5060")) && !guard.admits(START, at("192.0.2.66:9")));
    assert!(guard.admits(START, at("192.0.2.67:5060")));
    let ban = guard.bans(START).next().expect("a ban").clone();
    assert_eq!((ban.source, ban.count, ban.dropped), (who("192.0.2.66"), 1, 2));
    assert_eq!(ban.why, BanWhy::Offence(Offence::WrongPassword));
    assert_eq!(ban.until, START + seconds(600));
    assert_eq!((guard.totals().dropped, guard.totals().bans), (2, 1));
    assert!(guard.admits(ban.until, at("192.0.2.66:5060")), "and its time ends");
}

#[test]
fn a_neighbour_in_the_same_64_bits_is_the_same_customer() {
    let mut guard = guard(|_| {});
    for n in 0..10 {
        guard.offend(START, at(&format!("[2001:db8:1:2::{n:x}]:5060")), Offence::WrongPassword);
    }
    assert!(!guard.admits(START, at("[2001:db8:1:2:ffff::1]:5060")));
    assert!(guard.admits(START, at("[2001:db8:1:3::1]:5060")));
}

#[test]
fn mistakes_now_and_then_are_forgiven() {
    let mut guard = guard(|_| {});
    for n in 0..100 {
        guard.offend(START + seconds(60 * n), at("192.0.2.1:5060"), Offence::WrongPassword);
        guard.offend(START + seconds(15 * n), at("192.0.2.2:5060"), Offence::Probe);
    }
    assert_eq!(guard.bans(START + seconds(6_000)).count(), 0);
    assert_eq!(guard.totals().offences[..3], [100, 0, 100]);
}

#[test]
fn a_registered_phone_behind_the_same_address_is_heard_and_never_banned() {
    let mut guard = guard(|_| {});
    guard.know(START, at("192.0.2.1:1024"));
    for _ in 0..1_000 {
        guard.offend(START, at("192.0.2.1:1024"), Offence::WrongPassword);
    }
    assert_eq!(guard.bans(START).count(), 0, "not for what it does itself");
    guess(&mut guard, START, "192.0.2.1:1025");
    assert!(guard.admits(START, at("192.0.2.1:1024")));
    assert!(!guard.admits(START, at("192.0.2.1:1025")) && !guard.admits(START, at("192.0.2.1:1026")));
    assert!(matches!(&news(&mut guard)[..], [GuardNews::Banned { spares: true, .. }]));
    guard.forget(at("192.0.2.1:1024"));
    assert!(!guard.admits(START, at("192.0.2.1:1024")), "its connection is closed");
}

#[test]
fn a_source_is_kept_out_altogether_only_while_nobody_is_known_behind_it() {
    let mut guard = guard(|_| {});
    guess(&mut guard, START, "192.0.2.1:1025");
    guess(&mut guard, START, "192.0.2.2:1025");
    guard.know(START, at("192.0.2.3:1024"));
    guess(&mut guard, START, "192.0.2.3:1025");
    let complete = |guard: &Guard| {
        let mut all: Vec<String> = guard.complete_bans(START).map(|ban| ban.source.to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(complete(&guard), ["192.0.2.1", "192.0.2.2"]);
    news(&mut guard);
    // We call somebody there.
    for port in [1_026, 1_027, 1_026] {
        guard.know(START, at(&format!("192.0.2.1:{port}")));
    }
    assert_eq!(news(&mut guard), [GuardNews::Spared { source: who("192.0.2.1") }], "told once");
    assert_eq!(complete(&guard), ["192.0.2.2"]);
    guard.know(START, at("192.0.2.9:1024"));
    assert_eq!(news(&mut guard), [], "nobody is banned there");
}

#[test]
fn each_ban_is_twice_as_long_up_to_the_longest_until_it_is_forgotten() {
    let mut guard = guard(|config| config.max_ban_time = seconds(2_000));
    let mut now = START;
    for _ in 0..4 {
        guess(&mut guard, now, "192.0.2.66:5060");
        now = guard.poll_timeout().expect("the end of the ban");
        guard.handle_timeout(now);
    }
    assert_eq!(lengths(&mut guard), [600, 1_200, 2_000, 2_000]);
    now = guard.poll_timeout().expect("when it is forgotten");
    guard.handle_timeout(now);
    assert_eq!(news(&mut guard), [GuardNews::Forgotten { source: who("192.0.2.66") }]);
    assert_eq!(guard.poll_timeout(), None);
    guess(&mut guard, now, "192.0.2.66:5060");
    assert_eq!(lengths(&mut guard), [600]);
}

#[test]
fn who_is_on_the_lists_is_never_banned_or_never_heard() {
    let mut guard = guard(|config| {
        config.allow = vec![net("192.0.2.0", 24), net("10.0.0.7", 32)];
        config.drop = vec![net("10.0.0.0", 8)];
    });
    for _ in 0..100 {
        guard.offend(START, at("192.0.2.1:5060"), Offence::WrongPassword);
    }
    assert_eq!(guard.bans(START).count(), 0);
    assert_eq!(guard.ban(START, who("192.0.2.1"), seconds(60), ""), Err(BanError::Allowed));
    assert!(!guard.catches(START, at("192.0.2.1:5060"), b"sipvicious"));
    assert!(!guard.admits(START, at("10.1.2.3:5060")) && guard.admits(START, at("10.0.0.7:5060")));
    assert_eq!(guard.totals().dropped_by_list, 1);
    guess(&mut guard, START, "203.0.113.1:5060");
    guard.set_lists(&[net("203.0.113.0", 24)], &[net("192.0.2.0", 24)]);
    assert!(guard.admits(START, at("203.0.113.1:5060")) && guard.admits(START, at("10.1.2.3:5060")));
    assert!(!guard.admits(START, at("192.0.2.1:5060")));
    let lifted = GuardNews::Lifted { source: who("203.0.113.1"), why: LiftedWhy::Allowed };
    assert_eq!(news(&mut guard).last(), Some(&lifted));
}

#[test]
fn a_ban_by_order_stands_until_it_is_taken_back() {
    let mut guard = guard(|_| {});
    let reason = "ü".repeat(MAX_REASON);
    guard.ban(START, who("192.0.2.1"), LONGEST_ORDER * 2, &reason).expect("room");
    assert!(!guard.admits(START, at("192.0.2.1:5060")));
    let ban = guard.bans(START).next().expect("a ban");
    assert_eq!(ban.until, START + LONGEST_ORDER);
    assert_eq!(ban.why, BanWhy::Order("ü".repeat(MAX_REASON / 2).into()));
    assert!(guard.unban(START, who("192.0.2.1")) && !guard.unban(START, who("192.0.2.1")));
    assert!(guard.admits(START, at("192.0.2.1:5060")));
    let lifted = GuardNews::Lifted { source: who("192.0.2.1"), why: LiftedWhy::Order };
    assert_eq!(news(&mut guard)[1..], [lifted]);
    assert_eq!(guard.poll_timeout(), None);
}

#[test]
fn lifting_a_ban_forgets_what_led_to_it() {
    let mut guard = guard(|_| {});
    for _ in 0..9 {
        guard.offend(START, at("192.0.2.1:5060"), Offence::WrongPassword);
    }
    assert!(!guard.unban(START, who("192.0.2.1")));
    assert_eq!(guess(&mut guard, START, "192.0.2.1:5060"), 10);
    guard.unban(START, who("192.0.2.1"));
    guess(&mut guard, START, "192.0.2.1:5060");
    assert_eq!(guard.bans(START).next().map(|ban| ban.count), Some(1));
}

#[test]
fn with_too_many_bans_the_one_that_ends_first_goes_and_none_by_order() {
    let mut guard = guard(|config| config.max_bans = 3);
    guard.ban(START, who("192.0.2.1"), seconds(1), "by hand").expect("room");
    guess(&mut guard, START, "192.0.2.2:5060");
    guess(&mut guard, START + seconds(1), "192.0.2.3:5060");
    let now = START + seconds(2);
    guard.ban(START, who("192.0.2.1"), seconds(60), "by hand").expect("it is there already");
    guess(&mut guard, now, "192.0.2.4:5060");
    let mut left: Vec<String> = guard.bans(now).map(|ban| ban.source.to_string()).collect();
    left.sort();
    assert_eq!(left, ["192.0.2.1", "192.0.2.3", "192.0.2.4"]);
    assert_eq!(guard.totals().crowded, 1);
    let crowded = GuardNews::Lifted { source: who("192.0.2.2"), why: LiftedWhy::Crowded };
    assert!(news(&mut guard).contains(&crowded));
    for address in ["192.0.2.3", "192.0.2.4"] {
        guard.ban(now, who(address), seconds(60), "by hand").expect("it is there already");
    }
    assert_eq!(guard.ban(now, who("192.0.2.5"), seconds(60), ""), Err(BanError::Full));
    for _ in 0..20 {
        guard.offend(now, at("192.0.2.5:5060"), Offence::WrongPassword);
    }
    assert!(guard.admits(now, at("192.0.2.5:5060")) && guard.totals().uncounted > 0);
}

#[test]
fn a_flood_of_forged_addresses_bans_few_at_a_time_and_frees_nobody() {
    let mut guard = guard(|config| (config.max_bans, config.max_sources) = (1_000, 1_024));
    guess(&mut guard, START, "192.0.2.66:5060");
    for n in 0..100_000_u32 {
        let forged = SocketAddr::new((0x0a00_0000 + n).to_be_bytes().into(), 5060);
        for _ in 0..2 {
            guard.catches(START + Duration::from_millis(u64::from(n) / 10), forged, b"friendly-scanner");
        }
    }
    // Ten seconds: log, disk and packet filter are told of so many.
    let banned = news(&mut guard).iter().filter(|news| matches!(news, GuardNews::Banned { .. })).count();
    assert_eq!(banned, 10 * MAX_BANS_PER_SECOND as usize);
    assert!(!guard.admits(START + seconds(10), at("192.0.2.66:5060")));
    assert!(guard.totals().uncounted > 90_000);
}

#[test]
fn scanners_are_known_by_any_part_of_their_name_in_any_case() {
    let mut guard = guard(|_| {});
    let mut is_one = |agent: &str| guard.catches(START, at("192.0.2.1:5060"), agent.as_bytes());
    for agent in ["friendly-scanner", "SIPVicious 0.3", "xx sipcli/v1.8", "pplsip"] {
        assert!(is_one(agent), "{agent}");
    }
    for agent in ["", "baresip v1.0.0 (x86_64/linux)", "Linphone/5.2", "Yealink SIP-T46S 66.86.0.15"] {
        assert!(!is_one(agent), "{agent}");
    }
    assert!(!is_one(&format!("{}sipcli", "x".repeat(1_000))), "that far nobody looks");
}

#[test]
fn offences_without_weight_and_a_guard_that_is_off_ban_nobody() {
    let mut off = guard(|config| config.enabled = false);
    let mut weightless = guard(|config| config.weights = Weights { wrong_password: 0, ..Weights::default() });
    for guard in [&mut off, &mut weightless] {
        for _ in 0..1_000 {
            guard.offend(START, at("192.0.2.1:5060"), Offence::WrongPassword);
        }
        assert!(guard.admits(START, at("192.0.2.1:5060")) && guard.poll_news().is_none());
    }
    assert_eq!(off.ban(START, who("192.0.2.1"), seconds(1), ""), Err(BanError::Off));
}

#[test]
fn a_ban_survives_a_restart_and_so_does_its_count() {
    let mut before = guard(|_| {});
    guess(&mut before, START, "192.0.2.66:5060");
    let stored = serde_json::to_string(before.bans(START).next().expect("a ban")).expect("JSON");
    let mut after = guard(|_| {});
    after.restore(serde_json::from_str::<Ban>(&stored).expect("a ban"));
    assert!(!after.admits(START + seconds(599), at("192.0.2.66:5060")));
    assert!(after.admits(START + seconds(600), at("192.0.2.66:5060")));
    guess(&mut after, START + seconds(601), "192.0.2.66:5060");
    assert_eq!(lengths(&mut after), [1_200]);
}
