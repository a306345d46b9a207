/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/accounts.h"
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/admin/transfer.h"
#include "node/core/bans.h"
#include "node/core/delayed.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/mqtt/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* `covey ctl export` and `import`: what takes a node's data to another machine. Both work in pieces on the
 * admin thread, which alone touches the file. */

enum { PIECE_BYTES = 1 << 20, PIECE_ENTRIES = 1000, PROGRESS_MS = 10000 };
enum phase { EXPORT_RETAINED, EXPORT_DELAYED, EXPORT_BANS, EXPORT_USERS, EXPORT_KEYS, EXPORT_END };

struct transfer {
    struct dump_writer out;
    struct dump_reader in;
    struct transfer_batch batch;
    struct transfer_counts counts; /* written, or found by the check */
    char *path;
    enum phase phase;
    size_t piece_bytes;
    bool is_out; /* the file is being written: it goes when it is not finished */
    bool is_checked;
};

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    dump_abandon(&t->out);
    dump_close(&t->in);
    if (t->is_out)
        unlink(t->path);
    text_fini(&t->batch.kept);
    free(t->path);
    free(t);
}

static struct transfer *transfer_new(struct call *c)
{
    struct transfer *t = mem_zalloc(sizeof *t);
    t->path = mem_dup(c->args[0], strlen(c->args[0]));
    c->transfer = t;
    return t;
}

static void fail(struct call *c, const char *what)
{
    c->status = 1;
    text_escaped(&c->out, bytes_str(c->transfer->path), "");
    text_printf(&c->out, ": %s.\n", what);
}

static void counts_put(struct text *out, const char *verb, const struct transfer_counts *n)
{
    text_printf(out,
                "%s: %llu retained messages, %llu delayed messages, %llu bans, %llu users, %llu API keys\n",
                verb, (unsigned long long)n->of[DUMP_RETAINED], (unsigned long long)n->of[DUMP_DELAYED],
                (unsigned long long)n->of[DUMP_BANS], (unsigned long long)n->of[DUMP_USER],
                (unsigned long long)n->of[DUMP_KEY]);
}

/* Who waits for a large file sees that it goes on. */
static void progress_put(struct call *c, const char *verb, uint64_t messages)
{
    uint64_t now = mono_ms();
    if (!c->waiting.told_ms)
        c->waiting.told_ms = now;
    if (now - c->waiting.told_ms < PROGRESS_MS)
        return;
    c->waiting.told_ms = now;
    text_printf(&c->out, "%s %llu retained messages so far\n", verb, (unsigned long long)messages);
}

/* ---- export --------------------------------------------------------------------------------------- */

static void entry_write(struct transfer *t, enum dump_type type, struct bytes a, struct bytes b)
{
    dump_put(&t->out, type, a, b);
    t->counts.of[type] += type != DUMP_BANS;
    t->piece_bytes += a.n + b.n;
}

/* What the node itself publishes is not taken along. */
static bool retained_write(void *arg, struct bytes topic, struct bytes record)
{
    struct transfer *t = arg;
    if (!bytes_starts(topic, bytes_str("$SYS/")))
        entry_write(t, DUMP_RETAINED, record, bytes_of(NULL, 0));
    return t->piece_bytes < PIECE_BYTES;
}

/* Records of a table whose keys begin so, from behind the last one on. True: there are more. */
static bool records_write(struct call *c, enum store_table table, struct bytes prefix,
                          void (*fn)(struct transfer *t, struct bytes key, struct bytes value))
{
    struct retained_walk *w = &c->listing.retained;
    struct transfer *t = c->transfer;
    struct bytes key, value, from = w->key_n ? bytes_of(w->key, w->key_n) : prefix;
    unsigned entries = 0;
    if (store_read_begin(w->reader) != OK) {
        t->out.failed = ERR_IO;
        return false;
    }
    enum err e = store_seek(w->reader, table, from, &key, &value);
    for (; e == OK && bytes_starts(key, prefix); e = store_next(w->reader, &key, &value)) {
        if (w->key_n && bytes_cmp(key, bytes_of(w->key, w->key_n)) <= 0)
            continue;
        if (++entries > PIECE_ENTRIES || t->piece_bytes >= PIECE_BYTES)
            break;
        memcpy(w->key, key.p, key.n);
        w->key_n = key.n;
        fn(t, key, value);
    }
    bool more = e == OK && bytes_starts(key, prefix);
    store_read_end(w->reader);
    return more;
}

