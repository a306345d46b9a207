// SPDX-License-Identifier: Apache-2.0
// One request to the API: address, token, errors.
import { reactive } from "vue";
import { session, sessionEnd } from "../lib/session";
import { t } from "../i18n";
import type { Query } from "./types";

const TIMEOUT_MS = 15000;

// status 0: no answer came. code: what the API says, such as CLIENTID_NOT_FOUND. retryS: after how many seconds to try again; 0: it does not say.
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly retryS = 0) {
    super(message);
  }
}

// Whether the node answers, for the line on top of every page; whether it wants a new password before anything else.
export const reach = reactive({ isAway: false, isPasswordDue: false });

let onEnd: () => void = () => undefined;
// Called when the API no longer takes the token.
export function onSessionEnd(run: () => void) {
  onEnd = run;
}

export function errorText(e: ApiError): string {
  if (e.status === 0) return t("error.away");
  if (e.status === 401) return t("error.unauthorized");
  if (e.status === 403) return t("error.forbidden");
  if (e.status === 404 && !e.code) return t("error.missing");
  if (e.status === 429) return e.retryS ? t("error.busyFor", { n: e.retryS }) : t("error.busy");
  if (e.status >= 500) return e.message ? t("error.serverSaid", { said: e.message }) : t("error.server", { status: e.status });
  return e.message || t("error.status", { status: e.status });
}

function address(path: string, query: Query): URL {
  const url = new URL(`api/v5/${path}`, document.baseURI);
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") url.searchParams.set(key, String(value));
  }
  url.hash = "";
  return url;
}

async function answerOf(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined;
  const text = await response.text();
  if (!(response.headers.get("Content-Type") ?? "").includes("json")) return text;
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    throw new ApiError(response.status, "", t("error.notJson"));
  }
}

async function send(method: string, url: URL, body: unknown): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (session.token) headers.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    // A proxy answers so when the node is not there.
    reach.isAway = response.status === 502 || response.status === 504;
    return response;
  } catch {
    reach.isAway = true;
    throw new ApiError(0, "", "");
  }
}

async function request<T>(method: string, path: string, query: Query, body?: unknown): Promise<T> {
  const token = session.token;
  const response = await send(method, address(path, query), body);
  const answer = await answerOf(response);
  if (response.ok) return answer as T;
  throw refused(response, answer, path, token);
}

function refused(response: Response, answer: unknown, path: string, token: string): ApiError {
  const said = (typeof answer === "object" && answer ? answer : {}) as { code?: unknown; message?: unknown };
  const error = new ApiError(response.status, String(said.code ?? ""), typeof said.message === "string" ? said.message : "",
    Number(response.headers.get("Retry-After")) || 0);
  if (error.status === 403 && error.code.startsWith("PASSWORD_")) reach.isPasswordDue = true;
  if (error.status === 401 && token && token === session.token && path !== "login") {
    sessionEnd();
    onEnd();
  }
  return error;
}

export const http = {
  get: <T>(path: string, query: Query = {}) => request<T>("GET", path, query),
  post: <T>(path: string, body?: unknown) => request<T>("POST", path, {}, body),
  put: <T>(path: string, body?: unknown) => request<T>("PUT", path, {}, body),
  delete: <T>(path: string) => request<T>("DELETE", path, {}),
};
