// The dashboard: asks the service every two seconds and hands what it says to the parts of the page.
//
// One poll at a time. While the tab is hidden it asks seldom, and while the service does not answer ever more seldom; what is shown then is
// marked with its age. Keeps nothing but the history of the charts, and nothing beyond the life of the page.

import { Attention } from "./attention.js";
import { CHARTS, Chart } from "./charts.js";
import { Controls } from "./controls.js";
import { byId, make, setAttribute, setText, show } from "./dom.js";
import { History } from "./history.js";
import { Metrics } from "./metrics.js";
import { prepareSources, showEvents, updateEvents, updateLetters, updateSources, updateVerify } from "./panels.js";
import { Streams, stateOf, toneOf, wordOf } from "./streams.js";
import { age, bytes, count, plural, rate, span } from "./units.js";

const EVERY_MS = 2_000;
const HIDDEN_MS = 15_000;
// After failures: twice as long each time, up to this.
const SLOWEST_MS = 30_000;
// An answer that takes longer is none.
const PATIENCE_MS = 8_000;
// The timeline is asked for at every third poll: it changes seldom.
const EVENTS_EVERY = 3;
// Data older than this is marked as old even before a poll has failed.
const OLD_MS = 10_000;

const history = new History();
const charts = CHARTS.map((spec) => new Chart(spec));
const controls = new Controls(() => poll());
const streams = new Streams(pickStream, controlStream);
const attention = new Attention((decision) => controls.decide(decision));

let last = null;
let lastAt = 0;
let polls = 0;
let failures = 0;
let nextAt = 0;
let timer = 0;
let polling = false;

// The service wants its token for reads too. Until it says so, no read carries it.
let guarded = false;

function ask(path, as) {
  const headers = guarded ? controls.authorization() : {};
  const options = { headers, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS) };
  return fetch(path, options).then((answer) => {
    if (answer.status === 401) throw new Locked("The service wants its token");
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
    return answer[as]();
  });
}

class Locked extends Error {}

// What the page can do without is `null` when it does not come.
const perhaps = (promise) => promise.catch(() => null);

async function gather() {
  const wanted = polls % EVENTS_EVERY === 0;
  const [report, text, events] = await Promise.all([
    ask("/api/v1/status", "json"),
    perhaps(ask("/metrics", "text")),
    wanted ? perhaps(ask("/api/v1/events", "json")) : null,
  ]);
  if (!Array.isArray(report?.streams) || !Array.isArray(report?.sources)) throw new Error("The answer is in a form that this page does not know");
  return { report, metrics: new Metrics(text ?? ""), events };
}

async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  const found = await gather().catch(failed);
  polling = false;
  if (found) {
    polls += 1;
    failures = 0;
    last = found.report;
    lastAt = Date.now();
    show(byId("lost"), false);
  }
  const calm = document.hidden ? HIDDEN_MS : EVERY_MS;
  const wait = failures === 0 ? calm : Math.min(SLOWEST_MS, EVERY_MS * 2 ** (failures - 1));
  nextAt = Date.now() + wait;
  timer = setTimeout(poll, wait);
  tick();
  // Last, so that a report which cannot be drawn stops no poll and is not taken for a lost connection.
  if (found) update(found.report, found.metrics, found.events);
}

function failed(error) {
  failures += 1;
  const silent = error instanceof TypeError || error.name === "TimeoutError" || error.name === "AbortError";
  setText(byId("lost-what"), error instanceof Locked ? "Locked." : "Connection lost.");
  setText(byId("lost-why"), silent ? "The service does not answer." : `${error.message}.`);
  show(byId("lost"), true);
  if (error instanceof Locked) unlock();
  return null;
}

// Asks for the token, unless somebody is being asked for something already.
function unlock() {
  const wrong = guarded && "Authorization" in controls.authorization();
  guarded = true;
  if (document.querySelector("dialog[open]") === null) controls.unlock(wrong);
}

function update(report, metrics, events) {
  history.record(lastAt, report, metrics);
  setAttribute(byId("main"), "data-asked", "yes");
  updateHead(report);
  updateTiles(report, metrics);
  attention.update(report, metrics);
  streams.update(report, metrics);
  updateSources(report, metrics);
  updateLetters(report);
  updateVerify(report, metrics);
  updateEvents(events);
  updateChoice(report);
  updateCharts();
}

function updateHead(report) {
  const { word, more } = stateOf(report);
  const tone = toneOf(word);
  setText(byId("pipeline"), report.pipeline);
  setText(byId("state-word"), more ? `${word} · ${more}` : word);
  setAttribute(byId("state"), "data-tone", tone);
  const run = !report.running ? "not running" : report.uptime_ms === null ? "running" : `up ${span(report.uptime_ms)}`;
  setText(byId("run"), `${run} · target ${report.target.reachable ? "reachable" : "not reachable"}`);
  document.title = `${word} · ${report.pipeline} · Landfall`;
  const colour = { good: "2e9e6b", warn: "d08700", bad: "d6453a", busy: "3b7dd8", pause: "8a63d2" }[tone] ?? "808890";
  // Shapes as in the page: a tab in trouble is a square, not only a red dot.
  const shape = tone === "bad" ? `%3Crect x='2' y='2' width='12' height='12' rx='2' fill='%23${colour}'/%3E` : `%3Ccircle cx='8' cy='8' r='6' fill='%23${colour}'/%3E`;
  setAttribute(byId("icon"), "href", `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E${shape}%3C/svg%3E`);
}

