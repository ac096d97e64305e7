//! Streams in Redis 7.0: a radix tree of listpacks, and a tree for each group, its consumers, and what is pending.
//!
//! Source: Redis' `stream.h`.

use formats::rdb::{Element, Node, RdbError, StreamId, Value};

use super::Measure;
use super::rax::Rax;
use super::redis::{OBJECT, Redis};

const STREAM: u64 = 80;
/// What a radix tree takes beside its nodes.
const RAX: u64 = 24;
const GROUP: u64 = 40;
const CONSUMER: u64 = 24;
/// An entry that is delivered and not acknowledged.
const PENDING: u64 = 24;
/// A leaf of the tree of groups or consumers, without its name: the name's path is about as long as the name.
const NAMED_LEAF: u64 = 32;

impl Redis {
    pub(super) fn stream(&self, value: &Value<'_>) -> Result<Measure, RdbError> {
        let class = |bytes| self.class(bytes);
        let (mut nodes, mut blocks, mut packed_bytes) = (Rax::default(), 0, 0);
        value.for_each_node(|node| {
            if let Node::Stream { master_id, listpack } = node {
                nodes.add(&key_of(master_id), class);
                blocks += class(listpack.len() as u64);
                packed_bytes += 16 + listpack.len() as u64;
            }
        })?;
        blocks += class(OBJECT) + class(STREAM) + class(RAX) + nodes.finish(class);
        let mut groups = Groups { redis: self, pending: Rax::default(), consumers: false, blocks: 0 };
        let mut elements = 0;
        value.for_each_stream_part(|part| {
            match part {
                Element::StreamInfo(info) => elements = info.length,
                part => groups.add(&part),
            }
            Ok::<_, RdbError>(())
        })?;
        blocks += groups.finish();
        Ok(Measure { encoding: "stream", elements, redis_bytes: blocks, packed_bytes })
    }
}

/// Adds up groups as their parts come.
struct Groups<'r> {
    redis: &'r Redis,
    /// The tree of what is pending for the last group or consumer.
    pending: Rax,
    consumers: bool,
    blocks: u64,
}

impl Groups<'_> {
    fn add(&mut self, part: &Element<'_>) {
        let class = |bytes| self.redis.class(bytes);
        match part {
            Element::StreamGroup(group) => {
                self.close();
                if !self.consumers {
                    self.blocks += class(RAX); // the tree of all groups
                }
                // Its trees are those of its consumers and of what is pending.
                self.blocks += class(GROUP) + 2 * class(RAX) + NAMED_LEAF + group.name.len() as u64;
                self.consumers = true;
            }
            Element::StreamPending(pending) => {
                self.blocks += class(PENDING);
                self.pending.add(&key_of(pending.id), class);
            }
            Element::StreamConsumer(consumer) => {
                self.close();
                let name = consumer.name.len();
                self.blocks += class(CONSUMER) + class(RAX) + self.redis.sds(name) + NAMED_LEAF + name as u64;
            }
            Element::StreamConsumerPending(id) => self.pending.add(&key_of(*id), class),
            _ => {}
        }
    }

    /// Ends the tree of what is pending.
    fn close(&mut self) {
        if self.consumers {
            let redis = self.redis;
            self.blocks += self.pending.finish(|bytes| redis.class(bytes));
        }
    }

    fn finish(mut self) -> u64 {
        self.close();
        self.blocks
    }
}

fn key_of(id: StreamId) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&id.ms.to_be_bytes());
    key[8..].copy_from_slice(&id.seq.to_be_bytes());
    key
}
