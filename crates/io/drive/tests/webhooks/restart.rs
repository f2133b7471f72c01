use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::rig::*;

#[test]
fn what_the_last_process_has_not_delivered_the_next_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let works = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&works);
    let target = Target::start(move |_| answer(if seen.load(Ordering::SeqCst) { 200 } else { 500 }));
    let rig = Rig::with_folder(vec![endpoint("crm", &target.url())], Some(folder.path()));
    for call in 1..=5 {
        rig.tell(call, 0);
        rig.tell(call, 1);
    }
    target.wait(10);
    drop(rig);
    works.store(true, Ordering::SeqCst);
    let before = target.posted().len();
    let rig = Rig::with_folder(vec![endpoint("crm", &target.url())], Some(folder.path()));
    until(|| rig.ask("crm", |it| it.summary().waiting) == 0 && target.posted().len() >= before + 10);
    let after = &target.posted()[before..];
    let bridged: Vec<_> = after.iter().filter(|one| one.json()["type"] == "call.bridged").cloned().collect();
    let events: BTreeSet<u64> = bridged.iter().map(Posted::event).collect();
    assert_eq!(events.len(), 10);
    assert_ordered(&bridged);
}

#[test]
fn what_happens_while_no_webhooks_run_is_posted_later_and_a_new_endpoint_begins_now() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start(|_| answer(200));
    let rig = Rig::with_folder(vec![endpoint("crm", &target.url())], Some(folder.path()));
    rig.tell(1, 0);
    target.wait(1);
    drop(rig);
    let rig = Rig::with_folder(Vec::new(), Some(folder.path()));
    rig.tell(2, 0);
    until(|| {
        std::thread::sleep(Duration::from_millis(20));
        rig.journal.handle().newest() > rig.journal.handle().oldest()
    });
    drop(rig);
    let newcomer = Target::start(|_| answer(200));
    let both = vec![endpoint("crm", &target.url()), endpoint("new", &newcomer.url())];
    let rig = Rig::with_folder(both, Some(folder.path()));
    until(|| target.posted().iter().any(|one| one.call().ends_with('2')));
    rig.tell(3, 0);
    let posted = newcomer.wait(1);
    assert!(posted.iter().all(|one| one.call().ends_with('3')), "{posted:?}");
}
