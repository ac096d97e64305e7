//! Records and brackets, whole, cut at every byte, and wrong in each way.

use proptest::prelude::*;

use super::*;

fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend(format!("${}\r\n", arg.len()).into_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Command(Vec<Vec<u8>>),
    Timestamp(u64),
    Annotation(Vec<u8>),
}

impl Owned {
    fn encode(&self) -> Vec<u8> {
        match self {
            Owned::Command(args) => command(&args.iter().map(Vec::as_slice).collect::<Vec<_>>()),
            Owned::Timestamp(seconds) => format!("#TS:{seconds}\r\n").into_bytes(),
            Owned::Annotation(text) => [text, &b"\r\n"[..]].concat(),
        }
    }
}

/// All records, where the file is whole up to, and the error at the end.
fn read(bytes: &[u8], base: u64) -> (Vec<(u64, Owned)>, u64, Option<AofError>) {
    let mut reader = AofReader::new(bytes, base);
    let mut records = Vec::new();
    let error = loop {
        match reader.next_record() {
            Ok(None) => break None,
            Ok(Some(AofRecord { offset, item, .. })) => {
                let item = match item {
                    AofItem::Command(args) => Owned::Command(args.iter().map(|arg| arg.to_vec()).collect()),
                    AofItem::Timestamp(seconds) => Owned::Timestamp(seconds),
                    AofItem::Annotation(text) => Owned::Annotation(text.to_vec()),
                };
                records.push((offset, item));
            }
            Err(error) => break Some(error),
        }
    };
    assert_eq!(reader.next_record(), Ok(None), "after the end there is nothing");
    (records, reader.complete_until(), error)
}

fn error(bytes: &[u8]) -> AofError {
    read(bytes, 0).2.expect("an error")
}

#[test]
fn commands_and_annotations_come_in_order() {
    let file = [
        command(&[b"SELECT", b"0"]),
        b"#TS:1700000000\r\n#other\n".to_vec(),
        command(&[b"SET", b"", b"\r\n"]),
    ];
    let (records, complete, error) = read(&file.concat(), 100);
    let args = |args: &[&[u8]]| Owned::Command(args.iter().map(|arg| arg.to_vec()).collect());
    let expected = [
        (100, args(&[b"SELECT", b"0"])),
        (123, Owned::Timestamp(1_700_000_000)),
        (139, Owned::Annotation(b"#other".to_vec())),
        (146, args(&[b"SET", b"", b"\r\n"])),
    ];
    assert_eq!(records, expected);
    assert_eq!((complete, error), (100 + file.concat().len() as u64, None));
}

#[test]
fn a_bracket_counts_only_with_its_end() {
    let set = command(&[b"SET", b"k", b"v"]);
    let (multi, exec) = (command(&[b"multi"]), command(&[b"Exec"]));
    let bracket = [&multi[..], &set, b"#TS:5\r\n", &set].concat();
    let open = [&set[..], &bracket].concat();
    let (records, complete, error) = read(&open, 0);
    assert_eq!(records.len(), 5);
    assert_eq!(complete, set.len() as u64);
    let (offset, end) = (set.len() as u64, open.len() as u64);
    assert_eq!(error, Some(AofError::OpenTransaction { offset, end }));
    let whole = [&open[..], &exec].concat();
    assert_eq!(read(&whole, 0).1, whole.len() as u64);
    assert_eq!(read(&whole, 0).2, None);

    let nested = [&bracket[..], &multi].concat();
    assert_eq!(read(&nested, 7).2, Some(AofError::NestedMulti { offset: 7 + bracket.len() as u64, open: 7 }));
    assert_eq!(read(&nested, 7).1, 7);
    let stray = [&set[..], &exec].concat();
    assert_eq!(read(&stray, 0).2, Some(AofError::StrayExec { offset: set.len() as u64 }));
    assert_eq!(read(&stray, 0).1, set.len() as u64);
    let no_bracket = command(&[b"multi", b"argument"]);
    assert_eq!(read(&no_bracket, 0).2, None);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let malformed = |offset, expected, found| AofError::Malformed { record: 0, offset, expected, found };
    assert_eq!(error(b"SET k v\r\n"), malformed(0, Expected::RecordStart, b'S'));
    assert_eq!(error(b"*x\r\n"), malformed(1, Expected::ArgumentCount, b'x'));
    assert_eq!(error(b"*-1\r\n"), malformed(1, Expected::ArgumentCount, b'-'));
    assert_eq!(error(b"*0\r\n"), malformed(1, Expected::ArgumentCount, b'0'));
    assert_eq!(error(b"*1x"), malformed(2, Expected::LineEnd, b'x'));
    assert_eq!(error(b"*1\rx"), malformed(3, Expected::LineEnd, b'x'));
    assert_eq!(error(b"*1\r\n+OK\r\n"), malformed(4, Expected::ArgumentStart, b'+'));
    assert_eq!(error(b"*1\r\n$-1\r\n"), malformed(5, Expected::ArgumentLength, b'-'));
    assert_eq!(error(b"*1\r\n$1\r\nabc"), malformed(9, Expected::LineEnd, b'b'));
    assert_eq!(error(b"*000000000000000000001\r\n"), malformed(21, Expected::LineEnd, b'1'));
    assert_eq!(error(b"#TS:x\r\n"), malformed(4, Expected::Timestamp, b'x'));
    assert_eq!(error(b"#TS:\r\n"), malformed(4, Expected::Timestamp, b'\r'));
    let long = [b'#'; 2000];
    assert_eq!(error(&long), malformed(1023, Expected::LineEnd, b'#'));
    let second = [&command(&[b"PING"])[..], b"*1\r\n!"].concat();
    let expected = Expected::ArgumentStart;
    assert_eq!(error(&second), AofError::Malformed { record: 14, offset: 18, expected, found: b'!' });
    for bytes in [&b"*1\r\nx"[..], b"*0\r\n", b"x"] {
        assert!(!error(bytes).is_torn());
    }
}

