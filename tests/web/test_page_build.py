"""`web/build.py`: the page is built once for its sources, and an install without a network goes on without it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.web.browser import ROOT


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build, of a page with one source, into a folder of the test's own."""
    specification = importlib.util.spec_from_file_location("build_page", ROOT / "web" / "build.py")
    assert specification is not None
    assert specification.loader is not None
    build = importlib.util.module_from_spec(specification)
    sys.modules.pop("build_page", None)
    specification.loader.exec_module(build)
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "bundle.mjs"):
        (web / name).write_text('{"packages": {"": {}, "node_modules/grid": {"version": "1"}}}')
    (web / "src" / "main.tsx").write_text("1")
    monkeypatch.setattr(build, "WEB", web)
    monkeypatch.setattr(build, "PAGE", tmp_path / "page")
    return build


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_page_is_built_once_for_its_sources(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    node = command("import sys, pathlib; pathlib.Path(sys.argv[2]).mkdir()")
    monkeypatch.setattr(page, "node_of_machine", lambda: page.Tools(node, command("")))
    assert page.build()
    assert not page.build()
    (page.WEB / "src" / "main.tsx").write_text("2")
    assert page.build()


def test_without_a_network_there_is_no_page_and_no_old_one(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    page.PAGE.mkdir()
    npm = command("import sys; print('npm error code ENOTFOUND', file=sys.stderr); sys.exit(1)")
    monkeypatch.setattr(page, "node_of_machine", lambda: page.Tools(command(""), npm))
    with pytest.raises(page.PageMissing, match=r"ENOTFOUND.*python web/build.py"):
        page.build()
    assert not page.PAGE.exists()


def test_libraries_that_are_there_are_not_fetched_again(page: ModuleType) -> None:
    assert not page.are_installed(development=False)
    (page.WEB / "node_modules").mkdir()
    (page.WEB / "node_modules" / ".package-lock.json").write_text(
        '{"packages": {"node_modules/grid": {"version": "1"}}}'
    )
    assert page.are_installed(development=False)


def test_the_lock_file_names_no_addresses() -> None:
    assert '"resolved"' not in (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
