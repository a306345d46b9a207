// SPDX-License-Identifier: Apache-2.0
// The first ten minutes of an operator, in one browser tab; each test goes on where the one before has ended.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { PASSWORD, check, env, isMock, logIn, open, picture, same, settled, until } from "./browser.js";

const USER = env.DASHBOARD_USER ?? "admin";
const FIRST_PASSWORD = env.DASHBOARD_PASSWORD ?? "public";
const mosquitto = ["-h", "127.0.0.1", "-p", env.BROKER_PORT];

function subscriber(...more) {
  const child = spawn("stdbuf", ["-oL", "mosquitto_sub", ...mosquitto, "-t", "test", ...more]);
  child.text = "";
  child.stdout.on("data", (part) => (child.text += part));
  return child;
}

function publish(text, topic = "test") {
  const done = spawnSync("mosquitto_pub", [...mosquitto, "-q", "1", "-t", topic, "-m", text], { encoding: "utf8" });
  same(done.status, 0, `mosquitto_pub ${done.stderr}`);
}

export function flow({ browser, url }) {
  let page;
  const go = async (name) => {
    await page.getByTestId(`nav-${name}`).click();
    await page.locator(`[data-test="nav-${name}"][aria-current="page"]`).waitFor();
  };
  const row = (table, text) => page.getByTestId(table).locator("tbody tr", { hasText: text });
  const clean = () => same(page.problems.join("\n"), "", "the browser complains");

  return [
    ["flow_wrong_password", async () => {
      // A refused login is an answer with status 401, which the browser writes down.
      page = await open(browser, url, {}, ["status of 401"]);
      await logIn(page, USER, "not-the-password");
      await page.getByRole("alert").waitFor();
      check((await page.getByRole("alert").innerText()).includes("wrong"), "it says what is wrong");
      check((await page.getByRole("alert").innerText()).includes("admin_password"), "and where the first password is");
    }],
    ["flow_first_login_asks_for_a_password", async () => {
      await logIn(page, USER, FIRST_PASSWORD);
      await page.getByRole("heading", { name: "Choose a new password" }).waitFor();
      await page.locator("#password-new").fill("short");
      await page.getByText("Too short").waitFor();
      await page.locator("#password-new").fill(PASSWORD);
      await page.locator("#password-again").fill(`${PASSWORD}x`);
      await page.getByText("not the same").waitFor();
      check(await page.getByRole("button", { name: "Set password" }).isDisabled(), "the button waits");
      await page.locator("#password-again").fill(PASSWORD);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
      check(!page.url().includes(PASSWORD), "nothing secret in the address");
      clean();
    }],
    ["flow_chinese_and_back", async () => {
      await page.getByTestId("language").click();
      await page.getByRole("heading", { name: "概览" }).waitFor();
      same(await page.evaluate(() => document.documentElement.lang), "zh-CN");
      await page.getByTestId("language").click();
      await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
    }],
    ["flow_charts_append_points", async () => {
      const chart = page.locator(".chart canvas").first();
      await chart.waitFor();
      await settled(page);
      let before = await chart.evaluate((c) => { window.isSamePage = true; c.dataset.kept = "yes"; return c.toDataURL(); });
      const asked = [];
      const note = (r) => asked.push(new URL(r.url()));
      page.on("request", note);
      for (let i = 0; i < 3; i++) {
        await until(async () => (await chart.evaluate((c) => c.toDataURL())) !== before, "the chart moves");
        before = await chart.evaluate((c) => c.toDataURL());
      }
      page.off("request", note);
      same(await chart.getAttribute("data-kept"), "yes", "it is the same canvas");
      same(await page.evaluate(() => window.isSamePage), true, "it is the same page");
      // Figures, and nothing else: no page, script, style or picture, and not the history again.
      const polled = ["/api/v5/monitor_current", "/api/v5/nodes", "/api/v5/cluster", "/api/v5/alarms"];
      same(asked.filter((u) => !polled.some((p) => u.pathname.endsWith(p))).join("\n"), "", "what a chart's update asks for besides");
      const updates = asked.filter((u) => u.pathname.endsWith("/monitor_current")).length;
      check(updates >= 2 && updates <= 6, `an update is one request: ${updates} for three updates`);
      check(/\d/.test(await page.locator(".tile .value").first().innerText()), "a number with a unit");
    }],
    ["flow_websocket_tool", async () => {
      await go("socket");
      check(/^mqttjs_/.test(await page.locator("#client-id").inputValue()), "a client id of its own");
      same(await page.locator("#path").inputValue(), "/mqtt");
      await page.locator("#port").fill(env.BROKER_WS_PORT);
      await page.getByTestId("connect").click();
      await page.getByTestId("socket-state").getByText("connected", { exact: true }).waitFor();
      same(await page.locator("#subscribe-topic").inputValue(), "test");
      await page.getByTestId("subscribe").click();
      await page.getByTestId("subscribed").waitFor();

      publish("hello");
      await row("received", "hello").waitFor();
      const desktop = subscriber("-d");
      try {
        await until(() => desktop.text.includes("SUBACK"), "mosquitto_sub subscribes");
        await page.locator("#publish-payload").fill("hi");
        await page.getByTestId("publish").click();
        await row("sent", "hi").waitFor();
        await row("received", "hi").waitFor();
        await until(() => /^hi$/m.test(desktop.text), "mosquitto_sub gets what the page published");
        publish("to both");
        await row("received", "to both").waitFor();
        await until(() => /^to both$/m.test(desktop.text), "mosquitto_sub gets it too");
      } finally {
        desktop.kill();
      }
      same(await row("sent", "hi").count(), 1, "sent once");
      await picture(page, "flow-websocket");
      clean();
    }],
    ["flow_websocket_mqtt_311", async () => {
      await page.getByTestId("connect").click();
      await page.getByTestId("socket-state").getByText("not connected").waitFor();
      await page.locator(".connect .el-select").first().click();
      await page.getByRole("option", { name: "MQTT 3.1.1" }).click();
      await page.getByTestId("connect").click();
      await page.getByTestId("socket-state").getByText("connected", { exact: true }).waitFor();
      await page.getByTestId("subscribe").click();
      await page.getByTestId("subscribed").waitFor();
      await page.locator("#publish-payload").fill("in 3.1.1");
      await page.getByTestId("publish").click();
      await row("received", "in 3.1.1").waitFor();
      await page.getByRole("button", { name: "Unsubscribe test" }).click();
      await page.getByTestId("subscribed").waitFor({ state: "detached" });
      clean();
    }],
    ["flow_websocket_refusals", async () => {
      // Each is said with the broker's word for it, and with what it gives as the reason.
      const tell = (text) => page.getByText(text).first().waitFor();
      await page.getByTestId("connect").click();
      await page.getByTestId("socket-state").getByText("not connected").waitFor();
      await page.locator("#mqtt-user").fill("anna");
      await page.locator("#mqtt-password").fill("wrong");
      await page.getByTestId("connect").click();
      await tell("The broker refused the connection: user name or password is wrong (0x86)");
      await page.locator(".connect .el-select").first().click();
      await page.getByRole("option", { name: "MQTT 5.0" }).click();
      await page.getByTestId("connect").click();
      await tell("The broker refused the connection: user name or password is wrong (0x86)");
      await page.locator("#mqtt-password").fill("right");
      await page.getByTestId("connect").click();
      await page.getByTestId("socket-state").getByText("connected", { exact: true }).waitFor();
      await page.locator("#subscribe-topic").fill("private/one");
      await page.getByTestId("subscribe").click();
      await tell("The broker refused the subscription to private/one: not authorized (0x87)");
      same(await page.getByTestId("subscribed").count(), 0, "it is not subscribed");
      await page.locator("#publish-topic").fill("secret/one");
      await page.locator("#publish-payload").fill("not for you");
      await page.locator(".tool > .card").nth(2).locator(".el-select").first().click();
      await page.getByRole("option", { name: "1", exact: true }).last().click();
      await page.getByTestId("publish").click();
      await row("sent", "not for you").getByText("Refused: not authorized (0x87): Denied by line 1 of the ACL.").waitFor();
      await picture(page, "flow-refusals");
      clean();
    }],
    ["flow_websocket_stays_while_one_looks_elsewhere", async () => {
      const id = await page.locator("#client-id").inputValue();
      await page.locator("#subscribe-topic").fill("test");
      await page.getByTestId("subscribe").click();
      await page.getByTestId("subscribed").waitFor();
      await go("clients");
      if (!isMock) await page.locator(`tr[data-row="${id}"]`).waitFor();
      publish("meanwhile");
      await go("socket");
      await row("received", "meanwhile").waitFor();
      same(await page.locator("#client-id").inputValue(), id, "it is the same client");
      await page.getByTestId("socket-state").getByText("connected", { exact: true }).waitFor();
      clean();
    }],
    ["flow_clients_and_kick", async () => {
      const victim = isMock ? null : subscriber("-i", "kickme");
      try {
        await go("clients");
        await page.getByTestId("search").locator("input").or(page.locator("input[data-test='search']")).first().fill("kickme");
        const line = page.locator("tr[data-row='kickme']");
        await until(async () => {
          await page.keyboard.press("Enter");
          return line.isVisible();
        }, "the client is listed");
        await line.getByRole("link", { name: "kickme" }).click();
        await page.getByRole("heading", { name: "kickme" }).waitFor();
        await page.getByText("In flight").waitFor();
        await page.getByTestId("kick").click();
        const dialog = page.getByRole("dialog");
        await dialog.waitFor();
        await dialog.getByRole("button", { name: "Cancel" }).click();
        await dialog.waitFor({ state: "hidden" });
        await page.getByTestId("kick").click();
        await page.getByRole("dialog").getByRole("button", { name: "Kick" }).click();
        await page.getByText("kickme is gone.").waitFor();
      } finally {
        victim?.kill();
      }
      clean();
    }],
    ["flow_topics_beyond_mqtt", async () => {
      if (isMock) return; // its own data are looked at in edges.js
      const member = subscriber("-i", "member", "-t", "$share/g/jobs/#");
      try {
        publish("for later", "$delayed/600/later/one");
        await go("delayed");
        const late = page.locator("tbody tr", { hasText: "later/one" });
        await late.getByTestId("view").click();
        await page.getByText("for later").waitFor();
        await page.keyboard.press("Escape");
        await late.getByTestId("delete").click();
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
        await page.getByText("No delayed messages.").waitFor();
        await go("groups");
        await page.locator("tr[data-row='$share/g/jobs/#']").getByTestId("members").click();
        await page.getByRole("dialog").getByRole("link", { name: "member" }).waitFor();
        await page.keyboard.press("Escape");
        await go("topicMetrics");
        await page.getByPlaceholder("Topic").fill("jobs/1");
        await page.getByTestId("metric-add").click();
        const jobs = page.locator("tr[data-row='jobs/1']");
        await jobs.waitFor();
        publish("work", "jobs/1");
        await until(async () => (await jobs.locator("td").nth(3).innerText()) === "1", "it is counted");
        await go("slow");
        await page.getByText("slow_subs.enable").waitFor();
      } finally {
        member.kill();
      }
      clean();
    }],
    ["flow_why", async () => {
      if (isMock) return; // its own data are looked at in edges.js
      const one = subscriber("-i", "asker", "-d");
      try {
        await until(() => one.text.includes("SUBACK"), "mosquitto_sub subscribes");
        await go("why");
        const field = (name) => page.getByTestId(name).locator("input").or(page.locator(`input[data-test='${name}']`)).first();
        await field("why-client").fill("asker");
        await field("why-topic").fill("Test");
        await page.getByTestId("why-ask").click();
        await page.getByText("asker has no subscription that matches Test.").waitFor();
        await page.getByText("upper and lower case count").waitFor();
        await field("why-topic").fill("test");
        await page.getByTestId("why-ask").click();
        await page.getByText("would be sent to asker now").waitFor();
        publish("for the journal");
        await until(async () => {
          await page.getByTestId("why-ask").click();
          return page.getByText("Messages to test are sent to asker").isVisible();
        }, "the message is in the journal");
        await page.getByRole("cell", { name: "Sent", exact: true }).first().waitFor();
        await picture(page, "flow-why");
      } finally {
        one.kill();
      }
      clean();
    }],
    ["flow_ban", async () => {
      if (isMock) return;
      const victim = subscriber("-i", "banme");
      try {
        await go("banned");
        await page.getByText("Nobody is banned.").waitFor();
        await page.getByTestId("ban-add").click();
        await page.locator("#ban-who").fill("banme");
        await page.keyboard.press("Enter");
        const line = page.locator("tr[data-row='clientid banme']");
        await line.waitFor();
        const again = spawnSync("mosquitto_pub", [...mosquitto, "-i", "banme", "-t", "test", "-m", "x"]);
        check(again.status !== 0, "who is banned does not come in");
        await line.getByTestId("lift").click();
        await page.getByRole("dialog").getByRole("button", { name: "Lift" }).click();
        await line.waitFor({ state: "detached" });
      } finally {
        victim.kill();
      }
      clean();
    }],
    ["flow_every_page_is_answered", async () => {
      // The broker's API and the pages mean the same: no page asks for what it refuses.
      const refused = [];
      const note = (r) => r.status() >= 400 && refused.push(`${r.status()} ${r.url()}`);
      page.on("response", note);
      for (const link of await page.locator("[data-test^='nav-']").all()) {
        await link.click();
        await page.locator(`[data-test="${await link.getAttribute("data-test")}"][aria-current="page"]`).waitFor();
        await settled(page);
        await page.waitForLoadState("networkidle");
      }
      page.off("response", note);
      same(refused.join("\n"), "", "what pages asked for and did not get");
      clean();
    }],
    ["flow_trace", async () => {
      if (isMock) return; // edge_trace_made_followed_and_saved
      const traced = subscriber("-i", "traceme", "-q", "1", "-d");
      try {
        await until(() => traced.text.includes("SUBACK"), "mosquitto_sub subscribes");
        await go("traces");
        await page.getByTestId("trace-add").click();
        await page.locator("#trace-name").fill("mine");
        await page.locator("#trace-value").fill("traceme");
        await page.getByTestId("trace-save").click();
        await page.getByRole("heading", { name: "mine" }).waitFor();
        await page.getByText("running", { exact: true }).waitFor();
        const log = page.getByTestId("log");
        for (const text of ["one", "two"]) {
          publish(text);
          await until(() => traced.text.includes(text), "the message is there");
        }
        let shown = "";
        const count = () => shown.split("\n").filter((line) => /^\S+ traceme@\S+ sent PUBLISH topic="test"/.test(line)).length;
        await until(async () => {
          shown = await log.innerText();
          return count() >= 2;
        }, { toString: () => `both messages are in the log: ${shown}` });
        check(/PUBACK/.test(shown), `and what the client said: ${shown}`);
        check(!/\bone\b|\btwo\b/.test(shown), "payloads were not asked for");
        await page.getByTestId("stop").click();
        await page.getByText("stopped", { exact: true }).waitFor();
        const [saved] = await Promise.all([page.waitForEvent("download"), page.getByTestId("download").click()]);
        same(saved.suggestedFilename(), "mine.log");
        const file = readFileSync(await saved.path(), "utf8");
        check(shown.trim().split("\n").every((line) => file.includes(line)), "the file has every line that was shown");
        publish("three");
        await until(() => traced.text.includes("three"), "the message is there");
        await page.getByTestId("delete").click();
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
        await page.locator("tr[data-row='mine']").waitFor({ state: "detached" });
        check(!file.includes("three"), "a trace that was stopped writes nothing");
      } finally {
        traced.kill();
      }
      clean();
    }],
    ["flow_over_tls", async () => {
      if (isMock) return; // it speaks no TLS
      const other = await open(browser, env.BROKER_TLS_URL, { ignoreHTTPSErrors: true });
      await logIn(other, USER, PASSWORD);
      await other.locator(".chart canvas").first().waitFor();
      await other.goto(`${env.BROKER_TLS_URL}#/tools/websocket`);
      await other.locator("#port").waitFor();
      same(await other.locator("#port").inputValue(), "8084", "over TLS too");
      same(other.problems.join("\n"), "", "the browser complains");
      await other.context().close();
    }],
    ["flow_log_out", async () => {
      await page.getByTestId("user").click();
      await page.getByTestId("logout").click();
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      same(await page.evaluate(() => sessionStorage.getItem("covey.session")), null, "nothing is kept");
      if (!isMock) {
        // The WebSocket tool of who has left is gone too, with its password and its messages.
        await logIn(page, USER, PASSWORD);
        await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
        await go("socket");
        await page.getByTestId("socket-state").getByText("not connected").waitFor();
        same(await page.locator("#mqtt-password").inputValue(), "", "no password is kept");
        await page.getByText("Messages that arrive appear here").waitFor();
        await page.getByTestId("user").click();
        await page.getByTestId("logout").click();
        await page.getByRole("heading", { name: "Log in" }).waitFor();
      }
      await page.goto(`${url}#/clients`);
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      await page.context().close();
    }],
  ];
}
