//! Sums by prefix in a tree of limited size; by the first prefix alone: [`prefix_table`](crate::prefix_table).
//!
//! ```text
//! root ─┬─ "user:" ─┬─ "*:" ──── "profile:"        a node covers all keys that begin with the path to it
//!       │           └─ (other)                     what merged nodes covered
//!       └─ "cache:"
//! ```
//!
//! When the tree is full the lighter half of its nodes is merged: each into what its parent has beside its children.
//! A node that was merged may come again with later keys, and then has only those.
//!
//! Invariants:
//! 1. Never more nodes than the limit, and no name longer than [`MAX_NAME`].
//! 2. A node's sums cover those of its children and of what was merged into it.
//! 3. A node's sums are never too high. They are too low by no more than what was merged into the nodes above it; as long as
//!    nothing was merged they are exact.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use formats::rdb::ValueType;

const TYPES: usize = ValueType::ALL.len();
/// Longest name of a node in bytes, its path left out.
const MAX_NAME: usize = 256;
/// Deepest node; a radix tree has as many levels as bytes at most.
pub const MAX_DEPTH: usize = 64;
/// Fewest nodes that make sense.
const MIN_NODES: usize = 4 * MAX_DEPTH;
const ROOT: u32 = 0;

/// How keys are parted.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Behind each of these bytes, to a depth.
    Separators {
        separators: Vec<u8>,
        depth: usize,
        /// Whether parts that are numbers, or hexadecimal and long, are taken together as `*`.
        joins_numbers: bool,
    },
    /// Where keys differ.
    Radix,
}

/// Keys and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub keys: u64,
    /// By [`ValueType`].
    pub type_bytes: [u64; TYPES],
}

impl Sum {
    pub fn bytes(&self) -> u64 {
        self.type_bytes.iter().fold(0, |sum, &bytes| sum.saturating_add(bytes))
    }

    pub fn add(&mut self, other: &Sum) {
        self.keys += other.keys;
        for (sum, bytes) in self.type_bytes.iter_mut().zip(other.type_bytes) {
            *sum = sum.saturating_add(bytes);
        }
    }

    #[inline]
    fn add_key(&mut self, value_type: ValueType, bytes: u64) {
        self.keys += 1;
        let sum = &mut self.type_bytes[value_type as usize];
        *sum = sum.saturating_add(bytes);
    }
}

struct Node {
    parent: u32,
    name: Box<[u8]>,
    sum: Sum,
    /// Of nodes that were merged into this one.
    merged: Sum,
}

/// A hash that is one already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A tree that is being filled.
pub struct PrefixTree {
    rule: Rule,
    is_separator: [bool; 256],
    limit: usize,
    nodes: Vec<Node>,
    /// Children by the hash of parent and name, or of parent and the name's first byte in a radix tree.
    children: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    merges: u64,
}

/// A part of the tree as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// What the prefix has beyond its parent's.
    pub name: Vec<u8>,
    pub sum: Sum,
    /// Whether this stands for several that were merged or left out.
    pub is_other: bool,
    /// The heaviest first, and then what stands for the others.
    pub children: Vec<Branch>,
}

/// What of the tree is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Most children of a node.
    pub top: usize,
    /// Fewest bytes of a node.
    pub least_bytes: u64,
    pub depth: usize,
}

impl PrefixTree {
    /// A tree of at most `limit` nodes; [`MIN_NODES`] if that is less.
    pub fn new(rule: Rule, limit: usize) -> PrefixTree {
        let mut is_separator = [false; 256];
        if let Rule::Separators { separators, .. } = &rule {
            separators.iter().for_each(|&byte| is_separator[usize::from(byte)] = true);
        }
        let root = Node { parent: ROOT, name: Box::default(), sum: Sum::default(), merged: Sum::default() };
        PrefixTree {
            rule,
            is_separator,
            limit: limit.max(MIN_NODES),
            nodes: vec![root],
            children: HashMap::default(),
            merges: 0,
        }
    }

    /// Adds a key.
    pub fn add(&mut self, key: &[u8], value_type: ValueType, bytes: u64) {
        if self.nodes.len() + MAX_DEPTH > self.limit {
            self.keep(self.limit / 2);
        }
        self.nodes[0].sum.add_key(value_type, bytes);
        match self.rule {
            Rule::Separators { depth, joins_numbers, .. } => {
                self.add_parts(key, depth.min(MAX_DEPTH), joins_numbers, value_type, bytes);
            }
            Rule::Radix => self.add_path(key, value_type, bytes),
        }
    }

