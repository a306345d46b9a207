# SPDX-License-Identifier: Apache-2.0
"""The source tree as the checks see it: which files there are, and C text taken apart just far enough."""
import collections
import functools
import os
import re
import subprocess

Function = collections.namedtuple("Function", "name first last body_first body")
SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", "data", "results"}
CODE_FOLDERS = ("proto", "storage", "cluster", "node", "tests", "bench")
_TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text, keep_strings=False):
    """The text without comments (and string contents), every line where it was."""
    def replace(match):
        found = match.group()
        if found[0] in "\"'":
            return found if keep_strings else found[0] * 2
        return re.sub(r"[^\n]", " ", found)
    return _TOKENS.sub(replace, text)


class Tree:
    def __init__(self, root):
        self.root = root

    @functools.cached_property
    def files(self):
        """All files that belong to the product, as paths from the top, whether they are committed yet or not."""
        listing = subprocess.run(["git", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                 capture_output=True, check=False)
        if listing.returncode == 0:
            found = [p for p in listing.stdout.decode().split("\0") if p]
        else:   # an unpacked archive
            found = []
            for folder, below, names in os.walk(self.root):
                below[:] = [d for d in below if d not in SKIPPED_FOLDERS]
                found += [os.path.relpath(os.path.join(folder, n), self.root) for n in names]
        return sorted(p for p in set(found) if os.path.isfile(self.path(p)))

    def path(self, name):
        return os.path.join(self.root, name)

    @functools.cached_property
    def c_files(self):
        return [p for p in self.files if p.endswith((".c", ".h")) and p.split("/")[0] in CODE_FOLDERS]

    @functools.cached_property
    def headers(self):
        return [p for p in self.c_files if p.endswith(".h")]

    def named(self, *endings):
        return [p for p in self.files if p.endswith(endings)]

    @functools.lru_cache(maxsize=None)
    def text(self, name):
        with open(self.path(name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    @functools.lru_cache(maxsize=None)
    def code(self, name):
        """C text without comments and string contents."""
        return blank(self.text(name))

    @functools.lru_cache(maxsize=None)
    def functions(self, name):
        """Function definitions: with our formatting a body stands between a line "{" and a line "}". first and last
        are line numbers, from the line with the name to the closing brace; body_first is that of the body."""
        lines, found, start = self.code(name).split("\n"), [], None
        for number, line in enumerate(lines, 1):
            if line.rstrip() == "{" and start is None:
                start = number
            elif line.startswith("}") and start is not None:
                head = start - 1
                while head > 1 and not re.match(r"\w", lines[head - 1]):
                    head -= 1
                name_found = re.search(r"(\w+)\s*\(", lines[head - 1])
                found.append(Function(name_found.group(1) if name_found else lines[head - 1], head, number,
                                      start + 1, lines[start:number - 1]))
                start = None
        return found

    def includes(self, name):
        """(line number, path) of the includes in double quotes."""
        for number, line in enumerate(self.text(name).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match:
                yield number, match.group(1)

    @functools.cached_property
    def include_table(self):
        """{folder: folders that it may include from}: the table of docs/ARCHITECTURE.md with the heading
        `| folder | may include |`, or else tests/tidy/include_table.txt."""
        page = "docs/ARCHITECTURE.md"
        if page in self.files:
            table = re.search(r"^\| *folder *\| *may include[^|\n]*\|.*\n\|[-| :]*\n((?:\|.*\n)+)", self.text(page), re.M)
            if table:
                rows = [[re.findall(r"[a-z]+(?:/[a-z]+)?", c) for c in row.split("|")[1:3]]
                        for row in table.group(1).strip().split("\n")]
                return {row[0][0]: set(row[1]) for row in rows}
        rows = [line.split(":") for line in self.text("tests/tidy/include_table.txt").split("\n")
                if line and not line.startswith("#")]
        return {row[0].strip(): set(row[1].split()) for row in rows}

    def folder(self, name):
        """The row of the include table that a file belongs to, or None."""
        parts = name.split("/")
        for depth in (2, 1):
            if "/".join(parts[:depth]) in self.include_table and len(parts) > depth:
                return "/".join(parts[:depth])
        return None
