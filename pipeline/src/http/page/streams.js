// The table of streams, and what one word says of a stream: shared by everything that shows one.

import { byId, make, reconcile, setAttribute, setText, show } from "./dom.js";
import { NOTHING, count, percent, plural, rate, span } from "./units.js";

// Words from the most pressing on, and the tone of each. The tone chooses a shape as well as a colour.
const TONES = new Map([
  ["halted", "bad"], ["held", "bad"], ["queue full", "bad"], ["waiting", "warn"], ["paused", "pause"], ["throttled", "pause"], ["starting", "busy"], ["copying", "busy"],
  ["stopped", "quiet"], ["following", "good"],
]);

export const toneOf = (word) => TONES.get(word) ?? "quiet";

// As the terminal says it: a pause shows, except over what needs a decision.
export function wordOf(stream) {
  const { state } = stream.condition;
  if (state !== "held" && state !== "halted" && stream.control?.paused) return "paused";
  if (state === "following" && stream.held_by?.length > 0) return "throttled";
  return state;
}

// The most pressing word of a report, and how many streams share it.
export function stateOf(report) {
  if (!report.target.reachable && report.running) return { word: "waiting", more: "for the target" };
  const words = report.streams.map(wordOf);
  const word = [...TONES.keys()].find((one) => words.includes(one));
  const full = report.running ? report.sources.filter((source) => source.queue.full).length : 0;
  if (full && word !== "halted" && word !== "held") return { word: "queue full", more: full === report.sources.length ? "" : `${count(full)} of ${plural(report.sources.length, "source")}` };
  if (!report.running) return { word: word === "halted" || word === "held" ? word : "stopped", more: "" };
  if (!word) return { word: "idle", more: "no streams" };
  const same = words.filter((one) => one === word).length;
  return { word, more: same === words.length ? "" : `${count(same)} of ${count(words.length)} streams` };
}

// How far a copy is: by records where they are counted, by bytes otherwise.
function progress(stream) {
  const { condition, copy } = stream;
  if (condition.state !== "copying") return null;
  if (copy) return { done: copy.records, all: copy.estimate, text: `${count(copy.records)} of ~${count(copy.estimate)}` };
  return { done: condition.bytes, all: condition.total, text: `${plural(condition.records, "record")}` };
}

// Where copies stood when this page first saw them, for an ETA of its own while the service tells none.
const firstSeen = new Map();

function eta(stream, part, metrics, now) {
  const told = metrics.of("copy_eta_seconds", stream.name);
  if (told !== undefined) return told * 1000;
  const first = firstSeen.get(stream.name);
  if (!first || first.done > part.done) {
    firstSeen.set(stream.name, { done: part.done, at: now });
    return undefined;
  }
  const speed = (part.done - first.done) / (now - first.at);
  // A few seconds say nothing of an hour.
  return speed > 0 && now - first.at > 10_000 ? Math.max(0, part.all - part.done) / speed : undefined;
}

const COLUMNS = [
  { field: "name", head: "Stream" }, { field: "state", head: "State" }, { field: "phase", head: "Phase" },
  { field: "ready", head: "Ready" }, { field: "captured", head: "Captured", number: true },
  { field: "applied", head: "Applied", number: true }, { field: "parked", head: "Parked", number: true },
  { field: "queued", head: "Queued", number: true }, { field: "lag", head: "Lag", number: true },
  { field: "rate", head: "Rate", number: true }, { field: "act", head: "" },
];

// Writes the head of a table.
export function headTable(row, columns) {
  row.replaceChildren(...columns.map(({ head, number }) => make("th", {
    scope: "col", role: "columnheader", class: number ? "number" : null, text: head || null,
  })));
}

export class Streams {
  #body = byId("streams-body");
  #report = null;
  #metrics = null;

