// list.js - one list: its gifts as they arrive, its clock, adding, finishing, sharing
import { $, post, put, say, make, bin, count, newKey, afterPaint, wreath } from "./page.js";
import { follow } from "./live.js";
import { outbox } from "./outbox.js";
import { askNumbers, stopNumbers } from "./numbers.js";
import { draw } from "./qr.js";
import * as device from "./device.js";
import { serverSays, isKnown, now, hasSlept, format, inWords, moment } from "./clock.js";

const ITEM_BYTES_MAX = 8192, LONG_TEXT = 600, ARMED_MS = 5000, LOCAL = /^(localhost|127\.|\[::1\])/;
const setShare = wreath($("wreath"));
let list = null; // the one that is shown

/* ---- gifts ---- */

function words(text) {
  const isLong = text.length > LONG_TEXT;
  return make("span", { class: "text", dir: "auto", ...(isLong && {
    class: "text long", tabindex: 0, role: "group", "aria-label": "A long gift, to be scrolled",
  }) }, text);
}

function row(text, note) {
  return make("li", note ? { class: "waiting" } : {}, words(text), ...(note ? [make("small", {}, note)] : []));
}

/** Gifts on their way stand below the others, but for those that have arrived and are not yet known to
 * be ours. */
function showWaiting() {
  $("items").querySelectorAll(".waiting").forEach((element) => element.remove());
  const arrived = list.items.slice(list.sinceSent);
  const ghosts = list.box.entries.filter((entry) => {
    const at = arrived.indexOf(entry.text);
    if (at >= 0) arrived.splice(at, 1);
    return at < 0;
  });
  $("items").append(...ghosts.map((entry) =>
    row(entry.text, entry.isHeldUp ? "waits for the connection" : "on its way")));
  $("empty").hidden = list.items.length + ghosts.length > 0 || !list.isKnown;
}

function showCount() {
  put("count", list.isKnown ? count(list.items.length, "gift", "gifts") : "\u00a0");
  device.update(list.id, { first: list.items[0]?.slice(0, 80), count: list.items.length });
}

function announce(added) {
  list.news.push(...added);
  clearTimeout(list.newsTimer);
  list.newsTimer = setTimeout(() => {
    const [first] = list.news;
    say(list.news.length === 1 ? `New gift: ${first.slice(0, 100)}` : `${count(list.news.length, "new gift", "new gifts")}.`);
    list.news = [];
  }, 600);
}

function showItems({ from, items }) {
  const added = items.slice(list.items.length - from); // what is known already is no news
  const isFirst = !list.isShown;
  const first = $("items").querySelector(".waiting");
  for (const text of added) {
    const element = row(text);
    if (!isFirst) element.classList.add("new");
    $("items").insertBefore(element, first);
    list.items.push(text);
  }
  const ours = list.box.entries.map((entry) => entry.text);
  if (!isFirst) announce(added.filter((text) => !ours.includes(text) && !list.own.delete(text)));
  if (!list.news.length) clearTimeout(list.newsTimer);
  showWaiting();
  showCount();
}

/* ---- the clock ---- */

function tick() {
  clearTimeout(list.timer);
  if (list.closed || !list.closesAt || !isKnown()) return;
  if (hasSlept()) list.stream.again();
  const left = list.closesAt - now();
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const isLong = seconds >= 3600;
  put("time", format(seconds));
  $("time").classList.toggle("long", isLong);
  $("time").classList.toggle("last", seconds <= 10);
  put("time-words", seconds ? "left to add gifts" : "It is closing…");
  setShare(Math.max(0, Math.min(1, left / (list.closesAt - list.openedAt))));
  if ([300, 60, 30, 10].includes(seconds) && list.said !== seconds) {
    list.said = seconds;
    say(`${inWords(seconds)} left to add gifts.`);
  }
  list.timer = setTimeout(tick, left > 0 ? left - (seconds - 1) * 1000 + 2 : 1000);
}

/* ---- closed ---- */

const PROCESSING = {
  pending: "It is being sent for processing.",
  sent: "It has been sent for processing.",
  failed: "It could not be sent for processing. Nothing on it is lost.",
};