static void delayed_write(struct transfer *t, struct bytes key, struct bytes value)
{
    if (key.n == DELAYED_KEY_N)
        entry_write(t, DUMP_DELAYED, key, value);
}

static void account_write(struct transfer *t, struct bytes key, struct bytes value)
{
    bool is_user = t->phase == EXPORT_USERS;
    uint32_t n = (uint32_t)strlen(account_prefix(is_user ? ACCOUNT_USER : ACCOUNT_KEY));
    struct text entry = {0};
    text_append(&entry, bytes_of(key.p + n, key.n - n));
    text_append(&entry, bytes_of("", 1));
    entry_write(t, is_user ? DUMP_USER : DUMP_KEY, bytes_of(entry.p, entry.n), value);
    text_fini(&entry);
}

struct bans_ask {
    uint32_t *place;
    struct rpc_buf buf;
    bool more;
};

static void bans_call(struct shard *sh, void *arg)
{
    struct bans_ask *a = arg;
    a->more = bans_list(sh, a->place, &a->buf);
}

static bool bans_write(struct call *c)
{
    struct transfer *t = c->transfer;
    struct bans_ask a = {.place = &c->listing.place};
    shard_ask(c->env->conf.io, 0, bans_call, &a);
    if (a.buf.n && transfer_check(DUMP_BANS, rpc_buf_bytes(&a.buf), &t->counts))
        entry_write(t, DUMP_BANS, rpc_buf_bytes(&a.buf), bytes_of(NULL, 0));
    rpc_buf_fini(&a.buf);
    return a.more;
}

/* A piece of the phase; false: it is over. */
static bool phase_run(struct call *c)
{
    static const uint8_t first = 0;
    switch (c->transfer->phase) {
    case EXPORT_RETAINED:
        return retained_walk_piece(&c->listing.retained, bytes_of(NULL, 0), retained_write, c->transfer);
    case EXPORT_DELAYED:
        return records_write(c, STORE_DELAYED, bytes_of(&first, 1), delayed_write);
    case EXPORT_BANS:
        return bans_write(c);
    case EXPORT_USERS:
        return records_write(c, STORE_META, bytes_str(account_prefix(ACCOUNT_USER)), account_write);
    case EXPORT_KEYS:
        return records_write(c, STORE_META, bytes_str(account_prefix(ACCOUNT_KEY)), account_write);
    case EXPORT_END:
        break;
    }
    return false;
}

static bool export_produce(struct call *c)
{
    struct transfer *t = c->transfer;
    t->piece_bytes = 0;
    if (!phase_run(c)) {
        c->listing.retained.key_n = 0;
        t->phase++;
    }
    progress_put(c, "Exported", t->counts.of[DUMP_RETAINED]);
    if (t->phase != EXPORT_END && !t->out.failed)
        return true;
    enum err e = dump_finish(&t->out);
    t->is_out = e != OK;
    if (e != OK)
        fail(c, errno ? strerror(errno) : "The store cannot be read");
    else
        counts_put(&c->out, "Exported", &t->counts);
    return false;
}

static void export(struct call *c)
{
    struct transfer *t = transfer_new(c);
    enum err e = dump_create(&t->out, t->path);
    t->is_out = e == OK;
    if (e == ERR_EXISTS)
        fail(c, "There is such a file already");
    else if (e != OK)
        fail(c, strerror(errno));
    else if (retained_walk_begin(&c->listing.retained, c->env->conf.store) != OK)
        fail(c, "The store cannot be read");
    else
        c->produce = export_produce;
}

/* ---- import --------------------------------------------------------------------------------------- */

