//! Which arguments of a request are keys.

use formats::resp::Request;

use super::Command;

/// The indexes of the arguments of `request` that are keys of `command`, in order. None is out of bounds, whatever
/// the request.
#[inline]
pub fn positions(command: &Command, request: Request<'_>) -> impl Iterator<Item = usize> + use<> {
    let keys = command.keys;
    let count = request.len();
    let end = match usize::try_from(keys.last) {
        Ok(last) => count.min(last + 1),
        Err(_) => (count + 1).saturating_sub(keys.last.unsigned_abs() as usize),
    };
    let first = keys.first.max(0) as usize;
    let end = if first == 0 { 0 } else { end };
    (first..end).step_by(keys.step.max(1) as usize)
}

/// The number of keys and values fits: every key has all arguments of its step.
#[inline]
pub fn are_complete(command: &Command, count: usize) -> bool {
    let keys = command.keys;
    keys.step <= 1 || keys.last >= 0 || (count - keys.first as usize).is_multiple_of(keys.step as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::find;
    use crate::command::testing::with_request;

    fn keys_of(words: &[&str]) -> Vec<usize> {
        with_request(words, |request| positions(find(request).unwrap().1, request).collect())
    }

    #[test]
    fn keys_stand_where_the_table_says() {
        assert_eq!(keys_of(&["get", "a"]), [1]);
        assert_eq!(keys_of(&["set", "a", "1", "EX", "5"]), [1]);
        assert_eq!(keys_of(&["del", "a", "b", "c"]), [1, 2, 3]);
        assert_eq!(keys_of(&["mset", "a", "1", "b", "2"]), [1, 3]);
        assert_eq!(keys_of(&["rename", "a", "b"]), [1, 2]);
        assert_eq!(keys_of(&["copy", "a", "b", "REPLACE"]), [1, 2]);
        assert_eq!(keys_of(&["ping"]), [0; 0]);
        assert_eq!(keys_of(&["keys", "*"]), [0; 0]);
    }
}
