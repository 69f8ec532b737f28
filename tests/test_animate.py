"""Training as a moving picture."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

import sgdsheet
from sgdsheet.analysis.trajectory import Snapshot, record_training
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import FileError, SettingError, SgdSheetError, TrainingError
from sgdsheet.plots.animation import animate, spread
from sgdsheet.plots.look import Picture
from sgdsheet.sheet.workbook import DefinedName
from tests.chart_books import LOSS, charted
from tests.cli_books import run
from tests.errors import refusal

ROOT = Path(__file__).parent.parent


@pytest.fixture
def model(tmp_path: Path) -> SheetModel:
    return sgdsheet.compile(sgdsheet.load(charted(tmp_path / "book.xlsx")))


def frames(picture: Picture) -> list[Image.Image]:
    moving, found = Image.open(io.BytesIO(picture.data)), []
    for index in range(getattr(moving, "n_frames", 1)):
        moving.seek(index)
        found.append(moving.convert("RGB"))
    return found


def durations(picture: Picture) -> list[int]:
    moving, found = Image.open(io.BytesIO(picture.data)), []
    for index in range(getattr(moving, "n_frames", 1)):
        moving.seek(index)
        found.append(moving.info["duration"])
    return found


def test_a_picture_that_moves(model: SheetModel, tmp_path: Path) -> None:
    target = tmp_path / "fit.gif"
    picture = sgdsheet.animate(model, target, seconds=2, width=640, optimizer="sgd", lr=0.05, steps=300)
    assert target.read_bytes() == picture.data
    assert (picture.kind, picture.path) == (".gif", target)
    shown = frames(picture)
    assert len(shown) == 24
    assert {frame.width for frame in shown} == {640}
    assert shown[0].getpixel((1, 1)) == (255, 255, 255)
    assert len({frame.tobytes() for frame in shown}) > 20
    assert durations(picture)[0] == 800
    assert durations(picture)[-1] == 2500
    assert len(picture.data) < 500_000
    assert picture.shows.session.loss < 0.01
    assert list(model.parameter_cells().values()) == pytest.approx([2.0, 1.0], abs=0.1)


def test_the_same_training_gives_the_same_bytes(tmp_path: Path) -> None:
    book = sgdsheet.load(charted(tmp_path / "book.xlsx"))
    one, two = (animate(sgdsheet.compile(book), seconds=1, steps=30).data for _ in range(2))
    assert one == two


def test_without_charts_the_loss_is_shown(tmp_path: Path) -> None:
    model = sgdsheet.compile(sgdsheet.load(charted(tmp_path / "bare.xlsx", charts=False)))
    picture = animate(model, seconds=1, width=320, steps=5, optimizer="sgd", lr=0.01)
    assert len(frames(picture)) == 6  # the start, and five steps


def test_early_steps_are_denser() -> None:
    steps = [*range(41), *(round(40 * 1.02**power) for power in range(1, 200))]
    chosen = [snapshot.step for snapshot in spread([Snapshot(step, []) for step in steps], 60)]
    assert chosen[0] == 0
    assert chosen[-1] == steps[-1]
    assert len(chosen) == 60
    gaps = [later - earlier for earlier, later in pairwise(chosen)]
    assert max(gaps[:9]) <= 5
    assert gaps[-1] > 20 * max(gaps[:5])


def test_a_long_training_keeps_few_snapshots(model: SheetModel) -> None:
    session = sgdsheet.Session(model, optimizer="sgd", lr=0.001, steps=5000)
    trajectory = record_training(session)
    assert [snapshot.step for snapshot in trajectory.snapshots[:41]] == list(range(41))
    assert len(trajectory.snapshots) < 320
    assert trajectory.records[0].loss == pytest.approx(LOSS)
    assert trajectory.records[-1].loss == session.loss


def test_ctrl_c_ends_the_training_and_the_picture_is_made(model: SheetModel) -> None:
    def stop(step: int, loss: float) -> None:
        if step == 12:
            raise KeyboardInterrupt

    picture = animate(model, seconds=1, show=stop, optimizer="sgd", lr=0.01, steps=100)
    assert picture.shows.interrupted
    assert picture.shows.snapshots[-1].step == 12
    assert frames(picture)


def test_a_training_that_diverges_can_be_watched(model: SheetModel) -> None:
    picture = animate(model, seconds=1, optimizer="sgd", lr=10.0, steps=400)
    assert picture.shows.session.stopped == "diverged"
    assert picture.shows.snapshots[-1].step == 0
    assert len(frames(picture)) == 12
    assert model.parameter_cells() == picture.shows.session.model.parameter_cells()


def test_one_start_is_shown(model: SheetModel) -> None:
    assert animate(model, seconds=1, restarts=20, steps=5).shows.session.settings.restarts is None


def test_a_notebook_shows_it(model: SheetModel) -> None:
    picture = animate(model, seconds=1, steps=3)
    (html,) = picture._repr_mimebundle_().values()
    assert html.startswith('<img alt="the training, animated" src="data:image/gif;base64,R0lGOD')


@pytest.mark.parametrize(("name", "kind"), [("fit.png", FileError), ("fit", FileError), ("folder/fit.gif", FileError)])
def test_where_it_cannot_be_written(model: SheetModel, tmp_path: Path, name: str, kind: type[Exception]) -> None:
    before = model.parameter_cells()
    with refusal(kind, cause=r"fit|folder"):
        animate(model, tmp_path / name, steps=3)
    assert model.parameter_cells() == before, "it says so before it trains"


@pytest.mark.parametrize("size", [{"seconds": 0.5}, {"seconds": 1e9}, {"width": 10}, {"width": 100_000}])
def test_limits(model: SheetModel, size: dict[str, float]) -> None:
    with refusal(SettingError, remedy="Allowed: from"):
        animate(model, **size)  # type: ignore[arg-type]


def test_mp4_without_ffmpeg(model: SheetModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with refusal(FileError, cause=r"ffmpeg is not installed, and an \.mp4 file needs it$", remedy="^Install it, or"):
        animate(model, tmp_path / "fit.mp4")


def test_mp4_with_a_program_that_fails(model: SheetModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'no such encoder' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with refusal(FileError, cause=r"ffmpeg cannot make an \.mp4 file: “no such encoder”"):
        animate(model, tmp_path / "fit.mp4", seconds=1, steps=2)
    assert not (tmp_path / "fit.mp4").exists()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_mp4(model: SheetModel, tmp_path: Path) -> None:
    target = tmp_path / "fit.mp4"
    animate(model, target, seconds=1, width=501, steps=20)
    seen = subprocess.run(["ffmpeg", "-i", str(target)], capture_output=True, text=True).stderr
    assert "yuv420p" in seen
    assert "502x" in seen


def test_a_missing_extra(model: SheetModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SgdSheetError, match=r'^matplotlib is not installed\. Run: pip install "sgdsheet\[plot\]"$'):
        animate(model)


def test_a_training_without_an_end_says_why(tmp_path: Path) -> None:
    model = sgdsheet.compile(sgdsheet.load(charted(tmp_path / "book.xlsx")))
    with pytest.raises((TrainingError, SettingError)):
        animate(model, optimizer="nonsense")


# --- the command ------------------------------------------------------------------------------------------


def test_command(tmp_path: Path) -> None:
    book, target = charted(tmp_path / "book.xlsx"), tmp_path / "fit.gif"
    before = book.read_bytes()
    done = run("animate", book, "-o", target, "--seconds", 1, "--steps", 40, "--optimizer", "adam")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"loss {LOSS:g} → ")
    assert done.out.endswith(" kB)\n")
    assert target.read_bytes().startswith(b"GIF89a")
    assert book.read_bytes() == before


def test_command_json(tmp_path: Path) -> None:
    target = tmp_path / "fit.gif"
    done = run("animate", charted(tmp_path / "book.xlsx"), "-o", target, "--seconds", 1, "--steps", 4, "--json")
    assert done.json["charts"] == 2
    assert done.json["bytes"] == target.stat().st_size
    assert done.json["output"] == str(target)
    assert done.json["loss"] < done.json["loss_start"] == pytest.approx(LOSS)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-o", "fit.png"], 1, "is not the name of a moving picture"),
        (["-o", "fit.gif", "--seconds", "999"], 2, "999 is not possible for --seconds. Allowed: from 1 to 60"),
        (["-o", "fit.gif", "--lr", "fast"], 2, "“fast” is not possible for --lr"),
        ([], 2, "Missing option"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    done = run("animate", charted(tmp_path / "book.xlsx"), *arguments)
    assert done.status == status
    assert message in done.err
    assert not Path("fit.gif").exists()


def test_mini_batches(tmp_path: Path) -> None:
    workbook = sgdsheet.load(charted(tmp_path / "book.xlsx"))
    workbook.names.append(DefinedName("sgd_data", "'line & co'!$A$2:$C$6", "line & co"))
    model = sgdsheet.compile(workbook, loss="E4", params="E1:E2")
    picture = animate(model, seconds=1, steps=12, batch_size=2, optimizer="sgd", lr=0.01)
    assert picture.shows.session.plan.batched
    assert len(frames(picture)) > 9
