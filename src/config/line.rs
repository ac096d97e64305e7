//! A line of the configuration file: from text to arguments, and an argument back to text.
//!
//! ```text
//! name argument "double quoted \"\\ \n\r\t\b\a \x41" 'single quoted, \' alone is special'
//! ```
//!
//! A closing quote must be followed by a blank or the line's end. Nothing is special outside of quotes: a `#` starts a
//! comment only as the first character of a line, which the reader of the file looks after.

/// A quote is not closed, or text follows a closing quote directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// Splits at blanks and resolves quotes.
pub fn split_args(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut args = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (arg, behind) = take_arg(rest)?;
        args.push(arg);
        rest = behind.trim_ascii_start();
    }
    Ok(args)
}

fn take_arg(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut arg = Vec::new();
    while let [byte, behind @ ..] = rest {
        match byte {
            b'"' | b'\'' => {
                rest = take_quoted(*byte, behind, &mut arg)?;
                break;
            }
            byte if byte.is_ascii_whitespace() => break,
            byte => {
                arg.push(*byte);
                rest = behind;
            }
        }
    }
    Ok((arg, rest))
}

/// Reads to the closing `quote`; `rest` starts behind the opening one.
fn take_quoted<'a>(quote: u8, mut rest: &'a [u8], arg: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        let (byte, used) = match rest {
            [] => return Err(UnbalancedQuotes),
            [byte, behind @ ..] if *byte == quote => {
                let closed = behind.first().is_none_or(u8::is_ascii_whitespace);
                return if closed { Ok(behind) } else { Err(UnbalancedQuotes) };
            }
            [b'\\', b'\'', ..] if quote == b'\'' => (b'\'', 2),
            [b'\\', b'x', high, low, ..] if quote == b'"' && hex(*high).is_some() && hex(*low).is_some() => {
                (hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0), 4)
            }
            [b'\\', escaped, ..] if quote == b'"' => (unescape(*escaped), 2),
            [byte, ..] => (*byte, 1),
        };
        arg.push(byte);
        rest = &rest[used..];
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn unescape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// `arg` as it can stand in a file: as it is where that is safe, else in double quotes.
pub fn quote(arg: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\#".contains(byte);
    if !arg.is_empty() && arg.iter().all(plain) {
        return arg.to_vec();
    }
    let mut quoted = vec![b'"'];
    for byte in arg {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'\t' => quoted.extend(b"\\t"),
            byte if byte.is_ascii_graphic() || *byte == b' ' => quoted.push(*byte),
            byte => quoted.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_as_redis_users_expect() {
        let lines: &[(&str, &[&[u8]])] = &[
            ("", &[]),
            (" \t\r\n", &[]),
            ("port 6379\r", &[b"port", b"6379"]),
            ("  save\t3600  1 ", &[b"save", b"3600", b"1"]),
            ("save \"\"", &[b"save", b""]),
            ("a '' \"\"", &[b"a", b"", b""]),
            (r#"p "a \"b\" \\ \x41\xZ9 \n\r\t\b\a\q""#, &[b"p", b"a \"b\" \\ AxZ9 \n\r\t\x08\x07q"]),
            (r"p 'a \' \n'", &[b"p", br"a ' \n"]),
            (r#"p pre"fix ed""#, &[b"p", b"prefix ed"]),
            (r"p back\slash #", &[b"p", br"back\slash", b"#"]),
            ("p \"\u{e9}\"", &[b"p", "\u{e9}".as_bytes()]),
        ];
        for (line, expected) in lines {
            let args = split_args(line.as_bytes()).unwrap();
            assert_eq!(args, expected.to_vec(), "{line:?}");
        }
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in ["p \"abc", "p 'abc", "p \"abc\"d", "p 'a'b", "p \"abc\\", "p \"abc\\\"", "p \"a\"\"b\""]
        {
            assert_eq!(split_args(line.as_bytes()), Err(UnbalancedQuotes), "{line:?}");
        }
    }

    #[test]
    fn quotes_only_where_needed() {
        for (arg, expected) in
            [("abc", "abc"), ("", "\"\""), ("a b", "\"a b\""), ("#x", "\"#x\""), ("a\"", r#""a\"""#)]
        {
            assert_eq!(String::from_utf8(quote(arg.as_bytes())).unwrap(), expected);
        }
        assert_eq!(quote(b"\x00\xff"), br#""\x00\xff""#);
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(args: Vec<Vec<u8>>) {
            let line = args.iter().map(|arg| quote(arg)).collect::<Vec<_>>().join(&b' ');
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(split_args(&line), Ok(args));
        }

        #[test]
        fn any_line_is_taken_or_refused(line: Vec<u8>) {
            if let Ok(args) = split_args(&line) {
                prop_assert!(args.iter().map(Vec::len).sum::<usize>() <= line.len());
            }
        }
    }
}
