// SPDX-License-Identifier: Apache-2.0
// The calls, by name. Lists come as pages; an answer that is a bare array is one too.
import { http } from "./http";
import type {
  Alarm, ApiKey, Ban, Client, Cluster, Delayed, Listener, Login, Monitor, Node, Page, Query, Retained, Sample, Setting, SharedGroup,
  SlowSettings, SlowSubscription, SubscribeOptions, Subscription, Topic, TopicMetric, Trace, TracePiece, User, Why,
} from "./types";

const part = encodeURIComponent;

async function pageOf<T>(path: string, query: Query): Promise<Page<T>> {
  const answer = await http.get<Page<T> | T[]>(path, query);
  if (Array.isArray(answer)) return { data: answer, meta: { count: answer.length, hasnext: false } };
  return { data: answer?.data ?? [], meta: answer?.meta ?? {} };
}

const listOf = async <T>(path: string, query: Query = {}) => (await pageOf<T>(path, query)).data;

const TRACE_PIECE_BYTES = 65536; // as many as the API gives

export const api = {
  login: (username: string, password: string) => http.post<Login>("login", { username, password }),
  logout: (username: string) => http.post<void>("logout", { username }),
  passwordChange: (username: string, old_pwd: string, new_pwd: string) =>
    http.post<Login | undefined>(`users/${part(username)}/change_pwd`, { old_pwd, new_pwd }),

  nodes: async () => (await listOf<Node>("nodes")).sort((a, b) => (a.node < b.node ? -1 : 1)),
  node: (name: string) => http.get<Node>(`nodes/${part(name)}`),
  nodeStats: (name: string) => http.get<Record<string, unknown>>(`nodes/${part(name)}/stats`),
  nodeMetrics: (name: string) => http.get<Record<string, unknown>>(`nodes/${part(name)}/metrics`),
  cluster: () => http.get<Cluster>("cluster"),
  monitor: (node = "") => http.get<Monitor>(node ? `monitor_current/nodes/${part(node)}` : "monitor_current"),
  history: async (seconds: number, node = "") => {
    const answer = await http.get<Sample[]>(node ? `monitor/nodes/${part(node)}` : "monitor", { latest: seconds });
    return Array.isArray(answer) ? answer : [];
  },

  clients: (query: Query) => pageOf<Client>("clients", query),
  client: (id: string) => http.get<Client>(`clients/${part(id)}`),
  clientSubscriptions: (id: string) => listOf<Subscription>(`clients/${part(id)}/subscriptions`),
  clientSubscribe: (id: string, options: SubscribeOptions) => http.post<unknown>(`clients/${part(id)}/subscribe`, options),
  clientUnsubscribe: (id: string, topic: string) => http.post<void>(`clients/${part(id)}/unsubscribe`, { topic }),
  clientKick: (id: string) => http.delete<void>(`clients/${part(id)}`),

  subscriptions: (query: Query) => pageOf<Subscription>("subscriptions", query),
  topics: (query: Query) => pageOf<Topic>("topics", query),
  retained: (query: Query) => pageOf<Retained>("mqtt/retainer/messages", query),
  retainedGet: (topic: string) => http.get<Retained>(`mqtt/retainer/message/${part(topic)}`),
  retainedDelete: (topic: string) => http.delete<void>(`mqtt/retainer/message/${part(topic)}`),

  groups: (query: Query) => pageOf<SharedGroup>("shared_groups", query),
  delayed: (query: Query) => pageOf<Delayed>("mqtt/delayed/messages", query),
  delayedGet: (node: string, id: string) => http.get<Delayed>(`mqtt/delayed/messages/${part(node)}/${part(id)}`),
  delayedDelete: (node: string, id: string) => http.delete<void>(`mqtt/delayed/messages/${part(node)}/${part(id)}`),
  topicMetrics: () => listOf<TopicMetric>("mqtt/topic_metrics"),
  topicMetricAdd: (topic: string) => http.post<unknown>("mqtt/topic_metrics", { topic }),
  topicMetricReset: (topic: string) => http.put<void>("mqtt/topic_metrics", { topic, action: "reset" }),
  topicMetricDelete: (topic: string) => http.delete<void>(`mqtt/topic_metrics/${part(topic)}`),

  slow: (query: Query) => pageOf<SlowSubscription>("slow_subscriptions", query),
  slowSettings: () => http.get<SlowSettings>("slow_subscriptions/settings"),
  slowClear: () => http.delete<void>("slow_subscriptions"),

  why: (query: Query) => http.get<Why>("why", query),

  traces: () => listOf<Trace>("trace"),
  traceAdd: (trace: Omit<Trace, "status" | "log_size">) => http.post<Trace>("trace", trace),
  traceStop: (name: string) => http.put<unknown>(`trace/${part(name)}/stop`),
  traceDelete: (name: string) => http.delete<void>(`trace/${part(name)}`),
  traceLog: (name: string, node: string, position: number) =>
    http.get<TracePiece>(`trace/${part(name)}/log`, { node, position, bytes: TRACE_PIECE_BYTES }),
  /* The files of all nodes, one behind the other. */
  traceDownload: async (name: string, nodes: string[]) => {
    const files: [string, string][] = [];
    for (const node of nodes) {
      let text = "";
      for (let position = 0, bytes = 1; bytes > 0; ) {
        const piece = await api.traceLog(name, node, position);
        text += piece.items;
        bytes = piece.meta.bytes ?? 0;
        position = piece.meta.position ?? position + bytes;
      }
      if (text) files.push([node, text]);
    }
    return new Blob(files.map(([node, text]) => (files.length > 1 ? `# ${node}\n${text}` : text)), { type: "text/plain" });
  },

  bans: (query: Query) => pageOf<Ban>("banned", query),
  banAdd: (ban: Ban) => http.post<Ban>("banned", ban),
  banDelete: (as: string, who: string) => http.delete<void>(`banned/${part(as)}/${part(who)}`),

  listeners: () => listOf<Listener>("listeners"),
  listenerAct: (id: string, verb: "start" | "stop" | "restart") => http.post<unknown>(`listeners/${part(id)}/${verb}`),

  alarms: (query: Query) => pageOf<Alarm>("alarms", query),
  alarmsClear: () => http.delete<void>("alarms"),

  users: () => listOf<User>("users"),
  userAdd: (user: User & { password: string }) => http.post<User>("users", user),
  userChange: (name: string, user: { description: string; role: string }) => http.put<User>(`users/${part(name)}`, user),
  userDelete: (name: string) => http.delete<void>(`users/${part(name)}`),

  keys: () => listOf<ApiKey>("api_key"),
  keyAdd: (key: Pick<ApiKey, "name" | "desc" | "enable" | "expired_at" | "role">) => http.post<ApiKey>("api_key", key),
  keyChange: (name: string, key: Pick<ApiKey, "desc" | "enable" | "expired_at">) => http.put<ApiKey>(`api_key/${part(name)}`, key),
  keyDelete: (name: string) => http.delete<void>(`api_key/${part(name)}`),

  configuration: () => listOf<Setting>("configs"),
};
