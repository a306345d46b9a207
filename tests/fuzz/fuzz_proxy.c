/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of the PROXY protocol: the verdict on a beginning of the bytes holds together with that on more of
 * them. */

#include "node/io/proxy_header.h"
#include "proto/base/check.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_done(const struct proxy_header *h, const uint8_t *data, size_t n)
{
    uint8_t ip[16];
    CHECK(h->size && h->size <= n && h->size <= PROXY_HEADER_MAX);
    for (uint32_t i = 0; i < h->cert_name.n; i++)
        CHECK(h->cert_name.p + i >= data && h->cert_name.p + i < data + h->size);
    if (h->has_source)
        CHECK(inet_pton(strchr(h->address, ':') ? AF_INET6 : AF_INET, h->address, ip) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_header whole, part;
    enum proxy_result r = proxy_header_parse(data, n, &whole);
    if (r == PROXY_DONE)
        check_done(&whole, data, n);
    CHECK(r != PROXY_MORE || n < PROXY_HEADER_MAX);
    for (size_t k = 0; k < n; k += 1 + k / 8) {
        uint8_t *copy = malloc(k ? k : 1); /* so that reading behind it is found */
        CHECK(copy);
        memcpy(copy, data, k);
        enum proxy_result early = proxy_header_parse(copy, k, &part);
        free(copy);
        if (early == PROXY_DONE)
            CHECK(r == PROXY_DONE && part.cert_name.n == whole.cert_name.n && part.size == whole.size &&
                  strcmp(part.address, whole.address) == 0);
        if (early == PROXY_BAD || early == PROXY_CHECKSUM)
            CHECK(r == early);
    }
    return 0;
}
