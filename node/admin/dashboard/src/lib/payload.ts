// SPDX-License-Identifier: Apache-2.0
// Bytes as people can read them.

export interface Shown {
  form: "text" | "json" | "hex";
  text: string;
  bytes: number;
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

export function toText(payload: Uint8Array): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

export function toHex(payload: Uint8Array): string {
  return Array.from(payload, (b, i) => b.toString(16).padStart(2, "0") + (i % 16 === 15 ? "\n" : " ")).join("").trimEnd();
}

export function shownPayload(payload: Uint8Array): Shown {
  const text = toText(payload);
  if (text === null) return { form: "hex", text: toHex(payload), bytes: payload.length };
  if (/^\s*[[{]/.test(text)) {
    try {
      return { form: "json", text: JSON.stringify(JSON.parse(text), null, 2), bytes: payload.length };
    } catch {
      // Text that begins like JSON.
    }
  }
  return { form: "text", text, bytes: payload.length };
}
