// SPDX-License-Identifier: Apache-2.0
// What is not the usual day: a viewer, an API that refuses, fails or is away, another path, no mouse.
import { PASSWORD, check, env, logIn, open, reload, same, settled, until } from "./browser.js";

export function edges({ browser, url, state, serve }) {
  Object.assign(state.users.get("admin"), { password: PASSWORD, mustChange: false });
  const asAdmin = async (at = url, allowed = []) => {
    const page = await open(browser, at, {}, allowed);
    await logIn(page, "admin", PASSWORD);
    await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
    return page;
  };
  const clean = (page) => same(page.problems.join("\n"), "", "the browser complains");

  return [
    ["edge_viewer_sees_no_acting_buttons", async () => {
      const page = await open(browser, url);
      await logIn(page, "watch", "look-only-1");
      await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
      const acting = /^(Kick|Discard|Delete|Stop|Start|Restart|Change|Clear past alarms|Add .*|Create .*|Remove)$/;
      for (const path of ["clients", "clients/kickme", "retained", "listeners", "alarms", "settings/users", "settings/keys"]) {
        await page.goto(`${url}#/${path}`);
        await page.locator("main table tbody tr, main .facts").first().waitFor();
        same(await page.getByRole("main").getByRole("button", { name: acting }).count(), 0, path);
      }
      same(await page.getByRole("link", { name: "API keys" }).count(), 0, "keys are not for viewers");
      clean(page);
      await page.context().close();
    }],
    ["edge_password_cannot_be_put_off", async () => {
      state.users.set("fresh", { username: "fresh", password: "public", role: "administrator", mustChange: true });
      const page = await open(browser, url, {}, ["status of 403"]);
      await logIn(page, "fresh", "public");
      await page.getByRole("heading", { name: "Choose a new password" }).waitFor();
      await page.goto(`${url}#/`);
      await reload(page);
      const dialog = page.getByRole("dialog", { name: "Choose a new password" });
      await dialog.waitFor();
      await page.keyboard.press("Escape");
      await page.locator("#password-old").fill("public");
      await page.locator("#password-new").fill(PASSWORD);
      await page.locator("#password-again").fill(PASSWORD);
      await page.keyboard.press("Enter");
      await dialog.waitFor({ state: "hidden" });
      await page.locator(".tile .value", { hasText: /\d/ }).first().waitFor();
      same(state.users.get("fresh").password, PASSWORD, "it is changed");
      await page.context().close();
    }],
    ["edge_lists_page_and_filter", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/clients`);
      await page.getByText("1 to 50 of 137").waitFor();
      await page.getByTestId("page-next").click();
      await page.getByText("51 to 100 of 137").waitFor();
      await page.getByPlaceholder("Client id contains").fill("sensor-000");
      await page.keyboard.press("Enter");
      await page.getByText("1 to 9 of 9").waitFor();
      await page.getByPlaceholder("Client id contains").fill("nobody");
      await page.keyboard.press("Enter");
      await page.getByText("Nothing matches.").waitFor();
      clean(page);
      await page.context().close();
    }],
    ["edge_subscription_added_and_removed", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/clients/sensor-0001`);
      await page.getByTestId("subscription-add").click();
      await page.locator("#subscribe-topic").fill("extra/#");
      await page.getByTestId("subscribe").click();
      const row = page.locator("tr[data-row='extra/#']");
      await row.waitFor();
      await row.getByTestId("subscription-remove").click();
      await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
      await row.waitFor({ state: "detached" });
      clean(page);
      await page.context().close();
    }],
    ["edge_retained_viewed_and_deleted", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/retained`);
      const row = page.locator("tr[data-row='plant/0/unit-0/state']");
      await row.getByTestId("view").click();
      await page.getByText('"celsius": 21.4').waitFor();
      await page.keyboard.press("Escape");
      await row.getByTestId("delete").click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await row.waitFor({ state: "detached" });
      check(!state.retained.has("plant/0/unit-0/state"), "it is gone");
      clean(page);
      await page.context().close();
    }],
    ["edge_listener_stopped_and_started", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/listeners`);
      const row = page.locator("tr[data-row='tcp:default']");
      await row.getByTestId("toggle").click();
      await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
      await row.getByText("stopped").waitFor();
      await row.getByTestId("toggle").click();
      await row.getByText("running").waitFor();
      clean(page);
      await page.context().close();
    }],
    ["edge_key_is_shown_once", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/settings/keys`);
      await page.getByTestId("key-add").click();
      await page.locator("#key-name").fill("robot");
      await page.getByRole("button", { name: "Create", exact: true }).click();
      await page.getByText("only time").waitFor();
      const secret = await page.locator(".secret dd").nth(1).innerText();
      check(/^[0-9a-f]{32}$/.test(secret), "a secret");
      await page.getByRole("button", { name: "I have kept it" }).click();
      await page.locator("tr[data-row='robot']").waitFor();
      check(!(await page.content()).includes(secret), "it is not in the page any more");
      clean(page);
      await page.context().close();
    }],
    ["edge_refused_and_failing_calls_are_told", async () => {
      const page = await asAdmin(url, ["status of 4", "status of 5"]);
      await page.goto(`${url}#/clients`);
      await page.locator("tbody tr").first().waitFor();
      await settled(page);
      state.fails = 503;
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByText("The node could not do it: the disk is full").waitFor();
      state.fails = 403;
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByText("Your user may not do this.").waitFor();
      state.fails = 0;
      state.tokens.clear();
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByText("Your login has ended").waitFor();
      await logIn(page, "admin", PASSWORD);
      await page.getByRole("heading", { name: "Clients" }).waitFor();
      await page.context().close();
    }],
    ["edge_node_goes_away_and_comes_back", async () => {
      const own = await serve({ wsPort: Number(env.BROKER_WS_PORT) });
      Object.assign(own.state.users.get("admin"), { password: PASSWORD, mustChange: false });
      const page = await asAdmin(own.url, ["ERR_CONNECTION", "status of"]);
      await settled(page);
      await own.stop();
      await page.getByText("The node does not answer. What is shown may be old").waitFor();
      const again = await serve({ port: Number(new URL(own.url).port) });
      Object.assign(again.state.users.get("admin"), { password: PASSWORD, mustChange: false });
      await page.getByText("Your login has ended").waitFor();
      await page.context().close();
      await again.stop();
    }],
    ["edge_under_another_path", async () => {
      const own = await serve({ under: "/broker/one/" });
      Object.assign(own.state.users.get("admin"), { password: PASSWORD, mustChange: false });
      const page = await asAdmin(own.url);
      await reload(page);
      await page.locator(".chart canvas").first().waitFor();
      clean(page);
      await page.context().close();
      await own.stop();
    }],
    ["edge_socket_cannot_connect", async () => {
      const page = await asAdmin(url, ["WebSocket connection to"]);
      await page.goto(`${url}#/tools/websocket`);
      await page.locator("#port").fill("9");
      await page.getByTestId("connect").click();
      await page.getByText("No connection to ws://127.0.0.1:9/mqtt").waitFor();
      await page.context().close();
    }],
    ["edge_keyboard_alone", async () => {
      const page = await open(browser, url);
      await until(() => page.evaluate(() => document.activeElement.id === "username"), "the first field has the focus");
      await page.keyboard.type("admin");
      await page.keyboard.press("Tab");
      await page.keyboard.type(PASSWORD);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
      await reload(page);
      await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
      await page.keyboard.press("Tab");
      same(await page.evaluate(() => document.activeElement.className), "skip", "first comes the way past the navigation");
      for (let i = 0; i < 20; i++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate(() => document.activeElement.dataset.test === "nav-clients")) break;
      }
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Clients" }).waitFor();
      same(await page.evaluate(() => document.activeElement.id), "main", "the focus goes to the content");
      clean(page);
      await page.context().close();
    }],
    ["edge_pages_of_the_broker", async () => {
      const page = await open(browser, env.BROKER_URL);
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      await page.getByTestId("theme").click();
      check(await page.evaluate(() => document.documentElement.classList.contains("dark")), "it is dark");
      clean(page);
      await page.context().close();
    }],
    ["edge_everything_has_a_name", async () => {
      const page = await asAdmin();
      await page.setViewportSize({ width: 390, height: 800 });
      for (const path of ["", "nodes", "nodes/covey%4010.0.0.1", "clients", "clients/kickme", "subscriptions", "topics", "retained", "listeners", "alarms", "settings/users", "settings/keys", "settings/configuration", "tools/websocket", "tools/http"]) {
        await page.goto(`${url}#/${path}`);
        await page.locator("main > *").first().waitFor();
        // innerText: what a narrow screen hides names nothing.
        const nameless = await page.evaluate(() => [...document.querySelectorAll("button, a, input, select, textarea")]
          .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.innerText.trim() && !e.getAttribute("aria-label") && !e.labels?.length && !e.closest("label"))
          .map((e) => e.outerHTML.slice(0, 160)));
        same(nameless.join("\n"), "", `names on ${path}`);
      }
      clean(page);
      await page.context().close();
    }],
  ];
}
