//! `salvage` of files that are sound, small or large: it must be a copy.

use std::path::Path;

use super::harness::{inspect, testdata};

/// Keys and values as `ndjson` tells them.
fn keys(file: &Path) -> Vec<u8> {
    inspect([Path::new("ndjson"), file]).good().stdout
}

#[test]
fn a_sound_file_is_salvaged_as_it_is_filtered() {
    let folder = tempfile::tempdir().expect("a folder");
    let [salvaged, filtered] = ["salvaged.rdb", "filtered.rdb"].map(|name| folder.path().join(name));
    let mut files = 0;
    for entry in std::fs::read_dir(testdata("")).expect("a folder") {
        let file = entry.expect("an entry").path();
        let is_sound = file.extension().is_some_and(|extension| extension == "rdb")
            && inspect([Path::new("verify"), &file]).code == 0;
        let filter = [Path::new("filter"), &file, Path::new("--output"), &filtered];
        if !is_sound || inspect(filter).code != 0 {
            continue;
        }
        inspect([Path::new("salvage"), &file, Path::new("--output"), &salvaged]).good();
        assert_eq!(keys(&salvaged), keys(&filtered), "{file:?}");
        files += 1;
    }
    assert!(files > 20, "{files} files");
}

#[test]
fn a_million_databases_are_no_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, salvaged] = ["file.rdb", "salvaged.rdb"].map(|name| folder.path().join(name));
    let mut bytes = b"REDIS0010".to_vec();
    for db in 0..1_000_000u32 {
        bytes.extend_from_slice(b"\xFE\x80");
        bytes.extend_from_slice(&db.to_be_bytes());
        bytes.extend_from_slice(b"\0\x01k\x01v");
    }
    bytes.extend_from_slice(b"\xFF\0\0\0\0\0\0\0\0");
    std::fs::write(&file, &bytes).expect("a file");
    let run =
        inspect([Path::new("salvage"), &file, Path::new("--json"), Path::new("--output"), &salvaged]).good();
    assert!(run.text().contains("\"keys_written\":1000000"), "{run:?}");
    assert!(std::fs::read(&salvaged).expect("it is there").len() > 9_000_000);
}

#[test]
fn a_newer_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, salvaged] = ["file.rdb", "salvaged.rdb"].map(|name| folder.path().join(name));
    for header in ["REDIS0013", "VALKEY081"] {
        std::fs::write(&file, format!("{header}\0\x01k\x01v")).expect("a file");
        let run = inspect([Path::new("salvage"), &file, Path::new("--output"), &salvaged]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("newer than this program"), "{run:?}");
        assert!(!salvaged.exists());
    }
}
