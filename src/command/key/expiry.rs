//! EXPIRE and its family, TTL and its family, PERSIST.

use formats::resp::Request;

use crate::command::args::{TimeForm, integer, invalid_expiry, is, quoted};
use crate::shard::context::{CommandError, Context};

type Result<T = ()> = std::result::Result<T, CommandError>;

/// NX, XX, GT, LT: on what old end the new one is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Conditions {
    if_none: bool,
    if_some: bool,
    if_greater: bool,
    if_less: bool,
}

impl Conditions {
    fn parse(args: Request<'_>) -> Result<Conditions> {
        let mut conditions = Conditions::default();
        for word in args.iter() {
            let set = match word {
                _ if is(word, "NX") => &mut conditions.if_none,
                _ if is(word, "XX") => &mut conditions.if_some,
                _ if is(word, "GT") => &mut conditions.if_greater,
                _ if is(word, "LT") => &mut conditions.if_less,
                _ => return Err(format!("ERR Unsupported option {}", quoted(word, usize::MAX)).into()),
            };
            *set = true;
        }
        let Conditions { if_none, if_some, if_greater, if_less } = conditions;
        if if_none && (if_some || if_greater || if_less) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if if_greater && if_less {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(conditions)
    }

    /// Whether a key that ends at `old` (`None`: never) shall end at `new`. Never is later than any time.
    fn hold(self, old: Option<u64>, new: i64) -> bool {
        let old_or_never = old.map_or(i128::MAX, i128::from);
        let new = i128::from(new);
        !(self.if_none && old.is_some()
            || self.if_some && old.is_none()
            || self.if_greater && new <= old_or_never
            || self.if_less && new >= old_or_never)
    }
}

/// EXPIRE key seconds [NX | XX | GT | LT]
pub fn expire(context: &mut Context<'_>) -> Result {
    set_end(context, TimeForm::InSeconds)
}

/// PEXPIRE key ms [NX | XX | GT | LT]
pub fn pexpire(context: &mut Context<'_>) -> Result {
    set_end(context, TimeForm::InMillis)
}

/// EXPIREAT key seconds [NX | XX | GT | LT]
pub fn expire_at(context: &mut Context<'_>) -> Result {
    set_end(context, TimeForm::AtSeconds)
}

/// PEXPIREAT key ms [NX | XX | GT | LT]
pub fn pexpire_at(context: &mut Context<'_>) -> Result {
    set_end(context, TimeForm::AtMillis)
}

fn set_end(context: &mut Context<'_>, form: TimeForm) -> Result {
    let key = context.key(0);
    let conditions = Conditions::parse(context.request.skip(3))?;
    let value = integer(context.arg(2))?;
    let at = form.unix_ms(value, context.now_ms).ok_or_else(|| invalid_expiry(context.arg(0)))?;
    let holds = match context.lookup(key) {
        Some(entry) => conditions.hold(entry.expire_at, at),
        None => false,
    };
    if holds {
        match u64::try_from(at) {
            Ok(at) if at > context.now_ms => context.set_expiry(key, Some(at)),
            _ => drop(context.delete(key)), // its end has passed
        }
    }
    context.reply.integer(i64::from(holds));
    Ok(())
}

/// What TTL and the like answer without a key, and without an end.
const NO_KEY: i64 = -2;
const NO_END: i64 = -1;

/// TTL key: to the nearest second.
pub fn ttl(context: &mut Context<'_>) -> Result {
    answer_end(context, |at, now| (at.saturating_sub(now) + 500) / 1000)
}

/// PTTL key
pub fn pttl(context: &mut Context<'_>) -> Result {
    answer_end(context, |at, now| at.saturating_sub(now))
}

/// EXPIRETIME key: to the nearest second.
pub fn expire_time(context: &mut Context<'_>) -> Result {
    answer_end(context, |at, _| (at.saturating_add(500)) / 1000)
}

/// PEXPIRETIME key
pub fn pexpire_time(context: &mut Context<'_>) -> Result {
    answer_end(context, |at, _| at)
}

fn answer_end(context: &mut Context<'_>, answer: fn(u64, u64) -> u64) -> Result {
    let now_ms = context.now_ms;
    let number = match context.read(context.key(0)).map(|entry| entry.expire_at) {
        None => NO_KEY,
        Some(None) => NO_END,
        Some(Some(at)) => answer(at, now_ms) as i64, // an end is below 2^63
    };
    context.reply.integer(number);
    Ok(())
}

/// PERSIST key
pub fn persist(context: &mut Context<'_>) -> Result {
    let key = context.key(0);
    let had_end = context.lookup(key).is_some_and(|entry| entry.expire_at.is_some());
    if had_end {
        context.set_expiry(key, None);
    }
    context.reply.integer(i64::from(had_end));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_with_the_old_end() {
        let none = Conditions::default();
        let nx = Conditions { if_none: true, ..none };
        let xx = Conditions { if_some: true, ..none };
        let gt = Conditions { if_greater: true, ..none };
        let lt = Conditions { if_less: true, ..none };
        for (conditions, old, new, expected) in [
            (none, None, 5, true),
            (none, Some(5), -5, true),
            (nx, None, 5, true),
            (nx, Some(4), 5, false),
            (xx, None, 5, false),
            (xx, Some(4), 5, true),
            (gt, None, i64::MAX, false),
            (gt, Some(5), 5, false),
            (gt, Some(5), 6, true),
            (lt, None, i64::MAX, true),
            (lt, Some(5), 5, false),
            (lt, Some(5), -1, true),
            (Conditions { if_some: true, ..lt }, None, 5, false),
        ] {
            assert_eq!(conditions.hold(old, new), expected, "{conditions:?} {old:?} {new}");
        }
    }
}
