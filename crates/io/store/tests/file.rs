//! The file of the embedded store: who may read it, and what happens when it is not what it should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hookswitch_store::{FILE_NAME, STORES, Store, StoreError, Table, Write};
use redb::{Database, TableDefinition};

fn open(folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    (STORES[0].open)(folder)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_its_owner_may_read_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/state");
    let file = folder.join(FILE_NAME);
    drop(open(&folder).unwrap());
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&folder).unwrap());
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_second_opening_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(&error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("is another hookswitch running"));
    drop(first);
    assert!(open(folder.path()).is_ok());
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    for content in [b"users: {}\n".repeat(10), vec![0; 100_000], b"redb\x1a\x0a\xa9\x0d\x0a".repeat(1_000)] {
        fs::write(&file, &content).unwrap();
        let error = open(folder.path()).err().unwrap();
        assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains(FILE_NAME));
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    let mut store = open(folder.path()).unwrap();
    for round in 0..20_u8 {
        let writes: Vec<_> = (0..50_u8)
            .map(|index| Write::put(Table::ALL[usize::from(index % 2)], &[round, index], vec![index; 300]))
            .collect();
        store.commit(&writes).unwrap();
    }
    drop(store);
    let sound = fs::read(&file).unwrap();
    let mut refused = 0;
    for step in 0..60_usize {
        let mut damaged = sound.clone();
        let at = step * sound.len() / 60;
        if step % 3 == 0 {
            damaged.truncate(at);
        } else {
            let end = (at + 200).min(damaged.len());
            damaged[at..end].fill(0xA5);
        }
        fs::write(&file, &damaged).unwrap();
        let outcome = open(folder.path()).and_then(|mut store| {
            store.load(Table::Directory, &mut |_, _| {})?;
            store.load(Table::Bindings, &mut |_, _| {})
        });
        refused += usize::from(outcome.is_err());
    }
    assert!(refused > 0);
}

#[test]
fn another_format_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let database = Database::open(folder.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap();
        meta.insert("version", 7).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(&error, StoreError::Version { found: 7, supported: 1, .. }), "{error:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let not_a_folder = folder.path().join("file");
    fs::write(&not_a_folder, "").unwrap();
    let error = open(&not_a_folder.join("state")).err().unwrap();
    assert!(matches!(&error, StoreError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("file/state"));
}

#[test]
fn a_file_from_before_there_were_bans_is_read_and_holds_some_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let old = Database::create(folder.path().join(FILE_NAME)).unwrap();
    let transaction = old.begin_write().unwrap();
    let version = TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(version).unwrap().insert("version", 1).unwrap();
    for name in ["directory", "bindings"] {
        let table = TableDefinition::<&[u8], &[u8]>::new(name);
        transaction.open_table(table).unwrap().insert(&b"k"[..], &b"v"[..]).unwrap();
    }
    transaction.commit().unwrap();
    drop(old);
    let count = |store: &mut dyn Store| {
        let mut counts = [0; Table::ALL.len()];
        for (count, table) in counts.iter_mut().zip(Table::ALL) {
            store.load(table, &mut |_, _| *count += 1).unwrap();
        }
        counts
    };
    let mut store = open(folder.path()).unwrap();
    assert_eq!(count(&mut *store), [1, 1, 0, 0, 0, 0, 0]);
    store.commit(&[Write::put(Table::Bans, b"192.0.2.1", b"{}".to_vec())]).unwrap();
    drop(store);
    assert_eq!(count(&mut *open(folder.path()).unwrap()), [1, 1, 0, 0, 1, 0, 0]);
}
