// live.js - follows a stream of events (text/event-stream) and never gives up
//
// Over fetch() and not EventSource: it tells why it was refused. A stream that ends, fails or falls
// silent is asked for again, with the id of the last event that came, so that nothing comes twice and
// nothing is left out. A page that nobody looks at lets go of its connection (browsers have six for
// a site) and goes on when it is looked at.
import { linkState } from "./page.js";

const SILENT_MS = 45000, HIDDEN_MS = 15000, WAITS_MS = [250, 500, 1000, 2000, 4000];

/** on.event(name, data) for each; on.refused(status) once, and then it is over. */
export function follow(url, on) {
  let last = "", tries = 0, isOver = false, attempt = null, hiding = 0, wake = () => {};

  async function read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "", silence;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => attempt?.abort(), SILENT_MS);
    };
    try {
      for (;;) {
        listen();
        const { value, done } = await reader.read();
        if (done || isOver) return;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        blocks.forEach(take);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  function take(block) {
    const event = { event: "message", data: "" };
    for (const line of block.split("\n")) {
      const at = line.indexOf(": ");
      if (at > 0) event[line.slice(0, at)] = line.slice(at + 2);
    }
    if (!event.data || isOver) return;
    on.event(event.event, JSON.parse(event.data));
    if (event.id !== undefined) last = event.id;
  }

  async function once() {
    attempt = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (last) headers["Last-Event-ID"] = last;
    const answer = await fetch(url, { headers, cache: "no-store", signal: attempt.signal });
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429) {
      isOver = true;
      linkState("quiet");
      on.refused(answer.status);
      return;
    }
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    tries = 0;
    linkState("live");
    await read(answer.body);
  }

  async function run() {
    while (!isOver) {
      let isPaused = false;
      try {
        await once();
      } catch {
        isPaused = hiding === -1;
      }
      if (isOver) return;
      if (!isPaused) linkState("away");
      const ms = isPaused ? 1e9 : WAITS_MS[Math.min(tries++, WAITS_MS.length - 1)] * (0.75 + Math.random() / 2);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => { clearTimeout(timer); resolve(); };
      });
    }
  }

  function look() {
    if (hiding > 0) clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(() => { hiding = -1; attempt?.abort(); }, HIDDEN_MS);
    } else {
      hiding = 0;
      wake();
    }
  }

  const awaken = () => wake();
  document.addEventListener("visibilitychange", look);
  addEventListener("online", awaken);
  run();
  return {
    again() { attempt?.abort(); },
    stop() {
      isOver = true;
      attempt?.abort();
      wake();
      if (hiding > 0) clearTimeout(hiding);
      document.removeEventListener("visibilitychange", look);
      removeEventListener("online", awaken);
      linkState("quiet");
    },
  };
}
