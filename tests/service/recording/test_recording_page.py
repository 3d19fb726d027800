"""The page's buttons for feedback, in a real browser."""

from pathlib import Path
from typing import Any

from pyarrow import dataset

from browser import run_browser
from service_process import run_serve
from small_registry import SEVEN, SmallRegistry


def test_a_person_says_what_a_picture_is_where_answers_are_recorded(tmp_path: Path) -> None:
    with run_browser() as browser:
        registry = SmallRegistry(tmp_path / "registry")
        registry.point(registry.add())
        place = tmp_path / "place"
        with run_serve(registry.uri, tmp_path / "copy", "--record", str(place)) as address:
            page = browser.new_page(viewport={"width": 1200, "height": 800})
            faults: list[Any] = []
            page.on("pageerror", lambda error: faults.append(error))
            page.goto(address)
            give_picture(page)
            page.get_by_role("button", name="Right").click()
            page.get_by_text("Noted: 7a.").wait_for(timeout=20_000)
            page.get_by_label("The right label").select_option("3a")
            page.get_by_text("Noted: 3a.").wait_for(timeout=20_000)
            page.screenshot(path=str(tmp_path / "page.png"))
            assert faults == []
        found = (
            dataset.dataset(place / "labels", format="parquet", partitioning="hive").to_table().to_pylist()
        )
        assert [row["label"] for row in sorted(found, key=lambda row: row["time"])] == ["7a", "3a"]
        with run_serve(registry.uri, tmp_path / "copy") as address:
            page.goto(address)
            give_picture(page)
            assert not page.get_by_role("button", name="Right").is_visible()


def give_picture(page: Any) -> None:
    """Give the page a seven, and wait for its answer."""
    page.locator("#files").set_input_files({"name": "seven.png", "mimeType": "image/png", "buffer": SEVEN})
    page.locator(".card .label").wait_for(timeout=20_000)
