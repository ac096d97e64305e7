//! DEBUG RELOAD: all keys of a shard into the bytes of a snapshot and back, in memory.
//!
//! Invariants:
//! 1. The shard holds the same keys afterwards, or, after an error, the very same databases as before.
//! 2. Nothing is logged: nothing has changed.

use std::io;

use crate::persist::disk::DiskFile;
use crate::shard::engine::Engine;
use crate::snapshot::{self, Aux, Checksum, LoadedKey, LoadedValue, Options, Progress};
use crate::store::{KeyHasher, Keyspace};

/// Reloads all databases; answers how many keys they have.
pub fn reload(engine: &mut Engine, compress: bool) -> Result<u64, String> {
    let views = engine.dbs.iter_mut().map(Keyspace::freeze);
    let databases: Vec<_> = (0..).zip(views).collect();
    let expected: u64 = databases.iter().map(|(_, view)| view.len() as u64).sum();
    let mut file = Memory::default();
    let options = Options { compress, sync_every_bytes: u64::MAX, ..Options::default() };
    snapshot::write(databases, &Aux::default(), &mut file, &options, &Progress::default())
        .map_err(|error| error.to_string())?;
    let (reloaded, keys) = read(&file.0, engine.dbs.len(), engine.hasher)?;
    if keys != expected {
        return Err(format!("{keys} keys came back of {expected}"));
    }
    engine.replace(reloaded);
    Ok(keys)
}

fn read(bytes: &[u8], databases: usize, hasher: KeyHasher) -> Result<(Vec<Keyspace>, u64), String> {
    let mut reloaded: Vec<_> = (0..databases).map(|_| Keyspace::new(hasher)).collect();
    let put = |loaded: LoadedKey<'_>| {
        let LoadedKey { db, key, value, expire_at, .. } = loaded;
        let keyspace = usize::try_from(db).ok().and_then(|db| reloaded.get_mut(db));
        let keyspace = keyspace.ok_or_else(|| format!("a key came back in database {db}"))?;
        let hash = hasher.hash(key);
        match value {
            LoadedValue::Str(bytes) => keyspace.set_str(hash, key, bytes, expire_at),
            LoadedValue::Object(object) => keyspace.set_object(hash, key, object, expire_at),
        }
        Ok::<_, String>(())
    };
    let summary = snapshot::read(bytes, Checksum::Fits, put).map_err(|error| error.to_string())?;
    Ok((reloaded, summary.keys))
}

/// A file that is nowhere but in memory.
#[derive(Default)]
struct Memory(Vec<u8>);

impl DiskFile for Memory {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if end > self.0.len() {
            self.0.resize(end, 0);
        }
        self.0[start..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.resize(usize::try_from(bytes).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn allocate(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::ShardId;

    #[test]
    fn keys_come_back_with_their_expiry_in_their_database() {
        let mut engine = Engine::new(ShardId(0), 3, KeyHasher::new(5), 5);
        let hash = |key: &[u8]| KeyHasher::new(5).hash(key);
        let large = vec![b'x'; 3 << 20];
        let keys: Vec<_> = (0..1000).map(|index| format!("key:{index}").into_bytes()).collect();
        for key in &keys {
            engine.dbs[0].set_str(hash(key), key, key, None);
        }
        engine.dbs[2].set_str(hash(b"large"), b"large", &large, Some(1 << 40));
        for compress in [true, false] {
            assert_eq!(reload(&mut engine, compress), Ok(1001));
            assert_eq!(engine.dbs.iter().map(Keyspace::len).collect::<Vec<_>>(), [1000, 0, 1]);
            for key in &keys {
                let entry = engine.dbs[0].get(hash(key), key).unwrap();
                assert_eq!((entry.value.as_str(), entry.expire_at), (Some(&key[..]), None));
            }
            let entry = engine.dbs[2].get(hash(b"large"), b"large").unwrap();
            assert!(entry.value.as_str() == Some(&large[..]) && entry.expire_at == Some(1 << 40));
        }
        assert_eq!(engine.changes, 0);
    }

    #[test]
    fn a_key_of_a_database_that_is_not_there_is_an_error() {
        let mut keyspace = Keyspace::new(KeyHasher::new(5));
        keyspace.set_str(KeyHasher::new(5).hash(b"k"), b"k", b"v", None);
        let mut file = Memory::default();
        let databases = vec![(4, keyspace.freeze())];
        snapshot::write(databases, &Aux::default(), &mut file, &Options::default(), &Progress::default())
            .unwrap();
        assert_eq!(read(&file.0, 5, KeyHasher::new(5)).unwrap().1, 1);
        assert!(read(&file.0, 4, KeyHasher::new(5)).is_err_and(|error| error.contains("database 4")));
    }
}
