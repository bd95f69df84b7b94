// outbox.js - gifts on their way: one after the other, each with a key, so that asking again when an
// answer was lost adds nothing twice. They are kept on the device until they are on the list; a page
// that is closed and opened again goes on.
import { post, isPassing, newKey, pause } from "./page.js";
import { keepGift, dropGift, gifts } from "./device.js";

/**
 * on.change() when entries change; on.settled(entry, status, body) when one is answered for good. One
 * that is refused stays on the device; whoever is told keeps the reason with it.
 */
export function outbox(id, on) {
  let isOver = false, isBusy = false, wake = () => {};
  const entries = gifts(id).filter((gift) => !gift.why);

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
      if (status === 200) dropGift(id, entry.key);
      on.settled(entry, status, body);
    }
    isBusy = false;
  }

  return {
    entries,
    add(text) {
      const entry = { key: newKey(), text, order: Date.now() };
      keepGift(id, entry);
      entries.push(entry);
      send();
      return entry;
    },
    /** The connection is there, or there again. */
    go() { wake(); send(); },
    stop() { isOver = true; wake(); },
  };
}
