//! HELLO and AUTH.
//!
//! There is one user, `default`; its password is `requirepass`. Without one it may do everything, and any password is
//! right for it, as in Redis.

use formats::resp::{Protocol, parse_i64};

use super::REDIS_VERSION;
use super::client::{checked_name, set_name};
use crate::command::Session;
use crate::command::args::{SYNTAX, is, quoted};
use crate::shard::context::CommandError;

type Result<T = ()> = std::result::Result<T, CommandError>;

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD_SET: &str = "ERR AUTH <password> called without any password configured for the default user. \
                               Are you sure your configuration is correct?";
const HELLO_UNAUTHENTICATED: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise \
                                     the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the \
                                     client and select the RESP protocol version at the same time";

/// AUTH [user] password
pub fn auth(session: &mut Session<'_>) -> Result {
    match session.request.len() {
        2 if session.shard.config.borrow().requirepass.is_empty() => return Err(NO_PASSWORD_SET.into()),
        2 => authenticate(session, b"default", session.request.arg(1))?,
        3 => authenticate(session, session.request.arg(1), session.request.arg(2))?,
        _ => return Err(SYNTAX.into()),
    }
    session.reply.ok();
    Ok(())
}

fn authenticate(session: &Session<'_>, user: &[u8], password: &[u8]) -> Result {
    let config = session.shard.config.borrow();
    if user != b"default" || !(config.requirepass.is_empty() || config.requirepass.matches(password)) {
        return Err(WRONG_PASSWORD.into());
    }
    session.client.authenticated.set(true);
    Ok(())
}

/// HELLO [version [AUTH user password] [SETNAME name]]
pub fn hello(session: &mut Session<'_>) -> Result {
    let protocol = session.request.get(1).map(parse_protocol).transpose()?;
    take_options(session)?;
    if !session.client.authenticated.get() {
        return Err(HELLO_UNAUTHENTICATED.into());
    }
    if let Some(protocol) = protocol {
        session.client.protocol.set(protocol);
        session.reply.set_protocol(protocol);
    }
    describe(session);
    Ok(())
}

fn parse_protocol(version: &[u8]) -> Result<Protocol> {
    match parse_i64(version) {
        None => Err("ERR Protocol version is not an integer or out of range".into()),
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err("NOPROTO unsupported protocol version".into()),
    }
}

fn take_options(session: &Session<'_>) -> Result {
    let request = session.request;
    let mut index = 2;
    while let Some(word) = request.get(index) {
        match (request.get(index + 1), request.get(index + 2)) {
            (Some(user), Some(password)) if is(word, "AUTH") => {
                authenticate(session, user, password)?;
                index += 3;
            }
            (Some(name), _) if is(word, "SETNAME") => {
                set_name(session.client, checked_name(name, "Client names")?);
                index += 2;
            }
            _ => {
                return Err(format!("ERR Syntax error in HELLO option '{}'", quoted(word, usize::MAX)).into());
            }
        }
    }
    Ok(())
}

fn describe(session: &mut Session<'_>) {
    let protocol = match session.client.protocol.get() {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    let id = session.client.id as i64;
    let reply = &mut session.reply;
    reply.map(7);
    reply.bulk_str("server");
    reply.bulk_str("redis"); // what clients know how to talk to
    reply.bulk_str("version");
    reply.bulk_str(REDIS_VERSION);
    reply.bulk_str("proto");
    reply.integer(protocol);
    reply.bulk_str("id");
    reply.integer(id);
    reply.bulk_str("mode");
    reply.bulk_str("standalone");
    reply.bulk_str("role");
    reply.bulk_str("master");
    reply.bulk_str("modules");
    reply.array(0);
}
