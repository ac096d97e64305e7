//! Parses requests in place: arguments are ranges of the read buffer, nothing is copied.
//!
//! Two forms: an array of bulk strings, and the inline form (words on a line, with quotes). Limits and error texts
//! are those of Redis 7.0.
//!
//! Invariants:
//! 1. A request that arrives in pieces is parsed once: what was understood is kept between calls.
//! 2. No allocation is made for bytes that are announced but not there.
//! 3. After an error the stream has no known boundary: the connection must be closed.

use super::parse_i64;

/// Longest line: an inline request, a count, a length. As in Redis (`PROTO_INLINE_MAX_SIZE`).
const MAX_LINE_BYTES: usize = 64 * 1024;
/// What a client may send before it has authenticated: arguments, and bytes in one of them.
const UNAUTHENTICATED_ARGS: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES: i64 = 16384;

/// Limits for one connection's requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest single argument in bytes (`proto-max-bulk-len`).
    pub max_bulk_bytes: usize,
    /// The client has yet to authenticate: tight limits hold.
    pub unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bulk_bytes: 512 * 1024 * 1024, unauthenticated: false }
    }
}

/// The client broke the protocol. The text is what Redis answers behind `-ERR `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("Protocol error: too big inline request")]
    InlineTooBig,
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    #[error("Protocol error: too big mbulk count string")]
    CountTooBig,
    #[error("Protocol error: invalid multibulk length")]
    InvalidCount,
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedCount,
    #[error("Protocol error: too big bulk count string")]
    LengthTooBig,
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    #[error("Protocol error: invalid bulk length")]
    InvalidLength,
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedLength,
}

/// A range of bytes in a request's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgRange {
    pub start: usize,
    pub end: usize,
}

/// A parsed request: its arguments, the first of which names the command.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    source: &'a [u8],
    ranges: &'a [ArgRange],
}

impl<'a> Request<'a> {
    /// `ranges` must lie within `source`.
    pub fn new(source: &'a [u8], ranges: &'a [ArgRange]) -> Self {
        Self { source, ranges }
    }

    /// Number of arguments, the command's name included. Never 0 for a parsed request.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Argument `index`; 0 is the command's name. Panics when there is no such argument: arity is checked before.
    #[inline]
    pub fn arg(&self, index: usize) -> &'a [u8] {
        let range = self.ranges[index];
        &self.source[range.start..range.end]
    }

    /// Argument `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.ranges.get(index).map(|range| &self.source[range.start..range.end])
    }

    /// All arguments in order, the name included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let source = self.source;
        self.ranges.iter().map(move |range| &source[range.start..range.end])
    }

    /// The same request without its first `count` arguments.
    pub fn skip(&self, count: usize) -> Request<'a> {
        Request { source: self.source, ranges: &self.ranges[count.min(self.ranges.len())..] }
    }
}

/// What [`RequestParser::parse`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The request is not complete. `wanted` is a lower bound of the bytes still to come.
    NeedMore { wanted: usize },
    /// A request that takes the first `consumed` bytes; ask [`RequestParser::request`] for it.
    Request { consumed: usize },
    /// Bytes that mean nothing (an empty line, an empty array): drop `consumed` bytes and go on.
    Nothing { consumed: usize },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first byte of a request.
    Start,
    /// In an array: arguments still to come, and the length of the one at hand once it is known.
    Bulks { remaining: i64, bulk_bytes: Option<usize> },
}

