/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_admins.h"

#include "node/admin/api/accounts.h"
#include "node/app/prompt.h"

#include <sodium.h>
#include <string.h>

bool cli_admins_concerns(const char *const *words, size_t n)
{
    return n >= 3 && strcmp(words[0], "admins") == 0 &&
           (strcmp(words[1], "add") == 0 || strcmp(words[1], "passwd") == 0);
}

static const char *hash_make(struct cli_admins *a, const char *password, size_t n)
{
    _Static_assert(sizeof a->hash >= ACCOUNT_HASH_MAX, "a hash has room");
    if (n < ACCOUNT_PASSWORD_MIN || n > ACCOUNT_PASSWORD_MAX)
        return "a password has 8 to 128 characters";
    return account_hash(a->hash, password) ? NULL : "there is no memory to hash the password";
}

static const char *password_asked(struct cli_admins *a)
{
    static char password[PROMPT_PASSWORD_MAX + 2];
    size_t n;
    const char *fault = prompt_password(password, &n);
    if (!fault)
        fault = hash_make(a, password, n);
    sodium_memzero(password, sizeof password);
    return fault;
}

/* What main() was given is what others see of this process. */
static const char *password_taken(struct cli_admins *a, const char *word)
{
    size_t n = strlen(word);
    const char *fault = hash_make(a, word, n);
    memset((char *)(uintptr_t)word, '*', n);
    return fault;
}

const char *cli_admins_read(struct cli_admins *a, const char *const *words, size_t n)
{
    bool is_asked = n < 4 || strcmp(words[3], "-") == 0;
    a->n = 4;
    if (n > CLI_ADMINS_WORDS_MAX || (words[1][0] == 'p' && n > 4))
        return "too many words";
    if (sodium_init() < 0)
        return "no random numbers from the system";
    for (size_t i = 0; i < n; i++)
        a->words[i] = *words[i] ? words[i] : "-"; /* an empty description */
    if (n > a->n)
        a->n = n;
    a->words[3] = a->hash;
    return is_asked ? password_asked(a) : password_taken(a, words[3]);
}
