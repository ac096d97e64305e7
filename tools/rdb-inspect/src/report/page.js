"use strict";
// Makes the page from the JSON block. Text from data goes in as text nodes and attributes, never as markup.
(() => {
const root = document.documentElement;
addEventListener("error", (event) => { root.dataset.error = event.message; });

const byId = (id) => document.getElementById(id);
const { legend, data } = JSON.parse(byId("data").textContent);
const TYPES = legend.types;
const MERGED = "(other)";
const REST = "(no further prefix)";
const state = { measure: "bytes", colour: "type", node: null, range: null };

// ---- Elements ----------------------------------------------------------------------------------------------

/** An element; a string among the children becomes a text node. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
function fill(element, ...children) { element.replaceChildren(...children.flat(Infinity).filter(Boolean)); }
const show = (id) => { byId(id).hidden = false; };

// ---- Numbers -----------------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat("en-US");
const SPACE = "\u00a0"; // between a number and its unit
const HOUR = 3600e3, DAY = 24 * HOUR;
const count = (n) => whole.format(n);
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + "s"}`;
const keysOf = (n) => plural(n, "key");

function shortCount(n) {
  if (n < 1e4) return count(n);
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  return digits(n / 10 ** (3 * power)) + SPACE + ["", "k", "M", "G", "T"][power];
}
const digits = (x) => x >= 100 ? String(Math.round(x)) : String(+x.toFixed(x >= 10 ? 1 : 2));
function bytes(n) {
  if (n < 1024) return n + SPACE + "B";
  let power = Math.min(6, Math.floor(Math.log2(n) / 10));
  if (n / 1024 ** power >= 999.5) power += 1;
  return digits(n / 1024 ** power) + SPACE + ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB"][power];
}
function share(part, all) {
  if (!all || !part) return `0${SPACE}%`;
  const percent = 100 * part / all;
  if (percent < 0.1) return `<${SPACE}0.1${SPACE}%`;
  return (percent >= 99.95 ? "100" : percent.toFixed(1)) + SPACE + "%";
}
function utc(ms, parts = "minute") {
  if (!(ms > 0 && ms < 8.64e15)) return "unknown time";
  const text = new Date(ms).toISOString();
  return parts === "day" ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ") + " UTC";
}
function span(ms) {
  const units = [[365 * DAY, "y"], [DAY, "d"], [HOUR, "h"], [60e3, "min"], [1e3, "s"]];
  const [size, name] = units.find(([size]) => ms >= size) || [1, "ms"];
  const amount = ms / size;
  return (amount < 10 && size > 1e3 ? +amount.toFixed(1) : Math.round(amount)) + SPACE + name;
}
const measured = (tally) => state.measure === "keys" ? tally[0] : tally[1];
const inMeasure = (n) => state.measure === "keys" ? shortCount(n) : bytes(n);
const total = (tallies) => tallies.reduce((sum, tally) => [sum[0] + tally[0], sum[1] + tally[1]], [0, 0]);

/** A number apart from its unit, the unit smaller. */
function figure(text) {
  const [number, unit] = text.split(SPACE);
  return [number, unit ? make("span", { class: "unit" }, unit) : null];
}

// ---- The tip -----------------------------------------------------------------------------------------------

const tip = byId("tip");
function tipFor(element, content) {
  element.addEventListener("pointermove", (event) => placeTip(event, content()));
  element.addEventListener("pointerleave", hideTip);
}
function placeTip(event, { name, mono, rows }) {
  fill(tip, make("b", { class: mono ? "mono" : null }, name),
    make("dl", null, rows.map(([term, value]) => [make("dt", null, term), make("dd", null, value)])));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 12 : event.clientX + 16;
  const y = Math.min(event.clientY + 16, innerHeight - box.height - 8);
  tip.style.transform = `translate(${Math.max(8, x)}px, ${Math.max(8, y)}px)`;
}
function hideTip() { tip.hidden = true; }

// ---- Head --------------------------------------------------------------------------------------------------

const VERDICTS = {
  verified: ["good", "Checksum verified"], mismatch: ["bad", "Checksum does not match"],
  absent: ["unsure", "Written without checksum"], not_reached: ["bad", "Ends before its checksum"],
};
const WORST = ["mismatch", "not_reached", "absent", "verified"];
const distinct = (list) => [...new Set(list.filter(Boolean))];

function verdict(states) {
  const worst = WORST.find((state) => states.includes(state));
  if (!worst) return null;
  const [mood, text] = VERDICTS[worst];
  const of = states.length > 1 ? ` (${states.filter((state) => state === worst).length} of ${states.length} files)` : "";
  return make("span", { class: "verdict " + mood }, make("span", { class: "light" }), text + of);
}
const producer = (file) => file.producer ? `${file.producer.name} ${clip(file.producer.version, 40)}` : null;

function head() {
  const { files } = data;
  const title = files.length === 0 ? "RDB report" : files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`;
  document.title = title + " · RDB report";
  const created = files.map((file) => file.created_ms).filter(Boolean).sort((a, b) => a - b).map((ms) => utc(ms));
  const versions = distinct(files.map((file) => file.rdb_version)).sort((a, b) => a - b);
  const facts = [
    files.length > 1 && `${files.length} files`,
    versions.length && `RDB version ${versions.join(" and ")}`,
    distinct(files.map(producer)).slice(0, 3).join(", "),
    created.length && "created " + distinct([created[0], created.at(-1)]).join(" to "),
    verdict(files.map((file) => file.checksum.state)),
  ].filter(Boolean);
  fill(byId("head"),
    make("p", { class: "eyebrow" }, "RDB report"),
    make("h1", { title }, title),
    make("div", { class: "facts" }, facts.map((fact) => make("div", null, fact))),
    tiles(),
    notices());
}

function tiles() {
  const { redis7_bytes, everfast_bytes } = data.memory;
  const keys = data.prefixes.keys, fileBytes = data.files.reduce((sum, file) => sum + file.file_bytes, 0);
  const bands = data.expiry.bands;
  const expiring = keys - Math.min(keys, bands[0][0]);
  const less = redis7_bytes > 0 ? Math.round(100 * (1 - everfast_bytes / redis7_bytes)) : 0;
  const tile = (name, value, note) =>
    make("div", { class: "tile" }, make("dt", null, name), make("dd", null, figure(value), make("small", null, note || "")));
  return make("dl", { class: "tiles" },
    tile("Keys", count(keys), data.databases.length > 1 ? `in ${data.databases.length} databases` : ""),
    tile("Memory in Redis 7", bytes(redis7_bytes), keys ? `estimated; ${bytes(Math.round(redis7_bytes / keys))} per key` : "estimated"),
    tile("Memory in Everfast", bytes(everfast_bytes), "estimated" + (less > 0 ? `; ${less} % less` : less < 0 ? `; ${-less} % more` : "")),
    tile(data.files.length > 1 ? "Files" : "File", bytes(fileBytes), fileBytes && keys ? `${bytes(Math.round(fileBytes / keys))} per key` : ""),
    tile("With expiry", share(expiring, keys), keysOf(expiring) + (bands[1][0] ? `, ${count(bands[1][0])} expired` : "")));
}

function notices() {
  const words = { error: "Error", warning: "Warning", note: "Note" };
  const items = data.warnings.map((warning) => {
    const file = data.files.length > 1 && data.files[warning.file];
    const where = [file && file.name, warning.offset !== null && `byte ${count(warning.offset)}`].filter(Boolean).join(", ");
    return make("li", { class: "notice " + warning.severity }, make("b", null, words[warning.severity]), warning.text,
      where && make("span", { class: "where" }, where));
  });
  if (data.warnings_left_out) {
    items.push(make("li", { class: "notice warning" }, `${plural(data.warnings_left_out, "further warning")} left out.`));
  }
  if (items.length <= 5) return items.length ? make("ul", { class: "notices" }, items) : null;
  return [make("ul", { class: "notices" }, items.slice(0, 3)),
    make("details", { class: "more" }, make("summary", null, `${items.length - 3} more`), make("ul", { class: "notices" }, items.slice(3)))];
}

// ---- The tree ----------------------------------------------------------------------------------------------

/** Nodes know their parent, prefix, level and main type; what children do not cover becomes a child. */
function prepare(top) {
  const open = [Object.assign(top, { parent: null, prefix: "", level: 0 })];
  let id = 0;
  while (open.length) {
    const node = open.pop();
    node.id = id++;
    node.type = mainType(node);
    node.children = node.children || [];
    if (node.parent) joinOnlyChild(node);
    if (node.children.length) addRest(node);
    for (const child of node.children) {
      child.parent = node;
      child.level = node.level + 1;
      child.prefix = child.merged || child.rest ? node.prefix : node.prefix + child.name;
      open.push(child);
    }
  }
  return top;
}
const mainType = (node) => node.type_bytes.indexOf(Math.max(...node.type_bytes));

/** A prefix whose keys all share a longer one is shown as the longer one. */
function joinOnlyChild(node) {
  while (node.children.length === 1 && !node.merged) {
    const [only] = node.children;
    if (only.merged || only.keys !== node.keys || only.bytes !== node.bytes) return;
    node.name += only.name;
    node.prefix += only.name;
    node.children = only.children || [];
  }
}
function addRest(node) {
  const sum = (of) => node.children.reduce((total, child) => total + of(child), 0);
  const keys = node.keys - sum((child) => child.keys), left = node.bytes - sum((child) => child.bytes);
  if (keys <= 0 && left <= 0) return;
  const types = node.type_bytes.map((all, type) => Math.max(0, all - sum((child) => child.type_bytes[type])));
  node.children.push({ name: REST, keys: Math.max(0, keys), bytes: Math.max(0, left), type_bytes: types, rest: true });
}
const size = (node) => state.measure === "keys" ? node.keys : node.bytes;
const bySize = (nodes) => nodes.filter((node) => size(node) > 0).sort((a, b) => size(b) - size(a));
const fullName = (node) => !node.parent ? "All keys" : node.merged ? `${node.prefix}… ${MERGED}` : node.rest ? `${node.prefix} ${REST}` : node.small ? `${node.prefix}… (${node.name})` : node.prefix;
const hue = (node) => "t" + node.type;

function findPrefix(prefix) {
  let node = data.prefixes, rest = prefix;
  while (rest) {
    const next = node.children.filter((child) => !child.rest && !child.merged && child.name && rest.startsWith(child.name))
      .sort((a, b) => b.name.length - a.name.length)[0];
    if (!next) break;
    rest = rest.slice(next.name.length);
    node = next;
  }
  return node;
}

// ---- Treemap: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000 -----------------------------------------

/** Rectangles for nodes, biggest first, that fill the box with sides as equal as may be. */
function squarify(nodes, box) {
  const placed = [];
  let { x, y, w, h } = box, left = nodes.reduce((sum, node) => sum + size(node), 0), at = 0;
  while (at < nodes.length && w > 0 && h > 0) {
    const side = Math.min(w, h), scale = w * h / left;
    let end = at, row = 0, worst = Infinity;
    while (end < nodes.length) {
      const sum = row + size(nodes[end]) * scale;
      const ratio = worstRatio(size(nodes[at]) * scale, size(nodes[end]) * scale, sum, side);
      if (ratio > worst) break;
      worst = ratio; row = sum; end += 1;
    }
    const depth = end === nodes.length ? Math.max(w, h) : row / side;
    let offset = 0;
    for (; at < end; at++) {
      const area = size(nodes[at]), length = side * area * scale / row;
      placed.push([nodes[at], w >= h ? { x, y: y + offset, w: depth, h: length } : { x: x + offset, y, w: length, h: depth }]);
      offset += length; left -= area;
    }
    if (w >= h) { x += depth; w -= depth; } else { y += depth; h -= depth; }
  }
  return placed;
}
function worstRatio(biggest, smallest, sum, side) {
  const square = sum * sum, side2 = side * side;
  return Math.max(side2 * biggest / square, square / (side2 * smallest));
}

const map = byId("map"), cells = new Map();
const LEVELS = 4, HEAD = 19, PAD = 3, MOST_CELLS = 1500, LEAST_AREA = 24;

function drawMap(moving) {
  const width = map.clientWidth, height = map.clientHeight, node = state.node;
  if (!width) return;
  const wanted = [];
  const lay = (parent, box, depth) => {
    for (const [child, rect] of squarify(joinSmallest(parent, box), box)) {
      if (rect.w < 2 || rect.h < 2 || wanted.length >= MOST_CELLS) continue;
      const isGroup = child.children.length > 0 && depth < LEVELS && rect.w > 46 && rect.h > 40;
      wanted.push({ node: child, rect, depth, isGroup });
      if (isGroup) lay(child, { x: rect.x + PAD, y: rect.y + HEAD, w: rect.w - 2 * PAD, h: rect.h - HEAD - PAD }, depth + 1);
    }
  };
  const all = { x: 0, y: 0, w: width, h: height };
  if (node.children.length) lay(node, all, 1); else if (node.parent) wanted.push({ node, rect: all, depth: 1, isGroup: false });
  map.classList.toggle("moving", Boolean(moving));
  map.classList.toggle("by-depth", state.colour === "depth");
  placeCells(wanted, width, height);
}

/** The children by size; those too small to be seen become one. */
function joinSmallest(parent, box) {
  const nodes = bySize(parent.children), scale = box.w * box.h / nodes.reduce((sum, node) => sum + size(node), 0);
  const end = nodes.findIndex((node) => size(node) * scale < LEAST_AREA);
  if (end < 0 || end >= nodes.length - 1) return nodes;
  const small = nodes.slice(end), joined = { id: "small" + parent.id, name: `${count(small.length)} smaller`, keys: 0, bytes: 0,
    type_bytes: TYPES.map(() => 0), children: [], parent, prefix: parent.prefix, level: parent.level + 1, small: true };
  for (const node of small) {
    joined.keys += node.keys; joined.bytes += node.bytes;
    node.type_bytes.forEach((part, type) => { joined.type_bytes[type] += part; });
  }
  joined.type = mainType(joined);
  return bySize([...nodes.slice(0, end), joined]);
}

function placeCells(wanted, width, height) {
  const keep = new Set(wanted.map((item) => item.node.id));
  for (const [id, cell] of cells) if (!keep.has(id)) { cell.remove(); cells.delete(id); }
  let first = true;
  for (const { node, rect, depth, isGroup } of wanted) {
    let cell = cells.get(node.id);
    if (!cell) { cell = make("div"); cells.set(node.id, cell); }
    cell.node = node;
    map.append(cell); // parents come before their children, which lie on top
    const percent = (part, all) => (100 * part / all).toFixed(3) + "%";
    cell.style.left = percent(rect.x, width); cell.style.top = percent(rect.y, height);
    cell.style.width = percent(rect.w, width); cell.style.height = percent(rect.h, height);
    cell.style.setProperty("--depth", depth); cell.style.setProperty("--level", node.level - 1);
    cell.className = ["cell", hue(node), isGroup ? "group" : "leaf", node.merged && "merged", node.rest && "rest", node.small && "merged"].filter(Boolean).join(" ");
    const label = rect.w > 44 && rect.h > 17 && make("span", null, shownName(node));
    const note = !isGroup && rect.w > 50 && rect.h > 38 && make("small", null, inMeasure(size(node)));
    const headNote = isGroup && label && rect.w > 150 ? "  " + inMeasure(size(node)) : "";
    if (headNote) label.append(make("small", null, headNote));
    fill(cell, label, note);
    for (const name of ["role", "tabindex", "aria-label"]) cell.removeAttribute(name);
    if (depth === 1) {
      cell.setAttribute("role", "button");
      cell.setAttribute("tabindex", first ? "0" : "-1");
      cell.setAttribute("aria-label", `${fullName(node)}: ${bytes(node.bytes)}, ${keysOf(node.keys)}, ${share(size(node), size(data.prefixes))}`);
      first = false;
    }
  }
}
const shownName = (node) => node.name === "" ? "(empty)" : node.name;

function cellAt(target) {
  const cell = target.closest && target.closest(".cell");
  return cell ? cell.node : null;
}
function nodeTip(node) {
  const rows = [["Memory", bytes(node.bytes)], ["Keys", count(node.keys)], ["Share of all", share(size(node), size(data.prefixes))]];
  if (node.parent && node.parent.parent) rows.push(["Share of " + clip(node.parent.name, 18), share(size(node), size(node.parent))]);
  if (node.keys) rows.push(["Mean per key", bytes(Math.round(node.bytes / node.keys))]);
  if (node.bytes) rows.push(["Mostly", `${TYPES[node.type]} (${share(node.type_bytes[node.type], node.bytes)})`]);
  return { name: clip(fullName(node), 160), mono: true, rows };
}
const clip = (text, most) => [...text].length > most ? [...text].slice(0, most).join("") + "…" : text;

function zoom(node) {
  hideTip();
  if (node.merged && !node.children.length || node.rest || node.small) return;
  const prefix = node.merged ? null : node.prefix;
  if (prefix === null) { setNode(node); return; }
  const hash = "#prefix=" + encodeURIComponent(prefix);
  if (location.hash === hash || (!prefix && !location.hash)) setNode(node); else location.hash = hash;
}
function setNode(node, still) {
  state.node = node;
  crumbs();
  panel();
  drawMap(!still);
  if (!still) byId("shown").textContent = `${fullName(node)}: ${bytes(node.bytes)}, ${keysOf(node.keys)}`;
}
function followHash() {
  if (!location.hash.startsWith("#prefix=")) { if (!location.hash && state.node !== data.prefixes) setNode(data.prefixes); return; }
  let prefix = "";
  try { prefix = decodeURIComponent(location.hash.slice(8)); } catch { /* not ours */ }
  const hadFocus = map.contains(document.activeElement);
  setNode(findPrefix(prefix));
  if (hadFocus) { const cell = map.querySelector('[tabindex="0"]'); if (cell) cell.focus({ preventScroll: true }); }
}

function point(node, on) {
  for (const element of document.querySelectorAll(".pointed")) element.classList.remove("pointed");
  if (!on || !node) return;
  const cell = cells.get(node.id);
  if (cell) cell.classList.add("pointed");
  const row = byId("panel").querySelector(`[data-node="${node.id}"]`);
  if (row) row.classList.add("pointed");
}

function mapEvents() {
  map.addEventListener("pointermove", (event) => {
    const node = cellAt(event.target);
    if (!node) { hideTip(); return; }
    if (event.pointerType !== "touch") placeTip(event, nodeTip(node));
    point(node, true);
  });
  map.addEventListener("pointerleave", () => { hideTip(); point(null, false); });
  map.addEventListener("click", (event) => {
    const node = cellAt(event.target);
    if (!node) return;
    const isPart = !node.children.length && node.parent !== state.node;
    zoom(isPart ? node.parent : node);
  });
  map.addEventListener("keydown", (event) => {
    const node = cellAt(event.target);
    if (event.key === "Escape" || event.key === "Backspace") {
      if (state.node.parent) { event.preventDefault(); zoom(state.node.parent); }
    } else if (node && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault(); zoom(node);
    } else if (node && event.key.startsWith("Arrow")) {
      event.preventDefault(); moveFocus(event.target, event.key.slice(5));
    }
  });
  new ResizeObserver(() => drawMap(false)).observe(map);
}
/** To the nearest cell in that direction. */
function moveFocus(from, direction) {
  const [dx, dy] = { Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] }[direction];
  const centre = (cell) => { const box = cell.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
  const [x, y] = centre(from);
  let best = null, least = Infinity;
  for (const cell of map.querySelectorAll("[tabindex]")) {
    const [cx, cy] = centre(cell), along = (cx - x) * dx + (cy - y) * dy, across = Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx);
    if (cell !== from && along > 1 && along + 2 * across < least) { best = cell; least = along + 2 * across; }
  }
  if (!best) return;
  from.setAttribute("tabindex", "-1");
  best.setAttribute("tabindex", "0");
  best.focus({ preventScroll: true });
}

function crumbs() {
  const path = [];
  for (let node = state.node; node; node = node.parent) path.unshift(node);
  fill(byId("crumbs"), path.map((node, at) => {
    const name = node.parent ? shownName(node) : "All keys", mono = node.parent ? "mono" : null;
    const last = at === path.length - 1;
    return [at ? make("i", { "aria-hidden": "true" }, "›") : null,
      last ? make("b", { class: mono, "aria-current": "true" }, name)
        : make("button", { type: "button", class: mono, title: fullName(node), onclick: () => zoom(node) }, name)];
  }));
}

const MOST_CHILDREN = 100;
function panel() {
  const node = state.node, all = data.prefixes, byKeys = state.measure === "keys";
  const children = bySize(node.children), most = children.length ? size(children[0]) : 1;
  const types = node.type_bytes.map((part, type) => [type, part]).filter(([, part]) => part > 0).sort((a, b) => b[1] - a[1]);
  const rows = children.slice(0, MOST_CHILDREN).map((child) => {
    const button = make("button", { type: "button", class: "child " + hue(child), "data-node": child.id, onclick: () => zoom(child) },
      make("span", { class: child.rest || child.merged ? "soft" : "mono" }, shownName(child)),
      make("span", null, inMeasure(size(child))),
      make("span", null, share(size(child), size(node))),
      make("i", { style: { width: `calc((100% - 40px) * ${(size(child) / most).toFixed(4)})` } }));
    button.addEventListener("pointerenter", () => point(child, true));
    button.addEventListener("pointerleave", () => point(child, false));
    return make("li", null, button);
  });
  if (children.length > MOST_CHILDREN) rows.push(make("li", { class: "child soft" }, `and ${count(children.length - MOST_CHILDREN)} more`));
  fill(byId("panel"),
    make("p", { class: node.parent ? "name mono" : "name", title: fullName(node) }, fullName(node)),
    make("p", { class: "big" }, figure(byKeys ? count(node.keys) + SPACE + (node.keys === 1 ? "key" : "keys") : bytes(node.bytes))),
    make("p", { class: "line" }, (byKeys ? bytes(node.bytes) : keysOf(node.keys)) + (node.keys > 1 ? `, ${bytes(Math.round(node.bytes / node.keys))} each` : "")),
    node.parent && make("p", { class: "line" }, `${share(node.bytes, all.bytes)} of memory, ${share(node.keys, all.keys)} of keys`),
    make("div", { class: "stack", "aria-hidden": "true" }, types.map(([type, part]) => make("i", { class: "t" + type, style: { flex: String(part / node.bytes) } }))),
    make("ul", { class: "legend" }, types.slice(0, 4).map(([type, part]) => legendItem(type, share(part, node.bytes)))),
    node.prefix && data.biggest.length ? make("button", { type: "button", class: "link", onclick: () => findKeys(node.prefix) }, "Show its biggest keys") : null,
    rows.length ? make("ul", { class: "children" }, rows) : null);
}
const legendItem = (type, note) => make("li", null, make("span", { class: `dot t${type}` }), TYPES[type] + (note ? " " + note : ""));

function mapLegend() {
  const used = data.types.map((tally, type) => [type, tally[1]]).filter(([, part]) => part > 0).sort((a, b) => b[1] - a[1]);
  fill(byId("map-legend"), state.colour === "type" ? used.map(([type]) => legendItem(type)) : make("li", null, "Each level of prefixes has its own colour."));
}

// ---- Charts ------------------------------------------------------------------------------------------------

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

// ---- Biggest keys ------------------------------------------------------------------------------------------

const PAGE_ROWS = 50;
const table = { sort: "bytes", down: true, type: null, query: "", page: 0, rows: [] };
const typeName = (row) => TYPES[row.type];
const COLUMNS = [
  { id: "key", name: "Key", css: "key", of: (row) => row.key, up: true },
  { id: "type", name: "Type", css: "left wide", of: typeName, up: true },
  { id: "encoding", name: "Encoding", css: "left wide", of: (row) => row.encoding, up: true },
  { id: "elements", name: "Elements", css: "wide", of: (row) => row.elements },
  { id: "largest_element_bytes", name: "Longest", css: "wide roomy", of: (row) => row.largest_element_bytes },
  { id: "database", name: "DB", css: "wide", of: (row) => row.database, up: true, when: () => data.databases.length > 1 },
  { id: "expires_at_ms", name: "Expires", css: "wide", of: (row) => row.expires_at_ms ?? Infinity, up: true, when: () => data.biggest.some((row) => row.expires_at_ms !== null) },
  { id: "file_bytes", name: "In file", css: "wide roomy", of: (row) => row.file_bytes },
  { id: "bytes", name: "Memory", css: "main", of: (row) => row.bytes },
];
let shownColumns = [];

/** Whether text holds the query; `*` stands for anything. */
function matcher(query) {
  const parts = query.toLowerCase().split("*").filter(Boolean);
  if (!parts.length) return () => true;
  const anchored = query.includes("*") && !query.startsWith("*");
  return (text) => {
    let from = 0;
    for (const [at, part] of parts.entries()) {
      const found = text.indexOf(part, from);
      if (found < 0 || (at === 0 && anchored && found > 0)) return false;
      from = found + part.length;
    }
    return true;
  };
}

function selectRows() {
  const matches = matcher(table.query), { of } = COLUMNS.find((column) => column.id === table.sort);
  const sign = table.down ? -1 : 1;
  table.rows = data.biggest.filter((row) => (table.type === null || row.type === table.type) && matches(row.search));
  table.rows.sort((a, b) => { const x = of(a), y = of(b); return x < y ? -sign : x > y ? sign : b.bytes - a.bytes; });
  table.page = 0;
  drawTable();
}

function drawTable() {
  const { rows, page } = table, pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
  const sum = rows.reduce((all, row) => all + row.bytes, 0);
  const few = rows.length < data.biggest.length ? `${count(rows.length)} of ${keysOf(data.biggest.length)}` : keysOf(rows.length);
  byId("biggest-count").textContent = `${few}, ${bytes(sum)}, ${share(sum, data.prefixes.bytes)} of the memory`;
  fill(byId("keys").tHead, make("tr", null, shownColumns.map(headCell), make("th", { class: "share wide" }, make("span", { class: "unseen" }, "Bar"))));
  const body = rows.slice(page * PAGE_ROWS, (page + 1) * PAGE_ROWS).map(keyRow);
  fill(byId("keys").tBodies[0], body.length ? body : make("tr", null, make("td", { class: "none", colspan: shownColumns.length + 1 }, "No key matches.")));
  const turn = (to, name) => make("button", { type: "button", disabled: to < 0 || to >= pages, onclick: () => { table.page = to; drawTable(); } }, name);
  byId("pager").hidden = pages < 2;
  fill(byId("pager"), make("span", null, `${count(page * PAGE_ROWS + 1)} to ${count(Math.min(rows.length, (page + 1) * PAGE_ROWS))} of ${count(rows.length)}`),
    turn(page - 1, "Previous"), turn(page + 1, "Next"));
}
function headCell(column) {
  const sorted = table.sort === column.id;
  const click = () => {
    table.down = sorted ? !table.down : !column.up;
    table.sort = column.id;
    selectRows();
    const again = byId("keys").tHead.querySelector("[aria-sort] button");
    if (again) again.focus({ preventScroll: true });
  };
  return make("th", { scope: "col", class: column.css, "aria-sort": sorted ? (table.down ? "descending" : "ascending") : null },
    make("button", { type: "button", onclick: click }, column.name));
}
function keyRow(row) {
  const text = {
    type: () => make("span", { class: "typed" }, make("span", { class: "dot" }), typeName(row)), encoding: () => row.encoding,
    elements: () => count(row.elements), largest_element_bytes: () => bytes(row.largest_element_bytes), database: () => String(row.database),
    expires_at_ms: () => expires(row), file_bytes: () => bytes(row.file_bytes), bytes: () => bytes(row.bytes),
  };
  const most = table.largest;
  const key = make("span", { class: "mono" }, row.key === "" ? "(empty)" : row.key);
  return make("tr", { class: "t" + row.type },
    shownColumns.map((column) => column.id === "key"
      ? make("th", { scope: "row", class: "key", title: `${clip(row.key, 200)} (${plural(row.key_bytes, "byte")})`, onclick: () => key.classList.toggle("open") }, key,
        make("span", { class: "under" }, make("span", { class: "dot" }), `${typeName(row)}, ${row.encoding}, ${plural(row.elements, "element")}`))
      : make("td", { class: column.css }, text[column.id]())),
    make("td", { class: "share wide", "aria-hidden": "true" }, make("div", { class: "track" }, make("i", { style: { width: (100 * row.bytes / most).toFixed(2) + "%" } }))));
}
function expires(row) {
  if (row.expires_at_ms === null) return make("span", { class: "soft" }, "never");
  const left = row.expires_at_ms - data.expiry.reference_ms;
  return make("span", { title: utc(row.expires_at_ms) }, left < 0 ? "expired" : "in " + span(left));
}

function findKeys(prefix) {
  byId("filter").value = prefix + "*";
  table.query = prefix + "*";
  table.type = null;
  typeFilter();
  selectRows();
  byId("biggest").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  byId("filter").focus({ preventScroll: true });
}
function typeFilter() {
  const counts = TYPES.map((_, type) => data.biggest.filter((row) => row.type === type).length);
  const chip = (type, name, amount) => make("button", { type: "button", "aria-pressed": String(table.type === type),
    onclick: () => { table.type = type; typeFilter(); selectRows(); } }, type === null ? null : make("span", { class: `dot t${type}` }), name, make("small", null, count(amount)));
  fill(byId("type-filter"), chip(null, "All", data.biggest.length), counts.map((amount, type) => amount && chip(type, TYPES[type], amount)));
}
function biggestSection() {
  for (const row of data.biggest) row.search = row.key.toLowerCase();
  shownColumns = COLUMNS.filter((column) => !column.when || column.when());
  table.largest = data.biggest.reduce((most, row) => Math.max(most, row.bytes), 1);
  byId("filter").addEventListener("input", (event) => { table.query = event.target.value; selectRows(); });
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); byId("filter").focus(); }
    if (event.key === "Escape" && event.target === byId("filter")) { event.target.value = ""; table.query = ""; selectRows(); }
  });
  typeFilter();
  selectRows();
}

// ---- Files, bar, foot --------------------------------------------------------------------------------------

function filesSection() {
  fill(byId("file-details"), data.files.map((file) => {
    const sum = file.checksum;
    const sums = sum.state === "verified" ? sum.value : sum.state === "mismatch" ? `${sum.found}, expected ${sum.expected}` : VERDICTS[sum.state][1];
    const facts = [["Size", bytes(file.file_bytes)], ["Keys", count(file.keys)], ["RDB version", String(file.rdb_version)],
      ["Written by", producer(file) || "unknown"], ["Created", file.created_ms ? utc(file.created_ms) : "unknown"], ["CRC-64", sums], ...file.aux];
    return make("div", { class: "card file" }, make("div", { class: "card-head" }, make("h3", null, file.name), verdict([sum.state])),
      make("dl", null, facts.map(([term, value]) => make("div", null, make("dt", null, term), make("dd", null, value)))));
  }));
}

function press(group, name, value) {
  for (const button of byId(group).children) button.setAttribute("aria-pressed", String(button.dataset[name] === value));
}
function switches() {
  byId("measure").addEventListener("click", (event) => {
    const { measure } = event.target.dataset;
    if (!measure) return;
    state.measure = measure;
    press("measure", "measure", measure);
    drawAll(true);
  });
  byId("colour").addEventListener("click", (event) => {
    const { colour } = event.target.dataset;
    if (!colour) return;
    state.colour = colour;
    press("colour", "colour", colour);
    mapLegend();
    drawMap(false);
  });
  press("measure", "measure", state.measure);
  press("colour", "colour", state.colour);
}

const remembered = { // a file opened from disk may have no storage
  get() { try { return localStorage.getItem("rdb-report-theme"); } catch { return null; } },
  set(theme) { try { localStorage.setItem("rdb-report-theme", theme); } catch { /* then not */ } },
};
function theme() {
  const saved = remembered.get();
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;
  byId("theme").addEventListener("click", () => {
    const isDark = (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    root.dataset.theme = isDark ? "light" : "dark";
    remembered.set(root.dataset.theme);
  });
}

function navigation(sections) {
  const links = new Map(sections.map(([id, name]) => [id, make("a", { href: "#" + id }, name)]));
  fill(byId("nav"), [...links.values()]);
  const seen = new Map();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) seen.set(entry.target.id, entry.isIntersecting);
    const current = sections.find(([id]) => seen.get(id));
    root.dataset.section = current ? current[0] : "";
    for (const [id, link] of links) {
      if (current && current[0] === id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-80px 0px -55% 0px" });
  for (const [id] of sections) observer.observe(byId(id));
}

function foot() {
  const by = data.generator ? `Made by ${data.generator}` : "Made";
  fill(byId("foot"), make("p", null, by + (data.made_at_ms ? " on " + utc(data.made_at_ms) : "") +
    ". Unless another server is named, memory is an estimate for Redis 7: key, value and their share of its tables. This page loads nothing from anywhere."));
}

let drawCharts = () => {};
function drawAll(moving) {
  byId("memory-title").textContent = state.measure === "keys" ? "Keys by prefix" : "Memory by prefix";
  drawCharts();
  setNode(state.node, !moving);
}

function start() {
  theme();
  head();
  foot();
  const sections = [];
  const open = (id, name, isThere) => { if (isThere) { show(id); sections.push([id, name]); } return isThere; };
  const hasKeys = data.prefixes.keys > 0;
  prepare(data.prefixes);
  state.node = data.prefixes;
  if (!hasKeys) {
    byId("head").append(make("div", { class: "card empty" }, make("b", null, "No keys"), "There is nothing to measure here."));
    byId("measure").parentElement.hidden = true;
  }
  open("memory", "Prefixes", hasKeys);
  open("types", "Types", hasKeys);
  open("sizes", "Sizes", hasKeys && data.sizes.length > 0);
  open("expiry", "Expiry", hasKeys);
  open("access", "Access", hasKeys && Boolean(data.idle || data.frequency));
  open("biggest", "Biggest keys", data.biggest.length > 0);
  open("files", "Files", data.files.length > 0);
  navigation(sections);
  filesSection();
  if (hasKeys) {
    switches();
    drawCharts = () => { typesSection(); if (data.sizes.length) sizesSection(); expirySection(); accessSection(); };
    mapLegend();
    mapEvents();
    drawAll(false);
    addEventListener("hashchange", followHash);
    followHash();
    matchMedia("(max-width: 719px)").addEventListener("change", () => drawCharts());
  }
  if (data.biggest.length) biggestSection();
  root.dataset.ready = "true";
}
start();
})();