/// Parses one request after the other; one per connection.
pub struct RequestParser {
    state: State,
    /// How far into the buffer the request is understood.
    position: usize,
    ranges: Vec<ArgRange>,
    /// Arguments of an inline request, unquoted. Array requests lie in the read buffer itself.
    inline: Vec<u8>,
    is_inline: bool,
}

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestParser {
    pub fn new() -> Self {
        Self { state: State::Start, position: 0, ranges: Vec::new(), inline: Vec::new(), is_inline: false }
    }

    /// Looks for a request at the start of `buffer`.
    ///
    /// After [`Parsed::NeedMore`] call again with the same bytes and more behind them. After the other two drop
    /// the consumed bytes (or pass the slice behind them).
    pub fn parse(&mut self, buffer: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        if self.state == State::Start {
            self.position = 0;
            self.ranges.clear();
            match buffer.first() {
                None => return Ok(Parsed::NeedMore { wanted: 1 }),
                Some(b'*') => {}
                Some(_) => return self.parse_inline(buffer),
            }
            self.is_inline = false;
            let Some((count, next)) = number_line(buffer, 1).map_err(|_| ProtocolError::CountTooBig)? else {
                return Ok(Parsed::NeedMore { wanted: 1 });
            };
            let count = count.filter(|&n| n <= i64::from(i32::MAX)).ok_or(ProtocolError::InvalidCount)?;
            if count > UNAUTHENTICATED_ARGS && limits.unauthenticated {
                return Err(ProtocolError::UnauthenticatedCount);
            }
            if count <= 0 {
                return Ok(Parsed::Nothing { consumed: next });
            }
            self.position = next;
            self.state = State::Bulks { remaining: count, bulk_bytes: None };
        }
        self.parse_bulks(buffer, limits)
    }

    fn parse_bulks(&mut self, buffer: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        let State::Bulks { mut remaining, mut bulk_bytes } = self.state else {
            return Ok(Parsed::NeedMore { wanted: 1 });
        };
        while remaining > 0 {
            let length = match bulk_bytes {
                Some(length) => length,
                None => match bulk_header(buffer, self.position, limits)? {
                    None => {
                        self.state = State::Bulks { remaining, bulk_bytes };
                        return Ok(Parsed::NeedMore { wanted: 1 });
                    }
                    Some((length, next)) => {
                        self.position = next;
                        bulk_bytes = Some(length);
                        length
                    }
                },
            };
            let end = self.position + length; // length <= max_bulk_bytes: no overflow
            if buffer.len() < end + 2 {
                self.state = State::Bulks { remaining, bulk_bytes };
                return Ok(Parsed::NeedMore { wanted: end + 2 - buffer.len() });
            }
            self.ranges.push(ArgRange { start: self.position, end });
            self.position = end + 2;
            bulk_bytes = None;
            remaining -= 1;
        }
        self.state = State::Start;
        Ok(Parsed::Request { consumed: self.position })
    }

    fn parse_inline(&mut self, buffer: &[u8]) -> Result<Parsed, ProtocolError> {
        let Some(newline) = buffer.iter().take(MAX_LINE_BYTES + 1).position(|&b| b == b'\n') else {
            if buffer.len() > MAX_LINE_BYTES {
                return Err(ProtocolError::InlineTooBig);
            }
            return Ok(Parsed::NeedMore { wanted: 1 });
        };
        let line = buffer[..newline].strip_suffix(b"\r").unwrap_or(&buffer[..newline]);
        self.inline.clear();
        self.is_inline = true;
        split_words(line, &mut self.inline, &mut self.ranges).ok_or(ProtocolError::UnbalancedQuotes)?;
        let consumed = newline + 1;
        if self.ranges.is_empty() {
            Ok(Parsed::Nothing { consumed })
        } else {
            Ok(Parsed::Request { consumed })
        }
    }

    /// The request that the last [`Parsed::Request`] announced; `buffer` as it was passed to that call.
    #[inline]
    pub fn request<'a>(&'a self, buffer: &'a [u8]) -> Request<'a> {
        Request::new(if self.is_inline { &self.inline } else { buffer }, &self.ranges)
    }

    /// Gives back memory that an unusually large request took.
    pub fn shrink(&mut self) {
        if self.state == State::Start {
            self.ranges.clear();
            self.ranges.shrink_to(64);
            self.inline.clear();
            self.inline.shrink_to(1024);
        }
    }
}

