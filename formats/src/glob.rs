//! Glob patterns as KEYS, SCAN, CONFIG GET and PSUBSCRIBE understand them, over bytes.
//!
//! | written | matches |
//! |---|---|
//! | `*` | any bytes, also none |
//! | `?` | one byte |
//! | `[abc]`, `[a-z]`, `[^a]` | one byte of the class, of the range (either way round), not of the class |
//! | `\x` | the byte `x`, also within a class |
//!
//! What is left unfinished has a meaning too, the one that clients know: a class that nothing closes ends with the
//! pattern, and a lone `\` at the end is a backslash. The tests hold answers that a Redis 7.0 server gave.
//!
//! Invariants:
//! 1. The work is at most pattern length times text length: only the last `*` is ever taken up again. (Between two
//!    stars the leftmost match is as good as any, so an earlier star never needs another try.)
//! 2. No allocation, no recursion, no panic, whatever the bytes are.

/// Whether the whole of `text` matches `pattern`; with `nocase`, ASCII letters match in either case.
///
/// Only an empty pattern matches an empty text, not even `*` does: KEYS and SCAN take all keys without asking here for
/// that one.
pub fn glob_match(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit: behind the star, one byte further in the text.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            retry = Some((p, t));
            continue;
        }
        match (pattern.get(p..).filter(|rest| !rest.is_empty()), text.get(t)) {
            (None, None) => return true,
            // The text is used up: a later start would only leave less of it.
            (Some(_), None) => return false,
            (Some(rest), Some(&byte)) => {
                let (fits, used) = match_one(rest, byte, nocase);
                if fits {
                    p += used;
                    t += 1;
                    continue;
                }
            }
            (None, Some(_)) => {}
        }
        let Some((behind_star, start)) = retry else { return false };
        retry = Some((behind_star, start + 1));
        (p, t) = (behind_star, start + 1);
    }
}

/// Whether `pattern` means something else than itself, so that a name cannot be looked up directly.
pub fn is_glob(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Whether `byte` fits the first element of `pattern` (which is not empty and no star), and that element's length.
fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    match pattern {
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (fits, used) = match_class(class, byte, nocase);
            (fits, used + 1)
        }
        [b'\\', literal, ..] => (fold(*literal, nocase) == fold(byte, nocase), 2),
        [literal, ..] => (fold(*literal, nocase) == fold(byte, nocase), 1),
        [] => (false, 0),
    }
}

/// The same for a class; `class` starts behind the `[`, and the length includes the `]` if there is one.
fn match_class(class: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let byte = fold(byte, nocase);
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        let used = match &class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                found |= fold(*literal, nocase) == byte;
                2
            }
            // Any byte may be a range's end, even `]`: `[a-]` runs on.
            [from, b'-', to, ..] => {
                let (from, to) = (fold(*from, nocase), fold(*to, nocase));
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                3
            }
            [literal, ..] => {
                found |= fold(*literal, nocase) == byte;
                1
            }
        };
        at += used;
    }
    (found != negated, at)
}

