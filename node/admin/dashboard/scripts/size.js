// SPDX-License-Identifier: Apache-2.0
// Fails when the first page that a visitor sees, the login and then the overview, is more than it may be.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const FIRST_BYTES_MAX = 500 * 1000; // compressed
const dist = process.argv[2] ?? "dist";
const manifest = JSON.parse(readFileSync(join(dist, ".vite", "manifest.json"), "utf8"));

// A chunk with all that it imports at once.
function collect(key, files) {
  const chunk = manifest[key];
  if (!chunk || files.has(chunk.file)) return files;
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const other of chunk.imports ?? []) collect(other, files);
  return files;
}

const compressed = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;
const first = new Set(["index.html"]);
for (const key of ["index.html", "src/pages/Login.vue", "src/components/AppShell.vue", "src/pages/Overview.vue"]) {
  if (!manifest[key]) throw new Error(`${key} is not in the manifest`);
  collect(key, first);
}
first.add(manifest["style.css"].file);
const sum = [...first].reduce((n, file) => n + compressed(file), 0);
const all = existsSync(dist) ? readdirSync(dist, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()) : [];
console.log(`first view: ${(sum / 1000).toFixed(0)} kB compressed in ${first.size} files, at most ${FIRST_BYTES_MAX / 1000} kB; ${all.length} files in all`);
if (sum > FIRST_BYTES_MAX) {
  console.error("too much: move something into a route of its own");
  process.exit(1);
}
