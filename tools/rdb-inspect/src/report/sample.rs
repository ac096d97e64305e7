//! Reports to look at and to test with: a web shop's keys with skewed sizes, and the extremes.

use std::collections::BTreeMap;

use super::data::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const REFERENCE_MS: u64 = 1_772_358_300_000;
/// Children of one node that stay apart.
const MOST_CHILDREN: usize = 24;
const NO_LIFE: u64 = 0;

/// A kind of key: how often it occurs, how big it gets, how long it lives.
struct Kind {
    name: fn(&mut Random) -> String,
    weight: u64,
    key_type: KeyType,
    /// Encoding below and from 4 KiB on.
    encodings: [&'static str; 2],
    /// Powers of two between which sizes lie, most at the lower end.
    size_bits: (u64, u64),
    /// Longest time to live in days; [`NO_LIFE`] for none.
    days: u64,
}

const KINDS: [Kind; 13] = [
    kind(|r| format!("session:{:016x}", r.next()), 300, KeyType::String, ["raw", "raw"], (8, 12), 14),
    kind(
        |r| format!("user:{}:profile", r.id()),
        150,
        KeyType::Hash,
        ["listpack", "hashtable"],
        (9, 14),
        NO_LIFE,
    ),
    kind(
        |r| format!("user:{}:settings", r.id()),
        80,
        KeyType::Hash,
        ["listpack", "listpack"],
        (8, 10),
        NO_LIFE,
    ),
    kind(
        |r| format!("user:{}:followers", r.id()),
        50,
        KeyType::Set,
        ["intset", "hashtable"],
        (8, 22),
        NO_LIFE,
    ),
    kind(|r| format!("cart:{}", r.id()), 90, KeyType::Hash, ["listpack", "hashtable"], (8, 13), 7),
    kind(
        |r| format!("feed:{}:home", r.id()),
        70,
        KeyType::List,
        ["listpack", "quicklist"],
        (10, 19),
        NO_LIFE,
    ),
    kind(
        |r| format!("feed:{}:mentions", r.id()),
        30,
        KeyType::List,
        ["listpack", "quicklist"],
        (9, 15),
        NO_LIFE,
    ),
    kind(|r| format!("cache:page:/{}", r.path()), 110, KeyType::String, ["raw", "raw"], (11, 18), 1),
    kind(|r| format!("cache:fragment:{}", r.path()), 60, KeyType::String, ["raw", "raw"], (9, 14), 2),
    kind(
        |r| format!("ratelimit:10.{}.{}", r.below(16), r.id()),
        120,
        KeyType::String,
        ["int", "int"],
        (6, 7),
        1,
    ),
    kind(
        |r| format!("leaderboard:{}:{}", r.pick(&["daily", "weekly", "all"]), r.below(400)),
        12,
        KeyType::SortedSet,
        ["listpack", "skiplist"],
        (10, 23),
        60,
    ),
    kind(
        |r| format!("queue:{}:{}", r.pick(&["mail", "thumbnails", "billing"]), r.below(12)),
        1,
        KeyType::Stream,
        ["stream", "stream"],
        (14, 24),
        NO_LIFE,
    ),
    kind(|r| format!("lock:order-{}", r.id()), 25, KeyType::String, ["embstr", "embstr"], (6, 7), 1),
];

const fn kind(
    name: fn(&mut Random) -> String,
    weight: u64,
    key_type: KeyType,
    encodings: [&'static str; 2],
    size_bits: (u64, u64),
    days: u64,
) -> Kind {
    Kind { name, weight, key_type, encodings, size_bits, days }
}

/// xorshift64: the same report in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn id(&mut self) -> u64 {
        100_000 + self.below(900_000)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }

    fn path(&mut self) -> String {
        let shelf = self.pick(&["garden", "kitchen", "books", "music", "sports/outdoor", "toys"]);
        format!("{}/{}/{}", self.pick(&["en", "de", "fr", "ja"]), shelf, self.below(5000))
    }

    /// A size between two powers of two; three further bits are a quarter as likely.
    fn size(&mut self, (low, high): (u64, u64)) -> u64 {
        let rare = (self.next() | 1 << 40).trailing_zeros() as u64;
        let bits = (low + rare * 3 / 2 + self.below(2)).min(high);
        (1 << bits) + self.below(1 << bits)
    }
}

