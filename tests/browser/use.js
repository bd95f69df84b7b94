// use.js - what people do with the page when all goes well
import { test, visit, open, expectText, expectItems, HIDING, Registry } from "./world.js";
import { createServer } from "node:http";
import assert from "node:assert/strict";
import jsqr from "jsqr";

const LIST = /#[0-9a-f]{32}$/;

async function openList(page) {
  await page.getByRole("button", { name: "Open a gift list" }).click();
  await page.waitForURL(LIST);
  await expectText(page, "#count", "0 gifts");
  return new URL(page.url()).hash.slice(1);
}

async function add(page, text) {
  await page.getByLabel("Add a gift").fill(text);
  await page.keyboard.press("Enter");
}

test("one button opens a list", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  const id = await openList(page);
  assert.equal((await registry.get(`Peek/${id}`)).status, "Open");
  await expectText(page, "#empty", "Nothing yet. What would bring joy?");
  await expectText(page, "#time", /^[45]:\d\d$/);
  assert.deepEqual(page.trouble, []);
});

test("a gift that is typed is on every page that shows the list at once", async ({ browser, registry }) => {
  const mine = await visit(browser, registry.url);
  const id = await openList(mine);
  const friends = await visit(browser, mine.url());
  await expectText(friends, "#count", "0 gifts");
  await friends.waitForTimeout(600); // what comes from now on is news there
  await add(mine, "A sled");
  await expectItems(friends, ["A sled"]);
  await expectText(friends, "#say", "New gift: A sled");
  await add(friends, "Wool socks");
  await expectItems(mine, ["A sled", "Wool socks"]);
  await Promise.all([add(mine, "From one"), add(friends, "From the other")]);
  await expectText(mine, "#count", "4 gifts");
  await expectItems(mine, await registry.items(id));
  await expectItems(friends, await registry.items(id));
  assert.equal(await mine.getByLabel("Add a gift").inputValue(), "");
  assert.deepEqual([...mine.trouble, ...friends.trouble], []);
});

test("many gifts typed quickly keep their order", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  const id = await openList(page);
  const texts = Array.from({ length: 30 }, (_, i) => `gift ${i}`);
  for (const text of texts) await add(page, text);
  await expectItems(page, texts);
  assert.deepEqual(await registry.items(id), texts);
  assert.equal(await page.locator("#items li").count(), 30);
});

test("the countdown is right to the second though the local clock is wrong", async ({ browser, registry }) => {
  const id = await registry.open();
  const closesAt = Date.parse((await registry.get(`Peek/${id}`)).closesAt);
  for (const shift of [-3 * 3600e3, 0, 11 * 86400e3 + 777]) {
    const page = await visit(browser, `${registry.url}/#${id}`, {
      init: `{ const D = Date; Date = class extends D {
        constructor(...a) { a.length ? super(...a) : super(D.now() + ${shift}); }
        static now() { return D.now() + ${shift}; } }; }`,
    });
    await expectText(page, "#time", /^\d:\d\d$/);
    for (let i = 0; i < 8; i++) {
      // timeOrigin is of the clock that is right.
      // Behind the page's own timers that are due: a busy machine may have them wait.
      const { text, at } = await page.evaluate(() => new Promise((resolve) => setTimeout(() => resolve(
        { text: document.getElementById("time").textContent, at: performance.timeOrigin + performance.now() }))));
      const [m, s] = text.split(":").map(Number), seconds = m * 60 + s;
      const slack = 500; // what it took to be told the time
      assert.ok(seconds <= Math.ceil((closesAt - at + slack) / 1000), `${seconds} s are too many`);
      assert.ok(seconds >= Math.ceil((closesAt - at - 50) / 1000), `${seconds} s are too few`);
      await page.waitForTimeout(270);
    }
  }
});

