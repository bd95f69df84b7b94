// home.js - the start: open a list, the numbers, the lists of this device
import { $, post, put, say, make, bin, count, isPassing, newKey, wreath } from "./page.js";
import { follow } from "./live.js";
import { showNumbers } from "./numbers.js";
import { lists, forget, gifts, dropGift } from "./device.js";
import { serverSays, isKnown, now, moment } from "./clock.js";

let stream = null, opening = null;

function describe(list) {
  const isOpen = !list.closed && Date.parse(list.closesAt) > (isKnown() ? now() : Date.now());
  const others = list.count - 1;
  return {
    title: list.first ? list.first + (others > 0 ? `, and ${count(others, "more", "more")}` : "") : "Nothing on it yet",
    detail: `${isOpen ? "Open until" : "Closed"} ${list.closesAt ? moment(list.closed || list.closesAt) : ""}`,
  };
}

function showRecent() {
  const known = lists();
  $("recent").hidden = !known.length;
  $("recent-list").replaceChildren(...known.map((list) => {
    const { title, detail } = describe(list);
    const link = make("a", { href: `#${list.id}` }, make("b", { dir: "auto" }, title), make("small", {}, detail));
    const remove = bin(`Forget: ${title}`, "Forget it on this device", () => {
      forget(list.id);
      gifts(list.id).forEach((gift) => dropGift(list.id, gift.key));
      showRecent();
      say("Forgotten on this device. The list itself is kept.");
      ($("recent-list").querySelector("button") ?? $("open")).focus();
    });
    return make("li", {}, link, remove);
  }));
}

async function open() {
  if (opening) return;
  opening = newKey();
  $("open").setAttribute("aria-disabled", "true");
  put("open-problem", "");
  const { status, body } = await post("Open", undefined, opening);
  $("open").removeAttribute("aria-disabled");
  opening = null;
  if (body.id && status < 300) location.hash = body.id;
  else if (status === 0) put("open-problem", "Keepsake cannot be reached just now, so no list was opened. Try again in a moment.");
  else if (isPassing(status)) put("open-problem", `No list could be opened just now. ${body.detail ?? ""}`);
  else put("open-problem", `No list was opened: ${body.detail ?? `the server answered ${status}`}`);
}

$("open").addEventListener("click", open);
addEventListener("storage", () => { if (stream) showRecent(); });
wreath($("home-wreath"));

export const home = {
  enter() {
    document.title = "Keepsake";
    put("open-problem", "");
    showRecent();
    stream = follow("/api/Stats", {
      event(name, data) {
        if (name === "now") serverSays(data);
        if (name === "now") showRecent();
        if (name === "stats") showNumbers(data);
      },
      refused(status) { put("open-problem", `The numbers cannot be shown: the server answered ${status}.`); },
    });
  },
  leave() {
    stream.stop();
    stream = null;
  },
};
