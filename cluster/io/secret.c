/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 4096 };

/* ---- keys from text -------------------------------------------------------------------------------- */

static void derive(uint8_t *out, size_t n, const char *label, const uint8_t root[SECRET_KEY_N])
{
    uint8_t full[SECRET_KEY_N];

    crypto_generichash(full, sizeof full, (const uint8_t *)label, strlen(label), root, SECRET_KEY_N);
    memcpy(out, full, n);
    sodium_memzero(full, sizeof full);
}

static void key_make(struct secret_key *k, struct bytes text, const char *domain)
{
    uint8_t root[SECRET_KEY_N];

    crypto_generichash(root, sizeof root, text.p, text.n, (const uint8_t *)domain, strlen(domain));
    derive(k->id, sizeof k->id, "covey key id", root);
    derive(k->link, sizeof k->link, "covey link", root);
    derive(k->datagram, sizeof k->datagram, "covey datagram", root);
    derive(k->first, sizeof k->first, "covey first password", root);
    sodium_memzero(root, sizeof root);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim(struct bytes b)
{
    while (b.n && is_blank(b.p[0]))
        b.p++, b.n--;
    while (b.n && is_blank(b.p[b.n - 1]))
        b.n--;
    return b;
}

enum err secret_parse(struct secret *out, struct bytes text, unsigned *line)
{
    struct secret s = {0};

    *line = 0;
    while (text.n) {
        const uint8_t *nl = memchr(text.p, '\n', text.n);
        uint32_t n = nl ? (uint32_t)(nl - text.p) : text.n;
        struct bytes key = trim(bytes_of(text.p, n));
        n += nl != NULL;
        text = bytes_of(text.p + n, text.n - n);
        ++*line;
        if (key.n == 0)
            continue;
        if (key.n < SECRET_CHARS_MIN || s.n == SECRET_KEYS_MAX) {
            secret_fini(&s);
            return ERR_INVALID;
        }
        key_make(&s.keys[s.n++], key, "covey secret file");
    }
    if (s.n == 0)
        return ERR_INVALID;
    *out = s;
    secret_fini(&s);
    return OK;
}

void secret_from_name(struct secret *out, const char *cluster)
{
    *out = (struct secret){.n = 1};
    key_make(&out->keys[0], bytes_str(cluster), "covey no secret");
}

void secret_fini(struct secret *s)
{
    sodium_memzero(s, sizeof *s);
}

const struct secret_key *secret_find(const struct secret *s, const uint8_t id[SECRET_ID_N])
{
    for (uint32_t i = 0; i < s->n; i++)
        if (memcmp(s->keys[i].id, id, SECRET_ID_N) == 0)
            return &s->keys[i];
    return NULL;
}

/* ---- the file -------------------------------------------------------------------------------------- */

static struct secret_mark mark_of(const struct stat *st)
{
    return (struct secret_mark){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool time_eq(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool secret_has_changed(const char *path, const struct secret_mark *mark)
{
    struct stat st;
    struct secret_mark now = {0};

    if (stat(path, &st) == 0)
        now = mark_of(&st);
    return now.dev != mark->dev || now.ino != mark->ino || now.size != mark->size ||
           !time_eq(now.mtime, mark->mtime) || !time_eq(now.ctime, mark->ctime);
}

static enum err unreadable(const char *path, int error, struct log_sink *log)
{
    LOG(log, LOG_ERROR, "cluster secret_unreadable file=%s error=\"%s\"", path, strerror(error));
    return error == ENOENT ? ERR_NOTFOUND : ERR_DENIED;
}

static enum err parse_logged(struct secret *out, const char *path, struct bytes text, struct log_sink *log)
{
    unsigned line;
    enum err e = secret_parse(out, text, &line);

    if (e != OK)
        LOG(log, LOG_ERROR,
            "cluster secret_malformed file=%s line=%u expected=\"1 to %d lines of at least %d characters\"",
            path, line, SECRET_KEYS_MAX, SECRET_CHARS_MIN);
    return e;
}

static enum err load_open(struct secret *out, const char *path, int fd, struct secret_mark *mark,
                          struct log_sink *log)
{
    uint8_t text[FILE_BYTES_MAX];
    struct stat st;
    ssize_t n;
    enum err e;

    if (fstat(fd, &st) != 0)
        return unreadable(path, errno, log);
    *mark = mark_of(&st);
    if (!S_ISREG(st.st_mode) || st.st_mode & 077) {
        LOG(log, LOG_ERROR,
            "cluster secret_exposed file=%s mode=%04o hint=\"a regular file that only its owner may read: "
            "chmod 600\"",
            path, st.st_mode & 07777u);
        return ERR_DENIED;
    }
    n = read(fd, text, sizeof text);
    if (n < 0)
        return unreadable(path, errno, log);
    if (n == sizeof text) /* and perhaps more: no key of that length was meant */
        n = 0;
    e = parse_logged(out, path, bytes_of(text, (size_t)n), log);
    sodium_memzero(text, sizeof text);
    return e;
}

enum err secret_load(struct secret *out, const char *path, struct secret_mark *mark, struct log_sink *log)
{
    struct secret_mark unused;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum err e;

    if (!mark)
        mark = &unused;
    *mark = (struct secret_mark){0};
    if (fd < 0)
        return unreadable(path, errno, log);
    e = load_open(out, path, fd, mark, log);
    close(fd);
    return e;
}
