//! What a snapshot costs in processor time: frozen keys to an RDB file that goes nowhere, and the file's keys back into
//! nothing and into a keyspace. A million keys of 16 bytes with values of 64.

use std::convert::Infallible;
use std::hint::black_box;
use std::io;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use everfast::persist::disk::DiskFile;
use everfast::snapshot::{self, Aux, Checksum, Options, Progress};
use everfast::store::{KeyHasher, Keyspace};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: u64 = 1_000_000;

/// Takes all bytes and keeps them or not.
struct Sink {
    kept: Option<Vec<u8>>,
}

impl DiskFile for Sink {
    fn write_at(&mut self, _offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(black_box(bytes).len())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Values that do not compress (letters without order), or that do (words).
fn loaded(hasher: KeyHasher, words: bool) -> Keyspace {
    let mut keyspace = Keyspace::new(hasher);
    let mut value = [b' '; 64];
    for number in 0..KEYS {
        let key = format!("key:{number:012}");
        let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for (place, byte) in value.iter_mut().enumerate() {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            *byte = if words { b"status:active;"[place % 14] } else { b'a' + (bits % 26) as u8 };
        }
        let key = key.as_bytes();
        keyspace.set_str(hasher.hash(key), key, &value, None);
    }
    keyspace
}

fn write(keyspace: &mut Keyspace, compress: bool, sink: &mut Sink) -> u64 {
    let options = Options { compress, ..Options::default() };
    let views = vec![(0, keyspace.freeze())];
    let written = snapshot::write(views, &Aux::default(), sink, &options, &Progress::default());
    written.expect("a sink takes everything").crc64
}

fn snapshots(criterion: &mut Criterion) {
    let hasher = KeyHasher::new(1);
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Elements(KEYS)).sample_size(10).measurement_time(Duration::from_secs(4));
    for (values, words) in [("letters", false), ("words", true)] {
        let mut keyspace = loaded(hasher, words);
        for (how, compress) in [("raw", false), ("LZF", true)] {
            let case = format!("{values}, {how}");
            group.bench_function(BenchmarkId::new("write", &case), |bencher| {
                bencher.iter(|| write(&mut keyspace, compress, &mut Sink { kept: None }));
            });
            let mut sink = Sink { kept: Some(Vec::new()) };
            let checksum = Checksum::Is(write(&mut keyspace, compress, &mut sink));
            let file = sink.kept.unwrap_or_default();
            println!("{case}: {} bytes", file.len());
            group.bench_function(BenchmarkId::new("read", &case), |bencher| {
                bencher.iter(|| {
                    snapshot::read(&file, checksum, |key| {
                        black_box(key);
                        Ok::<(), Infallible>(())
                    })
                });
            });
            group.bench_function(BenchmarkId::new("read and insert", &case), |bencher| {
                bencher.iter_batched(
                    || Keyspace::new(hasher),
                    |mut target| {
                        target.expect_more(KEYS as usize);
                        let insert = |key: snapshot::LoadedKey<'_>| {
                            let value = key.value.as_str().unwrap_or_default();
                            target.set_str(hasher.hash(key.key), key.key, value, key.expire_at);
                            Ok::<(), Infallible>(())
                        };
                        let read = snapshot::read(&file, checksum, insert);
                        (read, target)
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, snapshots);
criterion_main!(benches);
