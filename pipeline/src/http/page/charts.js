// Line charts as SVG, drawn anew at each poll. Nothing moves by itself: there is no animation to reduce.
//
// The legend is the readout: it says the newest values, or those under the pointer or the arrow keys. Lines differ by dashes as well as by
// colour.

import { draw, make, setAttribute, setText } from "./dom.js";
import { NOTHING, age, count, moment, rate, seconds } from "./units.js";

const HEIGHT = 148;
const PAD = { left: 52, right: 10, top: 8, bottom: 20 };
// A longer silence than this is a gap and no line: polls of a hidden tab are 15 s apart, lost connections 30 s.
const GAP_MS = 40_000;
// Lags reach from milliseconds to days: a logarithmic axis, whose steps are those that people name.
const LAG_STEPS = [0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000];
// Steps of a linear axis of time, in seconds.
const TIME_STEPS = [10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000];
// Labels on the axis of time, in minutes, by how far it reaches.
const MINUTES = new Map([[2, [2, 1, 0]], [5, [5, 3, 1, 0]], [15, [15, 10, 5, 0]]]);

export const CHARTS = [
  { title: "Throughput", lines: [{ key: "rate", label: "events" }], say: rate, least: 10, filled: true },
  {
    title: "Lag", logarithmic: true, say: seconds,
    lines: [
      { key: "read", label: "read" }, { key: "queue", label: "queue" },
      { key: "apply", label: "apply" }, { key: "verify", label: "verify" },
    ],
    none: "The service tells no lag yet.",
  },
  { title: "Waiting in the queue", lines: [{ key: "queued", label: "events" }], say: count, least: 10, filled: true },
  {
    title: "Log headroom", lines: [{ key: "headroom", label: "until the log is lost" }], say: seconds, least: 60, filled: true, time: true,
    none: "No source here has a log that it could fall off.",
  },
];

export class Chart {
  #spec;
  #width = 0;
  #data = null;
  #cursor = null;

  constructor(spec) {
    this.#spec = spec;
    this.svg = draw("svg", { class: "plot", role: "img", tabindex: "0", height: HEIGHT });
    this.when = make("span", { class: "when" });
    this.legend = make("ul", { class: "legend" });
    this.values = spec.lines.map((line, at) => {
      const key = draw("svg", { class: "key", viewBox: "0 0 18 6", "aria-hidden": "true" });
      key.append(draw("path", { d: "M0 3H18", class: `line line-${at}` }));
      const value = make("b", { text: NOTHING });
      this.legend.append(make("li", {}, key, make("span", { text: line.label }), value));
      return value;
    });
    this.node = make("figure", { class: "chart" },
      make("figcaption", {}, make("h3", { text: spec.title }), this.when), this.legend, this.svg);
    this.svg.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.#move(null));
    this.svg.addEventListener("blur", () => this.#move(null));
    this.svg.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(([entry]) => {
      this.#width = Math.floor(entry.contentRect.width);
      this.#paint();
    }).observe(this.node);
  }

  // `series` as History has it; undefined while there is nothing.
  update(times, series, now, reach) {
    // Points go away at the front: what the cursor stands on is named by its time.
    const held = this.#cursor === null ? null : this.#data.times[this.#cursor];
    this.#data = series ? { times: [...times], series, now, reach } : null;
    this.#cursor = held === null || !this.#data ? null : this.#nearest(held);
    this.#paint();
  }

  #x(time) {
    return PAD.left + (1 - (this.#data.now - time) / this.#data.reach) * (this.#width - PAD.left - PAD.right);
  }

  #nearest(time) {
    const { times } = this.#data;
    let best = times.length - 1;
    for (let at = 0; at < times.length; at += 1) {
      if (Math.abs(times[at] - time) < Math.abs(times[best] - time)) best = at;
    }
    return best < 0 ? null : best;
  }

  #point(x) {
    if (!this.#data) return;
    const share = (x - PAD.left) / (this.#width - PAD.left - PAD.right);
    this.#move(this.#nearest(this.#data.now - (1 - share) * this.#data.reach));
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -15, PageDown: 15 };
    if (!this.#data || !(event.key in steps)) return;
    event.preventDefault();
    const last = this.#data.times.length - 1;
    this.#move(Math.max(0, Math.min(last, (this.#cursor ?? last) + steps[event.key])));
  }

  #move(cursor) {
    if (cursor === this.#cursor) return;
    this.#cursor = cursor;
    this.#paint();
  }

  #paint() {
    if (this.#width < PAD.left + PAD.right + 20) return;
    setAttribute(this.svg, "width", this.#width);
    setAttribute(this.svg, "viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    const shown = this.#data && this.#spec.lines.some((line) => this.#data.series[line.key].some((value) => !Number.isNaN(value)));
    this.#read(shown);
    if (!shown) {
      this.svg.replaceChildren(this.#words(this.#width / 2, HEIGHT / 2, this.#data ? this.#spec.none ?? "Nothing yet." : "Nothing yet.", "nothing"));
      return;
    }
    const axis = this.#spec.logarithmic ? this.#logarithmic() : this.#linear();
    this.svg.replaceChildren(...this.#grid(axis), ...this.#lines(axis), ...this.#mark(axis));
  }

  // The readout: the legend, and the whole in one sentence for those who do not see the lines.
  #read(shown) {
    const at = this.#cursor ?? (this.#data ? this.#data.times.length - 1 : -1);
    const said = this.#spec.lines.map((line, number) => {
      const value = shown && at >= 0 ? this.#spec.say(this.#data.series[line.key][at]) : NOTHING;
      setText(this.values[number], value);
      return `${line.label} ${value}`;
    });
    const past = this.#cursor !== null && shown;
    setText(this.when, past ? `${moment(new Date(this.#data.times[at]))}, ${age(this.#data.now - this.#data.times[at])} ago` : "now");
    setAttribute(this.svg, "aria-label", `${this.#spec.title}, ${past ? this.when.textContent : "now"}: ${said.join(", ")}. Arrow keys go back in time.`);
  }

  #values() {
    return this.#spec.lines.flatMap((line) => this.#data.series[line.key]).filter((value) => !Number.isNaN(value));
  }

  #linear() {
    const most = this.#values().reduce((a, b) => Math.max(a, b), this.#spec.least);
    const step = this.#spec.time ? TIME_STEPS.find((one) => most / one <= 4) ?? most : nice(most / 4);
    const top = Math.ceil(most / step) * step;
    const ticks = [];
    for (let value = 0; value <= top * 1.0001; value += step) ticks.push(value);
    const room = HEIGHT - PAD.top - PAD.bottom;
    return { ticks, y: (value) => PAD.top + (1 - value / top) * room };
  }

  #logarithmic() {
    const values = this.#values().map((value) => Math.max(value, LAG_STEPS[0]));
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    const below = LAG_STEPS.filter((step) => step <= low).pop();
    const above = LAG_STEPS.find((step) => step > high) ?? high;
    const from = Math.log10(below);
    const reach = Math.log10(above) - from;
    const all = LAG_STEPS.filter((step) => step >= below && step <= above);
    const every = Math.ceil(all.length / 5);
    const room = HEIGHT - PAD.top - PAD.bottom;
    const y = (value) => PAD.top + (1 - (Math.log10(Math.max(value, below)) - from) / reach) * room;
    // From the top, so that the highest line has a label above it.
    return { ticks: all.filter((_, at) => (all.length - 1 - at) % every === 0), y };
  }

