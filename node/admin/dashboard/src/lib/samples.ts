// SPDX-License-Identifier: Apache-2.0
// History as points of the charts: seconds since 1970, and rates a second.
import type { Monitor, Sample } from "../api/types";
import { dateOf } from "./format";

export interface Point {
  at: number;
  received: number | null;
  sent: number | null;
  dropped: number | null;
  connections: number | null;
  subscriptions: number | null;
}

// A sample tells rates, or how many messages since the one before.
function rate(s: Sample, seconds: number, name: keyof Monitor, n: number | undefined): number | null {
  return s[name] ?? (seconds > 0 && typeof n === "number" ? n / seconds : null);
}

export function inOrder(samples: Sample[]): Point[] {
  const at = (s: Sample) => (dateOf(s.time_stamp)?.getTime() ?? 0) / 1000;
  return [...samples].sort((a, b) => at(a) - at(b)).map((s, i, all) => {
    const seconds = i > 0 ? at(s) - at(all[i - 1]) : 0;
    return {
      at: at(s),
      received: rate(s, seconds, "received_msg_rate", s.received),
      sent: rate(s, seconds, "sent_msg_rate", s.sent),
      dropped: rate(s, seconds, "dropped_msg_rate", s.dropped),
      connections: s.live_connections ?? s.connections ?? null,
      subscriptions: s.subscriptions ?? null,
    };
  });
}
