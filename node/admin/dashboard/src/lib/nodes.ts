// SPDX-License-Identifier: Apache-2.0
import type { Node } from "../api/types";

export function nodeKind(node: Node | undefined): "good" | "bad" {
  return node && (node.node_status ?? "running").toLowerCase() === "running" ? "good" : "bad";
}
