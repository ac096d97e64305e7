//! SET and what grew around it: GETSET, SETNX, SETEX, PSETEX, MSET, MSETNX, and GETEX, which shares its options.

use formats::resp::Request;

use crate::command::args::{SYNTAX, TimeForm, integer, invalid_expiry, is};
use crate::shard::context::{CommandError, Context, Key};

type Result<T = ()> = std::result::Result<T, CommandError>;

/// What stands behind the value of SET, or behind the key of GETEX.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    condition: Option<Condition>,
    get: bool,
    end: Option<End<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Only if the key is not there.
    IfMissing,
    /// Only if it is.
    IfThere,
}

/// When the key shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End<'a> {
    At(TimeForm, &'a [u8]),
    /// When it ended before.
    Keep,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    Set,
    GetEx,
}

impl<'a> Options<'a> {
    fn parse(args: Request<'a>, asker: Asker) -> Result<Options<'a>> {
        let mut options = Options::default();
        let mut index = 0;
        while let Some(word) = args.get(index) {
            index += 1;
            if asker == Asker::Set && options.take_word(word) {
                continue;
            }
            let end = match time_form(word) {
                Some(form) => {
                    let time = args.get(index).ok_or(SYNTAX)?;
                    index += 1;
                    End::At(form, time)
                }
                None if asker == Asker::Set && is(word, "KEEPTTL") => End::Keep,
                None if asker == Asker::GetEx && is(word, "PERSIST") => End::Never,
                None => return Err(SYNTAX.into()),
            };
            if options.end.is_some_and(|before| !before.may_repeat_as(end)) {
                return Err(SYNTAX.into());
            }
            options.end = Some(end);
        }
        Ok(options)
    }

    /// Takes NX, XX or GET; false for another word, and for a condition that contradicts the one before.
    fn take_word(&mut self, word: &[u8]) -> bool {
        let condition = match word {
            _ if is(word, "GET") => {
                self.get = true;
                return true;
            }
            _ if is(word, "NX") => Condition::IfMissing,
            _ if is(word, "XX") => Condition::IfThere,
            _ => return false,
        };
        *self.condition.get_or_insert(condition) == condition
    }
}

impl End<'_> {
    /// The same kind may stand there twice, with the last one valid.
    fn may_repeat_as(self, other: End<'_>) -> bool {
        match (self, other) {
            (End::At(a, _), End::At(b, _)) => a == b,
            (a, b) => a == b,
        }
    }
}

fn time_form(word: &[u8]) -> Option<TimeForm> {
    let forms = [
        ("EX", TimeForm::InSeconds),
        ("PX", TimeForm::InMillis),
        ("EXAT", TimeForm::AtSeconds),
        ("PXAT", TimeForm::AtMillis),
    ];
    forms.into_iter().find(|(name, _)| is(word, name)).map(|(_, form)| form)
}

/// The Unix time in ms that `value` stands for; it must be above 0.
fn expire_at(context: &Context<'_>, form: TimeForm, value: &[u8]) -> Result<u64> {
    let value = integer(value)?;
    let at = if value > 0 { form.unix_ms(value, context.now_ms) } else { None };
    at.and_then(|at| u64::try_from(at).ok()).ok_or_else(|| invalid_expiry(context.arg(0)))
}

/// SET key value [NX | XX] [GET] [EX seconds | PX ms | EXAT seconds | PXAT ms | KEEPTTL]
pub fn set(context: &mut Context<'_>) -> Result {
    let (key, value) = (context.key(0), context.arg(2));
    if context.request.len() == 3 {
        context.put_string(key, value, None);
        context.reply.ok();
        return Ok(());
    }
    let options = Options::parse(context.request.skip(3), Asker::Set)?;
    let mut end = match options.end {
        Some(End::At(form, time)) => Some(expire_at(context, form, time)?),
        _ => None,
    };
    if options.get {
        context.reply_string(key)?;
    }
    if !holds(context, key, options.condition) {
        if !options.get {
            context.reply.null();
        }
        return Ok(());
    }
    if options.end == Some(End::Keep) {
        end = context.lookup(key).and_then(|entry| entry.expire_at);
    }
    put(context, key, value, end);
    if !options.get {
        context.reply.ok();
    }
    Ok(())
}

