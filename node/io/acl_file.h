/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_ACL_FILE_H
#define COVEY_IO_ACL_FILE_H

/* The file of authorization rules (node/core/acl.h): read at start, and again when somebody asks for it. */

#include "node/core/acl.h"
#include "node/core/shard.h"
#include "proto/base/log.h"

struct acl_file;

struct acl_file_conf {
    const char *path; /* "": none, and everybody may do everything */
    enum acl_effect no_match;
    struct log_sink *log;
};

/* Reads the file. ERR_INVALID: it cannot be used, logged with file and line. conf's strings outlive it. */
MUST_USE enum err acl_file_new(struct acl_file **out, const struct acl_file_conf *conf);
void acl_file_free(struct acl_file *f); /* NULL is fine */
/* From now on the shards hear of new rules, by post(). */
void acl_file_start(struct acl_file *f, uint32_t shards,
                    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag), void *post_ctx);
/* The rules in force, a reference; NULL: there is no file. Any thread. */
struct acl *acl_file_acl(struct acl_file *f);

/* Reads the file again. After an error, which is logged and told in *fault, what was read before stays in
 * force. ERR_NOTFOUND: no file is configured. Any thread. */
MUST_USE enum err acl_reload(struct acl_file *f, struct acl_fault *fault);
/* The same in two steps, so that other files can be looked at in between, and another file may be meant; ""
 * is none, and *out NULL. acl_set() takes acl. */
MUST_USE enum err acl_read(struct acl_file *f, const char *path, enum acl_effect no_match, struct acl **out,
                           struct acl_fault *fault);
void acl_set(struct acl_file *f, const char *path, enum acl_effect no_match, struct acl *acl);
/* Did the last reload fail? Then *fault says why. Any thread. */
bool acl_file_is_stale(struct acl_file *f, struct acl_fault *fault);
/* The shards forget the verdicts that they remember. */
void acl_file_forget(struct acl_file *f);

#endif
