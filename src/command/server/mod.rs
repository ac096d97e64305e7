//! Commands about the server: [`database`] (whole databases), [`introspection`] (COMMAND), [`config`], [`info`],
//! [`durability`] (WAITAOF), [`saving`] (SAVE, BGSAVE, BGREWRITEAOF), [`lifetime`] (SHUTDOWN, TIME), [`debug`]
//! (and `reload` for it), [`lolwut`].

pub mod config;
pub mod database;
pub mod debug;
pub mod durability;
pub mod info;
pub mod introspection;
pub mod lifetime;
pub mod lolwut;
mod reload;
pub mod saving;
