//! `prefixes`: memory by the beginnings of keys.

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::{Destination, Files};
use crate::csv_text;
use crate::estimate::{Estimate, Estimated, Scale};
use crate::failure::{Failure, Verdict};
use crate::json_text;
use crate::output::Output;
use crate::prefix_tree::{Branch, MAX_DEPTH, PrefixTree, Rule, View};
use crate::table::{Align, Table};
use crate::text::{bytes, count};

/// Show the memory that keys take by their prefixes
///
/// Keys are parted behind each separator, and a tree of their beginnings is shown: keys, bytes, and the share of all
/// bytes. A part that is a number, or eight or more hexadecimal digits (a UUID), is shown as `*`, so that user:1:cart and
/// user:2:cart come together as user:*:. What a prefix has beyond those below it are keys that end there.
///
/// With --radix no separator is needed: keys are parted where they differ.
///
/// The tree has at most --nodes nodes. When it is full, its lightest half is merged into the `(other)` of the prefixes above, and
/// the output says so. Then a figure may be too low, though by no more than the `(other)` of the prefixes above it, which also
/// counts what --top and --min-share leave out; it is never too high. Takes about 500 bytes for each node, 10 MB by default.
///
/// Examples:
///   rdb-inspect prefixes dump.rdb --depth 2
///   rdb-inspect prefixes dump.rdb --separator : --separator . --min-share 1
///   rdb-inspect prefixes dump.rdb --radix --type string --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// An ASCII character behind which keys are parted; may be repeated
    #[arg(long, value_name = "CHARACTER", default_value = ":", value_parser = parse_separator)]
    separator: Vec<u8>,
    /// Part keys where they differ, without separators
    #[arg(long, conflicts_with_all = ["separator", "keep_numbers"])]
    radix: bool,
    /// Levels of prefixes, up to 64; 3, or all with --radix, unless given
    #[arg(long, value_name = "LEVELS", value_parser = clap::value_parser!(u16).range(1..=MAX_DEPTH as i64))]
    depth: Option<u16>,
    /// Do not take parts that are numbers together as `*`
    #[arg(long)]
    keep_numbers: bool,
    /// Show at most so many prefixes below another
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    top: usize,
    /// Show prefixes from this share of all bytes on, in percent; 0.1 unless given, 1 with --radix
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    min_share: Option<f64>,
    /// Most nodes of the tree
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(256..=100_000))]
    nodes: u32,
    /// Which bytes are summed up
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Print nested JSON objects: name, prefix, keys, bytes, share, children
    #[arg(long)]
    json: bool,
    /// Print CSV: prefix, level, keys, bytes, share. Prefixes are written as keys in `rdb-inspect memory`; the last line
    /// below a prefix may be its (other)
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    estimate: Estimate,
}

/// What is summed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum By {
    /// Memory in Redis 7.0
    #[default]
    Redis,
    /// Memory in Everfast
    Everfast,
    /// Bytes of the records in the file
    File,
}

impl By {
    fn bytes(self, key: &Estimated<'_, '_>) -> u64 {
        match self {
            By::Redis => key.footprint.redis_bytes,
            By::Everfast => key.footprint.everfast_bytes,
            By::File => key.record.bytes.len() as u64,
        }
    }
}

/// One ASCII character.
pub fn parse_separator(text: &str) -> Result<u8, String> {
    match *text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(byte),
        _ => Err("one ASCII character".into()),
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "a share from 0 to 100 percent, such as 0.5".into())
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = args.destination.open()?;
    let mut tree = PrefixTree::new(args.rule(), args.nodes as usize);
    let verdict = args.estimate.for_each(&args.files.files, |key| {
        tree.add(key.name, key.record.value.value_type(), args.by.bytes(&key));
        Ok(())
    })?;
    let shown = Shown {
        scale: args.estimate.scale(),
        total: tree.total().bytes(),
        merges: tree.merges(),
        root: tree.branch(&args.view(tree.total().bytes())),
    };
    match (args.json, args.csv) {
        (true, _) => shown.write_json(&mut output)?,
        (_, true) => shown.write_csv(output.buffer()),
        _ => shown.write_table(output.buffer()),
    }
    output.finish()?;
    Ok(verdict)
}

impl Args {
    fn rule(&self) -> Rule {
        if self.radix {
            return Rule::Radix;
        }
        Rule::Separators {
            separators: self.separator.clone(),
            depth: self.levels(),
            joins_numbers: !self.keep_numbers,
        }
    }

