use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::rig::*;

/// Fails so often, then takes everything.
fn failing(times: usize, act: fn() -> Act) -> impl Fn(&Posted) -> Act + Send + Sync {
    let count = AtomicUsize::new(0);
    move |_| if count.fetch_add(1, Ordering::SeqCst) < times { act() } else { answer(200) }
}

#[test]
fn a_target_that_hangs_resets_or_says_500_gets_it_again() {
    let acts: [fn() -> Act; 4] = [
        || Act::Hang(PATIENCE),
        || Act::Reset,
        || answer(500),
        || Act::Answer(429, "Retry-After: 1\r\n".into(), Vec::new()),
    ];
    for act in acts {
        let target = Target::start(failing(2, act));
        let rig = Rig::start(vec![endpoint("crm", &target.url())]);
        rig.tell(1, 0);
        rig.tell(1, 1);
        let posted = target.wait(4);
        let events: Vec<u64> = posted.iter().map(Posted::event).collect();
        assert!(events[0] == events[1] && events[1] == events[2] && events[3] == events[0] + 1, "{events:?}");
        assert_eq!(posted[0].headers["webhook-id"], posted[2].headers["webhook-id"]);
        until(|| rig.ask("crm", |it| it.summary().delivered) == 2);
    }
}

#[test]
fn a_redirect_is_a_failure_and_nobody_goes_where_it_leads() {
    let elsewhere = Target::start(|_| answer(200));
    let location = format!("Location: {}\r\n", elsewhere.url());
    let target = Target::start(move |_| Act::Answer(307, location.clone(), Vec::new()));
    let rig = Rig::start(vec![endpoint("crm", &target.url())]);
    rig.tell(1, 0);
    target.wait(3);
    assert!(elsewhere.posted().is_empty());
    let waiting = rig.ask("crm", |it| it.deliveries(None, None, 10));
    assert_eq!(waiting[0].failure.as_deref(), Some("status 307; redirects are not followed"));
}

#[test]
fn a_target_that_hangs_holds_up_neither_other_targets_nor_other_calls() {
    let target = Target::start(|posted| match posted.call().ends_with('1') {
        true => Act::Hang(PATIENCE),
        false => answer(200),
    });
    let other = Target::start(|_| answer(200));
    let mut slow = endpoint("slow", &target.url());
    slow.timeout = PATIENCE;
    let rig = Rig::start(vec![slow, endpoint("other", &other.url())]);
    let start = Instant::now();
    for seq in 0..10 {
        rig.tell(1, seq);
        rig.tell(2, seq);
    }
    assert_eq!(other.wait(20).len(), 20);
    target.wait(11);
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    assert_eq!(target.posted().iter().filter(|one| one.call().ends_with('1')).count(), 1);
}

#[test]
fn an_answer_without_end_is_not_read_to_it() {
    let target = Target::start(|_| Act::Answer(200, String::new(), vec![b'x'; 4 * 1024 * 1024]));
    let mut config = endpoint("crm", &target.url());
    config.timeout = PATIENCE;
    let rig = Rig::start(vec![config]);
    rig.tell(1, 0);
    rig.tell(1, 1);
    target.wait(2);
    until(|| rig.ask("crm", |it| it.summary().delivered) == 2);
    // The rest is not wanted, nor is the connection that it comes on.
    let connections: Vec<usize> = target.posted().iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[test]
fn while_the_first_url_fails_the_second_is_used() {
    let target = Target::start(|_| answer(503));
    let second = Target::start(|_| answer(200));
    let mut config = endpoint("crm", &target.url());
    config.fallback = Some(second.url().parse().unwrap());
    let rig = Rig::start(vec![config]);
    rig.tell(1, 0);
    second.wait(1);
    assert_eq!(target.posted().len(), 3);
    rig.tell(2, 0);
    second.wait(2);
    assert_eq!(target.posted().len(), 3);
}

#[test]
fn a_target_that_is_gone_is_not_asked_again() {
    let target = Target::start(|_| answer(410));
    let rig = Rig::start(vec![endpoint("crm", &target.url())]);
    rig.tell(1, 0);
    target.wait(1);
    until(|| rig.ask("crm", |it| it.off_since()).is_some());
    rig.tell(2, 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(target.posted().len(), 1);
}

#[test]
fn nobody_at_the_address_is_a_failure_that_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rig = Rig::start(vec![endpoint("crm", &format!("http://{free}/"))]);
    rig.tell(1, 0);
    until(|| rig.ask("crm", |it| it.summary().failures_in_row) >= 2);
    let why = rig.ask("crm", |it| it.deliveries(None, None, 1)).remove(0).failure.unwrap();
    assert!(why.contains("refused"), "{why}");
}
