//! DEBUG PROTOCOL: a reply of each kind, for those who write clients.

use formats::resp::{Protocol, Reply};

pub const UNKNOWN: &str = "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|\
                           null|array|set|map|attrib|push|verbatim|true|false";

#[allow(clippy::approx_constant)] // that is what Redis answers
const DOUBLE: f64 = 3.141;
const BIG_NUMBER: &str = "1234567999999999999999999999999999999";

/// The reply of this kind; nothing if there is none.
pub fn example(kind: &[u8], protocol: Protocol) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, protocol);
    let is_resp3 = protocol == Protocol::Resp3;
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk_str("Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double(DOUBLE),
        b"bignum" if is_resp3 => reply.raw(format!("({BIG_NUMBER}\r\n").as_bytes()),
        b"bignum" => reply.bulk_str(BIG_NUMBER),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            if is_resp3 {
                reply.raw(b"|1\r\n");
                reply.bulk_str("key-popularity");
                reply.array(2);
                reply.bulk_str("key:123");
                reply.integer(90);
            }
            reply.bulk_str("Some real reply following the attribute");
        }
        b"push" if is_resp3 => {
            reply.raw(b">2\r\n");
            reply.bulk_str("server-cpu-usage");
            reply.integer(42);
            reply.bulk_str("Some real reply following the push reply");
        }
        b"push" => reply.error("ERR RESP2 is not supported by this command"),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => return None,
    }
    Some(out)
}
