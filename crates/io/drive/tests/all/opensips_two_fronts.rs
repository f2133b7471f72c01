//! Two fronts on one OpenSIPS, which sends each of them the events of both.

use std::thread;

use crate::opensips_kit::{Client, Mi, calls, front, live_subscriptions, mi_of, opensips, wait_until};
use hookswitch_drive::opensips::simulator::Simulator;

const CALLS: usize = 15;

#[test]
fn they_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Udp, Mi::Unix])).unwrap();
    let one = front(&mi_of(&simulator, Mi::Udp), "udp");
    let alone = live_subscriptions(&simulator);
    let other = front(&mi_of(&simulator, Mi::Unix), "tcp");
    assert_eq!(live_subscriptions(&simulator), 2 * alone);
    thread::scope(|scope| {
        for front in [&one, &other] {
            scope.spawn(move || {
                let mut client = Client::of(front);
                for _ in 0..CALLS {
                    client.whole_call();
                }
            });
        }
    });
    wait_until("every call is over", || calls(&simulator) == 0);
    assert!(other.stop());
    wait_until("only the other one's subscriptions are left", || live_subscriptions(&simulator) == alone);
    Client::of(&one).whole_call();
}
