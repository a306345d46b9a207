// SPDX-License-Identifier: Apache-2.0
// node scripts/embed.js DIST OUT.c: the built files, compressed, as the table of node/admin/static_file.h.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};
const [dist, out] = process.argv.slice(2);

function files(folder) {
  return readdirSync(join(dist, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name.startsWith(".") ? [] : files(path);
    if (!TYPES[extname(path)]) throw new Error(`${path}: of what type is it?`);
    return [path];
  });
}

const data = [];
const rows = files("").sort().map((path, i) => {
  const gz = gzipSync(readFileSync(join(dist, path)), { level: 9 });
  const lines = [];
  for (let at = 0; at < gz.length; at += 32) lines.push(`${[...gz.subarray(at, at + 32)].join(",")},`);
  data.push(`static const uint8_t file_${i}[] = {\n${lines.join("\n")}\n};\n`);
  const etag = createHash("sha256").update(gz).digest("hex").slice(0, 20);
  return `    {"${path}", "${TYPES[extname(path)]}", "\\"${etag}\\"", file_${i}, sizeof file_${i}, ${path.startsWith("/assets/")}},\n`;
});
writeFileSync(out, `/* Written by scripts/embed.js. */\n#include "node/admin/static_file.h"\n\n${data.join("")}\nconst struct static_file static_files[] = {\n${rows.join("")}    {0},\n};\n`);
