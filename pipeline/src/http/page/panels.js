// The panels below the streams: sources, dead letters by reason, what comparisons have shown, events.

import { byId, command, make, reconcile, setAttribute, setText, show } from "./dom.js";
import { headTable } from "./streams.js";
import { NOTHING, age, bytes, count, moment, percent, plural, seconds } from "./units.js";

const SOURCE_COLUMNS = [
  { field: "name", head: "Source" }, { field: "queue", head: "Queue on disk", number: true },
  { field: "fullness", head: "Fullness" }, { field: "events", head: "Events", number: true },
  { field: "segments", head: "Segments", number: true }, { field: "watch", head: "Watches by" },
  { field: "read", head: "Read lag", number: true }, { field: "headroom", head: "Log headroom", number: true },
];
const WATCH = { events: "file events", polling: "polling" };
const BECAUSE = {
  missing: "the directory is missing", network_file_system: "a network file system", watch_limit: "the limit of watches", watch_failed: "it cannot be watched",
};
// From here on a queue is marked: a tenth of its room is left.
const NEARLY_FULL = 90;

export function prepareSources() {
  headTable(byId("sources-head"), SOURCE_COLUMNS);
}

function buildSource(source) {
  const cells = {};
  const node = make("tr", { role: "row", "data-source": source.name });
  for (const { field, head, number } of SOURCE_COLUMNS) {
    cells[field] = make("td", { role: "cell", class: number ? "number" : null, "data-field": field, "data-label": head });
    node.append(cells[field]);
  }
  const kind = make("small", { class: "below" });
  cells.name.append(make("b", { text: source.name }), kind);
  const [held, free] = [make("span"), make("small", { class: "below" })];
  cells.queue.append(held, free);
  const [watch, because] = [make("span"), make("small", { class: "below" })];
  cells.watch.append(watch, because);
  const full = make("span", { class: "mark" });
  const bar = make("progress", { max: 100, "aria-label": `Fullness of the queue of ${source.name}` });
  cells.fullness.append(full, bar);
  const room = make("span");
  const loss = make("small", { class: "below", "data-tone": "bad" });
  cells.headroom.append(room, loss);
  return { node, cells, kind, held, free, watch, because, full, bar, room, loss };
}

function fillSource(row, source, metrics) {
  const { queue, log } = source;
  setText(row.kind, source.kind);
  setText(row.held, bytes(queue.bytes));
  setText(row.free, typeof queue.disk_free_bytes === "number" ? `${bytes(queue.disk_free_bytes)} free` : "");
  const share = percent(queue.bytes, metrics.of("queue_max_bytes", source.name));
  const room = share === null ? "takes events" : `${share < 1 && share > 0 ? "<1" : Math.floor(share)} % of ${bytes(metrics.of("queue_max_bytes", source.name))}`;
  setText(row.full, queue.full ? `full (${queue.full})` : room);
  setAttribute(row.full, "data-tone", queue.full ? "bad" : share !== null && share >= NEARLY_FULL ? "warn" : "good");
  show(row.bar, share !== null);
  if (share !== null) setAttribute(row.bar, "value", share.toFixed(1));
  setText(row.cells.events, count(queue.events));
  setText(row.cells.segments, count(queue.segments));
  setText(row.watch, WATCH[source.watch] ?? (log ? "change stream" : NOTHING));
  setText(row.because, BECAUSE[source.polls_because] ?? source.polls_because ?? "");
  setText(row.cells.read, seconds(log?.read_lag_seconds ?? metrics.of("read_lag_seconds", source.name)));
  const headroom = log?.headroom_seconds ?? metrics.of("log_headroom_seconds", source.name);
  setText(row.room, log && typeof headroom !== "number" ? "unknown" : seconds(headroom));
  setAttribute(row.room, "title", log && typeof headroom !== "number" ? "The role may not read the log." : null);
  const left = log?.seconds_to_loss ?? metrics.of("log_seconds_to_loss", source.name);
  setText(row.loss, typeof left === "number" ? `lost in ${seconds(left)}` : "");
}

export function updateSources(report, metrics) {
  reconcile(byId("sources-body"), report.sources, {
    key: (source) => source.name,
    build: buildSource,
    update: (row, source) => fillSource(row, source, metrics),
  });
  setText(byId("sources-empty"), "The configuration names no sources.");
  show(byId("sources-empty"), report.sources.length === 0);
}

// Reasons of parked events over all streams, the most frequent first.
function reasons(report) {
  const found = new Map();
  for (const stream of report.streams) {
    for (const [code, letters] of Object.entries(stream.parked?.by_code ?? {})) {
      const reason = found.get(code) ?? { code, letters: 0, streams: [] };
      reason.letters += letters;
      reason.streams.push(`${stream.name} ${count(letters)}`);
      found.set(code, reason);
    }
  }
  return [...found.values()].sort((a, b) => b.letters - a.letters);
}

// Streams named beside a reason.
const MOST_STREAMS = 5;

function buildReason({ code }) {
  const number = make("b", { class: "number" });
  const bar = make("progress", { "aria-hidden": "true" });
  const where = make("small", { class: "below" });
  const about = code === "behind" ? make("small", { class: "below", text: "later changes of parked keys" }) : command(`landfall deadletter list --code ${code}`);
  return { node: make("li", { "data-code": code }, make("p", { class: "bar-head" }, make("code", { text: code }), number), bar, where, about), number, bar, where };
}

