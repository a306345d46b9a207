// SPDX-License-Identifier: Apache-2.0
// An MQTT.js client that a test steers: node client.js URL VERSION TOPIC [CA-FILE]
// It subscribes, says so, prints `MESSAGE payload` for what arrives, and publishes each line that it reads.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const [url, version, topic, ca] = process.argv.slice(2);
const client = mqtt.connect(url, {
  protocolVersion: Number(version),
  protocolId: version === "3" ? "MQIsdp" : "MQTT",
  clientId: `js${process.pid}`,
  reconnectPeriod: 0,
  connectTimeout: 10000,
  ...(ca ? { ca: readFileSync(ca), servername: "localhost" } : {}),
});

client.on("error", (error) => {
  console.log(`ERROR ${error.message}`);
  process.exit(1);
});
client.on("message", (_topic, payload) => console.log(`MESSAGE ${payload}`));
client.on("connect", async () => {
  const granted = await client.subscribeAsync(topic, { qos: 1 });
  console.log(`SUBSCRIBED ${granted[0].qos}`);
});

const input = createInterface({ input: process.stdin });
input.on("line", (line) => client.publishAsync(topic, line, { qos: 1 }).then(() => console.log(`PUBLISHED ${line}`)));
input.on("close", () => client.endAsync().then(() => process.exit(0)));
