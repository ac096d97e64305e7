//! Requests for unit tests.

use formats::resp::{ArgRange, Request};

/// Calls `run` with a request of these words.
pub fn with_request<W: AsRef<[u8]>, T>(words: &[W], run: impl FnOnce(Request<'_>) -> T) -> T {
    let (mut source, mut ranges) = (Vec::new(), Vec::new());
    for word in words {
        let start = source.len();
        source.extend_from_slice(word.as_ref());
        ranges.push(ArgRange { start, end: source.len() });
    }
    run(Request::new(&source, &ranges))
}

/// As [`with_request`], with the words of a line; an empty line has none.
pub fn with_line<T>(line: &str, run: impl FnOnce(Request<'_>) -> T) -> T {
    with_request(&line.split_whitespace().collect::<Vec<_>>(), run)
}
