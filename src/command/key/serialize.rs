//! DUMP and RESTORE: a value as a payload that another server takes, Redis 7.0 among them.
//!
//! What RESTORE does is logged as what makes the value: a payload is never in the log.

use formats::rdb::dump::{self, PayloadError};
use formats::rdb::string::StringBuffer;
use formats::rdb::{RdbString, Value};
use formats::resp::Request;

use crate::command::args::{SYNTAX, integer, is};
use crate::shard::context::{CommandError, Context, Record};
use crate::snapshot::{self, LoadedValue, with_article};
use crate::store::ValueRef;

type Result<T = ()> = std::result::Result<T, CommandError>;

const BUSY_KEY: &str = "BUSYKEY Target key name already exists.";
const WRONG_FOOTER: &str = "ERR DUMP payload version or checksum are wrong";
const BAD_FORMAT: &str = "ERR Bad data format";
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// DUMP key
pub fn dump(context: &mut Context<'_>) -> Result {
    let compress = context.compresses_dumps();
    match context.read(context.key(0)).map(|entry| entry.value) {
        None => context.reply.null(),
        Some(ValueRef::Str(bytes)) => {
            let payload = dump::encode_string(bytes, compress);
            context.reply.bulk(&payload);
        }
    }
    Ok(())
}

/// What stands behind the payload of RESTORE.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    replace: bool,
    /// The time to live is a point in time.
    absolute: bool,
}

impl Options {
    /// Idle time and frequency are checked and forgotten: neither is kept here.
    fn parse(args: Request<'_>) -> Result<Options> {
        let (mut options, mut has_idle, mut has_frequency) = (Options::default(), false, false);
        let mut index = 0;
        while let Some(word) = args.get(index) {
            match args.get(index + 1) {
                _ if is(word, "REPLACE") => options.replace = true,
                _ if is(word, "ABSTTL") => options.absolute = true,
                Some(seconds) if is(word, "IDLETIME") && !has_frequency => {
                    if integer(seconds)? < 0 {
                        return Err("ERR Invalid IDLETIME value, must be >= 0".into());
                    }
                    has_idle = true;
                    index += 1;
                }
                Some(frequency) if is(word, "FREQ") && !has_idle => {
                    if !(0..=255).contains(&integer(frequency)?) {
                        return Err("ERR Invalid FREQ value, must be >= 0 and <= 255".into());
                    }
                    has_frequency = true;
                    index += 1;
                }
                _ => return Err(SYNTAX.into()),
            }
            index += 1;
        }
        Ok(options)
    }

    /// When the key ends, in Unix ms; may have passed.
    fn end(&self, ttl: i64, now_ms: u64) -> Option<i64> {
        match ttl {
            0 => None,
            at if self.absolute => Some(at),
            ttl => Some(ttl.wrapping_add_unsigned(now_ms)), // as Redis: too far ahead is long ago
        }
    }
}

/// RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]. Effects: `SET key value [PXAT ms]`, or
/// `DEL key` where the end has passed.
pub fn restore(context: &mut Context<'_>) -> Result {
    let (request, key) = (context.request, context.key(0));
    let options = Options::parse(request.skip(4))?;
    if !options.replace && context.lookup(key).is_some() {
        return Err(BUSY_KEY.into());
    }
    let ttl = integer(request.arg(2))?;
    if ttl < 0 {
        return Err("ERR Invalid TTL value, must be >= 0".into());
    }
    let value = dump::decode(request.arg(3)).map_err(refusal)?;
    check_length(&value, context.max_string_bytes())?;
    let mut buffer = StringBuffer::default();
    let loaded = snapshot::decode(&value, &mut buffer).map_err(|_| BAD_FORMAT)?;
    let loaded = loaded.ok_or_else(|| {
        let holds = with_article(value.value_type());
        CommandError::from(format!("ERR RESTORE of {holds} is not supported by this version"))
    })?;
    match options.end(ttl, context.now_ms).map(|at| u64::try_from(at).unwrap_or(0)) {
        Some(at) if at <= context.now_ms => drop(context.delete(key)),
        expire_at => match loaded {
            LoadedValue::Str(bytes) => context.put_string(key, bytes, expire_at),
            LoadedValue::Object(object) => {
                context.put_record(context.db, key, Record { object, expire_at });
            }
        },
    }
    context.reply.ok();
    Ok(())
}

fn refusal(error: PayloadError) -> CommandError {
    match error {
        PayloadError::Footer => WRONG_FOOTER.into(),
        PayloadError::Content(_) => BAD_FORMAT.into(),
    }
}

/// A few compressed bytes may stand for very many.
fn check_length(value: &Value<'_>, limit: u64) -> Result {
    match value.string() {
        Some(RdbString::Lzf { length, .. }) if length as u64 > limit => Err(TOO_LONG.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_line;

    #[test]
    fn options_are_those_of_redis() {
        let parse = |line: &str| with_line(line, Options::parse);
        let both = Options { replace: true, absolute: true };
        assert_eq!(parse(""), Ok(Options::default()));
        assert_eq!(parse("absttl REPLACE replace"), Ok(both));
        assert_eq!(
            parse("IDLETIME 0 REPLACE idletime 9 ABSTTL"),
            Ok(Options { replace: true, absolute: true })
        );
        assert_eq!(parse("FREQ 255"), Ok(Options::default()));
        for line in ["FREQ", "IDLETIME", "IDLETIME 1 FREQ 1", "FREQ 1 IDLETIME 1", "x", "ABSTTL 5"] {
            assert_eq!(parse(line), Err(SYNTAX.into()), "{line}");
        }
        assert!(parse("FREQ 256").is_err() && parse("IDLETIME -1").is_err() && parse("FREQ x").is_err());
    }

    #[test]
    fn ends_are_relative_or_not() {
        let (relative, absolute) = (Options::default(), Options { absolute: true, ..Options::default() });
        assert_eq!((relative.end(0, 1000), absolute.end(0, 1000)), (None, None));
        assert_eq!((relative.end(5, 1000), absolute.end(5, 1000)), (Some(1005), Some(5)));
        assert!(relative.end(i64::MAX, 1000) < Some(0));
    }
}
