// SPDX-License-Identifier: Apache-2.0
import type { Node } from "../api/types";

export function nodeKind(node: Node | undefined): "good" | "bad" {
  return node && (node.node_status ?? "running").toLowerCase() === "running" ? "good" : "bad";
}

// How it is, as the colour and the key of the word: one that runs may have told nothing of itself.
export function nodeState(node: Node | undefined): { kind: "good" | "warn" | "bad"; word: string } {
  if (nodeKind(node) === "bad") return { kind: "bad", word: "node.stopped" };
  if (node?.answered !== false) return { kind: "good", word: "node.running" };
  return { kind: "warn", word: node.reason === "no_http" ? "node.withoutHttp" : "node.silent" };
}
