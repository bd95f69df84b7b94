// clock.js - the server's time, whatever the clock of this computer says
//
// The server says what time it is when a stream begins. From then on only passed time is counted, by
// a clock that nobody can set. That one may stand still while a computer sleeps; then it and the
// computer's own clock have moved apart, and the server is asked again.

let base = null; // server's time when performance.now() was 0
let apart = 0;   // between the computer's own clock and performance.now()

export function serverSays(ms) {
  const sample = ms - performance.now();
  // Of two that say about the same, the one that was under way for less long.
  base = base !== null && Math.abs(sample - base) < 1000 ? Math.max(base, sample) : sample;
  apart = Date.now() - performance.now();
}

export const isKnown = () => base !== null;
export const now = () => base + performance.now();

/** True once after a sleep, or after somebody has set the computer's clock. */
export function hasSlept() {
  const difference = Date.now() - performance.now() - apart;
  apart += difference;
  return Math.abs(difference) > 2000;
}

const two = (n) => String(n).padStart(2, "0");

/** "4:32", "1:04:32", "3 days 4 h" */
export function format(seconds) {
  const s = seconds % 60, m = Math.floor(seconds / 60) % 60, h = Math.floor(seconds / 3600);
  if (h >= 48) return `${Math.floor(h / 24)} days ${h % 24} h`;
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** In words, for a screen reader. */
export function inWords(seconds) {
  if (seconds >= 120) return `${Math.round(seconds / 60)} minutes`;
  return seconds === 60 ? "one minute" : `${seconds} seconds`;
}

export function moment(iso) {
  const time = new Date(iso);
  const isToday = time.toDateString() === new Date(isKnown() ? now() : Date.now()).toDateString();
  return new Intl.DateTimeFormat(undefined, isToday ? { timeStyle: "short" }
    : { dateStyle: "long", timeStyle: "short" }).format(time);
}
