//! Walks over a keyspace that grows and shrinks meanwhile: SCAN, RANDOMKEY, the search for expired keys; and what deletion
//! leaves behind.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{Pair, Random};
use crate::store::{ExpireCycle, ExpirePass, KeyHasher, Keyspace};

fn key(number: u64) -> Vec<u8> {
    format!("k{number}").into_bytes()
}

fn set(keyspace: &mut Keyspace, hasher: KeyHasher, number: u64, value: &[u8], at: Option<u64>) {
    let key = key(number);
    keyspace.set_str(hasher.hash(&key), &key, value, at);
}

fn remove(keyspace: &mut Keyspace, hasher: KeyHasher, number: u64) -> bool {
    let key = key(number);
    keyspace.remove(hasher.hash(&key), &key)
}

fn scan_all(keyspace: &Keyspace) -> Vec<Vec<u8>> {
    let (mut found, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = keyspace.scan(cursor, |entry| found.push(entry.key.to_vec()));
        assert!(cursor < 1 << 48);
        if cursor == 0 {
            return found;
        }
    }
}

#[test]
fn a_scan_of_a_quiet_keyspace_meets_each_key_once() {
    for keys in [0, 1, 64, 65, 1000, 60_000] {
        let (hasher, mut keyspace) = (KeyHasher::new(keys), Keyspace::new(KeyHasher::new(keys)));
        (0..keys).for_each(|number| set(&mut keyspace, hasher, number, b"v", None));
        let found = scan_all(&keyspace);
        assert_eq!(found.len(), keys as usize);
        assert_eq!(found.into_iter().collect::<HashSet<_>>().len(), keys as usize);
    }
}