fn fold(byte: u8, nocase: bool) -> u8 {
    if nocase { byte.to_ascii_lowercase() } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    /// The keys, and for each pattern those of them that KEYS of a Redis 7.0.15 server listed.
    const KEYS: &str = r"- * B Z [ \ ] ^ _ a a* a- a[ a\ a] a^ ab abc b x";
    const ANSWERS: &[(&str, &str)] = &[
        ("[a-]", r"] ^ _ a"),
        ("[a-", "- a"),
        ("[]", ""),
        ("[^]", r"- * B Z [ \ ] ^ _ a b x"),
        ("a[", ""),
        ("a[^", r"a* a- a[ a\ a] a^ ab"),
        ("[^", r"- * B Z [ \ ] ^ _ a b x"),
        ("[", ""),
        ("a[b", "ab"),
        ("[ab", "a b"),
        (r"\", r"\"),
        (r"a\", r"a\"),
        (r"\a", "a"),
        (r"[\]]", "]"),
        (r"[\^]", "^"),
        ("[^^]", r"- * B Z [ \ ] _ a b x"),
        ("[b-a]", "a b"),
        ("[]-a]", ""),
        (r"\*", "*"),
        (r"a\*", "a*"),
        (r"*\*", "* a*"),
        ("[*]", "*"),
        ("[a-b-x]", "- a b x"),
        ("[A-z]", r"B Z [ \ ] ^ _ a b x"),
        ("[^a-z]", r"- * B Z [ \ ] ^ _"),
        ("a?", r"a* a- a[ a\ a] a^ ab"),
        ("?", r"- * B Z [ \ ] ^ _ a b x"),
        ("**", KEYS),
        ("*", KEYS),
        ("", ""),
        (r"[\", r"\"),
        (r"[^\", "- * B Z [ ] ^ _ a b x"),
        (r"[a\", r"\ a"),
        ("a[^]", r"a* a- a[ a\ a] a^ ab"),
        (r"[\a-b]", "- a b"),
        (r"[a-\b]", r"\ ] ^ _ a b"),
    ];

    #[test]
    fn answers_as_a_redis_server_did() {
        for (pattern, expected) in ANSWERS {
            let listed: Vec<&str> =
                KEYS.split(' ').filter(|key| glob_match(pattern.as_bytes(), key.as_bytes(), false)).collect();
            assert_eq!(listed.join(" "), *expected, "pattern {pattern}");
        }
    }

    #[test]
    fn letters_match_in_either_case_only_when_asked() {
        for (pattern, text) in [("MAX*", "maxclients"), ("[m-n]*", "MAX"), (r"\A", "a"), ("[^b]", "A")] {
            assert!(glob_match(pattern.as_bytes(), text.as_bytes(), true), "{pattern} {text}");
        }
        assert!(!glob_match(b"[^A]", b"a", true));
        assert!(!glob_match(b"MAX*", b"maxclients", false));
        assert!(!glob_match(b"[m-n]*", b"MAX", false));
    }

    #[test]
    fn empty_text_matches_an_empty_pattern_only() {
        assert!(glob_match(b"", b"", false));
        for pattern in ["*", "**", "?", "[^a]", "*a"] {
            assert!(!glob_match(pattern.as_bytes(), b"", false), "{pattern}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
        let pattern = [b"a*".repeat(1000), b"b".to_vec()].concat();
        let started = Instant::now();
        assert!(!glob_match(&pattern, &b"a".repeat(20_000), false));
        assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    }

    #[test]
    fn says_which_patterns_are_globs() {
        assert!([&b"a*"[..], b"?", b"[a]", b"\\a"].iter().all(|pattern| is_glob(pattern)));
        assert!(!is_glob(b"maxclients") && !is_glob(b""));
    }

    /// The definition: an empty text is a case of its own.
    fn defined(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        if text.is_empty() { pattern.is_empty() } else { naive(pattern, text, nocase) }
    }

    /// For a text that is not empty, spelled out: a star matches nothing, or one byte and then again a star.
    fn naive(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some((b'*', rest)), None) => naive(rest, text, nocase),
            (Some((b'*', rest)), Some((_, tail))) => {
                naive(rest, text, nocase) || naive(pattern, tail, nocase)
            }
            (Some(_), None) => false,
            (Some(_), Some((byte, tail))) => {
                let (bytes, used) = naive_set(pattern);
                bytes.iter().any(|one| if nocase { one.eq_ignore_ascii_case(byte) } else { one == byte })
                    && naive(&pattern[used..], tail, nocase)
            }
        }
    }

    /// Every byte that the first element stands for. Ranges here stay within one case.
    fn naive_set(pattern: &[u8]) -> (Vec<u8>, usize) {
        let all = || (0..=255u8).collect::<Vec<_>>();
        if pattern[0] == b'?' {
            return (all(), 1);
        }
        if pattern[0] != b'[' {
            let escaped = pattern[0] == b'\\' && pattern.len() > 1;
            return (vec![pattern[usize::from(escaped)]], 1 + usize::from(escaped));
        }
        let mut at = 1;
        let negated = pattern.get(1) == Some(&b'^');
        at += usize::from(negated);
        let mut set = Vec::new();
        while at < pattern.len() && pattern[at] != b']' {
            if pattern[at] == b'\\' && at + 1 < pattern.len() {
                set.push(pattern[at + 1]);
                at += 2;
            } else if at + 2 < pattern.len() && pattern[at + 1] == b'-' {
                let ends = [pattern[at], pattern[at + 2]];
                set.extend(ends[0].min(ends[1])..=ends[0].max(ends[1]));
                at += 3;
            } else {
                set.push(pattern[at]);
                at += 1;
            }
        }
        let used = (at + 1).min(pattern.len());
        if negated {
            (all().into_iter().filter(|byte| !set.contains(byte)).collect(), used)
        } else {
            (set, used)
        }
    }

    fn bytes_of(alphabet: &'static [u8], length: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(alphabet), 0..length)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_the_definition(pattern in bytes_of(b"aabc*?[]^-\\", 10), text in bytes_of(b"aabbc]^-\\", 10)) {
            prop_assert_eq!(glob_match(&pattern, &text, false), defined(&pattern, &text, false));
        }

        #[test]
        fn agrees_in_either_case(pattern in bytes_of(b"aABbC*?", 9), text in bytes_of(b"aAbBc", 9)) {
            prop_assert_eq!(glob_match(&pattern, &text, true), defined(&pattern, &text, true));
        }

        #[test]
        fn any_bytes_are_taken(pattern: Vec<u8>, text: Vec<u8>, nocase: bool) {
            glob_match(&pattern, &text, nocase);
            prop_assert!(text.is_empty() || glob_match(b"*", &text, nocase));
        }
    }
}
