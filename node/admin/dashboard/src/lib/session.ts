// SPDX-License-Identifier: Apache-2.0
// Who is logged in. The token lives as long as the tab, and is in no address.
import { reactive } from "vue";

interface Session {
  token: string;
  username: string;
  role: string;
  version: string;
}
const KEPT = "covey.session";
const NOBODY: Session = { token: "", username: "", role: "", version: "" };

function kept(): Session {
  try {
    return { ...NOBODY, ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return { ...NOBODY };
  }
}

export const session = reactive<Session>(kept());

export function sessionSet(next: Session) {
  Object.assign(session, next);
  sessionStorage.setItem(KEPT, JSON.stringify(next));
}

export function sessionEnd() {
  Object.assign(session, NOBODY);
  sessionStorage.removeItem(KEPT);
}

// Viewers look and do not act. The API decides; here it only means which buttons are shown.
export const mayAct = () => session.role !== "viewer";