/// A tree while it grows.
#[derive(Default)]
struct Branch {
    keys: u64,
    type_bytes: [u64; KeyType::COUNT],
    children: BTreeMap<String, Branch>,
}

impl Branch {
    fn add(&mut self, key: &str, key_type: KeyType, bytes: u64) {
        self.keys += 1;
        self.type_bytes[key_type.index()] += bytes;
        if let Some(at) = key.find([':', '/']) {
            let (name, rest) = key.split_at(at + 1);
            let varies = name.len() > 3 && name[..at].bytes().all(|byte| byte.is_ascii_digit());
            let name = if varies { "*:" } else { name };
            self.children.entry(name.to_owned()).or_default().add(rest, key_type, bytes);
        } else if (1..12).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_lowercase()) {
            self.children.entry(key.to_owned()).or_default().add("", key_type, bytes);
        }
    }

    fn bytes(&self) -> u64 {
        self.type_bytes.iter().sum()
    }

    fn merge(&mut self, other: &Branch) {
        self.keys += other.keys;
        for (sum, part) in self.type_bytes.iter_mut().zip(other.type_bytes) {
            *sum += part;
        }
    }

    fn node(&self, name: &str) -> PrefixNode {
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_by_key(|(_, branch)| std::cmp::Reverse(branch.bytes()));
        let mut other = Branch::default();
        for (_, branch) in children.iter().skip(MOST_CHILDREN) {
            other.merge(branch);
        }
        let mut nodes: Vec<_> =
            children.iter().take(MOST_CHILDREN).map(|(name, branch)| branch.node(name)).collect();
        if other.keys > 0 {
            nodes.push(PrefixNode { merged: true, ..other.node("(other)") });
        }
        PrefixNode {
            name: name.into(),
            keys: self.keys,
            bytes: self.bytes(),
            type_bytes: self.type_bytes,
            merged: false,
            children: nodes,
        }
    }
}

/// A shop's data: sessions, users, carts, feeds, caches, queues.
pub fn shop(keys: u64, biggest: usize) -> ReportData {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let weights: u64 = KINDS.iter().map(|kind| kind.weight).sum();
    let mut data = ReportData { expiry: ExpiryHistogram::new(REFERENCE_MS), ..head() };
    let (mut tree, mut encodings, mut databases) = (Branch::default(), BTreeMap::new(), BTreeMap::new());
    let mut idle = IdleHistogram::default();
    for _ in 0..keys {
        let mut at = random.below(weights);
        let skip = |kind: &&Kind| match at < kind.weight {
            true => true,
            false => {
                at -= kind.weight;
                false
            }
        };
        let Some(kind) = KINDS.iter().find(skip) else { continue };
        let key = big_key(kind, &mut random);
        let bytes = key.bytes;
        tree.add(key.key.as_str(), key.key_type, bytes);
        data.types[key.key_type.index()].add(bytes);
        let row = encodings.entry((key.key_type.index(), key.encoding)).or_insert(EncodingRow {
            key_type: key.key_type,
            encoding: key.encoding,
            tally: Tally::default(),
        });
        row.tally.add(bytes);
        let row = databases.entry(key.database).or_insert(DatabaseRow {
            database: key.database,
            tally: Tally::default(),
            expiring_keys: 0,
        });
        row.tally.add(bytes);
        row.expiring_keys += u64::from(key.expires_at_ms.is_some());
        data.sizes.add(bytes);
        data.expiry.add(key.expires_at_ms, bytes);
        let idle_bits = random.below(24);
        idle.add(random.below(1 << idle_bits), bytes);
        data.biggest.push(key);
    }
    data.biggest.sort_by_key(|key| std::cmp::Reverse(key.bytes));
    data.biggest.truncate(biggest);
    data.encodings = encodings.into_values().collect();
    data.databases = databases.into_values().collect();
    data.prefixes = tree.node("");
    data.idle = Some(idle);
    data.memory = MemoryEstimate {
        redis7_bytes: data.prefixes.bytes,
        everfast_bytes: data.prefixes.bytes - data.prefixes.bytes / 5,
    };
    data.files[0].file_bytes = data.prefixes.bytes * 3 / 5;
    data.files[0].keys = keys;
    data
}

