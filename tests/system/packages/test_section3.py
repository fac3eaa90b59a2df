"""The manual's section 3, which is made from the public header: complete, right, and its examples compile."""

import re
import subprocess

import pytest

from support.installing import run
from support.processes import BUILD, ROOT

MAN = BUILD / "man"
PAGES = sorted(path for path in (MAN / "man3").glob("*.3") if not path.read_text().startswith(".so "))
HEADER = ROOT / "daemon/onesession.h"
GENERATOR = ["-f", ROOT / "docs/man/mdoc.awk", "-f", ROOT / "docs/man/section3.awk"]
# What C++ has in place of something, and comments.
PLAIN = re.sub(
    r"/\*.*?\*/", "", re.sub(r"(?ms)^#ifdef __cplusplus$.*?^#(else|endif)", "", HEADER.read_text()), flags=re.S
)
# Nothing for modules to use.
OF_THE_HEADER_ITSELF = {"ONES_PRINTF"}


def compiles(source, folder, *flags):
    path = folder / "example.c"
    path.write_text(source)
    done = run("gcc", "-std=c17", "-Wall", "-Wextra", "-Werror", *flags, "-I", ROOT / "daemon", "-fsyntax-only", path)
    return done.returncode == 0, done.stderr


def prototypes(page):
    """(type, name, arguments) of each function, and with type None of each macro, in the synopsis."""
    text = page.read_text().partition(".Sh SYNOPSIS")[2].partition(".Sh DESCRIPTION")[0]
    for kind, name, arguments in re.findall(r'(?:^\.Ft "(.*)"\n)?^\.Fo (\w+)\n((?:^\.Fa .*\n)+)\.Fc', text, re.M):
        yield kind or None, name, re.findall(r'^\.Fa "(.*)"$', arguments, re.M)
    for name in re.findall(r'^\.Fd "#define (\w+)"$', text, re.M):
        yield None, name, None


def symbols(path, *options):
    listed = run("nm", "--defined-only", *options, path).stdout
    return set(re.findall(r" T (ones_\w+)$", listed, re.M))


def test_every_function_that_is_there_for_modules_has_its_prototype_and_no_other(tmp_path):
    found = [one for page in PAGES for one in prototypes(page) if one[0] is not None]
    names = [name for _, name, _ in found]
    assert len(names) == len(set(names)) > 80
    assert set(names) == symbols(BUILD / "onesessiond", "-D") | symbols(BUILD / "libonesession-test.a", "-g")
    declared = "".join(f"{kind} {name}({', '.join(arguments)});\n" for kind, name, arguments in found)
    right, said = compiles(f"#include <onesession.h>\n{declared}", tmp_path)
    assert right, said
    # That would not be so if they were others.
    wrong = declared.replace("size_t count", "int count", 1)
    assert wrong != declared and not compiles(f"#include <onesession.h>\n{wrong}", tmp_path)[0]


def test_every_macro_is_there():
    found = {name for page in PAGES for kind, name, _ in prototypes(page) if kind is None}
    assert found == set(re.findall(r"^#define (ONES_\w+)", PLAIN, re.M)) - OF_THE_HEADER_ITSELF


def types():
    structs = dict(re.findall(r"^struct (ones_\w+) \{\n(.*?)^\};", PLAIN, re.M | re.S))
    enums = dict(re.findall(r"^enum (ones_\w+) \{\n(.*?)^\};", PLAIN, re.M | re.S))
    return structs, enums


def members(body):
    """The names that a struct's body declares."""
    declared = [" ".join(one.split()) for one in body.split(";")]
    return [
        re.search(r"\(\*(\w+)\)\(|(\w+)$", part).group(1) or re.search(r"(\w+)$", part).group(1)
        for one in declared
        if one
        for part in (one.split(",") if "(" not in one else [one])
    ]


def described(kind, name):
    """What stands of a type in its page: its members or enumerators, in their order."""
    for page in PAGES:
        found = re.search(rf"^\.It Vt {kind} {name}$(.*?)^\.It (?:Vt|Fn|Dv ONES_\w+\n\.Sh)", page.read_text() + ".It Vt", re.M | re.S)
        if found:
            tag = "Va" if kind == "struct" else "Dv"
            return re.findall(rf"^\.It {tag} \"?(.*?)\"?$", found[1], re.M)
    raise AssertionError(f"no page has {kind} {name}")


