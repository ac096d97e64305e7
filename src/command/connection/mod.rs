//! Commands about the connection itself: [`basic`], [`hello`] (and AUTH), and the CLIENT family: [`client`] (of the
//! connection that asks) and [`clients`] (of all), [`pause`] (of those that wait).

pub mod basic;
pub mod client;
pub mod clients;
pub mod hello;
pub mod pause;

/// The version of Redis whose commands these are: what clients look at to know what they may use.
pub const REDIS_VERSION: &str = "7.0.15";
