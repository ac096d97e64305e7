// Types, encodings, databases, sizes, expiry and access as bars and columns.

/** A table with a bar per row: label, bar, measured value, the other value, share. */
function barTable(caption, first, rows) {
  const most = Math.max(1, ...rows.map((row) => measured(row.tally))), all = measured(total(rows.map((row) => row.tally)));
  const byKeys = state.measure === "keys";
  return make("table", { class: "bars" },
    make("caption", { class: "unseen" }, caption),
    make("thead", null, make("tr", null, make("th", { scope: "col" }, first), make("th", { class: "track" }, make("span", { class: "unseen" }, "Bar")),
      make("th", { scope: "col" }, byKeys ? "Keys" : "Memory"), make("th", { scope: "col" }, byKeys ? "Memory" : "Keys"), make("th", { scope: "col" }, "Share"))),
    make("tbody", null, rows.map(({ label, type, tally }) => {
      const value = measured(tally);
      return make("tr", { class: type === undefined ? null : "t" + type },
        make("th", { scope: "row" }, type === undefined ? null : make("span", { class: "dot" }), label),
        make("td", { class: value ? "track" : "track none", "aria-hidden": "true" }, make("i", { style: { width: (100 * value / most).toFixed(2) + "%" } })),
        make("td", { class: "main" }, inMeasure(value)),
        make("td", { class: "soft" }, byKeys ? bytes(tally[1]) : shortCount(tally[0])),
        make("td", { class: "soft" }, share(value, all)));
    })));
}

function ticks(most) {
  const raw = Math.max(most, 1) / 4;
  let step;
  if (state.measure === "bytes") step = 2 ** Math.max(0, Math.ceil(Math.log2(raw)));
  else { const power = 10 ** Math.floor(Math.log10(raw)); step = Math.max(1, power * [1, 2, 5, 10].find((factor) => factor * power >= raw)); }
  const end = Math.max(1, Math.ceil(most / step));
  return Array.from({ length: end + 1 }, (_, at) => at * step);
}

/** Columns over an axis. Item: {name, tally, tick}; a tick stands under the column's left edge or its middle. */
function columnChart(label, items, edge) {
  const most = Math.max(...items.map((item) => measured(item.tally)), 0), marks = ticks(most), top = marks.at(-1);
  const all = measured(total(items.map((item) => item.tally)));
  const at = (index) => 100 * (index + (edge ? 0 : 0.5)) / items.length;
  const columns = items.map((item) => {
    const value = measured(item.tally);
    const height = value ? `max(2px, ${(100 * value / top).toFixed(2)}%)` : "0";
    const column = make("div", { class: "column", role: "listitem", "aria-label": `${item.name}: ${keysOf(item.tally[0])}, ${bytes(item.tally[1])}` },
      make("i", { style: { height } }));
    tipFor(column, () => ({ name: item.name, rows: [["Keys", count(item.tally[0])], ["Memory", bytes(item.tally[1])], ["Share", share(value, all)]] }));
    return column;
  });
  return make("div", { class: "columns" },
    make("div", { class: "plot" },
      marks.slice(1).concat(0).map((mark) => make("div", { class: "rule", style: { bottom: (100 * mark / top).toFixed(2) + "%" }, "aria-hidden": "true" }, make("span", null, mark ? inMeasure(mark) : "0"))),
      make("div", { role: "list", "aria-label": label, style: { display: "flex", flex: "1", position: "relative" } }, columns)),
    make("div", { class: "ticks", "aria-hidden": "true" }, items.flatMap((item, index) => item.tick ? make("span", { style: { left: at(index) + "%" } }, item.tick) : [])));
}
const sparse = (number, most) => Math.max(1, Math.ceil(number / most));
const narrow = () => innerWidth < 720;

function typesSection() {
  const types = data.types.map((tally, type) => ({ label: TYPES[type], type, tally })).filter((row) => row.tally[0]);
  const encodings = data.encodings.map((row) => ({ label: `${TYPES[row.type]} · ${row.encoding}`, type: row.type, tally: row.tally }));
  const databases = data.databases.map((row) => ({ label: "db" + row.database, tally: row.tally }));
  const order = (rows) => rows.sort((a, b) => measured(b.tally) - measured(a.tally));
  const card = (title, table) => make("div", { class: "card" }, make("h3", null, title), table);
  fill(byId("types-cards"),
    make("div", { class: "stacked" }, card("Types", barTable("Types", "Type", order(types))), card("Databases", barTable("Databases", "Database", databases))),
    card("Encodings", barTable("Encodings", "Encoding", order(encodings))));
}

