// SPDX-License-Identifier: Apache-2.0
// Serves the built dashboard and answers its calls from memory, for tests: node test/mock.js [PORT] [WS-PORT].
// It keeps to the paths, the shapes and the refusals of the broker's API.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { routes, world } from "./mock_api.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "..", "dist");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8" };
// The policy that the broker sends: what breaks it must break here too.
const POLICY = /"(default-src [^"]*)"((?:\s*"[^"]*")*)/.exec(readFileSync(join(HERE, "..", "..", "http_static.c"), "utf8"))
  .slice(1, 3).join("").replace(/"\s*"/g, "").replace(/\s*"/g, "").trim();

function file(path, response) {
  const name = normalize(path === "/" ? "/index.html" : path);
  try {
    const body = readFileSync(join(DIST, name));
    response.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream", "Content-Security-Policy": POLICY });
    response.end(body);
  } catch {
    response.writeHead(404).end("There is nothing at this path.\n");
  }
}

// type: of what is no JSON.
function json(response, status, value, type) {
  if (type) response.writeHead(status, { "Content-Type": type }).end(value);
  else if (value === undefined) response.writeHead(status).end();
  else response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

function call(state, request, path, url, body) {
  const token = (request.headers.authorization ?? "").replace("Bearer ", "");
  const user = state.tokens.get(token);
  for (const [method, pattern, run, isOpen] of routes) {
    const found = method === request.method && pattern.exec(path);
    if (!found) continue;
    if (!isOpen && !user) return [401, { code: "BAD_TOKEN", message: "The token is missing, wrong or has expired." }];
    const isOwn = path.endsWith("/change_pwd") || path === "/logout";
    if (user?.mustChange && !isOwn && !isOpen) return [403, { code: "PASSWORD_MUST_CHANGE", message: "Choose a new password first." }];
    if (user?.role === "viewer" && method !== "GET" && !isOwn && !isOpen) return [403, { code: "FORBIDDEN", message: "Viewers change nothing." }];
    return run(state, found.slice(1).map(decodeURIComponent), Object.fromEntries(url.searchParams), body, token);
  }
  return [404, { code: "NOT_FOUND", message: "There is nothing at this path." }];
}

// under: the path that the dashboard is served at, such as "/broker/". Gives { url, state, stop }.
export function serve({ port = 0, wsPort = 8083, under = "/" } = {}) {
  const state = world(wsPort);
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://mock");
    if (!url.pathname.startsWith(under)) return file("/nothing", response);
    const path = `/${url.pathname.slice(under.length)}`;
    if (!path.startsWith("/api/v5/")) return file(path, response);
    let text = "";
    request.on("data", (part) => (text += part));
    request.on("end", () => {
      if (state.fails) return json(response, state.fails, { code: "INTERNAL_ERROR", message: "the disk is full" });
      if (state.retryS) response.setHeader("Retry-After", state.retryS);
      json(response, ...call(state, request, path.slice("/api/v5".length), url, text ? JSON.parse(text) : undefined));
    });
  });
  return new Promise((done) => server.listen(port, "127.0.0.1", () => done({
    url: `http://127.0.0.1:${server.address().port}${under}`,
    state,
    stop: () => new Promise((end) => {
      server.close(end);
      server.closeAllConnections();
    }),
  })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve({ port: Number(process.argv[2] ?? 18083), wsPort: Number(process.argv[3] ?? 8083) });
  console.log(url);
}
