// Keys for the queue, pages that follow what happens, completion of KQL. Everything works without it.
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

// A page with data-live asks for itself again when its stream tells of another version. A form in use is left alone.
const live = document.querySelector("[data-live]");

function replaced(fresh) {
  const busy = live.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, button");
  const written = [...live.querySelectorAll("input, textarea")].some(
    (field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked,
  );
  if (busy || written) return offer();
  const open = new Set([...live.querySelectorAll("details[open]")].map((one) => one.id));
  live.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
  for (const one of live.querySelectorAll("details[id]")) one.open ||= open.has(one.id);
  live.dataset.version = fresh.dataset.version;
}

function offer() {
  if (document.querySelector(".fresh")) return;
  const note = document.createElement("p");
  note.className = "fresh";
  note.setAttribute("role", "status");
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = live.dataset.offer ?? "There is news: load the page again";
  note.append(link);
  live.before(note);
}

function refresh() {
  const request = new XMLHttpRequest();
  request.responseType = "document";
  request.open("GET", location.pathname + location.search);
  request.onload = () => {
    const fresh = request.response?.getElementById(live.id);
    if (fresh) replaced(fresh);
  };
  request.send();
}

if (live) {
  const stream = new EventSource(live.dataset.live);
  stream.addEventListener("version", (event) => {
    if (event.data === live.dataset.version) return;
    if (live.hasAttribute("data-offer")) offer();
    else refresh();
  });
  addEventListener("pagehide", () => stream.close());
}
