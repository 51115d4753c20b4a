// What stands in the way, the most pressing first: each with what happened, what can be done, and the commands that do it.
//
// The sentences are those of `landfall status`. Streams that wait for the same reason share one card: a target that is down is one problem
// and not a hundred.

import { byId, command, make, reconcile, setAttribute, setText, show } from "./dom.js";
import { bytes, count, plural, seconds } from "./units.js";

// Cards shown; more of them are no longer read, and the table of streams has them all.
const MOST_CARDS = 20;
// Streams named on a card before the rest is counted.
const MOST_NAMES = 6;

const names = (streams) => {
  const shown = streams.slice(0, MOST_NAMES).join(", ");
  return streams.length > MOST_NAMES ? `${shown} and ${count(streams.length - MOST_NAMES)} more` : shown;
};

// What the page itself can decide: the lines `landfall accept|refuse STREAM SUBJECT` of `how_to`, and none with further words.
function decisions(stream) {
  return stream.how_to.flatMap((line) => ["accept", "refuse"].flatMap((verb) => {
    const opening = `landfall ${verb} ${stream.name} `;
    const subject = line.startsWith(opening) ? line.slice(opening.length) : "";
    return subject === "" || subject.includes(" ") ? [] : [{ stream: stream.name, subject, accept: verb === "accept" }];
  }));
}

function ofStream(stream) {
  const { condition, name } = stream;
  const cards = [];
  const common = { streams: [name], commands: stream.how_to, decisions: decisions(stream) };
  if (condition.state === "halted") {
    cards.push({ ...common, rank: 0, tone: "bad", word: "halted", code: condition.code, detail: condition.detail });
  } else if (condition.state === "held") {
    const what = `Revision ${condition.revision} would delete ${count(condition.deletes)} of ${count(condition.of)} records. `;
    const then = condition.refused
      ? "It was refused; the next revision of the source is awaited. Nothing was deleted."
      : "Nothing was deleted. Look at the source first: was the file emptied, replaced or not mounted?";
    cards.push({ ...common, rank: condition.refused ? 5 : 1, tone: condition.refused ? "warn" : "bad", word: "held", code: condition.refused ? "refused" : "", detail: what + then });
  } else if (condition.state === "waiting") {
    cards.push({ ...common, rank: 4, tone: "warn", word: "waiting", code: condition.code, detail: condition.detail });
  } else if (stream.how_to.length > 0 && !stream.control) {
    cards.push({ ...common, rank: 4, tone: "warn", word: "to decide", code: "", detail: "A command decides how it goes on." });
  }
  if (stream.partitions_halted.length > 0) {
    cards.push({ streams: [name], rank: 2, tone: "bad", word: "in part", code: "", detail: `Partitions that stand still: ${stream.partitions_halted.join(", ")}.` });
  }
  if (stream.control) cards.push({ rank: 6, commands: cards.length === 0 ? stream.how_to : [], streams: [name], ...braked(stream.control) });
  if (stream.doubt) cards.push({ streams: [name], rank: 5, tone: "warn", word: "in doubt", code: stream.doubt, detail: "Changes were lost, and no comparison has shown since what they left.", commands: [`landfall verify --repair --stream ${name}`] });
  const resting = stream.evolution?.resting;
  if (resting) cards.push({ streams: [name], rank: 7, tone: "quiet", word: "new fields rest", code: resting.code, detail: resting.detail });
  return cards;
}

function braked({ paused, rows_per_second: rows, ignores_health: ignores, actor, reason }) {
  const limit = rows ? `at most ${count(rows)} rows a second` : "";
  const why = reason ? `: ${reason}` : "";
  if (!paused && !rows) return { tone: "pause", word: "ignores health", code: "", detail: `By ${actor}${why}. The target's health holds nothing of it back.` };
  if (!paused) return { tone: "pause", word: "throttled", code: "", detail: `By ${actor}${why}. It writes ${limit}${ignores ? ", whatever the target's health is" : ""}.` };
  const later = limit ? ` Once it is resumed: ${limit}.` : "";
  return { tone: "pause", word: "paused", code: "", detail: `By ${actor}${why}. Capture goes on; nothing is applied.${later}` };
}

// Limits of the target's health that hold, and those that cannot be read: the sentences are the service's own.
function ofHealth(report) {
  const held = report.streams.filter((stream) => stream.held_by?.length > 0).map((stream) => stream.name);
  return (report.target.health?.measures ?? []).flatMap((one) => {
    if (one.holds) return [{ rank: 4, tone: "warn", word: "throttled", code: one.measure, detail: `${one.words}. Capture goes on; nothing is applied meanwhile, and it goes on by itself.`, streams: held, commands: ["landfall throttle STREAM --target-health ignore"] }];
    return one.trouble ? [{ rank: 7, tone: "quiet", word: "health unknown", code: one.measure, detail: `${one.words}.`, streams: [] }] : [];
  });
}

