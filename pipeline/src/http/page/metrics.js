// The few metrics that this page shows and /api/v1/status does not have, read from the text format of /metrics.
//
// Understands as much of the format as our own server writes: one sample a line, labels in braces with escaped values. Histograms and
// everything that is not in the list are passed over. What is not there is `undefined`: the page then shows less, and no error.

const WANTED = new Set([
  "ready", "queue_lag_seconds", "apply_lag_seconds", "verify_lag_seconds", "read_lag_seconds", "queue_max_bytes",
  "log_headroom_seconds", "log_seconds_to_loss", "copy_eta_seconds", "verify_differences", "verified_timestamp_seconds",
]);
const SAMPLE = /^landfall_([a-z_]+)(?:\{(.*)\})? ([^ ]+)/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

export class Metrics {
  #values = new Map();

  constructor(text) {
    for (const line of text.split("\n")) {
      const sample = SAMPLE.exec(line);
      if (!sample || !WANTED.has(sample[1])) continue;
      const value = Number(sample[3]);
      if (!Number.isFinite(value)) continue;
      const labels = new Map([...(sample[2] ?? "").matchAll(LABEL)].map((label) => [label[1], unescaped(label[2])]));
      const name = labels.get("stream") ?? labels.get("source") ?? "";
      this.#values.set(`${sample[1]} ${name}`, value);
    }
  }

  // The value of a metric, of the stream or source of this name.
  of(metric, name = "") {
    return this.#values.get(`${metric} ${name}`);
  }
}

function unescaped(text) {
  return text.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
}