    /// How often nodes were merged: 0 if all sums are exact.
    pub fn merges(&self) -> u64 {
        self.merges
    }

    pub fn total(&self) -> &Sum {
        &self.nodes[0].sum
    }

    fn add_parts(&mut self, key: &[u8], depth: usize, joins: bool, value_type: ValueType, bytes: u64) {
        let (mut rest, mut at) = (key, ROOT);
        for _ in 0..depth {
            let within = &rest[..rest.len().min(MAX_NAME)];
            let Some(end) = within.iter().position(|&byte| self.is_separator[usize::from(byte)]) else {
                return;
            };
            let (part, behind) = rest.split_at(end + 1);
            let joined = [b'*', part[end]];
            let part = if joins && varies(&part[..end]) { &joined[..] } else { part };
            let Some(child) = self.part(at, part) else { return };
            self.nodes[child as usize].sum.add_key(value_type, bytes);
            (rest, at) = (behind, child);
        }
    }

    /// The child of that name, which is made if need be; `None` in the case of two names with the same hash.
    fn part(&mut self, parent: u32, name: &[u8]) -> Option<u32> {
        let hash = xxh3_64_with_seed(name, u64::from(parent));
        match self.children.get(&hash) {
            Some(&child) => {
                let node = &self.nodes[child as usize];
                (node.parent == parent && *node.name == *name).then_some(child)
            }
            None => Some(self.push(hash, parent, name)),
        }
    }

    fn push(&mut self, hash: u64, parent: u32, name: &[u8]) -> u32 {
        let child = self.nodes.len() as u32;
        self.nodes.push(Node { parent, name: name.into(), sum: Sum::default(), merged: Sum::default() });
        self.children.insert(hash, child);
        child
    }

    fn add_path(&mut self, key: &[u8], value_type: ValueType, bytes: u64) {
        let (mut rest, mut at) = (&key[..key.len().min(MAX_NAME)], ROOT);
        for _ in 0..MAX_DEPTH {
            let Some(&first) = rest.first() else { return };
            let hash = radix_hash(at, first);
            let Some(&child) = self.children.get(&hash) else {
                let leaf = self.push(hash, at, rest);
                self.nodes[leaf as usize].sum.add_key(value_type, bytes);
                return;
            };
            let node = &self.nodes[child as usize];
            if node.parent != at || node.name.first() != Some(&first) {
                return;
            }
            let shared = node.name.iter().zip(rest).take_while(|(a, b)| a == b).count();
            let above = if shared < node.name.len() { self.split(hash, child, shared) } else { child };
            self.nodes[above as usize].sum.add_key(value_type, bytes);
            (rest, at) = (&rest[shared..], above);
        }
    }

    /// Puts a node above `child` that has the first `shared` bytes of its name.
    fn split(&mut self, hash: u64, child: u32, shared: usize) -> u32 {
        let node = &self.nodes[child as usize];
        let (parent, sum) = (node.parent, node.sum);
        let (name, below) = node.name.split_at(shared);
        let (name, below): (Box<[u8]>, Box<[u8]>) = (name.into(), below.into());
        let above = self.push(hash, parent, &name);
        self.nodes[above as usize].sum = sum;
        self.children.insert(radix_hash(above, below[0]), child);
        let node = &mut self.nodes[child as usize];
        (node.parent, node.name) = (above, below);
        above
    }

    /// Merges all but about the `count` heaviest nodes.
    pub fn keep(&mut self, count: usize) {
        if self.nodes.len() <= count.max(1) {
            return;
        }
        self.merges += 1;
        let mut weights: Vec<(u64, u32)> =
            self.nodes.iter().zip(0..).skip(1).map(|(node, number)| (node.sum.bytes(), number)).collect();
        let light = self.nodes.len() - count.max(1);
        let mut is_light = vec![false; self.nodes.len()];
        if light < weights.len() {
            weights.select_nth_unstable(light);
        }
        weights.iter().take(light).for_each(|&(_, number)| is_light[number as usize] = true);
        self.merge(&is_light);
    }

