/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/first_user.h"

#include "cluster/io/secret.h"
#include "node/admin/api/accounts.h"
#include "proto/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

enum { SALT_N = 32, SALT_TEXT_N = 2 * SALT_N + 1 };

/* ---- the password --------------------------------------------------------------------------------- */

static void password_of(char out[FIRST_PASSWORD_N + 1], const uint8_t bytes[FIRST_PASSWORD_N])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* none that looks like another */
    _Static_assert(sizeof letters - 1 == 32, "five bits make a letter");
    for (int i = 0; i < FIRST_PASSWORD_N; i++)
        out[i] = letters[bytes[i] % 32];
    out[FIRST_PASSWORD_N] = 0;
}

static void password_derive(char out[FIRST_PASSWORD_N + 1], const struct secret_key *key, const char *salt)
{
    uint8_t bytes[FIRST_PASSWORD_N];
    crypto_generichash(bytes, sizeof bytes, (const uint8_t *)salt, strlen(salt), key->first, SECRET_KEY_N);
    password_of(out, bytes);
    sodium_memzero(bytes, sizeof bytes);
}

static bool secret_read(struct secret *s, const struct admin_conf *conf)
{
    if (conf->secret_file && *conf->secret_file)
        return secret_load(s, conf->secret_file, NULL, conf->log) == OK;
    secret_from_name(s, conf->cluster_name ? conf->cluster_name : "");
    return true;
}

/* salt "": there is nobody who would need one. */
static bool password_make(const struct admin_conf *conf, char out[FIRST_PASSWORD_N + 1],
                          char salt[SALT_TEXT_N])
{
    uint8_t random[SALT_N];
    struct secret s;
    salt[0] = 0;
    randombytes_buf(random, sizeof random);
    if (!conf->cluster) {
        password_of(out, random);
    } else if (secret_read(&s, conf)) {
        sodium_bin2hex(salt, SALT_TEXT_N, random, sizeof random);
        password_derive(out, &s.keys[0], salt);
        secret_fini(&s);
    } else {
        return false;
    }
    sodium_memzero(random, sizeof random);
    return true;
}

/* ---- the file ------------------------------------------------------------------------------------- */

static const char *path_of(char path[FIRST_PATH_MAX], const struct admin_conf *conf)
{
    snprintf(path, FIRST_PATH_MAX, "%s/admin_password", conf->data_dir);
    return path;
}

/* Whoever sees the file sees all of it. */
static bool file_write(const char *path, const char *password)
{
    char fresh[FIRST_PATH_MAX + 4];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh); /* one of a start that did not get to its end */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    char line[FIRST_PASSWORD_N + 2];
    int n = snprintf(line, sizeof line, "%s\n", password);
    bool is_written = write(fd, line, (size_t)n) == n && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written && rename(fresh, path) == 0;
    if (!is_written)
        unlink(fresh);
    sodium_memzero(line, sizeof line);
    return is_written;
}

void first_user_file_remove(const struct admin_conf *conf)
{
    char path[FIRST_PATH_MAX];
    unlink(path_of(path, conf));
}

bool first_user_file_exists(const struct admin_conf *conf)
{
    char path[FIRST_PATH_MAX];
    return access(path_of(path, conf), F_OK) == 0;
}

/* ---- the user ------------------------------------------------------------------------------------- */

/* The file first: a user with a password that nobody knows would be in the way for ever. */
json_t *first_user_make(const struct admin_conf *conf, uint64_t stamp, uint64_t tag)
{
    char password[FIRST_PASSWORD_N + 1], hash[ACCOUNT_HASH_MAX], salt[SALT_TEXT_N], path[FIRST_PATH_MAX];
    json_t *user = NULL;
    path_of(path, conf);
    if (!password_make(conf, password, salt) || !account_hash(hash, password) ||
        !file_write(path, password)) {
        LOG(conf->log, LOG_ERROR, "api no first user path=\"%s\" system=\"%s\"", path, strerror(errno));
    } else {
        user = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I}", "hash", hash, "role", "administrator",
                         "description", "", "must_change", 1, "first", 1, "stamp", (json_int_t)stamp, "since",
                         (json_int_t)stamp, "node", (json_int_t)tag);
        json_put(user, "created_at", json_of_u64(wall_ms()));
        if (salt[0])
            json_put(user, "salt", json_of_str(salt));
        LOG(conf->log, LOG_NOTICE, "api first user made user=admin password_file=\"%s\"", path);
    }
    sodium_memzero(password, sizeof password);
    return user;
}

bool first_user_file_write(const struct admin_conf *conf, const char *salt, const char *hash)
{
    char password[FIRST_PASSWORD_N + 1], path[FIRST_PATH_MAX];
    struct secret s = {0};
    bool is_found = false;
    path_of(path, conf);
    if (*salt && secret_read(&s, conf)) {
        for (uint32_t i = 0; i < s.n && !is_found; i++) {
            password_derive(password, &s.keys[i], salt);
            is_found = account_verify(hash, password);
        }
        secret_fini(&s);
    }
    if (!is_found)
        unlink(path);
    else if (!(is_found = file_write(path, password)))
        LOG(conf->log, LOG_ERROR, "api password file not written path=\"%s\" system=\"%s\"", path,
            strerror(errno));
    sodium_memzero(password, sizeof password);
    return is_found;
}
