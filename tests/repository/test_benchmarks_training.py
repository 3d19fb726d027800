"""The training benchmark's own arithmetic and its files; `make bench-training` measures."""

import csv
import functools
import re
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.command import RESULTS, SCRATCH, choose_results
from benchmarks.report import Frame, Goal, Report, list_goals
from benchmarks.training import processes as measuring
from benchmarks.training.__main__ import is_full, main, read_options
from benchmarks.training.flops import count_training_flops
from benchmarks.training.goals import judge as judge_frame
from benchmarks.training.outcome import Clock, measure_peak_rss_mb, read_examples
from benchmarks.training.picture import plot_runs
from benchmarks.training.presets import choose_presets, compose_preset, repeats_another
from benchmarks.training.processes import PARTS, Processes
from benchmarks.training.rounds import SHORT, UNCHANGED, Rounds, count_seeds
from benchmarks.training.runs import TEXTBOOK, Run, average_runs, name_kept, read_epochs
from benchmarks.training.summary import list_medians, list_seeds, make_frame
from conftest import ROOT
from made_digits import make_digits, write_record
from modelyard.errors import ModelyardError, UsageError
from modelyard.images.fitting import fit_pictures
from modelyard.images.pictures import write_pictures
from modelyard.networks.layers import build_network, join_members
from modelyard.params import Input, Params
from picture_texts import watch_texts

PEAK = 100e9


def run_of(
    name: str, seed: int | None = 0, fit_s: float = 2.0, accuracy: float = 0.99, **changes: Any
) -> Run:
    epochs = f"{fit_s / 2:.3f}:{accuracy - 0.03:.4f} {fit_s * 0.95:.3f}:{accuracy - 0.01:.4f}"
    run = Run(name, seed, fit_s, 5.0, accuracy, accuracy, 2, 430, 5_000, 100.0, 900.0, epochs)
    return replace(run, **changes)


def judge(*runs: Run, augmented: tuple[float, float] | None = None) -> list[Goal]:
    return judge_frame(make_frame(runs, PEAK), augmented)


def find(goals: list[Goal], subject: str, asked: str = "") -> Goal:
    (goal,) = [goal for goal in goals if goal.subject.startswith(subject) and goal.asked.startswith(asked)]
    return goal


def test_operations_are_counted_as_by_hand(params: Params) -> None:
    shape = {"filters": 4, "kernel": 3, "stride": 2, "padding": "same", "pool": 2}
    small = {"convolutions": (shape, {**shape, "filters": 8, "padding": "valid", "pool": 1}), "dense": (16,)}
    values = {**params.model.model_dump(), **small, "head": "flatten", "batch_norm": False, "dropout": 0.5}
    model = type(params.model).model_validate(values)
    # 28x28 to 14x14, pooled to 7x7, to 3x3; multiply-adds of the four layers.
    forward = [14 * 14 * 9 * 1 * 4, 3 * 3 * 9 * 4 * 8, 3 * 3 * 8 * 16, 16 * 10]
    by_hand = 2 * (3 * sum(forward) - forward[0])
    seen = ((28, 28, 1), 10)
    network = build_network(model, *seen)
    assert count_training_flops(network) == by_hand
    normal = build_network(model.model_copy(update={"batch_norm": True}), *seen)
    assert count_training_flops(normal) == by_hand
    assert count_training_flops(join_members(model, [network, normal])) == 2 * by_hand
    computed = build_network(model.model_copy(update={"first_filters": "whitening"}), *seen)
    assert count_training_flops(computed) == by_hand - 2 * (forward[0] + forward[1])


