"""`modelyard monitor` as a user calls it: over a real registry and real tables."""

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import compose_values
from evaluated_registry import EvaluatedRegistry
from live_answers import blur, home_writers, label, make_rows, record
from modelyard.cli.main import main
from modelyard.cli.output import say_json
from modelyard.evaluation.reference import write_reference
from modelyard.images.pictures import PixelPictures
from modelyard.monitoring.reports.runs import EXPERIMENT
from modelyard.monitoring.tables.places import Place, open_place
from modelyard.monitoring.tables.schema import ANSWERS, Table
from modelyard.monitoring.tables.writing import write_rows

HOUR = timedelta(hours=1)
BEFORE = home_writers().take(np.arange(2000))
LIVE = home_writers().take(np.arange(2000, 2600))
PICTURES = PixelPictures(BEFORE.labels.astype(np.uint8), tuple(map(str, range(10))), BEFORE.levels)


class Watched(EvaluatedRegistry):
    """Versions 1 and 2 keep a reference; version 3 is from before references were kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        answers = BEFORE.probabilities.argmax(axis=1).tolist()
        for version in (1, 2, 3):
            assert self.evaluate(answers, pictures=PICTURES) == version
            if version < 3:
                write_reference(self.kept(version) / "reference.npz", BEFORE.reference())


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("watched"))


@pytest.fixture
def registry(watched: Watched, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", watched.uri)
    (repository / "params.yaml").write_text(yaml.safe_dump(compose_values()))
    return watched


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return open_place(str(tmp_path / "a place"))


def monitor(
    capsys: pytest.CaptureFixture[str], place: Place, *options: str, expect: int = 0
) -> dict[str, object]:
    code = main(["monitor", "mnist", "--tables", place.name, "--json", *options])
    printed = capsys.readouterr()
    assert code == expect, printed.err
    found: dict[str, object] = json.loads(printed.out)
    return found


def test_quiet_answers_end_with_0_and_shifted_ones_with_1(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime.now(UTC) - 5 * HOUR
    record(place, make_rows(LIVE, start=start))
    quiet = monitor(capsys, place)
    assert (quiet["alarms"], quiet["questions"]) == (0, 8)
    record(place, make_rows(blur(LIVE), start=start + HOUR, prefix="blurred"))
    assert monitor(capsys, place, expect=1)["alarms"]
    assert monitor(capsys, place, "--since", "30m")["versions"] == []
    assert monitor(capsys, place, "--version", "2")["versions"] == []


def test_live_accuracy_stands_beside_the_test_sets(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime.now(UTC) - 2 * HOUR
    record(place, make_rows(LIVE, start=start))
    answers = LIVE.probabilities.argmax(axis=1)
    label(place, [str(one) for one in answers[:100]], at=start + HOUR)
    # Somebody corrects ten of them later; the last label counts.
    label(place, [str((one + 1) % 10) for one in answers[:10]], at=start + 1.5 * HOUR)
    [version] = monitor(capsys, place)["versions"]  # type: ignore[misc]
    assert (version["images"], version["labelled"]) == (600, 100)
    assert version["accuracy"]["value"] == 0.9
    assert version["accuracy"]["low"] < 0.9 < version["accuracy"]["high"]
    right = (BEFORE.probabilities.argmax(axis=1) == BEFORE.labels).mean()
    assert version["test_accuracy"]["value"] == pytest.approx(right, abs=1e-6)
    assert main(["monitor", "mnist", "--tables", place.name]) == 0
    printed = capsys.readouterr().out
    assert "version 1: 600 images, 100 of them labelled" in printed
    assert "accuracy 90.00% (82.56% to 94.48%), test set " in printed
    assert printed.splitlines()[-1].startswith("No alarm: nothing is beyond its limit")


@pytest.mark.parametrize(("better", "verdict"), [(True, "more"), (False, "less")])
def test_a_better_and_a_worse_shadow_are_told_apart(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str], better: bool, verdict: str
) -> None:
    worse = blur(LIVE).probabilities.copy()
    worse[::5] = np.roll(worse[::5], 1, axis=1)
    damaged = LIVE.take(np.arange(600))
    vars(damaged)["probabilities"] = worse
    start = datetime.now(UTC) - HOUR
    answered, shadow = (damaged, LIVE) if better else (LIVE, damaged)
    record(place, make_rows(answered, "1", start=start))
    record(place, make_rows(shadow, "2", "shadow", start=start))
    label(place, [str(one) for one in LIVE.labels], at=start + HOUR / 2)
    main(["monitor", "mnist", "--tables", place.name])
    printed = " ".join(capsys.readouterr().out.split())
    assert "version 2 (shadow): 600 images" in printed
    assert f"version 2 is significantly {verdict} accurate" in printed
    found = monitor(capsys, place, expect=1)
    pairs = found["versions"][1]["shadow_of"]["1"]  # type: ignore[index]
    assert pairs["images"] == pairs["labelled"] == 600
    assert pairs["p_value"] < 0.001
    assert (pairs["only_shadow"] > pairs["only_answer"]) is better


def test_a_version_without_a_reference_says_so_and_is_compared_as_far_as_it_goes(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime.now(UTC) - HOUR
    record(place, make_rows(LIVE, "3", start=start))
    record(place, make_rows(LIVE, "8", start=start, prefix="gone"))
    # Its predictions are made up: all have the score 0.91.
    old, gone = monitor(capsys, place, expect=1)["versions"]  # type: ignore[misc]
    assert old["note"].startswith("it keeps no figures of its test pictures")
    assert [finding["subject"] for finding in old["findings"]] == ["labels", "score", "accuracy"]
    assert "models:/mnist/8: expected a version of mnist" in gone["note"]
    assert (gone["images"], gone["findings"]) == (600, [])


def test_what_cannot_be_read_is_named_and_the_rest_is_reported(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    [whole] = record(place, make_rows(LIVE, start=now - HOUR)[:300])
    torn = Path(whole).with_name("part-torn.parquet")
    torn.write_bytes(Path(whole).read_bytes()[:5000])
    [other] = write_rows(place, Table("answers", 2, ANSWERS.columns), "mnist", make_rows(LIVE)[:1])
    Path(other).rename(other := Path(whole).with_name("part-other.parquet"))
    Path(whole).with_name(".part-unfinished.parquet.new").write_bytes(b"half")
    record(place, make_rows(LIVE, start=now + 24 * HOUR)[:7])
    found = monitor(capsys, place)
    assert found["versions"][0]["images"] == 300  # type: ignore[index]
    skipped = found["skipped"]
    assert isinstance(skipped, dict)
    assert skipped["future_rows"] == 7
    assert {Path(name).name for name in skipped["parts"]} == {torn.name, other.name}
    assert "expected answers/1, it says answers/2" in skipped["parts"].values()
    main(["monitor", "mnist", "--tables", place.name])
    assert "skipped parts, unreadable (2): answers/model=mnist/day=" in capsys.readouterr().out


def test_each_report_is_a_run_with_metrics_by_time(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime.now(UTC) - 5 * HOUR
    record(place, make_rows(LIVE, start=start))
    record(place, make_rows(LIVE, start=start + 2 * HOUR, prefix="later"))
    run_id = str(monitor(capsys, place, "--since", "12h")["run_id"])
    run = registry.client.get_run(run_id)
    assert registry.client.get_experiment(run.info.experiment_id).name == EXPERIMENT
    assert (run.info.status, run.data.tags["model"], run.data.tags["alarms"]) == ("FINISHED", "mnist", "0")
    history = registry.client.get_metric_history(run_id, "v1/images")
    assert sum(metric.value for metric in history) == 1200
    assert len({metric.timestamp for metric in history}) == len(history) >= 2
    assert registry.client.get_metric_history(run_id, "v1/change/edges")
    names = {artifact.path for artifact in registry.client.list_artifacts(run_id)}
    assert names == {"report.html", "report.json"}


def test_the_page_shows_what_a_version_was_least_sure_of(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = make_rows(LIVE, start=datetime.now(UTC) - HOUR)
    content, least = PICTURES.file(0), min(rows, key=lambda row: row[6])
    sha256 = hashlib.sha256(content).hexdigest()
    rows[rows.index(least)] = (*least[:10], sha256, *least[11:])
    kept = Path(place.folder("images", "mnist", sha256[:2]), f"{sha256}.png")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    record(place, rows)
    page = tmp_path / "report.html"
    assert main(["monitor", "mnist", "--tables", place.name, "--html", str(page)]) == 0
    html = page.read_text()
    assert html.count('src="data:image/') == 1
    assert html.count('<span class="grey">not kept</span>') == 11
    assert "accuracy on the test set" in html


def test_labels_of_another_model_count_for_no_answer(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime.now(UTC) - HOUR
    record(place, make_rows(LIVE, start=start))
    record(place, make_rows(LIVE, start=start, prefix="clothes"), model="fashion-mnist")
    label(place, ["3"] * 60, at=start, model="fashion-mnist")
    label(place, ["3"] * 60, at=start, prefix="clothes")
    [version] = monitor(capsys, place)["versions"]  # type: ignore[misc]
    assert (version["images"], version["labelled"]) == (600, 0)


def test_a_watch_reports_again_after_its_pause_alarm_or_fault_until_it_is_stopped(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime.now(UTC) - HOUR
    record(place, make_rows(blur(LIVE), start=start))
    answers, pauses = Path(place.folder(ANSWERS, "mnist")), []
    aside = answers.with_name("aside")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            record(place, make_rows(blur(LIVE), start=start + HOUR / 2, prefix="later"))
        elif len(pauses) == 2:
            answers.rename(aside)
            answers.write_text("in the way")
        elif len(pauses) == 3:
            answers.unlink()
            aside.rename(answers)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("modelyard.cli.commands.live.monitor.time.sleep", pause)
    assert main(["monitor", "mnist", "--tables", place.name, "--watch", "30m"]) == 130
    printed = capsys.readouterr()
    images = [line.split()[2] for line in printed.out.splitlines() if line.startswith("version 1: ")]
    assert images == ["600", "1,200", "1,200"]
    assert pauses == [1800.0] * 4
    assert printed.err.startswith("no report this time: ")
    assert printed.err.count("\n") == 1


def test_json_reaches_a_pipe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(pipe))
    say_json({"alarms": 0})
    assert pipe.getvalue() == b'{"alarms": 0}\n'


def test_wrong_calls_are_one_line(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitor", "minst", "--tables", place.name]) == 2
    assert "no version of 'minst' is registered" in capsys.readouterr().err
    assert main(["monitor", "mnist", "--tables", "gs://bucket"]) == 2
    assert "expected a folder or s3://bucket/prefix, got 'gs://bucket'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["monitor", "mnist", "--since", "week"])
    assert "expected a time such as 30m, 12h or 7d, got 'week'" in capsys.readouterr().err


def test_live_pictures_are_compared_with_the_recent_ones_where_there_are_enough(
    registry: Watched, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    record(place, make_rows(blur(LIVE), "2", start=datetime.now(UTC) - HOUR))
    assert monitor(capsys, place, expect=1)["alarms"]
    recent = registry.kept(2) / "recent_reference.npz"
    write_reference(recent, blur(BEFORE).reference())
    try:
        [version] = monitor(capsys, place)["versions"]  # type: ignore[misc]
        assert version["compared_with"] == "recent set"
        write_reference(recent, blur(BEFORE.take(np.arange(100))).reference())
        assert monitor(capsys, place, expect=1)["alarms"]
    finally:
        recent.unlink()
