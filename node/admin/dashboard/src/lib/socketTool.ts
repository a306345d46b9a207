// SPDX-License-Identifier: Apache-2.0
// What the WebSocket tool has, for as long as somebody is logged in: other pages are shown meanwhile, and its client stays connected.
import { reactive, watch } from "vue";
import { session } from "./session";
import { makeSocket, type Sending, type Settings } from "./socket";

const tls = location.protocol === "https:";
export const PORTS = { ws: 8083, wss: 8084 };

const settingsFirst = (): Settings => ({
  address: { host: location.hostname.replace(/^\[|\]$/g, ""), port: tls ? PORTS.wss : PORTS.ws, path: "/mqtt", tls },
  clientId: `mqttjs_${Math.random().toString(16).slice(2, 10)}`,
  username: "",
  password: "",
  keepAlive: 60,
  clean: true,
  version: 5,
  expiry: 0,
  receiveMax: 65535,
  will: { topic: "", payload: "", qos: 0, retain: false },
});
const sendingFirst = (): Sending => ({ topic: "test", payload: "hello", qos: 0, retain: false, expiry: undefined, contentType: "", responseTopic: "" });

export const socket = makeSocket();
export const settings = reactive(settingsFirst());
export const sending = reactive(sendingFirst());

watch(() => session.token === "", (isOut) => {
  if (!isOut) return;
  socket.disconnect();
  socket.sent.length = 0;
  socket.received.length = 0;
  Object.assign(settings, settingsFirst());
  Object.assign(sending, sendingFirst());
});
