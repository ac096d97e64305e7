//! RENAME, RENAMENX and COPY where all keys are on this shard.

use crate::command::args::{SYNTAX, database, is};
use crate::shard::context::{CommandError, Context};

type Result<T = ()> = std::result::Result<T, CommandError>;

pub const NO_SUCH_KEY: &str = "ERR no such key";

/// RENAME key newkey
pub fn rename(context: &mut Context<'_>) -> Result {
    let (from, to) = (context.key(0), context.key(1));
    let record = context.detach(context.db, from).ok_or(NO_SUCH_KEY)?;
    if from.bytes != to.bytes {
        context.delete(from);
        context.put_record(context.db, to, record);
    }
    context.reply.ok();
    Ok(())
}

/// RENAMENX key newkey
pub fn rename_nx(context: &mut Context<'_>) -> Result {
    let (from, to) = (context.key(0), context.key(1));
    let record = context.detach(context.db, from).ok_or(NO_SUCH_KEY)?;
    let missing = context.lookup(to).is_none();
    if missing {
        context.delete(from);
        context.put_record(context.db, to, record);
    }
    context.reply.integer(i64::from(missing));
    Ok(())
}

/// What stands behind the keys of COPY.
#[derive(Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The database that the copy goes to.
    pub db: u16,
    pub replace: bool,
}

impl CopyOptions {
    /// `db` is the selected database; `same_key`: both names are one.
    pub fn parse(
        args: formats::resp::Request<'_>,
        db: u16,
        databases: u16,
        same_key: bool,
    ) -> Result<CopyOptions> {
        let mut options = CopyOptions { db, replace: false };
        let mut index = 0;
        while let Some(word) = args.get(index) {
            match args.get(index + 1) {
                _ if is(word, "REPLACE") => options.replace = true,
                Some(number) if is(word, "DB") => {
                    options.db = database(number, databases)?;
                    index += 1;
                }
                _ => return Err(SYNTAX.into()),
            }
            index += 1;
        }
        if same_key && options.db == db {
            return Err("ERR source and destination objects are the same".into());
        }
        Ok(options)
    }
}

/// COPY source destination [DB number] [REPLACE]
pub fn copy(context: &mut Context<'_>) -> Result {
    let (from, to) = (context.key(0), context.key(1));
    let same_key = from.bytes == to.bytes;
    let options = CopyOptions::parse(context.request.skip(3), context.db, context.databases(), same_key)?;
    let mut copied = false;
    if let Some(record) = context.detach(context.db, from)
        && (options.replace || context.lookup_in(options.db, to).is_none())
    {
        context.put_record(options.db, to, record);
        copied = true;
    }
    context.reply.integer(i64::from(copied));
    Ok(())
}