def test_pictures_to_test_on_are_fitted_as_those_to_learn_from(tmp_path: Path, params: Params) -> None:
    digits, how = make_digits(12), Input(fit="smooth", height=20, width=24, channels=1)
    for part in ("train", "test"):
        fitted = fit_pictures(digits, how, part)
        write_pictures(tmp_path / f"{part}.npz", digits, fitted if part == "train" else None)
    write_record(tmp_path / "dataset.json", params.data.model_copy(update={"input": how}), digits)
    training, test = (read_examples(tmp_path, part) for part in ("train", "test"))
    assert test.inputs.shape == (12, 20, 24, 1)
    np.testing.assert_array_equal(test.inputs, training.inputs)
    np.testing.assert_array_equal(test.labels, digits.labels)


def test_a_layer_that_cannot_be_counted_is_refused() -> None:
    import keras

    network = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(2)])
    with pytest.raises(ModelyardError, match=r"expected layers of Conv2D, .*, got LSTM"):
        count_training_flops(network)


def test_a_pause_is_not_part_of_a_fit() -> None:
    clock = Clock()
    with clock.paused():
        time.sleep(0.2)
    clock.end_epoch(0.98761)
    [[seconds, accuracy]] = read_epochs(" ".join(clock.epochs))
    assert 0 <= seconds < 0.2
    assert accuracy == 0.9876


def test_the_peak_of_memory_is_in_megabytes() -> None:
    # This process has Python and NumPy at least, and no machine for tests has a terabyte.
    assert 30 < measure_peak_rss_mb() < 1e6


def test_runs_become_rows_with_medians_by_seed() -> None:
    runs = [run_of("cnn", seed, fit_s) for seed, fit_s in ((2, 3.0), (0, 1.0), (1, 9.0))]
    stopped_early = replace(runs[0], epochs=1)
    frame = make_frame([runs[1], run_of(TEXTBOOK, fit_s=20.0), stopped_early, runs[2]], PEAK)
    assert [*frame["network"]] == ["cnn", "cnn", "cnn", TEXTBOOK]
    assert [*frame["seed"]] == [0, 1, 2, 0]
    [_, cnn, _] = list_medians(frame)["Medians of the seeds"]
    assert cnn[:4] == ["cnn", "3", "3.00", "1.00..9.00"]
    assert cnn[7] == "1"


def test_time_to_accuracy_needs_both() -> None:
    def judge_fast(fit_s: float, accuracies: tuple[float, ...], textbook_s: float = 20.0) -> list[Goal]:
        runs = [run_of("cnn_fast", seed, fit_s, accuracy) for seed, accuracy in enumerate(accuracies)]
        return judge(run_of(TEXTBOOK, fit_s=textbook_s), *runs)

    good = judge_fast(3.9, (0.9899, 0.99, 0.9912))
    time = find(good, "cnn_fast, time", "under 4 s")
    assert time.holds
    assert time.measured == "3.90 s (99.00 %; 2 of 3 seeds)"
    assert find(good, "cnn_fast, time", "under a quarter").measured == "0.20 of 20.0 s"
    assert find(good, "cnn_fast, time", "under a quarter").holds
    assert not find(judge_fast(3.9, (0.9899, 0.9899, 0.9912)), "cnn_fast, time", "under 4 s").holds
    assert not find(judge_fast(4.0, (0.991,)), "cnn_fast, time", "under 4 s").holds
    slow = judge_fast(3.9, (0.991,), textbook_s=15.6)
    assert not find(slow, "cnn_fast, time", "under a quarter").holds


def test_the_share_of_the_peak_is_operations_over_seconds() -> None:
    share = find(judge(run_of("cnn_fast", gflop=100.0, fit_s=2.0)), "cnn_fast, share")
    assert (share.measured, share.holds) == ("50%", True)
    assert not find(judge(run_of("cnn_fast", gflop=99.0)), "cnn_fast, share").holds