    /// Merges the nodes that are light, and with each of them those below it.
    fn merge(&mut self, is_light: &[bool]) {
        // Where the path to a node is cut: at the light node that is next to the root.
        let cut_at = |nodes: &[Node], mut at: u32| {
            let mut cut = None;
            while at != ROOT {
                if is_light[at as usize] {
                    cut = Some(at);
                }
                at = nodes[at as usize].parent;
            }
            cut
        };
        let mut numbers = vec![None; self.nodes.len()];
        let mut count = 0;
        for at in 0..self.nodes.len() as u32 {
            match cut_at(&self.nodes, at) {
                None => {
                    numbers[at as usize] = Some(count);
                    count += 1;
                }
                Some(cut) if cut == at => {
                    let Node { parent, sum, .. } = self.nodes[at as usize];
                    self.nodes[parent as usize].merged.add(&sum);
                }
                Some(_) => {}
            }
        }
        let nodes = std::mem::take(&mut self.nodes);
        self.nodes =
            nodes.into_iter().zip(&numbers).filter_map(|(node, number)| number.map(|_| node)).collect();
        self.children.clear();
        for (node, at) in self.nodes.iter_mut().zip(0..).skip(1) {
            node.parent = numbers[node.parent as usize].unwrap_or(ROOT);
            let hash = match self.rule {
                Rule::Separators { .. } => xxh3_64_with_seed(&node.name, u64::from(node.parent)),
                Rule::Radix => radix_hash(node.parent, node.name[0]),
            };
            self.children.insert(hash, at);
        }
    }

    /// The tree as `view` shows it.
    pub fn branch(&self, view: &View) -> Branch {
        let mut children = vec![Vec::new(); self.nodes.len()];
        for (node, at) in self.nodes.iter().zip(0..).skip(1) {
            children[node.parent as usize].push(at);
        }
        self.branch_at(ROOT, &children, view, view.depth)
    }

    fn branch_at(&self, at: u32, all: &[Vec<u32>], view: &View, depth: usize) -> Branch {
        let node = &self.nodes[at as usize];
        let mut branch =
            Branch { name: node.name.to_vec(), sum: node.sum, is_other: false, children: Vec::new() };
        if depth == 0 {
            return branch;
        }
        let mut numbers = all[at as usize].clone();
        numbers.sort_by_key(|&child| std::cmp::Reverse(self.nodes[child as usize].sum.bytes()));
        let mut other = node.merged;
        for (rank, &child) in numbers.iter().enumerate() {
            let sum = &self.nodes[child as usize].sum;
            if rank < view.top && sum.bytes() >= view.least_bytes {
                branch.children.push(self.branch_at(child, all, view, depth - 1));
            } else {
                other.add(sum);
            }
        }
        // Alone it would say what the node itself says.
        if other.keys > 0 && !branch.children.is_empty() {
            branch.children.push(Branch { sum: other, is_other: true, ..Branch::default() });
        }
        branch
    }
}

fn radix_hash(parent: u32, first: u8) -> u64 {
    xxh3_64_with_seed(&[first], u64::from(parent))
}

