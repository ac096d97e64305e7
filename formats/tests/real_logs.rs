//! Append-only logs of real servers: every record is read, and written back to the same bytes.

use formats::aof::{AofItem, AofKind, AofReader, FileType, Manifest, aof_kind};
use formats::rdb::{Decoder, Item, Scratch};

use crate::testdata::{self, log_folders};

/// A file of a log, and its bytes up to its commands.
struct LogFile {
    path: String,
    bytes: Vec<u8>,
    preamble_bytes: usize,
}

/// Reads the preamble, with all of its keys, if there is one.
fn log_file(path: String) -> LogFile {
    let bytes = testdata::read(&path);
    let preamble_bytes = match aof_kind(&bytes) {
        AofKind::RdbPreamble => {
            let contents = crate::contents::decode(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
            bytes.len() - contents.trailing_bytes
        }
        AofKind::Commands | AofKind::Empty => 0,
        AofKind::Unknown => panic!("{path} starts with neither"),
    };
    LogFile { path, bytes, preamble_bytes }
}

/// The files of a log in order: by its manifest since Redis 7.0.
fn files(folder: &str) -> Vec<LogFile> {
    let server = folder.split('-').nth(1).unwrap();
    if matches!(server, "2.8" | "3.0" | "3.2" | "5.0" | "6.2") {
        return vec![log_file(format!("{folder}/appendonly.aof"))];
    }
    let inside = format!("{folder}/appendonlydir");
    let manifest = testdata::read(&format!("{inside}/appendonly.aof.manifest"));
    let manifest = Manifest::parse(&manifest).unwrap_or_else(|error| panic!("{folder}: {error}"));
    assert_eq!(manifest.base.as_ref().expect("a base").file_type, FileType::Base);
    let increments = if folder.ends_with("failed-rewrite") { 2 } else { 1 };
    assert_eq!(manifest.increments.len(), increments, "{folder}");
    let names = manifest.files_to_load().map(|file| String::from_utf8(file.name.clone()).unwrap());
    names.map(|name| log_file(format!("{inside}/{name}"))).collect()
}

#[test]
fn records_written_again_are_the_file() {
    for folder in log_folders() {
        let (mut commands, mut preambles, mut transactions, mut times) = (0, 0, 0, 0);
        for file in files(&folder) {
            preambles += usize::from(file.preamble_bytes > 0);
            let mut reader = AofReader::new(&file.bytes[file.preamble_bytes..], file.preamble_bytes as u64);
            let mut again = file.bytes[..file.preamble_bytes].to_vec();
            let (mut is_open, mut complete) = (false, again.len());
            while let Some(record) =
                reader.next_record().unwrap_or_else(|error| panic!("{}: {error}", file.path))
            {
                assert_eq!(record.offset, again.len() as u64, "{}", file.path);
                match record.item {
                    AofItem::Command(args) => {
                        write(&mut again, args);
                        commands += 1;
                        is_open |= args[0].eq_ignore_ascii_case(b"multi");
                        is_open &= !args[0].eq_ignore_ascii_case(b"exec");
                        transactions += usize::from(args[0].eq_ignore_ascii_case(b"exec"));
                    }
                    AofItem::Timestamp(seconds) => {
                        again.extend(format!("#TS:{seconds}\r\n").bytes());
                        times += 1;
                        assert!((1_700_000_000..4_000_000_000).contains(&seconds));
                    }
                    AofItem::Annotation(text) => panic!("an annotation {text:?}"),
                }
                if !is_open {
                    complete = again.len();
                }
                assert_eq!(reader.complete_until(), complete as u64, "{}", file.path);
            }
            assert!(again == file.bytes, "{} is written differently", file.path);
            assert_eq!(reader.complete_until(), file.bytes.len() as u64);
        }
        assert!(commands > 20, "{folder}: {commands} commands");
        let failed = folder.ends_with("failed-rewrite");
        assert!(transactions > 0 || failed, "{folder} has no transaction");
        assert_eq!(preambles, usize::from(folder.ends_with("preamble") || failed), "{folder}");
        let is_modern = !["2.8", "3.0", "3.2", "5.0", "6.2"].iter().any(|old| folder.contains(old));
        assert_eq!(times > 0, is_modern && !failed, "{folder} has {times} times");
    }
}

fn write(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend(format!("*{}\r\n", args.len()).bytes());
    for arg in args {
        out.extend(format!("${}\r\n", arg.len()).bytes());
        out.extend_from_slice(arg);
        out.extend(b"\r\n");
    }
}

/// Where records start, and up to where the file is whole after each.
fn boundaries(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut reader = AofReader::new(bytes, 0);
    let mut boundaries = vec![(0, 0)];
    while reader.next_record().unwrap().is_some() {
        boundaries.push((reader.offset() as usize, reader.complete_until() as usize));
    }
    boundaries
}

#[test]
fn a_log_that_is_cut_is_torn_and_whole_up_to_a_known_place() {
    for folder in log_folders() {
        for file in files(&folder) {
            let bytes = &file.bytes[file.preamble_bytes..];
            let boundaries = boundaries(bytes);
            for pair in boundaries.windows(2) {
                let ((start, complete), (end, _)) = (pair[0], pair[1]);
                let cuts = (start..end).filter(|cut| cut - start < 100 || end - cut < 20 || cut % 997 == 0);
                // The reader starts at the last whole place: what is before it was read by another test.
                cuts.for_each(|cut| assert_torn(&file.path, &bytes[complete..cut], start - complete));
            }
        }
    }
}

/// `bytes` end within the record that starts at `start`, and before it lies at most an open transaction.
fn assert_torn(path: &str, bytes: &[u8], start: usize) {
    let mut reader = AofReader::new(bytes, 0);
    let end = loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(reader.complete_until(), 0, "{path}");
    match end {
        Ok(()) => assert!(bytes.is_empty(), "{path}: a cut is not noticed"),
        Err(error) => {
            assert!(error.is_torn(), "{path}: {error}");
            // A file that ends right behind a record of an open transaction names the MULTI.
            let expected = if bytes.len() == start { 0 } else { start as u64 };
            assert_eq!(error.record_offset(), expected, "{path}: {error}");
        }
    }
}

#[test]
fn commands_follow_where_the_preamble_ends() {
    let file = log_file("redis-6.2-aof-preamble/appendonly.aof".into());
    assert!(file.preamble_bytes > 0 && file.preamble_bytes < file.bytes.len());
    assert_eq!(file.bytes[file.preamble_bytes], b'*');
    let mut decoder = Decoder::new(&file.bytes).unwrap();
    let mut scratch = Scratch::default();
    let mut keys = 0;
    while let Some(item) = decoder.next_item().unwrap() {
        if let Item::Key(record) = item {
            record.value.check(&mut scratch).unwrap();
            keys += 1;
        }
    }
    assert_eq!(decoder.offset(), file.preamble_bytes as u64);
    assert!(keys > 10, "only {keys} keys");
}
