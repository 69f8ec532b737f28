"""The documentation is built without a warning, and what it says is true: links, commands, options, programs."""

from __future__ import annotations

import html
import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

from sgdsheet.apps import examples
from sgdsheet.apps.cli import COMMANDS, cli
from sgdsheet.compiler.functions import REGISTRY, explanation
from sgdsheet.problem.settings import DECLARATIONS
from tests.cli_books import run

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
PICTURES = sorted((DOCS / "pictures").iterdir())
LARGEST, ALL_PICTURES = 250_000, 3_300_000  # bytes


def blocks(text: str, *kinds: str) -> list[str]:
    return [content for kind, content in re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, re.M | re.S) if kind in kinds]


class Page(HTMLParser):
    """What a built page links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.targets += [value for name in ("href", "src") if (value := found.get(name))]
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sgdsheet-docs-") as folder:
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", f"{folder}/trees"]
        done = subprocess.run([*command, str(DOCS), f"{folder}/html"], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        yield Path(folder) / "html"


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > len(PAGES) + len(examples.names())
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.exists():
                broken.append(f"{path.relative_to(site)}: {target}")
            elif parts.fragment and there in pages and parts.fragment not in pages[there].anchors:
                broken.append(f"{path.relative_to(site)}: no anchor {target}")
    assert not broken


@pytest.mark.parametrize("name", examples.names())
def test_every_workbook_has_its_page(site: Path, name: str) -> None:
    text = html.unescape((site / "lessons" / f"{name}.html").read_text(encoding="utf-8"))
    text = " ".join(re.sub(r"<[^>]+>", "", text).replace("’", "'").split())
    lesson = getattr(importlib.import_module(f"sgdsheet.apps.examples.{name}"), "LESSON", None)
    assert f"sgdsheet new {name}" in text
    assert (site / "_downloads").is_dir()
    if lesson is not None:
        words = [*lesson.about, lesson.press, lesson.watch, lesson.wrong]
        words += [part for asked, answer in lesson.questions for part in (asked, *answer.split("\n"))]
        for sentence in words:
            assert " ".join(sentence.replace("’", "'").split()) in text
        for training in lesson.trainings:
            assert f"--sheet {training.sheet}" in text
            assert all(value in text for value in training.losses.values())


def test_the_tour_has_every_lesson_once(site: Path) -> None:
    text = (DOCS / "lessons" / "index.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\w+)\.md\)", text)) == sorted(examples.names())


def test_the_reference_has_everything(site: Path) -> None:
    functions = (DOCS / "reference" / "functions.md").read_text(encoding="utf-8")
    assert all(f"`{name}" in functions for name in REGISTRY)
    explained = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("functions-*.md"))
    for title, items in explanation.by_category():
        for item in items if title != "Our own" else ():
            assert f"`{item.signature}`" in explained
            assert all(f"`={formula}`".replace("|", "\\|") in explained for formula in item.examples)
    settings = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert all(f"`{item.flag}`" in settings for item in DECLARATIONS)
    commands = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^## sgdsheet (\S+)$", commands, re.M) == list(COMMANDS)


# --- what the pages say -----------------------------------------------------------------------------------


def options(words: list[str]) -> set[str]:
    found: click.Command = cli
    while isinstance(found, click.Group):
        under = found.get_command(click.Context(found), words.pop(0))
        assert under is not None
        found = under
    return {name for parameter in found.params for name in parameter.opts} | {"--help"}


def commands() -> list[str]:
    lines = [
        line.strip() for text in PAGES.values() for block in blocks(text, "sh", "text") for line in block.splitlines()
    ]
    inline = [line for text in PAGES.values() for line in re.findall(r"`(sgdsheet [a-z][^`]*)`", text)]
    return sorted({line.removeprefix("$ ") for line in (*lines, *inline) if re.match(r"(\$ )?sgdsheet [a-z]", line)})


@pytest.mark.parametrize("line", commands())
def test_commands_exist(line: str) -> None:
    words = line.split()[1:]
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= options([*words])


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if blocks(text, "sh")])
def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    run("new", "quadratic")
    for line in filter(None, "\n".join(blocks(PAGES[name], "sh")).splitlines()):
        program, *words = line.split()
        assert program == "sgdsheet"
        if words[0] == "open":  # serves until Ctrl-C: tests/web/ tries it
            continue
        done = run(*words, *(["--force"] if words[0] == "new" else []))
        assert (done.status, done.err) == (0, ""), line


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if blocks(text, "python")])
def test_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    run("new", "quadratic")
    exec(compile("\n".join(blocks(PAGES[name], "python")), name, "exec"), {})


# --- pictures ---------------------------------------------------------------------------------------------


def test_pictures_are_used_and_have_words(site: Path) -> None:
    texts = [*PAGES.values(), *(path.read_text(encoding="utf-8") for path in (DOCS / "lessons").glob("*.md"))]
    shown = [item for text in texts for item in re.findall(r"!\[([^\]]*)\]\((?:\.\./)?pictures/([^)]+)\)", text)]
    assert {name for _, name in shown} == {path.name for path in PICTURES}
    assert all(len(words.split()) >= 4 for words, _ in shown), "words for those who do not see them"


DRAWN = (
    "attention collaborative_filtering convolution cross_entropy dead_relu digits gradient_descent "
    "linear_regression local_minima mini_batches mnist mnist_3_or_7 mnist_cnn neuron_zoo optimizers "
    "overfitting quadratic titanic "
)


@pytest.mark.parametrize("name", DRAWN.split())
def test_every_workbook_has_a_picture(name: str) -> None:
    """A new one may come without, and later get one: python docs/make_pictures.py --only NAME, and look at it."""
    assert name in examples.names()
    assert (DOCS / "pictures" / f"{name}.png").is_file()


def test_pictures_are_small() -> None:
    assert [path.name for path in PICTURES if path.stat().st_size > LARGEST] == []
    everywhere = [path for path in ROOT.glob("*/pictures/*") if path.is_file()]
    assert sum(path.stat().st_size for path in everywhere) < ALL_PICTURES