/// What happens between two steps of a scan.
#[derive(Clone, Copy, Debug)]
enum Between {
    Grow(u64),
    Shrink(u64),
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![(0..3000u64).prop_map(Between::Grow), (0..3000u64).prop_map(Between::Shrink)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_scan_meets_every_key_that_stays(
        seed: u64,
        stay in 0..300u64,
        mut passing in 0..20_000u64,
        length in 1..200usize,
        between in prop::collection::vec(between(), 1..40),
        steps in 1..40usize,
    ) {
        let hasher = KeyHasher::new(seed);
        let mut keyspace = Keyspace::new(hasher);
        let value = vec![1; length];
        // Keys below 1,000,000 stay, the others come and go.
        const PASSING: u64 = 1_000_000;
        (0..stay).for_each(|number| set(&mut keyspace, hasher, number, &value, None));
        (0..passing).for_each(|number| set(&mut keyspace, hasher, PASSING + number, &value, None));
        let mut found = HashSet::new();
        let (mut cursor, mut changes) = (0, between.iter().cycle());
        'walk: loop {
            for _ in 0..steps {
                cursor = keyspace.scan(cursor, |entry| { found.insert(entry.key.to_vec()); });
                if cursor == 0 { break 'walk; }
            }
            match *changes.next().unwrap() {
                // A keyspace that grows faster than the scan walks would never let it end.
                Between::Grow(by) => {
                    let by = by.min(40_000 - passing);
                    (passing..passing + by).for_each(|number| set(&mut keyspace, hasher, PASSING + number, &value, None));
                    passing += by;
                }
                Between::Shrink(by) => {
                    let left = passing.saturating_sub(by);
                    (left..passing).for_each(|number| { remove(&mut keyspace, hasher, PASSING + number); });
                    passing = left;
                }
            }
        }
        keyspace.assert_accounts();
        for number in 0..stay {
            prop_assert!(found.contains(&key(number)), "key {} of {} was missed", number, stay);
        }
    }
}

#[test]
fn any_cursor_is_valid() {
    let (hasher, mut keyspace) = (KeyHasher::new(3), Keyspace::new(KeyHasher::new(3)));
    (0..5000).for_each(|number| set(&mut keyspace, hasher, number, b"v", None));
    for cursor in [1, 12_345, (1 << 48) - 1, 1 << 48, u64::MAX] {
        let next = keyspace.scan(cursor, |_| ());
        assert!(next == 0 || next > cursor & ((1 << 48) - 1), "{cursor} {next}");
    }
}

#[test]
fn deletion_joins_pages_and_gives_memory_back() {
    const KEYS: u64 = 100_000;
    let (hasher, mut keyspace) = (KeyHasher::new(5), Keyspace::new(KeyHasher::new(5)));
    (0..KEYS).for_each(|number| set(&mut keyspace, hasher, number, &[7; 64], None));
    let (full_pages, full_bytes) = (keyspace.page_count(), keyspace.memory_bytes());
    (0..KEYS)
        .filter(|number| number % 2 == 0)
        .for_each(|number| assert!(remove(&mut keyspace, hasher, number)));
    keyspace.assert_accounts();
    assert!(keyspace.memory_bytes() * 100 < full_bytes * 60, "{} of {full_bytes}", keyspace.memory_bytes());
    (0..KEYS - 1000).for_each(|number| assert_eq!(remove(&mut keyspace, hasher, number), number % 2 == 1));
    keyspace.assert_accounts();
    assert_eq!(keyspace.len(), 500);
    assert!(keyspace.page_count() * 40 < full_pages, "{} of {full_pages}", keyspace.page_count());
    (KEYS - 1000..KEYS).for_each(|number| assert_eq!(remove(&mut keyspace, hasher, number), number % 2 == 1));
    assert_eq!((keyspace.len(), keyspace.page_count()), (0, 0));
}

#[test]
fn retain_removes_what_is_not_wanted() {
    let mut pair = Pair::new(KeyHasher::new(6));
    (0..20_000).for_each(|number| pair.set(&key(number), vec![0; 30], (number % 3 == 0).then_some(5)));
    let keep = |key: &[u8]| key.ends_with(b"7");
    pair.keyspace.retain(keep);
    pair.model.retain(|key, _| keep(key));
    pair.check_all();
    assert_eq!(pair.keyspace.len(), 2000);
}

#[test]
fn passes_report_each_expired_key_once_and_nothing_else() {
    let (hasher, mut keyspace) = (KeyHasher::new(8), Keyspace::new(KeyHasher::new(8)));
    let mut cycle = ExpireCycle::default();
    let idle = ExpirePass { finished: true, ..ExpirePass::default() };
    assert_eq!(keyspace.expired(&mut cycle, 10, 5, |_, _| panic!("it is empty")), idle);
    let mut random = Random(8);
    let mut due = HashSet::new();
    for number in 0..30_000 {
        let at = (random.below(3) == 0).then(|| random.below(2000));
        set(&mut keyspace, hasher, number, b"v", at);
        if at.is_some_and(|at| at <= 1000) {
            due.insert(key(number));
        }
    }
    let mut passes = 0;
    loop {
        let mut found = Vec::new();
        let pass = keyspace.expired(&mut cycle, 1000, 7, |hash, key| found.push((hash, key.to_vec())));
        assert!(pass.pages <= 7 && pass.expired == found.len());
        for (hash, key) in found {
            assert!(due.remove(&key), "not due, or reported before");
            // The removal joins pages under the walk.
            assert!(keyspace.remove(hash, &key));
        }
        passes += 1;
        if pass.finished {
            break;
        }
    }
    assert!(due.is_empty() && passes > 10);
    let again = keyspace.expired(&mut cycle, 1000, usize::MAX, |_, _| panic!("all were removed"));
    assert!(again.finished && again.pages == keyspace.page_count());
    keyspace.assert_accounts();
}

#[test]
fn random_entries_come_evenly() {
    let (hasher, mut keyspace) = (KeyHasher::new(9), Keyspace::new(KeyHasher::new(9)));
    let mut random = Random(9);
    assert!(keyspace.random(|| random.next()).is_none());
    for keys in [1u64, 10, 3000] {
        (0..keys).for_each(|number| set(&mut keyspace, hasher, number, b"v", None));
        let mut drawn = HashMap::<Vec<u8>, u64>::new();
        for _ in 0..keys * 100 {
            *drawn.entry(keyspace.random(|| random.next()).unwrap().key.to_vec()).or_default() += 1;
        }
        assert_eq!(drawn.len() as u64, keys);
        // 100 expected, standard deviation 10.
        assert!(drawn.values().all(|times| (45..=155).contains(times)), "{drawn:?}");
    }
    // Nearly all removed: a choice must still be found.
    (1..3000).for_each(|number| assert!(remove(&mut keyspace, hasher, number)));
    assert_eq!(keyspace.random(|| random.next()).map(|entry| entry.key.to_vec()), Some(key(0)));
}

#[test]
fn a_change_that_changes_nothing_copies_nothing() {
    let (hasher, mut keyspace) = (KeyHasher::new(10), Keyspace::new(KeyHasher::new(10)));
    (0..50_000).for_each(|number| set(&mut keyspace, hasher, number, &[1; 50], Some(number)));
    let frozen = keyspace.freeze();
    for number in 0..50_000 {
        let (present, absent) = (key(number), key(number + 1_000_000));
        assert!(keyspace.set_expire(hasher.hash(&present), &present, Some(number)));
        assert!(!keyspace.set_expire(hasher.hash(&absent), &absent, None));
        assert!(!keyspace.remove(hasher.hash(&absent), &absent));
        assert!(keyspace.update_str(hasher.hash(&absent), &absent, |_| ()).is_none());
    }
    assert_eq!((frozen.hints_waiting(), keyspace.shared_pages()), (0, keyspace.page_count()));
    set(&mut keyspace, hasher, 1, &[2; 50], None);
    assert_eq!((frozen.hints_waiting(), keyspace.shared_pages()), (1, keyspace.page_count() - 1));
}

#[test]
fn copied_pages_come_first_and_dropped_ones_are_the_owners_again() {
    let (hasher, mut keyspace) = (KeyHasher::new(11), Keyspace::new(KeyHasher::new(11)));
    (0..50_000).for_each(|number| set(&mut keyspace, hasher, number, &[1; 50], None));
    let mut frozen = keyspace.freeze();
    let touched = [777, 31_111, 44_444];
    touched.iter().for_each(|&number| set(&mut keyspace, hasher, number, &[2; 50], None));
    for number in touched {
        let page = frozen.next().expect("a page that was copied");
        let value = page.entries().find(|entry| entry.key == key(number)).expect("the page of the key").value;
        assert_eq!(value.as_str(), Some([1; 50].as_slice()));
    }
    let read = frozen.by_ref().take(keyspace.page_count() / 2).count();
    assert!(keyspace.shared_pages() <= keyspace.page_count() - read - touched.len());
    drop(frozen);
    assert_eq!(keyspace.shared_pages(), 0);
}

#[test]
fn the_first_of_many_keys_in_order_of_their_hashes_have_pages_of_their_own() {
    // The first thousand of 32 million keys in the order of their hashes: 15 bits are all zero.
    let hasher = KeyHasher::colliding(12, u64::MAX >> 15);
    let chained_pages = |expected: usize| {
        let mut keyspace = Keyspace::new(hasher);
        keyspace.expect_more(expected);
        (0..1000).for_each(|number| set(&mut keyspace, hasher, number, &[1; 50], None));
        keyspace.assert_accounts();
        keyspace.chained_pages()
    };
    assert_eq!(chained_pages(1000 << 15), 0);
    assert!(chained_pages(0) > 0, "no hint would be needed");
}
