/* SPDX-License-Identifier: Apache-2.0 */
/* covey-bench-tls: MQTT connections over TLS 1.3, one after the other; what they cost is read from the
 * broker's CPU clock, so the speed of this program does not count.
 *
 *     covey-bench-tls full PORT PID SECONDS       a whole handshake, CONNECT, CONNACK, close; again and again
 *     covey-bench-tls resumed PORT PID SECONDS    the same, each with the ticket of the one before
 *     covey-bench-tls idle PORT PID COUNT         COUNT that stay and say nothing
 *
 * Prints a line `NAME VALUE` for each figure. */
#include "bench/load/broker.h"
#include "bench/load/clock.h"
#include "bench/load/die.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 50, REST_US = 1000000 };

static SSL_CTX *ctx;
static SSL_SESSION *ticket; /* the latest; NULL: none */
static struct sockaddr_in broker_addr;

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = session;
    return 1; /* it is ours */
}

static int tcp_open(void)
{
    struct linger at_once = {1, 0}; /* no TIME_WAIT */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&broker_addr, sizeof(broker_addr)) != 0)
        die("no connection to the broker");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    return fd;
}

/* The handshake, CONNECT and CONNACK. */
static SSL *client_open(uint32_t number, bool resumes)
{
    uint8_t packet[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}, answer[4];
    SSL *ssl = SSL_new(ctx);
    if (!ssl || !SSL_set_fd(ssl, tcp_open()))
        die("no TLS connection");
    if (resumes && ticket)
        SSL_set_session(ssl, ticket);
    if (SSL_connect(ssl) != 1 || SSL_version(ssl) != TLS1_3_VERSION)
        die("no handshake of TLS 1.3");
    int id = snprintf((char *)packet + 14, 40, "tls%07u", number);
    packet[13] = (uint8_t)id;
    packet[1] = (uint8_t)(12 + id);
    if (SSL_write(ssl, packet, 14 + id) != 14 + id)
        die("CONNECT was not taken");
    for (int n = 0, r; n < (int)sizeof(answer); n += r)
        if ((r = SSL_read(ssl, answer + n, (int)sizeof(answer) - n)) <= 0)
            die("the broker closed");
    if (answer[0] != 0x20 || answer[3] != 0)
        die("CONNACK says no: %d", answer[3]);
    return ssl;
}

static void client_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
}

static void handshakes(pid_t pid, double seconds, bool resumes)
{
    struct broker_usage from, to;
    uint32_t n = 0, resumed = 0;
    for (; n < FIRST; n++)
        client_close(client_open(n, resumes));
    broker_usage_get(pid, &from);
    uint64_t began = clock_now_ns();
    for (n = 0; (double)(clock_now_ns() - began) < seconds * 1e9; n++) {
        SSL *ssl = client_open(n, resumes);
        resumed += (uint32_t)SSL_session_reused(ssl);
        client_close(ssl);
    }
    broker_usage_get(pid, &to);
    if (resumed != (resumes ? n : 0))
        die("%u of %u were resumed", resumed, n);
    printf("handshakes %u\nrate_cpu %.1f\nrate_wall %.1f\n", n, n / ((double)(to.cpu_ns - from.cpu_ns) / 1e9),
           n / ((double)(clock_now_ns() - began) / 1e9));
}

static void idle(pid_t pid, uint32_t count)
{
    struct broker_memory before, after;
    struct rlimit all;
    getrlimit(RLIMIT_NOFILE, &all);
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_NOFILE, &all);
    for (uint32_t i = 0; i < FIRST; i++)
        client_open(i, false); /* what the first ones set up is not counted */
    usleep(REST_US);
    broker_memory_get(pid, &before);
    for (uint32_t i = 0; i < count; i++)
        client_open(FIRST + i, false);
    usleep(REST_US);
    broker_memory_get(pid, &after);
    printf("pss_bytes_each %.0f\nrss_bytes_each %.0f\n", (double)(after.pss_bytes - before.pss_bytes) / count,
           (double)(after.rss_bytes - before.rss_bytes) / count);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage: covey-bench-tls full|resumed|idle PORT PID SECONDS|COUNT");
    pid_t pid = (pid_t)strtol(argv[3], NULL, 10);
    broker_addr =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
    broker_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_ticket);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    double amount = strtod(argv[4], NULL);
    if (strcmp(argv[1], "idle") == 0)
        idle(pid, (uint32_t)amount);
    else
        handshakes(pid, amount, strcmp(argv[1], "resumed") == 0);
    return BENCH_EXIT_OK;
}
