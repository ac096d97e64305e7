//! Fields of `INFO`: lines of `name:value`, among headings and empty lines.

use std::collections::HashMap;
use std::io;

use formats::resp::Value;

use crate::compare::client::Client;

pub struct Info(HashMap<String, String>);

impl Info {
    pub fn ask(client: &mut Client, section: &str) -> io::Result<Info> {
        match client.ask(&["INFO", section])? {
            Value::Bulk(text) | Value::Verbatim { text, .. } => {
                Ok(Info::parse(&String::from_utf8_lossy(&text)))
            }
            other => Err(io::Error::other(format!("INFO answers {other:?}"))),
        }
    }

    fn parse(text: &str) -> Info {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Info(fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect())
    }

    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    pub fn number(&self, field: &str) -> Option<f64> {
        self.text(field)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_among_headings() {
        let info = Info::parse("# Persistence\r\nloading:0\r\n\r\nrdb_last_bgsave_status:ok\r\na:b:c\r\n");
        assert_eq!((info.number("loading"), info.text("a")), (Some(0.0), Some("b:c")));
        assert_eq!(info.text("rdb_last_bgsave_status"), Some("ok"));
        assert_eq!((info.number("rdb_last_bgsave_status"), info.number("# Persistence")), (None, None));
    }
}
