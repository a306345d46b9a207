// SPDX-License-Identifier: Apache-2.0
// What the mock server knows, and its calls: [method, path, what answers (state, parts, query, body, token), open to all].
import { randomBytes } from "node:crypto";

const ago = (s) => new Date(Date.now() - s * 1000).toISOString();
const NODES = ["covey@10.0.0.1", "covey@10.0.0.2", "covey@10.0.0.3"];
const found = (value) => (value ? [200, value] : [404, { code: "NOT_FOUND", message: "Not found." }]);

export function world(wsPort) {
  const clients = Array.from({ length: 137 }, (_, i) => client(i));
  const subscriptions = clients.flatMap((c, i) => [
    { node: c.node, topic: `plant/${i % 12}/+/temperature`, clientid: c.clientid, qos: i % 3, nl: 0, rap: 0, rh: 0, durable: !c.clean_start },
    ...(i % 5 ? [] : [{ node: c.node, topic: `$share/workers/orders/#`, clientid: c.clientid, qos: 1, nl: 0, rap: 1, rh: 2, durable: false }]),
  ]);
  return {
    started: Date.now(),
    fails: 0, // a status that every call is answered with
    tokens: new Map(),
    users: new Map([
      ["admin", { username: "admin", password: "public", role: "administrator", description: "", mustChange: true }],
      ["watch", { username: "watch", password: "look-only-1", role: "viewer", description: "the screen on the wall" }],
    ]),
    keys: [{ name: "ingest", api_key: "5f1d7a9c20", created_at: ago(86400 * 9), expired_at: "infinity", enable: true, expired: false, desc: "line 4" }],
    clients: new Map(clients.map((c) => [c.clientid, c])),
    subscriptions,
    retained: new Map(Array.from({ length: 23 }, (_, i) => retained(i)).map((m) => [m.topic, m])),
    listeners: [["tcp", 1883, true], ["ssl", 8883, true], ["ws", wsPort, true], ["wss", 8084, false]].map(([type, port, running]) => ({
      id: `${type}:default`, type, name: "default", bind: `0.0.0.0:${port}`, enable: running,
      status: { running, max_connections: "infinity", current_connections: running ? 40 : 0 },
      node_status: NODES.map((node) => ({ node, status: { running, max_connections: "infinity", current_connections: 13 } })),
    })),
    bans: [
      { as: "clientid", who: "noisy-7", by: "admin", reason: "floods the line", at: ago(4000), until: ago(-3600) },
      { as: "peerhost_net", who: "203.0.113.0/24", by: "admin", reason: "", at: ago(90000), until: "infinity" },
    ],
    slow: [1840, 921, 655, 530].map((timespan, i) => ({ clientid: `sensor-000${i + 3}`, node: NODES[i % 3], topic: `plant/${i}/unit-1/temperature`, timespan, last_update_time: ago(i * 40 + 3) })),
    delayed: Array.from({ length: 7 }, (_, i) => ({
      msgid: `0000018f${String(i).padStart(24, "0")}`, node: NODES[i % 3], topic: `plant/${i}/reminder`, qos: i % 3, retain: i === 2, payload_size: 24,
      expected_at: ago(-600 * (i + 1)), delayed_remaining: 600 * (i + 1), payload: Buffer.from('{"wake":true,"unit":' + i + '}').toString("base64"),
    })),
    topicMetrics: new Map([["plant/1/orders", ago(3000)], ["plant/2/orders", ago(1000)]]),
    traces: [trace("late-orders", "clientid", "sensor-0003", 300), { ...trace("old", "topic", "plant/#", 9000), end_at: ago(8000), status: "stopped" }],
    alarms: [
      { node: NODES[2], name: "storage_failing", message: "what clients send cannot be stored: No space left on device", activate_at: ago(340) },
      { node: NODES[0], name: "peer_lost", message: "covey@10.0.0.2 does not answer", activate_at: ago(9000), deactivate_at: ago(8700), duration: 300000 },
    ],
  };
}

