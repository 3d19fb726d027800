"""The page in a real browser, over a real registry: what a person does, and what is seen."""

import base64
import io
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from browser import ELSEWHERE, run_browser
from drawn_digits import SIDE, STROKES, draw_digit, nearest_model
from modelyard.inference.bundle import Label
from modelyard.packaging.writing import write_bundle
from service_process import run_serve
from small_registry import SmallRegistry, make_bundle
from tflite_models import DIGIT, encode, photo_bundle, undecided_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

TOKEN = "open-sesame"  # noqa: S105  # the test's own
MARKUP = "<img src=x onerror=alert(1)>"
RED = np.zeros((60, 80, 3), np.uint8)
RED[..., 0] = 255
BLANK = "\N{NO-BREAK SPACE}"
SURE, HARDLY = f">{BLANK}99.9{BLANK}%", f"<{BLANK}0.1{BLANK}%"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    """Two versions that recognise drawn digits, or do not; one of photos, one of many labels, no champion."""
    folder = tmp_path_factory.mktemp("registry")
    registry = SmallRegistry(folder)
    trained = {"training": {"run": {"params": {"model.name": "nearest"}}}}
    many = [MARKUP if number == 2 else f"kind {number}" for number in range(30)]
    for name, version, model, labels in (
        ("digits", 1, nearest_model(), map(str, range(10))),
        ("digits", 2, undecided_model(10, tells=True), map(str, range(10))),
        ("kinds", 1, undecided_model(30), many),
    ):
        bundle = write_bundle(
            folder / name / str(version),
            model=model,
            name=name,
            precision="float32",
            labels=[Label(label) for label in labels],
            preprocessing=DIGIT,
            provenance=trained,
        )
        registry.add_bundle(bundle)
    registry.add_bundle(photo_bundle(folder / "colours"))
    registry.add_bundle(make_bundle(folder / "waiting", "waiting", "", nearest_model()))
    for name in ("digits", "kinds", "colours"):
        registry.point(1, name=name)
    (folder / "kept/samples").mkdir(parents=True)
    for digit in (4, 7):
        (folder / f"kept/samples/label-{digit}.png").write_bytes(encode(draw_digit(digit)))
    model_id = registry.client.get_model_version("digits", "1").tags["model_id"]
    registry.client.log_model_artifacts(model_id, str(folder / "kept"))
    registry.point(2, "challenger", "digits")
    for key, value in {"": 0.9922, "_low": 0.9903, "_high": 0.9937}.items():
        registry.log_metric(1, f"test/accuracy{key}", value, "digits")
    registry.log_metric(1, "test/errors", 1078, "digits")
    return registry


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with run_browser() as browser:
        yield browser


