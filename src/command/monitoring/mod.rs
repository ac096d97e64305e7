//! What the server tells of its own work: [`slow_log`] (SLOWLOG), [`latency`] (LATENCY), [`monitor`] (MONITOR).

pub mod latency;
pub mod monitor;
pub mod slow_log;