function client(i) {
  const connected = i % 9 !== 4;
  return {
    clientid: i === 0 ? "kickme" : `sensor-${String(i).padStart(4, "0")}`, username: i % 3 ? `plant${i % 4}` : null, connected,
    connected_at: ago(60 + i * 71), disconnected_at: connected ? undefined : ago(40 + i), created_at: ago(60 + i * 71), node: NODES[i % 3],
    listener: i % 4 ? "tcp:default" : "ws:default", ip_address: `10.1.${i % 7}.${i + 2}`, port: 40000 + i * 13, proto_name: "MQTT", proto_ver: [5, 4, 5, 3][i % 4],
    keepalive: 60, clean_start: i % 2 === 0, expiry_interval: i % 2 ? 7200 : 0, subscriptions_cnt: 1, subscriptions_max: "infinity", inflight_cnt: i % 6,
    inflight_max: 32, awaiting_rel_cnt: 0, awaiting_rel_max: 100, mqueue_len: connected ? 0 : i * 3, mqueue_max: 1000, mqueue_bytes: connected ? 0 : i * 391, mqueue_dropped: 0,
    recv_oct: i * 91231, recv_pkt: i * 700, send_oct: i * 13377, send_pkt: i * 90,
  };
}

function retained(i) {
  const payloads = [Buffer.from('{"celsius":21.4,"at":"2026-01-31T12:00:00Z","ok":true}'), Buffer.from("online"), Buffer.from([0, 255, 1, 2, 3, 250])];
  return { msgid: String(i), topic: `plant/${i % 12}/unit-${i}/state`, qos: i % 3, publish_at: ago(i * 311), from_clientid: `sensor-${String(i + 1).padStart(4, "0")}`, from_username: "", payload: payloads[i % 3].toString("base64") };
}

function trace(name, type, value, seconds) {
  const lines = Array.from({ length: 40 }, (_, i) =>
    `${ago(seconds - i * 5)} [${["CONNECT", "SUBSCRIBE", "PUBLISH", "DELIVER"][i % 4]}] client_id="${type === "clientid" ? value : "sensor-0005"}" topic="plant/${i % 3}/orders" what="line ${i} of ${name}"`);
  const text = `${lines.join("\n")}\n`;
  return { name, type, [type]: value, status: "running", start_at: ago(seconds), end_at: ago(seconds - 600), log_size: { [NODES[0]]: text.length, [NODES[1]]: 0, [NODES[2]]: 0 }, text };
}

function peers(self, isDead) {
  return NODES.filter((n) => n !== self).map((name, i) => (isDead && name === NODES[2] ? {
    name, address: "10.0.0.3:7946", state: "dead", since: ago(30), link: "down", link_since: ago(35), why: "suspicion timed out",
    link_ended: "the connection was lost", routes: 0, routes_complete: false, ring_bytes: 0, forwarded: 120431, received: 99310,
  } : {
    name, address: "10.0.0.2:7946", state: name === NODES[2] && self === NODES[0] ? "suspect" : "alive", since: ago(4000 + i), link: "up", link_since: ago(3990),
    why: name === NODES[2] && self === NODES[0] ? "no answer to a probe, three nodes were asked" : "", routes: 41, routes_complete: true, ring_bytes: 1300 * i, forwarded: 120431, received: 99310,
  }));
}

// state.isNodeDead: the third one has been killed.
const node = (state, name, i) => (state.isNodeDead && i === 2 ? { node: name, node_status: "stopped", answered: false, reason: "down" } : {
  node: name, node_status: "running", version: "0.1.0", uptime: 400000000 + i * 1000, connections: 46, live_connections: 41, cluster_sessions: 46,
  load1: 0.41 + i, load5: 0.3, load15: 0.22, max_fds: 1048576, memory_total: "3.83G", memory_used: `${96 + i * 7}.00M`, role: "core", log_path: "/var/log/covey/covey.log", peers: peers(name, state.isNodeDead),
});

function rates(state, atMs, share = 1) {
  const s = atMs / 1000;
  return {
    received_msg_rate: Math.round(share * (18000 + 3200 * Math.sin(s / 31) + 900 * Math.sin(s / 5))),
    sent_msg_rate: Math.round(share * (26100 + 5100 * Math.sin(s / 31 + 0.3) + 1300 * Math.sin(s / 7))),
    dropped_msg_rate: Math.max(0, Math.round(3 * Math.sin(s / 43) - 2)), persisted_rate: 400,
    connections: state.clients.size, live_connections: Math.round(share * (120 + 4 * Math.sin(s / 60))), cluster_sessions: state.clients.size,
    subscriptions: state.subscriptions.length, shared_subscriptions: 28, topics: 14, retained_msg_count: state.retained.size,
  };
}