const LEAST_SIZES = 8;
function sizesSection() {
  let first = data.sizes.findIndex((tally) => tally[0]), end = data.sizes.length;
  while (end - first < LEAST_SIZES) { end += 1; first = Math.max(0, first - 1); }
  const every = sparse(end - first, narrow() ? 5 : 14), items = [];
  for (let bucket = first; bucket < end; bucket++) {
    const low = bucket ? 2 ** bucket : 0, tick = (bucket - first) % every === 0 ? bytes(low) : null;
    items.push({ name: `${bytes(low)} to ${bytes(2 ** (bucket + 1))}`, tally: data.sizes[bucket] || [0, 0], tick });
  }
  fill(byId("sizes-card"), columnChart("Keys by size", items, true));
  byId("sizes-aside").textContent = halfText();
}
/** Which of the biggest keys hold half of the memory, to the power of two. */
function halfText() {
  const all = total(data.sizes);
  let bucket = data.sizes.length, keys = 0, held = 0;
  while (bucket > 0 && 2 * held < all[1]) { bucket -= 1; keys += data.sizes[bucket][0]; held += data.sizes[bucket][1]; }
  if (all[0] < 2 || keys === all[0]) return "";
  return `${share(keys, all[0])} of the keys (${bytes(bucket ? 2 ** bucket : 0)} and larger) hold ${share(held, all[1])} of the memory`;
}

const RANGES = [{ name: "24 h", hours: 24, step: 1 }, { name: "7 d", hours: 168, step: 4 }, { name: "30 d", hours: 720, step: 12 }];
function expirySection() {
  const { bands, hours, reference_ms } = data.expiry;
  const ends = legend.ttl_bands_ms, last = ends.at(-1);
  const names = ["No expiry", "Expired", ...ends.map((end, at) => at ? `${span(ends[at - 1])} to ${span(end)}` : "under " + span(end)), span(last) + " and more"];
  byId("expiry-aside").textContent = reference_ms ? "counted from " + utc(reference_ms) : "";
  const rows = bands.map((tally, at) => ({ label: names[at], tally }));
  const cards = [make("div", { class: "card" }, make("h3", null, "Time left"), barTable("Keys by time left", "Expires", rows))];
  if (hours.length) cards.push(timeline(hours, reference_ms));
  else cards.push(make("div", { class: "card" }, make("h3", null, "The next 30 days"), make("p", { class: "soft" }, "No key expires in this time.")));
  fill(byId("expiry-cards"), cards);
}
function timeline(hours, start) {
  const within = (end) => hours.slice(0, end).reduce((sum, tally) => sum + tally[0], 0);
  state.range = state.range || RANGES.find((range) => within(range.hours) >= 0.6 * within(720)) || RANGES[2];
  const { hours: end, step } = state.range, items = [];
  const unit = end === 24 ? 3 : 24 / step, every = unit * sparse(end / step / unit, narrow() ? 4 : 8); // ticks at whole days
  for (let at = 0; at < end; at += step) {
    const from = start + at * HOUR, until = from + step * HOUR, text = utc(from).slice(0, 16);
    const tick = (at / step) % every ? null : end === 24 ? text.slice(11) : text.slice(5, 10);
    items.push({ name: `${text} to ${utc(until).slice(11)}`, tally: total(hours.slice(at, at + step)), tick });
  }
  const buttons = RANGES.map((range) => make("button", { type: "button", "aria-pressed": String(range === state.range),
    onclick: () => { state.range = range; expirySection(); } }, range.name));
  const per = step === 1 ? "each hour" : `each ${step} hours`;
  return make("div", { class: "card" }, make("div", { class: "card-head" }, make("h3", null, `Expiring in ${per}`),
    make("div", { class: "segmented", role: "group", "aria-label": "Time shown" }, buttons)), columnChart(`Keys expiring in ${per}`, items, true));
}

function accessSection() {
  const cards = [], card = (title, rows, first) => cards.push(make("div", { class: "card" }, make("h3", null, title), barTable(title, first, rows)));
  if (data.idle) {
    const ends = legend.idle_bands_seconds.map((end) => span(1e3 * end));
    card("Idle time", data.idle.map((tally, at) => ({ label: at === 0 ? "under " + ends[0] : at < ends.length ? `${ends[at - 1]} to ${ends[at]}` : `${ends.at(-1)} and more`, tally })), "Not used for");
  }
  if (data.frequency) {
    const starts = legend.frequency_bands;
    card("LFU counter (logarithmic, up to 255)", data.frequency.map((tally, at) => {
      const end = at + 1 < starts.length ? starts[at + 1] - 1 : 255;
      return { label: starts[at] === end ? String(end) : `${starts[at]} to ${end}`, tally };
    }), "Counter");
  }
  fill(byId("access-cards"), cards);
}
