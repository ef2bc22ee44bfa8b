// The streams: one event a second holds the whole state, and the page is made to agree with it, in place.
//
// Every string from the server is somebody else's (a publisher chooses its stream's name), so text goes in by
// textContent and addresses by liveURL, nowhere else.

import { KERNEL_PATHS, Meter, byId, bytes, cloneOf, exact, follow, most, place, rate, setText, show, span, times } from "/base.js";

const MAX_PICTURES = 3; // a browser opens 6 connections to one HTTP/1.1 host; the event stream holds one for good
const FIRST_VIEWERS = 3; // viewers shown before the rest are folded away
const FIRST_SLOW = 8; // and of those who are slow
const SLOW = 1; // seconds out of step before anybody is called slow: what comes and goes within an event is no news
const FORMATS = { "multipart/x-mixed-replace": "MJPEG", "video/mp2t": "MPEG-TS", "video/mp4": "MP4", "video/webm": "WebM" };

// liveURL escapes also what encodeURIComponent leaves and a shell would not: the address is pasted into one.
function liveURL(name) {
  const escape = (part) => encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return `/live/${name.split("/").map(escape).join("/")}`;
}

// recordingAlert says what is missing from a recording: a title and a text, both empty where nothing is.
function recordingAlert(r) {
  if (!r) return ["", ""];
  const gaps = `${bytes(r.gap_bytes)} in ${r.gaps} gap${r.gaps === 1 ? "" : "s"}`;
  if (r.gap_since) return ["Nothing can be recorded.", `${gaps} so far, since ${span(Date.now() - Date.parse(r.gap_since))}: ${r.error}`];
  if (r.gaps) return ["The recording has gaps.", `${gaps}; it goes on. The last error: ${r.error}`];
  if (r.doubt_bytes) return ["The recording is in doubt.", `${bytes(r.doubt_bytes)} may not be on the disk: ${r.error}`];
  return r.index_error ? ["The recording's index is not written.", r.index_error] : ["", ""];
}

function recordingNote(r) {
  if (!r) return "not recorded";
  if (r.gap_since) return "not recorded: see above";
  return r.segments > 1 ? `and recorded: ${r.segments} segments` : "and recorded";
}

// What becomes of a sink that is slow, by its policy.
const FATES = {
  block: "the publisher waits for it",
  disconnect: "beyond the ring it is cut",
  skip: "beyond the ring it skips to the newest join point",
  catchup: "beyond the ring it goes on from the recording",
};

const isSlow = (edge) => edge.slow_seconds >= SLOW && edge.lag > 0;
// lagOf says how far behind an edge is, and for how long.
function lagOf(edge) {
  if (!isSlow(edge)) return "";
  const age = edge.behind_seconds >= 0.5 ? `, ${span(edge.behind_seconds * 1000)}` : "";
  return `${bytes(edge.lag)}${age} behind, for ${span(edge.slow_seconds * 1000)}`;
}

// ---- Pictures: a few slots for many streams ------------------------------------------------------------------

const slots = []; // the cards that hold a live connection, oldest first

function play(card) {
  const oldest = slots[0];
  if (slots.length >= MAX_PICTURES) oldest.release("crowded");
  slots.push(card);
  card.mount();
  oldest?.drawStage();
}

// fillSlots gives free slots to the streams that want one, in the page's order.
function fillSlots() {
  for (const card of cards.values()) {
    if (card.wantsSlot()) slots.length < MAX_PICTURES ? play(card) : (card.idle = "crowded");
    card.drawStage();
  }
}

function playerFor(type) {
  if (type === "multipart/x-mixed-replace" || type.startsWith("image/")) return "img";
  if (type === "video/mp4" || type === "video/webm") return "video";
  return type.startsWith("audio/") ? "audio" : "";
}

// What a stage without a picture says: title, text, the sign on the little screen.
const NOTES = {
  offline: ["Off air", "It is shown here again when somebody publishes.", ""],
  waiting: ["Waiting for the publisher", "Its viewers are held until it returns.", "M32 10v7l5 4"],
  unplayable: ["Browsers cannot play this", "A player can: copy the line below into a terminal.", "M24 13l5 4-5 4M33 21h8"],
  broken: ["The picture stopped", "The page tries again by itself.", "M27 12l10 10M37 12l-10 10"],
  paused: ["Paused", "The page holds no connection to this stream.", "M29 12v10M35 12v10"],
  crowded: [`Room for ${MAX_PICTURES} at a time`, "Watching here releases the oldest picture.", "M29 11l9 6-9 6z"],
};

// ---- A stream's card -----------------------------------------------------------------------------------------

const cards = new Map(); // by stream name

