//! A pass over keys that ends as soon as enough was seen; without the checksum, which needs the whole file.

use std::ops::ControlFlow;

use formats::rdb::{Decoder, Item, KeyRecord};

use crate::failure::Failure;
use crate::input::Input;
use crate::interrupt;
use crate::progress::Progress;
use crate::walk::{Checksum, Damage, Findings};

/// Keys between two looks at the clock and at the signals.
const KEYS_BETWEEN_CHECKS: u64 = 1024;

/// Visits keys until `visit` breaks. What is wrong before that is told; what is behind it is not known.
pub fn seek<'a>(
    input: &'a Input,
    mut visit: impl FnMut(KeyRecord<'a>) -> Result<ControlFlow<()>, Failure>,
) -> Result<Findings, Failure> {
    let progress = Progress::new(input.len());
    let mut findings = Findings {
        version: None,
        damage: None,
        checksum: Checksum::Unknown,
        trailing_bytes: 0,
        command_bytes: 0,
        overlong: Default::default(),
    };
    let mut decoder = match Decoder::new(input.bytes()) {
        Ok(decoder) => decoder,
        Err(error) => {
            input.refuse_other_kinds()?;
            findings.damage = Some(Damage { error, key: None });
            return Ok(findings);
        }
    };
    findings.version = Some(decoder.version());
    let mut keys = 0;
    loop {
        match decoder.next_item() {
            Ok(Some(Item::Key(record))) => {
                if visit(record)?.is_break() {
                    return Ok(findings);
                }
                keys += 1;
                if u64::is_multiple_of(keys, KEYS_BETWEEN_CHECKS) {
                    interrupt::check()?;
                    progress.at(decoder.offset());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(findings),
            Err(error) => {
                findings.damage = Some(Damage::of_next(&decoder, error));
                return Ok(findings);
            }
        }
    }
}
