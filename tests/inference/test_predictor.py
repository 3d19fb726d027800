"""The predictor answers what the model says, one image as many, from one thread as from eight."""

import base64
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelyard.inference.bundle import BundleError, Label, read_bundle
from modelyard.inference.decoding.images import ImageError, Limits
from modelyard.inference.fits import fit_pixels
from modelyard.inference.predictor import Predictor, Seen
from modelyard.inference.resize import resize_bilinear
from modelyard.inference.runtime import interpreters
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.packaging.writing import write_bundle
from tflite_models import (
    DIGIT,
    DIGIT_LABELS,
    NAN_GAIN,
    build,
    digit_bundle,
    digit_model,
    draw_band,
    encode,
    photo_bundle,
    undecided_model,
)

DIGITS = [encode(draw_band(digit)) for digit in range(10)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(digit_bundle(tmp_path_factory.mktemp("digit bundle") / "mnist"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(photo_bundle(tmp_path_factory.mktemp("photo bundle") / "colours"))


def test_a_fit_for_drawings_sees_white_strokes_on_a_transparent_ground(tmp_path: Path) -> None:
    bundle = digit_bundle(tmp_path / "mnist")
    strokes = Image.fromarray(draw_band(3)).resize((280, 280))
    drawing = Image.new("RGBA", strokes.size, "white")
    drawing.putalpha(strokes)
    for fit, sees in (("digit_3", True), ("digit_2", True), ("digit", False), ("mnist", False)):
        made = replace(bundle, preprocessing=replace(bundle.preprocessing, fit=fit))
        predictor = Predictor(made)
        seen = predictor.preprocess(encode(np.asarray(drawing)))
        assert bool(seen.any()) is sees
        if sees:
            ink = 255 - np.asarray(strokes)
            np.testing.assert_array_equal(seen, predictor.preprocess(encode(ink)))


def colour(red: int, green: int, blue: int) -> bytes:
    return encode(np.full((50, 70, 3), (red, green, blue), np.uint8))


def first(answers: list[Any]) -> list[str]:
    return [answer[0]["label"] for answer in answers]


def run_python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=True
    )


# Answers


def test_every_digit_is_answered(digits: Predictor) -> None:
    assert first(digits.predict(DIGITS)) == list("0123456789")


def test_an_answer_is_plain_python_best_first(digits: Predictor) -> None:
    [answer] = digits.predict([DIGITS[7]], top_k=10)
    assert isinstance(answer, list)
    assert answer[0]["label"] == "7"
    assert [type(value) for value in answer[0].values()] == [str, float, int]
    scores = [label["score"] for label in answer]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert [label["id"] for label in answer] == [int(label["label"]) for label in answer]


def test_top_k_says_how_many_labels_come(digits: Predictor) -> None:
    assert len(digits.predict([DIGITS[0]])[0]) == 5
    assert len(digits.predict([DIGITS[0]], top_k=1)[0]) == 1
    assert len(digits.predict([DIGITS[0]], top_k=np.int64(3))[0]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("top_k", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        (11, "11"),
        (10**30, str(10**30)),
        (True, "bool"),
        ("3", "str"),
        (2.0, "float"),
        (None, "NoneType"),
    ],
)
def test_top_k_out_of_range_is_refused(digits: Predictor, top_k: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=f"^top_k must be a whole number from 1 to 10, got {shown}$"):
        digits.predict([DIGITS[0]], top_k=top_k)


def test_nothing_is_computed_after_the_deadline(digits: Predictor) -> None:
    late, early = time.monotonic() - 1, time.monotonic() + 600
    for image in (DIGITS[0], "no picture", np.zeros((28, 28), np.uint8)):
        with pytest.raises(TimeoutError):
            digits.predict([image], on_error="return", ends_at=late)
    for decode_or_all in (digits.decode, digits.preprocess):
        with pytest.raises(TimeoutError):
            decode_or_all(DIGITS[0], late)
    assert digits.predict([DIGITS[0]], ends_at=early) == digits.predict([DIGITS[0]])


def test_equal_scores_are_ranked_by_id(tmp_path: Path) -> None:
    # So many that an unstable sort would show.
    bundle = write_bundle(
        tmp_path / "undecided",
        model=undecided_model(300),
        name="undecided",
        precision="float32",
        labels=[Label(f"label {number}") for number in range(300)],
        preprocessing=DIGIT,
        provenance={},
    )
    [answer] = Predictor(bundle).predict([DIGITS[0]], top_k=300)
    expected = sorted(range(300), key=lambda number: (-(number % 3), number))
    assert [label["id"] for label in answer] == expected  # type: ignore[index]


def test_an_output_without_a_label_is_never_answered(photos: Predictor) -> None:
    # Output 0, which has no label, is always the model's largest.
    [answer] = photos.predict([colour(255, 0, 0)])
    assert [label["id"] for label in answer] == [1, 2, 3]  # type: ignore[index]


def test_labels_with_the_same_words_are_told_apart_by_synset(photos: Predictor) -> None:
    answers = photos.predict([colour(255, 0, 0), colour(0, 255, 0), colour(0, 0, 255)], top_k=1)
    assert [(answer[0]["label"], answer[0]["synset"]) for answer in answers] == [  # type: ignore[index]
        ("red", "n1"),
        ("crane", "n2"),
        ("crane", "n3"),
    ]


def test_bytes_base64_and_numbers_of_one_digit_give_one_answer(digits: Predictor) -> None:
    pixels = draw_band(3)
    images = [DIGITS[3], base64.b64encode(DIGITS[3]).decode(), pixels, pixels.tolist(), pixels.ravel() / 255]
    answers = digits.predict(images)
    assert all(answer == answers[0] for answer in answers)
    assert first(answers) == ["3"] * 5


def test_numbers_of_a_photo_are_answered_as_its_file(photos: Predictor) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    files, numbers = photos.predict([encode(photo)]), photos.predict([photo, photo.tolist(), photo / 255])
    assert numbers == files * 3


def test_numbers_of_another_size_are_no_photo(photos: Predictor) -> None:
    with pytest.raises(ImageError, match=r"image 0: .* shape \(28, 28\), expected \(32, 48, 3\)"):
        photos.predict([np.zeros((28, 28), np.uint8)])


# Errors


def test_one_bad_image_fails_all_and_is_named(digits: Predictor) -> None:
    with pytest.raises(ImageError, match=r"^image 2: empty$") as caught:
        digits.predict([DIGITS[0], DIGITS[1], b"", DIGITS[3]])
    assert (caught.value.index, caught.value.reason) == (2, "empty")


def test_the_good_images_are_answered_where_the_caller_asks_for_it(digits: Predictor) -> None:
    answers = digits.predict([b"", DIGITS[1], "GIF89a", DIGITS[3]], on_error="return")
    assert answers[0] == {"error": "image 0: empty"}
    assert answers[2] == {"error": "image 2: a GIF, not PNG or JPEG"}
    assert first([answers[1], answers[3]]) == ["1", "3"]


def test_no_images_give_no_answers(digits: Predictor) -> None:
    assert digits.predict([]) == []


def test_wrong_arguments_are_refused(digits: Predictor) -> None:
    with pytest.raises(ValueError, match="on_error must be"):
        digits.predict([], on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a list of images"):
        digits.predict(DIGITS[0])  # type: ignore[arg-type]


def test_limits_are_kept(digits: Predictor) -> None:
    strict = Predictor(digits.bundle, limits=Limits(max_bytes=1000, max_pixels=28 * 28))
    strict.predict([DIGITS[0]])
    with pytest.raises(ImageError, match="29 x 28 pixels, at most 784"):
        strict.predict([encode(np.zeros((28, 29), np.uint8))])


def test_a_model_that_gives_nan_never_answers(tmp_path: Path) -> None:
    predictor = Predictor(digit_bundle(tmp_path / "mnist", digit_model(gain=NAN_GAIN)))
    with pytest.raises(ModelError, match="mnist: the model gave NaN"):
        predictor.predict([DIGITS[1]], on_error="return")


# From pixels to probabilities


def test_a_photo_is_resized_and_normalised_as_the_bundle_says(photos: Predictor) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = (resize_bilinear(pixels, 32, 48, "origin") - 128) / 128
    assert np.array_equal(photos.decode(encode(pixels)), pixels)
    for prepared in (photos.prepare(pixels), photos.preprocess(encode(pixels))):
        assert prepared.dtype == np.float32
        np.testing.assert_allclose(prepared, expected, atol=1e-6)


@pytest.mark.parametrize("fit", ["stretch_corners", "smooth", "crop", "pad"])
def test_a_picture_is_fitted_as_the_bundle_says(photos: Predictor, tmp_path: Path, fit: str) -> None:
    other = write_bundle(
        tmp_path / "other",
        model=photos.bundle.model_path.read_bytes(),
        name="other",
        precision="float32",
        labels=photos.bundle.labels,
        preprocessing=replace(photos.bundle.preprocessing, fit=fit),
        provenance={},
    )
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = (fit_pixels(fit, pixels, 32, 48).astype(np.float32) - 128) / 128
    np.testing.assert_allclose(Predictor(other).prepare(pixels), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["digit", "photo"])
def test_a_bundle_of_before_fits_had_names_answers_alike(
    kind: str, digits: Predictor, photos: Predictor, tmp_path: Path
) -> None:
    new = digits if kind == "digit" else photos
    folder = tmp_path / "old"
    shutil.copytree(new.bundle.folder, folder)
    about = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(about | {"format": 1}))
    how = json.loads((folder / "preprocessing.json").read_text())
    del how["fit"]
    (folder / "preprocessing.json").write_text(json.dumps(how | {"kind": kind, "align_corners": False}))
    pictures = [*DIGITS, colour(200, 10, 90), encode(np.full((9, 50), 90, np.uint8), "JPEG")]
    assert Predictor(read_bundle(folder)).predict(pictures, top_k=3) == new.predict(pictures, top_k=3)


def test_a_digit_keeps_its_pixels(digits: Predictor) -> None:
    assert digits.decode(DIGITS[4]).shape == (28, 28)
    np.testing.assert_allclose(digits.preprocess(DIGITS[4])[:, :, 0], draw_band(4) / 255, atol=1e-6)


def test_preparing_leaves_the_callers_pixels_alone(digits: Predictor, photos: Predictor) -> None:
    for predictor, pixels in ((digits, draw_band(2)), (photos, np.full((32, 48, 3), 7, np.uint8))):
        before = pixels.copy()
        predictor.prepare(pixels)
        assert np.array_equal(pixels, before)


def test_an_input_gives_the_scores_of_the_model(digits: Predictor) -> None:
    for number, picture in enumerate(DIGITS):
        given = digits.ask(digits.preprocess(picture))
        assert given.scores.shape == (10,)
        assert given.scores.dtype == np.float32
        assert given.scores.argmax() == number
        assert given.unlikeness is None


def test_a_model_that_tells_it_says_in_the_first_label_how_unlike_a_picture_is(tmp_path: Path) -> None:
    predictor = Predictor(digit_bundle(tmp_path / "mnist", digit_model(tells=True)))
    box = np.zeros((28, 28), np.uint8)
    box[8:20, 4:24] = 255
    seen: list[Seen | None] = []
    for picture, unlikeness in ((DIGITS[3], 40 / 784), (encode(box), 240 / 784)):
        [[best, *others]] = predictor.predict([picture], observe=seen.append)
        assert best["unlikeness"] == pytest.approx(unlikeness, abs=1e-3)
        assert all("unlikeness" not in label for label in others)
        assert seen[-1] is not None
        assert seen[-1].unlikeness == pytest.approx(unlikeness, abs=1e-3)
    assert first(predictor.predict(DIGITS)) == [str(n) for n in range(10)]


def test_an_unlikeness_that_is_no_number_is_no_answer(tmp_path: Path) -> None:
    unlikeness = np.full((784, 1), 3e38, np.float32)
    model = build((28, 28, 1), np.zeros((784, 10), np.float32), unlikeness=unlikeness)
    predictor = Predictor(digit_bundle(tmp_path / "mnist", model))
    with pytest.raises(ModelError, match="NaN or infinity"):
        predictor.predict([DIGITS[3]])


def test_inputs_of_another_shape_are_refused(digits: Predictor) -> None:
    with pytest.raises(ValueError, match=r"expected an input \(28, 28, 1\), got \(1, 28, 28, 1\)"):
        digits.ask(np.zeros((1, 28, 28, 1), np.float32))


# Loading


def test_labels_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    bundle = digit_bundle(tmp_path / "mnist")
    short = write_bundle(
        tmp_path / "short",
        model=digit_model(),
        name="mnist",
        precision="float32",
        labels=DIGIT_LABELS[:9],
        preprocessing=DIGIT,
        provenance={},
    )
    with pytest.raises(BundleError, match="short: 9 labels for a model with 10 outputs"):
        Predictor(short)
    photo = replace(bundle, preprocessing=replace(DIGIT, fit="stretch", height=32, width=48, channels=3))
    with pytest.raises(BundleError, match=r"makes \(32, 48, 3\), the model takes \(28, 28, 1\)"):
        Predictor(photo)


def test_a_broken_model_file_is_named(tmp_path: Path) -> None:
    broken = digit_bundle(tmp_path / "mnist", b"\x1c\0\0\0TFL3 and nothing else")
    with pytest.raises(BundleError, match=r"model\.tflite: LiteRT cannot load it"):
        Predictor(broken)


def test_a_label_without_words_does_not_shift_the_others(tmp_path: Path) -> None:
    labels = [Label(None) if digit == 4 else Label(str(digit)) for digit in range(10)]
    bundle = replace(digit_bundle(tmp_path / "mnist"), labels=tuple(labels))
    assert first(Predictor(bundle).predict(DIGITS[5:])) == list("56789")


def test_no_interpreter_is_no_predictor(digits: Predictor) -> None:
    for wrong in ({"interpreters": 0}, {"threads": 0}):
        with pytest.raises(ValueError, match="at least 1 interpreter and 1 thread"):
            Predictor(digits.bundle, **wrong)


# Threads


@pytest.mark.parametrize("pool", [1, 2])
def test_eight_threads_get_the_same_answers_as_one(digits: Predictor, pool: int) -> None:
    predictor = Predictor(digits.bundle, interpreters=pool)
    expected = predictor.predict(DIGITS)
    with ThreadPoolExecutor(8) as threads:
        batches = list(threads.map(lambda _: predictor.predict(DIGITS), range(200)))
    assert all(batch == expected for batch in batches)


def test_no_interpreter_is_shared_while_it_runs(digits: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(digits.bundle, interpreters=2)
    running: Counter[int] = Counter()
    used = set()
    together = threading.Barrier(2, timeout=10)
    run = interpreters.LoadedModel.run

    def watched(self: interpreters.LoadedModel, image: Any) -> Any:
        running[id(self)] += 1
        assert running[id(self)] == 1
        used.add(id(self))
        # Passes only when two threads are inside at once, each with an interpreter of its own.
        together.wait()
        try:
            return run(self, image)
        finally:
            running[id(self)] -= 1

    monkeypatch.setattr(interpreters.LoadedModel, "run", watched)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: predictor.predict([DIGITS[1]]), range(20)))
    assert len(used) == 2


def test_an_interpreter_comes_back_after_an_error(digits: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(digits.bundle, interpreters=1)

    def fail(self: interpreters.LoadedModel, image: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(interpreters.LoadedModel, "run", fail)
        with pytest.raises(MemoryError):
            predictor.predict([DIGITS[1]])
    assert first(predictor.predict([DIGITS[1]])) == ["1"]


# A light process


def test_importing_and_predicting_loads_nothing_heavy_and_prints_nothing(digits: Predictor) -> None:
    code = """
import sys
from pathlib import Path
from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor
import numpy as np
Predictor(read_bundle(Path(sys.argv[1]))).predict([np.zeros((28, 28), np.uint8)])
heavy = {"tensorflow", "keras", "pandas", "mlflow", "scipy", "sklearn", "matplotlib", "pydantic", "hydra"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
print(sorted(name for name in sys.modules if name.startswith("modelyard.") and "inference" not in name))
"""
    result = run_python(code, str(digits.bundle.folder))
    assert result.stdout.split("\n") == ["[]", "[]", ""]
    assert result.stderr == ""


def test_what_others_write_to_stderr_while_a_model_loads_is_not_lost(digits: Predictor) -> None:
    code = """
import os, sys
from modelyard.inference.runtime.interpreters import _without_notice
with _without_notice():
    os.write(2, b"a warning from C\\n")
    print("a warning from Python", file=sys.stderr)
print("afterwards", file=sys.stderr)
"""
    assert run_python(code).stderr == "a warning from C\na warning from Python\nafterwards\n"


def test_a_bundle_read_from_disk_answers_as_the_one_written(digits: Predictor) -> None:
    again = Predictor(read_bundle(digits.bundle.folder))
    assert again.predict(DIGITS) == digits.predict(DIGITS)