function showClosed({ closedAt, closedBy, processing }) {
  const isNews = !list.closed;
  const how = closedBy === "timeout" ? "Its time was up, so it closed by itself." :
    list.isFinishedHere ? "You finished it." : "Somebody with the link finished it.";
  list.closed = closedAt;
  clearTimeout(list.timer);
  setShare(1); // a whole wreath: it is done
  put("time", "Closed");
  $("time").classList.remove("last");
  $("time").classList.add("long");
  put("time-words", moment(closedAt));
  $("sealed-how").replaceChildren(make("b", {}, "Closed ", make("time", { datetime: closedAt }, moment(closedAt)), "."),
    ` ${how}`);
  $("sealed-processing").hidden = !PROCESSING[processing];
  put("sealed-processing", PROCESSING[processing] ?? "");
  const hadFocus = ["gift", "finish"].includes(document.activeElement?.id) || $("add").contains(document.activeElement);
  keepTyped();
  showShareHint();
  $("sealed").hidden = false;
  $("add").hidden = $("finish-box").hidden = true;
  if (hadFocus) $("list-title").focus();
  if (isNews && list.isShown) say(`The list is closed. ${how}`);
  device.update(list.id, { closed: closedAt });
  if (processing !== "pending") list.stream.stop();
}

/** What stood in the field when it closed is not thrown away. */
function keepTyped() {
  const text = $("gift").value.trim();
  if (text) keepLate({ key: newKey(), text, order: Date.now() }, "The list closed before it was added.");
  $("gift").value = "";
  device.draft(list.id, "");
}

/** What did not come onto the list stays on this device until its owner throws it away. */
function keepLate({ key, text, order }, why) {
  const gift = { key, text, order, why };
  list.late.push(gift);
  device.keepGift(list.id, gift);
  showLate();
}

function showLate() {
  $("late").hidden = !list.late.length;
  $("late-items").replaceChildren(...list.late.map((gift) => {
    const drop = bin(`Throw away: ${gift.text.slice(0, 100)}`, "Throw it away", () => {
      list.late = list.late.filter((other) => other !== gift);
      device.dropGift(list.id, gift.key);
      showLate();
      say("Thrown away.");
      ($("late-items").querySelector("button") ?? $("list-title")).focus();
    });
    return make("li", {}, words(gift.text), make("small", {}, gift.why), drop);
  }));
}

/* ---- adding ---- */

function tooLong(text) {
  const bytes = new TextEncoder().encode(text).length;
  return bytes > ITEM_BYTES_MAX ? `That is too long for one gift: it takes ${bytes.toLocaleString()} bytes, and ` +
    `${ITEM_BYTES_MAX.toLocaleString()} fit. Shorten it a little, or make two gifts of it.` : "";
}

function submit(event) {
  event.preventDefault();
  const text = $("gift").value.trim();
  const problem = text ? tooLong(text) : "Type what you wish for, then press Enter.";
  put("gift-problem", problem);
  $("gift").setAttribute("aria-invalid", problem ? "true" : "false");
  $("gift").focus();
  if (problem || list.closed) return;
  $("gift").value = "";
  device.draft(list.id, "");
  if (!list.box.entries.length) list.sinceSent = list.items.length;
  list.box.add(text);
  showWaiting();
  $("items").lastElementChild?.scrollIntoView({ block: "nearest" });
}

const REFUSED = {
  403: "Another site's page asked for it, and that is not allowed.",
  404: "There is no such list any more.",
  409: "The list had closed meanwhile.",
};

function settled(entry, status, body) {
  if (status === 200) {
    if (body.itemsCount > list.items.length) list.own.add(entry.text);
    say(`Added: ${entry.text.slice(0, 100)}`);
  } else {
    const why = REFUSED[status] ?? body.detail ?? `The server answered ${status}.`;
    keepLate(entry, why);
    say(`Not added. ${why}`);
  }
  showWaiting();
}

/* ---- finishing ---- */

function disarm() {
  clearTimeout(list?.armed);
  if (list) list.armed = 0;
  $("finish").classList.remove("armed");
  put("finish", "Finish the list");
}