#[test]
fn zeros_at_the_end_are_a_kind_of_their_own() {
    let file = [&command(&[b"PING"])[..], &[0; 100]].concat();
    assert_eq!(error(&file), AofError::Zeros { offset: 14, zeros: 14, end: 114 });
    assert!(error(&file).is_torn());
    assert_eq!(read(&file, 0).1, 14);
    let inside = [&command(&[b"PING"])[..], b"*2\r\n$3\r\nSET\r\n$9\r\nk", &[0; 50]].concat();
    assert_eq!(error(&inside), AofError::Zeros { offset: 14, zeros: 40, end: 82 });
    let file = [&file[..], b"*"].concat();
    let expected = Expected::RecordStart;
    assert_eq!(error(&file), AofError::Malformed { record: 14, offset: 14, expected, found: 0 });
}

#[test]
fn numbers_beyond_the_limits_are_refused_before_their_bytes() {
    let limits = AofLimits { max_args: 2, max_arg_bytes: 3 };
    let error = |bytes| AofReader::with_limits(bytes, 0, limits).next_record().map(|_| ()).unwrap_err();
    let limit = |offset, found, limit| AofError::Limit { record: 0, offset, found, limit };
    assert_eq!(error(b"*3\r\n"), limit(1, 3, 2));
    assert_eq!(error(b"*1\r\n$4\r\n"), limit(5, 4, 3));
    assert!(error(b"*2\r\n$3\r\n").is_torn());
    assert_eq!(error(b"*99999999999999999999\r\n"), limit(1, u64::MAX, 2));
}

#[test]
fn announced_arguments_take_no_memory() {
    let mut reader = AofReader::new(b"*2000000000\r\n$1\r\na\r\n", 0);
    assert!(reader.next_record().unwrap_err().is_torn());
    assert!(reader.args.capacity() < 100);
}

fn item() -> impl Strategy<Value = Owned> {
    let arg = prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        3 => prop::collection::vec(arg, 2..5).prop_map(Owned::Command),
        1 => any::<u64>().prop_map(Owned::Timestamp),
        1 => "#[a-z:]{0,20}".prop_map(|text| Owned::Annotation(text.into_bytes())),
    ]
}

/// Records, some of them in brackets.
fn file() -> impl Strategy<Value = Vec<Owned>> {
    let name = |name: &[u8]| Owned::Command(vec![name.to_vec()]);
    let group = (prop::collection::vec(item(), 0..4), any::<bool>()).prop_map(move |(items, bracket)| {
        if !bracket {
            return items;
        }
        [vec![name(b"MULTI")], items, vec![name(b"EXEC")]].concat()
    });
    prop::collection::vec(group, 0..6).prop_map(|groups| groups.concat())
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_every_cut_is_torn(items in file(), base in 0u64..1 << 40) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        // Ends of records, and where the file is whole up to once they are read.
        let mut ends = vec![(0, 0)];
        let mut open = false;
        for item in &items {
            expected.push((base + bytes.len() as u64, item.clone()));
            bytes.extend(item.encode());
            match item {
                Owned::Command(args) if args[0] == b"MULTI" => open = true,
                Owned::Command(args) if args[0] == b"EXEC" => open = false,
                _ => {}
            }
            let complete = if open { ends.last().unwrap().1 } else { bytes.len() };
            ends.push((bytes.len(), complete));
        }
        prop_assert_eq!(read(&bytes, base), (expected.clone(), base + bytes.len() as u64, None));

        for cut in 0..bytes.len() {
            let (records, complete, error) = read(&bytes[..cut], base);
            let whole = ends.iter().rposition(|&(end, _)| end <= cut).unwrap();
            prop_assert_eq!(&records[..], &expected[..whole]);
            prop_assert_eq!(complete, base + ends[whole].1 as u64);
            let between_records = ends[whole].0 == cut && complete == base + cut as u64;
            prop_assert_eq!(error.is_none(), between_records);
            prop_assert!(error.is_none_or(|error| error.is_torn()));
        }
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(pieces in prop::collection::vec(prop_oneof![
        Just(b"*1\r\n".to_vec()),
        Just(b"$3\r\nabc\r\n".to_vec()),
        Just(b"#TS:".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ], 0..20)) {
        let bytes = pieces.concat();
        let (records, complete, error) = read(&bytes, 0);
        prop_assert!(complete <= bytes.len() as u64);
        prop_assert!(records.iter().all(|(offset, _)| *offset < bytes.len() as u64));
        prop_assert!(error.is_none() == (complete == bytes.len() as u64));
    }
}
