//! Counts replies in a stream of bytes that comes in any pieces. Keeps no reply: only how many came, how many were errors or
//! null, and the first error's text.

use formats::resp::parse_i64;

/// Longest line: a simple string, an error, a length.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// One per connection.
#[derive(Default)]
pub struct ReplyCounter {
    /// Values still to come in the reply at hand; 0 between replies.
    open: u64,
    /// Bytes still to come of a bulk string and its line break.
    skip: u64,
    /// The begin of a line whose end has not come.
    line: Vec<u8>,
    pub errors: u64,
    pub first_error: Option<String>,
    pub nulls: u64,
}

impl ReplyCounter {
    /// Replies that became complete with `bytes`; `Err` with the offending line where this is not RESP.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<u64, String> {
        let mut replies = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() as u64);
                self.skip -= skipped;
                bytes = &bytes[skipped as usize..];
                if self.skip == 0 {
                    replies += self.close(0);
                }
                continue;
            }
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                return self.keep(bytes).map(|()| replies);
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            replies += if self.line.is_empty() { self.header(line)? } else { self.joined_header(line)? };
        }
        Ok(replies)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.line.extend_from_slice(bytes);
        if self.line.len() > MAX_LINE_BYTES { Err("a line without end".to_owned()) } else { Ok(()) }
    }

    fn joined_header(&mut self, end: &[u8]) -> Result<u64, String> {
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        let replies = self.header(&line);
        line.clear();
        self.line = line; // its memory is used again
        replies
    }

    /// A whole line that begins a value.
    fn header(&mut self, line: &[u8]) -> Result<u64, String> {
        let broken = || String::from_utf8_lossy(line).into_owned();
        let [kind, text @ .., b'\r', b'\n'] = line else { return Err(broken()) };
        let number = || parse_i64(text).ok_or_else(broken);
        self.open = self.open.max(1);
        match kind {
            b'+' | b':' | b'#' | b',' | b'(' => Ok(self.close(0)),
            b'-' => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                Ok(self.close(0))
            }
            b'_' => Ok(self.null()),
            b'$' | b'*' if text == b"-1" => Ok(self.null()),
            b'$' | b'=' => {
                self.skip = u64::try_from(number()?).map_err(|_| broken())? + 2;
                Ok(0)
            }
            b'*' | b'~' | b'>' => Ok(self.close(u64::try_from(number()?).map_err(|_| broken())?)),
            b'%' => Ok(self.close(u64::try_from(number()?).map_err(|_| broken())?.saturating_mul(2))),
            _ => Err(broken()),
        }
    }

    fn null(&mut self) -> u64 {
        self.nulls += 1;
        self.close(0)
    }

    /// One value is over and has `parts` values in it that follow. Returns 1 where that ends the reply.
    fn close(&mut self, parts: u64) -> u64 {
        self.open = (self.open - 1).saturating_add(parts);
        u64::from(self.open == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"+OK\r\n$3\r\na\nb\r\n-ERR no\r\n$-1\r\n*2\r\n:1\r\n*1\r\n$0\r\n\r\n*0\r\n%1\r\n+a\r\n_\r\n-LATER\r\n";

    #[test]
    fn counts_whatever_the_pieces() {
        for piece in 1..=STREAM.len() {
            let mut counter = ReplyCounter::default();
            let replies: u64 = STREAM.chunks(piece).map(|bytes| counter.feed(bytes).unwrap()).sum();
            assert_eq!((replies, counter.errors, counter.nulls), (8, 2, 2), "pieces of {piece}");
            assert_eq!(counter.first_error.as_deref(), Some("ERR no"));
        }
    }

    #[test]
    fn an_incomplete_reply_does_not_count() {
        let mut counter = ReplyCounter::default();
        assert_eq!(counter.feed(b"*2\r\n$1\r\na\r\n$5\r\nabcde\r"), Ok(0));
        assert_eq!(counter.feed(b"\n"), Ok(1));
    }

    #[test]
    fn what_is_not_resp_is_told() {
        for bytes in [&b"hello\r\n"[..], b"$x\r\n", b"$-2\r\n", b"+OK\n", b"\r\n"] {
            assert!(ReplyCounter::default().feed(bytes).is_err(), "{bytes:?}");
        }
        assert!(ReplyCounter::default().feed(&[b'+'; MAX_LINE_BYTES + 1]).is_err());
    }
}
