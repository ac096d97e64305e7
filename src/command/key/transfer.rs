//! RENAME and RENAMENX where both keys are on this shard, and the arguments of COPY and MOVE.

use formats::resp::Request;

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
    /// From the whole request; `db` is the selected database.
    pub fn parse(request: Request<'_>, db: u16, databases: u16) -> Result<CopyOptions> {
        let mut options = CopyOptions { db, replace: false };
        let mut index = 3;
        while let Some(word) = request.get(index) {
            match request.get(index + 1) {
                _ if is(word, "REPLACE") => options.replace = true,
                Some(number) if is(word, "DB") => {
                    options.db = database(number, databases)?;
                    index += 1;
                }
                _ => return Err(SYNTAX.into()),
            }
            index += 1;
        }
        if options.db == db && request.arg(1) == request.arg(2) {
            return Err(SAME_OBJECT.into());
        }
        Ok(options)
    }
}

const SAME_OBJECT: &str = "ERR source and destination objects are the same";

/// The database that MOVE moves to, from the whole request; `db` is the selected database.
pub fn move_target(request: Request<'_>, db: u16, databases: u16) -> Result<u16> {
    match database(request.arg(2), databases)? {
        target if target == db => Err(SAME_OBJECT.into()),
        target => Ok(target),
    }
}