export function updateLetters(report) {
  const all = reasons(report);
  const most = all[0]?.letters ?? 1;
  reconcile(byId("letters-list"), all, {
    key: (reason) => reason.code,
    build: buildReason,
    update: (part, reason) => {
      setText(part.number, count(reason.letters));
      setAttribute(part.bar, "max", most);
      setAttribute(part.bar, "value", reason.letters);
      const more = reason.streams.length - MOST_STREAMS;
      setText(part.where, reason.streams.slice(0, MOST_STREAMS).join(", ") + (more > 0 ? ` and ${count(more)} streams more` : ""));
    },
  });
  const parked = report.streams.reduce((sum, stream) => sum + stream.dead_lettered, 0);
  const oldest = report.streams.reduce((most, stream) => Math.max(most, stream.parked?.oldest_seconds ?? 0), 0);
  setText(byId("letters-count"), all.length > 0 ? `${count(parked)} parked, the oldest for ${seconds(oldest)}` : "");
  setText(byId("letters-empty"), parked > 0 ? `${count(parked)} parked; their reasons are being looked up.` : "Nothing is parked. Every event became a row or was meant not to.");
  show(byId("letters-empty"), all.length === 0);
}

// What is known of the last comparison of a stream; null when there is nothing to say.
function compared(stream, metrics) {
  const at = metrics.of("verified_timestamp_seconds", stream.name);
  const differences = metrics.of("verify_differences", stream.name);
  const doubt = stream.doubt ?? (stream.condition.code === "not_compared" ? "not_compared" : null);
  if (!at && differences === undefined && !doubt) return null;
  return { stream: stream.name, at, differences, doubt };
}

function fillCompared(part, { at, differences, doubt }, now) {
  const tone = doubt ? "warn" : differences > 0 ? "bad" : at ? "good" : "quiet";
  const word = doubt ? "in doubt" : differences > 0 ? plural(differences, "difference") : at ? "equal" : "not compared";
  setText(part.mark, word);
  setAttribute(part.mark, "data-tone", tone);
  const date = new Date(at * 1000);
  setText(part.when, at ? `verified through ${moment(date)}, ${age(now - date)} ago` : "never compared since the service knows");
}

export function updateVerify(report, metrics) {
  const now = Date.now();
  const known = report.streams.map((stream) => compared(stream, metrics)).filter((one) => one !== null);
  // What is wrong comes first; of a hundred equal ones nobody reads the last.
  const weight = (one) => (one.doubt ? 0 : one.differences > 0 ? 1 : 2);
  known.sort((a, b) => weight(a) - weight(b));
  reconcile(byId("verify-list"), known, {
    key: (one) => one.stream,
    build: (one) => {
      const mark = make("span", { class: "mark" });
      const when = make("small", { class: "below" });
      return { node: make("li", {}, make("b", { text: one.stream }), mark, when), mark, when };
    },
    update: (part, one) => fillCompared(part, one, now),
  });
  const empty = byId("verify-empty");
  if (empty.dataset.said !== "yes") {
    empty.dataset.said = "yes";
    empty.replaceChildren("No comparison is known to this service.", command("landfall verify"));
  }
  show(empty, known.length === 0);
}

const LEVELS = { error: { rank: 2, tone: "bad" }, warn: { rank: 1, tone: "warn" }, info: { rank: 0, tone: "quiet" } };
let events = [];

function buildEvent(event) {
  const level = LEVELS[event.level] ?? LEVELS.info;
  const at = new Date(event.at);
  return make("li", { "data-level": event.level },
    make("time", { datetime: event.at, title: at.toString(), text: moment(at) }),
    make("span", { class: "mark", "data-tone": level.tone, text: event.level }),
    make("code", { class: "code", text: event.code }),
    make("b", { text: event.stream ?? "" }),
    make("span", { class: "detail", text: event.detail }));
}

export function showEvents() {
  const least = LEVELS[byId("level").value].rank;
  const shown = events.filter((event) => (LEVELS[event.level] ?? LEVELS.info).rank >= least);
  reconcile(byId("events-list"), shown, { key: (event) => event.key, build: (event) => ({ node: buildEvent(event) }), update: () => {} });
  show(byId("events-list"), shown.length > 0);
  setText(byId("events-count"), shown.length === events.length ? "" : `${count(shown.length)} of ${count(events.length)}`);
  setText(byId("events-empty"), events.length === 0 ? "Nothing has happened yet that is worth a line." : "No event is as grave as that.");
  show(byId("events-empty"), shown.length === 0);
}

// `list` is as the service has it; `null` when it did not answer, which leaves what is shown.
export function updateEvents(list) {
  if (!Array.isArray(list)) return;
  // Two events may be alike to the letter: the number among its likes tells them apart.
  const alike = new Map();
  events = list.map((event) => {
    const said = JSON.stringify(event);
    const number = alike.get(said) ?? 0;
    alike.set(said, number + 1);
    return { ...event, key: `${number} ${said}`, time: Date.parse(event.at) };
  }).reverse().sort((a, b) => b.time - a.time);
  showEvents();
}
