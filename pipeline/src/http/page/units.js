// Numbers as people read them: the same spellings as the terminal's (`1,204,311`, `1.2 MiB`, `2h 13m`), so that both can be compared by eye.

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const NOTHING = "–";

const known = (value) => typeof value === "number" && Number.isFinite(value);

export function count(value) {
  return known(value) ? grouped.format(value) : NOTHING;
}

export function bytes(value) {
  if (!known(value)) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (value >= 1024 && unit + 1 < units.length) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

// A span of time, from milliseconds, in its two largest units.
export function span(millis) {
  if (!known(millis)) return NOTHING;
  const whole = Math.max(0, Math.floor(millis));
  const seconds = Math.floor(whole / 1000);
  if (seconds === 0) return `${whole}ms`;
  if (seconds < 60) return `${seconds}.${Math.floor((whole % 1000) / 100)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86400)}d ${Math.floor((seconds % 86400) / 3600)}h`;
}

export const seconds = (value) => (known(value) ? span(value * 1000) : NOTHING);

// Whole seconds, for ages that count up before the reader's eyes.
export function age(millis) {
  return millis < 60_000 ? `${Math.max(0, Math.floor(millis / 1000))}s` : span(millis);
}

export function rate(value) {
  if (!known(value)) return NOTHING;
  return value > 0 && value < 9.95 ? `${value.toFixed(1)}/s` : `${grouped.format(value)}/s`;
}

export function percent(part, whole) {
  return known(part) && known(whole) && whole > 0 ? Math.min(100, (part / whole) * 100) : null;
}

// A time of day, with the date when it was another day.
export function moment(date, now = new Date()) {
  if (Number.isNaN(date.getTime())) return NOTHING;
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === now.toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
