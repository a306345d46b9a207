/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_KEYS_HOOKS_H
#define COVEY_APP_CONFIG_KEYS_HOOKS_H

/* Rows of config_keys.c that the HTTP servers share (struct config_hook, field_ of struct config); its macros
 * and lists of words are used here. k is "authentication.http." and so on. */

/* clang-format off */

#define HOOK_KEYS(k, field_, url_meaning_, body_, timeout_meaning_, pool_meaning_)                           \
    KEY(k "url", STRING, RELOAD | SECRET, field_.url, "", 0, 2000, NULL, url_meaning_),                      \
    KEY(k "method", ENUM, RELOAD, field_.method, "post", 0, 0, http_methods,                                 \
        "how it is asked"),                                                                                  \
    KEY(k "body", STRING, RELOAD | SECRET, field_.body, body_, 0, 4000, NULL,                                \
        "what is posted, with the same placeholders; they are escaped as JSON, or for a form when a header says application/x-www-form-urlencoded"), \
    KEY(k "headers", LIST, RELOAD | SECRET, field_.headers, "[]", 0, 32, NULL,                               \
        "headers of the request, NAME: VALUE"),                                                              \
    KEY(k "ssl.cacertfile", PATH, RELOAD, field_.cacertfile, "", 0, 0, NULL,                                 \
        "PEM file with the authorities that sign the server's certificate; empty: those of the system"),     \
    KEY(k "request_timeout", DURATION, RELOAD, field_.timeout_ms, "5s", 10, 60 * MS_S, NULL,                 \
        timeout_meaning_),                                                                                   \
    KEY(k "pool_size", INT, RELOAD, field_.pool_size, "8", 1, 64, NULL, pool_meaning_)

#define HOOK_CACHE_KEY(k, field_, ttl_, meaning_)                                                            \
    KEY(k "cache_ttl", DURATION, RELOAD, field_.cache_ms, ttl_, 0, MS_H, NULL, meaning_)

/* words_: what becomes of clients, and "ignore". */
#define HOOK_FAILURE_KEY(k, field_, default_, words_, meaning_)                                              \
    KEY(k "on_failure", ENUM, RELOAD, field_.failure, default_, 0, 0, words_, meaning_)

/* clang-format on */

#endif
