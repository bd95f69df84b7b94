// looks.js - how the page looks to eyes, to axe, to the stopwatch; pictures for whoever changes it
import { test, visit, expectText, expectItems } from "./world.js";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = fileURLToPath(new URL("../../build/screenshots/", import.meta.url));
const GIFTS = ["Commodore 64", "A sled, the red one", "Wool socks for Grandpa, size 44, and a pair for Grandma too, " +
  "if they have them in green", "Ein Märchenbuch", "قفازات دافئة", "🧩 with 1,000 pieces"];
const SIZES = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  narrow: { colorScheme: "light", viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true },
  "narrow-dark": { colorScheme: "dark", viewport: { width: 320, height: 640 } },
  tablet: { colorScheme: "light", viewport: { width: 820, height: 1180 } },
  wide: { colorScheme: "light", viewport: { width: 2560, height: 1440 } },
  wall: { colorScheme: "dark", viewport: { width: 3840, height: 2160 } },
};

async function filled(registry) {
  const id = await registry.open();
  for (const gift of GIFTS) await registry.add(id, gift);
  return id;
}

/** Each view, ready to be looked at. */
async function* views(page, registry) {
  await expectText(page, "#n-openCount", /\d/);
  yield "start";
  const id = await filled(registry);
  await page.goto(`${registry.url}/#${id}`);
  await expectItems(page, GIFTS);
  await expectText(page, "#time", /:/);
  yield "list";
  await page.locator("#finish").click();
  await page.locator("#gift").fill("x".repeat(9000));
  await page.locator("#gift").press("Enter");
  yield "problem";
  await page.locator("#gift").fill("On its w");
  await registry.get(`Finish/${id}`);
  await expectText(page, "#time", "Closed");
  yield "closed";
  await page.goto(registry.url);
  await expectText(page, "#recent-list b", /Commodore/);
  yield "again";
  await page.goto(`${registry.url}/#${"0".repeat(32)}`);
  await expectText(page, "#lost-why", /never/);
  yield "lost";
}

for (const [size, options] of Object.entries(SIZES)) {
  test(`${size}: axe finds nothing, nothing is cut off, and pictures are kept`, async ({ browser, registry }) => {
    mkdirSync(pictures, { recursive: true });
    const page = await visit(browser, registry.url, options);
    const findings = [];
    for await (const view of views(page, registry)) {
      await page.evaluate(() => document.getAnimations().forEach((animation) => animation.finish()));
      await page.screenshot({ path: `${pictures}${view}-${size}.png`, fullPage: size.startsWith("narrow") });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) findings.push(`${view} is ${overflow} pixels too wide`);
      await page.evaluate(axe);
      const { violations, incomplete } = await page.evaluate(() => axe.run({
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      }));
      for (const { id, nodes } of [...violations, ...incomplete.filter((one) => one.id !== "color-contrast")])
        findings.push(`${view}: ${id}: ${nodes.map((node) => node.html).join(" ")}`);
    }
    assert.deepEqual(findings, []);
    assert.deepEqual(page.trouble, []);
  });
}

test("it is painted within 100 ms, nothing jumps, and it is small", async ({ browser, registry }) => {
  const id = await filled(registry);
  for (const path of ["/", `/#${id}`]) {
    const paints = [];
    for (let i = 0; i < 5; i++) {
      const page = await visit(browser, registry.url + path, {
        init: `window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach((e) => { window.shift += e.value; }))
          .observe({ type: "layout-shift", buffered: true });`,
      });
      if (path === "/") await expectText(page, "#n-openCount", /\d/);
      else await expectItems(page, GIFTS);
      await page.waitForTimeout(100);
      const { shift, paint, bytes } = await page.evaluate(() => ({
        shift: window.shift,
        paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        bytes: performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
          .filter((e) => !e.name.includes("/api/")).reduce((sum, e) => sum + e.encodedBodySize, 0),
      }));
      paints.push(paint);
      assert.ok(shift < 0.001, `${path} jumps by ${shift}`);
      assert.ok(bytes > 5000 && bytes < 40 * 1024, `${bytes} bytes`);
      if (!i) console.log(`       ${path.slice(0, 8)}: ${bytes} bytes, moved by ${shift}`);
      await page.context().close();
    }
    console.log(`       ${path.slice(0, 8)}: first paint after ${paints.map(Math.round).join(", ")} ms`);
    assert.ok(Math.min(...paints) < 100, `first paint after ${paints} ms`);
  }
});

test("arriving gifts move nothing that is there", async ({ browser, registry }) => {
  const id = await filled(registry);
  const page = await visit(browser, `${registry.url}/#${id}`);
  await expectItems(page, GIFTS);
  const places = () => page.evaluate(() => [...document.querySelectorAll("h1, #gift, #finish, #link, #items li")]
    .slice(0, 10).map((element) => JSON.stringify(element.getBoundingClientRect())));
  const before = await places();
  await registry.add(id, "One more");
  await expectText(page, "#count", "7 gifts");
  assert.deepEqual(await places(), before);
});

test("who asks for less motion gets none", async ({ browser, registry }) => {
  const id = await registry.open();
  const page = await visit(browser, `${registry.url}/#${id}`, { reducedMotion: "reduce" });
  await expectText(page, "#count", "0 gifts");
  await registry.add(id, "Still");
  await expectItems(page, ["Still"]);
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
});

test("nothing is asked for twice: a second visit is answered with 304", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url);
  await expectText(page, "#n-openCount", /\d/);
  const statuses = [];
  page.on("response", (answer) => { if (!answer.url().includes("/api/")) statuses.push(answer.request().sizes()); });
  await page.reload();
  await expectText(page, "#n-openCount", /\d/);
  const bodies = (await Promise.all(statuses)).map((size) => size.responseBodySize);
  assert.ok(bodies.length >= 2);
  assert.ok(bodies.every((bytes) => bytes === 0), `bodies of ${bodies} bytes came again`);
});

test("without JavaScript it says so", async ({ browser, registry }) => {
  const page = await visit(browser, registry.url, { javaScriptEnabled: false });
  assert.match(await page.locator("noscript").innerText(), /needs JavaScript/);
});

