/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TOPIC_UTF8_H
#define COVEY_TOPIC_UTF8_H

#include "proto/base/bytes.h"

/* True when b is well-formed UTF-8 without surrogates and without U+0000 [MQTT-1.5.4-1, MQTT-1.5.4-2].
 * A byte order mark is data like any other [MQTT-1.5.4-3]. */
bool utf8_is_valid(struct bytes b);

#endif
