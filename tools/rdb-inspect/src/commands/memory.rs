//! `memory`: what every key takes in memory, as CSV or summed up.

use formats::rdb::ValueType;

use crate::cli::{Destination, Files};
use crate::csv_text;
use crate::estimate::{Estimate, Estimated, Scale, Totals};
use crate::failure::{Failure, Verdict};
use crate::json_text;
use crate::memory::everfast_stores;
use crate::names;
use crate::output::Output;
use crate::table::{Align, Table};
use crate::text::{bytes, count};
use crate::top::{self, Top};

/// Estimate the memory that each key takes
///
/// Prints CSV with a line for each key:
///
///   db, type, key, encoding, elements, file_bytes, redis_bytes, everfast_bytes, expires_at_ms
///
/// encoding is the one that Redis 7.0 has after loading the file with default limits, as OBJECT ENCODING names it.
/// elements are items, members, fields or entries; 1 for a string. file_bytes is the length of the record in the file.
/// redis_bytes is what used_memory grows by for the key in 64-bit Redis 7.0: key, value, table entries, expiry, each
/// rounded up to the allocator's size class. Only the heights of nodes in sorted sets are averages; against real servers
/// sums were off by less than 1 %. everfast_bytes is what Everfast needs on average; for types other than strings, which it
/// does not store yet, it is as if the elements were packed into one string. expires_at_ms are milliseconds since 1970,
/// empty if the key does not expire.
///
/// A key that is no UTF-8, or begins with `base64:`, is printed as `base64:` and the base64 of its bytes. Fields with
/// commas, quotes or line breaks are quoted as in RFC 4180. Of a key longer than 1 MiB the first 1 MiB is printed.
///
/// Examples:
///   rdb-inspect memory dump.rdb --output memory.csv
///   rdb-inspect memory dump.rdb --top 20 --type hash
///   rdb-inspect memory dump.rdb --total --sample 0.01
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    destination: Destination,
    /// Show the so many largest keys as a table, in place of CSV of all
    #[arg(long, value_name = "COUNT", conflicts_with = "total", value_parser = top::parse_limit)]
    top: Option<usize>,
    /// Show only sums by type; scaled up to all keys, and marked with ~, where --sample is used
    #[arg(long)]
    total: bool,
    #[command(flatten)]
    estimate: Estimate,
}

/// Bytes of a key's name that a table shows.
const SHOWN_NAME: usize = 256;
const HEADER: &[u8] = b"db,type,key,encoding,elements,file_bytes,redis_bytes,everfast_bytes,expires_at_ms\n";

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = args.destination.open()?;
    let verdict = match args.top {
        Some(limit) => largest(args, limit, &mut output)?,
        None if args.total => total(args, &mut output)?,
        None => csv(args, &mut output)?,
    };
    output.finish()?;
    Ok(verdict)
}

fn csv(args: &Args, output: &mut Output) -> Result<Verdict, Failure> {
    output.buffer().extend_from_slice(HEADER);
    args.estimate.for_each(&args.files.files, |key| {
        push_line(&key, output.buffer());
        output.flow()
    })
}

#[inline]
fn push_line(key: &Estimated<'_, '_>, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let mut number = |number: u64, out: &mut Vec<u8>| {
        out.extend_from_slice(digits.format(number).as_bytes());
        out.push(b',');
    };
    let footprint = &key.footprint;
    number(key.record.db, out);
    out.extend_from_slice(key.record.value.value_type().name().as_bytes());
    out.push(b',');
    csv_text::push(out, key.name);
    out.push(b',');
    out.extend_from_slice(footprint.encoding.as_bytes());
    out.push(b',');
    number(footprint.elements, out);
    number(key.record.bytes.len() as u64, out);
    number(footprint.redis_bytes, out);
    number(footprint.everfast_bytes, out);
    if let Some(at) = key.record.expires_at_ms {
        out.extend_from_slice(itoa::Buffer::new().format(at).as_bytes());
    }
    out.push(b'\n');
}

fn largest(args: &Args, limit: usize, output: &mut Output) -> Result<Verdict, Failure> {
    let mut top = Top::new(limit);
    let verdict = args.estimate.for_each(&args.files.files, |key| {
        let Estimated { record, name, footprint, .. } = key;
        top.offer(footprint.redis_bytes, || {
            [
                bytes(footprint.redis_bytes),
                bytes(footprint.everfast_bytes),
                bytes(record.bytes.len() as u64),
                record.db.to_string(),
                record.value.value_type().name().to_owned(),
                footprint.encoding.to_owned(),
                count(footprint.elements),
                json_text::text(names::cut(name, SHOWN_NAME)),
            ]
        });
        Ok(())
    })?;
    use Align::{Left, Right};
    let mut table = Table::new(
        ["redis", "everfast", "in file", "db", "type", "encoding", "elements", "key"],
        [Right, Right, Right, Right, Left, Left, Right, Left],
    );
    top.into_sorted().into_iter().for_each(|row| table.row(row));
    table.write(output.buffer());
    Ok(verdict)
}

fn total(args: &Args, output: &mut Output) -> Result<Verdict, Failure> {
    let mut by_type = [Totals::default(); ValueType::ALL.len()];
    let verdict = args.estimate.for_each(&args.files.files, |key| {
        by_type[key.record.value.value_type() as usize].add(key.record, &key.footprint);
        Ok(())
    })?;
    let scale = args.estimate.scale();
    use Align::{Left, Right};
    let mut table = Table::new(
        ["type", "keys", "elements", "in file", "redis", "everfast"],
        [Left, Right, Right, Right, Right, Right],
    );
    let mut sum = Totals::default();
    for (value_type, totals) in ValueType::ALL.into_iter().zip(&by_type).filter(|(_, totals)| totals.keys > 0)
    {
        let planned = !everfast_stores(value_type);
        table.row(total_row(value_type.name(), &scale.totals(totals), scale, planned));
        sum.keys += totals.keys;
        sum.elements += totals.elements;
        sum.file_bytes += totals.file_bytes;
        sum.redis_bytes = sum.redis_bytes.saturating_add(totals.redis_bytes);
        sum.everfast_bytes = sum.everfast_bytes.saturating_add(totals.everfast_bytes);
    }
    let planned =
        by_type.iter().zip(ValueType::ALL).any(|(totals, kind)| totals.keys > 0 && !everfast_stores(kind));
    table.row(total_row("all", &scale.totals(&sum), scale, planned));
    table.write(output.buffer());
    if planned {
        output.buffer().extend_from_slice(b"* not stored by Everfast yet: as if packed into one string\n");
    }
    if scale.is_estimate() {
        output.buffer().extend_from_slice(b"~ scaled up from a sample\n");
    }
    Ok(verdict)
}

fn total_row(name: &str, totals: &Totals, scale: Scale, planned: bool) -> [String; 6] {
    let mark = if scale.is_estimate() { "~" } else { "" };
    let star = if planned { "*" } else { " " };
    [
        name.to_owned(),
        format!("{mark}{}", count(totals.keys)),
        format!("{mark}{}", count(totals.elements)),
        format!("{mark}{}", bytes(totals.file_bytes)),
        format!("{mark}{}", bytes(totals.redis_bytes)),
        format!("{mark}{}{star}", bytes(totals.everfast_bytes)),
    ]
}
