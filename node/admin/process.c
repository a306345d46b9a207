/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* "VmRSS:     1234 kB" */
static void status_read(struct process_info *out)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        uint64_t v = colon ? strtoull(colon + 1, NULL, 10) : 0;
        if (strncmp(line, "VmRSS:", 6) == 0)
            out->resident_bytes = v * 1024;
        else if (strncmp(line, "VmSize:", 7) == 0)
            out->virtual_bytes = v * 1024;
        else if (strncmp(line, "Threads:", 8) == 0)
            out->threads = v;
    }
    fclose(f);
}

/* Linux tells the number as the size of the folder since 6.2; before, it had to be gone through. */
static uint64_t fds_count(void)
{
    uint64_t n = 0;
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    struct dirent *e;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    closedir(d);
    return n ? n - 1 : 0; /* without the one that was just looked through */
}

void process_info(struct process_info *out)
{
    struct rlimit r;
    *out = (struct process_info){0};
    status_read(out);
    out->fds = fds_count();
    if (sysconf(_SC_PHYS_PAGES) > 0 && sysconf(_SC_PAGESIZE) > 0)
        out->machine_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (getrlimit(RLIMIT_NOFILE, &r) == 0)
        out->fds_max = r.rlim_cur;
    if (getloadavg(out->load, 3) != 3)
        memset(out->load, 0, sizeof out->load);
}