  // `pick(name)` shows the charts of a stream, `control(name)` asks what to do with it.
  constructor(pick, control) {
    this.pick = pick;
    this.control = control;
    headTable(byId("streams-head"), COLUMNS);
    byId("streams-head").lastElementChild.append(make("span", { class: "unseen", text: "Control" }));
    byId("filter").addEventListener("input", () => this.#render());
    byId("troubled").addEventListener("change", () => this.#render());
  }

  update(report, metrics) {
    this.#report = report;
    this.#metrics = metrics;
    for (const name of firstSeen.keys()) {
      if (!report.streams.some((stream) => stream.name === name && stream.condition.state === "copying")) firstSeen.delete(name);
    }
    this.#render();
  }

  #render() {
    if (!this.#report) return;
    const { streams } = this.#report;
    const part = byId("filter").value.trim().toLowerCase();
    const troubled = byId("troubled").checked;
    const shown = streams.filter((stream) => stream.name.toLowerCase().includes(part) && !(troubled && stream.ready));
    const now = Date.now();
    reconcile(this.#body, shown, {
      key: (stream) => stream.name,
      build: (stream) => this.#build(stream.name),
      update: (row, stream) => this.#fill(row, stream, now),
    });
    setText(byId("streams-count"), shown.length === streams.length ? plural(streams.length, "stream") : `${count(shown.length)} of ${plural(streams.length, "stream")}`);
    const empty = streams.length === 0 ? "There are no streams: the configuration names none, or no collection matches its patterns yet." : "No stream is like that.";
    setText(byId("streams-empty"), empty);
    show(byId("streams-empty"), shown.length === 0);
  }

  #build(name) {
    const cells = {};
    const node = make("tr", { role: "row", "data-stream": name });
    for (const { field, head, number } of COLUMNS) {
      const cell = make("td", { role: "cell", class: number ? "number" : null, "data-field": field, "data-label": head });
      cells[field] = cell;
      node.append(cell);
    }
    const pick = make("button", { type: "button", class: "name", text: name, title: "Show the charts of this stream" });
    pick.addEventListener("click", () => this.pick(name));
    const table = make("small", { class: "below" });
    cells.name.append(pick, table);
    const mark = make("span", { class: "mark" });
    const more = make("small", { class: "below" });
    const bar = make("progress", { max: 100, "aria-label": `Copy of ${name}` });
    cells.state.append(mark, more, bar);
    const ready = make("span", { class: "mark" });
    cells.ready.append(ready);
    const act = make("button", { type: "button", class: "act", "aria-label": `Control ${name}`, text: "Control…" });
    act.addEventListener("click", () => this.control(name));
    cells.act.append(act);
    return { node, cells, table, mark, more, bar, ready };
  }

  #fill(row, stream, now) {
    const word = wordOf(stream);
    setAttribute(row.node, "data-tone", toneOf(word));
    setText(row.table, `${stream.source} → ${stream.table}`);
    setText(row.mark, word);
    setAttribute(row.mark, "data-tone", toneOf(word));
    this.#fillState(row, stream, now);
    setText(row.cells.phase, stream.phase);
    setText(row.ready, stream.ready ? "yes" : "no");
    setAttribute(row.ready, "data-tone", stream.ready ? "good" : "open");
    setText(row.cells.captured, count(stream.captured));
    setText(row.cells.applied, count(stream.applied));
    setText(row.cells.parked, count(stream.dead_lettered));
    setAttribute(row.cells.parked, "data-tone", stream.dead_lettered > 0 ? "warn" : null);
    setText(row.cells.queued, count(stream.queued));
    setText(row.cells.lag, stream.lag_ms === null ? NOTHING : span(stream.lag_ms));
    setText(row.cells.rate, rate(stream.rate));
  }

  #fillState(row, stream, now) {
    const { condition, control } = stream;
    const part = progress(stream);
    const done = part && percent(part.done, part.all);
    const said = [];
    if (condition.code) said.push(condition.code);
    if (part) {
      const left = eta(stream, part, this.#metrics, now);
      said.push(part.text);
      if (done !== null) said.push(`${Math.floor(done)} %`);
      if (left !== undefined) said.push(`${span(Math.round(left / 1000) * 1000)} left`);
    }
    if (stream.held_by?.length > 0) said.push(stream.held_by.join(", "));
    if (control?.ignores_health) said.push("ignores the target's health");
    if (control?.rows_per_second) said.push(`at most ${count(control.rows_per_second)} rows/s`);
    if (stream.partitions_halted.length > 0) said.push(plural(stream.partitions_halted.length, "partition halted", "partitions halted"));
    setText(row.more, said.join(" · "));
    show(row.more, said.length > 0);
    show(row.bar, done !== null);
    if (done !== null) setAttribute(row.bar, "value", done.toFixed(1));
  }
}
