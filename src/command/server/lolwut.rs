//! LOLWUT: a picture for whoever looks, and the version.

use crate::command::Session;
use crate::command::args::{integer, is};
use crate::command::connection::REDIS_VERSION;
use crate::shard::context::CommandError;

const COLUMNS: i64 = 40;
const ROWS: i64 = 8;
const MAX_COLUMNS: i64 = 1000;
const MAX_ROWS: i64 = 256;

/// LOLWUT [VERSION number [columns] [rows]]: tiles with one diagonal each, by chance (after Sébastien Truchet, 1704).
pub fn lolwut(session: &mut Session<'_>) -> Result<(), CommandError> {
    let request = session.request;
    let has_version = request.len() >= 3 && is(request.arg(1), "VERSION");
    let number = |index: usize, default: i64| match request.get(index).filter(|_| has_version) {
        Some(text) => integer(text),
        None => Ok(default),
    };
    // There is one kind of picture; only these versions of Redis have one whose size can be told.
    let has_size = matches!(number(2, 0)?, 5 | 6);
    let size = |index: usize, default: i64| if has_size { number(index, default) } else { Ok(default) };
    let columns = size(3, COLUMNS)?.clamp(1, MAX_COLUMNS);
    let rows = size(4, ROWS)?.clamp(1, MAX_ROWS);
    let mut text = String::new();
    let mut engine = session.shard.engine.borrow_mut();
    for _ in 0..rows {
        text.extend((0..columns).map(|_| if engine.random() >> 63 == 0 { '╱' } else { '╲' }));
        text.push('\n');
    }
    drop(engine);
    text += &format!("Redis ver. {REDIS_VERSION}\n");
    session.reply.verbatim("txt", text.as_bytes());
    Ok(())
}