function tile(name, value, more, tone = null) {
  setText(byId(`tile-${name}`), value);
  setText(byId(`tile-${name}-more`), more);
  setAttribute(byId(`tile-${name}`).parentElement, "data-tone", tone);
}

function updateTiles(report, metrics) {
  const all = report.streams;
  const sum = (value) => all.reduce((total, stream) => total + value(stream), 0);
  const parked = sum((stream) => stream.dead_lettered);
  const ready = all.filter((stream) => stream.ready).length;
  tile("applied", count(sum((stream) => stream.applied)), `of ${count(sum((stream) => stream.captured))} captured`);
  tile("behind", count(sum((stream) => stream.lag_events)), `${bytes(report.sources.reduce((total, source) => total + source.queue.bytes, 0))} in queues`);
  tile("rate", rate(sum((stream) => stream.rate)), "events a second, of late");
  const oldest = all.reduce((most, stream) => Math.max(most, stream.parked?.oldest_seconds ?? 0), 0);
  tile("parked", count(parked), parked > 0 ? `in ${plural(all.filter((stream) => stream.dead_lettered > 0).length, "stream")}${oldest > 0 ? `, oldest ${span(oldest * 1000)}` : ""}` : "nothing waits", parked > 0 ? "warn" : null);
  const worst = worstLag(all, metrics);
  tile("lag", worst ? span(worst.ms) : "–", worst ? worst.of : "nothing applied yet");
  const told = metrics.of("ready");
  const readyz = told === undefined ? "streams" : told === 1 ? "streams; readyz says yes" : "streams; readyz says no";
  tile("ready", `${count(ready)} of ${count(all.length)}`, readyz, all.length > 0 && ready < all.length ? "warn" : null);
}

// The worst of what was applied late and what waits to be applied.
function worstLag(all, metrics) {
  const lags = all.flatMap((stream) => {
    const waits = metrics.of("queue_lag_seconds", stream.name);
    return [
      ...(stream.lag_ms === null ? [] : [{ ms: stream.lag_ms, of: `${stream.name}, applied` }]),
      ...(waits > 0 ? [{ ms: waits * 1000, of: `${stream.name}, waiting` }] : []),
    ];
  });
  return lags.reduce((most, lag) => (most === null || lag.ms > most.ms ? lag : most), null);
}

// Streams to choose from for the charts; rebuilt only when their names change, so that an open list stays open.
let offered = "";
function updateChoice(report) {
  const names = report.streams.map((stream) => stream.name);
  const said = JSON.stringify(names);
  if (said === offered) return;
  offered = said;
  const select = byId("charted");
  const chosen = select.value;
  select.replaceChildren(make("option", { value: "", text: "all streams" }), ...names.map((name) => make("option", { value: name, text: name })));
  select.value = names.includes(chosen) ? chosen : "";
}

function updateCharts() {
  const now = Date.now();
  const reach = history.reach(now);
  const series = history.of(byId("charted").value);
  charts.forEach((chart) => chart.update(history.times, series, now, reach));
  setText(byId("charts-title"), `The last ${reach / 60_000} minutes`);
}

function pickStream(name) {
  byId("charted").value = name;
  updateCharts();
  byId("charts").scrollIntoView({ block: "start" });
  byId("charted").focus({ preventScroll: true });
}

function controlStream(name) {
  const stream = last?.streams.find((one) => one.name === name);
  controls.choose([name], { paused: stream ? wordOf(stream) === "paused" || stream.control?.paused === true : undefined, throttled: Boolean(stream?.control?.rows_per_second), ignores: Boolean(stream?.control?.ignores_health) });
}

// Once a second: ages count up also while nothing is polled.
function tick() {
  const now = Date.now();
  const lost = failures > 0;
  const old = lastAt > 0 && now - lastAt > (document.hidden ? HIDDEN_MS : 0) + OLD_MS;
  setText(byId("fresh"), lastAt === 0 ? "no data yet" : `${lost || old ? "data is" : "updated"} ${age(now - lastAt)} ${lost || old ? "old" : "ago"}`);
  setAttribute(byId("fresh"), "data-tone", lost ? "bad" : old ? "warn" : lastAt === 0 ? "quiet" : "good");
  setAttribute(byId("main"), "data-stale", lost ? "yes" : null);
  if (!lost) return;
  const again = polling ? "asking now" : `next try in ${age(Math.max(0, nextAt - now) + 999)}`;
  setText(byId("lost-age"), lastAt === 0 ? `It has not answered since this page was opened; ${again}.` : `What is shown is ${age(now - lastAt)} old; ${again}.`);
}

charts.forEach((chart) => byId("chart-grid").append(chart.node));
prepareSources();
byId("charted").addEventListener("change", updateCharts);
byId("level").addEventListener("change", showEvents);
byId("again").addEventListener("click", poll);
byId("control-all").addEventListener("click", () => controls.choose([]));
byId("log-level-set").addEventListener("click", () => controls.logLevel(byId("log-level").value));
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
setInterval(tick, 1_000);
poll();