async function finish() {
  const mine = list;
  if (!mine.armed) {
    mine.armed = setTimeout(disarm, ARMED_MS);
    $("finish").classList.add("armed");
    put("finish", "Press again to finish");
    say("Press again to finish the list for everybody.");
    return;
  }
  disarm();
  put("finish-problem", "");
  mine.isFinishedHere = true;
  const { status, body } = await post(`Finish/${mine.id}`);
  if (mine !== list || status === 200) return;
  mine.isFinishedHere = status === 0; // it may have been heard
  if (status === 409) say("It was closed already.");
  else if (status === 0) put("finish-problem", "Keepsake cannot be reached just now. Try again in a moment.");
  else put("finish-problem", `It was not finished. ${body.detail ?? `The server answered ${status}.`}`);
  $("finish-problem").scrollIntoView({ block: "nearest" });
}

/* ---- sharing ---- */

async function copy() {
  $("link").select();
  try {
    await navigator.clipboard.writeText($("link").value);
    put("copy", "Copied");
    say("The link is copied.");
    setTimeout(() => put("copy", "Copy"), 2000);
  } catch {
    put("share-hint", "The link is selected: press Ctrl and C (or ⌘ and C) to copy it.");
    say($("share-hint").textContent);
  }
}

function showShareHint() {
  const may = list.closed ? "Whoever has it can look at the list." : "Whoever has it can look, add and finish.";
  put("share-hint", LOCAL.test(location.host) ? `${may} This one works on this computer only.` : may);
}

function showShare(id) {
  const link = `${location.origin}/#${id}`;
  $("link").value = link;
  showShareHint();
  afterPaint(() => {
    const code = draw(link);
    $("qr").hidden = !code;
    if (code) $("qr").replaceChildren(code);
  });
}

/* ---- coming and going ---- */

const on = {
  event(name, data) {
    if (name === "now") {
      serverSays(data);
      list.box.go();
    } else if (name === "registry") {
      list.openedAt = Date.parse(data.openedAt);
      list.closesAt = Date.parse(data.closesAt);
      list.items = [];
      list.isKnown = true;
      $("items").replaceChildren();
      device.remember({ id: list.id, closesAt: data.closesAt });
      showCount();
      showWaiting();
      setTimeout((mine) => { mine.isShown = true; }, 500, list); // from then on what comes is news
    } else if (name === "items") {
      showItems(data);
    } else if (name === "closed") {
      showClosed(data);
    }
    tick();
    askNumbers();
  },
  refused() { list.lost(); },
};

function clear(id) {
  for (const name of ["time", "time-words", "count"]) put(name, "\u00a0");
  for (const name of ["gift-problem", "finish-problem"]) put(name, "");
  $("items").replaceChildren();
  $("sealed").hidden = $("empty").hidden = true;
  $("add").hidden = $("finish-box").hidden = false;
  $("time").classList.remove("long", "last");
  $("gift").value = device.draft(id);
  setShare(1);
  disarm();
}

$("add").addEventListener("submit", submit);
$("gift").addEventListener("input", () => {
  device.draft(list.id, $("gift").value);
  put("gift-problem", tooLong($("gift").value));
  $("gift").setAttribute("aria-invalid", $("gift-problem").textContent ? "true" : "false");
});
$("finish").addEventListener("click", finish);
$("finish").addEventListener("blur", () => { if (list) disarm(); });
$("copy").addEventListener("click", copy);
$("link").addEventListener("focus", () => $("link").select());
document.addEventListener("visibilitychange", () => {
  if (!list || document.hidden) return;
  tick();
  askNumbers();
});

export const view = {
  enter(id, lost) {
    document.title = "Gift list · Keepsake";
    clear(id);
    list = { id, lost, items: [], own: new Set(), news: [], sinceSent: 0 };
    list.late = device.gifts(id).filter((gift) => gift.why);
    list.box = outbox(id, { change: showWaiting, settled });
    list.stream = follow(`/api/Peek/${id}`, on);
    showShare(id);
    showWaiting();
    showLate();
  },
  leave() {
    list.stream.stop();
    list.box.stop();
    stopNumbers();
    clearTimeout(list.timer);
    clearTimeout(list.newsTimer);
    clearTimeout(list.armed);
    list = null;
  },
};