def test_every_type_is_there_with_all_of_its_members():
    structs, enums = types()
    assert len(structs) > 10 and len(enums) > 6
    for name, body in structs.items():
        told = [member for declared in described("struct", name) for member in members(declared)]
        assert told == members(body), name
    for name, body in enums.items():
        told = [one.split()[0] for one in described("enum", name)]
        assert told == re.findall(r"^\s*(ONES_\w+)", body, re.M), name


def names():
    structs, enums = types()
    opaque = re.findall(r"^struct (ones_\w+);", PLAIN, re.M)
    typedefs = re.findall(r"^typedef .*?(ones_\w+)(?:\(.*\))?;", PLAIN, re.M)
    shown = [name for page in PAGES for _, name, _ in prototypes(page)]
    return {*structs, *enums, *opaque, *typedefs, *shown}


def test_every_name_leads_to_its_page():
    for name in sorted(names()):
        page = MAN / f"man3/{name}.3"
        assert page.exists(), name
        # As man(1) has it: .so counts from the folder above.
        done = subprocess.run(
            ["mandoc", "-T", "ascii", f"man3/{name}.3"], cwd=MAN, capture_output=True, text=True, check=True
        )
        text = re.sub(r".\x08", "", done.stdout)
        assert re.search(rf"\b{name}\b", text), name
    overview = (MAN / "man3/onesession.3").read_text()
    for page in PAGES:
        assert page.stem == "onesession" or f".It Xr {page.stem} 3\n" in overview


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_right(page):
    done = run("mandoc", "-T", "lint", "-W", "style", page)
    # Which pages this machine has, and whether it has an index of them, is not the page's fault.
    machine = ("referenced manual not found", "outdated mandoc.db")
    found = [line for line in (done.stdout + done.stderr).splitlines() if not any(word in line for word in machine)]
    assert found == []


# ---- Examples --------------------------------------------------------------------------------------------------------

PRELUDE = """
#include <onesession.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
"""
# What the pieces of a function that stand alone find around them.
AROUND = """
{}void example(struct ones_request *req, struct ones_app *app, int64_t id)
{{
	struct ones_db *db = ones_db(req);
	struct ones_rows *rows = NULL;

	(void)app;
	(void)id;
	(void)db;
	(void)rows;
	{};
}}
"""


def examples(page):
    blocks = re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", page.read_text(), re.M | re.S)
    return [block.replace("\\e", "\\").replace("\\&", "") for block in blocks]


def test_examples_compile(tmp_path):
    seen = 0
    for page in PAGES:
        if page.stem == "onesession":
            continue
        for block in examples(page):
            seen += 1
            is_whole = re.match(r"(static |int main|struct |enum |#|ONES_MODULE)", block)
            source = block if is_whole else AROUND.format("void example(struct ones_request *req, struct ones_app *app, int64_t id);\n", block)
            right, said = compiles(PRELUDE + source, tmp_path, "-Wno-unused-function")
            assert right, f"{page.name}: {said}\n{block}"
    assert seen >= 2


def test_overview_s_examples_are_a_module(tmp_path):
    blocks = [block for block in examples(MAN / "man3/onesession.3") if not block.startswith("cc ")]
    greet = "static bool greet(const struct ones_event *event, void *context)\n{ (void)event; (void)context; return true; }\n"
    right, said = compiles(PRELUDE + greet + "".join(blocks), tmp_path)
    assert right, said
    assert "ONES_MODULE(" in blocks[-1]


# ---- What cannot become a page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "added, problem",
    [
        ("/* ---- Something new ---- */\n", "a section is called"),
        ("/* ---- SQL: ones_sql(3) ---- */\n\nunion ones_thing { int a; };\n", "cannot tell"),
    ],
)
def test_header_that_cannot_become_pages_is_refused(tmp_path, added, problem):
    header = tmp_path / "onesession.h"
    text = HEADER.read_text()
    at = text.rindex("#ifdef __cplusplus")
    header.write_text(text[:at] + added + "\n" + text[at:])
    done = run("awk", *GENERATOR, "-v", f"folder={tmp_path}", "-v", "date=January 1, 2026", header)
    assert done.returncode != 0 and problem in done.stderr and "onesession.h:" in done.stderr