class Card {
  constructor(name) {
    this.root = cloneOf("stream-card").firstElementChild;
    this.in = new Meter(this.$(".meters .in"));
    this.out = new Meter(this.$(".meters .out"));
    this.rows = new Map(); // an edge's element and its bytes at the last event
    this.stream = { name, epoch: 0, content_type: "" };
    this.tag = ""; // the element that can play it, "" when a browser cannot
    this.player = null; // that element, while it holds a connection
    this.idle = ""; // why a picture that could be shown is not: "paused" or "crowded"
    this.failures = 0;
    this.retryAt = 0;
    this.set("h2", name, name);
    this.set(".command code", `ffplay ${location.origin}${liveURL(name)}`);
    this.$(".toggle").addEventListener("click", () => this.toggle());
  }
  $ = (selector) => this.root.querySelector(selector);
  set = (selector, text, title) => setText(this.$(selector), text, title);

  update(stream, now) {
    const before = this.stream;
    this.stream = stream;
    this.type = stream.content_type.split(";")[0].trim().toLowerCase();
    this.tag = playerFor(this.type);
    // A new epoch is a new publisher: what the old connection carried may not continue in it.
    if (stream.epoch !== before.epoch || stream.content_type !== before.content_type) {
      this.failures = this.retryAt = 0;
      this.release(this.idle === "crowded" ? "" : this.idle);
      if (this.tag === "audio" && !before.content_type) this.idle = "paused"; // sound never starts by itself
    }
    if (stream.state === "offline") this.release();
    this.drawHead();
    for (const name of ["in", "out"]) {
      const count = stream[`bytes_${name}`];
      this[name].add(count, now);
      this.set(`.${name} .rate`, rate(this[name].now));
      this.set(`.${name} .sum`, `${bytes(count)} in all`, exact(count));
    }
    this.drawFlow();
    this.drawLedger();
  }

  drawHead() {
    const s = this.stream;
    this.root.dataset.state = s.state;
    this.set(".state", s.state);
    this.set(".since", `${s.state} for ${span(Date.now() - Date.parse(s.since))}`, s.since);
    this.$(".since").dateTime = s.since;
    this.set(".epoch", `epoch ${s.epoch}`, `publishers so far: ${s.epoch}`);
    this.set(".format", FORMATS[this.type] ?? this.type, s.content_type);
    const [title, text] = recordingAlert(s.recording);
    this.set(".alert strong", title);
    this.set(".alert span", text);
    this.$(".alert").hidden = !title;
    this.set(".audience .rate", s.viewers.toLocaleString("en"));
    this.set(".audience .sum", recordingNote(s.recording), s.recording?.file ?? "");
  }

  // drawLedger tells the story so far, a line each of what there is to tell.
  drawLedger() {
    const s = this.stream;
    const line = (name, text, title = "") => {
      this.set(`.${name} dd`, text, title);
      this.$(`.ledger .${name}`).hidden = !text;
    };
    line("ways", most(s.by, (path, n) => `${bytes(n)} by ${path}`));
    const perCall = (s.bytes_in + s.bytes_out) / s.calls;
    line("calls", s.calls ? `${s.calls.toLocaleString("en")}, ${bytes(perCall)} each` : "", "of the way in and all ways out");
    line("missed", s.skips ? `${bytes(s.skipped_bytes)}, by viewers that skipped ${times(s.skips)}` : "");
    line("left", most(s.left, (why, n) => `${n.toLocaleString("en")} × ${why}`));
    this.$(".ledger").hidden = !this.$(".ledger > :not([hidden])");
  }

  drawFlow() {
    const { publisher, edges, edges_omitted: omitted = 0 } = this.stream;
    this.set(".source .whom", publisher || "nobody");
    this.$(".source").classList.toggle("absent", !publisher);

    const inlet = [], first = [], rest = [];
    const old = this.rows;
    this.rows = new Map();
    let viewers = 0;
    for (const edge of edges ?? []) {
      const row = this.drawEdge(edge, old);
      if (edge.to === "hub") inlet.push(row);
      else if (edge.to.startsWith("viewer") && ++viewers > (isSlow(edge) ? FIRST_SLOW : FIRST_VIEWERS)) rest.push(row);
      else first.push(row);
    }
    place(this.$(".inlet"), inlet);
    place(this.$(".first"), first);
    place(this.$(".rest"), rest);
    this.$(".outlets").classList.toggle("none", first.length === 0);
    const more = rest.length + omitted;
    this.$("details").hidden = more === 0;
    this.set("summary", `${more.toLocaleString("en")} more viewer${more === 1 ? "" : "s"}`);
    this.set(".omitted", omitted ? `and ${omitted.toLocaleString("en")} that the server counts but does not list` : "");
  }

