// SPDX-License-Identifier: Apache-2.0
// What the API answers, as far as the dashboard reads it. Everything that an older or newer node may leave out is
// optional.

export type Query = Record<string, string | number | boolean | undefined>;

export interface Page<T> {
  data: T[];
  meta: { page?: number; limit?: number; count?: number; hasnext?: boolean };
}

export interface Login {
  token: string;
  version?: string;
  role?: string;
  must_change_password?: boolean;
}

// How one node sees another.
export interface Peer {
  name: string;
  state?: string; // alive, suspect, dead, left
  link?: string; // up, down
  since?: string;
  link_since?: string;
  why?: string;
  link_ended?: string;
  draining?: boolean;
  address?: string;
  routes?: number;
  routes_complete?: boolean;
  ring_bytes?: number; // waiting on the link
  forwarded?: number;
  received?: number;
  dropped?: number;
}

export interface Node {
  node: string;
  node_status?: string; // running, stopped
  answered?: boolean; // false: there is no more to tell
  reason?: string; // then: down, no_http, no_answer
  version?: string;
  uptime?: number; // ms
  connections?: number;
  live_connections?: number;
  cluster_sessions?: number;
  load1?: number | string;
  load5?: number | string;
  load15?: number | string;
  max_fds?: number;
  memory_total?: string | number;
  memory_used?: string | number;
  role?: string;
  edition?: string;
  log_path?: string;
  sys_path?: string;
  workers?: number;
  peers?: Peer[];
}

export interface Cluster {
  name?: string;
  self?: string;
  nodes?: string[];
  members?: (Peer & { self?: boolean })[];
}

export interface Monitor {
  received_msg_rate?: number;
  sent_msg_rate?: number;
  dropped_msg_rate?: number;
  persisted_rate?: number;
  received_bytes_rate?: number;
  sent_bytes_rate?: number;
  connections?: number;
  live_connections?: number;
  cluster_sessions?: number;
  subscriptions?: number;
  shared_subscriptions?: number;
  topics?: number;
  retained_msg_count?: number;
}

export interface Sample extends Monitor {
  time_stamp: number;
  received?: number;
  sent?: number;
  dropped?: number;
}

export interface Client {
  clientid: string;
  username?: string | null;
  connected?: boolean;
  connected_at?: string;
  disconnected_at?: string;
  created_at?: string;
  node?: string;
  listener?: string;
  ip_address?: string;
  port?: number;
  proto_name?: string;
  proto_ver?: number;
  keepalive?: number;
  clean_start?: boolean;
  expiry_interval?: number;
  mountpoint?: string | null;
  subscriptions_cnt?: number;
  subscriptions_max?: number | string;
  inflight_cnt?: number;
  inflight_max?: number | string;
  awaiting_rel_cnt?: number;
  awaiting_rel_max?: number | string;
  mqueue_len?: number;
  mqueue_max?: number | string;
  mqueue_bytes?: number;
  mqueue_dropped?: number;
  recv_oct?: number;
  recv_pkt?: number;
  send_oct?: number;
  send_pkt?: number;
  [field: string]: unknown;
}

export interface Subscription {
  node?: string;
  topic: string;
  clientid: string;
  qos: number;
  nl?: number;
  rap?: number;
  rh?: number;
  durable?: boolean;
}

export interface SubscribeOptions {
  topic: string;
  qos: number;
  nl: number;
  rap: number;
  rh: number;
}

export interface Topic {
  topic: string;
  node?: string | string[];
  session?: string;
}

export interface Retained {
  msgid?: string;
  topic: string;
  qos?: number;
  publish_at?: string;
  from_clientid?: string;
  from_username?: string;
  payload?: string; // base64
}

export interface ListenerStatus {
  running?: boolean;
  max_connections?: number | string;
  current_connections?: number;
}

export interface Listener {
  id: string;
  type?: string;
  name?: string;
  bind?: string;
  enable?: boolean;
  acceptors?: number;
  number?: number;
  status?: ListenerStatus;
  node_status?: { node: string; status?: ListenerStatus }[];
}

export interface Alarm {
  node?: string;
  name: string;
  message?: string;
  details?: unknown;
  duration?: number; // ms
  activate_at?: string;
  deactivate_at?: string;
}

export interface Setting {
  key: string;
  value: string;
  from: string; // default, file and line, or a variable of the environment
}

export interface User {
  username: string;
  description?: string;
  role?: string;
  backend?: string;
}

export interface ApiKey {
  name: string;
  api_key?: string;
  api_secret?: string; // only in the answer that creates it
  expired_at?: string | null;
  created_at?: string;
  desc?: string;
  enable?: boolean;
  expired?: boolean;
  role?: string;
}

export interface Ban {
  as: string; // clientid, username, peerhost, peerhost_net, clientid_re, username_re
  who: string;
  by?: string;
  reason?: string;
  at?: string;
  until?: string; // infinity
}

export interface SlowSubscription {
  clientid: string;
  node?: string;
  topic: string;
  timespan: number; // ms
  last_update_time?: string | number;
}

export interface SlowSettings {
  enable?: boolean;
  threshold?: number; // ms
  expire_interval?: number; // s
  top_k_num?: number;
}

export interface SharedGroup {
  topic: string;
  group: string;
  filter: string;
  strategy?: string;
  members: number;
  connected: number;
  nodes?: { node: string; members: number; connected: number }[];
}

export interface Delayed {
  msgid: string;
  node: string;
  topic: string;
  qos?: number;
  retain?: boolean;
  payload_size?: number;
  expected_at?: string;
  delayed_remaining?: number; // s
  payload?: string; // base64
}

export interface TopicMetric {
  topic: string;
  create_time?: string;
  metrics: Record<string, number>;
}

export interface Trace {
  name: string;
  type: string; // clientid, topic, ip_address
  clientid?: string;
  topic?: string;
  ip_address?: string;
  status?: string; // running, waiting, stopped
  start_at?: string;
  end_at?: string;
  log_size?: Record<string, number>; // of each node
}

export interface TracePiece {
  items: string;
  meta: { position?: number; bytes?: number; hint?: string };
}

export interface WhyParams {
  clientid?: string;
  topic?: string;
  filter?: string;
  at?: string;
  reason?: string;
  node?: string;
  event?: string;
  publisher?: string;
  count?: string;
  max?: string;
  waiting?: string;
  bytes?: string;
  qos?: string;
  how?: string;
}

export interface WhyEvent {
  at: string;
  first_at: string;
  count: number;
  node: string;
  event: string;
  clientid?: string;
  topic?: string;
  qos?: number;
  nodes?: string[];
  text?: string;
}

export interface Why {
  clientid?: string;
  topic?: string;
  verdict: "yes" | "no" | "later" | "perhaps" | "unknown";
  code: string;
  params: WhyParams;
  sentence: string;
  findings: { level: "problem" | "note"; code: string; params: WhyParams; text: string }[];
  client?: { connected: boolean; node: string };
  subscriptions: { node: string; clientid: string; filter: string; group?: string; qos: number }[];
  events: WhyEvent[];
  watched_since?: string;
  complete_since?: string;
  missing: string[];
}