/// As many nodes and rows as a report may have, and the deepest tree.
pub fn limits() -> ReportData {
    let mut data = shop(2 * MAX_BIGGEST_KEYS as u64, MAX_BIGGEST_KEYS);
    let mut random = Random(7);
    data.prefixes.type_bytes = [0; KeyType::COUNT];
    let mut deep = PrefixNode { name: "deep:".into(), keys: 1, bytes: 1 << 20, ..PrefixNode::default() };
    deep.type_bytes[0] = deep.bytes;
    let step = deep.clone();
    for _ in 1..MAX_PREFIX_DEPTH {
        deep = PrefixNode { children: vec![deep], ..step.clone() };
    }
    let mut children = vec![deep];
    while children.len() + MAX_PREFIX_DEPTH < MAX_PREFIX_NODES {
        let bytes = random.size((10, 26));
        let mut node = PrefixNode {
            name: format!("tenant-{}:", children.len()).as_str().into(),
            keys: bytes >> 8,
            bytes,
            ..PrefixNode::default()
        };
        node.type_bytes[children.len() % KeyType::COUNT] = bytes;
        children.push(node);
    }
    data.prefixes.keys = children.iter().map(|child| child.keys).sum();
    data.prefixes.bytes = children.iter().map(|child| child.bytes).sum();
    for child in &children {
        for (sum, part) in data.prefixes.type_bytes.iter_mut().zip(child.type_bytes) {
            *sum += part;
        }
    }
    data.prefixes.children = children;
    data.memory = MemoryEstimate { redis7_bytes: data.prefixes.bytes, everfast_bytes: data.prefixes.bytes };
    data
}

fn big_key(kind: &Kind, random: &mut Random) -> BigKey {
    let name = (kind.name)(random);
    let bytes = random.size(kind.size_bits);
    let life_ms = kind.days * DAY_MS;
    // Most caches are filled by day, so that expiries crowd; a few are over.
    let expires_at_ms = (life_ms > 0)
        .then(|| REFERENCE_MS - DAY_MS / 50 + random.below(life_ms) / 2 + random.below(life_ms) / 2);
    let is_string = kind.key_type == KeyType::String;
    BigKey {
        key_bytes: name.len() as u64,
        key: Text::from(name.as_str()),
        database: u32::from(random.below(12) == 0),
        key_type: kind.key_type,
        encoding: kind.encodings[usize::from(bytes >= 4096)],
        elements: if is_string { 1 } else { bytes / 48 + 1 },
        bytes,
        file_bytes: bytes * 3 / 5,
        largest_element_bytes: if is_string { bytes - bytes / 9 } else { 20 + random.below(200) },
        expires_at_ms,
    }
}

fn head() -> ReportData {
    let aux = [("redis-ver", "7.2.4"), ("redis-bits", "64"), ("used-mem", "412316860"), ("aof-base", "0")];
    ReportData {
        generator: "rdb-inspect 0.1.0".to_owned(),
        made_at_ms: REFERENCE_MS + 3 * DAY_MS / 24,
        files: vec![FileSummary {
            name: "dump.rdb".into(),
            file_bytes: 9,
            rdb_version: 11,
            producer: Some(Producer { name: "Redis", version: "7.2.4".into() }),
            created_ms: Some(REFERENCE_MS),
            keys: 0,
            checksum: Checksum::Verified { value: 0xfedc_ba98_7654_3210 },
            aux: aux.map(|(name, value)| (name.into(), value.into())).to_vec(),
        }],
        ..ReportData::default()
    }
}

/// Three files in one report, not all of them sound.
pub fn several() -> ReportData {
    let mut data = shop(3000, 200);
    let names = ["shard-0.rdb", "shard-1.rdb", "shard-2-before-upgrade.rdb"];
    let sums = [Checksum::Verified { value: 0xabc }, Checksum::Absent, Checksum::NotReached];
    let first = data.files[0].clone();
    data.files = names
        .iter()
        .zip(sums)
        .map(|(name, checksum)| FileSummary { name: (*name).into(), checksum, ..first.clone() })
        .collect();
    data.files[2].rdb_version = 9;
    data.files[2].producer = None;
    data.files[2].created_ms = None;
    let warning = |severity, text: &str, file, offset| Warning { severity, text: text.into(), file, offset };
    data.warnings = vec![
        warning(Severity::Error, "the file ends within a record", Some(2), Some(73_401_344)),
        warning(Severity::Warning, "modules are counted as they lie in the file", None, None),
        warning(Severity::Note, "12 keys had expired when the file was written", Some(0), None),
    ];
    data.warnings_left_out = 7;
    data
}

