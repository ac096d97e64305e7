//! The keyspace against a plain map: random work from a printed seed, with views that other threads read meanwhile.

mod gauge;
mod walks;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::{Frozen, KeyHasher, Keyspace, Object};

/// Of the records alone and of all keys together: pages have room to spare, and directories of their own.
#[test]
fn what_keys_take_adds_up_to_what_the_keyspace_takes() {
    let hasher = KeyHasher::new(3);
    let mut keyspace = Keyspace::new(hasher);
    let name = |number: u64| format!("key:{number}{}", "k".repeat((number % 3 * 200) as usize)).into_bytes();
    for number in 0..3000u64 {
        let key = name(number);
        keyspace.set_str(hasher.hash(&key), &key, &vec![1; (number % 7 * 400) as usize], None);
    }
    let of = |number: u64| keyspace.memory_of(hasher.hash(&name(number)), &name(number)).unwrap();
    let sum: usize = (0..3000).map(of).sum();
    let all = keyspace.memory_bytes();
    assert!(sum <= all + 3000 && sum * 10 > all * 9, "{sum} of {all}");
    assert!(of(6) > 2400 + of(0) && of(6) < 2600 + of(0), "{} and {}", of(6), of(0));
    assert_eq!(keyspace.memory_of(hasher.hash(b"nothing"), b"nothing"), None);
}

type Model = HashMap<Arc<[u8]>, (Arc<Vec<u8>>, Option<u64>)>;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let first = self.next();
        (0..length as u64).map(|i| (first.wrapping_add(i) >> (i % 7)) as u8).collect()
    }
}

/// A keyspace and what it should hold.
pub(super) struct Pair {
    pub(super) hasher: KeyHasher,
    pub(super) keyspace: Keyspace,
    pub(super) model: Model,
}

impl Pair {
    pub(super) fn new(hasher: KeyHasher) -> Pair {
        Pair { hasher, keyspace: Keyspace::new(hasher), model: Model::new() }
    }

    pub(super) fn set(&mut self, key: &[u8], value: Vec<u8>, expire_at: Option<u64>) {
        self.keyspace.set_str(self.hasher.hash(key), key, &value, expire_at);
        self.model.insert(key.into(), (Arc::new(value), expire_at));
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let removed = self.keyspace.remove(self.hasher.hash(key), key);
        assert_eq!(removed, self.model.remove(key).is_some());
    }

    /// Compares one key by all ways to read it.
    fn check(&self, key: &[u8]) {
        let hash = self.hasher.hash(key);
        let entry = self.keyspace.get(hash, key);
        let found = entry.map(|entry| (entry.key, entry.value.as_str().unwrap(), entry.expire_at));
        let expected =
            self.model.get_key_value(key).map(|(key, (value, at))| (&**key, value.as_slice(), *at));
        assert_eq!(found, expected);
        let object = self.keyspace.get_object(hash, key);
        assert_eq!(object, expected.map(|(_, value, at)| (Object::string(value.to_vec()), at)));
    }

    pub(super) fn check_all(&self) {
        assert_eq!(self.keyspace.len(), self.model.len());
        assert_eq!(self.keyspace.expires_len(), self.model.values().filter(|(_, at)| at.is_some()).count());
        self.model.keys().for_each(|key| self.check(key));
        let mut seen = 0;
        self.keyspace.for_each(|entry| {
            assert!(self.model.contains_key(entry.key));
            seen += 1;
        });
        assert_eq!(seen, self.model.len());
        self.keyspace.assert_accounts();
    }

    fn random_step(&mut self, random: &mut Random, keys: u64) {
        let key = key(random.below(keys));
        let hash = self.hasher.hash(&key);
        match random.below(16) {
            0..5 => {
                let value = random_value(random);
                self.set(&key, value, random_expiry(random));
            }
            5..9 => self.remove(&key),
            9..11 => {
                let at = random_expiry(random);
                let found = self.keyspace.set_expire(hash, &key, at);
                assert_eq!(found, self.model.get_mut(&*key).map(|entry| entry.1 = at).is_some());
            }
            11..13 => {
                let keep = random.below(100) as usize;
                let more = random_value(random);
                let change = |bytes: &mut Vec<u8>| {
                    bytes.truncate(keep);
                    bytes.extend_from_slice(&more);
                    bytes.len()
                };
                let expected = self.model.get_mut(&*key).map(|entry| change(Arc::make_mut(&mut entry.0)));
                assert_eq!(self.keyspace.update_str(hash, &key, change), expected);
            }
            13 => {
                let Some((object, at)) = self.keyspace.get_object(hash, &key) else { return };
                let target = self::key(random.below(keys));
                self.keyspace.set_object(self.hasher.hash(&target), &target, object, at);
                let copy = self.model[&*key].clone();
                self.model.insert(target.into(), copy);
            }
            _ => self.check(&key),
        }
    }

