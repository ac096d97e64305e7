//! CLIENT LIST and CLIENT KILL: about the connections of all shards.

use std::collections::BTreeMap;
use std::rc::Rc;

use formats::resp::{Request, parse_i64};

use super::client::describe;
use crate::clock;
use crate::command::args::{SYNTAX, integer, is, quoted};
use crate::command::{Invocation, TaskFuture};
use crate::shard::Shard;
use crate::shard::client::Client;
use crate::shard::context::CommandError;

type Result<T> = std::result::Result<T, CommandError>;

/// Which clients are meant: all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    ids: Option<Vec<u64>>,
    address: Option<String>,
    local_address: Option<String>,
    /// Clients of other kinds than normal ones do not exist yet.
    normal: Option<bool>,
    min_age_seconds: Option<u64>,
    but: Option<u64>,
}

impl Filter {
    fn matches(&self, client: &Client, now_ms: u64) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&client.id))
            && self.address.as_ref().is_none_or(|address| client.address.to_string() == *address)
            && self.local_address.as_ref().is_none_or(|address| client.local_address.to_string() == *address)
            && self.normal != Some(false)
            && self
                .min_age_seconds
                .is_none_or(|age| now_ms.saturating_sub(client.created_unix_ms) / 1000 >= age)
            && self.but != Some(client.id)
    }

    fn clients(&self, shard: &Shard) -> Vec<Rc<Client>> {
        let now_ms = clock::unix_ms();
        let clients = shard.clients.borrow();
        clients
            .iter()
            .map(|(_, client)| client)
            .filter(|client| self.matches(client, now_ms))
            .cloned()
            .collect()
    }
}

/// Whether TYPE names the normal clients.
fn is_normal(word: &[u8]) -> Result<bool> {
    match word {
        _ if is(word, "normal") => Ok(true),
        _ if ["master", "replica", "slave", "pubsub"].iter().any(|kind| is(word, kind)) => Ok(false),
        _ => Err(format!("ERR Unknown client type '{}'", quoted(word, usize::MAX)).into()),
    }
}

/// CLIENT LIST [TYPE type] [ID id [id ...]]
pub fn list(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let filter = match list_filter(invocation.request().skip(2)) {
            Ok(filter) => filter,
            Err(error) => return invocation.error(&error.0),
        };
        let ids = filter.ids.clone();
        let lines_of = move |shard: &Shard| {
            let now_ms = clock::unix_ms();
            let clients = filter.clients(shard);
            clients.iter().map(|client| (client.id, describe(client, now_ms))).collect::<Vec<_>>()
        };
        let lines: BTreeMap<u64, String> =
            invocation.shard.shared.call_all(lines_of).await.into_iter().flatten().collect();
        let text: String = match ids {
            Some(ids) => ids.iter().filter_map(|id| lines.get(id)).map(String::as_str).collect(),
            None => lines.into_values().collect(),
        };
        invocation.reply(|reply| reply.verbatim("txt", text.as_bytes()))
    })
}

fn list_filter(args: Request<'_>) -> Result<Filter> {
    let mut filter = Filter::default();
    match (args.get(0), args.len()) {
        (None, _) => {}
        (Some(word), 2) if is(word, "TYPE") => filter.normal = Some(is_normal(args.arg(1))?),
        (Some(word), 2..) if is(word, "ID") => {
            // No client has the number 0, or one below.
            let ids = args.skip(1).iter().map(|id| parse_i64(id).map(|id| u64::try_from(id).unwrap_or(0)));
            filter.ids = Some(ids.collect::<Option<_>>().ok_or("ERR Invalid client ID")?);
        }
        _ => return Err(SYNTAX.into()),
    }
    Ok(filter)
}

/// CLIENT KILL ip:port, or CLIENT KILL option value [option value ...]
pub fn kill(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let args = invocation.request().skip(2);
        let by_address = args.len() == 1;
        let filter = match kill_filter(args, invocation.client.id) {
            Ok(filter) => filter,
            Err(error) => return invocation.error(&error.0),
        };
        let own = invocation.client.id;
        let kill_here = move |shard: &Shard| {
            let clients = filter.clients(shard);
            for client in &clients {
                // Who kills itself gets its answer first.
                if client.id == own { client.closing.set(true) } else { client.kill() }
            }
            clients.len()
        };
        let killed: usize = invocation.shard.shared.call_all(kill_here).await.into_iter().sum();
        invocation.reply(|reply| match killed {
            0 if by_address => reply.error("ERR No such client"),
            _ if by_address => reply.ok(),
            killed => reply.integer(killed as i64),
        })
    })
}

fn kill_filter(args: Request<'_>, own: u64) -> Result<Filter> {
    if args.len() == 1 {
        return Ok(Filter { address: Some(quoted(args.arg(0), 128).into_owned()), ..Filter::default() });
    }
    let mut filter = Filter { but: Some(own), ..Filter::default() };
    let mut index = 0;
    while let Some(option) = args.get(index) {
        let value = args.get(index + 1).ok_or(SYNTAX)?;
        filter.restrict(option, value, own)?;
        index += 2;
    }
    Ok(filter)
}

impl Filter {
    fn restrict(&mut self, option: &[u8], value: &[u8], own: u64) -> Result<()> {
        match option {
            _ if is(option, "ID") => match parse_i64(value) {
                Some(id @ 1..) => self.ids = Some(vec![id.unsigned_abs()]),
                _ => return Err("ERR client-id should be greater than 0".into()),
            },
            _ if is(option, "ADDR") => self.address = Some(quoted(value, 128).into_owned()),
            _ if is(option, "LADDR") => self.local_address = Some(quoted(value, 128).into_owned()),
            _ if is(option, "TYPE") => self.normal = Some(is_normal(value)?),
            _ if is(option, "MAXAGE") => match integer(value)? {
                age @ 1.. => self.min_age_seconds = Some(age.unsigned_abs()),
                _ => return Err("ERR maxage should be greater than 0".into()),
            },
            _ if is(option, "USER") && value != b"default" => {
                return Err(format!("ERR No such user '{}'", quoted(value, usize::MAX)).into());
            }
            _ if is(option, "USER") => {}
            _ if is(option, "SKIPME") && is(value, "yes") => self.but = Some(own),
            _ if is(option, "SKIPME") && is(value, "no") => self.but = None,
            _ => return Err(SYNTAX.into()),
        }
        Ok(())
    }
}
