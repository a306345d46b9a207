// SPDX-License-Identifier: Apache-2.0
// What a broker answered when it refused: the reason code of MQTT 5 in words, and its reason string.
import { i18n, t } from "../i18n";

export interface Answer {
  code: number;
  said: string; // empty: it said nothing
}
// The return codes of a CONNACK before MQTT 5.
const BEFORE_5: Record<number, number> = { 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87 };

export function answerOf(packet: unknown): Answer {
  const p = (packet ?? {}) as { reasonCode?: number; properties?: { reasonString?: string } };
  return { code: p.reasonCode ?? 0, said: p.properties?.reasonString ?? "" };
}

export function refusal(code: number, said: string): string {
  const hex = `0x${(BEFORE_5[code] ?? code).toString(16).padStart(2, "0")}`;
  const word = i18n.global.te(`reason.${hex}`) ? t(`reason.${hex}`) : t("reason.other");
  return said ? t("reason.said", { word, code: hex, said }) : t("reason.plain", { word, code: hex });
}
