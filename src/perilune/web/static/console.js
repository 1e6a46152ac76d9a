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

// Completion of names in a query: tables, columns, operators, functions, from our own list.
const editor = document.querySelector("textarea[data-words]");

class Completion {
  constructor(field, words) {
    this.field = field;
    this.words = words;
    this.list = document.createElement("ul");
    this.list.id = "choices";
    this.list.className = "choices";
    this.list.hidden = true;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Names");
    field.after(this.list);
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", "choices");
    field.addEventListener("input", () => this.offer());
    field.addEventListener("blur", () => this.close());
    field.addEventListener("keydown", (event) => this.pressed(event));
  }

  begun() {
    return this.field.value.slice(0, this.field.selectionStart).match(/[A-Za-z_][A-Za-z0-9_-]*$/)?.[0] ?? "";
  }

  offer() {
    const begun = this.begun().toLowerCase();
    const fits = ([word]) => word.toLowerCase().startsWith(begun) && word.toLowerCase() !== begun;
    const found = begun.length < 2 ? [] : this.words.filter(fits).slice(0, 8);
    if (!found.length) return this.close();
    this.list.replaceChildren(...found.map(([word, kind], index) => this.line(word, kind, index)));
    this.list.hidden = false;
    this.choose(0);
  }

  line(word, kind, index) {
    const line = document.createElement("li");
    const note = document.createElement("small");
    line.id = `choice-${index}`;
    line.setAttribute("role", "option");
    line.dataset.word = word;
    note.textContent = kind;
    line.append(word, note);
    line.addEventListener("mousedown", (event) => (event.preventDefault(), this.take(word)));
    return line;
  }

  choose(index) {
    const lines = [...this.list.children];
    this.at = (index + lines.length) % lines.length;
    lines.forEach((line, number) => line.setAttribute("aria-selected", String(number === this.at)));
    this.field.setAttribute("aria-activedescendant", `choice-${this.at}`);
  }

  take(word) {
    const end = this.field.selectionStart;
    this.field.setRangeText(word, end - this.begun().length, end, "end");
    this.close();
  }

  close() {
    this.list.hidden = true;
    this.field.removeAttribute("aria-activedescendant");
  }

  pressed(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return this.field.form.requestSubmit();
    if (this.list.hidden) return;
    const acts = {
      ArrowDown: () => this.choose(this.at + 1),
      ArrowUp: () => this.choose(this.at - 1),
      Tab: () => this.take(this.list.children[this.at].dataset.word),
      Enter: () => this.take(this.list.children[this.at].dataset.word),
      Escape: () => this.close(),
    };
    if (!Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }
}

if (editor) {
  const request = new XMLHttpRequest();
  request.responseType = "json";
  request.open("GET", editor.dataset.words);
  request.onload = () => {
    const { tables = [], columns = [], language = [] } = request.response ?? {};
    const marked = (words, kind) => words.map((word) => [word, kind]);
    new Completion(editor, [...marked(tables, "table"), ...marked(columns, "column"), ...marked(language, "KQL")]);
  };
  request.send();
}
