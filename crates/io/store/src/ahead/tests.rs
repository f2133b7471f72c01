//! The write-ahead file before a database that works, fails or waits as the test wants.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// What a database has, which outlives the process.
#[derive(Default)]
struct Disk {
    records: Mutex<(Vec<u64>, u64)>,
    fails: AtomicBool,
    commits: Mutex<Vec<usize>>,
}

/// A database of texts that are all the same but for a number at their start.
struct Numbers(Arc<Disk>);

impl Base for Numbers {
    type Record = (u64, usize);

    fn encode((number, size): &(u64, usize), into: &mut Vec<u8>) {
        into.extend(number.to_le_bytes());
        into.resize(into.len() + size, 0);
    }

    fn decode(bytes: &[u8]) -> Option<(u64, usize)> {
        let (number, rest) = bytes.split_at_checked(8)?;
        Some((u64::from_le_bytes(number.try_into().ok()?), rest.len()))
    }

    fn applied(&mut self) -> Result<u64, StoreError> {
        Ok(self.0.records.lock().unwrap().1)
    }

    fn apply(&mut self, records: &[Arc<(u64, usize)>], last: u64) -> Result<(), StoreError> {
        if self.0.fails.load(Ordering::Relaxed) {
            return Err(StoreError::io(Path::new("/disk"), io::ErrorKind::StorageFull.into()));
        }
        let mut kept = self.0.records.lock().unwrap();
        kept.0.extend(records.iter().map(|record| record.0));
        kept.1 = last;
        self.0.commits.lock().unwrap().push(records.len());
        Ok(())
    }
}

struct Bench {
    folder: tempfile::TempDir,
    disk: Arc<Disk>,
}

impl Bench {
    fn new() -> Self {
        let disk = Disk::default();
        disk.records.lock().unwrap().1 = 100;
        Self { folder: tempfile::tempdir().unwrap(), disk: Arc::new(disk) }
    }

    fn open(&self) -> Ahead<Numbers> {
        Ahead::open(&self.folder.path().join("ahead"), Numbers(Arc::clone(&self.disk)), "test").unwrap()
    }

    fn fails(&self, fails: bool) {
        self.disk.fails.store(fails, Ordering::Relaxed);
    }

    fn kept(&self) -> Vec<u64> {
        self.disk.records.lock().unwrap().0.clone()
    }
}

fn add(ahead: &Ahead<Numbers>, number: u64, size: usize) -> Result<(), StoreError> {
    ahead.append(Arc::new((number, size)))
}

#[test]
fn many_records_share_a_commit_of_the_database_and_all_of_them_are_in_one_place_or_the_other() {
    let bench = Bench::new();
    let ahead = bench.open();
    for number in 0..500 {
        add(&ahead, number, 10).unwrap();
        let pending = ahead.pending();
        let mut all = bench.kept();
        // Whatever was committed in between is in both.
        all.extend(pending.iter().map(|record| record.0).filter(|number| !all.contains(number)).collect::<Vec<_>>());
        assert!(all.contains(&number), "{number}");
    }
    ahead.settle().unwrap();
    assert_eq!(bench.kept(), Vec::from_iter(0..500));
    assert!(ahead.pending().is_empty());
    let commits = bench.disk.commits.lock().unwrap().len();
    assert!(commits <= 250, "{commits} commits");
}

#[test]
fn what_the_database_does_not_have_after_a_crash_is_taken_from_the_file_in_order() {
    let bench = Bench::new();
    bench.fails(true);
    let mut next = 0;
    for round in 0..5 {
        // Dropped while the database takes nothing, which leaves what a crash leaves.
        let ahead = bench.open();
        // Refused once the database has been seen to fail.
        let end = next + 1 + round;
        while next < end && add(&ahead, next, 1_000).is_ok() {
            next += 1;
        }
        drop(ahead);
        bench.fails(false);
        drop(bench.open());
        assert_eq!(bench.kept(), Vec::from_iter(0..next), "round {round}");
        bench.fails(true);
    }
    assert!(next >= 5);
}