test("a list closes by itself and says so", async ({ browser }) => {
  const registry = await Registry.start({ REGISTRY_OPEN_FOR: "3s" });
  try {
    const page = await visit(browser, registry.url);
    const id = await openList(page);
    await add(page, "Just in time");
    await page.getByLabel("Add a gift").fill("Half a tho");
    await expectText(page, "#time", "Closed");
    await expectText(page, "#sealed-how", /^Closed \d\d:\d\d\. Its time was up, so it closed by itself\.$/);
    await expectText(page, "#say", "The list is closed. Its time was up, so it closed by itself.");
    assert.deepEqual(await page.locator("#late-items .text").allTextContents(), ["Half a tho"]);
    assert.deepEqual(await page.locator("#late-items small").allTextContents(), ["The list closed before it was added."]);
    assert.equal(await page.locator("#add").isVisible(), false);
    assert.equal(await page.locator("#finish").isVisible(), false);
    await expectItems(page, ["Just in time"]);
    assert.equal(await page.evaluate(() => document.activeElement.id), "list-title");
    const { closedAt, closedBy } = await registry.get(`Peek/${id}`);
    assert.equal(closedBy, "timeout");
    assert.equal(await page.locator("#sealed-how time").getAttribute("datetime"), closedAt);
    const later = await visit(browser, page.url());
    await expectText(later, "#time", "Closed");
    await expectItems(later, ["Just in time"]);
    assert.deepEqual(page.trouble, []);
  } finally {
    await registry.stop();
  }
});

test("a list that is sent for processing says how that stands", async ({ browser }) => {
  const held = [];
  const processor = createServer((request, answer) => { request.resume(); held.push(answer); }).listen(0, "127.0.0.1");
  await new Promise((resolve) => processor.once("listening", resolve));
  const registry = await Registry.start({
    REGISTRY_PROCESSOR_URL: `http://127.0.0.1:${processor.address().port}/lists`, REGISTRY_PROCESSOR_SECRET: "s".repeat(32),
  });
  try {
    const id = await registry.open();
    const page = await visit(browser, `${registry.url}/#${id}`);
    await expectText(page, "#count", "0 gifts");
    await registry.get(`Finish/${id}`);
    await expectText(page, "#sealed-processing", "It is being sent for processing.");
    while (!held.length) await page.waitForTimeout(10);
    held.forEach((answer) => answer.end());
    await expectText(page, "#sealed-processing", "It has been sent for processing.");
    const later = await visit(browser, page.url());
    await expectText(later, "#sealed-processing", "It has been sent for processing.");
  } finally {
    await registry.stop();
    processor.closeAllConnections();
    processor.close();
  }
});

test("one button, pressed twice, finishes for everybody", async ({ browser, registry }) => {
  const mine = await visit(browser, registry.url);
  const id = await openList(mine);
  const friends = await visit(browser, mine.url());
  await expectText(friends, "#count", "0 gifts");
  await add(mine, "All there is");
  await expectItems(mine, ["All there is"]);
  const button = mine.locator("#finish");
  const before = await button.boundingBox();
  await button.click();
  await expectText(mine, "#finish", "Press again to finish");
  assert.deepEqual(await button.boundingBox(), before);
  assert.equal((await registry.get(`Peek/${id}`)).status, "Open");
  await button.click();
  await expectText(mine, "#sealed-how", /You finished it\.$/);
  await expectText(friends, "#sealed-how", /Somebody with the link finished it\.$/);
  assert.equal((await registry.get(`Peek/${id}`)).closedBy, "user");
  assert.deepEqual(mine.trouble, []);
});

test("the link is shown, copied, and in the QR code", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url, { permissions: ["clipboard-read", "clipboard-write"] });
  await openList(page);
  assert.equal(await page.getByLabel("Its link").inputValue(), page.url());
  await page.getByRole("button", { name: "Copy" }).click();
  await expectText(page, "#copy", "Copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());
  const cells = await page.evaluate(async () => (await import("/qr.js")).encode(location.href).map((row) => [...row]));
  assert.equal(decode(cells), page.url());
  const drawn = await page.locator("#qr path").getAttribute("d");
  assert.equal(drawn.split("M").length - 1, cells.flat().reduce((a, b) => a + b));
});

