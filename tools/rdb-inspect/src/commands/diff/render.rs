//! Differences as lines, for people or as JSON.

use std::io::Write;

use formats::rdb::KeyRecord;
use serde_json::{Map, Value, json};

use super::Args;
use super::value::{PartChange, ValueChange};
use crate::dates::utc;
use crate::failure::Failure;
use crate::json_text::text;
use crate::names;
use crate::output::Output;

pub(super) struct Renderer<'s> {
    args: &'s Args,
    output: Output,
    added: u64,
    removed: u64,
    changed: u64,
    /// Keys that were shown.
    shown: u64,
}

impl<'s> Renderer<'s> {
    pub(super) fn new(args: &'s Args, output: Output) -> Renderer<'s> {
        Renderer { args, output, added: 0, removed: 0, changed: 0, shown: 0 }
    }

    /// Whether one more key is to be shown.
    pub(super) fn wants_more(&self) -> bool {
        !self.args.summary_only && self.shown < self.args.limit
    }

    pub(super) fn added(&mut self, record: &KeyRecord<'_>) -> Result<(), Failure> {
        self.added += 1;
        self.one_sided(record, '+')
    }

    pub(super) fn removed(&mut self, record: &KeyRecord<'_>) -> Result<(), Failure> {
        self.removed += 1;
        self.one_sided(record, '-')
    }

    fn one_sided(&mut self, record: &KeyRecord<'_>, sign: char) -> Result<(), Failure> {
        if !self.wants_more() {
            return Ok(());
        }
        self.shown += 1;
        let key = names::kept(record.key);
        let kind = record.value.value_type().name();
        if self.args.json {
            let change = if sign == '+' { "added" } else { "removed" };
            let mut object = object(change, record, &key);
            object.insert("type".into(), kind.into());
            object.insert("expires_at".into(), record.expires_at_ms.into());
            return self.line(&Value::Object(object).to_string());
        }
        let expiry = record.expires_at_ms.map_or(String::new(), |at| format!(", expires {}", utc(at)));
        self.line(&format!("{sign} {}{} ({kind}{expiry})", database(record), names::shown(&key)))
    }

    /// A key that is in both; `change` if its values are of one type and differ.
    pub(super) fn changed(
        &mut self,
        before: &KeyRecord<'_>,
        after: &KeyRecord<'_>,
        expiry: bool,
        change: Option<ValueChange>,
    ) -> Result<(), Failure> {
        self.changed += 1;
        if !self.wants_more() {
            return Ok(());
        }
        self.shown += 1;
        match self.args.json {
            true => self.changed_json(before, after, expiry, change.as_ref()),
            false => self.changed_text(before, after, expiry, change.as_ref()),
        }
    }

    fn changed_text(
        &mut self,
        before: &KeyRecord<'_>,
        after: &KeyRecord<'_>,
        expiry: bool,
        change: Option<&ValueChange>,
    ) -> Result<(), Failure> {
        let (old, new) = (before.value.value_type().name(), after.value.value_type().name());
        let kind = if old == new { new.to_owned() } else { format!("{old} → {new}") };
        let mut facts = vec![kind];
        if expiry {
            let text = |at: Option<i64>| at.map_or("never".into(), utc);
            facts.push(format!("expires {} → {}", text(before.expires_at_ms), text(after.expires_at_ms)));
        }
        if self.args.encoding && before.value.kind != after.value.kind {
            facts.push(format!("{} → {}", before.value.kind.encoding(), after.value.kind.encoding()));
        }
        let key = names::of(after.key);
        self.line(&format!("~ {}{key} ({})", database(after), facts.join(", ")))?;
        let Some(change) = change else { return Ok(()) };
        change.parts.iter().try_for_each(|part| self.line(&part_text(part)))?;
        let left = change.added + change.removed + change.changed - change.parts.len() as u64;
        if change.too_long {
            self.line("    too long to say in which items")?;
        }
        if left > 0 {
            let ValueChange { added, removed, changed, .. } = change;
            self.line(&format!(
                "    and {left} more: {added} elements added, {removed} removed, {changed} changed in all"
            ))?;
        }
        Ok(())
    }

    fn changed_json(
        &mut self,
        before: &KeyRecord<'_>,
        after: &KeyRecord<'_>,
        expiry: bool,
        change: Option<&ValueChange>,
    ) -> Result<(), Failure> {
        let mut object = object("changed", after, &names::kept(after.key));
        object.insert("type".into(), after.value.value_type().name().into());
        if before.value.value_type() != after.value.value_type() {
            object.insert("old_type".into(), before.value.value_type().name().into());
        }
        if expiry {
            object.insert("expires_at".into(), after.expires_at_ms.into());
            object.insert("old_expires_at".into(), before.expires_at_ms.into());
        }
        if self.args.encoding && before.value.kind != after.value.kind {
            object.insert("encoding".into(), after.value.kind.encoding().into());
            object.insert("old_encoding".into(), before.value.kind.encoding().into());
        }
        if let Some(change) = change {
            let parts: Vec<Value> = change.parts.iter().map(part_json).collect();
            let elements = json!({
                "added": change.added, "removed": change.removed, "changed": change.changed, "first": parts,
            });
            object.insert("elements".into(), elements);
        }
        self.line(&Value::Object(object).to_string())
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let buffer = self.output.buffer();
        buffer.extend_from_slice(text.as_bytes());
        buffer.push(b'\n');
        self.output.flow()
    }

    /// Writes the counts; whether anything differs.
    pub(super) fn finish(mut self, same: u64) -> Result<bool, Failure> {
        let Renderer { added, removed, changed, .. } = self;
        let all = added + removed + changed;
        if self.args.json {
            let counts = json!({ "added": added, "removed": removed, "changed": changed, "same": same });
            writeln!(self.output, "{counts}").map_err(Failure::Output)?;
        } else {
            if !self.args.summary_only && all > self.shown {
                self.line(&format!("  {} keys more are not shown", all - self.shown))?;
            }
            self.line(&format!("{added} keys added, {removed} removed, {changed} changed, {same} the same"))?;
        }
        self.output.finish()?;
        Ok(all > 0)
    }
}

fn database(record: &KeyRecord<'_>) -> String {
    if record.db == 0 { String::new() } else { format!("[{}] ", record.db) }
}

fn object(change: &str, record: &KeyRecord<'_>, key: &[u8]) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("change".into(), change.into());
    object.insert("db".into(), record.db.into());
    object.insert("key".into(), text(key).into());
    object
}

fn part_text(part: &PartChange) -> String {
    let PartChange { sign, name, before, after } = part;
    let colon = if name.is_empty() || before.is_empty() && after.is_empty() { "" } else { ": " };
    match sign {
        '~' => format!("    ~ {name}{colon}{before} → {after}"),
        sign => format!("    {sign} {name}{colon}{before}{after}"),
    }
}

fn part_json(part: &PartChange) -> Value {
    let change = match part.sign {
        '+' => "added",
        '-' => "removed",
        _ => "changed",
    };
    json!({ "change": change, "name": part.name, "before": part.before, "after": part.after })
}
