//! tmp
use super::*;
use crate::shard::context::Context;
fn get(cx: &mut Context<'_>) -> Result<(), CommandError> {
    let key = cx.key(0);
    match cx.read_string(key)?.map(<[u8]>::to_vec) { Some(v) => cx.reply.bulk(&v), None => cx.reply.null() }
    Ok(())
}
fn set(cx: &mut Context<'_>) -> Result<(), CommandError> {
    let key = cx.key(0);
    cx.put_string(key, cx.arg(2), None);
    cx.reply.ok();
    Ok(())
}
fn ping(s: &mut Session<'_>) -> Result<(), CommandError> { s.reply.simple("PONG"); Ok(()) }
const DOCS: Docs = Docs { summary: "", since: "", group: "", complexity: "", acl: &[], tips: &[] };
static TABLE: [Command; 4] = [
    Command { name: "get", arity: 2, flags: Flags::READONLY, keys: Keys { first: 1, last: 1, step: 1 }, run: Run::Keys(get, Across::Never), docs: DOCS, subcommands: &[] },
    Command { name: "set", arity: -3, flags: Flags::WRITE, keys: Keys { first: 1, last: 1, step: 1 }, run: Run::Keys(set, Across::Never), docs: DOCS, subcommands: &[] },
    Command { name: "ping", arity: -1, flags: Flags::NO_AUTH, keys: Keys { first: 0, last: 0, step: 0 }, run: Run::Session(ping), docs: DOCS, subcommands: &[] },
    Command { name: "mset", arity: -3, flags: Flags::WRITE, keys: Keys { first: 1, last: -1, step: 2 }, run: Run::Keys(set, Across::Split{group: 2, merge: Merge::Ok}), docs: DOCS, subcommands: &[] },
];
pub fn table() -> &'static [Command] { &TABLE }
pub fn index_of(name: &str) -> Option<u16> { TABLE.iter().position(|c| c.name == name).map(|i| i as u16) }
pub fn find(request: Request<'_>) -> Result<(u16, &'static Command), CommandError> {
    let name = request.arg(0);
    TABLE.iter().enumerate().find(|(_, c)| c.name.as_bytes().eq_ignore_ascii_case(name)).map(|(i, c)| (i as u16, c)).ok_or_else(|| "ERR unknown command".into())
}
