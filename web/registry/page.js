// page.js - what every part of the page uses: elements, words for the screen reader, calls to the API

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; text is text, whatever is in it. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function svg(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** The small button that takes something away. */
export function bin(what, help, take) {
  const button = make("button", { type: "button", class: "bin", "aria-label": what, title: help }, "✕");
  button.addEventListener("click", take);
  return button;
}

/** Sets text only when it is another one: nothing is laid out, nothing is read aloud, for nothing. */
export function put(id, text) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
}

let saying;
/** Has a screen reader say it, when it has finished what it says. */
export function say(text) {
  clearTimeout(saying);
  $("say").textContent = "";
  saying = setTimeout(() => put("say", text), 100);
}

/** What stands in the corner: quiet, live or away. */
export function linkState(state) {
  const words = { quiet: "", live: "Live", away: "Not connected. Trying again…" };
  const box = $("link-state");
  if (box.dataset.state === state) return;
  if (state === "away") say("The connection is gone. It comes back by itself; what you typed is kept.");
  else if (box.dataset.state === "away" && state === "live") say("Connected again.");
  box.dataset.state = state;
  put("link-text", words[state]);
}

export const count = (n, one, many) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Posts to /api/. Gives {status, body}; the status is 0 when nobody could be reached, and body is the
 * JSON of the answer, a problem's too.
 */
export async function post(path, body, key) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers["Idempotency-Key"] = key;
  try {
    const answer = await fetch(`/api/${path}`, {
      method: "POST", headers, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", signal: AbortSignal.timeout(15000),
    });
    return { status: answer.status, body: await answer.json().catch(() => ({})) };
  } catch {
    return { status: 0, body: {} };
  }
}

/** Worth asking again: nobody was there, or somebody who could not just now. */
export const isPassing = (status) => status === 0 || status === 408 || status === 429 || status >= 500;

/** When words are on the screen: what is drawn has its place already and may come a little later. */
export const afterPaint = (draw) => requestAnimationFrame(() => setTimeout(draw));

/** The wreath: a garland of sixty twigs and four pairs of berries, of which a share is lit. */
export function wreath(box) {
  let light = null, share = 1;
  afterPaint(() => {
    light = grow(box);
    light(share);
  });
  return (to) => {
    share = to;
    light?.(share);
  };
}

function grow(box) {
  const radius = 90, twigs = [], berries = [];
  // Needles of all lengths, but the same ones every time.
  let seed = 7;
  const vary = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let i = 0; i < 60; i++) {
    let d = `M-5 ${-radius}h10`;
    for (let k = 0; k < 7; k++) {
      const x = -4 + k * 1.4, out = k % 2 ? 1 : -1, length = 10 + vary() * 9, lean = 4 + vary() * 7;
      d += `M${x.toFixed(1)} ${-radius}l${lean.toFixed(1)} ${(-out * length).toFixed(1)}`;
    }
    twigs.push(svg("path", { d, transform: `rotate(${i * 6 + 3})`, class: `lit${i % 3 ? "" : " pale"}` }));
  }
  for (const at of [0, 90, 180, 270])
    for (const [turn, far, r] of [[-3, -3, 5], [3.5, 3, 4.2]])
      berries.push(svg("circle", { cx: 0, cy: far - radius, r, transform: `rotate(${at + turn})`, class: "lit" }));
  box.replaceChildren(...twigs, ...berries);
  return (share) => {
    const lit = Math.ceil(share * 60);
    twigs.forEach((twig, i) => twig.classList.toggle("lit", i >= 60 - lit));
    berries.forEach((berry, i) => {
      const at = (i >> 1) * 15 || 60;
      berry.classList.toggle("lit", at > 60 - lit);
    });
  };
}
