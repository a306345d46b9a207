/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_PWHASH_H
#define COVEY_AUTH_PWHASH_H

/* Stored hashes of passwords, and whether a password is the one. Covey writes Argon2id and SCRAM's verifiers;
 * the others are read so that people need not get new passwords when they move over:
 *
 *     $argon2id$v=19$m=65536,t=2,p=1$SALT$HASH     libsodium's text form (RFC 9106)
 *     $2b$12$...                                   bcrypt, also $2a$ and $2y$; crypt(3)
 *     $7$101$SALT$HASH                             PBKDF2-HMAC-SHA512 of mosquitto_passwd
 *     $pbkdf2-sha256$ITERATIONS$SALT$HASH          PBKDF2 of others, also -sha512; base64 with + and /
 *     $scram-sha-256$ITERATIONS$SALT$KEY$KEY       see scram_verifier.h
 *
 * A check takes as long as its hash asks for: never on a thread that serves clients. */

#include "proto/base/bytes.h"

enum { PWHASH_TEXT_MAX = 255 };

/* Is it a hash of a kind that can be checked, at a cost that this program is ready to pay? NULL: yes; else
 * what is wrong, for people. */
const char *pwhash_judge(const char *text);

/* Is it the password? text is one that pwhash_judge() let through. In constant time as far as the bytes of
 * hash and password go. */
bool pwhash_verify(const char *text, struct bytes password);

#endif
