/* SPDX-License-Identifier: Apache-2.0 */
/* A file for `covey ctl import`, which begins with a C; else the first byte is a type, and the rest is one
 * entry of it: damage of a file is mostly found by its hash, and what is behind that wants to be seen too. */

#include "node/admin/transfer.h"
#include "proto/base/check.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void whole(const uint8_t *data, size_t n)
{
    struct dump_reader r;
    struct transfer_counts counts = {0};
    enum dump_type type;
    struct bytes entry;
    uint64_t entries = 0;
    FILE *f = n ? fmemopen((void *)(uintptr_t)data, n, "r") : NULL;
    if (!f)
        return;
    enum err e = dump_open(&r, f, n);
    while (e == OK && (e = dump_next(&r, &type, &entry)) == OK) {
        CHECK(entry.n < n && type != DUMP_END);
        entries++;
        if (!transfer_check(type, entry, &counts))
            break;
    }
    CHECK(entries == r.entries);
    dump_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct transfer_counts counts = {0};
    if (n == 0)
        return 0;
    if (data[0] == 'C')
        whole(data, n);
    else
        transfer_check((enum dump_type)(data[0] % DUMP_TYPES), bytes_of(data + 1, (uint32_t)n - 1), &counts);
    return 0;
}
