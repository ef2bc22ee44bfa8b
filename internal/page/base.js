// What the parts of the page share: numbers for people, and keeping up with the server's events.
//
// Every string from the server is somebody else's, so text goes in by textContent, nowhere else.

const HISTORY = 60; // samples in a sparkline, one a second
const SILENCE = 10_000; // ms without an event before the connection counts as dead
export const KERNEL_PATHS = new Set(["splice", "tee+splice", "sendfile", "copy_file_range"]);

export const byId = (id) => document.getElementById(id);
export const cloneOf = (id) => byId(id).content.cloneNode(true);

// setText leaves an unchanged node alone: a selection in it survives, and a screen reader is not told again.
export function setText(node, text, title) {
  if (node.textContent !== text) node.textContent = text;
  if (title !== undefined && node.title !== title) node.title = title;
}

// ---- Numbers, for people -------------------------------------------------------------------------------------

function scaled(n, step, units) {
  let i = 0;
  for (; n >= step - 0.5 && i < units.length - 1; i++) n /= step; // what would round up to the step is in the next unit
  return `${n.toFixed(i === 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2)} ${units[i]}`;
}
export const bytes = (n) => scaled(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
export const rate = (n) => (n === null ? "–" : scaled(n, 1000, ["B/s", "kB/s", "MB/s", "GB/s"]));
export const exact = (n) => `${n.toLocaleString("en")} bytes`;

export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000)); // the server's clock may be ahead of ours
  const [d, h, m] = [s / 86400, (s / 3600) % 24, (s / 60) % 60].map(Math.floor);
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min` : `${s} s`;
}

export const times = (n) => (n === 1 ? "once" : n === 2 ? "twice" : `${n.toLocaleString("en")} times`);

// most lists what is counted, most often first.
export function most(counts, say) {
  return Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([what, n]) => say(what, n)).join(", ");
}

// Meter turns a growing count into a rate and the last minute of it, drawn into a sparkline.
export class Meter {
  constructor(parent) {
    parent.append(cloneOf("spark"));
    [this.area, this.line] = parent.querySelectorAll(".spark path");
    this.history = [];
    this.count = null;
    this.at = 0;
  }
  add(count, now) {
    const dt = (now - this.at) / 1000;
    if (this.count !== null && dt < 0.3) return; // two events in one breath: their quotient is noise
    // A count that fell is another count (the server restarted); after a gap the samples are no longer a second apart.
    if (this.count === null || count < this.count || dt > 5) this.history = [];
    else this.history = [...this.history, (count - this.count) / dt].slice(-HISTORY);
    this.count = count;
    this.at = now;
    this.draw();
  }
  // now is the mean of three samples: the events' own jitter is not the stream's.
  get now() {
    const last = this.history.slice(-3);
    return last.length ? last.reduce((a, b) => a + b) / last.length : null;
  }
  draw() {
    const history = this.history.length > 1 ? this.history : [0, 0];
    const peak = Math.max(...history, 1);
    const x = HISTORY - history.length;
    const line = `M${history.map((v, i) => `${x + i} ${(22.5 - (v / peak) * 20).toFixed(1)}`).join("L")}`;
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", `${line}V24H${x}Z`);
  }
}

// place makes nodes the children of parent, in order, touching only what is out of place: a moved <video> stops.
export function place(parent, nodes) {
  const keep = new Set(nodes);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  nodes.forEach((node, i) => parent.children[i] !== node && parent.insertBefore(node, parent.children[i] ?? null));
}

// ---- The server's events -------------------------------------------------------------------------------------

let events = null; // the EventSource, null while the page is hidden
let heardAt = 0; // when it last said something
let lost = false; // whether it broke since then
const handlers = new Map(); // an event's, by its name
const goners = []; // who wants to know that what the page was connected to is gone

// follow hears the server's events while somebody looks at the page: each goes, parsed, to the function of its name. Of
// what a page was connected to besides, gone is told when that is as dead as the events were, or of no more use. It is
// for scripts that are being loaded: once all are, there is one connection for all of them.
export function follow(some, gone) {
  for (const [name, handle] of Object.entries(some)) handlers.set(name, handle);
  if (gone) goners.push(gone);
}

const gone = () => goners.forEach((tell) => tell());

function connect() {
  events?.close();
  heardAt = performance.now();
  events = new EventSource("/api/v1/events");
  events.addEventListener("error", () => setLink("reconnecting"));
  for (const [name, handle] of handlers) {
    events.addEventListener(name, (event) => {
      heardAt = performance.now();
      if (lost) gone();
      setLink("live");
      handle(JSON.parse(event.data));
    });
  }
}

// An EventSource that met an HTTP error gives up for good, and one whose peer vanished never notices: both fall silent.
setInterval(() => {
  if (!events || performance.now() - heardAt < (events.readyState === EventSource.CLOSED ? 3000 : SILENCE)) return;
  setLink("reconnecting");
  connect();
}, 1000);

// A hidden page holds no connection: the six are shared by all tabs, and nobody is looking.
function visibility() {
  if (!document.hidden) return connect();
  events?.close();
  events = null;
  gone();
}

addEventListener("DOMContentLoaded", () => {
  document.addEventListener("visibilitychange", visibility);
  visibility();
});

function setLink(state) {
  lost = state === "reconnecting";
  byId("link").dataset.state = document.body.dataset.link = state;
  setText(byId("link"), state);
}

// ---- The page's parts -------------------------------------------------------------------------------------------

const titles = new Map(); // what each part has to say in the page's title

// show shows a part, of which there are facts, and says in the title what is the most important of them.
export function show(part, title) {
  document.body.classList.add(part);
  titles.set(part, title);
  const all = [...titles.values()].filter(Boolean).join(", ");
  document.title = all ? `penstock: ${all}` : "penstock";
}

// ---- Copy buttons --------------------------------------------------------------------------------------------

for (const code of document.querySelectorAll("[data-command]")) {
  setText(code, code.dataset.command.replace("http://HOST", location.origin));
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const done = await copy(button.parentElement.querySelector("code"));
  setText(button, done ? "Copied" : "Selected");
  setText(byId("said"), done ? "Copied" : "Selected: copy it with the keyboard");
  setTimeout(() => setText(button, "Copy"), 2000);
});

// copy falls back to the old command: the clipboard is withheld from a page that came over plain HTTP.
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand("copy");
  }
}