static const char *err_text(enum err e)
{
    switch (e) {
    case ERR_INVALID:
        return "This is no file that covey ctl export has written";
    case ERR_VERSION:
        return "It was written by a version of Covey that this one does not read";
    case ERR_CORRUPT:
        return "It is damaged; nothing was imported";
    case ERR_NOMEM:
        return "There is not enough memory";
    default:
        return strerror(errno);
    }
}

static bool file_open(struct call *c)
{
    struct transfer *t = c->transfer;
    struct stat st;
    int fd = open(t->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        fail(c, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    FILE *file = S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
    if (!file) {
        close(fd);
        fail(c, "This is no file that covey ctl export has written");
        return false;
    }
    enum err e = dump_open(&t->in, file, (uint64_t)st.st_size);
    if (e != OK)
        fail(c, err_text(e));
    return e == OK;
}

/* OK: there is more. */
static enum err check_piece(struct transfer *t)
{
    enum dump_type type;
    struct bytes entry;
    size_t bytes = 0;
    for (unsigned i = 0; i < PIECE_ENTRIES && bytes < PIECE_BYTES; i++) {
        enum err e = dump_next(&t->in, &type, &entry);
        if (e != OK)
            return e;
        if (!transfer_check(type, entry, &t->counts))
            return ERR_CORRUPT;
        bytes += entry.n;
    }
    return OK;
}

static enum err apply_piece(struct call *c)
{
    struct transfer *t = c->transfer;
    enum dump_type type;
    struct bytes entry;
    enum err e;
    struct transfer_counts unused = {0};
    do {
        e = dump_next(&t->in, &type, &entry);
        /* The file may have changed since the check. */
        if (e == OK && !transfer_check(type, entry, &unused))
            e = ERR_CORRUPT;
    } while (e == OK && transfer_add(&t->batch, type, entry));
    if (e != OK && e != ERR_NOTFOUND)
        return e;
    return transfer_apply(&t->batch, c->env->conf.io) == RC_SUCCESS ? e : ERR_NOSPC;
}

static void import_report(struct call *c, enum err e)
{
    const struct transfer_counts *n = &c->transfer->batch.counts;
    if (c->env->accounts)
        accounts_read_again(c->env->accounts);
    counts_put(&c->out, "Imported", n);
    if (n->over)
        text_printf(&c->out, "Left out: %llu whose time is over\n", (unsigned long long)n->over);
    if (n->refused) {
        c->status = 1;
        text_printf(&c->out, "Refused by the limits of this node: %llu\n", (unsigned long long)n->refused);
    }
    if (e == ERR_NOSPC)
        call_fail(c, "That is not all: the store cannot be written.");
    else if (e != ERR_NOTFOUND)
        call_fail(c, "That is not all: the file has changed while it was read.");
}

static bool import_produce(struct call *c)
{
    struct transfer *t = c->transfer;
    enum err e = t->is_checked ? apply_piece(c) : check_piece(t);
    progress_put(c, t->is_checked ? "Imported" : "Checked",
                 t->is_checked ? t->batch.counts.of[DUMP_RETAINED] : t->counts.of[DUMP_RETAINED]);
    if (e == OK)
        return true;
    if (t->is_checked) {
        import_report(c, e);
        return false;
    }
    if (e != ERR_NOTFOUND) {
        fail(c, err_text(e));
        return false;
    }
    t->is_checked = true;
    dump_close(&t->in);
    return file_open(c);
}

static void import(struct call *c)
{
    transfer_new(c);
    if (file_open(c))
        c->produce = import_produce;
}

const struct command commands_transfer[] = {
    {"export", NULL, "<file>", "Write retained and delayed messages, bans, users and API keys to a new file",
     1, 1, COMMAND_CHANGES, export},
    {"import", NULL, "<file>", "Check such a file, and take in what it has", 1, 1, COMMAND_CHANGES, import},
    {"data", "export", "<file>", "The same as export", 1, 1, COMMAND_CHANGES, export},
    {"data", "import", "<file>", "The same as import", 1, 1, COMMAND_CHANGES, import},
    {0},
};
