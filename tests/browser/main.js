// main.js - runs all claims about the page, one after the other
import { Registry, launch, runAll } from "./world.js";
import "./use.js";
import "./trouble.js";
import "./looks.js";

const world = { registry: await Registry.start(), browser: await launch() };
let isWell = false;
try {
  isWell = await runAll(process.argv.slice(2), world);
} finally {
  await world.browser.close();
  await world.registry.stop();
}
process.exitCode = isWell ? 0 : 1;
