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
