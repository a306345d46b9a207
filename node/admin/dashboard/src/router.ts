// SPDX-License-Identifier: Apache-2.0
import { createRouter, createWebHashHistory } from "vue-router";
import { session } from "./lib/session";

declare module "vue-router" {
  interface RouteMeta {
    title?: string; // key of a message
    isOpen?: boolean; // without a login
  }
}

const title = (key: string) => ({ meta: { title: `nav.${key}` } });

// The fragment of the address holds the page: the server sees one path whatever it is served under.
export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: "/login", name: "login", component: () => import("./pages/Login.vue"), meta: { isOpen: true } },
    { path: "/", name: "overview", component: () => import("./pages/Overview.vue"), ...title("overview") },
    { path: "/nodes", name: "nodes", component: () => import("./pages/Nodes.vue"), ...title("nodes") },
    { path: "/nodes/:node", name: "node", component: () => import("./pages/NodeDetail.vue"), ...title("nodes") },
    { path: "/clients", name: "clients", component: () => import("./pages/Clients.vue"), ...title("clients") },
    { path: "/clients/:id", name: "client", component: () => import("./pages/ClientDetail.vue"), ...title("clients") },
    { path: "/subscriptions", name: "subscriptions", component: () => import("./pages/Subscriptions.vue"), ...title("subscriptions") },
    { path: "/topics", name: "topics", component: () => import("./pages/Topics.vue"), ...title("topics") },
    { path: "/retained", name: "retained", component: () => import("./pages/Retained.vue"), ...title("retained") },
    { path: "/groups", name: "groups", component: () => import("./pages/SharedGroups.vue"), ...title("groups") },
    { path: "/delayed", name: "delayed", component: () => import("./pages/Delayed.vue"), ...title("delayed") },
    { path: "/topic-metrics", name: "topicMetrics", component: () => import("./pages/TopicMetrics.vue"), ...title("topicMetrics") },
    { path: "/slow", name: "slow", component: () => import("./pages/SlowSubscribers.vue"), ...title("slow") },
    { path: "/why", name: "why", component: () => import("./pages/Why.vue"), ...title("why") },
    { path: "/traces", name: "traces", component: () => import("./pages/Traces.vue"), ...title("traces") },
    { path: "/traces/:name", name: "trace", component: () => import("./pages/TraceDetail.vue"), ...title("traces") },
    { path: "/banned", name: "banned", component: () => import("./pages/Banned.vue"), ...title("banned") },
    { path: "/listeners", name: "listeners", component: () => import("./pages/Listeners.vue"), ...title("listeners") },
    { path: "/alarms", name: "alarms", component: () => import("./pages/Alarms.vue"), ...title("alarms") },
    { path: "/settings/:part?", name: "settings", component: () => import("./pages/Settings.vue"), ...title("settings") },
    { path: "/tools/websocket", name: "socket", component: () => import("./pages/ToolSocket.vue"), ...title("socket") },
    { path: "/tools/http", name: "http", component: () => import("./pages/ToolHttp.vue"), ...title("http") },
    { path: "/:rest(.*)*", redirect: "/" },
  ],
});

router.beforeEach((to) => {
  if (!to.meta.isOpen && !session.token) {
    return { name: "login", query: to.fullPath === "/" ? {} : { next: to.fullPath } };
  }
  return true;
});

// A part of the dashboard that does not come, as after an upgrade of the node, when the names of all parts are new:
// the page is loaded again, once.
const RELOADED = "covey.reloaded";
const RELOAD_AGAIN_MS = 20000;
window.addEventListener("vite:preloadError", (event) => {
  if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < RELOAD_AGAIN_MS) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  event.preventDefault();
  location.reload();
});
