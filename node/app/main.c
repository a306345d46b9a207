/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli.h"
#include "node/app/node.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    return cli_main(argc, argv, (const char *const *)environ, node_run);
}
