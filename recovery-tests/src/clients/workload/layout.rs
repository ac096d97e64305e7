//! Which keys a client writes, and which of them belong together.
//!
//! ```text
//! kind       items   keys of one   on one shard (hash tag)   database
//! plain         24   1             the first half            0
//! counter        8   1             the first half            0
//! group          6   5             no                        0
//! pair           6   2             no                        0
//! flushed        4   1             no                        of its own
//! ```

use crate::clients::model::{Item, State};

/// Clients with a database of their own, and another one that it changes places with: databases are 16, and 0 is for all.
pub const OWN_DATABASES: usize = 7;
pub const GROUP_KEYS: usize = 5;

/// What is done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Counter,
    Group,
    Pair,
    /// In a database that is flushed from time to time.
    Flushed,
}

pub const KINDS: [(Kind, usize); 5] =
    [(Kind::Plain, 24), (Kind::Counter, 8), (Kind::Group, 6), (Kind::Pair, 6), (Kind::Flushed, 4)];

/// An item, and where it is.
pub struct Slot {
    pub kind: Kind,
    pub keys: Vec<String>,
    pub database: usize,
    /// Its key is on the same shard as those of the client's other tagged items.
    pub is_tagged: bool,
    pub item: Item,
}

/// The keys of the item of a kind and number, of a client.
pub fn keys(client: usize, kind: Kind, number: usize) -> Vec<String> {
    let tagged = is_tagged(kind, number);
    match kind {
        Kind::Plain | Kind::Counter if tagged => vec![format!("{{c{client}}}:{}{number}", letter(kind))],
        Kind::Plain | Kind::Counter | Kind::Flushed => vec![format!("c{client}:{}{number}", letter(kind))],
        Kind::Group => (0..GROUP_KEYS).map(|member| format!("c{client}:g{number}:{member}")).collect(),
        Kind::Pair => ["left", "right"].iter().map(|side| format!("c{client}:{side}{number}")).collect(),
    }
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::Plain => 'k',
        Kind::Counter => 'n',
        Kind::Flushed => 'd',
        Kind::Group => 'g',
        Kind::Pair => 'p',
    }
}

fn is_tagged(kind: Kind, number: usize) -> bool {
    match kind {
        Kind::Plain => number < 12,
        Kind::Counter => number < 4,
        _ => false,
    }
}

/// All items of a client, in the order of [`KINDS`].
pub fn slots(client: usize) -> Vec<Slot> {
    let has_database = client < OWN_DATABASES;
    let kinds = KINDS.into_iter().filter(|(kind, _)| *kind != Kind::Flushed || has_database);
    let numbered = kinds.flat_map(|(kind, count)| (0..count).map(move |number| (kind, number)));
    numbered
        .map(|(kind, number)| {
            let keys = keys(client, kind, number);
            let nothing: State = vec![None; keys.len()];
            Slot {
                kind,
                keys,
                database: if kind == Kind::Flushed { client + 1 } else { 0 },
                is_tagged: is_tagged(kind, number),
                item: Item::new(nothing),
            }
        })
        .collect()
}

/// What is in it is of no account.
pub fn spare_database(client: usize) -> usize {
    client + 1 + OWN_DATABASES
}

/// The place in [`slots`] of the first item of a kind.
pub fn first(kind: Kind) -> usize {
    KINDS.iter().take_while(|(other, _)| *other != kind).map(|(_, count)| count).sum()
}

pub fn count(kind: Kind) -> usize {
    KINDS.iter().find(|(other, _)| *other == kind).map_or(0, |(_, count)| *count)
}
