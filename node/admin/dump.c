/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_N = 12, ENTRY_HEAD_N = 5, HASH_N = 32, KEPT_N = 64 * 1024 };

static const char magic[8] = {'C', 'O', 'V', 'E', 'Y', 'D', 'M', 'P'};

/* ---- writing -------------------------------------------------------------------------------------- */

static void put(struct dump_writer *w, const void *p, size_t n)
{
    crypto_generichash_update(&w->hash, p, n);
    if (n && fwrite(p, 1, n, w->file) != n && !w->failed)
        w->failed = ERR_IO;
}

enum err dump_create(struct dump_writer *w, const char *path)
{
    uint8_t head[HEAD_N];
    *w = (struct dump_writer){.file = NULL};
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? ERR_EXISTS : ERR_IO;
    w->file = fdopen(fd, "w");
    if (!w->file) {
        close(fd);
        return ERR_IO;
    }
    crypto_generichash_init(&w->hash, NULL, 0, HASH_N);
    memcpy(head, magic, sizeof magic);
    be32_put(head + sizeof magic, DUMP_VERSION);
    put(w, head, sizeof head);
    return OK;
}

void dump_put(struct dump_writer *w, enum dump_type type, struct bytes a, struct bytes b)
{
    uint8_t head[ENTRY_HEAD_N] = {(uint8_t)type};
    be32_put(head + 1, a.n + b.n);
    put(w, head, sizeof head);
    put(w, a.p, a.n);
    put(w, b.p, b.n);
    w->entries++;
}

enum err dump_finish(struct dump_writer *w)
{
    uint8_t count[8], hash[HASH_N];
    be64_put(count, w->entries);
    dump_put(w, DUMP_END, bytes_of(count, sizeof count), bytes_of(NULL, 0));
    crypto_generichash_final(&w->hash, hash, sizeof hash);
    if (fwrite(hash, 1, sizeof hash, w->file) != sizeof hash)
        w->failed = ERR_IO;
    if (fflush(w->file) != 0 || fsync(fileno(w->file)) != 0)
        w->failed = ERR_IO;
    int error = errno;
    if (fclose(w->file) != 0)
        w->failed = ERR_IO;
    else
        errno = error;
    w->file = NULL;
    return w->failed;
}

void dump_abandon(struct dump_writer *w)
{
    if (w->file)
        fclose(w->file);
    w->file = NULL;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static bool take(struct dump_reader *r, void *out, size_t n)
{
    if (n > r->left || fread(out, 1, n, r->file) != n)
        return false;
    r->left -= n;
    return true;
}

static bool take_hashed(struct dump_reader *r, void *out, size_t n)
{
    if (!take(r, out, n))
        return false;
    crypto_generichash_update(&r->hash, out, n);
    return true;
}

enum err dump_open(struct dump_reader *r, FILE *file, uint64_t bytes)
{
    uint8_t head[HEAD_N];
    *r = (struct dump_reader){.file = file, .left = bytes};
    crypto_generichash_init(&r->hash, NULL, 0, HASH_N);
    if (!take_hashed(r, head, sizeof head))
        return ferror(file) ? ERR_IO : ERR_INVALID;
    if (memcmp(head, magic, sizeof magic) != 0)
        return ERR_INVALID;
    return be32_get(head + sizeof magic) == DUMP_VERSION ? OK : ERR_VERSION;
}

/* Room for n bytes, which the file has; large ones are not kept for small ones. */
static bool entry_room(struct dump_reader *r, size_t n)
{
    if (n <= r->entry_size && r->entry_size <= KEPT_N)
        return true;
    free(r->entry);
    r->entry_size = n > KEPT_N ? n : KEPT_N;
    r->entry = malloc(r->entry_size);
    return r->entry != NULL;
}

/* Behind the last entry. */
static enum err end_check(struct dump_reader *r, struct bytes count)
{
    uint8_t hash[HASH_N], told[HASH_N];
    crypto_generichash_final(&r->hash, hash, sizeof hash);
    if (count.n != 8 || be64_get(count.p) != r->entries || !take(r, told, sizeof told) || r->left != 0 ||
        memcmp(hash, told, sizeof hash) != 0)
        return ERR_CORRUPT;
    return ERR_NOTFOUND;
}

enum err dump_next(struct dump_reader *r, enum dump_type *type, struct bytes *out)
{
    uint8_t head[ENTRY_HEAD_N];
    if (!take_hashed(r, head, sizeof head))
        return ERR_CORRUPT;
    uint32_t n = be32_get(head + 1);
    if (head[0] >= DUMP_TYPES || n > r->left)
        return ERR_CORRUPT;
    if (!entry_room(r, n)) {
        r->entry_size = 0;
        return ERR_NOMEM;
    }
    if (!take_hashed(r, r->entry, n))
        return ERR_CORRUPT;
    *type = (enum dump_type)head[0];
    *out = bytes_of(r->entry, n);
    if (*type == DUMP_END)
        return end_check(r, *out);
    r->entries++;
    return OK;
}

void dump_close(struct dump_reader *r)
{
    if (r->file)
        fclose(r->file);
    free(r->entry);
    *r = (struct dump_reader){.file = NULL};
}
