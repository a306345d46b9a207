// SPDX-License-Identifier: Apache-2.0
import { onBeforeUnmount, onMounted, ref, type Ref } from "vue";
import { ApiError } from "../api/http";

export interface Poll {
  error: Ref<ApiError | null>; // of the last try
  isLoading: Ref<boolean>; // a first answer or one that somebody asked for is under way
  now: () => Promise<void>;
}

// Calls fetch now and again interval ms after each answer, while the page is looked at.
export function usePoll(fetch: () => Promise<void>, interval: number): Poll {
  const error = ref<ApiError | null>(null) as Ref<ApiError | null>;
  const isLoading = ref(true);
  let timer: number | undefined;
  let isGone = false;
  let turn = 0;

  async function run() {
    const mine = ++turn;
    clearTimeout(timer);
    try {
      await fetch();
      if (mine === turn) error.value = null;
    } catch (e) {
      if (!(e instanceof ApiError)) console.error(e);
      if (mine === turn) error.value = e instanceof ApiError ? e : new ApiError(0, "", String(e));
    }
    if (mine !== turn || isGone) return;
    isLoading.value = false;
    if (interval && !document.hidden) timer = window.setTimeout(run, interval);
  }
  const onVisible = () => {
    if (!document.hidden) void run();
  };
  const now = () => {
    isLoading.value = true;
    return run();
  };
  onMounted(() => {
    document.addEventListener("visibilitychange", onVisible);
    void run();
  });
  onBeforeUnmount(() => {
    isGone = true;
    turn++;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
  });
  return { error, isLoading, now };
}
