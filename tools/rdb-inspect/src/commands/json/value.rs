//! Writes values as JSON, element by element.
//!
//! Invariant: what is written is JSON whatever the content is: brackets that damage leaves open are closed.

use formats::rdb::string::StringBuffer;
use formats::rdb::value::{ModulePart, StreamGroup, StreamInfo};
use formats::rdb::{Element, RdbError, RdbString, Scratch, StreamId, Value, ValueKind, ValueType};

use crate::content::{Stop, damage_of};
use crate::failure::Failure;
use crate::json_text::{self, push_integer, push_number};
use crate::output::Output;

/// Writes the value; answers with the first damage that is in it.
pub fn write(
    output: &mut Output,
    value: &Value<'_>,
    scratch: &mut Scratch,
    buffer: &mut StringBuffer,
) -> Result<Option<RdbError>, Failure> {
    let mut damage = None;
    if let Some(string) = value.string() {
        json_text::string_or_null(output, string, buffer, &mut damage)?;
        return Ok(damage);
    }
    let mut writer = Elements { output, buffer, damage, is_first: true, open: Part::Entries };
    let (open, close): (&[u8], &[u8]) = match value.value_type() {
        ValueType::Hash => (b"{", b"}"),
        ValueType::Stream => (b"{\"entries\":[", b""),
        ValueType::Module => (b"{", b"]}"),
        _ => (b"[", b"]"),
    };
    writer.output.buffer().extend_from_slice(open);
    let end = damage_of(value.for_each(scratch, |element| writer.element(element)))?;
    writer.damage = writer.damage.or(end);
    match value.value_type() {
        ValueType::Stream => writer.close_stream(),
        _ => writer.output.buffer().extend_from_slice(close),
    }
    if may_expire(value.kind) {
        writer.field_expiries(value, scratch)?;
    }
    Ok(writer.damage)
}

/// Whether fields of this kind of value can have a time of expiry.
pub fn may_expire(kind: ValueKind) -> bool {
    matches!(
        kind,
        ValueKind::HashExpiring
            | ValueKind::HashListpackEx
            | ValueKind::HashExpiringPreGa
            | ValueKind::HashListpackExPreGa
            | ValueKind::ValkeyHashExpiring
    )
}

/// Which part of a stream is being written: what has to be closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Entries,
    Groups,
    Pending,
    ConsumerPending,
}

struct Elements<'w> {
    output: &'w mut Output,
    buffer: &'w mut StringBuffer,
    damage: Option<RdbError>,
    is_first: bool,
    open: Part,
}

