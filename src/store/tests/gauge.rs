//! What views cost is counted, and comes back to nothing while the views are still there to be asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Random;
use crate::store::{Frozen, KeyHasher, Keyspace};

const KEYS: u64 = 20_000;

fn key(number: u64) -> Vec<u8> {
    format!("key:{number}{}", if number.is_multiple_of(100) { "k".repeat(300) } else { String::new() })
        .into_bytes()
}

/// One value in ten stands outside its page.
fn value_bytes(number: u64) -> usize {
    if number.is_multiple_of(10) { 5000 } else { 60 }
}

fn set(keyspace: &mut Keyspace, hasher: KeyHasher, number: u64, byte: u8) {
    let key = key(number);
    keyspace.set_str(hasher.hash(&key), &key, &vec![byte; value_bytes(number)], None);
}

fn loaded(hasher: KeyHasher) -> Keyspace {
    let mut keyspace = Keyspace::new(hasher);
    (0..KEYS).for_each(|number| set(&mut keyspace, hasher, number, 1));
    keyspace
}

/// Takes all pages; the view stays.
fn drain(view: &mut Frozen) {
    assert!(view.by_ref().count() > 0);
}

fn about(found: u64, expected: usize) -> bool {
    found.abs_diff(expected as u64) * 20 < expected as u64
}

#[test]
fn what_is_overwritten_is_held_until_it_is_read() {
    let hasher = KeyHasher::new(1);
    let mut keyspace = loaded(hasher);
    let before = keyspace.memory_bytes();
    let mut view = keyspace.freeze();
    let gauge = view.gauge();
    assert_eq!((gauge.held_bytes(), gauge.copied_pages()), (0, 0));
    (0..KEYS).for_each(|number| set(&mut keyspace, hasher, number, 2));
    let held = gauge.held_bytes();
    assert!(about(held, before), "{held} of {before}");
    assert_eq!((gauge.peak_bytes(), gauge.copied_pages()), (held, keyspace.page_count() as u64));
    let page = view.next().unwrap();
    assert_eq!(gauge.held_bytes(), held, "it is not given back yet");
    drop(page);
    assert!(gauge.held_bytes() < held);
    drain(&mut view);
    assert_eq!((gauge.held_bytes(), gauge.peak_bytes()), (0, held));
    drop(view);
    let next = keyspace.freeze().gauge();
    assert_eq!(next.peak_bytes(), 0, "the next view has a gauge of its own");
}

#[test]
fn what_is_only_read_costs_nothing() {
    let mut keyspace = loaded(KeyHasher::new(2));
    let mut view = keyspace.freeze();
    drain(&mut view);
    assert_eq!((view.gauge().peak_bytes(), view.gauge().copied_pages()), (0, 0));
}

#[test]
fn one_small_write_costs_a_page_and_not_the_values_beside_it() {
    let hasher = KeyHasher::new(3);
    let mut keyspace = loaded(hasher);
    let view = keyspace.freeze();
    set(&mut keyspace, hasher, 1, 2);
    let held = view.gauge().held_bytes();
    assert!((256..10_000).contains(&held), "{held}");
    let outside = key(10);
    keyspace.update_str(hasher.hash(&outside), &outside, |value| value.push(3));
    let more = view.gauge().held_bytes() - held;
    assert!((5000..20_000).contains(&more), "{more}");
}

#[test]
fn removed_and_cleared_keys_are_held_too() {
    let hasher = KeyHasher::new(4);
    for clear in [false, true] {
        let mut keyspace = loaded(hasher);
        let before = keyspace.memory_bytes();
        let mut view = keyspace.freeze();
        match clear {
            true => drop(keyspace.clear()),
            false => {
                (0..KEYS).for_each(|number| assert!(keyspace.remove(hasher.hash(&key(number)), &key(number))))
            }
        }
        let held = view.gauge().held_bytes();
        assert!(about(held, before), "{held} of {before}");
        drain(&mut view);
        assert_eq!((view.gauge().held_bytes(), view.gauge().peak_bytes()), (0, held));
    }
}

#[test]
fn a_view_that_is_dropped_half_read_gives_all_back() {
    let hasher = KeyHasher::new(5);
    let mut keyspace = loaded(hasher);
    let (mut first, mut second) = (keyspace.freeze(), keyspace.freeze());
    let gauge = second.gauge();
    (0..KEYS / 2).for_each(|number| set(&mut keyspace, hasher, number, 2));
    let held = gauge.held_bytes();
    assert_eq!(first.by_ref().take(50).count(), 50);
    drop(first);
    assert_eq!(gauge.held_bytes(), held, "the other view holds it all");
    drop(keyspace.clear());
    let page = second.next();
    drop(second);
    let left = gauge.held_bytes();
    assert!(page.is_some() && (256..500_000).contains(&left), "a page is out: {left}");
    drop(page);
    assert_eq!(gauge.held_bytes(), 0);
}

#[test]
fn nothing_is_left_when_reader_and_owner_meet_on_every_page() {
    let mut copied = 0;
    for seed in 0..6 {
        println!("seed {seed}");
        let (hasher, mut random) = (KeyHasher::new(seed), Random(seed));
        let mut keyspace = loaded(hasher);
        for round in 0..3 {
            let mut view = keyspace.freeze();
            let gauge = view.gauge();
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let pages = view.by_ref().inspect(|_| thread::yield_now()).count();
                    stop.store(true, Ordering::Relaxed);
                    pages
                });
                random_write(&mut keyspace, hasher, &mut random);
                while !stop.load(Ordering::Relaxed) {
                    random_write(&mut keyspace, hasher, &mut random);
                }
                assert!(reader.join().unwrap() > 0);
            });
            copied += gauge.copied_pages();
            assert_eq!(gauge.held_bytes(), 0, "round {round}");
        }
    }
    assert!(copied > 100, "they hardly ever met: {copied}");
}

fn random_write(keyspace: &mut Keyspace, hasher: KeyHasher, random: &mut Random) {
    let number = random.below(KEYS);
    let key = key(number);
    let hash = hasher.hash(&key);
    match random.below(8) {
        0..3 => set(keyspace, hasher, number, 2),
        3..5 => drop(keyspace.remove(hash, &key)),
        5 => drop(keyspace.set_expire(hash, &key, Some(random.below(1000)))),
        _ => drop(keyspace.update_str(hash, &key, |value| value.resize(random.below(6000) as usize, 3))),
    }
}
