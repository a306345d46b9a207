/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/app/prompt.h"
#include "node/auth/pwhash.h"
#include "node/auth/pwtext.h"
#include "node/auth/users.h"
#include "node/io/filetext.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* covey passwd: the password file is read, changed in memory, written beside and moved into place, so that a
 * node that reads it meanwhile sees the old one or the new one. */

enum { LINE_MAX_BYTES = USER_NAME_MAX + 1 + PROMPT_PASSWORD_MAX + 2 };

struct passwd {
    const struct config *conf;
    const char *file;
    const char *user;
    bool create;
    bool delete;
    bool batch;
    bool scram;
    uint32_t iterations; /* of SCRAM */
    char *text;          /* of the file, as it is to be */
    size_t n;
    unsigned changed;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "covey passwd: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    return 1;
}

/* ---- the text of the file ------------------------------------------------------------------------- */

/* The line of a user, its newline included; NULL: there is none. */
static char *line_find(const struct passwd *p, const char *user, size_t user_n, size_t *line_n)
{
    for (char *at = p->text, *end = p->text + p->n, *next; at < end; at = next) {
        next = (char *)memchr(at, '\n', (size_t)(end - at)) + 1; /* it was parsed: each line ends */
        *line_n = (size_t)(next - at);
        if (*line_n > user_n && at[user_n] == ':' && memcmp(at, user, user_n) == 0)
            return at;
    }
    return NULL;
}

static bool line_del(struct passwd *p, const char *user, size_t user_n)
{
    size_t n;
    char *at = line_find(p, user, user_n, &n);
    if (!at)
        return false;
    memmove(at, at + n, p->n - n - (size_t)(at - p->text));
    p->n -= n;
    return true;
}

static void line_add(struct passwd *p, const char *name, size_t name_n, const char *value)
{
    size_t value_n = strlen(value);
    p->text = mem_realloc(p->text, p->n + name_n + value_n + 2);
    memcpy(p->text + p->n, name, name_n);
    p->n += name_n;
    p->text[p->n++] = ':';
    memcpy(p->text + p->n, value, value_n);
    p->n += value_n;
    p->text[p->n++] = '\n';
}

/* What the verifiers of unknown names are invented from; once in a file. */
static void scram_seed_add(struct passwd *p)
{
    const char name[] = USERS_SCRAM_SEED;
    size_t name_n = sizeof name - 2, line_n; /* the colon is line_add()'s */
    uint8_t seed[SCRAM_KEY_N];
    char text[sodium_base64_ENCODED_LEN(SCRAM_KEY_N, sodium_base64_VARIANT_ORIGINAL)];
    if (line_find(p, name, name_n, &line_n))
        return;
    randombytes_buf(seed, sizeof seed);
    sodium_bin2base64(text, sizeof text, seed, sizeof seed, sodium_base64_VARIANT_ORIGINAL);
    line_add(p, name, name_n, text);
}

static int verifier_make(struct passwd *p, char *out, struct bytes password)
{
    struct scram_verifier v = {.iterations = p->iterations, .salt_n = SCRAM_SALT_N};
    randombytes_buf(v.salt, SCRAM_SALT_N);
    if (!scram_verifier_make(&v, password))
        return fail("no PBKDF2 in the cryptographic library", NULL);
    scram_verifier_write(&v, out);
    scram_seed_add(p);
    return 0;
}