#[test]
fn the_halves_are_filled_in_turns_and_none_is_written_over_too_soon() {
    let bench = Bench::new();
    let ahead = bench.open();
    // Five times the size of the file, in pieces that do not divide it.
    let size = HALF as usize / 12 + 1;
    let count = 5 * 2 * HALF / size as u64;
    for number in 0..count {
        add(&ahead, number, size).unwrap();
        let bytes: usize = ahead.pending().iter().map(|record| record.1).sum();
        assert!(bytes as u64 <= 2 * HALF, "{bytes}");
        if number % 5 == 0 {
            // What a crash at this moment would leave. The file is looked at first: what is written over was applied before.
            let (_, found) = AheadFile::open(&ahead.path).unwrap();
            let newest = found.iter().filter_map(|record| Numbers::decode(&record.text)).next_back();
            let oldest = found.first().map_or(0, |record| record.number);
            assert_eq!(newest.map(|record| record.0), Some(number));
            assert!(bench.kept().len() as u64 + 101 >= oldest, "{number}: {oldest}");
        }
    }
    drop(ahead);
    assert_eq!(bench.kept(), Vec::from_iter(0..count));
}

#[test]
fn a_record_larger_than_a_half_goes_to_the_database_at_once_and_the_next_one_behind_it() {
    let bench = Bench::new();
    let ahead = bench.open();
    add(&ahead, 1, 10).unwrap();
    add(&ahead, 2, HALF as usize).unwrap();
    assert_eq!(bench.kept(), [1, 2]);
    bench.fails(true);
    add(&ahead, 3, 10).unwrap();
    drop(ahead);
    bench.fails(false);
    drop(bench.open());
    assert_eq!(bench.kept(), [1, 2, 3]);
}

#[test]
fn a_database_that_fails_is_told_and_goes_on_with_everything_once_it_works() {
    let bench = Bench::new();
    bench.fails(true);
    let ahead = bench.open();
    add(&ahead, 1, 10).unwrap();
    let failed = ahead.settle().unwrap_err();
    assert!(
        matches!(&failed, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
        "{failed}"
    );
    assert!(add(&ahead, 2, 10).is_err(), "nobody is to believe that all is well");
    bench.fails(false);
    while add(&ahead, 2, 10).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    ahead.settle().unwrap();
    assert_eq!(bench.kept(), [1, 2]);
    ahead.stop();
    assert!(add(&ahead, 3, 10).is_err(), "it is closed");
}

#[test]
fn the_file_of_another_database_is_left_out() {
    let bench = Bench::new();
    bench.fails(true);
    let ahead = bench.open();
    add(&ahead, 1, 10).unwrap();
    drop(ahead);
    let other = Bench { disk: Arc::new(Disk::default()), ..bench };
    other.disk.records.lock().unwrap().1 = 5_000;
    let ahead = other.open();
    add(&ahead, 7, 10).unwrap();
    drop(ahead);
    assert_eq!(other.kept(), [7]);
}

#[test]
fn what_stands_behind_damage_is_left_out_and_not_taken_for_what_follows() {
    let bench = Bench::new();
    bench.fails(true);
    let ahead = bench.open();
    // Refused once the database has been seen to fail.
    let count = (0..6).take_while(|number| add(&ahead, *number, 1_000).is_ok()).count();
    assert!(count > 1, "{count}");
    drop(ahead);
    let file = std::fs::File::options().write(true).open(bench.folder.path().join("ahead")).unwrap();
    file.write_all_at(b"damage", 4_096 + 1_024 + 100).unwrap();
    bench.fails(false);
    let ahead = bench.open();
    assert_eq!(bench.kept(), [0]);
    add(&ahead, 7, 10).unwrap();
    drop(ahead);
    assert_eq!(bench.kept(), [0, 7]);
}

/// The nice value of our thread of this name.
fn nice_of(name: &str) -> i32 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let stat = std::fs::read_to_string(tasks.into_iter().find(named).unwrap().join("stat")).unwrap();
    // The 19th field, of which the first two end with the name in brackets.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(16).unwrap().parse().unwrap()
}

#[test]
fn the_thread_of_the_database_gives_way_to_others() {
    let bench = Bench::new();
    let base = Numbers(Arc::clone(&bench.disk));
    let ahead = Ahead::open(&bench.folder.path().join("ahead"), base, "follows").unwrap();
    add(&ahead, 1, 10).unwrap();
    ahead.settle().unwrap();
    let own = rustix::process::nice(0).unwrap();
    assert_eq!(nice_of("follows"), (own + NICE).min(19));
}
