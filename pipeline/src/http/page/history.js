// What was polled in the last quarter of an hour, for the charts: in memory, bounded in time and in points.

// Points kept: 15 minutes at one poll in two seconds. Slower polls (a hidden tab) reach further back and are cut by time.
const CAPACITY = 450;
const WINDOW_MS = 15 * 60_000;
// What the axis of time shows while the page is young: the first of these that holds all points.
const REACHES_MS = [2 * 60_000, 5 * 60_000, WINDOW_MS];
// Between series of one stream and those of all.
const MEASURES = ["rate", "queued", "read", "queue", "apply", "verify", "headroom"];

// What a stream is worth at one moment. Metrics that are not there leave holes.
function measures(stream, source, metrics) {
  const hole = (value) => (typeof value === "number" ? value : NaN);
  return {
    rate: stream.rate,
    queued: stream.queued,
    read: hole(source?.log?.read_lag_seconds ?? metrics.of("read_lag_seconds", stream.source)),
    queue: hole(metrics.of("queue_lag_seconds", stream.name)),
    apply: hole(metrics.of("apply_lag_seconds", stream.name) ?? (stream.lag_ms === null ? undefined : stream.lag_ms / 1000)),
    verify: hole(metrics.of("verify_lag_seconds", stream.name)),
    headroom: hole(source?.log?.headroom_seconds ?? metrics.of("log_headroom_seconds", stream.source)),
  };
}

// Of all streams: flows and stocks add up, a lag is as bad as the worst, headroom as small as the smallest.
function together(all) {
  const of = (name, fold) => {
    const values = all.map((one) => one[name]).filter((value) => !Number.isNaN(value));
    return values.length === 0 ? NaN : values.reduce(fold);
  };
  const sum = (a, b) => a + b;
  const most = (a, b) => Math.max(a, b);
  return {
    rate: of("rate", sum), queued: of("queued", sum), read: of("read", most), queue: of("queue", most),
    apply: of("apply", most), verify: of("verify", most), headroom: of("headroom", (a, b) => Math.min(a, b)),
  };
}

export class History {
  #times = [];
  // By stream name, "" for all: an array for each measure, as long as `times`.
  #series = new Map();

  record(now, report, metrics) {
    const sources = new Map(report.sources.map((source) => [source.name, source]));
    const each = report.streams.map((stream) => [stream.name, measures(stream, sources.get(stream.source), metrics)]);
    const present = new Map([["", together(each.map(([, values]) => values))], ...each]);
    for (const name of this.#series.keys()) {
      if (!present.has(name)) this.#series.delete(name);
    }
    const drop = this.#stale(now);
    this.#times.splice(0, drop);
    for (const [name, values] of present) {
      let series = this.#series.get(name);
      if (!series) {
        series = Object.fromEntries(MEASURES.map((measure) => [measure, new Array(this.#times.length).fill(NaN)]));
        this.#series.set(name, series);
      } else {
        MEASURES.forEach((measure) => series[measure].splice(0, drop));
      }
      MEASURES.forEach((measure) => series[measure].push(values[measure]));
    }
    this.#times.push(now);
  }

  // How many of the oldest points have to go before the next one comes.
  #stale(now) {
    const young = this.#times.findIndex((time) => time >= now - WINDOW_MS);
    const old = young < 0 ? this.#times.length : young;
    return Math.max(old, this.#times.length + 1 - CAPACITY);
  }

  // How far back the charts look.
  reach(now) {
    const old = now - (this.#times[0] ?? now);
    return REACHES_MS.find((reach) => reach >= old) ?? WINDOW_MS;
  }

  get times() {
    return this.#times;
  }

  of(stream) {
    return this.#series.get(stream);
  }
}
