// The relays: one event a second holds the whole state, and the page is made to agree with it, in place.
//
// Every string from the server may be somebody else's (a client's address, a target's error), so text goes in by
// textContent, nowhere else.

import { KERNEL_PATHS, Meter, byId, bytes, cloneOf, exact, follow, most, place, rate, setText, show, span } from "/base.js";

const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
const kindOf = (path) => (KERNEL_PATHS.has(path) ? "kernel" : "process");

// ---- A connection's row --------------------------------------------------------------------------------------

const rows = new Map(); // by the connection's number

function drawRow(c, mayEnd) {
  let row = rows.get(c.id);
  if (!row) {
    row = cloneOf("row").firstElementChild;
    row.querySelector(".kill").addEventListener("click", (event) => kill(event.target, c.id));
    rows.set(c.id, row);
  }
  const set = (selector, text, title) => setText(row.querySelector(selector), text, title);
  set(".id", `${c.id}`);
  set(".from", c.from.startsWith("invalid") ? "" : c.from);
  set(".target", c.target ?? "");
  set(".age", span(c.elapsed * 1000), c.began);
  set(".forward", bytes(c.forward), exact(c.forward));
  set(".backward", bytes(c.backward), exact(c.backward));
  set(".badge", c.path);
  row.querySelector(".badge").dataset.kind = kindOf(c.path);
  row.querySelector(".kill").hidden = !mayEnd;
  return row;
}

// kill asks once more before it ends somebody's connection.
async function kill(button, id) {
  if (!button.classList.contains("sure")) {
    button.classList.add("sure");
    setText(button, "Really?");
    setTimeout(() => {
      button.classList.remove("sure");
      setText(button, "End");
    }, 3000);
    return;
  }
  button.disabled = true;
  try {
    const answer = await fetch(`/api/v1/connections/${id}`, { method: "DELETE" });
    setText(byId("said"), answer.ok ? `Connection ${id} is ended` : `Connection ${id}: ${await answer.text()}`);
  } catch (e) {
    setText(byId("said"), `Connection ${id}: ${e.message}`);
    button.disabled = false;
  }
}

// ---- A relay's card ------------------------------------------------------------------------------------------

const cards = new Map(); // by where it listens

class Card {
  constructor() {
    this.root = cloneOf("relay-card").firstElementChild;
    this.forward = new Meter(this.$(".meters .forward"));
    this.backward = new Meter(this.$(".meters .backward"));
    this.edges = new Map(); // an outlet's element, and what it had done at the last event
  }
  $ = (selector) => this.root.querySelector(selector);
  set = (selector, text, title) => setText(this.$(selector), text, title);

  update(relay, connections, mayEnd, now) {
    this.relay = relay;
    this.mayEnd = mayEnd;
    this.root.dataset.state = relay.state;
    this.set("h2", relay.name, relay.name);
    this.set(".state", relay.state);
    this.set(".listen", relay.listen);
    this.set(".limit", relay.max_connections ? `at most ${count(relay.max_connections, "connection")}` : "");
    this.set(".alert span", relay.error ?? "");
    this.$(".alert").hidden = !relay.error;
    for (const way of ["forward", "backward"]) {
      this[way].add(relay[way], now);
      this.set(`.meters .${way} .rate`, rate(this[way].now));
      this.set(`.meters .${way} .sum`, `${bytes(relay[way])} in all`, exact(relay[way]));
    }
    this.set(".audience .rate", relay.open.toLocaleString("en"));
    this.set(".audience .sum", `${relay.accepted.toLocaleString("en")} in all`);
    this.drawFlow(connections);
    this.drawLedger();
    this.drawConnections(connections);
  }

  // drawFlow tells the way that most bytes take of the connections that came last.
  drawFlow(connections) {
    const r = this.relay;
    const old = this.edges;
    this.edges = new Map();
    this.set(".source .whom", r.address);
    this.$(".source").classList.toggle("absent", r.state !== "listening");
    const ways = (all) => {
      const n = {};
      for (const c of all) if (c.path) n[c.path] = (n[c.path] ?? 0) + c.forward + c.backward;
      return Object.entries(n).sort((a, b) => b[1] - a[1]).map(([path]) => path);
    };
    const inlet = [], outlets = [];
    if (r.open) {
      const [path = "", ...others] = ways(connections);
      const why = others.length ? `some by ${others.join(", ")}` : "";
      inlet.push(this.drawEdge(old, "inlet", "div", { path, why, sum: r.forward + r.backward }));
    }
    for (const t of r.targets) {
      const [path = ""] = ways(connections.filter((c) => c.target === t.target));
      outlets.push(this.drawEdge(old, t.target, "li", {
        path, role: "target", whom: t.target, sum: t.open ? r.forward + r.backward : 0, down: !t.up,
        count: `${t.open.toLocaleString("en")} open, ${t.total.toLocaleString("en")} in all`,
        lag: t.up ? "" : `down for ${span(Date.now() - Date.parse(t.since))}: ${t.error}`,
        why: t.up && t.failed ? `failed ${t.failed.toLocaleString("en")} times so far` : "",
      }));
    }
    for (const m of r.mirrors ?? []) {
      outlets.push(this.drawEdge(old, `mirror ${m.mirror}`, "li", {
        path: "tee", kind: "kernel", role: "mirror", whom: m.mirror, sum: m.delivered, count: bytes(m.delivered),
        lag: m.lost ? `${bytes(m.lost)} lost` : "", why: m.failed ? `failed for ${count(m.failed, "connection")}` : "",
      }));
    }
    place(this.$(".inlet"), inlet);
    place(this.$(".first"), outlets);
  }