/// Whether a part of a key looks like an id: digits, or at least eight hexadecimal digits and dashes with a digit.
fn varies(part: &[u8]) -> bool {
    let has_digit = part.iter().any(u8::is_ascii_digit);
    has_digit
        && (part.iter().all(u8::is_ascii_digit)
            || part.len() >= 8 && part.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: View = View { top: usize::MAX, least_bytes: 0, depth: MAX_DEPTH };

    fn separators(depth: usize, joins_numbers: bool) -> Rule {
        Rule::Separators { separators: b":/".to_vec(), depth, joins_numbers }
    }

    fn add(tree: &mut PrefixTree, key: &str, bytes: u64) {
        tree.add(key.as_bytes(), ValueType::String, bytes);
    }

    /// `name=keys/bytes[children]`
    fn text(branch: &Branch) -> String {
        let children: Vec<String> = branch.children.iter().map(text).collect();
        let name = if branch.is_other { "(other)".into() } else { branch.name.escape_ascii().to_string() };
        let below = if children.is_empty() { String::new() } else { format!("[{}]", children.join(" ")) };
        format!("{name}={}/{}{below}", branch.sum.keys, branch.sum.bytes())
    }

    #[test]
    fn keys_are_parted_behind_separators() {
        let mut tree = PrefixTree::new(separators(2, true), 1000);
        for (key, bytes) in
            [("user:1:name", 10), ("user:22:name", 20), ("user:all", 5), ("a/b:c/d", 7), ("x", 1)]
        {
            add(&mut tree, key, bytes);
        }
        assert_eq!(text(&tree.branch(&ALL)), "=5/43[user:=3/35[*:=2/30] a/=1/7[b:=1/7]]");
        let view = View { top: 1, ..ALL };
        assert_eq!(text(&tree.branch(&view)), "=5/43[user:=3/35[*:=2/30] (other)=1/7]");
    }

    #[test]
    fn numbers_come_together_only_where_that_is_wanted() {
        let mut tree = PrefixTree::new(separators(1, false), 1000);
        add(&mut tree, "1:a", 2);
        add(&mut tree, "22:b", 1);
        assert_eq!(text(&tree.branch(&ALL)), "=2/3[1:=1/2 22:=1/1]");
    }

    #[test]
    fn a_radix_tree_parts_keys_where_they_differ() {
        let mut tree = PrefixTree::new(Rule::Radix, 1000);
        for (key, bytes) in [("order-1", 1), ("order-2", 2), ("ordinal", 4), ("order", 8), ("x", 16)] {
            add(&mut tree, key, bytes);
        }
        assert_eq!(text(&tree.branch(&ALL)), "=5/31[x=1/16 ord=4/15[er=3/11[-=2/3[2=1/2 1=1/1]] inal=1/4]]");
    }

    #[test]
    fn a_full_tree_keeps_what_is_heavy_and_loses_nothing() {
        for rule in [separators(8, false), Rule::Radix] {
            let mut tree = PrefixTree::new(rule, MIN_NODES);
            for i in 0..20_000u64 {
                // One in ten belongs to a prefix of its own.
                add(&mut tree, &format!("heavy:{}:x", i % 3), 100);
                add(&mut tree, &format!("light:{}:{i}:x", i * 7919 % 5000), 10);
            }
            assert!(tree.nodes.len() <= MIN_NODES, "{}", tree.nodes.len());
            assert!(tree.merges() > 0);
            let branch = tree.branch(&ALL);
            assert_eq!((branch.sum.keys, branch.sum.bytes()), (40_000, 2_200_000));
            assert_covers(&branch);
            let heavy = branch.children.iter().find(|child| child.name.starts_with(b"h")).unwrap();
            assert_eq!((heavy.sum.keys, heavy.sum.bytes()), (20_000, 2_000_000));
            assert_eq!(heavy.children.iter().filter(|child| child.sum.keys > 6000).count(), 3);
        }
    }

    fn assert_covers(branch: &Branch) {
        let mut sum = Sum::default();
        branch.children.iter().for_each(|child| sum.add(&child.sum));
        assert!(sum.keys <= branch.sum.keys && sum.bytes() <= branch.sum.bytes());
        branch.children.iter().for_each(assert_covers);
    }

    #[test]
    fn hostile_names_do_no_harm() {
        for rule in [separators(MAX_DEPTH, true), Rule::Radix] {
            let mut tree = PrefixTree::new(rule, 0);
            tree.add(&[b':'; 100_000], ValueType::Hash, u64::MAX);
            tree.add(&[b'x'; 100_000], ValueType::Hash, u64::MAX);
            tree.add(&[&[b'y'; 100_000][..], b":"].concat(), ValueType::Hash, u64::MAX);
            tree.add(b"", ValueType::Hash, 1);
            (0..=255u8).for_each(|byte| tree.add(&[byte, byte, b':'], ValueType::Set, 1));
            assert_eq!(tree.branch(&ALL).sum.keys, 260);
            assert!(tree.nodes.iter().all(|node| node.name.len() <= MAX_NAME));
        }
    }

    #[test]
    fn ids_vary_and_words_do_not() {
        for id in ["7", "0042", "deadbeef01", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"] {
            assert!(varies(id.as_bytes()), "{id}");
        }
        for word in ["", "v2", "deadbeef", "feedback", "a1b2", "-"] {
            assert!(!varies(word.as_bytes()), "{word}");
        }
    }
}