    fn levels(&self) -> usize {
        self.depth.map_or(if self.radix { MAX_DEPTH } else { 3 }, usize::from)
    }

    fn view(&self, total_bytes: u64) -> View {
        let percent = self.min_share.unwrap_or(if self.radix { 1.0 } else { 0.1 });
        let least_bytes = (total_bytes as f64 * percent / 100.0).ceil() as u64;
        View { top: self.top, least_bytes, depth: self.levels() }
    }
}

/// What is printed, in whichever form.
struct Shown {
    scale: Scale,
    total: u64,
    merges: u64,
    root: Branch,
}

#[derive(Serialize)]
struct JsonTree {
    /// Whether the figures were scaled up from a sample.
    estimate: bool,
    /// How often light prefixes were merged; 0 if all figures are exact.
    merges: u64,
    tree: JsonNode,
}

#[derive(Serialize)]
struct JsonNode {
    name: String,
    prefix: String,
    keys: u64,
    bytes: u64,
    share: f64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<JsonNode>,
}

impl Shown {
    fn share(&self, bytes: u64) -> f64 {
        if self.total == 0 { 0.0 } else { bytes as f64 / self.total as f64 }
    }

    /// Shows all branches with their prefixes, a parent before its children.
    fn each<'b>(
        &self,
        branch: &'b Branch,
        level: usize,
        prefix: &mut Vec<u8>,
        visit: &mut impl FnMut(&'b Branch, usize, &[u8]),
    ) {
        let length = prefix.len();
        prefix.extend_from_slice(&branch.name);
        visit(branch, level, prefix);
        branch.children.iter().for_each(|child| self.each(child, level + 1, prefix, visit));
        prefix.truncate(length);
    }

    fn write_table(&self, out: &mut Vec<u8>) {
        use Align::{Left, Right};
        let mut table = Table::new(["share", "bytes", "keys", "prefix"], [Right, Right, Right, Left]);
        let mark = if self.scale.is_estimate() { "~" } else { "" };
        self.each(&self.root, 0, &mut Vec::new(), &mut |branch, level, prefix| {
            let name = match (level, branch.is_other) {
                (0, _) => "(all)".to_owned(),
                (_, true) => format!("{:1$}(other)", "", 2 * level),
                _ => format!("{:2$}{}", "", json_text::text(prefix), 2 * level),
            };
            table.row([
                format!("{:.1} %", 100.0 * self.share(branch.sum.bytes())),
                format!("{mark}{}", bytes(self.scale.up(branch.sum.bytes()))),
                format!("{mark}{}", count(self.scale.up(branch.sum.keys))),
                name,
            ]);
        });
        table.write(out);
        if self.merges > 0 {
            out.extend_from_slice(
                b"The tree was full: figures may be too low, by no more than the (other) above.\n",
            );
        }
        if self.scale.is_estimate() {
            out.extend_from_slice(b"~ scaled up from a sample\n");
        }
    }

    fn write_csv(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"prefix,level,keys,bytes,share\n");
        self.each(&self.root, 0, &mut Vec::new(), &mut |branch, level, prefix| {
            csv_text::push(out, prefix);
            if branch.is_other {
                out.extend_from_slice(b"(other)");
            }
            let (keys, bytes) = (self.scale.up(branch.sum.keys), self.scale.up(branch.sum.bytes()));
            let line = format!(",{level},{keys},{bytes},{:.6}\n", self.share(branch.sum.bytes()));
            out.extend_from_slice(line.as_bytes());
        });
    }

    fn write_json(&self, output: &mut Output) -> Result<(), Failure> {
        let tree = JsonTree {
            estimate: self.scale.is_estimate(),
            merges: self.merges,
            tree: self.json_node(&self.root, &mut Vec::new()),
        };
        serde_json::to_writer(output.buffer(), &tree).map_err(|error| Failure::Output(error.into()))?;
        output.buffer().push(b'\n');
        Ok(())
    }

    fn json_node(&self, branch: &Branch, prefix: &mut Vec<u8>) -> JsonNode {
        let length = prefix.len();
        prefix.extend_from_slice(&branch.name);
        let node = JsonNode {
            name: if branch.is_other { "(other)".into() } else { json_text::text(&branch.name) },
            prefix: json_text::text(prefix),
            keys: self.scale.up(branch.sum.keys),
            bytes: self.scale.up(branch.sum.bytes()),
            share: self.share(branch.sum.bytes()),
            other: branch.is_other,
            children: branch.children.iter().map(|child| self.json_node(child, prefix)).collect(),
        };
        prefix.truncate(length);
        node
    }
}