  drawEdge(edge, old) {
    let key = edge.to;
    while (this.rows.has(key)) key += " "; // two sinks of one name are two rows
    const [row, before] = old.get(key) ?? [document.createElement(edge.to === "hub" ? "div" : "li"), Infinity];
    this.rows.set(key, [row, edge.bytes]);
    if (!row.hasChildNodes()) row.append(cloneOf("edge"));
    row.classList.add("edge");
    row.dataset.kind = KERNEL_PATHS.has(edge.path) ? "kernel" : "process";
    row.classList.toggle("running", edge.bytes > before);
    const [role, ...whom] = edge.to.split(" ");
    const set = (selector, text, title) => setText(row.querySelector(selector), text, title);
    set(".badge", edge.path);
    set(".role", role);
    set(".whom", whom.join(" "));
    set(".why", edge.why);
    set(".count", bytes(edge.bytes), exact(edge.bytes));
    set(".lag", lagOf(edge), exact(edge.lag));
    set(".fate", !isSlow(edge) ? "" : edge.archived ? "catching up from the recording" : FATES[edge.policy] ?? "");
    set(".skips", edge.skips ? `skipped ${times(edge.skips)}, missed ${bytes(edge.skipped_bytes)}` : "", exact(edge.skipped_bytes));
    return row;
  }

  // ---- its picture

  wantsSlot() {
    return this.tag && !this.player && !this.idle && (this.stream.state === "live" || this.stream.publisher) && performance.now() >= this.retryAt;
  }

  mount() {
    this.idle = "";
    const player = document.createElement(this.tag);
    player.addEventListener("error", () => this.fail(player));
    player.addEventListener("ended", () => this.fail(player));
    if (this.tag === "img") {
      player.alt = `Live picture of ${this.stream.name}`;
    } else {
      player.controls = player.playsInline = true;
      player.muted = this.tag === "video";
      // A paused player would keep its connection and fall behind: pausing gives the slot back instead.
      player.addEventListener("pause", () => player === this.player && !player.ended && this.toggle());
    }
    player.src = liveURL(this.stream.name);
    this.player = player;
    this.$(".screen").replaceChildren(player);
    player.play?.().catch((e) => e.name === "NotAllowedError" && player === this.player && this.toggle());
  }

  // release ends the connection. Taking the element out is not enough: its fetch goes on until src is cleared.
  release(idle = this.idle) {
    this.idle = idle;
    if (!this.player) return;
    const player = this.player;
    this.player = null; // first, so that the events of the next lines find it gone
    slots.splice(slots.indexOf(this), 1);
    player.removeAttribute("src");
    player.load?.(); // a media element lets go only when told to load nothing
    player.remove();
  }

  fail(player) {
    if (player !== this.player) return;
    this.failures++;
    this.retryAt = performance.now() + Math.min(2000 * 2 ** this.failures, 60_000);
    this.release();
    this.drawStage();
  }

  toggle() {
    this.failures = this.retryAt = 0;
    if (this.player) this.release("paused");
    else play(this);
    this.drawStage();
  }

  drawStage() {
    const { player, tag, stream } = this;
    const shown = stream.state === "live" || stream.publisher; // a filler's picture is one, too
    const note = !shown ? stream.state : player ? "" : !tag ? "unplayable" : this.idle || "broken";
    this.$(".stage").dataset.note = note;
    const [title, text, sign] = NOTES[note] ?? ["", "", ""];
    this.set(".note strong", title);
    this.set(".note span", text);
    this.$(".sign").setAttribute("d", sign);
    const button = this.$(".toggle");
    button.hidden = !player && !["paused", "crowded", "broken"].includes(note);
    const [stop, start] = tag === "audio" ? ["Stop sound", "Listen here"] : ["Pause picture", "Watch here"];
    setText(button, player ? stop : start);
    button.setAttribute("aria-label", `${button.textContent}: ${stream.name}`);
  }
}

// ---- The page ------------------------------------------------------------------------------------------------

function update(streams) {
  const now = performance.now();
  const old = new Map(cards);
  cards.clear(); // and filled again in the server's order, which is the order of the slots
  for (const stream of streams) {
    cards.set(stream.name, old.get(stream.name) ?? new Card(stream.name));
    old.delete(stream.name);
  }
  for (const gone of old.values()) gone.release();
  for (const stream of streams) cards.get(stream.name).update(stream, now);
  place(byId("streams"), [...cards.values()].map((card) => card.root));
  fillSlots();
  byId("no-streams").hidden = streams.length > 0;
  drawTotals(streams);
}

function drawTotals(streams) {
  const live = streams.filter((s) => s.state === "live").length;
  const sum = (meter) => [...cards.values()].reduce((n, card) => n + (card[meter].now ?? 0), 0);
  setText(byId("total-streams"), live === streams.length ? `${live}` : `${live} of ${streams.length}`);
  setText(byId("total-viewers"), streams.reduce((n, s) => n + s.viewers, 0).toLocaleString("en"));
  setText(byId("total-in"), rate(sum("in")));
  setText(byId("total-out"), rate(sum("out")));
  show("streams", live ? `${live} live` : "");
}

function drawServer(server) {
  setText(byId("total-memory"), bytes(server.memory_bytes), exact(server.memory_bytes));
  setText(byId("memory-limit"), server.memory_limit_bytes ? `of ${bytes(server.memory_limit_bytes)}` : "");
}

// The pictures' connections are lost with the events', and an <img> does not say so: they are opened again.
follow({ streams: (streams) => update(streams ?? []), server: drawServer }, () => {
  for (const card of cards.values()) card.release();
});
