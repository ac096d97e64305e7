// The table of the biggest keys: filtered, sorted, a page at a time.

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
