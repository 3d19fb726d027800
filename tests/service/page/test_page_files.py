"""The page's files over HTTP, and what the service tells for them: models, and what a network saw."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from modelyard.inference.fits import fit_pixels
from modelyard.inference.predictor import Predictor
from modelyard.packaging.writing import write_bundle
from modelyard.service.models.description import describe_model
from modelyard.service.models.memory import Memory, ServedVersion
from modelyard.service.models.registry_state import make_model, make_version
from modelyard.service.page.routes import PAGE
from modelyard.tracking.address import web_address
from service_process import Service
from tflite_models import DIGIT, DIGIT_LABELS, PHOTO, digit_model, encode, photo_bundle

TOKEN = "a-token"  # noqa: S105  # the test's own
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
DIGITS, COLOURS = "/models/mnist/predict", "/models/colours/predict"
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (60, 40), np.uint8)
COLOURED = RANDOM.integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture(scope="module")
def guarded(served: Path) -> Iterator[Service]:
    photo_bundle(served / "colours" / "1")
    service = Service(served, token=TOKEN, drain_s=0)
    yield service
    service.stop()


def post(service: Service, path: str, body: Any, kind: str = "image/png") -> Any:
    return service.post(path, body, kind, headers=AUTHORIZED)


def open_png(text: str) -> NDArray[np.uint8]:
    content = base64.b64decode(text, validate=True)
    assert content.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(content)))


# The files


def test_the_page_needs_no_token_and_the_models_do(guarded: Service) -> None:
    page = guarded.get("/")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert guarded.get("/page/main.js").headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert guarded.get("/page/page.css").headers["Content-Type"] == "text/css; charset=utf-8"
    for path in ("/models", "/docs", "/page", "/page/", "/page/../models", "/page/index.html", "//"):
        assert guarded.get(path).status_code == 401, path
    assert guarded.post("/").status_code == 405


def test_the_page_names_only_files_of_its_own_which_are_all_there(guarded: Service) -> None:
    named = {"/"}
    for path in PAGE:
        text = guarded.get(path).text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        named |= {f"/{file}" for file in re.findall(r'(?:src|href)="(page/[^"]+)"', text)}
        named |= {f"/page/{file}" for file in re.findall(r'from "\./([^"]+)"', text)}
    assert named == set(PAGE)


def test_page_and_scripts_are_small(guarded: Service) -> None:
    sizes = {path: len(guarded.get(path).content) for path in PAGE}
    assert min(sizes.values()) > 0
    assert sum(sizes.values()) < 60_000


@pytest.mark.parametrize("path", sorted(PAGE))
def test_the_page_may_load_nothing_but_its_own(guarded: Service, path: str) -> None:
    headers = guarded.get(path).headers
    rules = [part.strip() for part in headers["Content-Security-Policy"].split(";")]
    assert sorted(rules) == [
        "base-uri 'none'",
        "connect-src 'self'",
        "default-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "script-src 'self'",
        "style-src 'self'",
    ]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")


def test_no_word_of_a_model_can_become_markup(guarded: Service) -> None:
    scripts = "".join(guarded.get(path).text for path in PAGE)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", scripts)
    assert not re.search(r'\son\w+="|style="|<style', guarded.get("/").text)


def _read_colours(css: str) -> list[dict[str, str]]:
    """Return the colours by name, of the light page and of the dark one."""
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    return [dict(re.findall(r"--([\w-]+): #(\w{6});", block)) for block in (light, dark)]


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        levels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(guarded: Service, scheme: int) -> None:
    colours = _read_colours(guarded.get("/page/page.css").text)[scheme]
    pairs = [(text, ground) for text in ("ink", "soft", "accent", "warn") for ground in ("paper", "panel")]
    for text, ground in [*pairs, ("on-accent", "accent"), ("ink", "track")]:
        assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    # What is no text, but must be seen: the edges of fields, and bars on their track.
    for ground in ("paper", "panel"):
        assert _contrast(colours["edge"], colours[ground]) >= 3, ground


# What the network saw


def test_the_input_is_shown_as_the_fit_made_it(guarded: Service) -> None:
    answer = post(guarded, f"{DIGITS}?show=input", encode(GREY)).json()
    assert len(answer["predictions"][0]) == 5
    [shown] = answer["inputs"]
    np.testing.assert_array_equal(open_png(shown), fit_pixels("mnist", GREY, 28, 28)[:, :, 0])


def test_the_input_of_colours_is_shown_without_mean_and_scale(guarded: Service) -> None:
    [shown] = post(guarded, f"{COLOURS}?show=input", encode(COLOURED)).json()["inputs"]
    fitted = fit_pixels(PHOTO.fit, COLOURED, PHOTO.height, PHOTO.width)
    np.testing.assert_array_equal(open_png(shown), np.rint(fitted).astype(np.uint8))


def test_the_answers_are_the_same_with_the_input_and_without(guarded: Service) -> None:
    with_input = post(guarded, f"{DIGITS}?show=input", encode(GREY)).json()
    without = post(guarded, DIGITS, encode(GREY)).json()
    assert with_input["predictions"] == without["predictions"]
    assert set(with_input) - set(without) == {"inputs"}


def test_an_image_that_cannot_be_read_has_no_input(guarded: Service) -> None:
    body = json.dumps({"images": ["what?", base64.b64encode(encode(GREY)).decode()], "on_error": "return"})
    answer = post(guarded, f"{DIGITS}?show=input", body, "application/json").json()
    assert "error" in answer["predictions"][0]
    assert answer["inputs"][0] is None
    assert open_png(answer["inputs"][1]).shape == (28, 28)


@pytest.mark.parametrize(("query", "images", "status"), [("show=all", 1, 400), ("show=input", 17, 413)])
def test_nothing_else_and_not_many_inputs_are_shown(
    guarded: Service, query: str, images: int, status: int
) -> None:
    body = json.dumps({"images": [[0] * 784] * images})
    answer = post(guarded, f"{DIGITS}?{query}", body, "application/json")
    assert answer.status_code == status
    assert post(guarded, DIGITS, body, "application/json").status_code == 200


# What is told of versions


def _describe(folder: Path, provenance: dict[str, Any], mlflow: str | None = None) -> Any:
    """Describe two versions, of which the first is loaded."""
    bundle = write_bundle(
        folder,
        model=digit_model(),
        name="a model",
        precision="float32",
        labels=DIGIT_LABELS,
        preprocessing=DIGIT,
        provenance=provenance,
    )
    memory = Memory(max_extra=1)
    memory.keep(ServedVersion("a model", 1, Predictor(bundle)), "champion")
    versions = [make_version(number, {}, {}) for number in (1, 2)]
    return describe_model(make_model("a model", {"champion": 1}, versions), memory, mlflow)["versions"]


def test_a_loaded_version_tells_its_network_and_its_input(tmp_path: Path) -> None:
    trained = {"training": {"run": {"params": {"model.name": "cnn"}}}}
    first, second = _describe(tmp_path, trained)
    assert (first["network"], first["input"]) == ("cnn", {"height": 28, "width": 28, "channels": 1})
    assert (second["network"], second["input"], second["card"]) == (None, None, None)
    assert _describe(tmp_path, {"source": {"name": "inception-v3"}})[0]["network"] == "inception-v3"


@pytest.mark.parametrize("name", [7, ["cnn"], "cnn\x1b[2J", "c" * 301])
def test_a_network_of_no_plain_name_has_none(tmp_path: Path, name: Any) -> None:
    assert _describe(tmp_path, {"source": {"name": name}})[0]["network"] is None


def test_cards_are_linked_where_mlflow_has_pages(tmp_path: Path) -> None:
    address = web_address("https://someone:secret@mlflow.example:5000/base/")
    assert address == "https://mlflow.example:5000/base"
    assert web_address("sqlite:////a/mlflow.db") is None
    card = _describe(tmp_path, {}, address)[1]["card"]
    assert card == "https://mlflow.example:5000/base/#/models/a%20model/versions/2"