function decode(cells) {
  const scale = 3, size = (cells.length + 8) * scale, pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  cells.forEach((row, y) => row.forEach((dark, x) => {
    if (!dark) return;
    for (let i = 0; i < scale * scale; i++) {
      const at = ((y + 4) * scale + Math.floor(i / scale)) * size + (x + 4) * scale + (i % scale);
      pixels.fill(0, at * 4, at * 4 + 3);
    }
  }));
  const found = jsqr(pixels, size, size);
  return found && Buffer.from(found.binaryData).toString("utf8");
}

test("QR codes of all forty versions can be read", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  const longest = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666,
    711, 779, 857, 911, 997, 1059, 1125, 1190, 1264, 1370, 1452, 1538, 1628, 1722, 1809, 1911, 1989, 2099, 2213, 2331];
  for (const [i, bytes] of longest.entries()) { // ISO/IEC 18004, table 7: bytes at M
    for (const len of i ? [bytes, longest[i - 1] + 1] : [bytes, 0]) {
      const text = Array.from({ length: len }, (_, k) => String.fromCharCode(33 + ((k * 7 + i) % 90))).join("");
      const cells = await page.evaluate(async (it) => (await import("/qr.js")).encode(it).map((row) => [...row]), text);
      assert.equal(cells.length, 21 + 4 * i, `${len} bytes are version ${(cells.length - 17) / 4}`);
      if (len) assert.equal(decode(cells), text);
    }
  }
  const rest = await page.evaluate(async () => {
    const { encode } = await import("/qr.js");
    return { tooLong: encode("x".repeat(2332)), others: encode("Grüße 🎄").map((row) => [...row]) };
  });
  assert.equal(rest.tooLong, null);
  assert.equal(decode(rest.others), "Grüße 🎄");
});

test("the numbers of all lists are live", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  await expectText(page, "#n-openCount", /^\d+$/);
  const before = await registry.get("Stats");
  const id = await registry.open();
  await registry.add(id, "x");
  await expectText(page, "#n-registryCount", String(before.registryCount + 1));
  await expectText(page, "#n-itemsCount", String(before.itemsCount + 1));
  await expectText(page, "#n-openCount", String(before.openCount + 1));
  await registry.get(`Finish/${id}`);
  await expectText(page, "#n-closedCount", String(before.closedCount + 1));
  await expectText(page, "#n-openCount", String(before.openCount));
});

test("below a list the numbers of all lists are live, without a connection of their own", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await visit(browser, `${registry.url}/#${id}`, { hasClock: true });
  await expectText(page, "#all-openCount", /^\d+$/);
  const before = await registry.get("Stats");
  await add(page, "One");
  await expectText(page, "#all-itemsCount", String(before.itemsCount + 1));
  await registry.add(await registry.open(), "On another list");
  await expectText(page, "#all-itemsCount", String(before.itemsCount + 2));
  await expectText(page, "#all-registryCount", String(before.registryCount + 1));
  await registry.get(`Finish/${id}`);
  await expectText(page, "#all-closedCount", String(before.closedCount + 1));
  const streams = page.requests.filter((request) => request.headers().accept === "text/event-stream");
  assert.deepEqual(streams.map((request) => new URL(request.url()).pathname), [`/api/Peek/${id}`]);
  await page.getByRole("link", { name: "Keepsake, to the start" }).click();
  assert.equal(await page.locator("#all").isVisible(), false);
  const asked = () => page.requests.filter((request) => request.url().endsWith("/Stats")).length;
  await expectText(page, "#n-itemsCount", String(before.itemsCount + 2));
  const then = asked();
  await page.clock.runFor(10000);
  assert.equal(asked(), then);
  assert.deepEqual(page.trouble, []);
});

test("this device remembers its lists, and forgets one when it is told to", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  assert.equal(await page.locator("#recent").isVisible(), false);
  await openList(page);
  await add(page, "First");
  await add(page, "Second");
  await expectText(page, "#count", "2 gifts");
  const link = page.url();
  await page.getByRole("link", { name: "Keepsake, to the start" }).click();
  await expectText(page, "#recent-list b", "First, and 1 more");
  await expectText(page, "#recent-list small", /^Open until \d\d:\d\d$/);
  await page.locator("#recent-list a").click();
  await page.waitForURL(link);
  await expectItems(page, ["First", "Second"]);
  await page.goBack();
  await page.getByRole("button", { name: "Forget: First, and 1 more" }).click();
  assert.equal(await page.locator("#recent").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), "open");
});