/// `$<length>\r\n` at `position`: the length, and where the bytes start. `None`: not all there.
#[inline]
fn bulk_header(
    buffer: &[u8],
    position: usize,
    limits: &Limits,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    match buffer.get(position) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(&other) => {
            // As Redis: first the line must be there, then its first byte is judged.
            return match number_line(buffer, position) {
                Err(()) => Err(ProtocolError::LengthTooBig),
                Ok(None) => Ok(None),
                Ok(Some(_)) => Err(ProtocolError::ExpectedBulk(other)),
            };
        }
    }
    let Some((length, next)) = number_line(buffer, position + 1).map_err(|()| ProtocolError::LengthTooBig)?
    else {
        return Ok(None);
    };
    let length = length.ok_or(ProtocolError::InvalidLength)?;
    let bytes = usize::try_from(length).map_err(|_| ProtocolError::InvalidLength)?;
    if bytes > limits.max_bulk_bytes {
        return Err(ProtocolError::InvalidLength);
    }
    if limits.unauthenticated && length > UNAUTHENTICATED_BULK_BYTES {
        return Err(ProtocolError::UnauthenticatedLength);
    }
    Ok(Some((bytes, next)))
}

/// The number on the line at `start` (`None` where it is none) and the start of the next line.
///
/// `Ok(None)`: the line is not complete; `Err`: it is longer than any line may be.
#[inline]
#[allow(clippy::type_complexity)]
fn number_line(buffer: &[u8], start: usize) -> Result<Option<(Option<i64>, usize)>, ()> {
    let tail = buffer.get(start..).unwrap_or(&[]);
    // The usual case: a few digits.
    let Some(end) = tail.iter().take(MAX_LINE_BYTES + 1).position(|&b| b == b'\r') else {
        return if tail.len() > MAX_LINE_BYTES { Err(()) } else { Ok(None) };
    };
    if tail.len() < end + 2 {
        return Ok(None);
    }
    Ok(Some((parse_i64(&tail[..end]), start + end + 2)))
}

/// Splits a line into words as Redis' inline protocol and configuration files do: blanks between words, `"..."` with
/// `\n \r \t \b \a \xHH` escapes, `'...'` with `\'`. Appends the bytes to `bytes`, and a range per word to `ranges`.
///
/// Returns `None` for quotes that do not close, or that close in the middle of a word.
pub fn split_words(line: &[u8], bytes: &mut Vec<u8>, ranges: &mut Vec<ArgRange>) -> Option<()> {
    let mut rest = line;
    loop {
        while let [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, tail @ ..] = rest {
            rest = tail;
        }
        if matches!(rest, [] | [0, ..]) {
            return Some(());
        }
        let start = bytes.len();
        rest = word(rest, bytes)?;
        ranges.push(ArgRange { start, end: bytes.len() });
    }
}

/// Reads one word from the front of `rest` and returns what is behind it.
fn word<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] | [b' ' | b'\t' | b'\n' | b'\r', ..] => return Some(rest),
            [0, ..] => return Some(&[]), // ends the line, as it does for Redis
            [b'"', tail @ ..] => return closed(double_quoted(tail, out)?),
            [b'\'', tail @ ..] => return closed(single_quoted(tail, out)?),
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