# The browser first: without one nothing is made in vain.
@pytest.fixture(scope="module")
def address(
    browser: "Browser", registry: SmallRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with run_serve(registry.uri, tmp_path_factory.mktemp("copy")) as address:
        yield address


Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def context(browser: "Browser") -> "BrowserContext":
    return browser.new_context()


@pytest.fixture
def visit(browser: "Browser", context: "BrowserContext", address: str) -> Iterator[Visit]:
    """Open the page; any error of its scripts, and anything that its policy refuses, fails the test.

    Each is a session of its own; those with options also have a profile of their own.
    """
    faults: list[str] = []
    opened: list[Page | BrowserContext] = []

    def open_page(model: str = "", at: str = address, **options: Any) -> "Page":
        own = browser.new_context(**options) if options else context
        page = own.new_page()
        opened.append(own if options else page)
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Policy" in line.text else None)
        page.goto(f"{at}/#{model}")
        return page

    yield open_page
    for one in opened:
        one.close()
    assert faults == []


def draw(page: "Page", digit: int) -> None:
    page.locator("#canvas").wait_for()
    frame = page.locator("#canvas").bounding_box()
    assert frame is not None
    (x, y), *others = STROKES[digit]
    page.mouse.move(frame["x"] + x, frame["y"] + y)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(frame["x"] + x, frame["y"] + y, steps=5)
    page.mouse.up()


def give(page: "Page", kind: str, *files: tuple[str, str, bytes]) -> None:
    """Drop or paste files (name, type, content), as the system would hand them over."""
    given = [[name, media, base64.b64encode(content).decode()] for name, media, content in files]
    transfer = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, type, text] of files) {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type }));
            }
            return transfer;
        }""",
        given,
    )
    key = "dataTransfer" if kind == "drop" else "clipboardData"
    page.evaluate(
        """([kind, key, given]) => {
            const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
            document.body.dispatchEvent(new Kind(kind, { bubbles: true, [key]: given }));
        }""",
        [kind, key, transfer],
    )


def label(page: "Page", card: int = 0) -> "Locator":
    return page.locator(".card").nth(card).locator(".label")


def rows(page: "Page", card: int = 0) -> list[tuple[str, str]]:
    """Return the labels and shares of a card, from above."""
    lines = page.locator(".card").nth(card).locator(".rows li").all()
    return [(line.locator(".what").inner_text(), line.locator(".value").inner_text()) for line in lines]


@pytest.mark.parametrize(
    ("setting", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_without_a_browser_tests_are_skipped_but_fail_in_ci(
    monkeypatch: pytest.MonkeyPatch, setting: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", setting)
    with pytest.raises(outcome, match="apt-get install chromium"), run_browser():
        pass


def tab_to(page: "Page", name: str) -> list[str]:
    """Press Tab until an element has the focus; return the names of all that had it on the way."""
    reached = [""]
    while reached[-1] != name and len(reached) < 20:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    return reached[1:]


# A picture and its answer


def test_a_seven_drawn_with_the_mouse_is_a_seven(visit: Visit) -> None:
    page = visit("digits")
    page.get_by_text("Draw here", exact=True).wait_for()
    assert rows(page) == []
    draw(page, 7)
    label(page).wait_for()
    assert label(page).inner_text() == "7"
    assert page.locator(".sure").inner_text() == SURE
    assert rows(page) == [(str(digit), SURE if digit == 7 else HARDLY) for digit in range(10)]
    assert page.locator("#announce").inner_text().strip() == f"champion, version 1: 7, {SURE}."
    widths = [bar.evaluate("bar => parseFloat(bar.style.width)") for bar in page.locator(".bar").all()]
    assert (widths[7], max(widths[:7])) == (pytest.approx(100, abs=0.1), pytest.approx(0, abs=0.1))


def test_what_the_network_saw_is_beside_the_answer(visit: Visit) -> None:
    page = visit("digits")
    draw(page, 7)
    source = page.locator(".saw img").get_attribute("src")
    assert source is not None
    kind, _, text = source.partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(text))).size == (28, 28)


def test_an_empty_pad_has_no_answer(visit: Visit) -> None:
    page = visit("digits")
    draw(page, 1)
    label(page).get_by_text("1").wait_for()
    draw(page, 7)
    page.get_by_role("button", name="Undo").click()
    label(page).get_by_text("1").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Draw something, or add a picture.").wait_for()
    assert rows(page) == []
    assert page.get_by_text("Draw here", exact=True).is_visible()
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_the_pad_is_white_and_its_pen_black_and_as_wide_as_chosen(visit: Visit) -> None:
    page = visit("digits")
    page.locator("#width").fill("6")
    draw(page, 1)
    text = page.locator("#canvas").evaluate("canvas => canvas.toDataURL()")
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGBA"))
    assert drawn.shape == (SIDE, SIDE, 4)
    assert (drawn[..., 3] == 255).all()
    assert 5 <= (drawn[140, :, 0] < 128).sum() <= 7
    assert page.locator("#canvas").evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_is_answered_wherever_it_is_dropped_or_pasted(visit: Visit, kind: str) -> None:
    page = visit("colours")
    page.get_by_text("Drop a photo here").wait_for()
    give(page, kind, ("red.jpg", "image/jpeg", encode(RED, "JPEG")))
    label(page).get_by_text("red").wait_for()
    assert [name for name, _ in rows(page)] == ["red", "crane", "crane"]
    assert page.locator("#shown-name").inner_text() == "red.jpg"


def test_of_several_pictures_one_is_chosen(visit: Visit) -> None:
    page = visit("digits")
    files = [(f"{digit}.png", encode(draw_digit(digit))) for digit in (1, 4, 7)]
    page.set_input_files(
        "#files", [{"name": name, "mimeType": "image/png", "buffer": file} for name, file in files]
    )
    label(page).get_by_text("1").wait_for()
    page.get_by_role("button", name="7.png", exact=True).click()
    label(page).get_by_text("7").wait_for()
    assert page.get_by_role("button", pressed=True).get_by_alt_text("7.png", exact=True).is_visible()
    page.locator("#remove").click()
    label(page).get_by_text("4").wait_for()
    page.get_by_role("button", name="Drawing").click()
    page.get_by_text("Draw something, or add a picture.").wait_for()


def test_the_versions_own_samples_can_be_tried(visit: Visit) -> None:
    page = visit("digits")
    page.get_by_role("button", name="label-7.png").click()
    label(page).get_by_text("7").wait_for()
    page.get_by_role("button", name="label-4.png").click()
    label(page).get_by_text("4").wait_for()
    page.locator("#model").select_option("kinds")
    page.get_by_text("Draw something, or add a picture.").wait_for()
    assert not page.locator("#samples").is_visible()


def test_another_kind_of_picture_is_sent_as_a_png(visit: Visit) -> None:
    page = visit("colours")
    give(page, "drop", ("red.webp", "image/webp", encode(RED, "WEBP")))
    label(page).get_by_text("red").wait_for()


def test_a_picture_that_comes_before_the_models_are_known_is_asked_about(visit: Visit) -> None:
    page = visit("colours")
    held: list[Any] = []
    page.route("**/models", lambda route: held.append(route))
    with page.expect_request("**/models"):
        page.reload()
    give(page, "drop", ("red.png", "image/png", encode(RED)))
    page.wait_for_timeout(300)
    (route,) = held
    route.continue_()
    label(page).get_by_text("red").wait_for()


@pytest.mark.parametrize(
    ("name", "kind", "content", "told"),
    [
        (MARKUP, "image/png", encode(RED)[:60], "This picture cannot be read: a truncated PNG."),
        (
            f"{MARKUP}.txt",
            "text/plain",
            b"words",
            f"{MARKUP}.txt is not a picture that this browser can open: use a PNG or JPEG.",
        ),
    ],
    ids=["a picture that is cut off", "no picture"],
)
def test_a_broken_file_is_told_in_words(
    visit: Visit, name: str, kind: str, content: bytes, told: str
) -> None:
    page = visit("colours")
    page.locator(".card").wait_for()
    give(page, "drop", (name, kind, content))
    page.get_by_text(told, exact=True).wait_for()
    assert rows(page) == []
    assert page.locator("main img[src='x']").count() == 0


def test_many_labels_are_ranked_and_none_of_them_is_markup(visit: Visit) -> None:
    page = visit("kinds")
    draw(page, 7)
    label(page).wait_for()
    assert label(page).inner_text() == MARKUP
    assert [name for name, _ in rows(page)] == [MARKUP, "kind 5", "kind 8", "kind 11", "kind 14"]
    assert page.locator("main img[src='x']").count() == 0
    assert page.locator(".sure").inner_text().startswith("unsure, ")
    page.locator("#model").select_option("digits")
    label(page).get_by_text("7").wait_for()
    page.locator("#model").select_option("kinds")
    label(page).get_by_text(MARKUP).wait_for()
    assert page.url.endswith("#kinds")


def test_a_picture_comes_from_the_webcam(visit: Visit) -> None:
    page = visit("colours")
    page.get_by_role("button", name="Webcam").click()
    page.get_by_role("button", name="Take the picture").click()
    label(page).wait_for()
    assert page.locator("#shown-name").inner_text() == "webcam.jpg"
    assert page.locator("#video").evaluate("video => video.srcObject") is None


def test_without_a_secure_context_a_sentence_says_why_there_is_no_webcam(visit: Visit, address: str) -> None:
    page = visit("digits", at=address.replace("127.0.0.1", ELSEWHERE))
    page.get_by_text("The webcam works only over https").wait_for()
    assert not page.get_by_role("button", name="Webcam").is_visible()


def test_a_phone_offers_its_camera(visit: Visit) -> None:
    page = visit("digits", has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Take a photo").wait_for()
    assert page.locator("#camera").get_attribute("capture") == "environment"


# Versions


def test_versions_stand_side_by_side_and_a_disagreement_is_outlined(visit: Visit) -> None:
    page = visit("digits")
    draw(page, 7)
    label(page).wait_for()
    page.locator("#compare").select_option("challenger")
    label(page, 1).get_by_text("2", exact=True).wait_for()
    page.locator(".card").nth(1).get_by_text(", with loading").wait_for()
    champion, challenger = page.locator(".card").all()
    assert champion.get_by_role("heading").inner_text() == "Champion, version 1"
    assert challenger.get_by_role("heading").inner_text() == "Challenger, version 2"
    assert challenger.get_by_text("Disagrees with the champion").is_visible()
    outlines = [card.evaluate("card => getComputedStyle(card).boxShadow") for card in (champion, challenger)]
    assert outlines[0] == "none" != outlines[1]
    assert challenger.locator(".sure").inner_text() == f"unsure, 21.5{BLANK}%"
    challenger.get_by_text("nearest, float32").wait_for()
    facts = champion.locator(".facts").inner_text().replace(BLANK, " ").split("\n")
    assert facts[:6] == ["Accuracy", "99.22 %", "95 % interval", "99.03 to 99.37 %", "Errors", "1,078"]
    assert re.fullmatch(r"Size 0\.\d\d MB Answered in \d+ ms", " ".join(facts[6:]))
    challenger.get_by_role("button", name="Remove").click()
    assert page.locator(".card").count() == 1
    page.locator("#compare").select_option("1")
    label(page, 1).get_by_text("7").wait_for()
    assert page.locator(".differs").count() == 0


def test_a_picture_that_is_unlike_the_training_pictures_is_told_by_a_version_that_knows(
    visit: Visit,
) -> None:
    page = visit("digits")
    draw(page, 7)
    page.locator("#compare").select_option("2")
    told = page.locator(".card").nth(1).locator(".unlike")
    told.wait_for()
    words = f"Unlike the training pictures: {SURE} of the validation pictures are more like them."
    assert told.inner_text() == words
    assert page.locator("#announce").inner_text().endswith(words)
    assert page.locator(".unlike").count() == 1


def test_a_model_without_a_champion_says_how_to_make_one(visit: Visit, registry: SmallRegistry) -> None:
    page = visit("waiting")
    page.get_by_text("modelyard promote waiting 1").wait_for()
    page.locator("#compare").select_option("1")
    give(page, "drop", ("7.png", "image/png", encode(draw_digit(7))))
    label(page, 1).wait_for()
    assert rows(page) == []
    # Once there is one, the page goes on by itself.
    registry.point(1, name="waiting")
    page.get_by_role("heading", name="Champion, version 1").wait_for()
    label(page).get_by_text("7").wait_for()


def test_the_command_to_copy_gets_the_same_answer(visit: Visit) -> None:
    page = visit("digits", permissions=["clipboard-read", "clipboard-write"])
    draw(page, 7)
    label(page).wait_for()
    page.get_by_role("button", name="Copy as curl").click()
    page.get_by_role("button", name="Copied").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")
    answered = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    assert '"label":"7"' in answered.stdout


# People


def test_a_token_is_asked_for_and_kept_for_the_session(
    visit: Visit, registry: SmallRegistry, tmp_path: Path
) -> None:
    with run_serve(registry.uri, tmp_path / "copy", MODELYARD_TOKEN=TOKEN) as guarded:
        page = visit("digits", at=guarded, permissions=["clipboard-read", "clipboard-write"])
        field = page.get_by_label("This service asks for a token.")
        field.fill("wrong")
        field.press("Enter")
        page.get_by_text("The service does not accept this token. Try another.").wait_for()
        field.fill(TOKEN)
        page.get_by_role("button", name="Continue").click()
        draw(page, 7)
        label(page).get_by_text("7").wait_for()
        page.get_by_role("button", name="Copy as curl").click()
        page.get_by_role("button", name="Copied").wait_for()
        command = page.evaluate("navigator.clipboard.readText()")
        assert 'Authorization: Bearer $MODELYARD_TOKEN"' in command
        assert TOKEN not in command
        assert not field.is_visible()
        assert not page.get_by_role("link", name="API description").is_visible()
        page.reload()
        page.locator(".card").wait_for()
        assert not field.is_visible()
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        visit("digits", at=guarded).get_by_label("This service asks for a token.").wait_for()


def test_everything_can_be_done_with_the_keyboard(visit: Visit) -> None:
    page = visit("digits")
    page.locator("#canvas").wait_for()
    page.locator("#samples").wait_for()
    assert tab_to(page, "canvas") == ["model", "docs", "canvas"]
    # A stroke from above to below: a one.
    for key in [*["ArrowUp"] * 8, " ", *["ArrowDown"] * 16, " "]:
        page.keyboard.press(key)
    label(page).get_by_text("1").wait_for()
    page.keyboard.press("Control+z")
    page.get_by_text("Draw something, or add a picture.").wait_for()
    # What is disabled is left out; the samples have no names of their own.
    reached = tab_to(page, "compare")
    assert [name for name in reached if name] == ["width", "choose", "webcam", "compare"]
    assert len(reached) == 6


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_scrolls_sideways(visit: Visit, width: int) -> None:
    page = visit("kinds", viewport={"width": width, "height": 800}, color_scheme="dark")
    long = ("a-name-without-an-end" * 12 + ".png", "image/png", encode(draw_digit(7)))
    page.locator(".card").wait_for()
    give(page, "drop", long, *[(f"{number}.png", *long[1:]) for number in range(9)])
    label(page).wait_for()
    page.locator("#compare").select_option("1")
    label(page, 1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(19, 20, 22)"
