// SPDX-License-Identifier: Apache-2.0
// Pictures of the pages for people to look at; and that no page is wider than the screen.
import { PASSWORD, open, logIn, picture, same, settled } from "./browser.js";

const PAGES = {
  overview: "", nodes: "nodes", node: "nodes/covey%4010.0.0.1", clients: "clients", client: "clients/sensor-0005", subscriptions: "subscriptions",
  topics: "topics", retained: "retained", groups: "groups", delayed: "delayed", topicmetrics: "topic-metrics", slow: "slow",
  why: "why?clientid=kickme&topic=plant/1/temperature",
  traces: "traces", trace: "traces/late-orders", banned: "banned", listeners: "listeners", alarms: "alarms", users: "settings/users", keys: "settings/keys",
  configuration: "settings/configuration", websocket: "tools/websocket", http: "tools/http",
};
const LOOKS = [
  ["light", { colorScheme: "light" }, Object.keys(PAGES)],
  ["dark", { colorScheme: "dark" }, ["overview", "clients", "client", "websocket", "users", "topicmetrics", "trace", "banned"]],
  ["zh", { colorScheme: "light", locale: "zh-CN" }, ["overview", "clients", "client", "websocket", "listeners", "keys", "groups", "delayed", "topicmetrics", "slow", "why", "traces", "banned", "configuration"]],
  ["phone", { colorScheme: "light", viewport: { width: 390, height: 800 }, hasTouch: true }, Object.keys(PAGES)],
];

export function looks({ browser, url, state }) {
  Object.assign(state.users.get("admin"), { password: PASSWORD, mustChange: false });
  return LOOKS.map(([look, options, pages]) => [`looks_${look}`, async () => {
    const page = await open(browser, url, options);
    await page.locator("#username").waitFor();
    await picture(page, `${look}-login`);
    await logIn(page, "admin", PASSWORD);
    await page.locator(".chart canvas").first().waitFor();
    for (const name of pages) {
      await page.goto(`${url}#/${PAGES[name]}`);
      await page.locator("main > *").first().waitFor();
      await settled(page);
      if (name === "websocket") await page.locator("#port").waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      same(wide, 0, `${name} is wider than the screen by`);
      const cut = await page.locator("#page-head").evaluate((head) => [...head.querySelectorAll("button")]
        .filter((b) => b.getBoundingClientRect().right > head.getBoundingClientRect().right).map((b) => b.innerText).join());
      same(cut, "", `buttons of ${name} are cut off`);
      await picture(page, `${look}-${name}`);
    }
    if (look === "phone") {
      await page.getByTestId("menu").click();
      await page.getByTestId("nav-clients").waitFor();
      await picture(page, "phone-menu");
    }
    same(page.problems.join("\n"), "", "the browser complains");
    await page.context().close();
  }]);
}
