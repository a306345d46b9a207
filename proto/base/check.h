/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_CHECK_H
#define COVEY_BASE_CHECK_H

/* Assertions about our own code. A failed CHECK is a bug in this program, never a peer's fault: it prints
 * the place and the condition and aborts, in release builds too. */

/* Prints "file:line: CHECK failed: what" to standard error and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(cond)                                  \
    do {                                             \
        if (__builtin_expect(!(cond), 0))            \
            check_failed(__FILE__, __LINE__, #cond); \
    } while (0)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define array_len(a)                    (sizeof(a) / sizeof((a)[0]))

#endif