def test_accuracies_are_judged_at_their_limits() -> None:
    def holds(run: Run) -> bool:
        return find(judge(run), f"{run.network}, test accuracy").holds

    assert holds(run_of("cnn", fit_s=9.9, accuracy=0.992))
    assert not holds(run_of("cnn", fit_s=10.0, accuracy=0.992))
    assert not holds(run_of("cnn", fit_s=9.9, accuracy=0.9919))
    assert holds(run_of("cnn_tiny", weights=5_999))
    assert not holds(run_of("cnn_tiny", weights=6_000))
    assert not holds(run_of("cnn_tiny", weights=5_999, accuracy=0.9899))


def test_the_best_is_judged_by_its_mean_and_by_its_slowest() -> None:
    runs = [
        run_of("cnn_best", seed, 600.0, accuracy) for seed, accuracy in enumerate((0.9964, 0.9966, 0.9965))
    ]
    goals = judge(*runs)
    assert [goal.holds for goal in goals[:3]] == [True, False, True]
    assert find(goals, "cnn_best, test accuracy", "99.65 %").measured == "99.650 % (mean of 3)"
    runs[1] = replace(runs[1], fit_s=900.0, test_accuracy=0.9965)
    assert [goal.holds for goal in judge(*runs)[:3]] == [False, False, False]


def test_memory_is_that_of_the_largest_preset_and_augmentation_may_not_double_an_epoch() -> None:
    runs = run_of(TEXTBOOK, peak_rss_mb=9_000.0), run_of("mlp"), run_of("cnn", peak_rss_mb=1_500.0)
    memory = find(judge(*runs), "memory of training")
    assert (memory.measured, memory.holds) == ("1,500 MB at most (cnn)", False)
    assert find(judge(*runs, augmented=(10.0, 19.9)), "cnn_best, an epoch").holds
    assert not find(judge(*runs, augmented=(10.0, 20.0)), "cnn_best, an epoch").holds
    assert judge(run_of(TEXTBOOK)) == []


def test_an_ensemble_answers_with_the_average_of_what_was_kept(tmp_path: Path) -> None:
    sure, unsure = [0.1, 0.9], [0.6, 0.4]
    for seed, rows in enumerate(([sure, unsure], [unsure, unsure])):
        answers = np.array(rows, np.float32)
        labels = np.array([1, 0], np.uint8)
        parts = {"validation": answers, "test": answers, "validation_labels": labels, "test_labels": labels}
        np.savez(name_kept(tmp_path, "cnn_best", seed), **parts)
    runs = [run_of("cnn_best", seed, 100.0 + seed, accuracy=0.5) for seed in range(2)]
    joined = average_runs(runs, tmp_path)
    assert (joined.network, joined.test_accuracy, joined.fit_s) == ("ensemble of 2 cnn_best", 1.0, 201.0)
    assert (joined.weights, joined.steps, joined.seed) == (10_000, 860, None)


def test_presets_are_found_in_conf_and_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known = choose_presets(None)
    assert [*known][:2] == ["mlp", "cnn"]
    assert all(params.model.input == "pixels" for params in known.values())
    assert [*choose_presets(["cnn", "mlp"])] == ["mlp", "cnn"]
    short = compose_preset("cnn_best", 3, [*SHORT, *UNCHANGED]).train
    assert (short.seed, short.epochs, short.schedule.name) == (3, 3, "constant")
    assert not short.augmentation.changes_pictures
    with pytest.raises(UsageError, match=r"--presets: expected some of mlp, cnn.*, got cnm"):
        choose_presets(["mlp", "cnm"])
    with pytest.raises(UsageError, match=r"expected a preset of conf/model \(mlp, cnn.*\), got cnm"):
        compose_preset("cnm")


def test_an_ensemble_of_another_presets_seeds_is_recognised(params: Params) -> None:
    def change(**changes: Any) -> Params:
        return params.model_copy(update={"model": params.model.model_copy(update=changes)})

    ensemble = change(name="ensemble", members=3)
    assert repeats_another(ensemble, [change(name="mlp", dense=(1,)), params, ensemble])
    assert not repeats_another(params, [params, ensemble])
    assert not repeats_another(change(members=3, dropout=0.5), [params])
    longer = params.train.model_copy(update={"epochs": params.train.epochs + 1})
    assert not repeats_another(ensemble.model_copy(update={"train": longer}), [params])


