// SPDX-License-Identifier: Apache-2.0
// What the tests share: the browser, a page that tells when something is wrong with it, and where things are.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { chromium, selectors } from "playwright-core";

selectors.setTestIdAttribute("data-test");
export const env = process.env;
export const isMock = env.DASHBOARD_API !== "broker";
export const PASSWORD = "a-password-of-my-own";
const PROGRAM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

export async function launch() {
  if (!PROGRAM) throw new Error("there is no chromium: tests/install-deps");
  // The sandbox needs user namespaces, which containers and root do not have; the pages are our own.
  return chromium.launch({ executablePath: PROGRAM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

// Whatever the browser complains about fails the test: errors of scripts, what the policy blocked, files not found.
export function watch(page, allowed = []) {
  const problems = [];
  const add = (text) => allowed.some((a) => text.includes(a)) || problems.push(text);
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && add(`${m.type()}: ${m.text()} ${m.location().url}`));
  page.on("pageerror", (e) => add(`script: ${e.message}`));
  page.on("request", (r) => {
    const host = new URL(r.url()).hostname;
    if (!["127.0.0.1", "localhost", ""].includes(host)) add(`asked ${r.url()}`);
  });
  return problems;
}

// How many scripts and styles are on their way.
function count(page) {
  const loading = new Set();
  page.on("request", (r) => ["script", "stylesheet"].includes(r.resourceType()) && loading.add(r));
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => loading.delete(r));
  return loading;
}

// Waits until the page has all its parts: one that is left, or whose server goes away, while a part loads complains about that part.
export async function settled(page) {
  let still = 0;
  await until(() => (still = page.loading.size ? 0 : still + 1) > 3, "the page has all its parts");
}

export async function reload(page) {
  await settled(page);
  await page.reload();
}

export async function open(browser, url, options = {}, allowed = []) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", timezoneId: "Asia/Shanghai", ...options });
  context.setDefaultTimeout(10000);
  const page = await context.newPage();
  page.problems = watch(page, allowed);
  page.loading = count(page);
  await page.goto(url);
  return page;
}

export async function logIn(page, name, password) {
  await page.getByLabel(/User name|用户名/).fill(name);
  await page.locator("#password").fill(password);
  await page.keyboard.press("Enter");
}

export async function picture(page, name) {
  await page.screenshot({ path: join(env.PICTURES, `${name}.png`), fullPage: true });
}

export function same(found, wanted, what = "") {
  if (found !== wanted) throw new Error(`${what}: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

// Waits for a condition that is not of the page.
export async function until(condition, what, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