function ofSource(source, metrics) {
  const cards = [];
  const { disk_free_bytes: free, disk_reserve_bytes: reserve } = source.queue;
  const disk = typeof free === "number" ? ` ${bytes(free)} is free there, and ${bytes(reserve)} is its reserve.` : "";
  const full = {
    cap: "Capture waits until events are applied and trimmed, or queue.max_bytes is raised.",
    disk: `Capture waits until the file system of the state directory has room.${disk}`,
  }[source.queue.full];
  if (full) cards.push({ rank: 3, tone: "bad", word: "queue full", code: source.queue.full, detail: full, streams: [source.name] });
  const left = source.log?.seconds_to_loss ?? metrics.of("log_seconds_to_loss", source.name);
  if (typeof left === "number") {
    cards.push({ rank: 2, tone: "bad", word: "falling behind", code: "", streams: [source.name], detail: `At this rate the source's log is lost in ${seconds(left)}; what it held would have to be copied again.` });
  }
  for (const one of source.left_out ?? []) {
    cards.push({ rank: 8, tone: "quiet", word: "left out", code: "", streams: [`${source.name}: ${one.name}`], detail: one.why });
  }
  return cards;
}

function cardsOf(report, metrics) {
  const cards = report.sources.flatMap((source) => ofSource(source, metrics)).concat(report.streams.flatMap(ofStream), ofHealth(report));
  const trouble = report.target.waiting_for;
  if (!report.target.reachable && report.running) {
    cards.push({ rank: 1, tone: "bad", word: "target not reachable", code: trouble?.code ?? "", detail: trouble?.detail ?? "Nothing is applied until it answers; capture goes on.", streams: [] });
  }
  if (!report.running) {
    cards.push({ rank: 1, tone: "quiet", word: "not running", code: "", detail: "No service runs. These numbers are what disk and target hold.", streams: [], commands: ["landfall run"] });
  }
  const together = new Map();
  for (const card of cards) {
    const alone = card.word === "halted" || card.word === "held";
    const key = JSON.stringify([card.word, card.code, card.detail, alone ? card.streams : ""]);
    const same = together.get(key);
    if (same) {
      same.streams.push(...card.streams);
      same.commands.push(...(card.commands ?? []));
    } else {
      together.set(key, { decisions: [], ...card, key, streams: [...card.streams], commands: [...(card.commands ?? [])] });
    }
  }
  return [...together.values()].sort((a, b) => a.rank - b.rank);
}

export class Attention {
  // `decide({ stream, subject, accept, detail })` asks for the operator's word.
  constructor(decide) {
    this.decide = decide;
  }

  update(report, metrics) {
    const cards = cardsOf(report, metrics);
    const shown = cards.slice(0, MOST_CARDS);
    reconcile(byId("needs-list"), shown, {
      // A card whose words change is another card, so that nobody presses a button whose meaning has just changed.
      key: (card) => JSON.stringify([card.key, card.streams, card.commands]),
      build: (card) => ({ node: this.#build(card) }),
      update: () => {},
    });
    show(byId("needs"), cards.length > 0);
    show(byId("jump-needs"), cards.length > 0);
    const pressing = cards.filter((card) => card.decisions.length > 0 || card.word === "halted").length;
    setAttribute(byId("jump-needs"), "data-tone", pressing > 0 ? "bad" : null);
    setText(byId("needs-count"), pressing > 0 ? `${plural(pressing, "needs", "need")} a decision` : "Nothing here needs a decision.");
    setText(byId("needs-more"), `${plural(cards.length - shown.length, "more", "more")}; see the table of streams.`);
    show(byId("needs-more"), cards.length > shown.length);
  }

  #build(card) {
    const head = make("p", { class: "need-head" }, make("span", { class: "mark", "data-tone": card.tone, text: card.word }));
    if (card.streams.length > 0) head.append(make("b", { text: names(card.streams), title: card.streams.length > MOST_NAMES ? card.streams.slice(0, 100).join(", ") : null }));
    if (card.code) head.append(make("code", { class: "code", text: card.code }));
    const node = make("li", { class: "need", "data-tone": card.tone }, head, make("p", { class: "detail", text: card.detail }));
    const commands = card.commands.slice(0, MOST_NAMES);
    if (commands.length > 0) node.append(make("div", { class: "commands" }, ...commands.map(command)));
    if (card.decisions.length > 0) {
      node.append(make("div", { class: "buttons" }, ...card.decisions.map((decision) => {
        const verb = decision.accept ? "Accept" : "Refuse";
        const button = make("button", { type: "button", "aria-label": `${verb} for ${decision.stream}`, text: `${verb}…` });
        button.addEventListener("click", () => this.decide({ ...decision, detail: card.detail, held: card.word === "held" }));
        return button;
      })));
    }
    return node;
  }
}
