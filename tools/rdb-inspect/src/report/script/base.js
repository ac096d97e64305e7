// What every part of the page uses: the data, elements, numbers with their units, the tip.
// Text from data goes in as text nodes and attributes, never as markup.

const root = document.documentElement;
addEventListener("error", (event) => { root.dataset.error = event.message; });

const byId = (id) => document.getElementById(id);
const { legend, data } = JSON.parse(byId("data").textContent);
const TYPES = legend.types;
const MERGED = "(other)";
const REST = "(no further prefix)";
const state = { measure: "bytes", colour: "type", node: null, range: null };

// ---- Elements -------------------------------------------------------------------------------------------------

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

// ---- Numbers --------------------------------------------------------------------------------------------------

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

// ---- The tip --------------------------------------------------------------------------------------------------

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
