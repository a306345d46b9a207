// SPDX-License-Identifier: Apache-2.0
// Runs the tests one after the other, each as [name, what it does]; started by `run`.
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { env, isMock, launch } from "./browser.js";
import { edges } from "./edges.js";
import { flow } from "./flow.js";
import { looks } from "./looks.js";

const { serve } = await import(join(env.DASHBOARD, "test", "mock.js"));
const wanted = process.argv[2] ?? "";
let passed = 0;
let failed = 0;

async function test(name, run) {
  if (!name.includes(wanted)) return true;
  const started = Date.now();
  let problem = "";
  try {
    await run();
    passed++;
  } catch (e) {
    problem = e.stack ?? String(e);
    failed++;
  }
  console.log(`${problem ? "FAIL" : "ok  "} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (problem) console.log(problem.replace(/^/gm, "     "));
  return !problem;
}

function command(program, ...args) {
  const done = spawnSync(program, args, { cwd: env.DASHBOARD, encoding: "utf8", timeout: 120000 });
  if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}\n${done.stdout}${done.stderr}${done.error ?? ""}`);
}

await test("types", () => command("node", "node_modules/vue-tsc/bin/vue-tsc.js", "--noEmit", "-p", "tsconfig.json"));
await test("texts", () => command("node", "--test", "test/texts.test.js"));
const isBuilt = !isMock || (await test("build", () => {
  command("node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn");
  command("node", "scripts/size.js");
}));

if (isBuilt) {
  const browser = await launch();
  try {
    const context = { browser, serve };
    for (const part of isMock ? [flow, edges, looks] : [flow]) {
      const mock = isMock ? await serve({ wsPort: Number(env.BROKER_WS_PORT) }) : undefined;
      context.url = mock?.url ?? env.BROKER_URL;
      context.state = mock?.state;
      for (const [name, run] of part(context)) await test(name, run);
      await mock?.stop();
    }
  } finally {
    await browser.close();
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
