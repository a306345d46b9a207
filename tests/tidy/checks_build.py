# SPDX-License-Identifier: Apache-2.0
"""Checks that ask the compilers and what they have built."""
import concurrent.futures
import functools
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

BUILDS = ("release", "dev", "asan")

# Folders without I/O, clock, threads and randomness of their own.
PURE = ("proto/base", "proto/topic", "proto/mqtt", "proto/record", "proto/rpc", "cluster/core", "node/auth", "node/core", "node/mesh")
# What they may not call: sockets and files, clocks, randomness, threads, and the libraries that have these.
IMPURE = re.compile(r"""^_*(
    socket|socketpair|bind|listen|accept4?|connect|shutdown|(get|set)sockopt|getaddrinfo|gethostby\w*|
    read|readv|pread\w*|write|writev|pwrite\w*|send|sendto|sendmsg|sendmmsg|recv|recvfrom|recvmsg|recvmmsg|
    open|openat|open64|openat64|creat|close|dup[23]?|pipe2?|ioctl|fcntl(64)?|fsync|fdatasync|sync|syncfs|ftruncate(64)?|
    rename\w*|unlink\w*|mkdir\w*|rmdir|opendir|readdir\w*|f?stat\w*|mmap(64)?|munmap|mprotect|
    poll|ppoll|select|pselect|epoll_\w+|eventfd|timerfd_\w+|signalfd|
    fopen\w*|fdopen|freopen|fread|fwrite|fclose|fgets|fputs|fputc|puts|putchar|putc|printf|fprintf|vprintf|vfprintf|
    dprintf|vdprintf|perror|getline|syslog|(__)?(f|v|vf|d)?printf_chk|
    time|clock|clock_\w+|gettimeofday|times|nanosleep|usleep|sleep|alarm|setitimer|timer_\w+|
    rand|rand_r|srand|random|srandom|drand48|[lm]rand48|getrandom|getentropy|arc4random\w*|randombytes\w*|
    getenv|secure_getenv|setenv|getpid|fork|vfork|exec\w+|posix_spawn\w*|waitpid|kill|raise|sigaction|signal|
    pthread_\w+|thrd_\w+|mtx_\w+|cnd_\w+|sem_\w+|urcu_\w+|rcu_\w+|
    event_\w+|evbuffer_\w+|evutil_\w+|evconn\w+|bufferevent_\w+|mdb_\w+|SSL_\w+|RAND_\w+
)$""", re.X)
# (folder, object) -> what it may call all the same, and why.
EXEMPT = {
    # The last words before abort().
    ("proto/base", "check.c.o"): {"fprintf", "fputs", "fwrite", "dprintf", "__fprintf_chk"},
}


def build_folder(tree):
    """The folder of a finished build, preferably the release: what is shipped is what is looked at."""
    chosen = os.environ.get("COVEY_BUILD")
    for folder in [chosen] if chosen else [tree.path(f"build/{b}") for b in BUILDS]:
        if os.path.exists(os.path.join(folder, "compile_commands.json")):
            return folder
    return None


def pure_cores(tree):
    folder = build_folder(tree)
    if folder is None:
        yield "nothing is built: cmake --workflow --preset release"
        return
    for pure in PURE:
        sources = [p for p in tree.c_files if p.endswith(".c") and os.path.dirname(p) == pure]
        archives = glob.glob(os.path.join(folder, pure, "*.a"))
        if sources and not archives:
            yield f"{pure}: no archive in {os.path.relpath(folder, tree.root)}"
        for archive in archives:
            yield from impure_calls(pure, archive)


def impure_calls(folder, archive):
    listing = subprocess.run(["nm", "-u", archive], capture_output=True, text=True, check=True).stdout
    member = ""
    for line in listing.split("\n"):
        line = line.strip()
        if line.endswith(":"):
            member = line[:-1]
        elif line:
            symbol = line.split()[-1].split("@")[0]
            if IMPURE.match(symbol) and symbol not in EXEMPT.get((folder, member), ()):
                yield f"{folder}: {member} calls {symbol}()"


@functools.lru_cache(maxsize=None)
def compile_flags(tree):
    """Definitions and include folders that the build uses; without a build, the tree itself."""
    flags = [f"-I{tree.root}", "-D_GNU_SOURCE"]
    folder = build_folder(tree)
    if folder:
        with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as file:
            for entry in json.load(file):
                found = re.findall(r"(-isystem \S+|-I\S+|-DCOVEY_VERSION=\S+)", entry["command"])
                for flag in (f.replace("\\", "") for f in found):
                    flags += [p for p in flag.split() if flag not in flags] if flag.startswith("-I") else flag.split()
    return list(dict.fromkeys(flags)) if "-isystem" not in flags else _unique_pairs(flags)


def _unique_pairs(flags):
    """Drops what is there twice, keeping "-isystem folder" together."""
    joined, at = [], 0
    while at < len(flags):
        step = 2 if flags[at] == "-isystem" else 1
        joined.append(tuple(flags[at:at + step]))
        at += step
    return [word for group in dict.fromkeys(joined) for word in group]


def headers_compile_alone(tree):
    flags = compile_flags(tree)
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    if len(compilers) < 2:
        yield "gcc and clang are needed"
    with tempfile.TemporaryDirectory() as scratch:
        def compile_one(job):
            compiler, name = job
            source = os.path.join(scratch, f"{compiler}-{name.replace('/', '-')}.c")
            with open(source, "w", encoding="utf-8") as file:
                # Twice: the guard works. The extern keeps the unit from being empty.
                file.write(f'#include "{name}"\n#include "{name}"\nextern int tidy_unused;\n')
            # Most generated or inline code is allowed to be unused; everything else is an error.
            result = subprocess.run([compiler, "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                                     "-Wno-unused-function", *flags, source], capture_output=True, text=True, check=False)
            errors = [e for e in result.stderr.split("\n") if "error:" in e] or [result.stderr[:300]]
            return f"{name} with {compiler}: {errors[0]}" if result.returncode else None
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            yield from filter(None, pool.map(compile_one, [(c, h) for c in compilers for h in tree.headers]))


def formatted(tree):
    """As clang-format 14 would have it, Debian 12's: others format in slightly other ways."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    if not program:
        yield "clang-format is needed"
        return

    def check(names):
        result = subprocess.run([program, "--dry-run", "-Werror", *names], cwd=tree.root, capture_output=True, text=True,
                                check=False)
        return re.findall(r"^(\S+:\d+):\d+: error: ", result.stderr, re.M) or \
            ([result.stderr[:300]] if result.returncode else [])
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for problems in pool.map(check, [tree.c_files[i:i + 10] for i in range(0, len(tree.c_files), 10)]):
            for place in problems:
                name = place.split(":")[0]
                if name not in seen:    # one line a file is enough: `clang-format -i` does the rest
                    seen.add(name)
                    yield f"{place}: not formatted (clang-format -i {name})"