function history(state, seconds, share = 1) {
  const now = Math.floor(Date.now() / 10000) * 10000;
  return Array.from({ length: Math.floor(seconds / 10) }, (_, i) => now - (Math.floor(seconds / 10) - 1 - i) * 10000).map((at) => {
    const r = rates(state, at, share);
    return { time_stamp: at, connections: r.connections, live_connections: r.live_connections, subscriptions: r.subscriptions, topics: r.topics,
      received: r.received_msg_rate * 10, sent: r.sent_msg_rate * 10, dropped: r.dropped_msg_rate * 10 };
  });
}

function page(rows, query) {
  const at = Number(query.page ?? 1), limit = Number(query.limit ?? 100);
  return [200, { data: rows.slice((at - 1) * limit, at * limit), meta: { page: at, limit, count: rows.length, hasnext: at * limit < rows.length } }];
}

function nodeOne(state, [name]) {
  if (state.isNodeDead && name === NODES[2]) return [503, { code: "SERVICE_UNAVAILABLE", message: "No node has answered." }];
  return found(NODES.includes(name) && node(state, name, NODES.indexOf(name)));
}

function login(state, _parts, _query, body) {
  if (state.retryS) return [429, { code: "TOO_MANY_REQUESTS", message: "Too many wrong passwords." }];
  const user = state.users.get(body.username);
  if (!user || user.password !== body.password) return [401, { code: "BAD_USERNAME_OR_PWD", message: "Wrong user name or password." }];
  const token = randomBytes(16).toString("hex");
  state.tokens.set(token, user);
  return [200, { token, version: "0.1.0", license: { edition: "opensource" }, role: user.role, must_change_password: user.mustChange }];
}

function passwordChange(state, [name], _query, body) {
  const user = state.users.get(name);
  if (user?.password !== body.old_pwd) return [400, { code: "BAD_PASSWORD", message: "The old password is wrong." }];
  Object.assign(user, { password: body.new_pwd, mustChange: false });
  for (const [token, who] of state.tokens) if (who === user) state.tokens.delete(token);
  return [204];
}

function clients(state, _parts, q) {
  return page([...state.clients.values()].filter((c) =>
    (!q.like_clientid || c.clientid.includes(q.like_clientid)) && (!q.like_username || (c.username ?? "").includes(q.like_username)) &&
    (!q.ip_address || c.ip_address === q.ip_address) && (!q.conn_state || c.connected === (q.conn_state === "connected")) &&
    (!q.proto_ver || c.proto_ver === Number(q.proto_ver)) && (!q.node || c.node === q.node)), q);
}

function subscribe(state, [id], _query, body) {
  const s = { node: state.clients.get(id)?.node, clientid: id, durable: false, ...body };
  state.subscriptions.push(s);
  return [200, s];
}

function unsubscribe(state, [id], _query, body) {
  state.subscriptions = state.subscriptions.filter((s) => s.clientid !== id || s.topic !== body.topic);
  return [204];
}

const subscriptions = (state, _parts, q) => page(state.subscriptions.filter((s) =>
  (!q.clientid || s.clientid === q.clientid) && (!q.topic || s.topic === q.topic) && (!q.qos || s.qos === Number(q.qos))), q);

function topics(state, _parts, q) {
  const rows = new Map(state.subscriptions.map((s) => [`${s.topic} ${s.node}`, { topic: s.topic, node: s.node }]));
  return page([...rows.values()].filter((r) => !q.topic || r.topic === q.topic), q);
}

function listenerAct(state, [id, verb]) {
  const l = state.listeners.find((one) => one.id === id);
  if (!l) return found(l);
  for (const s of [l.status, ...l.node_status.map((n) => n.status)]) s.running = verb !== "stop";
  return [200, l];
}

function banAdd(state, _parts, _query, body) {
  state.bans = state.bans.filter((b) => b.as !== body.as || b.who !== body.who);
  state.bans.push({ by: "admin", at: ago(0), until: "infinity", ...body });
  if (body.as === "clientid") state.clients.delete(body.who);
  return [200, state.bans.at(-1)];
}

const bans = (state, _parts, q) => page(state.bans.filter((b) => (!q.as || b.as === q.as) && (!q.like_who || b.who.includes(q.like_who))), q);

function banDelete(state, [as, who]) {
  const before = state.bans.length;
  state.bans = state.bans.filter((b) => b.as !== as || b.who !== who);
  return removed(state.bans.length < before);
}