/// What a SET does with its key: it reads it only with GET.
pub fn access(line: Request<'_>) -> &'static [&'static str] {
    match line.skip(3).iter().any(|word| is(word, "GET")) {
        true => &["RW", "access", "update"],
        false => &["OW", "update"],
    }
}

fn holds(context: &mut Context<'_>, key: Key<'_>, condition: Option<Condition>) -> bool {
    match condition {
        None => true,
        Some(Condition::IfMissing) => context.lookup(key).is_none(),
        Some(Condition::IfThere) => context.lookup(key).is_some(),
    }
}

/// Sets the key, or deletes it where its end has passed: nobody could see it.
fn put(context: &mut Context<'_>, key: Key<'_>, value: &[u8], expire_at: Option<u64>) {
    if expire_at.is_some_and(|at| at <= context.now_ms) {
        context.delete(key);
    } else {
        context.put_string(key, value, expire_at);
    }
}

/// GETSET key value
pub fn get_set(context: &mut Context<'_>) -> Result {
    let (key, value) = (context.key(0), context.arg(2));
    context.reply_string(key)?;
    context.put_string(key, value, None);
    Ok(())
}

/// SETNX key value
pub fn set_nx(context: &mut Context<'_>) -> Result {
    let (key, value) = (context.key(0), context.arg(2));
    let missing = context.lookup(key).is_none();
    if missing {
        context.put_string(key, value, None);
    }
    context.reply.integer(i64::from(missing));
    Ok(())
}

/// SETEX key seconds value
pub fn set_ex(context: &mut Context<'_>) -> Result {
    set_for(context, TimeForm::InSeconds)
}

/// PSETEX key ms value
pub fn pset_ex(context: &mut Context<'_>) -> Result {
    set_for(context, TimeForm::InMillis)
}

fn set_for(context: &mut Context<'_>, form: TimeForm) -> Result {
    let end = expire_at(context, form, context.arg(2))?;
    put(context, context.key(0), context.arg(3), Some(end));
    context.reply.ok();
    Ok(())
}

/// MSET key value [key value ...]
pub fn mset(context: &mut Context<'_>) -> Result {
    put_pairs(context);
    context.reply.ok();
    Ok(())
}

/// MSETNX key value [key value ...], all keys on this shard
pub fn mset_nx(context: &mut Context<'_>) -> Result {
    let missing = (0..context.keys.len()).all(|index| context.lookup(context.key(index)).is_none());
    if missing {
        put_pairs(context);
    }
    context.reply.integer(i64::from(missing));
    Ok(())
}

fn put_pairs(context: &mut Context<'_>) {
    for index in 0..context.keys.len() {
        let value = context.arg(context.keys[index].arg as usize + 1);
        context.put_string(context.key(index), value, None);
    }
}

/// GETEX key [EX seconds | PX ms | EXAT seconds | PXAT ms | PERSIST]
pub fn get_ex(context: &mut Context<'_>) -> Result {
    let key = context.key(0);
    let options = Options::parse(context.request.skip(2), Asker::GetEx)?;
    if !context.reply_string(key)? {
        return Ok(()); // a time is not looked at where there is no key
    }
    match options.end {
        None | Some(End::Keep) => {}
        Some(End::Never) => {
            if context.lookup(key).is_some_and(|entry| entry.expire_at.is_some()) {
                context.set_expiry(key, None);
            }
        }
        Some(End::At(form, time)) => {
            let at = expire_at(context, form, time)?;
            if at <= context.now_ms {
                context.delete(key);
            } else {
                context.set_expiry(key, Some(at));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_line;

    fn is_valid(line: &str, asker: Asker) -> bool {
        with_line(line, |request| Options::parse(request, asker).is_ok())
    }

    #[test]
    fn options_of_set_exclude_each_other_as_in_redis() {
        for line in ["", "nx", "NX get", "xx XX", "ex 1", "EX 1 ex 2", "keepttl keepttl", "px x nx get"] {
            assert!(is_valid(line, Asker::Set), "{line}");
        }
        for line in
            ["nx xx", "xx nx", "ex", "ex 1 px 1", "keepttl ex 1", "ex 1 keepttl", "persist", "foo", "get ex"]
        {
            assert!(!is_valid(line, Asker::Set), "{line}");
        }
    }

    #[test]
    fn options_of_getex_are_about_time_alone() {
        for line in ["", "persist", "exat 1", "PXAT 1"] {
            assert!(is_valid(line, Asker::GetEx), "{line}");
        }
        for line in ["nx", "get", "keepttl", "persist ex 1", "ex 1 persist", "px"] {
            assert!(!is_valid(line, Asker::GetEx), "{line}");
        }
    }

    #[test]
    fn the_last_of_equal_options_counts() {
        with_line("ex 1 ex 2", |request| {
            let end = Options::parse(request, Asker::Set).unwrap().end;
            assert_eq!(end, Some(End::At(TimeForm::InSeconds, b"2")));
        });
    }
}
