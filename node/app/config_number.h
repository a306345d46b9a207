/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_NUMBER_H
#define COVEY_APP_CONFIG_NUMBER_H

/* Numbers as people write them in a configuration: "1000", "1.5", "1h30m", "64KB", "1000/s". Parsers take the
 * whole text and answer false when it is not one or does not fit; bounds are the caller's. Printers write the
 * shortest exact form, which the parser reads back to the same number. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_NUMBER_MAX = 64 }; /* bytes that every printer needs at most */

/* Digits only: no sign, no blank. */
bool config_number_int(const char *text, uint64_t *out);
/* In hundredths: "1.5" is 150, "2" is 200; at most two digits behind the point. */
bool config_number_decimal(const char *text, uint64_t *out);
/* In microseconds: parts of us, ms, s, m, h, d ("90s", "1h30m"), or a plain number of plain_us each. */
bool config_number_duration(const char *text, uint64_t plain_us, uint64_t *out_us);
/* In bytes: B, KB, MB, GB, TB and KiB.. alike count in powers of 1024, in either case; plain: bytes. */
bool config_number_size(const char *text, uint64_t *out);
/* A second: "1000/s" or a plain number. */
bool config_number_rate(const char *text, uint64_t *out);
/* Bytes a second: "1MB/s" or a plain size. */
bool config_number_byte_rate(const char *text, uint64_t *out);

const char *config_number_put_decimal(char out[CONFIG_NUMBER_MAX], uint64_t hundredths);
const char *config_number_put_duration(char out[CONFIG_NUMBER_MAX], uint64_t us);
const char *config_number_put_byte_rate(char out[CONFIG_NUMBER_MAX], uint64_t bytes);
const char *config_number_put_size(char out[CONFIG_NUMBER_MAX], uint64_t bytes);

#endif
