/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/cluster/dns.h"

#include "proto/base/bytes.h"
#include "proto/base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ROOM = 512, HEAD_N = 12, A = 1, AAAA = 28, SRV = 33 };

/* The name at p as text with a dot behind each label. Answers the place behind it. */
static const uint8_t *name_read(const uint8_t *p, const uint8_t *end, char out[256])
{
    size_t n = 0;

    while (p < end && *p && p + 1 + *p < end && n + *p + 2 < 256) {
        memcpy(out + n, p + 1, *p);
        n += *p;
        out[n++] = '.';
        p += 1 + *p;
    }
    out[n] = '\0';
    return p + 1;
}

static uint8_t *record_head(uint8_t *p, uint16_t type, uint16_t n)
{
    p = be16_put(p, 0xc000 | HEAD_N); /* the name that was asked for */
    p = be32_put(be16_put(be16_put(p, type), 1), 1);
    return be16_put(p, n);
}

static uint8_t *answer_put(uint8_t *p, const char *name, uint16_t type, uint16_t *answers)
{
    static const uint8_t target[] = "\0\0\0\0\x1b\x59\4node\4test";
    static const uint8_t v6[16] = {[15] = 1};

    if (strcmp(name, "node.test.") == 0 && type == A) {
        for (uint8_t i = 21; i <= 22; i++) {
            p = record_head(p, A, 4);
            p = bytes_put(p, bytes_of((const uint8_t[]){127, 0, 0, i}, 4));
        }
        *answers = 2;
    } else if (strcmp(name, "v6.test.") == 0 && type == AAAA) {
        p = bytes_put(record_head(p, AAAA, 16), bytes_of(v6, 16));
        *answers = 1;
    } else if (strcmp(name, "_covey._tcp.test.") == 0 && type == SRV) {
        p = bytes_put(record_head(p, SRV, sizeof target), bytes_of(target, sizeof target));
        *answers = 1;
    }
    return p;
}

static void serve(struct dns *d)
{
    uint8_t b[ROOM];
    char name[256];
    struct sockaddr_in from;
    socklen_t from_n = sizeof from;
    ssize_t n = recvfrom(d->fd, b, ROOM, 0, (struct sockaddr *)&from, &from_n);
    uint16_t type, answers = 0;
    uint8_t *p;

    if (n < HEAD_N + 5)
        return;
    p = b + (name_read(b + HEAD_N, b + n, name) - b);
    type = be16_get(p);
    p += 4;
    d->asked++;
    if (!d->is_mute)
        p = answer_put(p, name, type, &answers);
    be16_put(b + 2, answers ? 0x8180 : 0x8183);
    be16_put(b + 6, answers);
    be32_put(b + 8, 0);
    sendto(d->fd, b, (size_t)(p - b), 0, (struct sockaddr *)&from, from_n);
}

static void *dns_main(void *arg)
{
    struct dns *d = arg;
    struct pollfd p[2] = {{.fd = d->fd, .events = POLLIN}, {.fd = d->stop_fd, .events = POLLIN}};

    while (poll(p, 2, -1) > 0 && !p[1].revents)
        serve(d);
    return NULL;
}

void dns_start(struct dns *d)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;

    memset(d, 0, sizeof *d);
    d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    d->stop_fd = eventfd(0, EFD_CLOEXEC);
    CHECK(d->fd >= 0 && d->stop_fd >= 0 && bind(d->fd, (struct sockaddr *)&in, sizeof in) == 0);
    CHECK(getsockname(d->fd, (struct sockaddr *)&in, &n) == 0);
    snprintf(d->address, sizeof d->address, "127.0.0.1:%u", ntohs(in.sin_port));
    CHECK(pthread_create(&d->thread, NULL, dns_main, d) == 0);
}

void dns_stop(struct dns *d)
{
    uint64_t one = 1;

    CHECK(write(d->stop_fd, &one, sizeof one) == (ssize_t)sizeof one);
    pthread_join(d->thread, NULL);
    close(d->fd);
    close(d->stop_fd);
}
