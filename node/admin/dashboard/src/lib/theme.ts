// SPDX-License-Identifier: Apache-2.0
import { ref, watchEffect } from "vue";

export type Theme = "system" | "light" | "dark";
const KEPT = "covey.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const stored = localStorage.getItem(KEPT);

export const theme = ref<Theme>(stored === "light" || stored === "dark" ? stored : "system");
export const isDark = ref(false);

function apply() {
  isDark.value = theme.value === "dark" || (theme.value === "system" && system.matches);
  document.documentElement.classList.toggle("dark", isDark.value);
}
watchEffect(apply, { flush: "sync" });
system.addEventListener("change", apply);

export function themeSet(next: Theme) {
  theme.value = next;
  localStorage.setItem(KEPT, next);
}
