"""The models that are served: they follow a real registry, and go on when it fails them."""

import gc
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import tflite_models
from modelyard.inference.decoding.images import ImageError, Limits
from modelyard.service.http.metrics import Metrics
from modelyard.service.information import shorten
from modelyard.service.models.description import describe_model
from modelyard.service.models.local_copy import LocalCopy
from modelyard.service.models.memory import Memory
from modelyard.service.models.models import Models, ServedVersion, Unavailable, UnknownModel
from modelyard.service.models.registry_client import RegistryClient
from modelyard.service.models.registry_database import RegistryDatabase, open_source
from modelyard.service.models.registry_state import TAGS, RegistryState, make_model, make_version
from modelyard.tracking.address import database_file
from mutated_models import crashing_model
from small_registry import SEVEN, SmallRegistry, empty_database
from tracking_server import TrackingServer

PATIENCE_S = 30
POLL_S = 0.05
Serve = Callable[..., Models]


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    return SmallRegistry(tmp_path / "registry")


@pytest.fixture
def serve(tmp_path: Path, registry: SmallRegistry) -> Iterator[Serve]:
    """Start models on the registry and one local copy; they are stopped at the end."""
    started: list[Models] = []

    def start(
        *names: str, source: RegistryClient | None = None, max_extra: int = 4, wait: bool = True
    ) -> Models:
        copy = LocalCopy(tmp_path / "copy")
        models = Models(source or open_source(registry.uri), copy, names, POLL_S, max_extra)
        started.append(models)
        models.start()
        if wait:
            wait_until(lambda: models.ready, models)
        return models

    yield start
    for models in started:
        models.stop()


def test_the_champion_moves_twenty_times_under_load_and_nobody_notices(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="a"))
    registry.add(mark="b")
    models = serve("mnist")
    answers, failures, done = set[str](), list[Exception](), threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.add(answer(models.get("mnist")))
            except Exception as error:
                failures.append(error)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(ask)
        for move in range(20):
            version = 2 - move % 2
            registry.point(version)
            wait_until(lambda version=version: models.get("mnist").version == version, models)  # type: ignore[misc]
        done.set()
    assert failures == []
    assert answers == {"7a", "7b"}


def test_a_version_comes_by_number_or_alias(registry: SmallRegistry, serve: Serve) -> None:
    registry.point(registry.add(mark="a"))
    registry.point(registry.add(mark="b"), "challenger")
    models = serve("mnist")
    assert answer(models.default()) == answer(models.get("mnist", alias="champion")) == "7a"
    assert answer(models.get("mnist", version=2)) == answer(models.get("mnist", alias="challenger")) == "7b"
    with pytest.raises(ValueError, match="expected a version or an alias"):
        models.get("mnist", version=1, alias="champion")


def test_an_alias_that_was_asked_for_is_followed_too(registry: SmallRegistry, serve: Serve) -> None:
    registry.point(registry.add(mark="a"))
    registry.point(1, "challenger")
    models = serve("mnist")
    assert models.get("mnist", alias="challenger").version == 1
    registry.point(registry.add(mark="b"), "challenger")
    wait_until(lambda: models.get("mnist", alias="challenger").version == 2, models)
    registry.client.delete_registered_model_alias("mnist", "challenger")
    wait_until(lambda: raises(UnknownModel, lambda: models.get("mnist", alias="challenger")), models)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "digits"}, r"expected a model that is served, got 'digits' \(registered are: mnist\)"),
        ({"name": "mnist", "version": 9}, "mnist: expected a version, one of 1, got 9"),
        ({"name": "mnist", "alias": "best"}, "mnist: expected an alias, one of champion, got 'best'"),
    ],
)
def test_what_is_unknown_is_answered_with_what_there_is(
    registry: SmallRegistry, serve: Serve, asked: dict[str, Any], message: str
) -> None:
    registry.point(registry.add())
    with pytest.raises(UnknownModel, match=message):
        serve("mnist").get(**asked)