/// Behind a closing quote there must be a blank or the end.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] | [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => Some(rest),
        _ => None,
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\'', tail @ ..] => return Some(tail),
            [b'\\', b'\'', tail @ ..] => {
                out.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` cut at `cuts`, and collects the requests.
    fn parse_in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let mut parser = RequestParser::new();
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain([&bytes.len()]) {
            buffer.extend_from_slice(&bytes[from..to]);
            from = to;
            loop {
                match parser.parse(&buffer, &Limits::default())? {
                    Parsed::NeedMore { wanted } => {
                        assert!(wanted > 0);
                        break;
                    }
                    Parsed::Nothing { consumed } => drop(buffer.drain(..consumed)),
                    Parsed::Request { consumed } => {
                        found.push(parser.request(&buffer).iter().map(<[u8]>::to_vec).collect());
                        drop(buffer.drain(..consumed));
                    }
                }
            }
        }
        assert!(buffer.is_empty(), "left over: {buffer:?}");
        Ok(found)
    }

    #[test]
    fn every_byte_boundary_gives_the_same_requests() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\nxy\r\n*0\r\n\r\nPING \"a b\" 'c'\r\n*1\r\n$0\r\n\r\nget x\n";
        let whole = parse_in_pieces(bytes, &[]).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[0], [b"SET".to_vec(), b"k".to_vec(), b"v\r\nxy".to_vec()]);
        assert_eq!(whole[1], [b"PING".to_vec(), b"a b".to_vec(), b"c".to_vec()]);
        assert_eq!(whole[2], [b"".to_vec()]);
        assert_eq!(whole[3], [b"get".to_vec(), b"x".to_vec()]);
        for cut in 0..=bytes.len() {
            assert_eq!(parse_in_pieces(bytes, &[cut]).unwrap(), whole, "cut at {cut}");
        }
        let every: Vec<usize> = (0..=bytes.len()).collect();
        assert_eq!(parse_in_pieces(bytes, &every).unwrap(), whole);
    }

    #[test]
    fn errors_have_redis_texts() {
        let long = vec![b'x'; MAX_LINE_BYTES + 1];
        let mut long_count = b"*".to_vec();
        long_count.extend(vec![b'1'; MAX_LINE_BYTES + 1]);
        let mut long_length = b"*1\r\n$".to_vec();
        long_length.extend(vec![b'1'; MAX_LINE_BYTES + 1]);
        let cases: [(&[u8], &str); 11] = [
            (b"*x\r\n", "invalid multibulk length"),
            (b"*3000000000\r\n", "invalid multibulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "invalid bulk length"),
            (b"*1\r\n!3\r\n", "expected '$', got '!'"),
            (b"SET \"a\r\n", "unbalanced quotes in request"),
            (b"SET \"a\"b\r\n", "unbalanced quotes in request"),
            (&long, "too big inline request"),
            (&long_count, "too big mbulk count string"),
            (&long_length, "too big bulk count string"),
        ];
        for (bytes, text) in cases {
            let error = parse_in_pieces(bytes, &[]).unwrap_err();
            assert_eq!(error.to_string(), format!("Protocol error: {text}"));
        }
    }

    #[test]
    fn before_authentication_limits_are_tight() {
        let limits = Limits { unauthenticated: true, ..Limits::default() };
        let error = |bytes: &[u8]| RequestParser::new().parse(bytes, &limits).unwrap_err().to_string();
        assert_eq!(error(b"*11\r\n"), "Protocol error: unauthenticated multibulk length");
        assert_eq!(error(b"*1\r\n$16385\r\n"), "Protocol error: unauthenticated bulk length");
    }

    #[test]
    fn announced_sizes_allocate_nothing() {
        let mut parser = RequestParser::new();
        let parsed = parser.parse(b"*2147483647\r\n$536870912\r\n", &Limits::default()).unwrap();
        assert_eq!(parsed, Parsed::NeedMore { wanted: 536_870_914 });
        assert_eq!(parser.ranges.capacity(), 0);
    }

    #[test]
    fn inline_escapes() {
        let words = parse_in_pieces(b"a \"\\x41\\n\\t\\\"\\q\" 'it\\'s' \"\"\r\n", &[]).unwrap();
        assert_eq!(words[0], [b"a".to_vec(), b"A\n\t\"q".to_vec(), b"it's".to_vec(), b"".to_vec()]);
    }

    proptest! {
        #[test]
        fn encoded_commands_come_back(
            commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..6), 1..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut bytes = Vec::new();
            for command in &commands {
                crate::resp::encode_command(&mut bytes, command);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            prop_assert_eq!(parse_in_pieces(&bytes, &cuts).unwrap(), commands);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"*$\r\n0123456789-\"'\\x ".to_vec())], 0..200)) {
            let mut parser = RequestParser::new();
            let mut rest = &bytes[..];
            while let Ok(Parsed::Request { consumed } | Parsed::Nothing { consumed }) = parser.parse(rest, &Limits::default()) {
                prop_assert!(consumed > 0 && consumed <= rest.len());
                rest = &rest[consumed..];
            }
        }
    }
}
