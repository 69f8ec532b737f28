"""A workbook in the browser, live, without a browser: edits, training, undo, saving, several pages and books."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from openpyxl import load_workbook
from websockets.exceptions import ConnectionClosed

from tests.live_books import until
from tests.web.served import Page, Served, serving

ROOT = Path(__file__).parent.parent.parent
SHEET = "fit"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("books")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    book = Path(copyfile(ROOT / "workbooks" / "linear_regression.xlsx", folder / "line.xlsx"))
    with serving(book, folder / "state") as found:
        yield found


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    with served.page() as found:
        found.book = found.wait("book")  # type: ignore[attr-defined]
        yield found


def model(page: Page) -> dict[str, object]:
    book = next(message for message in page.seen if message["type"] == "book")
    found: dict[str, object] = book["models"][SHEET]
    return found


def loss_text(page: Page) -> str:
    row, column = model(page)["loss"]  # type: ignore[misc]
    text: str = page.ask("cell", sheet=SHEET, row=row, column=column)["value"]
    return text


def test_what_is_typed_recalculates_what_depends_on_it(page: Page) -> None:
    row, column = model(page)["loss"]  # type: ignore[misc]
    page.cells(SHEET, 1, 1, 40, 20)
    before = loss_text(page)
    top, left, *_ = model(page)["params"][0]  # type: ignore[index]
    start = len(page.seen)
    assert page.ask("edit", sheet=SHEET, top=top, left=left, texts=[["123.5"]])["ok"]
    changed = page.came(start, "cells", full=False)["cells"]
    assert (row, column) in {(cell[0], cell[1]) for cell in changed}
    assert loss_text(page) != before
    assert page.ask("cell", sheet=SHEET, row=top, column=left)["input"] == "123.5"
    assert page.ask("undo")["ok"]
    assert loss_text(page) == before
    assert page.ask("redo")["ok"]
    assert page.ask("undo")["ok"]


def test_a_formula_is_taken_copied_and_looked_into(page: Page) -> None:
    assert page.ask("edit", sheet=SHEET, top=60, left=30, texts=[["1", "=AD60*2"], ["5", None]])["ok"]
    assert page.ask("fill", sheet=SHEET, **{"from": [60, 31, 60, 31], "to": [60, 31, 61, 31]})["ok"]
    found = page.ask("cell", sheet=SHEET, row=61, column=31)
    assert (found["formula"], found["value"]) == ("=AD61*2", "10")
    assert found["refers"] == [{"sheet": SHEET, "area": [61, 30, 61, 30]}]
    copied = page.ask("copy", sheet=SHEET, area=[60, 30, 61, 31])
    assert copied["tsv"] == "1\t2\n5\t10"
    assert "<td>10</td>" in copied["html"]
    refused = page.ask("edit", sheet=SHEET, top=60, left=30, texts=[["=SUM("]])
    assert not refused["ok"]
    assert refused["error"]["message"]
    page.ask("undo")
    page.ask("undo")


def test_dates_and_shares_look_as_they_were_typed(page: Page) -> None:
    texts = [["2026-11-29", "12.5%"]]
    assert page.ask("edit", sheet=SHEET, top=65, left=30, texts=texts)["ok"]
    shown = page.cells(SHEET, 65, 30, 65, 31)
    assert shown[65, 31] == "12.50%"
    assert "2026" in shown[65, 30] or "26" in shown[65, 30]
    assert page.ask("cell", sheet=SHEET, row=65, column=30)["input"] == "2026-11-29"
    page.ask("undo")


def test_steps_and_training_are_seen_by_every_page(served: Served, page: Page) -> None:
    page.cells(SHEET, 1, 1, 40, 20)
    before = loss_text(page)
    start = len(page.seen)
    assert page.ask("command", name="step", sheet=SHEET)["ok"]
    assert page.came(start, "history", sheet=SHEET)["points"][0][0] == 1
    with served.page() as other:
        other.wait("book")
        other.cells(SHEET, 1, 1, 40, 20)
        assert page.ask("command", name="train", sheet=SHEET)["ok"]
        other.wait("status", state="idle", sheet=SHEET)
        assert any(message["type"] == "cells" and not message["full"] for message in other.seen)
        assert loss_text(other) == loss_text(page) != before
    with served.page() as later:  # a page that was opened again sees the whole curve
        later.wait("book")
        later.cells(SHEET, 1, 1, 40, 20)
        assert len(later.wait("history", sheet=SHEET, reset=True)["points"]) > 10
    assert page.ask("undo")["ok"]
    assert page.ask("undo")["ok"]
    assert loss_text(page) == before


def test_nobody_sees_cells_of_a_run_while_nothing_is_said_to_be_trained(page: Page) -> None:
    """The state comes before the first cells of a run, and the end after its last ones."""
    for rows in (40, 42, 44):
        known = page.cells(SHEET, 1, 1, rows, 20)
        start = len(page.seen)
        slow = {"steps_per_second": 40, "steps": 20}
        assert page.ask("command", name="train", sheet=SHEET, options=slow)["ok"]
        page.came(start, "status", state="training")
        page.wait("status", state="idle")
        states, changes = [], 0
        for message in page.seen[start:]:
            if message["type"] == "status":
                states.append(message["state"])
            elif message["type"] == "cells":
                known |= {(row, column): text for row, column, text, *_ in message["cells"]}
                changes += 1
                assert states[-1:] not in ([], ["idle"])
        assert changes
        assert known.items() <= page.cells(SHEET, 1, 1, rows + 1, 20).items()
        assert page.ask("undo")["ok"]


def test_stop_ends_a_run_at_once(page: Page) -> None:
    page.cells(SHEET, 1, 1, 40, 20)
    slow = {"steps_per_second": 20}
    start = len(page.seen)
    assert page.ask("command", name="train", sheet=SHEET, options=slow)["ok"]
    page.came(start, "status", state="training")
    start = len(page.seen)
    assert page.ask("command", name="stop", sheet=SHEET)["ok"]
    page.came(start, "status", state="idle")
    page.ask("undo")


def test_a_training_sends_little(page: Page) -> None:
    """What follows a run comes at most so often, and of the cells only those that look otherwise than before."""
    page.cells(SHEET, 1, 1, 60, 20)
    start, slow = len(page.seen), {"optimizer": "adam", "learning_rate": 1e-4, "steps": 10**8}
    assert page.ask("command", name="train", sheet=SHEET, options=slow)["ok"]
    page.came(start, "status", state="training")
    start, began = len(page.seen), time.monotonic()
    while (spent := time.monotonic() - began) < 3.0:
        page.next()
    news = page.seen[start:]
    assert page.ask("command", name="stop", sheet=SHEET)["ok"]
    page.ask("undo")
    kinds = Counter(message["type"] for message in news)
    assert kinds["cells"]
    assert kinds["cells"] <= 16 * spent + 3
    assert max(kinds["history"], kinds["charts"]) <= 10 * spent + 3, kinds
    texts: dict[tuple[int, int], list[object]] = {}
    for message in (message for message in news if message["type"] == "cells"):
        assert not message["full"]
        for row, column, *entry in message["cells"]:
            assert texts.get((row, column)) != entry, (row, column)
            texts[row, column] = entry


def test_gradients_and_findings_come_by_themselves(page: Page) -> None:
    start = len(page.seen)
    page.cells(SHEET, 1, 1, 40, 20)
    gradients = page.came(start, "gradients", sheet=SHEET)["cells"] or page.wait("gradients", sheet=SHEET)["cells"]
    top, left, *_ = model(page)["params"][0]  # type: ignore[index]
    row, column, gradient = gradients[0]
    assert (row, column) == (top, left)
    assert page.ask("cell", sheet=SHEET, row=row, column=column)["gradient"] == gradient
    assert page.ask("cell", sheet=SHEET, row=row, column=column)["role"] == "parameter"


def test_a_slice_of_the_loss(page: Page) -> None:
    top, left, *_ = model(page)["params"][0]  # type: ignore[index]
    found = page.ask("slice", sheet=SHEET, cells=[[top, left]])
    assert len(found["x"]) == len(found["loss"])
    assert not page.ask("slice", sheet=SHEET, cells=[[1, 1]])["ok"]


def test_settings_are_written_where_they_stand(page: Page) -> None:
    start = len(page.seen)
    reply = page.ask("settings", sheet=SHEET, values={"learning rate": "0.25"})
    assert reply["ok"]
    refused = page.ask("settings", sheet=SHEET, values={"learning rate": "fast"})
    assert "cannot be the setting" in refused["error"]["message"]
    assert not page.ask("settings", sheet=SHEET, values={"no such setting": "1"})["ok"]
    book = page.came(start, "book")
    assert str(book["models"][SHEET]["settings"]["learning rate"]) == "0.25"


def test_charts_have_values(page: Page) -> None:
    start = len(page.seen)
    page.cells(SHEET, 1, 1, 40, 20)
    charts = page.came(start, "charts", sheet=SHEET)["charts"]
    assert charts
    assert all(len(series["x"]) == len(series["y"]) > 0 for chart in charts for series in chart["series"])


def test_saving_writes_a_copy_and_the_file_only_if_asked(served: Served, page: Page, folder: Path) -> None:
    top, left, *_ = model(page)["params"][0]  # type: ignore[index]
    original = (folder / "line.xlsx").read_bytes()
    page.ask("edit", sheet=SHEET, top=top, left=left, texts=[["4.25"]])
    saved = page.ask("save", **{"as": None, "in_place": False})
    assert saved["name"] == "line-trained.xlsx"
    assert (folder / "line.xlsx").read_bytes() == original
    book = load_workbook(folder / "line-trained.xlsx", data_only=True)
    assert book[SHEET].cell(top, left).value == 4.25
    for name in ("../up.xlsx", "a/b.xlsx", "", "con\0.xlsx", ".."):
        assert not page.ask("save", **{"as": name, "in_place": False})["ok"]
    (folder / "other.xlsx").write_bytes(b"mine")
    assert "exists already" in page.ask("save", **{"as": "other.xlsx", "in_place": False})["error"]["message"]
    answer = served.client.get(f"/api/book/{served.book}/download")
    assert answer.content.startswith(b"PK")
    assert "line.xlsx" in answer.headers["content-disposition"]


def test_another_program_changes_the_file(page: Page, folder: Path) -> None:
    path = folder / "line.xlsx"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    page.wait("file", changed=True)
    refused = page.ask("save", **{"as": None, "in_place": True})
    assert "changed by another program" in refused["error"]["message"]
    path.write_bytes(content)
    page.wait("file", changed=False)


def test_the_model_is_exported(served: Served) -> None:
    answer = served.client.get(f"/api/book/{served.book}/export", params={"sheet": SHEET})
    assert answer.status_code == 200
    assert b"import torch" in answer.content


def test_an_uploaded_workbook(served: Served) -> None:
    content = (ROOT / "workbooks" / "quadratic.xlsx").read_bytes()
    answer = served.client.post("/api/upload", params={"name": "../../quadratic.xlsx"}, content=content)
    with served.page(answer.json()["book"]) as page:
        book = page.wait("book")
        assert (book["name"], book["path"]) == ("quadratic.xlsx", None)
        assert "no place" in page.ask("save", **{"as": None, "in_place": True})["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"<html>", b"\0" * 1000])
def test_what_is_no_workbook_is_refused(served: Served, content: bytes) -> None:
    answer = served.client.post("/api/upload", params={"name": "book.xlsx"}, content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_dropped_file_keeps_its_place(tmp_path: Path) -> None:
    """It is in the list of recent books, with what was changed and not saved, also after a crash."""
    content = (ROOT / "workbooks" / "quadratic.xlsx").read_bytes()

    def dropped(served: Served) -> str:
        answer = served.client.post("/api/upload", params={"name": "drop.xlsx"}, content=content)
        return str(answer.json()["book"])

    with serving(None, tmp_path / "state") as served:
        book = dropped(served)
        assert dropped(served) == book
        listed = served.client.get("/api/start").json()["recent"]
        assert [(item["name"], item["folder"]) for item in listed] == [("drop.xlsx", "dropped here")]
        with served.page(book) as page:
            page.cells("centred", 1, 1, 9, 9)
            assert page.ask("edit", sheet="centred", top=40, left=1, texts=[["kept"]])["ok"]
        until(lambda: [*(tmp_path / "state").rglob("*.recovery")])
        served.kill()
    with serving(None, tmp_path / "state") as served:
        answer = served.client.post("/api/open", json={"recent": 0})
        assert answer.json() == {"book": book}
        with served.page(book) as page:
            page.cells("centred", 1, 1, 9, 9)
            until(lambda: page.cells("centred", 38, 1, 42, 2).get((40, 1)) == "kept")
        assert len([*(tmp_path / "state" / "dropped").glob("*/*")]) == 1


def test_the_start_page_lists_examples_and_recent_books(served: Served, folder: Path) -> None:
    found = served.client.get("/api/start").json()
    assert "titanic" in {example["name"] for example in found["examples"]}
    recent = next(item for item in found["recent"] if item["name"] == "line.xlsx")
    assert recent["folder"] == str(folder)
    picture = next(example["picture"] for example in found["examples"] if example["name"] == "titanic")
    assert served.client.get(picture).headers["content-type"] == "image/png"
    assert served.client.get("/api/picture/..%2fquadratic").status_code == 404
    answer = served.client.post("/api/open", json={"recent": recent["index"]})
    assert answer.json() == {"book": served.book}
    for asked in ({"recent": 99}, {"recent": -1}, {"path": "/etc/passwd"}, {"example": "../x"}, [], "x"):
        assert served.client.post("/api/open", json=asked).status_code == 400


def test_a_book_that_is_not_open(served: Served) -> None:
    assert served.client.get("/api/book/0123456789ab/download").status_code == 404
    with served.page("0123456789ab") as page, pytest.raises(ConnectionClosed) as closed:
        page.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


def test_control_c_ends_a_training_and_leaves_the_best(tmp_path: Path) -> None:
    book = Path(copyfile(ROOT / "workbooks" / "linear_regression.xlsx", tmp_path / "line.xlsx"))
    with serving(book, tmp_path / "state") as served, served.page() as page:
        page.wait("book")
        page.cells(SHEET, 1, 1, 40, 20)
        slow = {"steps_per_second": 20}
        assert page.ask("command", name="train", sheet=SHEET, options=slow)["ok"]
        while page.wait("status", state="training")["step"] < 3:
            pass
        assert served.stop() == 0


def test_what_was_not_saved_is_there_after_a_crash(tmp_path: Path) -> None:
    book = Path(copyfile(ROOT / "workbooks" / "linear_regression.xlsx", tmp_path / "line.xlsx"))
    with serving(book, tmp_path / "state") as served, served.page(farewell=0.1) as page:
        page.wait("book")
        page.cells(SHEET, 1, 1, 40, 20)
        assert page.ask("edit", sheet=SHEET, top=70, left=30, texts=[["kept", "=1+1"]])["ok"]
        until(lambda: any((tmp_path / "state").rglob("*.recovery")))
        served.kill()
    with serving(book, tmp_path / "state") as served, served.page() as page:
        page.wait("book", recovery=None)
        page.cells(SHEET, 1, 1, 80, 40)
        again = page.wait("book")
        assert again["recovery"]["when"]
        assert not again["saved"]
        assert page.ask("cell", sheet=SHEET, row=70, column=30)["value"] == "kept"
        assert page.ask("cell", sheet=SHEET, row=70, column=31)["formula"] == "=1+1"
        start = len(page.seen)
        assert page.ask("save", **{"as": None, "in_place": True})["ok"]
        assert page.came(start, "book", saved=True)["recovery"] is None
    assert load_workbook(tmp_path / "line.xlsx")[SHEET].cell(70, 30).value == "kept"
