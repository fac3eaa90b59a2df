"""docs/api.md: its examples, through a web server, as they stand there."""

import json
import os
import re
import subprocess

from support.api import DOCUMENT, fits
from support.processes import ROOT

TEXT = (ROOT / "docs/api.md").read_text()
# What the examples name that is another each time.
KEY = "mpF4N8S1C6DyxNW4F7eTqmPSykplTU-HkWMPsaLV4NU"
SESSION = "f62e351d-0357-4391-943b-ceca1adda6ac"


def examples():
    """The lines of all blocks for a shell."""
    return [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


def test_examples_do_what_the_text_says(site, tmp_path):
    ctl = tmp_path / "onesessionctl"
    ctl.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in site.ctl().command()) + ' "$@"\n')
    ctl.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "no_proxy": "*"}
    said, known = [], {}
    setup = []
    for line in examples():
        line = line.replace("http://localhost:8080", site.url)
        for written, actual in known.items():
            line = line.replace(written, actual)
        if line.startswith(("API=", "call()")):
            setup.append(line)
            continue
        if line.startswith("call "):
            line = line.replace("call ", "call -w '\\n%{http_code}' ", 1)
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join([*setup, line])], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if not line.startswith("call "):
            if "token add" in line:
                site.secrets.add((tmp_path / "shop.token").read_text().strip().removeprefix("ost_"))
            continue
        body, _, status = done.stdout.rpartition("\n")
        said.append(status)
        answer = json.loads(body) if body else None
        if "/sessions -H" in line:
            known = {KEY: answer["token"], SESSION: answer["session"]["id"]}
            site.secrets.add(answer["token"])
        if "/check" in line:
            assert answer["live"] is True
    assert said == ["201", "200", "200", "200", "200", "201", "200", "200", "204", "200", "204", "200"]


def test_answers_that_are_shown_are_like_those_that_are_described():
    shown = [json.loads(re.sub(r"\.\.\.(?=[\";])", "", line)) for line in re.findall(r'```json\n(\{"id": 4.*?\})\n```', TEXT, re.DOTALL)]
    assert shown
    for account in shown:
        fits(DOCUMENT["components"]["schemas"]["Account"], account)


def test_each_route_and_code_is_in_the_text():
    for path in DOCUMENT["paths"]:
        plain = path.removeprefix("/api").replace("{name}", "carol").replace("{id}", SESSION)
        assert f"$API{plain}" in TEXT or f"/session/api{plain}" in TEXT, path
    for name in DOCUMENT["components"]["schemas"]["Terms"]["properties"] | DOCUMENT["components"]["schemas"]["Check"]["properties"]:
        assert f"`{name}`" in TEXT or f'"{name}"' in TEXT, name
