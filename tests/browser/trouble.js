// trouble.js - what people meet when not all goes well: it is said, and nothing is lost
import { test, visit, open, expectText, expectItems, shown, Registry } from "./world.js";
import { createServer } from "node:http";
import assert from "node:assert/strict";

const NOBODY = "0123456789abcdef0123456789abcdef";

async function atList(browser, registry, id, options) {
  const page = await visit(browser, `${registry.url}/#${id}`, options);
  await expectText(page, "#count", /gift/);
  return page;
}

async function add(page, text) {
  await page.getByLabel("Add a gift").fill(text);
  await page.keyboard.press("Enter");
}

test("a server that is killed and comes back: the page goes on and nothing typed is lost", async ({ browser }) => {
  const registry = await Registry.start();
  try {
    const id = await registry.open();
    const page = await atList(browser, registry, id);
    const friends = await atList(browser, registry, id);
    await add(page, "Before");
    await expectItems(friends, ["Before"]);
    await registry.end("SIGKILL");
    await expectText(page, "#link-text", "Not connected. Trying again…");
    await add(page, "While it was away");
    await add(page, "And one more");
    await page.getByLabel("Add a gift").fill("Not yet sent");
    await expectText(page, "#items .waiting >> nth=0", "While it was awaywaits for the connection");
    await registry.again();
    await expectItems(page, ["Before", "While it was away", "And one more"]);
    await expectItems(friends, ["Before", "While it was away", "And one more"]);
    await expectText(page, "#link-text", "Live");
    assert.equal(await page.getByLabel("Add a gift").inputValue(), "Not yet sent");
    assert.equal(await page.locator("#items .waiting").count(), 0);
    assert.deepEqual(await registry.items(id), ["Before", "While it was away", "And one more"]);
    assert.deepEqual(page.trouble, []);
  } finally {
    await registry.stop();
  }
});

test("an answer that is lost adds nothing twice", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await atList(browser, registry, id);
  let lost = 0;
  await page.route("**/api/Add/*", async (route) => {
    if (lost++ < 2) {
      await route.fetch();
      await route.abort();
    } else {
      await route.continue();
    }
  });
  await add(page, "Once");
  await expectText(page, "#say", "Added: Once");
  assert.ok(lost >= 3);
  assert.deepEqual(await registry.items(id), ["Once"]);
  await expectItems(page, ["Once"]);
  assert.equal(await page.locator("#items li").count(), 1);
});

test("a page that is loaded again has what was typed and what was on its way", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await atList(browser, registry, id);
  await page.route("**/api/Add/*", (route) => route.abort());
  await add(page, "On its way");
  await page.getByLabel("Add a gift").fill("Half typ");
  await expectText(page, "#items .waiting", /On its way/);
  await page.unroute("**/api/Add/*");
  await page.reload();
  await expectItems(page, ["On its way"]);
  assert.equal(await page.getByLabel("Add a gift").inputValue(), "Half typ");
  assert.deepEqual(await registry.items(id), ["On its way"]);
});

test("a list that closed meanwhile: the gift is shown as not added", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await atList(browser, registry, id);
  await page.route("**/api/Add/*", async (route) => {
    await registry.get(`Finish/${id}`);
    await route.continue();
  });
  await add(page, "Too late");
  await expectText(page, "#late-items .text", "Too late");
  await expectText(page, "#late-items small", "The list had closed meanwhile.");
  await expectText(page, "#sealed-how", /Somebody with the link finished it\.$/);
  assert.deepEqual(await shown(page), []);
});

test("what was not added is there until it is thrown away, whatever is loaded again", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await atList(browser, registry, id);
  const late = () => page.locator("#late-items .text").allTextContents();
  await page.route("**/api/Add/*", (route) => route.abort());
  await add(page, "On its way");
  await page.getByLabel("Add a gift").fill("Half typ");
  await registry.get(`Finish/${id}`);
  await expectText(page, "#time", "Closed");
  assert.deepEqual(await late(), ["Half typ"]);
  await page.unroute("**/api/Add/*");
  await page.reload();
  await expectText(page, "#late-items li:nth-child(2) .text", "On its way");
  assert.deepEqual(await late(), ["Half typ", "On its way"]);
  const second = await open(page.context(), page.url());
  await expectText(second, "#time", "Closed");
  assert.deepEqual(await second.locator("#late-items .text").count(), 2);
  await page.getByRole("button", { name: "Throw away: Half typ" }).click();
  assert.deepEqual(await late(), ["On its way"]);
  await page.reload();
  await expectText(page, "#time", "Closed");
  assert.deepEqual(await late(), ["On its way"]);
  await page.getByRole("button", { name: "Throw away: On its way" }).click();
  assert.equal(await page.locator("#late").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), "list-title");
  assert.equal(await page.evaluate(() => Object.keys(localStorage).join()), "keepsake.lists");
  assert.deepEqual(page.trouble, []);
});

test("a browser that keeps nothing shows what was not added all the same", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await atList(browser, registry, id, {
    init: `for (const name of ["localStorage", "sessionStorage"])
      Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });`,
  });
  await add(page, "Still there");
  await expectItems(page, ["Still there"]);
  await page.getByLabel("Add a gift").fill("Half typ");
  await registry.get(`Finish/${id}`);
  await expectText(page, "#late-items .text", "Half typ");
  assert.deepEqual(page.trouble, []);
});