  drawEdge(old, key, tag, e) {
    const [edge, before] = old.get(key) ?? [document.createElement(tag), Infinity];
    this.edges.set(key, [edge, e.sum]);
    if (!edge.hasChildNodes()) edge.append(cloneOf("edge"));
    edge.classList.add("edge");
    edge.dataset.kind = e.kind ?? (e.path ? kindOf(e.path) : "kernel");
    edge.classList.toggle("running", e.sum > before);
    edge.classList.toggle("down", !!e.down);
    const badge = edge.querySelector(".badge");
    setText(badge, e.down ? "down" : e.path || (tag === "li" ? "up" : ""));
    badge.hidden = !badge.textContent;
    for (const name of ["role", "whom", "why", "count", "lag"]) setText(edge.querySelector(`.${name}`), e[name] ?? "");
    return edge;
  }

  // drawLedger tells the story so far, a line each of what there is to tell.
  drawLedger() {
    const r = this.relay;
    const line = (name, text) => {
      this.set(`.${name} dd`, text);
      this.$(`.ledger .${name}`).hidden = !text;
    };
    const all = r.forward + r.backward;
    line("ways", r.spliced ? `${bytes(r.spliced)}, ${Math.floor((100 * Math.min(r.spliced, all)) / all)} % of all` : "");
    line("ends", most(r.ends, (how, n) => `${n.toLocaleString("en")} × ${how}`));
    const failed = [];
    if (r.refused) failed.push(`${count(r.refused, "connection")} refused`);
    if (r.retried) failed.push(`${count(r.retried, "further attempt")} to connect to a target`);
    if (r.scarce) failed.push(`${r.scarce.toLocaleString("en")} times no descriptors to accept with`);
    line("missed", failed.join(", "));
    this.$(".ledger").hidden = !this.$(".ledger > :not([hidden])");
  }

  drawConnections(connections) {
    const details = this.$(".open");
    details.hidden = connections.length === 0;
    this.set("summary", `${count(connections.length, "connection")}${connections.length < this.relay.open ? ", those that came last" : ""}`);
    if (details.open) place(this.$("tbody"), connections.map((c) => drawRow(c, this.mayEnd)));
    const omitted = this.relay.open - connections.length;
    this.set(".omitted", omitted > 0 ? `and ${omitted.toLocaleString("en")} older ones, which connections.json lists` : "");
  }
}

// ---- The page ------------------------------------------------------------------------------------------------

function update({ relays, connections, reload, may_end: mayEnd }) {
  const now = performance.now();
  const old = new Map(cards);
  cards.clear();
  const byPlace = Map.groupBy(connections, (c) => c.listener);
  for (const relay of relays) {
    const card = old.get(relay.key) ?? new Card();
    cards.set(relay.key, card);
    card.update(relay, byPlace.get(relay.key) ?? [], mayEnd, now);
  }
  const there = new Set(connections.map((c) => c.id));
  for (const id of rows.keys()) if (!there.has(id)) rows.delete(id);
  place(byId("relays"), [...cards.values()].map((card) => card.root));
  byId("no-relays").hidden = relays.length > 0;
  byId("reload").hidden = !reload.error;
  setText(byId("reload").querySelector("span"), reload.error ?? "");
  const sum = (of) => relays.reduce((n, r) => n + r[of], 0);
  const flow = (way) => [...cards.values()].reduce((n, card) => n + (card[way].now ?? 0), 0);
  setText(byId("total-relays"), relays.length.toLocaleString("en"));
  setText(byId("total-open"), sum("open").toLocaleString("en"));
  setText(byId("total-forward"), rate(flow("forward")));
  setText(byId("total-backward"), rate(flow("backward")));
  setText(byId("total-lost"), bytes(sum("lost")), exact(sum("lost")));
  show("relays", count(sum("open"), "connection"));
}

follow({ relays: update });
