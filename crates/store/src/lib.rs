//! What a component remembers beyond its messages, in a directory: the engine's [`State`] in an embedded store.
//!
//! One file, one process: whoever opens it second is told so. Changes are in the file once [`State::sync`] returned,
//! and a crash leaves what the last one left (`docs/decisions/0013-state.md`).

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, Durability, Error, ReadOnlyTable, ReadableDatabase as _, TableDefinition};
use streaming_engine::state::{Batch, State, StateError, Visit};

/// All of it: keys and values mean something to the engine only.
const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");

/// The file in the directory.
const FILE: &str = "state.redb";

/// Of the memory budget, what the store may keep of its file.
const CACHE_SHARE: u64 = 8;
/// But no more than this: what is written goes through once, and what is read is read in order.
const MAX_CACHE: u64 = 16 * 1024 * 1024;

/// A store in a directory.
pub struct Disk {
    file: PathBuf,
    database: Database,
    /// Whether anything was written that is not durable yet.
    dirty: bool,
    /// What was read from last, until something is written: to begin anew costs more than to read a key.
    reading: Cell<Option<Entries>>,
}

type Entries = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Disk").field(&self.file).finish()
    }
}

impl Disk {
    /// Opens the store in a directory, or makes one there. It keeps a share of `memory_budget` bytes in memory.
    ///
    /// # Errors
    /// The directory can't be written to, another process has it open, or what is in it is damaged.
    pub fn open(directory: &Path, memory_budget: u64) -> Result<Disk, StateError> {
        let file = directory.join(FILE);
        let cache = (memory_budget / CACHE_SHARE).min(MAX_CACHE);
        fs::create_dir_all(directory).map_err(|error| told(directory, &error.into()))?;
        let database = Builder::new()
            .set_cache_size(usize::try_from(cache).unwrap_or(usize::MAX))
            // A page that is not what was written is found here, and not in the middle of a window.
            .set_check_integrity_on_open(true)
            .create(&file)
            .map_err(|error| told(&file, &error.into()))?;
        let disk = Disk {
            file,
            database,
            dirty: true,
            reading: Cell::default(),
        };
        // The table is there from now on: reading needs no case without it.
        disk.write(Durability::Immediate, &Batch::default())?;
        Ok(disk)
    }

    fn write(&self, durability: Durability, batch: &Batch) -> Result<(), StateError> {
        self.try_write(durability, batch)
            .map_err(|error| told(&self.file, &error))
    }

    fn try_write(&self, durability: Durability, batch: &Batch) -> Result<(), Error> {
        // Pages that somebody may read are not used again.
        self.reading.take();
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (from, to) in &batch.cleared {
                table.retain_in::<&[u8], _>(from.as_slice()..to.as_slice(), |_, _| false)?;
            }
            for (key, value) in &batch.changes {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    fn read<T>(&self, read: impl FnOnce(&Entries) -> Result<T, Error>) -> Result<T, Error> {
        let table = match self.reading.take() {
            Some(table) => table,
            None => self.database.begin_read()?.open_table(ENTRIES)?,
        };
        let found = read(&table);
        self.reading.set(Some(table));
        found
    }

    fn try_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read(|table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn try_scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        self.read(|table| {
            for entry in table.range(prefix.max(from)..)? {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) || visit(key.value(), value.value()).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl State for Disk {
    fn apply(&mut self, batch: Batch) -> Result<(), StateError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.dirty = true;
        self.write(Durability::None, &batch)
    }

    fn sync(&mut self) -> Result<(), StateError> {
        if self.dirty {
            self.write(Durability::Immediate, &Batch::default())?;
            self.dirty = false;
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.try_get(key).map_err(|error| told(&self.file, &error))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.try_scan(prefix, from, visit)
            .map_err(|error| told(&self.file, &error))
    }
}

/// What went wrong, where, and what to do.
fn told(place: &Path, error: &Error) -> StateError {
    let place = place.display();
    StateError(match error {
        Error::DatabaseAlreadyOpen => {
            format!(
                "{place} is in use by another process; end that one, or give this one a directory of its own"
            )
        }
        Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            format!(
                "the disk of {place} is full; give it more room (`state.storage`), then this goes on by itself"
            )
        }
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => damaged(&place, &error),
        Error::Corrupted(what) => damaged(&place, what),
        Error::UpgradeRequired(_) => format!(
            "{place} was written by another release, which this one can't read; run that one, or delete the file and \
             lose what the component remembers"
        ),
        Error::Io(error) => format!("{place}: {error}; the directory must be there and be writable"),
        other => format!("{place}: {other}"),
    })
}

fn damaged(place: &dyn fmt::Display, what: &dyn fmt::Display) -> String {
    format!("{place} is damaged ({what}); restore it, or delete it and lose what the component remembers")
}

#[cfg(test)]
mod tests;