impl Elements<'_> {
    fn element(&mut self, element: Element<'_>) -> Result<(), Stop> {
        match element {
            Element::String(item) | Element::ListItem(item) | Element::SetMember(item) => {
                self.comma();
                self.string(item)?;
            }
            Element::SortedSetMember { member, score } => {
                self.comma();
                self.bytes(b"[");
                self.string(member)?;
                self.bytes(b",");
                push_number(self.output.buffer(), score);
                self.bytes(b"]");
            }
            Element::HashField { field, value, .. } => {
                // A name that cannot be read would leave no place for its value.
                if let Err(error) = field.check() {
                    self.damage.get_or_insert(error);
                    return Ok(());
                }
                self.comma();
                self.string(field)?;
                self.bytes(b":");
                self.string(value)?;
            }
            Element::ModulePart(part) => self.module_part(part)?,
            stream => self.stream(stream)?,
        }
        Ok(self.output.flow()?)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.output.buffer().extend_from_slice(bytes);
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.output.buffer().push(b',');
        }
    }

    fn string(&mut self, string: RdbString<'_>) -> Result<(), Failure> {
        json_text::string_or_null(self.output, string, self.buffer, &mut self.damage)
    }

    fn id(&mut self, id: StreamId) {
        let out = self.output.buffer();
        out.push(b'"');
        push_integer(out, id.ms);
        out.push(b'-');
        push_integer(out, id.seq);
        out.push(b'"');
    }

    fn number(&mut self, name: &str, number: impl itoa::Integer) {
        self.bytes(b",\"");
        self.bytes(name.as_bytes());
        self.bytes(b"\":");
        push_integer(self.output.buffer(), number);
    }

    fn module_part(&mut self, part: ModulePart<'_>) -> Result<(), Failure> {
        if let ModulePart::Id(id) = part {
            self.bytes(b"\"module\":");
            json_text::push(self.output.buffer(), id.name().as_bytes());
            self.number("version", id.version());
            self.bytes(b",\"parts\":[");
            return Ok(());
        }
        self.comma();
        let name: &[u8] = match part {
            ModulePart::Signed(_) => b"{\"signed\":",
            ModulePart::Unsigned(_) => b"{\"unsigned\":",
            ModulePart::Float(_) => b"{\"float\":",
            ModulePart::Double(_) => b"{\"double\":",
            _ => b"{\"string\":",
        };
        self.bytes(name);
        match part {
            ModulePart::Signed(number) => push_integer(self.output.buffer(), number as i64),
            ModulePart::Unsigned(number) => push_integer(self.output.buffer(), number),
            ModulePart::Float(number) => push_number(self.output.buffer(), number.into()),
            ModulePart::Double(number) => push_number(self.output.buffer(), number),
            ModulePart::String(string) => self.string(string)?,
            ModulePart::Id(_) => {}
        }
        self.bytes(b"}");
        Ok(())
    }

    fn stream(&mut self, element: Element<'_>) -> Result<(), Failure> {
        match element {
            Element::StreamEntry { id, fields } => {
                self.comma();
                self.bytes(b"{\"id\":");
                self.id(id);
                self.bytes(b",\"fields\":[");
                for (i, (field, value)) in fields.enumerate() {
                    self.bytes(if i == 0 { b"[" } else { b",[" });
                    self.string(field)?;
                    self.bytes(b",");
                    self.string(value)?;
                    self.bytes(b"]");
                }
                self.bytes(b"]}");
            }
            Element::StreamInfo(info) => self.stream_info(info),
            Element::StreamGroup(group) => self.stream_group(group)?,
            Element::StreamPending(pending) => {
                self.comma();
                self.bytes(b"{\"id\":");
                self.id(pending.id);
                self.number("delivered_at", pending.delivered_at_ms);
                self.number("deliveries", pending.deliveries);
                self.bytes(b"}");
            }
            Element::StreamConsumer(consumer) => {
                match self.open {
                    Part::ConsumerPending => self.bytes(b"]},"),
                    _ => self.bytes(b"],\"consumers\":["),
                }
                self.bytes(b"{\"name\":");
                self.string(consumer.name)?;
                self.number("seen_at", consumer.seen_at_ms);
                if let Some(at) = consumer.active_at_ms {
                    self.number("active_at", at);
                }
                self.bytes(b",\"pending\":[");
                self.open_part(Part::ConsumerPending);
            }
            Element::StreamConsumerPending(id) => {
                self.comma();
                self.id(id);
            }
            _ => {}
        }
        Ok(())
    }

    fn open_part(&mut self, part: Part) {
        self.open = part;
        self.is_first = true;
    }

    fn stream_info(&mut self, info: StreamInfo) {
        self.bytes(b"]");
        self.number("length", info.length);
        let ids = [
            (&b",\"last_id\":"[..], Some(info.last_id)),
            (b",\"first_id\":", info.first_id),
            (b",\"max_deleted_id\":", info.max_deleted_id),
        ];
        for (name, id) in ids {
            if let Some(id) = id {
                self.bytes(name);
                self.id(id);
            }
        }
        if let Some(added) = info.entries_added {
            self.number("entries_added", added);
        }
        self.bytes(b",\"groups\":[");
        self.open_part(Part::Groups);
    }

    fn stream_group(&mut self, group: StreamGroup<'_>) -> Result<(), Failure> {
        if self.open != Part::Groups {
            self.close_group();
            self.bytes(b",");
        }
        self.bytes(b"{\"name\":");
        self.string(group.name)?;
        self.bytes(b",\"last_id\":");
        self.id(group.last_id);
        if let Some(read) = group.entries_read {
            self.number("entries_read", read);
        }
        self.bytes(b",\"pending\":[");
        self.open_part(Part::Pending);
        Ok(())
    }

    fn close_group(&mut self) {
        self.bytes(match self.open {
            Part::Pending => b"],\"consumers\":[]}",
            _ => b"]}]}",
        });
    }

    fn close_stream(&mut self) {
        match self.open {
            Part::Entries => {}
            Part::Groups => {}
            _ => self.close_group(),
        }
        self.bytes(b"]}");
    }

    /// A second pass, so that the expiries need not be kept in memory.
    fn field_expiries(&mut self, value: &Value<'_>, scratch: &mut Scratch) -> Result<(), Failure> {
        let mut any = false;
        let end = value.for_each(scratch, |element| {
            if let Element::HashField { field, expires_at_ms: Some(at), .. } = element {
                if field.check().is_err() {
                    return Ok(()); // the first pass has noted it
                }
                self.bytes(if any { b"," } else { b",\"field_expires_at\":{" });
                any = true;
                self.string(field)?;
                self.bytes(b":");
                push_integer(self.output.buffer(), at);
                self.output.flow()?;
            }
            Ok::<_, Stop>(())
        });
        damage_of(end)?;
        if any {
            self.bytes(b"}");
        }
        Ok(())
    }
}
