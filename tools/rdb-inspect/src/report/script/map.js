// The tree of prefixes as a treemap that can be zoomed, with the panel beside it.

// ---- The tree -------------------------------------------------------------------------------------------------

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

// ---- Treemap: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000 -------------------------------------------

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