test("everything can be done with the keyboard", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  const focused = () => page.evaluate(() => {
    const { activeElement: e } = document, { outlineStyle, outlineWidth } = getComputedStyle(e);
    return { name: e.id || e.className, isSeen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
  });
  const tabTo = async (name) => {
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press("Tab");
      const now = await focused();
      if (now.name !== name) continue;
      assert.ok(now.isSeen, `the focus on ${name} is seen`);
      return;
    }
    assert.fail(`Tab does not come to ${name}`);
  };
  await tabTo("skip");
  await page.keyboard.press("Enter");
  assert.equal((await focused()).name, "content");
  await tabTo("open");
  await page.keyboard.press("Enter");
  await page.waitForURL(LIST);
  await expectText(page, "#count", "0 gifts");
  assert.equal((await focused()).name, "list-title");
  await tabTo("gift");
  await page.keyboard.type("By hand");
  await page.keyboard.press("Enter");
  await expectItems(page, ["By hand"]);
  assert.equal((await focused()).name, "gift");
  await tabTo("copy");
  await tabTo("finish");
  await page.keyboard.press("Space");
  await page.keyboard.press("Space");
  await expectText(page, "#sealed-how", /You finished it\.$/);
  assert.equal((await focused()).name, "list-title");
});

test("a second page of the same device shows the same", async ({ browser, registry }) => {
  const first = await visit(browser, registry.url);
  await openList(first);
  const second = await open(first.context(), first.url());
  await expectText(second, "#count", "0 gifts");
  await add(second, "Here");
  await add(first, "There");
  await expectText(first, "#count", "2 gifts");
  await expectText(second, "#count", "2 gifts");
});

const streams = (page) => page.requests.filter((request) => request.headers().accept === "text/event-stream");

test("a page that nobody looks at lets go of its stream, and goes on when it is looked at", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await visit(browser, `${registry.url}/#${id}`, { init: HIDING, hasClock: true });
  await registry.add(id, "Before");
  await expectItems(page, ["Before"]);
  await page.evaluate(() => hide(true));
  await page.clock.runFor(14000);
  await page.evaluate(() => hide(false)); // only a glance at something else
  await page.clock.runFor(14000);
  await registry.add(id, "On the first stream");
  await expectItems(page, ["Before", "On the first stream"]);
  assert.equal(streams(page).length, 1);
  assert.equal(streams(page)[0].failure(), null);
  const isGone = page.waitForEvent("requestfailed", (request) => request === streams(page)[0]);
  await page.evaluate(() => hide(true));
  await page.clock.runFor(16000);
  await isGone;
  await registry.add(id, "While hidden");
  await page.clock.runFor(60000);
  assert.equal(streams(page).length, 1);
  await expectItems(page, ["Before", "On the first stream"]);
  await page.evaluate(() => hide(false));
  await expectItems(page, ["Before", "On the first stream", "While hidden"]);
  assert.equal(streams(page).length, 2);
  assert.equal(streams(page)[1].headers()["last-event-id"], "2");
  await expectText(page, "#link-text", "Live");
  assert.deepEqual(page.trouble, []);
});

test("more tabs than a browser has connections, and the one that is looked at works", async ({ browser, registry }) => {
  const id = await registry.open();
  let page = await visit(browser, `${registry.url}/#${id}`, { init: HIDING, hasClock: true });
  for (let i = 0; i < 7; i++) {
    await add(page, `From tab ${i}`);
    await expectText(page, `#items li:nth-child(${i + 1}) .text`, `From tab ${i}`);
    await page.evaluate(() => hide(true));
    await page.clock.runFor(16000);
    page = await open(page.context(), page.url());
  }
  await add(page, "From the last");
  await expectText(page, "#count", "8 gifts");
  assert.equal((await registry.items(id)).length, 8);
});