  #grid({ ticks, y }) {
    const right = this.#width - PAD.right;
    const parts = ticks.flatMap((value) => {
      const text = this.#spec.time || this.#spec.logarithmic ? brief(value) : count(value);
      return [
        draw("path", { class: "rule", d: `M${PAD.left} ${y(value).toFixed(1)}H${right}` }),
        this.#words(PAD.left - 6, y(value) + 3.5, text, "tick tick-y"),
      ];
    });
    for (const minutes of MINUTES.get(this.#data.reach / 60_000)) {
      const x = this.#x(this.#data.now - minutes * 60_000);
      parts.push(this.#words(x, HEIGHT - 4, minutes === 0 ? "now" : `−${minutes} min`, `tick tick-${minutes === 0 ? "last" : "middle"}`));
    }
    return parts;
  }

  #lines(axis) {
    const { times, series, now, reach } = this.#data;
    const floor = HEIGHT - PAD.bottom;
    return this.#spec.lines.flatMap((line, number) => {
      let path = "";
      let area = "";
      let before = null;
      series[line.key].forEach((value, at) => {
        if (Number.isNaN(value) || times[at] < now - reach) return;
        const x = this.#x(times[at]).toFixed(1);
        const y = axis.y(value).toFixed(1);
        const on = before !== null && times[at] - times[before] <= GAP_MS && at === before + 1;
        if (!on && before !== null) area += `V${floor}Z`;
        path += on ? `L${x} ${y}` : `M${x} ${y}h.1`;
        area += on ? `L${x} ${y}` : `M${x} ${floor}V${y}`;
        before = at;
      });
      const drawn = [draw("path", { class: `line line-${number}`, d: path })];
      if (this.#spec.filled && area !== "") drawn.unshift(draw("path", { class: "area", d: `${area}V${floor}Z` }));
      return drawn;
    });
  }

  #mark(axis) {
    if (this.#cursor === null) return [];
    const { times, series } = this.#data;
    const x = this.#x(times[this.#cursor]).toFixed(1);
    const dots = this.#spec.lines.flatMap((line, number) => {
      const value = series[line.key][this.#cursor];
      return Number.isNaN(value) ? [] : [draw("circle", { class: `dot line-${number}`, cx: x, cy: axis.y(value).toFixed(1), r: 3 })];
    });
    return [draw("path", { class: "cursor", d: `M${x} ${PAD.top}V${HEIGHT - PAD.bottom}` }), ...dots];
  }

  #words(x, y, text, className) {
    const node = draw("text", { x: x.toFixed(1), y: y.toFixed(1), class: className });
    node.textContent = text;
    return node;
  }
}

// The next of 1, 2, 5 × 10ⁿ; whole, because what is counted here is whole.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.max(1, [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999));
}

// An axis label: one unit.
function brief(value) {
  if (value === 0) return "0";
  if (value < 1) return `${Math.round(value * 1000)}ms`;
  const units = [[172_800, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const [size, unit] = units.find(([one]) => value >= one);
  return `${count(Math.round(value / (unit === "d" ? 86_400 : size)))}${unit}`;
}
