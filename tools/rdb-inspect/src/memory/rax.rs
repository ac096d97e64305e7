//! The radix tree that streams are made of: how many nodes it has, and how large they are.
//!
//! A key's bytes lie along the path to it. A path without forks is one node; a fork is one node with a pointer for each
//! branch; a key ends in a leaf. Keys come in ascending order, so only the forks on the path to the last one are open.
//! Source: Redis' `rax.h` and `rax.c`.

/// A radix tree that is given its keys in ascending order.
#[derive(Default)]
pub struct Rax {
    forks: Vec<Fork>,
    last: Vec<u8>,
    shared_with_previous: usize,
    keys: u64,
    blocks: u64,
}

struct Fork {
    depth: usize,
    branches: u64,
}

/// Head of a node.
const HEAD: u64 = 4;
const POINTER: u64 = 8;

impl Rax {
    /// Adds a key, which must be larger than those before it.
    pub fn add(&mut self, key: &[u8], class: impl Fn(u64) -> u64) {
        if self.keys > 0 {
            let shared = key.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
            self.leaf(self.shared_with_previous.max(shared), &class);
            self.close_forks(shared, &class);
            match self.forks.last_mut() {
                Some(fork) if fork.depth == shared => fork.branches += 1,
                _ => self.forks.push(Fork { depth: shared, branches: 2 }),
            }
            self.shared_with_previous = shared;
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.keys += 1;
    }

    /// Bytes of the tree's nodes. It can be used for another tree afterwards.
    pub fn finish(&mut self, class: impl Fn(u64) -> u64) -> u64 {
        if self.keys == 0 {
            return class(HEAD + padding(0));
        }
        let shared = self.shared_with_previous;
        if self.keys == 1 {
            self.path(0, self.last.len(), &class);
            self.blocks += class(HEAD + padding(0) + POINTER);
        } else {
            self.leaf(shared, &class);
            while let Some(fork) = self.forks.pop() {
                self.fork(&fork, &class);
            }
        }
        let blocks = self.blocks;
        *self = Rax { last: std::mem::take(&mut self.last), ..Rax::default() };
        self.last.clear();
        blocks
    }

    /// The leaf of the last key, and the path to it from the fork where it parts from its neighbours.
    fn leaf(&mut self, fork_depth: usize, class: &impl Fn(u64) -> u64) {
        self.path(fork_depth + 1, self.last.len(), class);
        self.blocks += class(HEAD + padding(0) + POINTER);
    }

    /// Closes forks that no later key can pass.
    fn close_forks(&mut self, shared: usize, class: &impl Fn(u64) -> u64) {
        while let Some(fork) = self.forks.pop_if(|fork| fork.depth > shared) {
            // Where the next key forks off above, that place is this fork's parent.
            let above = self.forks.last().map(|above| above.depth);
            let parent = above.map_or(shared, |above| above.max(shared));
            self.path(parent + 1, fork.depth, class);
            self.blocks += fork_block(fork.branches, class);
        }
    }

    /// A fork at the end of all keys.
    fn fork(&mut self, fork: &Fork, class: &impl Fn(u64) -> u64) {
        let start = self.forks.last().map_or(0, |above| above.depth + 1);
        self.path(start, fork.depth, class);
        self.blocks += fork_block(fork.branches, class);
    }

    /// The node of a path without forks, if it has any bytes.
    fn path(&mut self, start: usize, end: usize, class: &impl Fn(u64) -> u64) {
        if end > start {
            let bytes = (end - start) as u64;
            self.blocks += class(HEAD + bytes + padding(bytes) + POINTER);
        }
    }
}

fn fork_block(branches: u64, class: &impl Fn(u64) -> u64) -> u64 {
    class(HEAD + branches + padding(branches) + branches * POINTER)
}

/// What aligns the pointers behind head and bytes.
fn padding(bytes: u64) -> u64 {
    (HEAD + bytes).next_multiple_of(POINTER) - HEAD - bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(keys: &[&[u8]]) -> u64 {
        let mut rax = Rax::default();
        keys.iter().for_each(|key| rax.add(key, |bytes| bytes));
        rax.finish(|bytes| bytes)
    }

    const LEAF: u64 = 16;

    fn path(bytes: u64) -> u64 {
        (4 + bytes).next_multiple_of(8) + 8
    }

    #[test]
    fn nodes_are_paths_forks_and_leaves() {
        assert_eq!(bytes_of(&[]), 8);
        assert_eq!(bytes_of(&[b"foobar"]), path(6) + LEAF);
        // "foo", then a fork of b and f, then "ar" and "oo".
        assert_eq!(bytes_of(&[b"foobar", b"foofoo"]), path(3) + (8 + 16) + 2 * path(2) + 2 * LEAF);
        // A fork directly below a fork, and no path at the root.
        assert_eq!(bytes_of(&[b"aa", b"ab", b"b_"]), 2 * (8 + 16) + path(1) + 3 * LEAF);
        // A fork that was closed by a later key above it.
        assert_eq!(
            bytes_of(&[b"xaa1", b"xaa2", b"xbb1"]),
            path(1) + (8 + 16) + path(1) + (8 + 16) + path(2) + 3 * LEAF
        );
    }

    #[test]
    fn a_tree_can_be_used_again() {
        let mut rax = Rax::default();
        rax.add(b"abc", |bytes| bytes);
        rax.add(b"abd", |bytes| bytes);
        let first = rax.finish(|bytes| bytes);
        rax.add(b"abc", |bytes| bytes);
        rax.add(b"abd", |bytes| bytes);
        assert_eq!(rax.finish(|bytes| bytes), first);
    }
}