/// A file without keys.
pub fn empty() -> ReportData {
    head()
}

/// One key of the given name; it is also file name, warning, encoding's owner and auxiliary field.
pub fn one_key(name: &[u8]) -> ReportData {
    let mut data = head();
    let text = Text::from_bytes(name);
    let (key_type, bytes) = (KeyType::String, 104);
    data.files[0].name = text.clone();
    data.files[0].aux.push((text.clone(), text.clone()));
    data.files[0].producer = Some(Producer { name: "Valkey", version: text.clone() });
    data.files[0].checksum = Checksum::Mismatch { expected: u64::MAX, found: 1 };
    data.warnings =
        vec![Warning { severity: Severity::Error, text: text.clone(), file: Some(0), offset: Some(17) }];
    data.types[key_type.index()].add(bytes);
    data.sizes.add(bytes);
    data.expiry = ExpiryHistogram::new(REFERENCE_MS);
    data.expiry.add(Some(REFERENCE_MS + 90 * 60 * 1000), bytes);
    let tally = Tally { count: 1, bytes };
    data.encodings = vec![EncodingRow { key_type, encoding: "embstr", tally }];
    data.databases = vec![DatabaseRow { database: 0, tally, expiring_keys: 1 }];
    let mut type_bytes = [0; KeyType::COUNT];
    type_bytes[key_type.index()] = bytes;
    let leaf = PrefixNode { name: text.clone(), keys: 1, bytes, type_bytes, ..PrefixNode::default() };
    data.prefixes = PrefixNode { name: Text::default(), children: vec![leaf.clone()], ..leaf };
    data.memory = MemoryEstimate { redis7_bytes: bytes, everfast_bytes: 90 };
    data.frequency.get_or_insert_default().add(5, bytes);
    data.biggest = vec![BigKey {
        key: text,
        key_bytes: name.len() as u64,
        database: 0,
        key_type,
        encoding: "embstr",
        elements: 1,
        bytes,
        file_bytes: 40,
        largest_element_bytes: 12,
        expires_at_ms: Some(REFERENCE_MS + 90 * 60 * 1000),
    }];
    data
}

/// Names that try to become markup, script or another name.
pub const HOSTILE: [&[u8]; 10] = [
    b"</script><script>document.documentElement.dataset.owned=1</script>",
    b"<img src=x onerror=\"document.documentElement.dataset.owned=1\">",
    b"<!--<script>",
    b"]]>--></style></title></textarea>",
    b"\"'`${document.documentElement.dataset.owned=1}{{data}}",
    b"javascript:document.documentElement.dataset.owned=1",
    b"&lt;img src=x onerror=alert(1)&gt;&#x3c;b>",
    b"__proto__",
    "user\u{202e}nimda\u{2028}\u{2029}\u{0}\u{7f}".as_bytes(),
    b"\xff\xfe\x80 not UTF-8 \xc3",
];

/// Many keys with hostile names, in a tree of them.
pub fn hostile() -> ReportData {
    let mut data = one_key(HOSTILE[0]);
    let (leaf, key) = (data.prefixes.children[0].clone(), data.biggest[0].clone());
    let named = |name: &[u8], children| PrefixNode { name: Text::from_bytes(name), children, ..leaf.clone() };
    data.prefixes.children = HOSTILE.iter().map(|name| named(name, vec![named(name, Vec::new())])).collect();
    data.prefixes.keys = HOSTILE.len() as u64;
    data.prefixes.bytes = HOSTILE.len() as u64 * leaf.bytes;
    data.biggest = HOSTILE.iter().map(|name| BigKey { key: Text::from_bytes(name), ..key.clone() }).collect();
    let warning = data.warnings[0].clone();
    data.warnings =
        HOSTILE.iter().map(|name| Warning { text: Text::from_bytes(name), ..warning.clone() }).collect();
    data
}
