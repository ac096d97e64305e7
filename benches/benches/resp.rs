//! Parsing of requests and writing of replies, per batch as a connection meets it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use formats::resp::{Limits, Parsed, Protocol, Reply, RequestParser, encode_command};

const KEY: &[u8] = b"key:000000123456";
const VALUE: [u8; 64] = [b'v'; 64];
/// Commands in one batch.
const BATCHES: [usize; 2] = [1, 16];

fn batch(args: &[&[u8]], commands: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    (0..commands).for_each(|_| encode_command(&mut bytes, args));
    bytes
}

/// Parses a whole batch and touches each argument, as dispatch does. Tells the number of requests.
fn parse_all(parser: &mut RequestParser, mut bytes: &[u8], limits: &Limits) -> usize {
    let mut requests = 0;
    while !bytes.is_empty() {
        match parser.parse(bytes, limits) {
            Ok(Parsed::Request { consumed }) => {
                let request = parser.request(bytes);
                black_box(request.arg(request.len() - 1));
                bytes = &bytes[consumed..];
                requests += 1;
            }
            other => panic!("a whole batch was given: {other:?}"),
        }
    }
    requests
}

fn requests(criterion: &mut Criterion) {
    let limits = Limits::default();
    let commands: [(&str, Vec<&[u8]>); 3] = [
        ("GET", vec![b"GET", KEY]),
        ("SET", vec![b"SET", KEY, &VALUE]),
        ("MSET of 10", std::iter::once(&b"MSET"[..]).chain([KEY, &VALUE].repeat(10)).collect()),
    ];
    for (name, args) in &commands {
        for count in BATCHES {
            let bytes = batch(args, count);
            let mut parser = RequestParser::new();
            assert_eq!(parse_all(&mut parser, &bytes, &limits), count);
            let mut group = criterion.benchmark_group("parse");
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{name} x {count}"), |bencher| {
                bencher.iter(|| parse_all(&mut parser, black_box(&bytes), &limits));
            });
        }
    }
}

/// A batch that arrives in pieces of the size of a network packet.
fn pieces(criterion: &mut Criterion) {
    let limits = Limits::default();
    let value = vec![b'v'; 64 * 1024];
    let bytes = batch(&[b"SET", KEY, &value], 1);
    let mut parser = RequestParser::new();
    let mut group = criterion.benchmark_group("parse");
    group.bench_function("SET of 64 KiB in pieces of 1460 bytes", |bencher| {
        bencher.iter(|| {
            for end in (1460..bytes.len()).step_by(1460) {
                assert!(matches!(parser.parse(&bytes[..end], &limits), Ok(Parsed::NeedMore { .. })));
            }
            parse_all(&mut parser, black_box(&bytes), &limits)
        });
    });
}

fn replies(criterion: &mut Criterion) {
    let mut out = Vec::with_capacity(64 * 1024);
    let mut group = criterion.benchmark_group("reply");
    type Write = fn(&mut Reply<'_>);
    let writes: [(&str, Write); 4] = [
        ("OK", |reply| reply.ok()),
        ("bulk of 64", |reply| reply.bulk(&VALUE)),
        ("integer", |reply| reply.integer(black_box(123_456))),
        ("null", |reply| reply.null()),
    ];
    for (name, write) in writes {
        group.throughput(Throughput::Elements(16));
        group.bench_function(format!("{name} x 16"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let mut reply = Reply::new(&mut out, Protocol::Resp2);
                (0..16).for_each(|_| write(&mut reply));
                black_box(out.len())
            });
        });
    }
}

criterion_group!(benches, requests, pieces, replies);
criterion_main!(benches);
