//! What this server does otherwise than Redis 7.0, and why; `docs/compatibility.md` shows it.
//!
//! Invariants:
//! 1. What is not written here is meant to be the same, byte by byte.
//! 2. Each entry names a row of the table, or none: a test checks it.

/// One difference.
pub struct Deviation {
    /// The row that it is about; empty: it is about more than one command.
    pub command: &'static str,
    pub here: &'static str,
    /// What Redis 7.0 does.
    pub redis: &'static str,
    pub reason: &'static str,
}

const fn of(
    command: &'static str,
    here: &'static str,
    redis: &'static str,
    reason: &'static str,
) -> Deviation {
    Deviation { command, here, redis, reason }
}

/// By command, those about the whole server last.
pub static DEVIATIONS: &[Deviation] = &[
    of(
        "bgrewriteaof",
        "is a checkpoint; with `appendonly no` an error: there is no log to rewrite",
        "writes a log even then",
        "a checkpoint is how this log gets shorter",
    ),
    of(
        "client|pause",
        "a time that ends beyond 64 bits lasts for ever",
        "it overflows, and nothing waits",
        "it is what was asked for",
    ),
    of(
        "client|kill",
        "all clients are `normal`",
        "TYPE knows replicas and subscribers",
        "there are no others yet",
    ),
    of(
        "client|list",
        "all clients are `normal`",
        "TYPE knows replicas and subscribers",
        "there are no others yet",
    ),
    of(
        "client|list",
        "buffers that do not exist here are 0: an idle connection has none",
        "tells the sizes of its buffers",
        "connections are tasks, which share their shard's buffers",
    ),
    of(
        "latency|doctor",
        "tells the same figures in our own words, and other advice",
        "has its own words",
        "its texts are not ours to copy, and other things take long here",
    ),
    of(
        "latency|graph",
        "draws a column of `#` for each sample",
        "draws with several characters",
        "the shape is our own",
    ),
    of(
        "latency|latest",
        "events are command, fast-command, expire-cycle, aof-write, aof-fsync-always, and our own log-sync and \
         checkpoint-cut",
        "has events of what does not happen here, such as fork",
        "a log and checkpoints work otherwise",
    ),
    of(
        "monitor",
        "tells a command when it is sent on its way; commands that run at the same time on several shards may be told in \
         either order",
        "tells it when it has run",
        "there is no one moment for all shards",
    ),
    of(
        "slowlog|get",
        "a command over several shards counts the time of the shard that took longest in each of its steps; what ran on \
         another shard is logged when its reply comes home",
        "there is one thread",
        "its time is how long it kept others waiting",
    ),
    of(
        "command|docs",
        "summary, complexity and `replaced_by` are our own words, and there is no `history`",
        "has its own",
        "its texts are not ours to copy",
    ),
    of("command|info", "no `notes` on keys", "has some", "its texts are not ours to copy"),
    of(
        "debug",
        "knows DIGEST, DIGEST-VALUE, ERROR, HELP, LOADAOF, LOG, OBJECT, POPULATE, PROTOCOL, RELOAD, SET-ACTIVE-EXPIRE, \
         SLEEP",
        "has many more, STRINGMATCH-TEST among them (and no STRINGMATCH-LEN)",
        "the others are about its own insides, or end the server",
    ),
    of(
        "debug",
        "LOADAOF with `appendonly no` is an error",
        "loads what an older log holds, or ends",
        "there is no log",
    ),
    of(
        "debug",
        "OBJECT tells no address and no time of last use",
        "tells them",
        "values move within their pages, and uses are not noted",
    ),
    of("debug", "POPULATE is logged", "is not", "what is in memory and what the log says are the same"),
    of(
        "debug",
        "RELOAD keeps the keys of now, without NOSAVE and NOFLUSH",
        "loads the file as it is",
        "what a client wrote meanwhile is not given up",
    ),
    of(
        "flushall",
        "ASYNC and SYNC mean the same",
        "SYNC frees the memory before it answers",
        "memory is freed between other work: no client has to wait for it",
    ),
    of(
        "flushall",
        "with save points: does not save, and leaves a running save alone",
        "saves, and ends a running save",
        "the log has the FLUSHALL; a save under way is of the moment when it began",
    ),
    of(
        "flushdb",
        "ASYNC and SYNC mean the same",
        "SYNC frees the memory before it answers",
        "memory is freed between other work: no client has to wait for it",
    ),
    of(
        "info",
        "`rdb_` tells of saves by a save point, BGSAVE, SAVE, SHUTDOWN; `aof_` of checkpoints by BGREWRITEAOF, by growth of \
         the log or to heal it; `cow` is memory that was held because keys changed meanwhile. Own fields: \
         `checkpoint_last_id`, `_time`, `_cut_max_usec` and, if the last save failed, `_error`",
        "a child process saves, and its figures are told",
        "a save is made without a child process",
    ),
    of(
        "info",
        "without what is not measured or means nothing here: `redis_git_`, `redis_build_id`, `gcc_version`, `lru_clock`, \
         `used_memory_lua` and the like, `lazyfree_`, `expired_stale_perc`, `total_reads_processed`, \
         `total_writes_processed`, `io_threaded_`, `active_defrag_` but its state; the section `log` is new",
        "has them",
        "a figure that says nothing misleads",
    ),
    of(
        "lolwut",
        "draws whatever version is asked for",
        "7.0 draws for the versions 5 and 6 alone",
        "its pictures are not ours to copy",
    ),
    of(
        "config",
        "SET refuses what is chosen at the start (such as `appendonly`, `port`, `dir`, `dbfilename`) and other values than the one \
         that holds here: see [configuration.md](configuration.md); what is out of range is an error",
        "SET takes them; `hz` is cut to its range",
        "a setting that is accepted has its effect",
    ),
    of(
        "monitor",
        "a client that leaves with RESET or QUIT is not told the commands that it sent in the same packet",
        "tells them",
        "lines are told when a round of commands ends",
    ),
    of(
        "keys",
        "a pattern may have any number of stars",
        "matches nothing with more than 1000 of them in a row to try",
        "matching takes no deeper stack here",
    ),
    of(
        "memory|doctor",
        "says what the figures show, in words of its own",
        "has its own",
        "its texts are not ours to copy",
    ),
    of(
        "memory|stats",
        "leaves out what has no meaning here; a database has `dataset.bytes`",
        "tells of replicas, clusters, scripts and hash tables",
        "there are none",
    ),
    of(
        "memory|usage",
        "a record, its share of its page, and what stands outside",
        "what its allocator gave for each part",
        "keys are kept in pages",
    ),
    of(
        "object|encoding",
        "of a string: what follows from its bytes",
        "`raw` after APPEND, SETRANGE or SETBIT, `embstr` after INCRBYFLOAT, until the key is loaded from a file",
        "a value does not remember how it was made",
    ),
    of(
        "object|idletime",
        "an error",
        "tells, unless an LFU policy is selected",
        "no time of last use is noted where nothing is evicted",
    ),
    of(
        "restore",
        "only strings; another type is an error that names it",
        "any type",
        "the other types are not there yet",
    ),
    of(
        "restore",
        "a compressed string that would be longer than `proto-max-bulk-len` is refused",
        "is restored",
        "a few bytes may stand for very many",
    ),
    of("restore", "IDLETIME and FREQ are checked and forgotten", "are kept", "nothing is evicted"),
    of(
        "save",
        "its caller waits, all other clients are served; if it fails, the error says why; if a rewrite runs, it waits for \
         that first",
        "all clients wait; `ERR` alone",
        "nobody else asked to wait",
    ),
    of(
        "scan",
        "walks over the shards one after the other: an empty reply with a cursor other than 0 is more common",
        "the same can happen",
        "each shard has its own keys",
    ),
    of(
        "scan",
        "COUNT is about so many keys, in whole pages of up to 64",
        "about so many buckets",
        "keys are kept in pages",
    ),
    of(
        "set",
        "with a time in the past: the key is gone at once",
        "it is counted by DBSIZE until it is noticed",
        "a key that has ended is not kept",
    ),
    of(
        "shutdown",
        "ABORT: there is never anything left to abort",
        "ends a SHUTDOWN that waits for replicas",
        "there are no replicas to wait for",
    ),
    of(
        "shutdown",
        "with save points saves only with `appendonly no`, or while a log is poisoned; so does SIGTERM",
        "always saves",
        "else the log has everything",
    ),
    of(
        "",
        "a pipeline: its commands run in their order on each key, and a command whose keys lie on several shards after all \
         before it; to *other* clients, commands of one pipeline on keys of different shards may show in either order, as \
         they are under way at the same time (a command of several keys as well, if its keys lie on one shard)",
        "all commands run one after the other",
        "shards work at the same time",
    ),
    of(
        "",
        "a command of several keys under `appendfsync no` or `everysec`: whole after a crash, or not at all",
        "MSET is one line of the log as well; EXEC may be cut",
        "half a transaction helps nobody",
    ),
    of(
        "",
        "bytes of a client that are no UTF-8 are replaced by U+FFFD where an error text repeats them",
        "repeats them as they are",
        "error texts are text",
    ),
    of(
        "",
        "`maxmemory` refuses what needs more memory, `noeviction` alone",
        "evicts by policy",
        "no other policy exists yet",
    ),
    of(
        "",
        "`client-output-buffer-limit`: `normal` has a limit of 1 GB by default",
        "none",
        "one client that does not read should not end the server",
    ),
    of(
        "",
        "a save, with `appendonly yes`, is a checkpoint: one snapshot per shard and a log that begins behind them. Only \
         SAVE, BGSAVE and SHUTDOWN SAVE write `dbfilename` as well, from the same moment; save points and the growth of \
         the log do not. Each resets `rdb_changes_since_last_save`",
        "each writes `dbfilename`; the log goes on beside it",
        "one mechanism saves and shortens the log",
    ),
    of(
        "wait",
        "waits for as many replicas as it is told, up to its timeout",
        "takes the number modulo 2^32, so that some beyond do not wait at all",
        "it is what was asked for",
    ),
    of(
        "",
        "HELP of a container has lines of our own, in the same form",
        "has its own",
        "its texts are not ours to copy",
    ),
    of("", "`rdbcompression` is `no` unless set", "`yes`", "it costs more time than the bytes are worth"),
    of(
        "",
        "a file `dbfilename` that Everfast did not write is never overwritten: the save fails",
        "is overwritten",
        "it may be the only copy of another server's keys",
    ),
    of(
        "",
        "`stop-writes-on-bgsave-error`, with `appendonly yes`: a `dbfilename` that cannot be written does not stop writes \
         while the checkpoint beside it counts; a save that failed is tried again after 5 s if there are save points",
        "any failed BGSAVE stops writes until one succeeds",
        "the log and the checkpoint keep what is written",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::index_of;

    #[test]
    fn every_deviation_names_a_command_and_a_reason() {
        for deviation in DEVIATIONS {
            let name = deviation.command;
            assert!(name.is_empty() || index_of(name.as_bytes()).is_some(), "unknown command: {name}");
            for text in [deviation.here, deviation.redis, deviation.reason] {
                assert!(!text.is_empty() && !text.contains(['|', '\n']), "{name}: '{text}'");
            }
        }
    }
}
