//! What every store promises, tried on each of them.

use std::path::Path;

use hookswitch_store::{STORES, Store, StoreRow, Table, Write};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries(store: &mut dyn Store, table: Table) -> Entries {
    let mut all = Vec::new();
    store.load(table, &mut |key, value| all.push((key.to_vec(), value.to_vec()))).unwrap();
    all
}

fn entry(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

fn on_each(test: impl Fn(&StoreRow, &Path)) {
    for row in STORES {
        let folder = tempfile::tempdir().unwrap();
        println!("store: {}", row.name);
        test(row, folder.path());
    }
}

#[test]
fn a_new_store_is_empty() {
    on_each(|row, folder| {
        let mut store = (row.open)(folder).unwrap();
        for table in Table::ALL {
            assert!(entries(&mut *store, table).is_empty());
        }
    });
}

#[test]
fn entries_come_back_in_the_order_of_their_keys_and_tables_are_apart() {
    on_each(|row, folder| {
        let mut store = (row.open)(folder).unwrap();
        let writes = [
            Write::put(Table::Bindings, b"b\0two", b"2".to_vec()),
            Write::put(Table::Bindings, b"a\0one", b"1".to_vec()),
            Write::put(Table::Directory, b"a\0one", b"other".to_vec()),
        ];
        store.commit(&writes).unwrap();
        let bindings = [entry(b"a\0one", b"1"), entry(b"b\0two", b"2")];
        assert_eq!(entries(&mut *store, Table::Bindings), bindings);
        assert_eq!(entries(&mut *store, Table::Directory), [entry(b"a\0one", b"other")]);
    });
}

#[test]
fn the_last_change_of_an_entry_counts_even_within_one_commit() {
    on_each(|row, folder| {
        let mut store = (row.open)(folder).unwrap();
        let table = Table::Directory;
        let writes = [
            Write::put(table, b"changed", b"old".to_vec()),
            Write::put(table, b"removed", b"x".to_vec()),
            Write::remove(table, b"removed"),
            Write::remove(table, b"never there"),
            Write::put(table, b"changed", b"new".to_vec()),
        ];
        store.commit(&writes).unwrap();
        assert_eq!(entries(&mut *store, table), [entry(b"changed", b"new")]);
        store.commit(&[Write::remove(table, b"changed")]).unwrap();
        assert!(entries(&mut *store, table).is_empty());
    });
}

#[test]
fn any_bytes_will_do() {
    on_each(|row, folder| {
        let mut store = (row.open)(folder).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        let large = all.repeat(8 * 1024);
        let writes = [Write::put(Table::Directory, b"", Vec::new()), Write::put(Table::Directory, &all, large.clone())];
        store.commit(&writes).unwrap();
        assert_eq!(entries(&mut *store, Table::Directory), [entry(b"", b""), (all, large)]);
    });
}

#[test]
fn a_durable_store_remembers_and_the_other_does_not() {
    on_each(|row, folder| {
        let mut store = (row.open)(folder).unwrap();
        store.commit(&[Write::put(Table::Bindings, b"key", b"value".to_vec())]).unwrap();
        drop(store);
        let mut again = (row.open)(folder).unwrap();
        assert_eq!(entries(&mut *again, Table::Bindings).len(), usize::from(row.durable));
    });
}
