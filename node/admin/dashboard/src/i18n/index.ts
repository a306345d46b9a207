// SPDX-License-Identifier: Apache-2.0
import { createI18n } from "vue-i18n";
import en from "./en.json";
import zh from "./zh.json";

export type Language = "en" | "zh";
const KEPT = "covey.language";

function first(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const i18n = createI18n({ legacy: false, locale: first() as string, fallbackLocale: "en", messages: { en, zh } });
document.documentElement.lang = i18n.global.locale.value === "zh" ? "zh-CN" : "en";

export function languageSet(language: Language) {
  i18n.global.locale.value = language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  localStorage.setItem(KEPT, language);
}

// For code outside of components: the text of a key in the language of now.
export const t = (key: string, values: Record<string, unknown> = {}) => i18n.global.t(key, values);