def test_augmentation_is_timed_by_the_faster_of_two_epochs_after_a_first(params: Params) -> None:
    class Measured:
        data = Path("data")

        def measure(self, module: str, _name: str, _settings: object, *options: str) -> dict[str, Any]:
            ends = "9:0.9 11:0.9 14:0.9" if options[-1] == UNCHANGED[-1] else "9:0.9 13:0.9 16:0.9"
            return asdict(run_of(module, seconds_and_val_accuracy_of_epochs=ends))

    augmentation = params.train.augmentation.model_copy(update={"shift_pixels": 1.0})
    best = params.model_copy(update={"train": params.train.model_copy(update={"augmentation": augmentation})})
    told: list[str] = []
    rounds = Rounds(cast(Processes, Measured()), {"cnn_best": best}, Path(), told.append)
    assert rounds.measure_augmentation() == (2.0, 3.0)
    assert told == ["cnn_best: an epoch takes 1.50 x as long with augmentation"]
    assert replace(rounds, presets={}).measure_augmentation() is None


def test_the_long_ones_have_fewer_seeds_unless_asked(params: Params) -> None:
    presets = dict.fromkeys(("cnn", "cnn_best"), params)
    assert count_seeds(presets, None) == {TEXTBOOK: 5, "cnn": 5, "cnn_best": 3}
    assert count_seeds(presets, 1) == {TEXTBOOK: 1, "cnn": 1, "cnn_best": 1}


def test_only_a_full_run_replaces_the_committed_figures(tmp_path: Path) -> None:
    def choose(*arguments: str) -> Path:
        given = read_options(arguments)
        return choose_results(given, is_full(given))

    assert choose() == choose("--seeds", "5", "--resume") == RESULTS
    for arguments in (["--seeds", "1"], ["--presets", "mlp"], ["--data", "elsewhere"]):
        assert choose(*arguments) == SCRATCH / "results"
    assert choose("--seeds", "1", "--results", str(tmp_path)) == tmp_path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part in PARTS:
        (tmp_path / f"{part}.npz").write_bytes(part.encode())
    return tmp_path


def test_what_was_measured_is_taken_again_only_when_asked_and_when_nothing_changed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(resume: bool, seed: int, answer: int) -> int:
        # Stands for a measurement: a process that prints JSON, whatever it is called with.
        program = f"#!/bin/sh\necho '{{\"answer\": {answer}}}'\n"
        (tmp_path / "python").write_text(program)
        (tmp_path / "python").chmod(0o755)
        processes = Processes(tmp_path / "scratch", data, resume)
        return int(processes.measure("fit", "cnn-0", {"seed": seed})["answer"])

    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert measure(resume=True, seed=0, answer=1) == 1
    assert measure(resume=True, seed=0, answer=2) == 1
    assert measure(resume=False, seed=0, answer=3) == 3
    assert measure(resume=True, seed=1, answer=4) == 4
    (data / "train.npz").write_bytes(b"other digits")
    assert measure(resume=True, seed=1, answer=5) == 5
    monkeypatch.setattr(measuring, "CODE", [data / "test.npz"])
    assert measure(resume=True, seed=1, answer=6) == 6


def test_a_measurement_that_fails_is_told_with_the_end_of_its_log(data: Path, tmp_path: Path) -> None:
    processes = Processes(tmp_path / "scratch", data, resume=False)
    with pytest.raises(ModelyardError, match=r"(?s)training\.fit .*failed.*cnm\.log:.*--preset.*required"):
        processes.measure("fit", "cnm", {}, "--seed", "0")
    assert not (tmp_path / "scratch" / "cnm.json").exists()


