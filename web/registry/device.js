// device.js - what this device remembers; a browser that forbids it forgets, and nothing else breaks
const LISTS = "keepsake.lists", KEPT = 12;

function read(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}

function write(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* see above */ }
}

/** The lists that were looked at here, the newest first: {id, closesAt, first, count, closed}. */
export function lists() {
  const known = read(LISTS);
  return Array.isArray(known) ? known.filter((list) => /^[0-9a-f]{32}$/.test(list?.id)) : [];
}

export function remember(list) {
  const old = lists().find((other) => other.id === list.id);
  write(LISTS, [{ ...old, ...list }, ...lists().filter((other) => other.id !== list.id)].slice(0, KEPT));
}

/** Without making it the newest. */
export function update(id, changes) {
  write(LISTS, lists().map((list) => (list.id === id ? { ...list, ...changes } : list)));
}

export function forget(id) {
  write(LISTS, lists().filter((list) => list.id !== id));
}

/** Gifts that were typed and are on no list: {key, text, order}, and why not, once that is known. Each
 * stands by itself, so that two pages at once do not write over each other. */
const giftKey = (id, key) => `keepsake.gift.${id}.${key}`;
export const keepGift = (id, { key, ...gift }) => write(giftKey(id, key), gift);
export function dropGift(id, key) {
  try { localStorage.removeItem(giftKey(id, key)); } catch { /* see above */ }
}
export function gifts(id) {
  const prefix = giftKey(id, "");
  let keys = [];
  try { keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix)); } catch { /* see above */ }
  return keys.map((key) => ({ key: key.slice(prefix.length), ...read(key) }))
    .filter((entry) => typeof entry.text === "string").sort((a, b) => a.order - b.order);
}

/** What stands in the field, for this tab. */
export function draft(id, text) {
  try {
    if (text === undefined) return sessionStorage.getItem(`keepsake.draft.${id}`) ?? "";
    sessionStorage.setItem(`keepsake.draft.${id}`, text);
  } catch { /* see above */ }
  return "";
}
