// Uses the page as a reader would and leaves what it saw in the root element.
addEventListener("load", () => {
  const root = document.documentElement, seen = [], all = (query) => [...document.querySelectorAll(query)];
  const press = (element, key) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const type = (text) => { const input = document.getElementById("filter"); input.value = text; input.dispatchEvent(new Event("input")); };
  const note = (name, value) => seen.push(name + "=" + value);
  const keys = () => all("#keys tbody .key .mono").map((key) => key.textContent);
  const rows = () => document.getElementById("biggest-count").textContent.split(" ")[0];
  const steps = [
    () => note("crumbs", all("#crumbs b, #crumbs button").length),
    () => all(".cell.group[role=button]")[0].click(),
    () => { note("zoomed", location.hash.length > 10); note("crumbs", all("#crumbs b, #crumbs button").length); },
    () => press(all(".cell[role=button]")[0], "Escape"),
    () => note("crumbs", all("#crumbs b, #crumbs button").length),
    () => { const first = all(".cell[tabindex='0']")[0]; press(first, "ArrowRight"); note("moved", all(".cell[tabindex='0']")[0] !== first); },
    () => { note("rows", rows()); note("page", keys().length); },
    () => { type("USER:*:followers"); note("matches", keys().length > 0 && keys().every((key) => /^user:.*:followers/.test(key))); },
    () => { type("no such key"); note("none", keys().length); },
    () => { type(""); all("#keys thead button")[0].click(); const [a, b] = keys(); note("sorted", a <= b); },
    () => { all("#pager button")[1].click(); note("second", document.querySelector("#pager span").textContent.split(" ")[0]); },
    () => { all("#type-filter button")[1].click(); note("strings", all("#keys tbody .typed").every((cell) => cell.textContent === "string")); },
    () => { all("#measure button")[1].click(); note("measure", document.querySelector(".bars thead th:nth-child(3)").textContent); },
    () => { const dark = () => getComputedStyle(document.body).backgroundColor; const before = dark(); document.getElementById("theme").click(); note("theme", dark() !== before); },
    () => { root.dataset.seen = seen.join(" "); },
  ];
  const next = () => { const step = steps.shift(); if (step) { step(); setTimeout(next, 100); } };
  setTimeout(next, 200);
});
