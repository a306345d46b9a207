// SPDX-License-Identifier: Apache-2.0
import type { Client } from "../api/types";
import { NONE } from "./format";

const VERSIONS: Record<number, string> = { 3: "MQTT 3.1", 4: "MQTT 3.1.1", 5: "MQTT 5.0" };

export function protocol(c: Client): string {
  return c.proto_ver ? (VERSIONS[c.proto_ver] ?? `${c.proto_name ?? "MQTT"} ${c.proto_ver}`) : NONE;
}
