// world.js - the registry on a port and a folder of its own, a browser, and claims that are counted
import { chromium } from "playwright-core";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";

const LIMIT_MS = 60000;

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A registry: started, killed, started again on the same data and port. */
export class Registry {
  static async start(settings = {}) {
    const registry = new Registry();
    registry.folder = mkdtempSync(join(tmpdir(), "keepsake-browser-"));
    registry.settings = settings;
    registry.port = await freePort();
    registry.url = `http://localhost:${registry.port}`;
    await registry.again();
    return registry;
  }

  async again() {
    this.process = spawn(process.env.REGISTRY, ["start", "--port", this.port, "--data", this.folder], {
      env: { ...process.env, ...this.settings }, stdio: ["ignore", "ignore", "inherit"],
    });
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    for (;;) {
      const answer = await fetch(`${this.url}/admin/host/ping`).catch(() => null);
      if (answer?.ok) return;
      assert.equal(this.process.exitCode, null, "the registry ended");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async end(signal = "SIGTERM") {
    this.process.kill(signal);
    await this.ended;
  }

  async stop() {
    await this.end();
    rmSync(this.folder, { recursive: true });
  }

  async get(path) {
    const answer = await fetch(`${this.url}/api/${path}`);
    return answer.headers.get("content-type")?.includes("json") ? answer.json() : answer.text();
  }

  open() { return this.get("Open"); }

  async add(id, item) {
    const answer = await fetch(`${this.url}/api/Add/${id}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ item }),
    });
    assert.equal(answer.status, 200);
  }

  async items(id) { return (await this.get(`Peek/${id}`)).registry.items; }
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** Lets a page be hidden, as far as it can tell: hide(true), hide(false). */
export const HIDING = `Object.defineProperty(document, "hidden", { get: () => window.isHidden === true });
  window.hide = (it) => { window.isHidden = it; document.dispatchEvent(new Event("visibilitychange")); };`;

/** A page of its own device. What it logs, throws, blocks or asks of others is found in page.trouble.
 * Options: init, a script that is run first; hasClock, then page.clock can wind it. */
export async function visit(browser, url, options = {}) {
  const { init, hasClock, ...context } = options;
  const device = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", ...context });
  if (init) await device.addInitScript(init);
  if (hasClock) await device.clock.install();
  return open(device, url);
}

export async function open(device, url) {
  const page = await device.newPage();
  page.trouble = [];
  page.requests = [];
  page.on("pageerror", (error) => page.trouble.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { page.trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (message) => {
    const isExpected = /Failed to load resource/.test(message.text()); // a server that is away, a 404
    if (message.type() !== "log" && !isExpected) page.trouble.push(`${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    page.requests.push(request);
    if (!request.url().startsWith(new URL(url).origin)) page.trouble.push(`asks ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

/** Until the page's text in a place is, or matches, this. */
export async function expectText(page, selector, wanted) {
  const place = page.locator(selector);
  const isIt = (text) => (wanted instanceof RegExp ? wanted.test(text) : text === wanted);
  let text;
  for (const end = Date.now() + 10000; Date.now() < end;) {
    text = await place.textContent();
    if (isIt(text)) return;
    await page.waitForTimeout(20);
  }
  assert.fail(`${selector} says ${JSON.stringify(text)} instead of ${wanted}`);
}

/** The gifts as the page shows them. */
export const shown = (page) => page.locator("#items li:not(.waiting) .text").allTextContents();

export async function expectItems(page, wanted) {
  let items;
  for (const end = Date.now() + 10000; Date.now() < end;) {
    items = await shown(page);
    if (items.length >= wanted.length) break;
    await page.waitForTimeout(20);
  }
  assert.deepEqual(items, wanted);
}

const tests = [];
export const test = (claim, run) => tests.push({ claim, run });

export async function runAll(words, world) {
  let passed = 0, failed = 0;
  for (const { claim, run } of tests) {
    if (words.length && !words.some((word) => claim.includes(word))) continue;
    let timer;
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
    });
    try {
      await Promise.race([run(world), limit]);
      passed++;
      console.log(`ok     ${claim}`);
    } catch (error) {
      failed++;
      console.log(`failed ${claim}\n    ${String(error.stack).replaceAll("\n", "\n    ")}`);
    }
    clearTimeout(timer);
    for (const context of world.browser.contexts()) await context.close();
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0;
}