def test_models_are_described(registry: SmallRegistry, serve: Serve) -> None:
    registry.point(registry.add())
    registry.log_metric(1, "test/accuracy", 0.99)
    registry.client.create_model_version("mnist", "file:///nowhere")
    (described,) = serve("mnist").describe()
    assert described["name"] == "mnist"
    assert described["aliases"] == {"champion": 1}
    assert described["labels"][7] == "7a"
    ours, foreign = described["versions"]
    assert (ours["version"], ours["loaded"], ours["precision"]) == (1, True, "float32")
    assert ours["metrics"] == {"test/accuracy": 0.99}
    assert ours["size_bytes"] > 0
    assert len(ours["content_key"]) == 64
    assert (foreign["loaded"], foreign["size_bytes"], foreign["content_key"]) == (False, None, None)


def test_of_six_versions_asked_for_two_stay_beside_the_champion(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="0"))
    for number in range(1, 7):
        registry.add(mark=str(number))
    models = serve("mnist", max_extra=2)
    predictors = [weakref.ref(models.get("mnist", version).predictor) for version in (1, 2, 3, 4, 5, 6)]
    models.get("mnist", 5)
    predictors.append(weakref.ref(models.get("mnist", 7).predictor))
    gc.collect()
    alive = [version for version, predictor in enumerate(predictors, 1) if predictor() is not None]
    assert alive == [1, 5, 7]
    assert [one["version"] for one in models.describe()[0]["versions"] if one["loaded"]] == alive


def test_images_are_limited_as_the_models_are_told(registry: SmallRegistry, tmp_path: Path) -> None:
    registry.point(registry.add())
    models = Models(
        open_source(registry.uri), LocalCopy(tmp_path), ["mnist"], POLL_S, limits=Limits(max_pixels=1000)
    )
    models.start()
    wait_until(lambda: models.ready, models)
    models.stop()
    larger = tflite_models.encode(np.zeros((40, 40), np.uint8))
    with pytest.raises(ImageError, match="40 x 40 pixels, at most 1000 are allowed"):
        models.get("mnist").predictor.predict([larger])


