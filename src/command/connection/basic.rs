//! PING, ECHO, SELECT, QUIT, RESET.

use formats::resp::Protocol;

use crate::command::Session;
use crate::command::args::{database, wrong_arity};
use crate::shard::client::ReplyMode;
use crate::shard::context::CommandError;

type Result = std::result::Result<(), CommandError>;

/// PING [message]
pub fn ping(session: &mut Session<'_>) -> Result {
    match (session.request.get(1), session.request.len()) {
        (None, _) => session.reply.simple("PONG"),
        (Some(message), 2) => session.reply.bulk(message),
        _ => return Err(wrong_arity("ping")),
    }
    Ok(())
}

/// ECHO message
pub fn echo(session: &mut Session<'_>) -> Result {
    session.reply.bulk(session.request.arg(1));
    Ok(())
}

/// SELECT index
pub fn select(session: &mut Session<'_>) -> Result {
    let databases = session.shard.engine.borrow().dbs.len() as u16;
    session.client.db.set(database(session.request.arg(1), databases)?);
    session.reply.ok();
    Ok(())
}

/// QUIT
pub fn quit(session: &mut Session<'_>) -> Result {
    *session.close = true;
    session.reply.ok();
    Ok(())
}

/// RESET: the connection is as one that was just accepted.
pub fn reset(session: &mut Session<'_>) -> Result {
    let client = session.client;
    client.db.set(0);
    client.protocol.set(Protocol::Resp2);
    client.name.borrow_mut().clear();
    client.no_evict.set(false);
    client.no_touch.set(false);
    if client.reply_mode.get() != ReplyMode::Skipping {
        client.reply_mode.set(ReplyMode::On); // what CLIENT REPLY SKIP asked for is done behind this command
    }
    session.shard.stop_monitoring(client);
    client.authenticated.set(session.shard.config.borrow().requirepass.is_empty());
    session.reply.simple("RESET");
    Ok(())
}
