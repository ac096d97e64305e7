//! Limits of the process that the configuration depends on.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Descriptors that are not clients: files, listeners, the runtime.
const RESERVED: u64 = 64;
const PER_SHARD: u64 = 16;

/// Allows `maxclients` connections; where the system does not, lowers `maxclients` and says so.
pub fn raise_open_files(config: &mut Config) {
    let shards = u64::from(config.shards.max(64));
    let reserved = RESERVED + shards * PER_SHARD;
    let wanted = u64::from(config.maxclients) + reserved;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return;
    }
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let set = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    let allowed = if set.is_ok() { raised } else { current };
    if allowed < wanted {
        let clients = allowed.saturating_sub(reserved).max(1) as u32;
        tracing::warn!(
            open_files = allowed,
            maxclients = clients,
            "the limit of open files does not allow maxclients: lowered"
        );
        config.maxclients = clients;
    }
}
