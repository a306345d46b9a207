// SPDX-License-Identifier: Apache-2.0
// A plugin for Vite: writes licenses.txt, the licences of all packages of which code is in the bundle.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

function packageOf(id) {
  const found = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replace(/^\0/, "").replace(/\?.*$/, ""));
  return found && existsSync(join(found[1], "package.json")) ? found[1] : null;
}

function entry(folder) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
  const who = typeof author === "object" ? author?.name : author;
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : `${who ?? name}`;
  return `${name} ${version}, ${license}\n\n${text}\n`;
}

export function licenses() {
  return {
    name: "licenses",
    generateBundle() {
      const folders = new Set([...this.getModuleIds()].map(packageOf).filter(Boolean));
      const texts = [...folders].map(entry).sort();
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: texts.join(`\n${"-".repeat(78)}\n\n`) });
    },
  };
}
