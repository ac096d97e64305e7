//! Single operations of the keyspace at a size that fits in cache, to see what a change of the code itself costs.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use everfast::store::{KeyHasher, Keyspace};

const KEYS: u64 = 20_000;

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"key:____________";
    key[4..12].copy_from_slice(&number.to_le_bytes());
    key
}

fn loaded(hasher: KeyHasher) -> Keyspace {
    let mut keyspace = Keyspace::new(hasher);
    for number in 0..KEYS {
        let key = key(number);
        keyspace.set_str(hasher.hash(&key), &key, &[b'v'; 64], None);
    }
    keyspace
}

fn operations(criterion: &mut Criterion) {
    let hasher = KeyHasher::new(1);
    let mut keyspace = loaded(hasher);
    let mut number = 0;
    let mut next = move || {
        number = (number + 7919) % KEYS;
        key(number)
    };
    criterion.bench_function("get", |bencher| {
        bencher.iter(|| {
            let key = next();
            black_box(keyspace.get(hasher.hash(&key), &key).map(|entry| entry.value));
        });
    });
    criterion.bench_function("get, no such key", |bencher| {
        bencher.iter(|| {
            let mut key = next();
            key[0] = b'x';
            black_box(keyspace.get(hasher.hash(&key), &key).is_none());
        });
    });
    let mut length = 0;
    criterion.bench_function("set, same size", |bencher| {
        bencher.iter(|| {
            let key = next();
            keyspace.set_str(hasher.hash(&key), &key, &[b'w'; 64], None);
        });
    });
    criterion.bench_function("set, other size", |bencher| {
        bencher.iter(|| {
            length = (length + 37) % 128;
            let key = next();
            keyspace.set_str(hasher.hash(&key), &key, &[b'w'; 128][..length], None);
        });
    });
    criterion.bench_function("load 20,000 keys", |bencher| {
        bencher.iter_batched(|| (), |()| loaded(hasher), BatchSize::PerIteration);
    });
    criterion.bench_function("freeze", |bencher| bencher.iter(|| keyspace.freeze().len()));
}

criterion_group!(benches, operations);
criterion_main!(benches);
