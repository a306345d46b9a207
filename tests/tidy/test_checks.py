# SPDX-License-Identifier: Apache-2.0
"""The checks checked: each finds the violation that is put into a small tree, and nothing in the tree without it."""
import os
import shutil
import subprocess
import tempfile
from unittest import mock

from tree import Tree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
GOOD = {
    "CMakeLists.txt": "add_subdirectory(proto)\n",
    "proto/base/CMakeLists.txt": "covey_library(NAME proto_base SOURCES a.c)\n",
    "proto/base/a.h": SPDX + "#ifndef A_H\n#define A_H\n\n/* [MQTT-1.1.1-1, -2] */\nint a(int x);\n\n#endif\n",
    "proto/base/a.c": SPDX + '#include "proto/base/a.h"\n\nint a(int x)\n{\n    return x + 1; /* not strcpy( */\n}\n',
    "proto/mqtt/CMakeLists.txt": "covey_library(NAME proto_mqtt SOURCES m.c DEPS proto_base)\n",
    "proto/mqtt/m.c": SPDX + '#include "proto/base/a.h"\n\nint m(void);\nint m(void)\n{\n    return a(2);\n}\n',
    "tests/conformance/statements.tsv": "id\ttext\tproof\nMQTT-1.1.1-1\tx\t\nMQTT-1.1.1-2\ty\tby hand\n",
    "tests/conformance/test_a.py": '# SPDX-License-Identifier: Apache-2.0\n@statement("MQTT-1.1.1-1")\n',
    "tests/tidy/include_table.txt": "proto/base:\nproto/mqtt: proto/base\n",
    "README.md": "See [the code](proto/base/a.h).\n",
}
LONG_BODY = "int f(void);\nint f(void)\n{\n" + "    a(1);\n" * 70 + "    return 0;\n}\n"

# check -> [(file, its text, what the problem must say)]
BAD = {
    "licensed": [("proto/base/b.c", "int b;\n", "first line"), ("tests/x.py", "pass\n", "no line")],
    "file_sizes": [("proto/base/b.c", SPDX + "int b;\n" * 501, "502 lines"),
                   ("proto/base/c.c", SPDX + "int b;\n" * 801, "any reason"),
                   ("tests/tidy/long_files.txt", "600 proto/base/a.c\n", "short enough")],
    "function_sizes": [("proto/base/b.c", SPDX + LONG_BODY, "f() has 74 lines")],
    "banned_functions": [("proto/base/b.c", SPDX + "void f(char *a, char *b)\n{\n    strcpy(a, b);\n}\n", "b.c:4: strcpy()")],
    "no_struct_typedefs": [("proto/base/b.h", SPDX + "typedef struct b b_t;\n", "b.h:2")],
    "no_preprocessor_in_functions": [("proto/base/b.c", SPDX + "int f(void)\n{\n#ifdef X\n    g();\n#endif\n}\n",
                                      "b.c:4: #ifdef X inside f()")],
    "include_table": [("proto/base/b.c", SPDX + '#include "proto/mqtt/m.h"\n', "proto/base may not include"),
                      ("proto/base/b.c", SPDX + '#include "a.h"\n', "not a path from the top"),
                      ("proto/new/b.c", SPDX, "not in the include table")],
    "library_table": [("proto/base/CMakeLists.txt", "covey_library(NAME proto_base SOURCES a.c DEPS proto_mqtt)\n",
                       "proto/base may not link proto_mqtt")],
    "table_has_no_circle": [("tests/tidy/include_table.txt", "proto/base: proto/mqtt\nproto/mqtt: proto/base\n",
                             "each other")],
    "statements_cited": [("proto/base/b.h", SPDX + "/* [MQTT-9.9.9-9] */\n", "is not in"),
                         ("tests/conformance/test_a.py", "", "no test proves MQTT-1.1.1-1")],
    "no_foreign_words": [("proto/base/b.h", SPDX + "/* TO" "DO */\n", "does not belong"),
                         ("docs/a.md", "see /wo" "rk/main\n", "docs/a.md:1")],
    "lock_files_name_no_hosts": [("tests/x/package-lock.json", '{\n"resolved": "https://x"\n}\n', ":2: names where")],
    "text_is_clean": [("docs/a.txt", "a \n", "white space"), ("docs/a.md", "a", "no newline"),
                      ("proto/base/b.h", SPDX + "\tint b;\n", "a tab")],
    "hostile_inputs_are_tested": [("docs/HOSTILE.md", "| 7 | x | y |\n", "no test of input 7"),
                                  ("docs/HOSTILE.md", "`test_row_01_x`\n", "test_row_01_x is no test")],
    "links_lead_somewhere": [("docs/a.md", "[x](b.md)\n", "no b.md")],
    "pure_cores": [("proto/base/b.c", SPDX + "#include <time.h>\nlong b(void);\nlong b(void)\n{\n    return time(0);\n}\n",
                    "proto/base: b.o calls time()")],
    "headers_compile_alone": [("proto/base/b.h", SPDX + "size_t b(void);\n", "b.h with gcc"),
                              ("proto/base/b.h", SPDX + "static int b = 1;\nstruct b {\n    int b;\n};\n", "b.h with clang")],
    "formatted": [("proto/base/b.c", SPDX + "int  b;\n", "b.c:2: not formatted")],
}


def build(root):
    """What the check of the archives looks at: each folder's objects in build/release."""
    for folder in ("proto/base", "proto/mqtt"):
        out = os.path.join(root, "build/release", folder)
        os.makedirs(out)
        sources = [n for n in os.listdir(os.path.join(root, folder)) if n.endswith(".c")]
        subprocess.run(["gcc", "-c", f"-I{root}", *(os.path.join(root, folder, n) for n in sources)], cwd=out, check=True)
        subprocess.run(["ar", "rc", "lib.a", *(n[:-1] + "o" for n in sources)], cwd=out, check=True)
    with open(os.path.join(root, "build/release/compile_commands.json"), "w", encoding="utf-8") as file:
        file.write("[]\n")


def run(check, files):
    """What the check says of a tree of these files."""
    with tempfile.TemporaryDirectory() as root, mock.patch.dict(os.environ):
        os.environ.pop("COVEY_BUILD", None)
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        shutil.copy(os.path.join(ROOT, ".clang-format"), root)
        if check.__name__ == "pure_cores":
            build(root)
        return list(check(Tree(root)))


def problems(check):
    """Why the check is not good; nothing when it is."""
    name, found = check.__name__, []
    for problem in run(check, GOOD):
        found.append(f"{name} says of a good tree: {problem}")
    for path, text, want in BAD[name]:
        said = run(check, {**GOOD, path: text})
        if not any(want in problem for problem in said):
            found.append(f"{name} does not find `{want}` in {path}: it says {said}")
    return found
