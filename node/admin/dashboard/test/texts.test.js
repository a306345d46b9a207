// SPDX-License-Identifier: Apache-2.0
// Every text is there in both languages, with the same holes, and nothing is asked for that is not there.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const src = join(dirname(fileURLToPath(import.meta.url)), "..", "src");
const flat = (o, at = "") => Object.entries(o).flatMap(([k, v]) => (typeof v === "object" ? flat(v, `${at}${k}.`) : [[at + k, v]]));
const read = (language) => new Map(flat(JSON.parse(readFileSync(join(src, "i18n", `${language}.json`), "utf8"))));
const en = read("en");
const zh = read("zh");
const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join();

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? sources(join(folder, e.name)) : /\.(vue|ts)$/.test(e.name) ? [readFileSync(join(folder, e.name), "utf8")] : []);
}
const code = sources(src).join("\n");

test("both languages have the same keys", () => {
  assert.deepEqual([...en.keys()].filter((k) => !zh.has(k)), [], "missing in zh");
  assert.deepEqual([...zh.keys()].filter((k) => !en.has(k)), [], "missing in en");
});

test("both languages fill the same holes", () => {
  assert.deepEqual([...en].filter(([k, v]) => holes(v) !== holes(zh.get(k) ?? "")).map(([k]) => k), []);
});

test("Chinese texts are Chinese", () => {
  const names = /^(WebSocket(\(TLS\))?|MQTT(\(TLS\))?|HTTP API|JSON)$/; // the same in every language
  assert.deepEqual([...zh].filter(([, v]) => !/[\u4e00-\u9fff]/.test(v) && !names.test(v)).map(([k]) => k), []);
});

test("texts that are asked for are there", () => {
  const asked = [...code.matchAll(/\bt\(\s*"([\w.]+)"/g), ...code.matchAll(/\bt\([^()"]*\? "([\w.]+)" : "([\w.]+)"/g)].flatMap((m) => m.slice(1));
  assert.ok(asked.length > 150);
  assert.deepEqual([...new Set(asked)].filter((k) => k && !en.has(k)), []);
});

test("texts that are there are asked for", () => {
  // A key stands in the code as it is, or its group does before a part that the code computes: `peer.${state}`.
  const computed = new Set([...code.matchAll(/`([\w.]+\.)\w*\$\{/g)].map((m) => m[1]));
  const isUsed = (key) => code.includes(`"${key}"`) || code.includes(`'${key}'`) || [...computed].some((c) => key.startsWith(c));
  assert.deepEqual([...en.keys()].filter((k) => !isUsed(k)), []);
});