    /// Freezes and lets another thread compare the view with the map as it is now.
    fn freeze(&mut self) -> JoinHandle<()> {
        let (frozen, model) = (self.keyspace.freeze(), self.model.clone());
        thread::spawn(move || assert_view(frozen, &model))
    }
}

fn assert_view(frozen: Frozen, model: &Model) {
    assert_eq!(frozen.len(), model.len());
    let mut seen = 0;
    for page in frozen {
        for entry in page.entries() {
            let (value, at) = model.get(entry.key).expect("a key that was there at the freeze");
            assert_eq!((entry.value.as_str(), entry.expire_at), (Some(value.as_slice()), *at));
            seen += 1;
        }
        thread::yield_now();
    }
    assert_eq!(seen, model.len());
}

/// Keys of all lengths that are treated differently.
fn key(number: u64) -> Vec<u8> {
    match number % 50 {
        0 => format!("{number}:{}", "k".repeat(300)).into_bytes(),
        1 => format!("{number}:{}", "k".repeat(200)).into_bytes(),
        2 => number.to_le_bytes()[..3].to_vec(),
        _ => format!("key:{number}").into_bytes(),
    }
}

fn random_value(random: &mut Random) -> Vec<u8> {
    let limit = match random.below(500) {
        0 => 200_000,
        1..50 => 2000,
        _ => 100,
    };
    let length = random.below(limit) as usize;
    random.bytes(length)
}

fn random_expiry(random: &mut Random) -> Option<u64> {
    (random.below(4) == 0).then(|| random.below(1000))
}

fn run_model(seed: u64, hasher: KeyHasher, keys: u64, steps: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut pair = Pair::new(hasher);
    let mut views: Vec<JoinHandle<()>> = Vec::new();
    for step in 0..steps {
        pair.random_step(&mut random, keys);
        if random.below(steps / 20) == 0 {
            views.push(pair.freeze());
        }
        if step % (steps / 5) == 0 {
            pair.check_all();
        }
    }
    pair.check_all();
    views.into_iter().for_each(|view| view.join().unwrap());
    let keys: Vec<_> = pair.model.keys().cloned().collect();
    keys.iter().for_each(|key| pair.remove(key));
    pair.check_all();
    assert_eq!(pair.keyspace.memory_bytes(), Keyspace::new(hasher).memory_bytes());
}

#[test]
fn random_work_agrees_with_a_map_and_views_stand_still() {
    for seed in 1..=3 {
        run_model(seed, KeyHasher::new(seed), 30_000, 300_000);
    }
}

#[test]
fn keys_that_collide_agree_with_a_map() {
    // No bits at all; a few tags; one bit of place; places that part only beyond what a directory would follow.
    for (seed, mask) in
        [(11, 0), (12, 7), (13, 1 << 63 | 0xFF), (14, 0xFFFF_FFFF), (15, 0xFF00_0000_0000_00FF)]
    {
        run_model(seed, KeyHasher::colliding(seed, mask), 1500, 40_000);
    }
}

#[test]
fn views_taken_between_writes_are_isolated_from_the_owner_and_from_each_other() {
    let mut random = Random(21);
    let mut pair = Pair::new(KeyHasher::new(21));
    let mut views = Vec::new();
    for _ in 0..8 {
        (0..20_000).for_each(|_| pair.random_step(&mut random, 5000));
        views.push((pair.keyspace.freeze(), pair.model.clone()));
    }
    drop(views.swap_remove(3));
    for (frozen, model) in views.into_iter().rev() {
        assert_view(frozen, &model);
    }
    pair.check_all();
}

#[test]
fn a_view_outlives_clear() {
    let mut pair = Pair::new(KeyHasher::new(31));
    (0..3000).for_each(|number| pair.set(&key(number), vec![1; 40], None));
    let frozen = pair.keyspace.freeze();
    let dropped = pair.keyspace.clear();
    thread::spawn(move || drop(dropped)).join().unwrap();
    assert_eq!((pair.keyspace.len(), pair.keyspace.scan(0, |_| panic!("it is empty"))), (0, 0));
    assert_view(frozen, &pair.model);
}
