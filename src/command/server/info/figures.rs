//! What INFO tells, collected from all shards.

use std::sync::Arc;

use crate::clock;
use crate::command::monitoring::latency;
use crate::command::{Invocation, table};
use crate::config::Config;
use crate::shard::Shard;
use crate::shard::latencies::Latencies;
use crate::shard::shared::Shared;
use crate::shard::stats::EngineStats;

/// One database, on one shard or on all.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseFigures {
    pub keys: usize,
    pub keys_with_expiry: usize,
    /// What those have to live on average, in ms; an estimate.
    pub mean_ttl_ms: u64,
}

/// What one shard tells.
#[derive(Clone)]
pub struct ShardFigures {
    pub stats: EngineStats,
    /// Keys changed since the start, each time counted.
    pub changes: u64,
    pub databases: Vec<DatabaseFigures>,
    pub keyspace_bytes: usize,
    pub clients: usize,
    /// Bytes that clients take with their buffers.
    pub client_bytes: usize,
    pub commands_per_second: u64,
    pub blocked_clients: usize,
    /// The longest buffers of a client, in bytes.
    pub max_input_bytes: usize,
    pub max_output_bytes: usize,
    /// Effects in the log, whether handed to the writer or not.
    pub appended: u64,
    pub queue_bytes: usize,
    pub held_replies: usize,
}

impl ShardFigures {
    fn of(shard: &Shard) -> ShardFigures {
        let engine = shard.engine.borrow();
        let clients = shard.clients.borrow();
        let longest = |bytes: fn(&crate::shard::client::Client) -> usize| {
            clients.iter().map(|(_, client)| bytes(client)).max().unwrap_or(0)
        };
        ShardFigures {
            stats: engine.stats.figures(),
            changes: engine.changes,
            databases: engine
                .dbs
                .iter()
                .zip(engine.cycles())
                .map(|(db, cycle)| DatabaseFigures {
                    keys: db.len(),
                    keys_with_expiry: db.expires_len(),
                    mean_ttl_ms: cycle.mean_ttl_ms(),
                })
                .collect(),
            keyspace_bytes: engine.dbs.iter().filter(|db| !db.is_empty()).map(|db| db.memory_bytes()).sum(),
            clients: clients.len(),
            client_bytes: clients.iter().map(|(_, client)| client.memory_bytes()).sum(),
            commands_per_second: shard.commands_rate.borrow().mean(),
            blocked_clients: clients.iter().filter(|(_, client)| client.is_blocked()).count(),
            max_input_bytes: longest(|client| client.query_buffer_bytes.get()),
            max_output_bytes: longest(|client| client.output_bytes.get()),
            appended: engine.appended().0,
            queue_bytes: engine.log.as_ref().map_or(0, |log| log.queue_bytes()),
            held_replies: shard.held_replies(),
        }
    }
}

/// See the module.
pub struct Figures {
    pub shared: Arc<Shared>,
    pub config: Config,
    pub now_ms: u64,
    /// By command; only where they were asked for.
    pub latencies: Vec<(u16, Latencies)>,
    pub shards: Vec<ShardFigures>,
}

impl Figures {
    /// `with_latencies`: those of all commands too, which take time to collect.
    pub async fn collect(invocation: &Invocation, with_latencies: bool) -> Figures {
        let latencies = match with_latencies {
            true => latency::collect(invocation, (0..table().len() as u16).collect()).await,
            false => Vec::new(),
        };
        let shared = Arc::clone(&invocation.shard.shared);
        let shards = shared.call_all(ShardFigures::of).await;
        let config = shared.config().clone();
        Figures { shared, config, now_ms: clock::unix_ms(), latencies, shards }
    }

    /// A figure added up over all shards.
    pub fn sum(&self, figure: impl Fn(&ShardFigures) -> u64) -> u64 {
        self.shards.iter().map(figure).sum()
    }

    /// A figure of the shard where it is largest.
    pub fn max(&self, figure: impl Fn(&ShardFigures) -> usize) -> usize {
        self.shards.iter().map(figure).max().unwrap_or(0)
    }

    /// Database `index`, over all shards.
    pub fn database(&self, index: usize) -> DatabaseFigures {
        let mut total = DatabaseFigures::default();
        let mut ttl_sum = 0;
        for database in self.shards.iter().filter_map(|shard| shard.databases.get(index)) {
            total.keys += database.keys;
            total.keys_with_expiry += database.keys_with_expiry;
            ttl_sum += u128::from(database.mean_ttl_ms) * database.keys_with_expiry as u128;
        }
        total.mean_ttl_ms = ttl_sum.checked_div(total.keys_with_expiry as u128).map_or(0, |mean| mean as u64);
        total
    }
}
