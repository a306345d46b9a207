/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_OPENAPI_H
#define COVEY_ADMIN_API_OPENAPI_H

/* The description of the API in OpenAPI 3, made from the tables of routes. */

#include "node/admin/api/json.h"

json_t *openapi_make(const char *version);

#endif
