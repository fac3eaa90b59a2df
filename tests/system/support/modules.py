"""Modules that tests write, and build as their authors do."""

import subprocess

from support.processes import IS_SANITIZED, ROOT

HEAD = """
#include "onesession.h"
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
"""

# Sanitized daemons load sanitized modules.
SANITIZED = ["-fsanitize=address,undefined"] if IS_SANITIZED else []


def build_module(base, source, name="cinema", compiler="gcc", flags=(), more=""):
    """Make base/modules/NAME.so of a source; MORE in it is `more`."""
    folder = base / "modules"
    folder.mkdir(mode=0o755, exist_ok=True)
    suffix = "cc" if compiler == "g++" else "c"
    path = base / f"{name}.{suffix}"
    path.write_text(source)
    new, module = folder / f"{name}.new", folder / f"{name}.so"
    subprocess.run(
        [compiler, "-Wall", "-Wextra", "-Werror", "-g", "-shared", "-fPIC", "-I", str(ROOT / "daemon")]
        + [f"-DMORE={more}", *SANITIZED, *flags, "-o", str(new), str(path)],
        check=True,
    )
    new.chmod(0o644)
    new.rename(module)
    return module


def settings_for(*modules, **more):
    return {"server.modules": " ".join(map(str, modules)), "log.level": "info", **more}


def setup_of(body, name="cinema", more=""):
    """A module whose setup is that."""
    return HEAD + f'static bool setup(struct ones_app *app)\n{{\n{body}\n\treturn true;\n}}\nONES_MODULE(.name = "{name}", {more}.setup = setup);\n'
