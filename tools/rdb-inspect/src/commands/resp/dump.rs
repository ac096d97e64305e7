//! Values that only RESTORE can set: those of modules, as DUMP would answer them.
//!
//! ```text
//! type │ value as in the file │ version u16 LE │ CRC-64 u64 LE of all before
//! ```

use formats::checksum::Crc64;
use formats::rdb::{KeyRecord, Version};

use super::commands::Commands;
use crate::content::PIECE_BYTES;
use crate::failure::Failure;
use crate::json_text::push_integer;

/// Bytes behind the value.
const FOOTER_BYTES: usize = 10;

/// Writes a RESTORE without an expiry.
pub fn write(commands: &mut Commands, record: &KeyRecord<'_>, version: Version) -> Result<(), Failure> {
    commands.on_key(4, b"RESTORE", record.key)?;
    commands.argument(b"0");
    let mut crc = Crc64::new();
    let kind = [record.value.kind.byte()];
    let version = version.number.to_le_bytes();
    let out = commands.output.buffer();
    out.push(b'$');
    push_integer(out, kind.len() + record.value.bytes.len() + FOOTER_BYTES);
    out.extend_from_slice(b"\r\n");
    for part in [&kind[..], record.value.bytes, &version] {
        for piece in part.chunks(PIECE_BYTES) {
            crc.update(piece);
            commands.output.buffer().extend_from_slice(piece);
            commands.output.flow()?;
        }
    }
    commands.output.buffer().extend_from_slice(&crc.value().to_le_bytes());
    commands.output.buffer().extend_from_slice(b"\r\n");
    Ok(())
}
