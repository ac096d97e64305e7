//! Manifests as Redis writes them, wrong in each way, and at random.

use proptest::prelude::*;

use super::*;

fn file(name: &[u8], seq: u64, file_type: FileType) -> ManifestFile {
    ManifestFile { name: name.to_vec(), seq, file_type, start_offset: None, end_offset: None }
}

fn problem(bytes: &[u8]) -> (usize, ManifestProblem) {
    let error = Manifest::parse(bytes).unwrap_err();
    (error.line, error.problem)
}

#[test]
fn reads_what_redis_writes() {
    let text = b"file appendonly.aof.2.base.rdb seq 2 type b\n\
        file appendonly.aof.1.incr.aof seq 1 type h\n\
        # a comment\n\
        file appendonly.aof.4.incr.aof seq 4 type i startoffset 10 endoffset 20\n\
        type i SEQ 5 file \"a \\\"b\\x41\\n.5.incr.aof\" later thing\n\
        file 'it\\'s' seq 6 type i\r\n";
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.base, Some(file(b"appendonly.aof.2.base.rdb", 2, FileType::Base)));
    assert_eq!(manifest.history, [file(b"appendonly.aof.1.incr.aof", 1, FileType::History)]);
    let with_offsets = ManifestFile {
        start_offset: Some(10),
        end_offset: Some(20),
        ..file(b"appendonly.aof.4.incr.aof", 4, FileType::Increment)
    };
    let quoted = file(b"a \"bA\n.5.incr.aof", 5, FileType::Increment);
    let single = file(b"it's", 6, FileType::Increment);
    assert_eq!(manifest.increments, [with_offsets, quoted, single]);
    let seqs: Vec<_> = manifest.files_to_load().map(|file| file.seq).collect();
    assert_eq!(seqs, [2, 4, 5, 6]);
}

#[test]
fn tells_what_is_wrong_in_which_line() {
    use ManifestProblem::*;
    assert_eq!(problem(b""), (0, Empty));
    assert_eq!(problem(b"file a seq 1 type b"), (1, Torn));
    assert_eq!(problem(b"\n"), (1, NotPairs));
    assert_eq!(problem(b"#\nfile a seq 1 type\n"), (2, NotPairs));
    assert_eq!(problem(b"seq 1 type b\n"), (1, Missing("file")));
    assert_eq!(problem(b"file a type b\n"), (1, Missing("seq")));
    assert_eq!(problem(b"file a seq 1\n"), (1, Missing("type")));
    assert_eq!(problem(b"file \"\" seq 1 type b\n"), (1, Missing("file")));
    assert_eq!(problem(b"file a seq 0 type b\n"), (1, NotANumber("seq")));
    assert_eq!(problem(b"file a seq -1 type b\n"), (1, NotANumber("seq")));
    assert_eq!(problem(b"file a seq 1x type b\n"), (1, NotANumber("seq")));
    assert_eq!(problem(b"file a seq 1 type x\n"), (1, UnknownType));
    assert_eq!(problem(b"file a seq 1 type bb\n"), (1, UnknownType));
    for path in ["/etc/passwd", "../a", "a/b", "..", ".", "a\\b"] {
        assert_eq!(problem(format!("file {path} seq 1 type b\n").as_bytes()), (1, Path), "{path}");
    }
    assert_eq!(problem(b"file \"a\\x00\" seq 1 type b\n"), (1, Path));
    assert_eq!(problem(b"file a seq 1 type b\nfile b seq 2 type b\n"), (2, SecondBase));
    assert_eq!(problem(b"file a seq 2 type i\nfile b seq 2 type i\n"), (2, NotAscending));
    assert_eq!(problem(b"file \"a seq 1 type b\n"), (1, Quotes));
    assert_eq!(problem(b"file 'a seq 1 type b\n"), (1, Quotes));
    assert_eq!(problem(b"file \"a\"b seq 1 type b\n"), (1, Quotes));
    let long = [&[b'a'; MAX_LINE_BYTES][..], b"\n"].concat();
    assert_eq!(problem(&long), (1, TooLong));
}

/// Redis' way to write names that have other than plain letters.
fn quoted(name: &[u8]) -> String {
    let escaped = name.iter().map(|&byte| match byte {
        b'"' => format!("\\{}", char::from(byte)),
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\t' => "\\t".into(),
        7 => "\\a".into(),
        8 => "\\b".into(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

proptest! {
    #[test]
    fn names_come_back(name in prop::collection::vec(1u8.., 1..100), seq in 1u64..1 << 62) {
        prop_assume!(!name.contains(&b'/') && !name.contains(&b'\\'));
        prop_assume!(!matches!(&name[..], b"." | b".."));
        let text = format!("file {} seq {seq} type b\n", quoted(&name));
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(manifest.base, Some(file(&name, seq, FileType::Base)));
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(lines in prop::collection::vec("(file|seq|type|\"|'|\\\\x4| |a|1|i|#){0,12}", 0..4)) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
            prop_assert!(manifest.files_to_load().all(|file| !file.name.is_empty() && file.seq > 0));
        }
    }
}
