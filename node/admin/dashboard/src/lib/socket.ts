// SPDX-License-Identifier: Apache-2.0
// The MQTT client of the WebSocket tool, and what it has sent and received.
import mqtt, { type IClientOptions, type IClientPublishOptions, type MqttClient } from "mqtt";
import { reactive, shallowReactive } from "vue";
import { t } from "../i18n";
import type { SubscribeOptions } from "../api/types";
import { shownPayload, type Shown } from "./payload";
import { answerOf, refusal } from "./reasons";

export const ROWS_MAX = 500; // of each table; the oldest go first

export interface Address {
  host: string;
  port: number;
  path: string;
  tls: boolean;
}
export interface Settings {
  address: Address;
  clientId: string;
  username: string;
  password: string;
  keepAlive: number; // s
  clean: boolean;
  version: 4 | 5;
  expiry: number; // s, MQTT 5
  receiveMax: number; // MQTT 5
  will: { topic: string; payload: string; qos: number; retain: boolean };
}
export interface Sending {
  topic: string;
  payload: string;
  qos: number;
  retain: boolean;
  expiry?: number;
  contentType?: string;
  responseTopic?: string;
}
export interface Line {
  n: number;
  topic: string;
  qos: number;
  retain: boolean;
  at: Date;
  shown: Shown;
  failed?: string;
}
export type State = "off" | "connecting" | "on";

const url = (a: Address) => `${a.tls ? "wss" : "ws"}://${a.host.includes(":") ? `[${a.host}]` : a.host}:${a.port}${a.path}`;

function optionsOf(s: Settings): IClientOptions {
  return {
    clientId: s.clientId,
    username: s.username || undefined,
    password: s.password || undefined,
    keepalive: s.keepAlive,
    clean: s.clean,
    protocolVersion: s.version,
    reconnectPeriod: 0, // a failure is shown, not hidden behind the next try
    connectTimeout: 10000,
    timerVariant: "native",
    properties: s.version === 5 ? { sessionExpiryInterval: s.expiry, receiveMaximum: s.receiveMax } : undefined,
    will: s.will.topic
      ? { topic: s.will.topic, payload: new TextEncoder().encode(s.will.payload) as never, qos: s.will.qos as 0 | 1 | 2, retain: s.will.retain }
      : undefined,
  };
}

export function makeSocket() {
  const state = reactive({ state: "off" as State, problem: "", session: false, n: 0 });
  const subscriptions = shallowReactive<SubscribeOptions[]>([]);
  const sent = shallowReactive<Line[]>([]);
  const received = shallowReactive<Line[]>([]);
  let client: MqttClient | undefined;

  function add(list: Line[], line: Omit<Line, "n" | "at">) {
    list.unshift({ ...line, n: ++state.n, at: new Date() });
    if (list.length > ROWS_MAX) list.length = ROWS_MAX;
  }

  function closed(problem: string) {
    state.state = "off";
    if (problem && !state.problem) state.problem = problem;
    subscriptions.length = 0;
  }

  function connect(s: Settings) {
    disconnect();
    Object.assign(state, { state: "connecting", problem: "" });
    const mine = (client = mqtt.connect(url(s.address), optionsOf(s)));
    const isMine = () => client === mine;
    let said = "";
    mine.on("packetreceive", (packet) => {
      if (packet.cmd === "connack") said = answerOf(packet).said;
    });
    mine.on("connect", (ack) => {
      if (isMine()) Object.assign(state, { state: "on", session: ack.sessionPresent });
    });
    mine.on("message", (topic, payload, packet) =>
      add(received, { topic, qos: packet.qos, retain: packet.retain, shown: shownPayload(payload) }));
    mine.on("error", (e) => {
      if (!isMine() || state.problem) return;
      const code = "code" in e && typeof e.code === "number" ? e.code : 0;
      state.problem = code
        ? t("socket.connectRefused", { why: refusal(code, said) })
        : e.message || t("socket.unreachable", { url: url(s.address) });
    });
    mine.on("disconnect", (packet) => {
      const answer = answerOf(packet);
      if (isMine()) state.problem = t("socket.ended", { why: refusal(answer.code, answer.said) });
    });
    mine.on("close", () => {
      if (!isMine()) return;
      const was = state.state;
      client = undefined;
      closed(was === "on" ? t(s.version === 5 ? "socket.lost" : "socket.lostBefore5") : t("socket.unreachable", { url: url(s.address) }));
    });
  }

  function disconnect() {
    const old = client;
    client = undefined;
    old?.end();
    closed("");
    state.problem = "";
  }

  async function subscribe(o: SubscribeOptions): Promise<string> {
    if (!client) return t("socket.notConnected");
    const options = client.options.protocolVersion === 5
      ? { qos: o.qos as 0 | 1 | 2, nl: Boolean(o.nl), rap: Boolean(o.rap), rh: o.rh }
      : { qos: o.qos as 0 | 1 | 2 };
    const mine = client;
    return new Promise((done) => mine.subscribe(o.topic, options, (error, _asked, packet) => {
      const qos = Number(packet?.granted[0] ?? 0);
      if (qos > 2) return done(t("socket.refused", { topic: o.topic, why: refusal(qos, answerOf(packet).said) }));
      if (error) return done(error.message);
      const at = subscriptions.findIndex((s) => s.topic === o.topic);
      subscriptions.splice(at < 0 ? subscriptions.length : at, at < 0 ? 0 : 1, { ...o, qos });
      return done("");
    }));
  }

  async function unsubscribe(topic: string): Promise<string> {
    try {
      await client?.unsubscribeAsync(topic);
      const at = subscriptions.findIndex((s) => s.topic === topic);
      if (at >= 0) subscriptions.splice(at, 1);
      return "";
    } catch (e) {
      return (e as Error).message;
    }
  }

  function publish(p: Sending) {
    if (!client) return;
    const payload = new TextEncoder().encode(p.payload);
    const options: IClientPublishOptions = { qos: p.qos as 0 | 1 | 2, retain: p.retain };
    if (client.options.protocolVersion === 5) {
      options.properties = {
        messageExpiryInterval: p.expiry || undefined,
        contentType: p.contentType || undefined,
        responseTopic: p.responseTopic || undefined,
      };
    }
    const line = { topic: p.topic, qos: p.qos, retain: p.retain, shown: shownPayload(payload) };
    client.publish(p.topic, payload as never, options, (error, packet) => {
      const { code, said } = answerOf(packet);
      const why = code > 0 ? t("socket.refusedMessage", { why: refusal(code, said) }) : t("socket.notSent", { why: error?.message ?? "" });
      add(sent, error ? { ...line, failed: why } : line);
    });
  }

  return { state, subscriptions, sent, received, connect, disconnect, subscribe, unsubscribe, publish };
}
