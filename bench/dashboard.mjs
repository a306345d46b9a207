// SPDX-License-Identifier: Apache-2.0
// What Chromium measures for bench/dashboard: URL, password and rounds are in the environment; a line of JSON for each view.
import { launch } from "../tests/browser/browser.js";

const { URL_OF_DASHBOARD: url, PASSWORD, ROUNDS } = process.env;
const SIZE = { viewport: { width: 1440, height: 900 }, locale: "en-GB" };

// In the page: the first frame in which a person could go on. Times count from the start of the navigation.
function look(what) {
  const isUsable = {
    login: () => {
      const input = document.querySelector("#password");
      return input && !input.disabled && input.offsetParent && document.activeElement?.tagName === "INPUT";
    },
    overview: () => {
      const chart = document.querySelector(".chart canvas");
      const values = [...document.querySelectorAll(".tile .value")];
      return chart?.width > 0 && values.length > 0 && values.every((v) => /\d/.test(v.innerText));
    },
  }[what];
  const step = () => {
    if (document.body && isUsable()) window.usableMs ??= performance.now();
    else requestAnimationFrame(step);
  };
  step();
}

async function figures(page, view, started) {
  const ms = await (await page.waitForFunction(() => window.usableMs, null, { timeout: 30000 })).jsonValue();
  const [files, bytes] = await page.evaluate(() => {
    const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .filter((e) => !e.name.includes("/api/"));
    return [all.filter((e) => e.transferSize > 0).length, all.reduce((n, e) => n + e.transferSize, 0)];
  });
  console.log(JSON.stringify({ view, ms: started === undefined ? ms : ms - started, files, bytes }));
}

async function round(browser) {
  const context = await browser.newContext(SIZE);
  let page = await context.newPage();
  await page.addInitScript(look, "login");
  await page.goto(url);
  await figures(page, "login, nothing cached");

  // From the key to the overview; the hash of the password is in it.
  await page.locator("input").first().fill("admin");
  await page.locator("#password").fill(PASSWORD);
  const started = await page.evaluate(`window.usableMs = undefined; (${look})("overview"); performance.now()`);
  await page.keyboard.press("Enter");
  await figures(page, "log in, until the overview has its charts", started);

  const kept = await page.evaluate(() => Object.entries(sessionStorage));
  const again = (entries) => entries.forEach(([key, value]) => sessionStorage.setItem(key, value));
  const fresh = await browser.newContext(SIZE);
  for (const [where, view] of [[fresh, "overview with charts, nothing cached"], [context, "overview with charts, cached"]]) {
    page = await where.newPage();
    await page.addInitScript(again, kept);
    await page.addInitScript(look, "overview");
    await page.goto(url);
    await figures(page, view);
  }
  await fresh.close();
  await context.close();
}

const browser = await launch();
try {
  for (let i = 0; i <= Number(ROUNDS); i++) {
    await round(browser);
    if (i === 0) console.log(JSON.stringify({ view: "warm" })); // the browser's own start is not the dashboard's
  }
} finally {
  await browser.close();
}
