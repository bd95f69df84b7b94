// outbox.js - gifts on their way: one after the other, each with a key, so that asking again when an
// answer was lost adds nothing twice. They are kept on the device until it is known what became of
// them; a page that is closed and opened again goes on.
import { post, isPassing, newKey, pause } from "./page.js";
import { keepWaiting, dropWaiting, waiting } from "./device.js";

/**
 * on.change() when entries change; on.settled(entry, status, body) when one is answered for good: 200,
 * or why not.
 */
export function outbox(id, on) {
  let isOver = false, isBusy = false, wake = () => {};
  const entries = waiting(id);

  async function send() {
    if (isBusy) return;
    isBusy = true;
    let tries = 0;
    while (entries.length && !isOver) {
      const entry = entries[0];
      const { status, body } = await post(`Add/${id}`, { item: entry.text }, entry.key);
      if (isOver) break;
      if (isPassing(status)) {
        entry.isHeldUp = true;
        on.change();
        const ms = Math.min(500 * 2 ** tries++, 4000);
        await Promise.race([pause(ms), new Promise((resolve) => { wake = resolve; })]);
        continue;
      }
      tries = 0;
      entries.shift();
      dropWaiting(id, entry.key);
      on.settled(entry, status, body);
    }
    isBusy = false;
  }

  return {
    entries,
    add(text) {
      const entry = { key: newKey(), text, order: Date.now() };
      keepWaiting(id, entry.key, { text, order: entry.order });
      entries.push(entry);
      send();
      return entry;
    },
    /** The connection is there, or there again. */
    go() { wake(); send(); },
    stop() { isOver = true; wake(); },
  };
}
