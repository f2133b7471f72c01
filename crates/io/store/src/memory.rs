//! A store that forgets everything when it is dropped.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Store, StoreError, Table, Write};

#[derive(Debug, Default)]
struct MemoryStore(BTreeMap<Place, Box<[u8]>>);

type Place = (Table, Box<[u8]>);

pub(crate) fn open(_folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(MemoryStore::default()))
}

impl Store for MemoryStore {
    fn load(&mut self, table: Table, entry: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for ((of, key), value) in &self.0 {
            if *of == table {
                entry(key, value);
            }
        }
        Ok(())
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        for write in writes {
            let place = (write.table, write.key.clone());
            match &write.value {
                Some(value) => self.0.insert(place, value.clone()),
                None => self.0.remove(&place),
            };
        }
        Ok(())
    }
}
