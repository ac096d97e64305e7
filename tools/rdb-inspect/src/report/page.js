// Head, files, switches and foot; puts the page together.

// ---- Head -----------------------------------------------------------------------------------------------------

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

// ---- Files, bar, foot ----------------------------------------------------------------------------------------

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
