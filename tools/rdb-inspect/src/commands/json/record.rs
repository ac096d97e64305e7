//! Writes one key as a JSON object.

use formats::rdb::string::StringBuffer;
use formats::rdb::{KeyRecord, RdbError, Scratch};

use super::value;
pub use super::value::may_expire;
use crate::content::encoding;
use crate::failure::Failure;
use crate::json_text;
use crate::output::Output;

/// Writes records, with buffers that it uses again.
pub struct Writer {
    /// What comes before the database.
    head: Vec<u8>,
    with_value: bool,
    scratch: Scratch,
    buffer: StringBuffer,
}

impl Writer {
    /// `head`: how a record begins, up to the number of its database.
    pub fn new(head: Vec<u8>, with_value: bool) -> Writer {
        Writer { head, with_value, scratch: Scratch::default(), buffer: StringBuffer::default() }
    }

    /// Writes the record; answers with the damage that is in it.
    pub fn record(
        &mut self,
        output: &mut Output,
        record: &KeyRecord<'_>,
    ) -> Result<Option<RdbError>, Failure> {
        let mut damage = None;
        let out = output.buffer();
        out.extend_from_slice(&self.head);
        json_text::push_integer(out, record.db);
        out.extend_from_slice(b",\"key\":");
        json_text::string_or_null(output, record.key, &mut self.buffer, &mut damage)?;
        facts(output.buffer(), record);
        if self.with_value {
            output.buffer().extend_from_slice(b",\"value\":");
            let error = value::write(output, &record.value, &mut self.scratch, &mut self.buffer)?;
            damage = damage.or(error);
        }
        if let Some(error) = &damage {
            output.buffer().extend_from_slice(b",\"error\":");
            json_text::push(output.buffer(), error.to_string().as_bytes());
        }
        output.buffer().push(b'}');
        Ok(damage)
    }
}

fn facts(out: &mut Vec<u8>, record: &KeyRecord<'_>) {
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(record.value.value_type().name().as_bytes());
    out.extend_from_slice(b"\",\"encoding\":\"");
    out.extend_from_slice(encoding(&record.value).as_bytes());
    out.extend_from_slice(b"\",\"bytes\":");
    json_text::push_integer(out, record.bytes.len());
    if let Some(at) = record.expires_at_ms {
        out.extend_from_slice(b",\"expires_at\":");
        json_text::push_integer(out, at);
    }
    if let Some(seconds) = record.idle_seconds {
        out.extend_from_slice(b",\"idle\":");
        json_text::push_integer(out, seconds);
    }
    if let Some(frequency) = record.frequency {
        out.extend_from_slice(b",\"freq\":");
        json_text::push_integer(out, frequency);
    }
}