static int user_set(struct passwd *p, const char *user, size_t user_n, const char *password, size_t n)
{
    char hash[PWHASH_TEXT_MAX + 1];
    const char *why = user_name_judge(bytes_of(user, user_n));
    if (why)
        return fail(why, NULL);
    if (n == 0)
        return fail("the password must not be empty", NULL);
    if (p->scram && verifier_make(p, hash, bytes_of(password, n)) != 0)
        return 1;
    if (!p->scram && crypto_pwhash_str_alg(hash, password, n, p->conf->auth.argon2_passes,
                                           p->conf->auth.argon2_memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fail("no memory for the hash; see authentication.argon2.memory", NULL);
    line_del(p, user, user_n);
    line_add(p, user, user_n, hash);
    p->changed++;
    return 0;
}

/* ---- files ---------------------------------------------------------------------------------------- */

static int file_read(struct passwd *p)
{
    struct filetext t;
    struct users users;
    struct users_fault fault;
    enum err e = filetext_read(&t, p->file, USERS_FILE_BYTES_MAX);
    if (p->create)
        return e == ERR_NOTFOUND ? 0 : fail(p->file, e == OK ? "is there already" : err_name(e));
    if (e == ERR_NOTFOUND)
        return fail(p->file, "is not there; \"covey passwd create\" begins a new one");
    if (e != OK)
        return fail(p->file, err_name(e));
    if (!users_parse(&users, bytes_of(t.p, t.n), &fault)) {
        fprintf(stderr, "covey passwd: %s:%u: %s\n", p->file, fault.line, fault.what);
        filetext_fini(&t);
        return 1;
    }
    users_fini(&users);
    p->text = t.p;
    p->n = t.n;
    return 0;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t r = write(fd, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

/* The owner of the file stays the owner: root changes it for the user that the node runs as. */
static void owner_keep(int fd, const char *file)
{
    struct stat st;
    if (geteuid() == 0 && stat(file, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) != 0)
        fail(file, "the owner could not be kept");
}

static int file_write(const struct passwd *p)
{
    size_t n = strlen(p->file) + sizeof ".XXXXXX";
    char *beside = mem_alloc(n);
    snprintf(beside, n, "%s.XXXXXX", p->file);
    int fd = mkstemp(beside); /* 0600 */
    bool ok = fd >= 0;
    if (ok)
        owner_keep(fd, p->file);
    ok = ok && write_all(fd, p->text, p->n) && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(beside, p->file) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok && fd >= 0)
        unlink(beside);
    free(beside);
    return ok ? 0 : fail(p->file, strerror(why));
}

/* Two at a time would each lose what the other one did. The folder is locked, for the file is replaced. */
static int lock_take(const struct passwd *p)
{
    const char *slash = strrchr(p->file, '/');
    size_t n = slash ? (size_t)(slash - p->file) + 1 : 0;
    char *folder = n ? mem_dup(p->file, n) : mem_dup("./", 2);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        fail(folder, strerror(errno));
    free(folder);
    return fd;
}

/* ---- passwords ------------------------------------------------------------------------------------ */

static int user_asked(struct passwd *p)
{
    static char password[PROMPT_PASSWORD_MAX + 2];
    size_t n;
    const char *fault = prompt_password(password, &n);
    int status = fault ? fail(fault, NULL) : user_set(p, p->user, strlen(p->user), password, n);
    sodium_memzero(password, sizeof password);
    return status;
}

static int users_batch(struct passwd *p)
{
    static char line[LINE_MAX_BYTES];
    ssize_t n;
    unsigned number = 0;
    int status = 0;
    while (status == 0 && (n = prompt_line(stdin, line, sizeof line)) >= 0) {
        char *colon = strchr(line, ':');
        number++;
        if (n == 0)
            continue;
        if (!colon)
            status = fail("a line is not USER:PASSWORD", NULL);
        else
            status = user_set(p, line, (size_t)(colon - line), colon + 1, strlen(colon + 1));
        if (status)
            fprintf(stderr, "covey passwd: nothing was changed, because of line %u of the input\n", number);
    }
    if (status == 0 && !feof(stdin))
        status = fail("a line of the input is too long", NULL);
    sodium_memzero(line, sizeof line);
    return status;
}

/* ---- the command ---------------------------------------------------------------------------------- */

static int users_change(struct passwd *p)
{
    if (p->batch)
        return users_batch(p);
    if (!p->user)
        return 0;
    if (p->delete) {
        p->changed = 1;
        return line_del(p, p->user, strlen(p->user)) ? 0 : fail(p->user, "there is no such user");
    }
    return user_asked(p);
}

static bool verb_read(struct passwd *p, const char *verb)
{
    p->create = strcmp(verb, "create") == 0;
    p->delete = strcmp(verb, "delete") == 0;
    return p->create || p->delete || strcmp(verb, "add") == 0;
}

static bool iterations_read(struct passwd *p, const char *word)
{
    unsigned long n;
    const char *end = pwtext_number_take(word, SCRAM_ITERATIONS_MAX, &n);
    p->iterations = (uint32_t)n;
    return end && *end == 0 && n >= SCRAM_ITERATIONS_MIN;
}

/* What belongs together; the words are all read. */
static bool words_fit(const struct passwd *p)
{
    if ((p->scram && p->delete) || (p->iterations && !p->scram))
        return false;
    if (p->batch || (p->create && !p->user))
        return !p->user && !p->delete;
    return p->user != NULL;
}

static bool words_read(struct passwd *p, const struct cli *cli)
{
    if (cli->args_n == 0 || !verb_read(p, cli->args[0]))
        return false;
    for (size_t i = 1; i < cli->args_n; i++) {
        const char *w = cli->args[i];
        bool has_more = i + 1 < cli->args_n;
        if (strcmp(w, "--batch") == 0)
            p->batch = true;
        else if (strcmp(w, "--scram") == 0)
            p->scram = true;
        else if (strcmp(w, "--iterations") == 0 && has_more && iterations_read(p, cli->args[i + 1]))
            i++;
        else if (strcmp(w, "--file") == 0 && has_more)
            p->file = cli->args[++i];
        else if (p->user || (w[0] == '-' && w[1] == '-'))
            return false;
        else
            p->user = w;
    }
    if (!words_fit(p))
        return false;
    if (!p->iterations)
        p->iterations = SCRAM_ITERATIONS;
    return true;
}

static int passwd_run(struct passwd *p)
{
    int lock = lock_take(p);
    if (lock < 0)
        return 1;
    int status = file_read(p);
    if (status == 0)
        status = users_change(p);
    if (status == 0 && (p->changed || p->create))
        status = file_write(p);
    close(lock);
    free(p->text);
    return status;
}

int cli_passwd(const struct cli *cli)
{
    struct passwd p = {0};
    if (!words_read(&p, cli)) {
        fprintf(stderr, "covey passwd: see \"covey passwd --help\"\n");
        return 1;
    }
    struct config *conf = cli_config_load(cli, CONFIG_FILES_IGNORED);
    if (!conf)
        return 1;
    p.conf = conf;
    if (!p.file)
        p.file = conf->auth.password_file;
    int status = 1;
    if (*p.file == 0)
        fail("which file? Set authentication.password_file, or give --file FILE", NULL);
    else if (sodium_init() < 0)
        fail("no random numbers from the system", NULL);
    else
        status = passwd_run(&p);
    config_free(conf);
    return status;
}
