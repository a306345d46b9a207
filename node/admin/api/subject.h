/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_SUBJECT_H
#define COVEY_ADMIN_API_SUBJECT_H

/* The objects that several calls answer with: a client, a subscription. */

#include "node/admin/api/call.h"
#include "node/core/inspect.h"

json_t *subject_client(const struct api_call *c, const struct inspect_session *s);
json_t *subject_subscription(const struct api_call *c, const struct inspect_sub *s);
/* "$share/g/t", "$exclusive/t", or "t" */
json_t *subject_topic(const struct inspect_sub *s);
json_t *subject_base64(struct bytes b);

extern const struct api_shape subject_client_shape;
extern const struct api_shape subject_subscription_shape;

#endif
