// Keys for the queue, and times that are easier to read. Everything works without it.
"use strict";

const rows = () => [...document.querySelectorAll("form.cases tbody tr")];

function pick(step) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((row) => row.classList.contains("picked"));
  const next = Math.min(Math.max(now + step, 0), all.length - 1);
  all.forEach((row, index) => row.classList.toggle("picked", index === next));
  const link = all[next].querySelector("a.open");
  link.focus({ preventScroll: true });
  all[next].scrollIntoView({ block: "nearest" });
}

const picked = () => document.querySelector("form.cases tr.picked");

const keys = {
  j: () => pick(1),
  k: () => pick(-1),
  a: () => (picked()?.querySelector("button.take") ?? document.querySelector("#owner + button"))?.click(),
  "/": () => document.querySelector("#search")?.focus(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && typing) return event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("form.cases tbody tr");
  if (row) rows().forEach((one) => one.classList.toggle("picked", one === row));
});

for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
