// numbers.js - the sums over all lists, large at the start and in the last line below a list
//
// At the start they come as a stream. A list's page has a stream of its own, and browsers have six
// connections for a site: so there they are asked for, soon after the list has changed and each few
// seconds while somebody looks.
import { $, put } from "./page.js";

const NAMES = ["openCount", "itemsCount", "registryCount", "closedCount"], AGAIN_MS = 4000, SOON_MS = 400;
let timer = 0, isSoon = false, turn = 0;

export function showNumbers(data) {
  for (const name of NAMES)
    for (const place of ["n", "all"]) put(`${place}-${name}`, (data[name] ?? 0).toLocaleString());
  $("all-numbers").classList.remove("unknown");
}

async function ask() {
  const mine = turn;
  isSoon = false;
  try {
    const answer = document.hidden ? null : await fetch("/api/Stats", { cache: "no-store", signal: AbortSignal.timeout(15000) });
    if (answer?.ok) showNumbers(await answer.json());
  } catch { /* that nobody is there is said where the stream ends */ }
  if (mine === turn && !isSoon) timer = setTimeout(ask, AGAIN_MS);
}

/** Soon, and from then on. */
export function askNumbers() {
  if (isSoon) return;
  isSoon = true;
  clearTimeout(timer);
  timer = setTimeout(ask, SOON_MS);
}

export function stopNumbers() {
  clearTimeout(timer);
  isSoon = false;
  turn++;
}
