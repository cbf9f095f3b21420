use std::ops::ControlFlow;

use proptest::prelude::*;
use streaming_engine::state::MemoryState;
use tempfile::tempdir;

use super::*;

const BUDGET: u64 = 8 * 1024 * 1024;

fn entries(state: &dyn State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    let visit: Visit<'_> = &mut |key, value| {
        seen.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    state.scan(b"", b"", visit).unwrap();
    seen
}

fn put(state: &mut dyn State, key: &str, value: &str) {
    let mut batch = Batch::default();
    batch.put(key.into(), value.into());
    state.apply(batch).unwrap();
}

#[test]
fn what_was_synced_is_there_again() {
    let directory = tempdir().unwrap();
    let mut disk = Disk::open(directory.path(), BUDGET).unwrap();
    put(&mut disk, "a", "1");
    disk.sync().unwrap();
    drop(disk);
    let disk = Disk::open(directory.path(), BUDGET).unwrap();
    assert_eq!(disk.get(b"a").unwrap(), Some(b"1".to_vec()));
}

/// A copy of the file, made while the store is open, is what a crash leaves.
#[test]
fn a_crash_leaves_what_the_last_sync_left() {
    let directory = tempdir().unwrap();
    let mut disk = Disk::open(directory.path(), BUDGET).unwrap();
    put(&mut disk, "a", "1");
    disk.sync().unwrap();
    for n in 0..1000 {
        put(&mut disk, &format!("b{n}"), "not yet");
    }
    let crashed = tempdir().unwrap();
    fs::copy(directory.path().join(FILE), crashed.path().join(FILE)).unwrap();
    let after = Disk::open(crashed.path(), BUDGET).unwrap();
    assert_eq!(entries(&after), [(b"a".to_vec(), b"1".to_vec())]);
}

#[test]
fn only_one_opens_it() {
    let directory = tempdir().unwrap();
    let _disk = Disk::open(directory.path(), BUDGET).unwrap();
    let error = Disk::open(directory.path(), BUDGET).unwrap_err();
    assert!(error.0.contains("is in use by another process"), "{error}");
}

#[test]
fn damage_is_found_and_told_when_it_is_opened() {
    let directory = tempdir().unwrap();
    let file = directory.path().join(FILE);
    fs::write(&file, "no store at all").unwrap();
    let error = Disk::open(directory.path(), BUDGET).unwrap_err();
    assert!(
        error.0.contains("is damaged") && error.0.contains("delete it"),
        "{error}"
    );
    fs::remove_file(&file).unwrap();
    let mut disk = Disk::open(directory.path(), BUDGET).unwrap();
    for n in 0..2000 {
        put(&mut disk, &format!("{n:08}"), &"x".repeat(100));
    }
    disk.sync().unwrap();
    drop(disk);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes
        .windows(8)
        .rposition(|window| window == b"xxxxxxxx")
        .unwrap();
    bytes[at] = b'y';
    fs::write(&file, bytes).unwrap();
    let error = Disk::open(directory.path(), BUDGET).unwrap_err();
    assert!(error.0.contains("is damaged"), "{error}");
}

#[test]
fn a_directory_that_is_none_is_told() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Disk::open(&file, BUDGET).unwrap_err();
    assert!(error.0.contains("must be there and be writable"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// The model is the engine's own store.
    #[test]
    fn it_does_what_the_store_in_memory_does(
        batches in prop::collection::vec(
            prop::collection::vec((prop::collection::vec(0u8..4, 0..4), prop::option::of(any::<[u8; 2]>())), 0..20),
            0..20,
        ),
        prefix in prop::collection::vec(0u8..4, 0..3),
        from in prop::collection::vec(0u8..4, 0..3),
    ) {
        let directory = tempdir().unwrap();
        let mut disk = Disk::open(directory.path(), BUDGET).unwrap();
        let mut model = MemoryState::default();
        for changes in batches {
            let changes = changes.into_iter().map(|(key, value)| (key, value.map(Vec::from))).collect();
            let batch = Batch { changes, ..Batch::default() };
            model.apply(batch.clone()).unwrap();
            disk.apply(batch).unwrap();
            disk.sync().unwrap();
        }
        let scan = |state: &dyn State| {
            let mut seen = Vec::new();
            let visit: Visit<'_> = &mut |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            };
            state.scan(&prefix, &from, visit).unwrap();
            seen
        };
        prop_assert_eq!(scan(&disk), scan(&model));
        prop_assert_eq!(disk.get(&prefix).unwrap(), model.get(&prefix).unwrap());
        drop(disk);
        let disk = Disk::open(directory.path(), BUDGET).unwrap();
        prop_assert_eq!(entries(&disk), entries(&model));
    }
}
