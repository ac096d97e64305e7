//! Commands about the server: [`database`] (whole databases), [`introspection`] (COMMAND), [`config`], [`info`],
//! [`durability`] (WAITAOF), [`saving`] (SAVE, BGSAVE, BGREWRITEAOF), [`lifetime`] (SHUTDOWN, TIME), [`memory`], [`debug`]
//! (and `reload` for it), [`lolwut`].

pub mod config;
pub mod database;
pub mod debug;
pub mod durability;
pub mod info;
pub mod introspection;
pub mod lifetime;
pub mod lolwut;
pub mod memory;
mod reload;
pub mod saving;