def test_a_champion_of_before_leaves_memory_with_its_last_request(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    held = models.get("mnist", alias="champion")
    before = weakref.ref(held.predictor)
    registry.point(registry.add(mark="b"))
    wait_until(lambda: models.get("mnist").version == 2, models)
    assert answer(held) == "7a"
    del held
    gc.collect()
    assert before() is None


def test_threads_that_ask_for_a_version_at_once_load_it_once(registry: SmallRegistry, serve: Serve) -> None:
    registry.point(registry.add(mark="a"))
    registry.add(mark="b")
    models, together = serve("mnist"), threading.Barrier(8)

    def ask(_: int) -> ServedVersion:
        together.wait()
        return models.get("mnist", 2)

    with ThreadPoolExecutor(8) as threads:
        assert len({id(served.predictor) for served in list(threads.map(ask, range(8)))}) == 1


def test_a_version_whose_artifact_is_gone_leaves_the_old_one_serving_until_it_is_back(
    registry: SmallRegistry, serve: Serve, tmp_path: Path
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    loads: list[tuple[str, int, bool]] = []
    models.observe_loads(lambda *load: loads.append(load))
    registry.add(mark="b")
    aside = shutil.move(registry.artifacts(2), tmp_path / "aside")
    home = Path(registry.client.get_model_version_download_uri("mnist", "2").removeprefix("file://"))
    registry.point(2)
    wait_until(lambda: models.problems() != [], models)
    (problem,) = models.problems()
    reason = "version 2 cannot be loaded (its artifacts cannot be fetched)"
    assert problem == f"mnist@champion: {reason}; version 1 goes on serving"
    assert models.ready
    assert answer(models.get("mnist")) == "7a"
    with pytest.raises(Unavailable, match="mnist: version 2 cannot be loaded"):
        models.get("mnist", 2)
    shutil.move(aside, home)
    wait_until(lambda: answer(models.get("mnist")) == "7b", models)
    wait_until(lambda: models.problems() == [], models)
    assert (loads[0], loads[-1]) == (("mnist", 2, False), ("mnist", 2, True))


def test_a_version_with_another_digest_leaves_the_old_one_serving(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    registry.add(mark="b")
    labels = registry.artifacts(2) / "artifacts" / "bundle" / "labels.json"
    labels.write_text(labels.read_text().replace("7b", "1b"))
    registry.point(2)
    wait_until(lambda: "it was changed after registration" in "".join(models.problems()), models)
    assert answer(models.get("mnist")) == "7a"


def test_a_model_that_answers_nan_is_found_out_before_it_serves(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    registry.point(registry.add(mark="b", model=tflite_models.digit_model(tflite_models.NAN_GAIN)))
    wait_until(lambda: "its model gives no answer" in "".join(models.problems()), models)
    assert answer(models.get("mnist")) == "7a"


def test_a_corrupted_local_copy_is_refused_and_fetched_again_at_the_next_start(
    registry: SmallRegistry, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.point(registry.add())
    serve("mnist").stop()
    (labels,) = (tmp_path / "copy").rglob("labels.json")
    labels.write_text(labels.read_text().replace("7a", "1a"))
    assert answer(serve("mnist").default()) == "7a"
    assert "a corrupted copy is removed" in caplog.text
    assert "7a" in labels.read_text()


def test_a_server_that_dies_is_missed_by_nobody_at_work_or_at_a_start(
    serve: Serve, tmp_path: Path, registry: SmallRegistry
) -> None:
    server = TrackingServer(tmp_path)
    server.start()
    try:
        registry = SmallRegistry(tmp_path / "of the server", server.uri)
        registry.point(registry.add(mark="a"))
        registry.add(mark="b")
        at_work = serve("mnist", source=open_source(server.uri))
        server.kill()
        wait_until(lambda: at_work.problems() != [], at_work)
        assert at_work.problems()[0].startswith("the registry does not answer")
        started = serve("mnist", source=open_source(server.uri), wait=False)
        for models in (at_work, started):
            assert models.ready
            assert answer(models.get("mnist")) == "7a"
            with pytest.raises(Unavailable, match="mnist: version 2 cannot be loaded"):
                models.get("mnist", 2)
    finally:
        server.kill()


def test_a_registry_that_is_back_is_followed_again(
    registry: SmallRegistry, serve: Serve, tmp_path: Path
) -> None:
    registry.point(registry.add(mark="a"))
    registry.add(mark="b")
    models = serve("mnist")
    database = Path(registry.uri.removeprefix("sqlite:///"))
    database.rename(tmp_path / "aside")
    wait_until(lambda: "the registry does not answer" in "".join(models.problems()), models)
    assert answer(models.get("mnist")) == "7a"
    with pytest.raises(Unavailable, match="mnist: version 2 cannot be loaded"):
        models.get("mnist", 2)
    (tmp_path / "aside").rename(database)
    registry.point(2)
    wait_until(lambda: answer(models.get("mnist")) == "7b", models)
    assert models.problems() == []


def test_a_start_from_the_local_copy_answers_before_mlflow_is_imported(
    registry: SmallRegistry, serve: Serve, tmp_path: Path
) -> None:
    registry.point(registry.add())
    serve("mnist").stop()
    script = (
        "import sys, time; from pathlib import Path\n"
        "from modelyard.service.models.local_copy import LocalCopy\n"
        "from modelyard.service.models.models import Models\n"
        "from modelyard.service.models.registry_database import open_source\n"
        "models = Models(open_source('http://127.0.0.1:9'), LocalCopy(Path(sys.argv[1])), ['mnist'])\n"
        "models.start()\n"
        "while not models.ready: time.sleep(0.05)\n"
        "heavy = {'mlflow', 'pandas', 'tensorflow'} & set(sys.modules)\n"
        "print(models.ready, models.default().version, heavy)\n"
        "models.stop()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "copy")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True 1 set()\n"


def test_a_configured_name_that_is_missing_is_not_ready_until_it_is_registered(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add())
    models = serve("mnist", "colours", wait=False)
    wait_until(lambda: models.problems() == ["colours is not registered"], models)
    assert not models.ready
    assert models.default().name == "mnist"
    with pytest.raises(UnknownModel, match="registered are: mnist"):
        models.get("colours")
    registry.add("colours")
    wait_until(lambda: models.problems() == ["colours has no alias champion"], models)
    registry.point(1, name="colours")
    wait_until(lambda: models.ready, models)
    assert models.get("colours").name == "colours"


def test_without_names_all_published_models_are_served(registry: SmallRegistry, serve: Serve) -> None:
    for name in ("mnist", "colours"):
        registry.point(registry.add(name), name=name)
    models = serve()
    assert [one["name"] for one in models.describe()] == ["colours", "mnist"]
    assert models.default().name == "colours"
    registry.client.delete_registered_model("colours")
    wait_until(lambda: raises(UnknownModel, lambda: models.get("colours")), models)
    assert models.default().name == "mnist"


def test_a_configured_model_that_was_deleted_goes_on_serving_until_it_comes_anew(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    registry.client.delete_registered_model("mnist")
    wait_until(lambda: models.problems() != [], models)
    assert models.problems() == ["mnist is not registered; version 1 goes on serving"]
    assert answer(models.get("mnist")) == "7a"
    registry.point(registry.add(mark="b"))
    wait_until(lambda: answer(models.get("mnist")) == "7b", models)
    assert models.get("mnist").version == 1


def test_a_version_that_was_deleted_is_served_no_more(registry: SmallRegistry, serve: Serve) -> None:
    registry.point(registry.add(mark="a"))
    registry.add(mark="b")
    models = serve("mnist")
    assert answer(models.get("mnist", 2)) == "7b"
    registry.client.delete_model_version("mnist", "2")
    wait_until(lambda: raises(UnknownModel, lambda: models.get("mnist", 2)), models)


def test_before_the_registry_was_read_nothing_is_called_unknown(tmp_path: Path) -> None:
    models = Models(open_source("http://127.0.0.1:9"), LocalCopy(tmp_path), [])
    with pytest.raises(Unavailable, match="mnist: the registry was not read yet"):
        models.get("mnist")
    with pytest.raises(Unavailable, match="no model is loaded"):
        models.default()
    assert not models.ready


def test_an_error_that_nobody_thought_of_does_not_end_the_following(
    registry: SmallRegistry, serve: Serve
) -> None:
    class Odd(RegistryDatabase):
        wrong = False

        def read(self, names: Any) -> RegistryState:
            if self.wrong:
                raise KeyError("odd")
            return super().read(names)

    registry.point(registry.add())
    source = Odd(registry.uri, Path(database_file(registry.uri) or ""))
    models = serve("mnist", source=source)
    source.wrong = True
    wait_until(lambda: "following the registry failed (KeyError)" in "".join(models.problems()), models)
    assert answer(models.get("mnist")) == "7a"
    source.wrong = False
    wait_until(lambda: models.problems() == [], models)


# What a registry may hold


def test_a_content_key_that_is_a_path_removes_nothing_when_its_version_is_asked_for(
    registry: SmallRegistry, serve: Serve, tmp_path: Path
) -> None:
    registry.point(registry.add(mark="a"))
    registry.add(mark="b")
    (tmp_path / "precious").mkdir()
    models = serve("mnist")
    for key in (str(tmp_path / "precious"), "../../precious", ""):
        registry.client.set_model_version_tag("mnist", "2", "content_key", key)
        wait_until(lambda: models.describe()[0]["versions"][1]["content_key"] is None, models)
        with pytest.raises(Unavailable, match="it has no content_key"):
            models.get("mnist", 2)
        assert (tmp_path / "precious").is_dir()
        assert len(list((tmp_path / "copy" / "bundles").glob("*/model.tflite"))) == 1


def test_a_model_that_crashes_litert_is_refused_at_work_and_at_a_start(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add(mark="a"))
    at_work = serve("mnist")
    registry.point(registry.add(mark="b", model=crashing_model(tflite_models.digit_model())))
    wait_until(lambda: "LiteRT crashed on its model" in "".join(at_work.problems()), at_work)
    assert answer(at_work.get("mnist")) == "7a"
    started = serve("mnist", wait=False)
    wait_until(lambda: "LiteRT crashed on its model" in "".join(started.problems()), started)
    assert not started.ready
    registry.point(1)
    wait_until(lambda: started.ready and answer(started.get("mnist")) == "7a", started)


def test_a_start_takes_the_registrys_champion_and_not_that_of_the_copy(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.add(mark="a")
    registry.point(registry.add(mark="b"))
    serve("mnist").stop()
    registry.point(1)
    started = serve("mnist")
    loaded = [one["version"] for one in started.describe()[0]["versions"] if one["loaded"]]
    assert loaded == [1]


def test_a_foreign_champion_leaves_the_old_one_serving_and_a_start_says_what_to_do(
    registry: SmallRegistry, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    registry.point(registry.add(mark="a"))
    at_work = serve("mnist")
    registry.client.create_model_version("mnist", "file:///nowhere")
    registry.point(2)
    wait_until(lambda: at_work.problems() != [], at_work)
    assert answer(at_work.get("mnist")) == "7a"
    caplog.clear()
    started = serve("mnist", wait=False)
    wait_until(lambda: started.problems() != [], started)
    (problem,) = started.problems()
    assert "modelyard did not register it: `modelyard rollback` or `promote` another version" in problem
    time.sleep(10 * POLL_S)
    assert caplog.text.count("modelyard did not register it") == 1


# What another client may destroy; what is wrong then where version 2 is served, and at a start.
DESTROYED: dict[str, tuple[Callable[[SmallRegistry], object], str | None, str | None]] = {
    "champion deleted": (
        lambda registry: registry.client.delete_model_version("mnist", "2"),
        "mnist has no alias champion; version 2 goes on serving",
        "mnist has no alias champion",
    ),
    "run deleted": (lambda registry: registry.delete_for_good(run_of(registry)), None, None),
    "experiment deleted": (
        lambda registry: registry.client.delete_experiment(
            registry.client.get_run(run_of(registry)).info.experiment_id
        ),
        None,
        None,
    ),
    "model renamed": (
        lambda registry: registry.client.rename_registered_model("mnist", "old"),
        "mnist is not registered; version 2 goes on serving",
        "mnist is not registered",
    ),
    "two thousand versions": (lambda registry: registry.multiply("mnist", 2, 2000), None, None),
}


@pytest.mark.parametrize(("destroy", "at_work", "at_start"), DESTROYED.values(), ids=DESTROYED)
def test_whatever_another_client_destroys_the_champion_goes_on_and_a_start_says_what_is_wrong(
    registry: SmallRegistry,
    serve: Serve,
    destroy: Callable[[SmallRegistry], object],
    at_work: str | None,
    at_start: str | None,
) -> None:
    registry.add(mark="a")
    registry.point(registry.add(mark="b"))
    models = serve("mnist")
    destroy(registry)
    wait_until(lambda: models.problems() == ([at_work] if at_work else []), models)
    time.sleep(5 * POLL_S)
    assert models.ready
    assert answer(models.get("mnist")) == "7b"
    started = serve("mnist", wait=False)
    wait_until(lambda: started.problems() == ([at_start] if at_start else []), started)
    wait_until(lambda: started.ready == (at_start is None), started)
    # The way back that the line names: a champion of this name.
    if at_start == "mnist has no alias champion":
        registry.point(1)
        for one in (models, started):
            wait_until(lambda one=one: one.ready and answer(one.get("mnist")) == "7a", one)  # type: ignore[misc]


def run_of(registry: SmallRegistry) -> str:
    return str(registry.client.get_model_version("mnist", "2").run_id)


def tear(content: bytes) -> bytes:
    """Overwrite all pages of a database but the first."""
    return content[:4096] + bytes(len(content) - 4096)


@pytest.mark.parametrize(
    ("replace", "problem"),
    [
        (lambda _: b"no database at all" * 1000, "the registry does not answer (DatabaseError)"),
        (tear, "the registry does not answer (DatabaseError)"),
        (lambda _: empty_database(), "mnist is not registered; version 1 goes on serving"),
    ],
    ids=["no database", "malformed", "another one"],
)
def test_a_database_that_is_replaced_is_told_once_without_a_traceback(
    registry: SmallRegistry,
    serve: Serve,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    replace: Callable[[bytes], bytes],
    problem: str,
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    database = Path(registry.uri.removeprefix("sqlite:///"))
    database.rename(tmp_path / "aside")
    database.write_bytes(replace((tmp_path / "aside").read_bytes()))
    wait_until(lambda: models.problems() == [problem], models)
    time.sleep(10 * POLL_S)
    assert answer(models.get("mnist")) == "7a"
    (tmp_path / "aside").rename(database)
    wait_until(lambda: models.problems() == [], models)
    lines = [
        record.getMessage() for record in caplog.records if record.name == "modelyard.service.models.models"
    ]
    away, back = "the registry does not answer", "the registry answers again"
    expected = [away, back] if problem.startswith(away) else ["mnist is not registered: register it"]
    assert [line.partition(" (")[0] for line in lines] == expected
    assert "Traceback" not in caplog.text


def test_what_keeps_a_service_from_being_ready_is_in_the_log_once(
    registry: SmallRegistry, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.point(registry.add())
    (tmp_path / "copy").write_text("a file, where a folder could not be made either")
    models = serve("mnist", "nope", wait=False)
    wait_until(lambda: len(models.problems()) == 2, models)
    time.sleep(10 * POLL_S)
    assert caplog.text.count("nope is not registered: register it (registered are: mnist)") == 1
    assert caplog.text.count("mnist: version 1 cannot be loaded: the local copy cannot be written") == 1
    told = "; ".join(models.problems())
    assert "choose another with --copy" in told
    assert str(tmp_path) not in told
    assert len(told) < 1000


def test_of_many_problems_the_first_are_told_and_the_others_counted(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add())
    models = serve("mnist", *(f"missing-{number}" for number in range(30)), wait=False)
    wait_until(lambda: len(models.problems()) == 30, models)
    *told, last = shorten(models.problems())
    assert (told[0], len(told), last) == ("missing-0 is not registered", 20, "and 10 more")
    assert shorten(["x" * 1000]) == [f"{'x' * 297}..."]


def test_tags_and_metrics_of_any_size_are_described_in_json_and_for_prometheus(
    registry: SmallRegistry, serve: Serve
) -> None:
    registry.point(registry.add())
    for key, value in {"size_bytes": "9" * 5000, "precision": "x" * 5000, "other": "y" * 5000}.items():
        registry.client.set_model_version_tag("mnist", "1", key, value)
    models = serve("mnist")
    (version,) = models.describe()[0]["versions"]
    assert (version["size_bytes"], version["precision"], version["loaded"]) == (None, None, True)
    assert len(orjson.dumps(models.describe())) < 2000
    rendered = Metrics(models.describe, models.problems).render()
    assert b'modelyard_version_loaded{model="mnist",version="1"} 1.0' in rendered


@pytest.mark.parametrize(
    "foreign", [math.nan, math.inf, 10**400, "\ud800", b"\xff", [1], "x" * 5000], ids=ascii
)
def test_what_json_cannot_hold_is_left_out_of_what_the_registry_says(foreign: Any) -> None:
    key = str(foreign)
    version = make_version("1", dict.fromkeys(TAGS, foreign), {"loss": foreign, key: foreign, "right": 0.5})
    model = make_model("mnist", {"champion": "1", "best": foreign, key: "1"}, [version])
    described = describe_model(model, Memory(0), None)
    written = json.dumps(described, allow_nan=False, ensure_ascii=False).encode()
    assert described["aliases"]["champion"] == described["versions"][0]["version"] == 1
    assert described["versions"][0]["metrics"] == {"right": 0.5}
    assert len(written) < 1000


def test_a_local_model_that_is_cut_short_while_it_serves_goes_on_answering(
    registry: SmallRegistry, serve: Serve, tmp_path: Path
) -> None:
    registry.point(registry.add(mark="a"))
    models = serve("mnist")
    (file,) = (tmp_path / "copy").rglob("model.tflite")
    os.truncate(file, 0)
    assert [answer(models.get("mnist")) for _ in range(8)] == ["7a"] * 8


def answer(served: ServedVersion) -> str:
    """Return the label that a version gives a seven."""
    return str(served.predictor.predict([SEVEN], top_k=1)[0][0]["label"])  # type: ignore[index]


def raises(kind: type[Exception], act: Callable[[], object]) -> bool:
    try:
        act()
    except kind:
        return True
    return False


def wait_until(happened: Callable[[], bool], models: Models) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, f"did not happen within {PATIENCE_S} s; problems: {models.problems()}"
        time.sleep(0.01)