test("unknown and broken links are told apart", async ({ browser, registry }) => {
  const page = await visit(browser, `${registry.url}/#${NOBODY}`);
  await expectText(page, "#lost-why", /has never had a list of that name/);
  assert.equal(await page.title(), "No list here · Keepsake");
  await page.goto(`${registry.url}/#${NOBODY.slice(1)}`);
  await expectText(page, "#lost-why", /not whole/);
  await page.getByRole("link", { name: "To the start", exact: true }).click();
  assert.equal(await page.getByRole("button", { name: "Open a gift list" }).isVisible(), true);
  assert.deepEqual(page.trouble, []);
});

test("too long is said in numbers, empty is said too, and the text stays", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await atList(browser, registry, id);
  const text = "ö".repeat(4097);
  await add(page, text);
  await expectText(page, "#gift-problem", /it takes 8,194 bytes, and 8,192 fit/);
  assert.equal(await page.getByLabel("Add a gift").inputValue(), text);
  assert.equal(await page.getByLabel("Add a gift").getAttribute("aria-invalid"), "true");
  await add(page, text.slice(1));
  await expectItems(page, [text.slice(1)]);
  await expectText(page, "#gift-problem", "");
  await add(page, "   ");
  await expectText(page, "#gift-problem", /Type what you wish for/);
  assert.equal((await registry.items(id)).length, 1);
});

test("a server that is away when a list is to be opened", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  await page.route("**/api/Open", (route) => route.abort());
  await page.getByRole("button", { name: "Open a gift list" }).click();
  await expectText(page, "#open-problem", /cannot be reached just now, so no list was opened/);
  await page.unroute("**/api/Open");
  await page.getByRole("button", { name: "Open a gift list" }).click();
  await page.waitForURL(/#[0-9a-f]{32}$/);
});

test("hostile texts are texts", async ({ browser, registry }) => {
  const texts = [
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "</li></ol><h1>Mine</h1>", "&lt;b&gt; &amp; &#65;",
    "javascript:alert(1)", "{{7*7}} ${7*7}", "__proto__", "line one\nline two\r\n\tand a tab", "event: closed\ndata: {}\n\n",
    "\u202Egnorw eht si siht", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘", "🎄👩‍👩‍👧‍👦🏴󠁧󠁢󠁳󠁣󠁴󠁿", "nul \u0000 inside", "\u2028\u2029\uFEFF", "x".repeat(8192), "مرحبا <b>بالعالم</b>", " ",
  ];
  const id = await registry.open();
  const page = await atList(browser, registry, id);
  for (const text of texts) await registry.add(id, text);
  await expectItems(page, texts);
  await page.reload();
  await expectItems(page, texts);
  assert.equal(await page.locator("#items img, #items script, #items h1, #items b").count(), 0);
  const { wide, inner } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, inner: innerWidth }));
  assert.ok(wide <= inner, `${wide} is wider than ${inner}`);
  await page.goto(registry.url);
  await expectText(page, "#recent-list b", `${texts[0]}, and 16 more`);
  assert.deepEqual(page.trouble, []);
});

test("the page of another site changes nothing, whatever it tries", async ({ browser, registry }) => {
  const id = await registry.open();
  const before = await registry.get("Stats");
  const evil = createServer((request, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<img src="${registry.url}/api/Open"><iframe src="${registry.url}/"></iframe>
      <form id=f method=post enctype=text/plain target=there action="${registry.url}/api/Add/${id}"><input name=a value=b></form>
      <iframe name=there></iframe><script>
        f.submit();
        Promise.allSettled([
          fetch("${registry.url}/api/Finish/${id}", { mode: "no-cors" }),
          fetch("${registry.url}/api/Open", { mode: "no-cors", method: "POST" }),
          fetch("${registry.url}/api/Stats").then((a) => a.text()),
        ]).then((all) => { document.title = all.map((one) => one.status).join(); });
      </script>`);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => evil.once("listening", resolve));
  try {
    const page = await (await browser.newContext()).newPage();
    const refused = [], asked = [];
    page.on("request", (request) => { if (/Open|Add|Finish/.test(request.url())) asked.push(request); });
    page.on("response", (answer) => { if (answer.status() === 403) refused.push(answer.url()); });
    await page.goto(`http://127.0.0.1:${evil.address().port}/`); // another site than localhost
    await page.waitForFunction(() => document.title === "fulfilled,fulfilled,rejected"); // nor may it read
    await page.waitForLoadState("load");
    assert.equal(asked.length, 4);
    // What the image was answered with the browser keeps even from us.
    for (const end = Date.now() + 5000; refused.length < 3 && Date.now() < end;) await page.waitForTimeout(20);
    assert.equal(refused.length, 3, refused.join(" "));
    assert.deepEqual(await registry.get("Stats"), before);
    assert.equal((await registry.get(`Peek/${id}`)).status, "Open");
  } finally {
    evil.close();
  }
});
