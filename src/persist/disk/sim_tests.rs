//! The simulated disk must lose what a real one may lose, or the crash tests prove nothing.

use super::*;

fn path() -> &'static Path {
    Path::new("/d/a")
}

fn written(disk: &SimDisk) -> Box<dyn DiskFile> {
    let mut file = disk.mount().create(path()).unwrap();
    file.write_all_at(0, &[1; 2048]).unwrap();
    file
}

#[test]
fn a_crash_drops_what_was_not_synced() {
    let disk = SimDisk::new();
    let mut file = written(&disk);
    file.sync_data().unwrap();
    disk.crash(CrashMode::DropUnsynced);
    assert_eq!(disk.contents(path()), None, "the name was not synced");

    let mut file = written(&disk);
    disk.mount().sync_dir(Path::new("/d")).unwrap();
    file.write_all_at(0, &[2; 512]).unwrap();
    disk.crash(CrashMode::DropUnsynced);
    assert_eq!(disk.contents(path()), Some(vec![]), "the bytes were not synced");
    assert!(file.write_at(0, &[3]).is_err(), "a file opened before the crash is dead");
}

#[test]
fn a_random_crash_keeps_some_sectors() {
    let disk = SimDisk::new();
    let mut file = written(&disk);
    file.sync_data().unwrap();
    disk.mount().sync_dir(Path::new("/d")).unwrap();
    let mut mixed = 0;
    for seed in 0..32 {
        let mut file = disk.mount().open(path()).unwrap();
        file.write_all_at(0, &[seed as u8 + 2; 2048]).unwrap();
        disk.crash(CrashMode::KeepRandom(seed));
        let after = disk.contents(path()).unwrap();
        assert!(after.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        mixed += usize::from(after[0] != after[512] || after[512] != after[1024]);
    }
    assert!(mixed > 8, "sectors hardly ever part: {mixed}");
}

#[test]
fn a_failed_sync_is_not_healed_by_a_later_one() {
    let disk = SimDisk::new();
    let mut file = written(&disk);
    file.sync_data().unwrap();
    disk.mount().sync_dir(Path::new("/d")).unwrap();
    file.write_all_at(0, &[2; 2048]).unwrap();
    disk.fail_at(disk.calls(), Fault::SyncError);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(disk.contents(path()), Some(vec![2; 2048]), "the page cache still shows it");
    disk.crash(CrashMode::DropUnsynced);
    assert_eq!(disk.contents(path()), Some(vec![1; 2048]));
}

#[test]
fn faults_hit_the_call_they_are_meant_for() {
    let disk = SimDisk::new();
    let mut file = written(&disk);
    disk.fail_at(disk.calls() + 1, Fault::ShortWrite);
    disk.fail_at(disk.calls() + 2, Fault::Enospc);
    assert_eq!(file.write_at(0, &[0; 100]).unwrap(), 100);
    assert_eq!(file.write_at(0, &[0; 100]).unwrap(), 50);
    assert_eq!(file.write_at(0, &[0; 100]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.crash_at(disk.calls());
    assert!(
        file.write_at(0, &[0]).is_err()
            && file.sync_data().is_err()
            && disk.mount().list(Path::new("/d")).is_err()
    );
}

#[test]
fn a_rename_is_undone_by_a_crash_until_the_directory_is_synced() {
    let disk = SimDisk::new();
    written(&disk).sync_data().unwrap();
    disk.mount().sync_dir(Path::new("/d")).unwrap();
    disk.mount().rename(path(), Path::new("/d/b")).unwrap();
    disk.crash(CrashMode::DropUnsynced);
    assert!(disk.contents(path()).is_some() && disk.contents(Path::new("/d/b")).is_none());
    disk.mount().rename(path(), Path::new("/d/b")).unwrap();
    disk.mount().sync_dir(Path::new("/d")).unwrap();
    disk.crash(CrashMode::DropUnsynced);
    assert!(disk.contents(path()).is_none() && disk.contents(Path::new("/d/b")).is_some());
}

/// A file of four synced sectors of ones.
fn synced(disk: &SimDisk) -> Box<dyn DiskFile> {
    let mut file = written(disk);
    file.sync_data().unwrap();
    disk.mount().sync_dir(Path::new("/d")).unwrap();
    file
}

#[test]
fn every_subset_of_what_was_not_synced_can_be_kept() {
    let disk = SimDisk::new();
    let mut file = synced(&disk);
    file.write_all_at(500, &[2; 20]).unwrap();
    disk.mount().rename(path(), Path::new("/d/b")).unwrap();
    file.write_all_at(2000, &[3; 100]).unwrap();
    let items: Vec<String> = disk.unsynced().iter().map(ToString::to_string).collect();
    let expected = [
        "/d/b sector 0",
        "/d/b sector 1",
        "/d/a renamed to /d/b",
        "/d/b length 2100",
        "/d/b sector 3",
        "/d/b sector 4",
    ];
    assert_eq!(items, expected);
    let mut seen = HashSet::new();
    for mask in 0..1 << items.len() {
        let keep: Vec<bool> = (0..items.len()).map(|item| mask >> item & 1 == 1).collect();
        let fork = disk.fork();
        fork.crash_keeping(&keep);
        let after = fork.contents(Path::new(if keep[2] { "/d/b" } else { "/d/a" })).unwrap();
        assert_eq!((after[505] == 2, after[515] == 2, after[2010] == 3), (keep[0], keep[1], keep[4]));
        assert_eq!(after.len(), if keep[3] || keep[5] { 2100 } else { 2048 });
        seen.insert((after, keep[2]));
    }
    // The length is kept by the last sector too.
    assert_eq!(seen.len(), 48);
    assert_eq!(disk.contents(Path::new("/d/b")).unwrap()[2099], 3, "forks are other devices");
}

#[test]
fn a_crash_may_leave_a_sector_as_an_earlier_write_did() {
    let disk = SimDisk::new();
    let mut file = synced(&disk);
    file.write_all_at(0, &[2; 100]).unwrap();
    file.write_all_at(100, &[3; 100]).unwrap();
    let fork = disk.fork();
    fork.crash_keeping(&[true, false]);
    let after = fork.contents(path()).unwrap();
    assert_eq!((after[99], after[100]), (2, 1));
    disk.crash_keeping(&[false, true]);
    let after = disk.contents(path()).unwrap();
    assert_eq!((after[99], after[100]), (2, 3), "a sector is written whole");
}

#[test]
fn a_record_has_the_device_before_each_call() {
    let disk = SimDisk::new();
    let mut file = synced(&disk);
    disk.start_record();
    file.write_all_at(0, &[2; 2048]).unwrap();
    file.sync_data().unwrap();
    let record = disk.take_record();
    let first_bytes = |device: &SimDisk| {
        device.crash(CrashMode::DropUnsynced);
        device.contents(path()).unwrap()[0]
    };
    assert_eq!(record[1].unsynced().len(), 4);
    assert_eq!(record.iter().map(first_bytes).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(first_bytes(&disk), 2);
}
