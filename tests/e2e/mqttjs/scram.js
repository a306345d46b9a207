// SPDX-License-Identifier: Apache-2.0
// An MQTT.js client with SCRAM-SHA-256 that a test steers: node scram.js URL CLIENT-ID USER PASSWORD
// It prints `CONNECTED USER` when the server has proven that it knows the user too, subscribes to `test`, prints
// `MESSAGE payload` for what arrives, publishes each line that it reads, and for a line `reauth PASSWORD` proves
// again who it is, and prints `REAUTHENTICATED`. It ends with `ERROR code` or `DISCONNECTED code`.
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const [url, clientId, user, password] = process.argv.slice(2);
const authenticationMethod = "SCRAM-SHA-256";
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** The client's side of one exchange (RFC 5802). */
class Dialog {
  constructor(user, password) {
    this.password = password;
    this.nonce = randomBytes(18).toString("base64");
    this.bare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${this.nonce}`;
    this.first = Buffer.from(`n,,${this.bare}`);
  }

  final(serverFirst) {
    const fields = Object.fromEntries(serverFirst.toString().split(",").map((f) => [f[0], f.slice(2)]));
    if (!fields.r.startsWith(this.nonce)) throw new Error("not my nonce");
    const salted = pbkdf2Sync(this.password, Buffer.from(fields.s, "base64"), Number(fields.i), 32, "sha256");
    const withoutProof = `c=biws,r=${fields.r}`;
    const signed = `${this.bare},${serverFirst},${withoutProof}`;
    const key = hmac(salted, "Client Key");
    const signature = hmac(createHash("sha256").update(key).digest(), signed);
    this.signature = hmac(hmac(salted, "Server Key"), signed);
    return Buffer.from(`${withoutProof},p=${key.map((b, i) => b ^ signature[i]).toString("base64")}`);
  }

  check(serverFinal) {
    const said = Buffer.from(serverFinal.toString().slice(2), "base64");
    if (!timingSafeEqual(said, this.signature)) throw new Error("the server does not know the user");
  }
}

let dialog = new Dialog(user, password);
const client = mqtt.connect(url, {
  protocolVersion: 5,
  clientId,
  reconnectPeriod: 0,
  connectTimeout: 10000,
  properties: { authenticationMethod, authenticationData: dialog.first },
});

client.handleAuth = (packet, done) => {
  const data = packet.properties.authenticationData;
  if (packet.reasonCode === 0) {
    dialog.check(data);
    console.log("REAUTHENTICATED");
    return done();
  }
  const properties = { authenticationMethod, authenticationData: dialog.final(data) };
  return done(null, { cmd: "auth", reasonCode: 0x18, properties });
};
client.on("error", (error) => {
  console.log(`ERROR ${error.code}`);
  process.exit(1);
});
client.on("disconnect", (packet) => {
  console.log(`DISCONNECTED ${packet.reasonCode}`);
  process.exit(1);
});
client.on("message", (_topic, payload) => console.log(`MESSAGE ${payload}`));
client.on("connect", async (connack) => {
  dialog.check(connack.properties.authenticationData);
  await client.subscribeAsync("test", { qos: 1 });
  console.log(`CONNECTED ${user}`);
});

const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  if (line.startsWith("reauth ")) {
    dialog = new Dialog(user, line.slice(7));
    const properties = { authenticationMethod, authenticationData: dialog.first };
    client._sendPacket({ cmd: "auth", reasonCode: 0x19, properties });
  } else {
    client.publishAsync("test", line, { qos: 1 }).then(() => console.log(`PUBLISHED ${line}`));
  }
});
input.on("close", () => client.endAsync().then(() => process.exit(0)));
