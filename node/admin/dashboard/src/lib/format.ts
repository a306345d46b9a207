// SPDX-License-Identifier: Apache-2.0
// Numbers with units, times in the time zone and the language of who looks.
import { i18n, t } from "../i18n";

export const NONE = "–";
const tag = () => (i18n.global.locale.value === "zh" ? "zh-CN" : "en-GB");

export function count(n: number | null | undefined): string {
  return typeof n === "number" && isFinite(n) ? n.toLocaleString(tag(), { maximumFractionDigits: 0 }) : NONE;
}

// 0.4, 12.3, 1,240, 12.4 k, 3.46 M
export function short(n: number | null | undefined): string {
  if (typeof n !== "number" || !isFinite(n)) return NONE;
  const size = Math.abs(n);
  if (size >= 1e9) return `${(n / 1e9).toFixed(2)} G`;
  if (size >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${(n / 1e3).toFixed(1)} k`;
  if (size >= 100 || Number.isInteger(n)) return Math.round(n).toLocaleString(tag());
  return n.toFixed(1);
}

export function bytes(n: number | null | undefined): string {
  if (typeof n !== "number" || !isFinite(n)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

// The API tells sizes as "512.00M" or as a number of bytes.
export function size(value: string | number | null | undefined): string {
  if (typeof value === "number") return bytes(value);
  const found = /^([\d.]+)\s*([KMGT]?)i?B?$/i.exec(value ?? "");
  if (!found) return value || NONE;
  return bytes(Number(found[1]) * 1024 ** " KMGT".indexOf(found[2].toUpperCase() || " "));
}

export function duration(ms: number | null | undefined): string {
  if (typeof ms !== "number" || !isFinite(ms)) return NONE;
  const s = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(s / 86400), t("unit.d")],
    [Math.floor(s / 3600) % 24, t("unit.h")],
    [Math.floor(s / 60) % 60, t("unit.min")],
    [s % 60, t("unit.s")],
  ];
  const from = parts.findIndex(([n]) => n > 0);
  if (from < 0) return `0 ${t("unit.s")}`;
  return parts.slice(from, from + 2).filter(([n], i) => n > 0 || i === 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

// Seconds; the largest value that MQTT can say means for ever.
export function expiry(s: number | null | undefined): string {
  if (s === 0xffffffff) return t("unit.never");
  return typeof s === "number" ? (s === 0 ? t("unit.atOnce") : duration(s * 1000)) : NONE;
}

// ISO 8601, seconds or milliseconds since 1970.
export function dateOf(value: string | number | null | undefined): Date | null {
  if (value === null || value === undefined || value === "" || value === "infinity") return null;
  const date = new Date(typeof value === "number" && value < 1e11 ? value * 1000 : value);
  return isNaN(date.getTime()) ? null : date;
}

export function time(value: string | number | null | undefined): string {
  const date = dateOf(value);
  return date
    ? date.toLocaleString(tag(), { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })
    : NONE;
}

export function clock(date: Date): string {
  return date.toLocaleTimeString(tag(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}
