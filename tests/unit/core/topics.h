/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CORE_TOPICS_H
#define COVEY_TEST_CORE_TOPICS_H

/* Random topics and filters from few words, so that they meet often. */

#include "proto/base/bytes.h"
#include "tests/unit/core/random.h"

enum { TEXT_MAX = 64, TOPIC_LEVELS_MAX = 4 };

struct text {
    char s[TEXT_MAX];
    uint32_t n;
};

static inline struct bytes text_bytes(const struct text *t)
{
    return bytes_of(t->s, t->n);
}

static inline void text_append(struct text *t, const char *s)
{
    size_t n = strlen(s);
    memcpy(t->s + t->n, s, n + 1);
    t->n += (uint32_t)n;
}

static inline void text_random(struct random *r, struct text *t, bool is_filter)
{
    static const char *const words[] = {"a", "b", "c", "", "long-level"};
    t->n = 0;
    do {
        uint32_t levels = 1 + random_below(r, TOPIC_LEVELS_MAX);
        t->n = 0;
        for (uint32_t i = 0; i < levels; i++) {
            uint32_t k = random_below(r, 16);
            if (i)
                text_append(t, "/");
            if (is_filter && k < 4)
                text_append(t, "+");
            else if (is_filter && k < 6 && i + 1 == levels)
                text_append(t, "#");
            else if (i == 0 && k > 13)
                text_append(t, k == 14 ? "$SYS" : "$x");
            else
                text_append(t, words[random_below(r, 5)]);
        }
    } while (t->n == 0);
}

#endif
