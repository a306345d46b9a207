// SPDX-License-Identifier: Apache-2.0
import type { Trace } from "../api/types";
import { NONE } from "./format";

export const TRACE_KINDS = ["clientid", "topic", "ip_address"] as const;
export type TraceKind = (typeof TRACE_KINDS)[number];

export const traceWhat = (trace: Trace) => trace.clientid ?? trace.topic ?? trace.ip_address ?? NONE;
export const traceBytes = (trace: Trace) => Object.values(trace.log_size ?? {}).reduce((sum, n) => sum + n, 0);
export const traceState = (trace: Trace) => (trace.status === "running" || trace.status === "waiting" ? trace.status : "stopped");
