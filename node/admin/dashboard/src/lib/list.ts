// SPDX-License-Identifier: Apache-2.0
// One page of a long list: which one, how it is filtered, and what came.
import { ref, shallowRef, type Ref } from "vue";
import type { Page, Query } from "../api/types";
import { usePoll, type Poll } from "./poll";

export interface List<T> extends Poll {
  rows: Ref<T[]>;
  page: Ref<number>;
  limit: Ref<number>;
  total: Ref<number | null>; // null: the API does not tell
  hasNext: Ref<boolean>;
  go: (page: number) => void;
}

export function useList<T>(fetch: (query: Query) => Promise<Page<T>>, filter: () => Query, interval = 10000): List<T> {
  const rows = shallowRef<T[]>([]);
  const page = ref(1);
  const limit = ref(50);
  const total = ref<number | null>(null);
  const hasNext = ref(false);
  // What is typed counts when somebody asks for it, not when the list refreshes itself.
  let applied = filter();
  const poll = usePoll(async () => {
    const asked = page.value;
    const answer = await fetch({ ...applied, page: asked, limit: limit.value });
    if (asked !== page.value) return;
    rows.value = answer.data;
    const n = answer.meta.count;
    total.value = typeof n === "number" && n >= 0 ? n : null;
    hasNext.value = answer.meta.hasnext ?? (total.value !== null && asked * limit.value < total.value);
    // What was on the last page may be gone.
    if (!answer.data.length && asked > 1) go(1);
  }, interval);
  function go(to: number) {
    page.value = to;
    applied = filter();
    void poll.now();
  }
  return { ...poll, rows, page, limit, total, hasNext, go };
}
