// SPDX-License-Identifier: Apache-2.0
// What is not the usual day: a viewer, an API that refuses, fails or is away, another path, no mouse.
import { readFileSync } from "node:fs";
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
      const acting = /^(Kick|Discard|Delete|Stop|Start|Restart|Change|Clear past alarms|Add .*|Create .*|Remove|Ban|Lift|Reset|Begin anew|New trace)$/;
      for (const path of ["clients", "clients/kickme", "retained", "delayed", "topic-metrics", "slow", "traces", "traces/late-orders", "banned", "listeners", "alarms", "settings/users", "settings/keys"]) {
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
    ["edge_ban_added_and_lifted", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/banned`);
      await page.locator("tr[data-row='clientid noisy-7']").waitFor();
      await page.getByTestId("ban-add").click();
      await page.locator("#ban-who").fill("bad/one");
      await page.locator("#ban-reason").fill("a try");
      const from = Date.now();
      await page.getByTestId("ban-save").click();
      const row = page.locator("tr[data-row='clientid bad/one']");
      await row.waitFor();
      const { until: end, reason } = state.bans.find((b) => b.who === "bad/one");
      check(Math.abs(new Date(end).getTime() - from - 3600000) < 60000, `an hour: ${end}`);
      same(reason, "a try");
      await row.getByTestId("lift").click();
      await page.getByRole("dialog").getByRole("button", { name: "Lift" }).click();
      await row.waitFor({ state: "detached" });
      check(!state.bans.some((b) => b.who === "bad/one"), "it is gone");
      clean(page);
      await page.context().close();
    }],
    ["edge_ban_of_a_client_until_a_time", async () => {
      const page = await asAdmin(url, ["status of 404"]);
      await page.goto(`${url}#/clients/sensor-0100`);
      await page.getByTestId("ban").click();
      same(await page.locator("#ban-who").inputValue(), "sensor-0100");
      await page.getByRole("dialog").locator(".el-select").nth(1).click();
      await page.getByRole("option", { name: "until a time" }).click();
      check(await page.getByTestId("ban-save").isDisabled(), "it waits for the time");
      await page.locator("#ban-until").fill("2001-01-01T00:00");
      check(await page.getByTestId("ban-save").isDisabled(), "a time in the past is none");
      await page.locator("#ban-until").fill("2999-01-01T08:00");
      await page.getByTestId("ban-save").click();
      await page.getByText("There is no such client any more").waitFor();
      same(state.bans.find((b) => b.who === "sensor-0100").until, "2999-01-01T00:00:00.000Z");
      clean(page);
      await page.context().close();
    }],
    ["edge_group_members_shown", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/groups`);
      const row = page.locator("tr[data-row='$share/workers/orders/#']");
      await row.getByText("in turn").waitFor();
      await row.getByTestId("members").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("link", { name: "sensor-0005" }).click();
      await page.getByRole("heading", { name: "sensor-0005" }).waitFor();
      clean(page);
      await page.context().close();
    }],
    ["edge_delayed_viewed_and_deleted", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/delayed`);
      const { node, msgid } = state.delayed[1];
      const row = page.locator(`tr[data-row='${node} ${msgid}']`);
      await row.getByTestId("view").click();
      await page.getByText('"unit": 1').waitFor();
      await page.keyboard.press("Escape");
      await row.getByTestId("delete").click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await row.waitFor({ state: "detached" });
      check(!state.delayed.some((m) => m.msgid === msgid), "it is gone");
      clean(page);
      await page.context().close();
    }],
    ["edge_topic_metric_added_and_removed", async () => {
      const page = await asAdmin(url, ["status of 400"]);
      await page.goto(`${url}#/topic-metrics`);
      const input = page.getByPlaceholder("Topic");
      await input.fill("a/+");
      await page.getByTestId("metric-add").click();
      await page.getByText("topic: has a wildcard").waitFor();
      await input.fill("a/b");
      await page.keyboard.press("Enter");
      const row = page.locator("tr[data-row='a/b']");
      await row.waitFor();
      await until(async () => /^(1[0-9]|\d\.\d)/.test(await row.locator("td").nth(1).innerText()), "there is a rate");
      await row.getByTestId("reset").click();
      await page.getByText("a/b is counted from zero.").waitFor();
      await row.getByTestId("delete").click();
      await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
      await row.waitFor({ state: "detached" });
      clean(page);
      await page.context().close();
    }],
    ["edge_slow_list_begun_anew", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/slow`);
      await page.getByText("took 500 ms or longer").waitFor();
      await page.getByRole("cell", { name: "1,840 ms" }).waitFor();
      await page.getByTestId("slow-clear").click();
      await page.getByRole("dialog").getByRole("button", { name: "Begin anew" }).click();
      await page.getByText("Nobody is slow.").waitFor();
      clean(page);
      await page.context().close();
    }],
    ["edge_why_in_both_languages", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/clients/kickme`);
      await page.getByTestId("why").click();
      const says = (text) => page.getByTestId("why-sentence").getByText(text).waitFor();
      await says("On ");
      await page.getByTestId("why-topic").locator("input").or(page.locator("input[data-test='why-topic']")).first().fill("plant/1");
      await page.getByTestId("why-ask").click();
      await says("from sensor-0003 did not get through: Denied by line 3 of the ACL. kickme would get one now.");
      await page.getByText("The node covey@10.0.0.3 has not answered").waitFor();
      await page.getByText("Plant/#, which does not match: upper and lower case count").waitFor();
      await page.getByText("A finding of a newer node.").waitFor();
      await page.getByRole("cell", { name: "Publish denied" }).waitFor();
      await page.getByRole("cell", { name: "Forwarded to covey@10.0.0.2" }).waitFor();
      check(page.url().includes("topic=plant/1") || page.url().includes("topic=plant%2F1"), "the question can be passed on");
      await page.getByTestId("language").click();
      await says("现在 kickme 可以收到消息");
      await page.getByRole("cell", { name: "发布无权限" }).waitFor();
      await page.getByTestId("language").click();
      await page.goto(`${url}#/why?clientid=nobody`);
      await says("neither a connection nor a session of nobody");
      await page.getByText("The journal has nothing about it.").waitFor();
      clean(page);
      await page.context().close();
    }],
    ["edge_trace_made_followed_and_saved", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/traces`);
      await page.getByTestId("trace-add").click();
      await page.locator("#trace-name").fill("not a name");
      await page.getByText("Letters, digits").waitFor();
      await page.locator("#trace-name").fill("mine");
      await page.locator("#trace-value").fill("sensor-0009");
      await page.getByTestId("trace-save").click();
      await page.getByRole("heading", { name: "mine" }).waitFor();
      await page.getByTestId("log").getByText("line 39 of mine").waitFor();
      const one = state.traces.find((x) => x.name === "mine");
      same(one.clientid, "sensor-0009");
      one.text += "it has come later\n";
      await page.getByTestId("log").getByText("it has come later").waitFor();
      check(!/line 0 of mine[^]*line 0 of mine/.test(await page.getByTestId("log").innerText()), "nothing comes twice");
      const [saved] = await Promise.all([page.waitForEvent("download"), page.getByTestId("download").click()]);
      same(saved.suggestedFilename(), "mine.log");
      same(readFileSync(await saved.path(), "utf8"), one.text, "the whole log");
      await page.getByTestId("stop").click();
      await page.getByText("stopped", { exact: true }).waitFor();
      await page.getByTestId("delete").click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await page.getByRole("heading", { name: "Traces" }).waitFor();
      await page.locator("tr[data-row='mine']").waitFor({ state: "detached" });
      clean(page);
      await page.context().close();
    }],
    ["edge_configuration_says_from_where", async () => {
      const page = await asAdmin();
      await page.goto(`${url}#/settings/configuration`);
      await page.locator("tr[data-row='node.name']").getByText("/etc/covey/covey.yaml:3").waitFor();
      same(await page.locator("tbody tr").count(), 5);
      await page.getByText("Only what is set").click();
      await until(async () => (await page.locator("tbody tr").count()) === 2, "defaults are hidden");
      await page.getByPlaceholder("Key or value contains").fill("COVEY_MQTT");
      await until(async () => (await page.locator("tbody tr").count()) === 1, "the place is searched too");
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
    ["edge_login_too_often_says_how_long", async () => {
      const page = await open(browser, url, {}, ["status of 429"]);
      state.retryS = 9;
      await logIn(page, "admin", PASSWORD);
      await page.getByText("Too many wrong passwords from this address. Try again in 9 s.").waitFor();
      state.retryS = 0;
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
      clean(page);
      await page.context().close();
    }],
    ["edge_dead_node_and_why", async () => {
      state.isNodeDead = true;
      const page = await asAdmin(url, ["status of 503"]);
      const troubles = page.getByTestId("troubles");
      await troubles.getByText("covey@10.0.0.1 says of covey@10.0.0.3: dead, since ").waitFor();
      await troubles.getByText("Why: suspicion timed out, the connection was lost.").first().waitFor();
      await troubles.getByText("Is that node running").waitFor();
      await page.goto(`${url}#/nodes/covey%4010.0.0.3`);
      await page.getByText("covey@10.0.0.3 does not answer. Is it running?").waitFor();
      same(await page.locator("main .card:visible").count(), 0, "there is nothing to show of it");
      await page.getByRole("link", { name: "What the other nodes say of it" }).click();
      await troubles.waitFor();
      await page.getByTestId("language").click();
      await troubles.getByText("covey@10.0.0.1 认为 covey@10.0.0.3：离线").waitFor();
      state.isNodeDead = false;
      await troubles.getByText("认为 covey@10.0.0.3：离线").first().waitFor({ state: "detached" });
      clean(page);
      await page.context().close();
    }],
    ["edge_laptop_shows_the_whole_navigation", async () => {
      const page = await asAdmin();
      await page.setViewportSize({ width: 1280, height: 720 });
      const hidden = await page.locator(".side").evaluate((side) => side.scrollHeight - side.clientHeight);
      same(hidden, 0, "what one has to scroll for");
      await page.goto(`${url}#/tools/websocket`);
      const top = (id) => page.locator(id).evaluate((e) => e.getBoundingClientRect().top);
      same(await top("#path"), await top("#host"), "host, port and path stand in one line");
      clean(page);
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
      for (const path of ["", "nodes", "nodes/covey%4010.0.0.1", "clients", "clients/kickme", "subscriptions", "topics", "retained", "groups", "delayed", "topic-metrics", "slow", "why?topic=plant/1", "traces", "traces/old", "banned", "listeners", "alarms", "settings/users", "settings/keys", "settings/configuration", "tools/websocket", "tools/http"]) {
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