def test_missing_data_and_unknown_presets_end_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--presets", "cnm"]) == 2
    assert "bench: --presets: expected some of mlp, cnn" in capsys.readouterr().err
    assert main(["--presets", "mlp", "--data", str(tmp_path / "empty")]) == 1
    assert "empty/train.npz is missing: `make repro` makes it" in capsys.readouterr().err


def report_of(frame: Frame, *goals: Goal) -> Report:
    tables = {**list_medians(frame), **list_seeds(frame), **list_goals(goals)}
    plot = functools.partial(plot_runs, frame=frame)
    return Report("training", "Training", "2 cores, a date", tables, frame, plot, "A note.")


def make_report() -> Report:
    runs = [run_of("cnn", seed, 3.0 + seed, 0.99 + seed / 1000) for seed in range(3)]
    none = {"epochs": 0, "seconds_and_val_accuracy_of_epochs": ""}
    best = run_of("ensemble of 2 cnn_best", None, 1234.0, 0.998, **none)
    frame = make_frame([run_of(TEXTBOOK, fit_s=20.0, accuracy=0.976), *runs, best], PEAK)
    return report_of(frame, Goal("memory", "under 1", "2", False))


def test_the_tables_show_every_seed_and_what_does_not_hold() -> None:
    text = make_report().to_text()
    assert re.search(
        r"cnn +3 +4\.00 +3\.00\.\.5\.00 +99\.10 % +99\.00\.\.99\.20 +5,000 +2 +25 +25% +900", text
    )
    assert re.search(r"cnn +99\.00 % +99\.10 % +99\.20 % +99\.100 %", text)
    assert re.search(r"textbook +97\.60 % +97\.600 %", text)
    assert re.search(r"ensemble of 2 cnn_best +99\.800 %", text)
    assert re.search(r"memory +under 1 +2 +NO", text)
    page = make_report().to_markdown()
    assert "| memory | under 1 | 2 | NO |" in page
    assert "\n\nA note.\n\n![Training](training.png)\n\n" in page


def test_the_csv_has_a_line_for_every_run(tmp_path: Path) -> None:
    make_report().write(tmp_path)
    with (tmp_path / "training.csv").open() as file:
        textbook, *cnn, ensemble = csv.DictReader(file)
    assert [line["seed"] for line in cnn] == ["0", "1", "2"]
    figures = [textbook[name] for name in ("fit_s", "test_accuracy", "share_of_peak")]
    assert figures == ["20.0000", "0.9760", "0.0500"]
    assert textbook["seconds_and_val_accuracy_of_epochs"] == "10.000:0.9460 19.000:0.9660"
    assert (ensemble["seed"], ensemble["about"]) == ("", "2 cores, a date")
    with (ROOT / RESULTS / "training.csv").open() as committed:
        assert csv.DictReader(committed).fieldnames == list(textbook)


def test_the_committed_figures_can_be_shown_and_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = pd.read_csv(ROOT / RESULTS / "training.csv")
    texts = watch_texts(monkeypatch)
    plot_runs(tmp_path / "training.png", committed)
    assert (tmp_path / "training.png").stat().st_size > 10_000
    assert all(told in " ".join(texts) for told in ("(more is better)", "(less is better)"))
    page = (ROOT / RESULTS / "training.md").read_text().splitlines()
    shown = [line for line in page if line.startswith(("| cnn |", "| ensemble of 3", "| textbook |"))]
    report = report_of(committed.astype({"seed": "Int64"}))
    assert len(shown) == 6
    assert all(line in report.to_markdown() for line in shown)


def test_the_picture_has_a_colour_for_each_network(tmp_path: Path) -> None:
    plot_runs(tmp_path / "training.png", make_report().frame)
    with Image.open(tmp_path / "training.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB"))
    for colour in ([0x73, 0x73, 0x73], [0xD5, 0x5E, 0x00], [0x00, 0x72, 0xB2]):
        assert (pixels == colour).all(axis=2).sum() > 200