function groups(state, _parts, q) {
  const all = new Map();
  for (const s of state.subscriptions.filter((one) => one.topic.startsWith("$share/"))) {
    const [, group, ...filter] = s.topic.split("/");
    const row = all.get(s.topic) ?? { topic: s.topic, group, filter: filter.join("/"), strategy: "round_robin", members: 0, connected: 0, nodes: [] };
    let at = row.nodes.find((n) => n.node === s.node);
    if (!at) row.nodes.push((at = { node: s.node, members: 0, connected: 0 }));
    for (const one of [row, at]) {
      one.members++;
      one.connected += Number(state.clients.get(s.clientid)?.connected ?? false);
    }
    all.set(s.topic, row);
  }
  return page([...all.values()].filter((g) => (!q.group || g.group === q.group) && (!q.like_topic || g.filter.includes(q.like_topic))), q);
}

function topicMetric(state, topic) {
  const seconds = (Date.now() - new Date(state.topicMetrics.get(topic)).getTime()) / 1000;
  const [received, sent] = [Math.floor(seconds * 12), Math.floor(seconds * 31)];
  return { topic, create_time: state.topicMetrics.get(topic), metrics: {
    "messages.in.count": received, "messages.out.count": sent, "messages.dropped.count": 3, "messages.qos0.in.count": received, "messages.qos0.out.count": sent,
    "messages.qos1.in.count": 0, "messages.qos1.out.count": 0, "messages.qos2.in.count": 0, "messages.qos2.out.count": 0 } };
}

const topicMissing = [404, { code: "TOPIC_NOT_FOUND", message: "Nobody looks at this topic." }];

