//! `bigkeys`: the largest keys of each type.

use formats::rdb::ValueType;
use serde::Serialize;

use crate::cli::{Destination, Files};
use crate::estimate::{Estimate, Estimated, Scale, Totals};
use crate::failure::{Failure, Verdict};
use crate::json_text;
use crate::names;
use crate::table::{Align, Table};
use crate::text::{bytes, count};
use crate::top::{self, Top};

/// Show the largest keys of each type, by memory and by number of elements
///
/// What redis-cli --bigkeys and --memkeys look for with samples from a running server is found here in all keys: for
/// each type the keys that take the most memory in Redis 7.0, and those with the most items, members, fields or entries
/// (strings: the longest values). The estimate is that of `rdb-inspect memory`. Needs memory for the keys that are shown.
///
/// Examples:
///   rdb-inspect bigkeys dump.rdb
///   rdb-inspect bigkeys dump.rdb --top 100 --type zset --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// So many keys of each type
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = top::parse_limit)]
    top: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    estimate: Estimate,
}

/// Bytes of a key's name that are kept: fourteen long lists of names would be too much otherwise.
const KEPT_NAME: usize = 256;

/// A key that is shown.
#[derive(Serialize)]
struct BigKey {
    db: u64,
    key: String,
    /// Bytes of the key, of which `key` shows the first.
    key_bytes: u64,
    encoding: &'static str,
    elements: u64,
    file_bytes: u64,
    redis_bytes: u64,
    everfast_bytes: u64,
    longest_element_bytes: u64,
    expires_at_ms: Option<i64>,
}

struct OfType {
    totals: Totals,
    by_memory: Top<BigKey>,
    by_elements: Top<BigKey>,
}

#[derive(Serialize)]
struct TypeReport {
    #[serde(rename = "type")]
    value_type: &'static str,
    keys: u64,
    elements: u64,
    redis_bytes: u64,
    by_memory: Vec<BigKey>,
    by_elements: Vec<BigKey>,
}

#[derive(Serialize)]
struct Report {
    /// Whether the sums were scaled up from a sample.
    estimate: bool,
    types: Vec<TypeReport>,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = args.destination.open()?;
    let mut by_type = ValueType::ALL.map(|_| OfType {
        totals: Totals::default(),
        by_memory: Top::new(args.top),
        by_elements: Top::new(args.top),
    });
    let verdict = args.estimate.for_each(&args.files.files, |mut key| {
        by_type[key.record.value.value_type() as usize].add(&mut key);
        Ok(())
    })?;
    let scale = args.estimate.scale();
    let types = ValueType::ALL.into_iter().zip(by_type).filter(|(_, found)| found.totals.keys > 0);
    let report = Report {
        estimate: scale.is_estimate(),
        types: types.map(|(value_type, found)| found.report(value_type, scale)).collect(),
    };
    if args.json {
        serde_json::to_writer(output.buffer(), &report).map_err(|error| Failure::Output(error.into()))?;
        output.buffer().push(b'\n');
    } else {
        write_tables(&report, output.buffer());
    }
    output.finish()?;
    Ok(verdict)
}

impl OfType {
    fn add(&mut self, key: &mut Estimated<'_, '_>) {
        self.totals.add(key.record, &key.footprint);
        let (memory, elements) = (key.footprint.redis_bytes, key.footprint.elements);
        let value = &key.record.value;
        let elements = match value.value_type() {
            // They have one element: the length tells more.
            ValueType::String => value.string().map_or(0, |string| string.len() as u64),
            ValueType::Module => value.bytes.len() as u64,
            _ => elements,
        };
        if self.by_memory.takes(memory) {
            self.by_memory.offer(memory, || BigKey::of(key));
        }
        if self.by_elements.takes(elements) {
            self.by_elements.offer(elements, || BigKey::of(key));
        }
    }

    fn report(self, value_type: ValueType, scale: Scale) -> TypeReport {
        let totals = scale.totals(&self.totals);
        TypeReport {
            value_type: value_type.name(),
            keys: totals.keys,
            elements: totals.elements,
            redis_bytes: totals.redis_bytes,
            by_memory: self.by_memory.into_sorted(),
            by_elements: self.by_elements.into_sorted(),
        }
    }
}

impl BigKey {
    fn of(key: &mut Estimated<'_, '_>) -> BigKey {
        let (record, footprint) = (key.record, &key.footprint);
        BigKey {
            db: record.db,
            key: json_text::text(names::cut(key.name, KEPT_NAME)),
            key_bytes: record.key.len() as u64,
            encoding: footprint.encoding,
            elements: footprint.elements,
            file_bytes: record.bytes.len() as u64,
            redis_bytes: footprint.redis_bytes,
            everfast_bytes: footprint.everfast_bytes,
            longest_element_bytes: key.model.longest_element(record),
            expires_at_ms: record.expires_at_ms,
        }
    }
}

fn write_tables(report: &Report, out: &mut Vec<u8>) {
    let mark = if report.estimate { "~" } else { "" };
    for found in &report.types {
        let head = format!(
            "{}: {mark}{} keys, {mark}{} elements, {mark}{} in Redis\n",
            found.value_type,
            count(found.keys),
            count(found.elements),
            bytes(found.redis_bytes)
        );
        out.extend_from_slice(head.as_bytes());
        let one_element = matches!(found.value_type, "string" | "module");
        write_table("  by memory", &found.by_memory, out);
        write_table(if one_element { "  by length" } else { "  by elements" }, &found.by_elements, out);
        out.push(b'\n');
    }
    if report.estimate {
        out.extend_from_slice(b"~ scaled up from a sample; the largest keys are those of the sample\n");
    }
}

fn write_table(title: &str, keys: &[BigKey], out: &mut Vec<u8>) {
    use Align::{Left, Right};
    let header = [title, "redis", "everfast", "in file", "elements", "longest", "encoding", "db", "key"];
    let mut table = Table::new(header, [Left, Right, Right, Right, Right, Right, Left, Right, Left]);
    for (rank, key) in keys.iter().enumerate() {
        let cut = if key.key_bytes > KEPT_NAME as u64 { "…" } else { "" };
        table.row([
            format!("  {}", rank + 1),
            bytes(key.redis_bytes),
            bytes(key.everfast_bytes),
            bytes(key.file_bytes),
            count(key.elements),
            bytes(key.longest_element_bytes),
            key.encoding.to_owned(),
            key.db.to_string(),
            format!("{}{cut}", key.key),
        ]);
    }
    table.write(out);
}
