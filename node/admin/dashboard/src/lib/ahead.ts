// SPDX-License-Identifier: Apache-2.0
// What is needed next, fetched while somebody types a password. One that does not come is fetched when it is needed.
const IDLE_MS = 200; // where the browser does not say when it is idle

export function fetchAhead() {
  const fetch = () => void Promise.allSettled([import("../components/AppShell.vue"), import("../pages/Overview.vue")]);
  if ("requestIdleCallback" in window) requestIdleCallback(fetch);
  else setTimeout(fetch, IDLE_MS);
}