function topicMetricAdd(state, _parts, _query, body) {
  if (/[+#]/.test(body.topic)) return [400, { code: "BAD_REQUEST", message: "topic: has a wildcard" }];
  if (state.topicMetrics.has(body.topic)) return [400, { code: "ALREADY_EXISTS", message: "topic: is looked at already" }];
  state.topicMetrics.set(body.topic, ago(0));
  return [200, topicMetric(state, body.topic)];
}

function topicMetricReset(state, _parts, _query, body) {
  if (!state.topicMetrics.has(body.topic)) return topicMissing;
  state.topicMetrics.set(body.topic, ago(0));
  return [204];
}

function why(state, _parts, q) {
  const client = state.clients.get(q.clientid), at = ago(40);
  const event = (name, seconds, more) => ({ at: ago(seconds), first_at: ago(seconds), count: 1, node: NODES[0], event: name, ...more });
  if (!q.clientid && !q.topic) return [400, { code: "BAD_REQUEST", message: "clientid: is missing, and so is topic: name one of them, or both" }];
  const base = { topic: q.topic, clientid: q.clientid, params: { clientid: q.clientid ?? "", topic: q.topic ?? "" }, findings: [], subscriptions: [], events: [],
    watched_since: ago(0), recorded: "", without_journal: [], missing: [] };
  if (q.clientid && !client) {
    return [200, { ...base, verdict: "no", code: "NO_SESSION", sentence: `No: there is neither a connection nor a session of ${q.clientid}, and the journal knows of none.` }];
  }
  return [200, { ...base, verdict: "no", code: "DROPPED", sentence: "No: denied.", client: client && { connected: true, node: client.node },
    params: { ...base.params, at, reason: "Denied by line 3 of the ACL", event: "publish_denied", publisher: "sensor-0003" },
    findings: [
      { level: "problem", code: "NODE_MISSING", params: { node: NODES[2] }, text: "" },
      { level: "note", code: "NEAR", params: { filter: "Plant/#", how: "case" }, text: "" },
      { level: "note", code: "NEW_ONE", params: {}, text: "A finding of a newer node." },
    ],
    subscriptions: [{ node: NODES[0], clientid: q.clientid ?? "kickme", filter: "plant/#", qos: 1, no_local: false }],
    events: [
      event("connected", 90, { clientid: q.clientid, text: "With a new session" }),
      event("published", 60, { clientid: "sensor-0003", topic: q.topic, qos: 1, sessions: 1, nodes: [NODES[1]] }),
      event("publish_denied", 40, { clientid: "sensor-0003", topic: q.topic, count: 4, text: "Denied by line 3 of the ACL" }),
    ], missing: [NODES[2]], complete_since: ago(3600) }];
}

const traceRow = ({ text, ...rest }) => rest;
const traceOf = (state, name) => state.traces.find((one) => one.name === name);

function traceAdd(state, _parts, _query, body) {
  if (traceOf(state, body.name)) return [409, { code: "ALREADY_EXISTS", message: "name: there is a trace of this name" }];
  state.traces.unshift({ ...trace(body.name, body.type, body[body.type], 200), ...body });
  return [200, traceRow(state.traces[0])];
}

function traceStop(state, [name]) {
  const one = traceOf(state, name);
  if (one) one.status = "stopped";
  return one ? [200, { enable: false, name }] : found(null);
}

function traceLog(state, [name], q) {
  const one = traceOf(state, name);
  if (!one) return found(null);
  if (Number(q.bytes ?? 1) > 65536) return [400, { code: "BAD_REQUEST", message: "bytes: must be from 1 to 65536" }];
  const text = q.node && q.node !== NODES[0] ? "" : one.text;
  const from = Number(q.position ?? 0), piece = text.slice(from, from + Number(q.bytes ?? 1000));
  return [200, { items: piece, meta: { position: from + piece.length, bytes: piece.length } }];
}

function userAdd(state, _parts, _query, body) {
  if (state.users.has(body.username)) return [400, { code: "ALREADY_EXISTS", message: "There is a user of this name." }];
  state.users.set(body.username, { ...body });
  return [200, { username: body.username, role: body.role, description: body.description }];
}

function keyAdd(state, _parts, _query, body) {
  const key = { ...body, api_key: randomBytes(5).toString("hex"), created_at: ago(0), expired: false };
  state.keys.push(key);
  return [200, { ...key, api_secret: randomBytes(16).toString("hex") }];
}

const removed = (has) => (has ? [204] : found(null));
const one = "([^/]+)";
const at = (path) => new RegExp(`^${path}$`);

export const routes = [
  ["POST", at("/login"), login, true],
  ["POST", at("/logout"), (s, _p, _q, _b, token) => removed(s.tokens.delete(token))],
  ["GET", at("/nodes"), (s) => [200, NODES.map((n, i) => node(s, n, i))]],
  ["GET", at(`/nodes/${one}`), nodeOne],
  ["GET", at(`/nodes/${one}/stats`), (s) => [200, { "connections.count": s.clients.size, "subscriptions.count": s.subscriptions.length, "retained.count": s.retained.size, "topics.count": 14 }]],
  ["GET", at(`/nodes/${one}/metrics`), () => [200, { "bytes.received": 912381221, "bytes.sent": 1412300101, "messages.received": 91231, "messages.sent": 123112, "messages.dropped": 0, "messages.dropped.queue_full": 0, "packets.connect.received": 1310 }]],
  ["GET", at("/cluster"), () => [200, { name: "plant", self: NODES[0], nodes: NODES }]],
  ["GET", at("/monitor_current"), (s) => [200, rates(s, Date.now())]],
  ["GET", at(`/monitor_current/nodes/${one}`), (s) => [200, rates(s, Date.now(), 1 / 3)]],
  ["GET", at("/monitor"), (s, _p, q) => [200, history(s, Number(q.latest ?? 3600))]],
  ["GET", at(`/monitor/nodes/${one}`), (s, _p, q) => [200, history(s, Number(q.latest ?? 3600), 1 / 3)]],
  ["GET", at("/clients"), clients],
  ["GET", at(`/clients/${one}`), (s, [id]) => (s.clients.has(id) ? [200, s.clients.get(id)] : [404, { code: "CLIENTID_NOT_FOUND", message: "Client ID not found." }])],
  ["DELETE", at(`/clients/${one}`), (s, [id]) => removed(s.clients.delete(id))],
  ["GET", at(`/clients/${one}/subscriptions`), (s, [id]) => [200, s.subscriptions.filter((x) => x.clientid === id)]],
  ["POST", at(`/clients/${one}/subscribe`), subscribe],
  ["POST", at(`/clients/${one}/unsubscribe`), unsubscribe],
  ["GET", at("/subscriptions"), subscriptions],
  ["GET", at("/topics"), topics],
  ["GET", at("/mqtt/retainer/messages"), (s, _p, q) => page([...s.retained.values()].map((m) => ({ ...m, payload: undefined })).filter((m) => !q.topic || m.topic === q.topic), q)],
  ["GET", at(`/mqtt/retainer/message/${one}`), (s, [topic]) => found(s.retained.get(topic))],
  ["DELETE", at(`/mqtt/retainer/message/${one}`), (s, [topic]) => removed(s.retained.delete(topic))],
  ["GET", at("/shared_groups"), groups],
  ["GET", at("/mqtt/delayed/messages"), (s, _p, q) => page(s.delayed.filter((m) => !q.topic || m.topic === q.topic).map((m) => ({ ...m, payload: undefined })), q)],
  ["GET", at(`/mqtt/delayed/messages/${one}/${one}`), (s, [n, id]) => found(s.delayed.find((m) => m.node === n && m.msgid === id))],
  ["DELETE", at(`/mqtt/delayed/messages/${one}/${one}`), (s, [n, id]) => [204, void (s.delayed = s.delayed.filter((m) => m.node !== n || m.msgid !== id))]],
  ["GET", at("/mqtt/topic_metrics"), (s) => [200, [...s.topicMetrics.keys()].map((topic) => topicMetric(s, topic))]],
  ["POST", at("/mqtt/topic_metrics"), topicMetricAdd],
  ["PUT", at("/mqtt/topic_metrics"), topicMetricReset],
  ["DELETE", at(`/mqtt/topic_metrics/${one}`), (s, [topic]) => (s.topicMetrics.delete(topic) ? [204] : topicMissing)],
  ["GET", at("/slow_subscriptions"), (s, _p, q) => page(s.slow, q)],
  ["DELETE", at("/slow_subscriptions"), (s) => [204, void (s.slow = [])]],
  ["GET", at("/slow_subscriptions/settings"), () => [200, { enable: true, threshold: 500, expire_interval: 300, top_k_num: 10 }]],
  ["GET", at("/why"), why],
  ["GET", at("/banned"), bans],
  ["POST", at("/banned"), banAdd],
  ["DELETE", at(`/banned/${one}/${one}`), banDelete],
  ["GET", at("/trace"), (s) => [200, s.traces.map(traceRow)]],
  ["POST", at("/trace"), traceAdd],
  ["PUT", at(`/trace/${one}/stop`), traceStop],
  ["DELETE", at(`/trace/${one}`), (s, [name]) => (traceOf(s, name) ? [204, void (s.traces = s.traces.filter((x) => x.name !== name))] : found(null))],
  ["GET", at(`/trace/${one}/log`), traceLog],
  ["GET", at("/listeners"), (s) => [200, s.listeners]],
  ["POST", at(`/listeners/${one}/(start|stop|restart)`), listenerAct],
  ["GET", at("/alarms"), (s, _p, q) => page(s.alarms.filter((a) => (q.activated === "false") === Boolean(a.deactivate_at)), q)],
  ["DELETE", at("/alarms"), (s) => [204, void (s.alarms = s.alarms.filter((a) => !a.deactivate_at))]],
  ["GET", at("/users"), (s) => [200, [...s.users.values()].map(({ username, role, description }) => ({ username, role, description, backend: "local" }))]],
  ["POST", at("/users"), userAdd],
  ["PUT", at(`/users/${one}`), (s, [name], _q, body) => found(s.users.has(name) && Object.assign(s.users.get(name), body))],
  ["DELETE", at(`/users/${one}`), (s, [name]) => removed(s.users.delete(name))],
  ["POST", at(`/users/${one}/change_pwd`), passwordChange],
  ["GET", at("/api_key"), (s) => [200, s.keys]],
  ["POST", at("/api_key"), keyAdd],
  ["PUT", at(`/api_key/${one}`), (s, [name], _q, body) => found(Object.assign(s.keys.find((k) => k.name === name) ?? {}, body))],
  ["DELETE", at(`/api_key/${one}`), (s, [name]) => [204, void (s.keys = s.keys.filter((k) => k.name !== name))]],
  ["GET", at("/configs"), () => [200, [
    { key: "node.name", value: NODES[0], from: "/etc/covey/covey.yaml:3" }, { key: "node.workers", value: "2", from: "default" },
    { key: "mqtt.max_inflight", value: "32", from: "default" }, { key: "mqtt.max_packet_size", value: "1MB", from: "COVEY_MQTT__MAX_PACKET_SIZE" },
    { key: "listeners.tcp.default.bind", value: "0.0.0.0:1883", from: "default" },
  ]]],
];
