"""The measures against scikit-learn and SciPy, and what they refuse."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.agreement import measure_agreement, pick_answers, read_answers
from modelyard.evaluation.measures.classification import (
    calibration,
    class_scores,
    confusion_matrix,
    label_losses,
    measure_answers,
    measure_classes,
    name_classes,
)
from modelyard.evaluation.measures.shares import wilson_interval
from modelyard.nesting import flatten

Table = tuple[np.ndarray, np.ndarray]
PERFECT = np.eye(3, dtype=np.float32)


@pytest.fixture
def answers() -> Table:
    """499 answers (a prime number) over 7 classes; class 5 has no label, class 6 is never answered."""
    generator = np.random.default_rng(3)
    labels = generator.choice([0, 1, 2, 3, 4, 6], 499).astype(np.uint8)
    logits = generator.normal(size=(499, 7)) + 2.5 * np.eye(7)[labels]
    logits[:, 6] = -9
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_the_numbers_are_those_of_scikit_learn(answers: Table) -> None:
    probabilities, labels = answers
    measured = measure_answers(probabilities, labels, bins=15)
    first = probabilities.argmax(axis=1)
    assert measured["accuracy"] == pytest.approx(reference.accuracy_score(labels, first))
    assert measured["errors"] == (labels != first).sum()
    assert measured["log_loss"] == pytest.approx(
        reference.log_loss(labels, probabilities, labels=range(7)), rel=1e-6
    )
    assert measured["macro_f1"] == pytest.approx(
        reference.f1_score(labels, first, average="macro", zero_division=0)
    )


def test_a_class_has_the_precision_recall_and_f1_of_scikit_learn_even_with_nothing_to_count(
    answers: Table,
) -> None:
    probabilities, labels = answers
    confusion = confusion_matrix(probabilities, labels)
    scores = class_scores(confusion)
    expected = reference.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(7), zero_division=0
    )
    for ours, theirs in zip(
        (scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    assert scores.support[5] == 0
    assert scores.precision[6] == 0
    named = measure_classes(confusion, tuple("abcdefg"))
    assert named["b"] == {
        "precision": scores.precision[1],
        "recall": scores.recall[1],
        "f1": scores.f1[1],
    }


def test_the_macro_f1_leaves_out_a_class_that_never_occurs() -> None:
    two_of_three = np.array([[9, 1, 0], [0, 10, 0], [0, 0, 0]])
    scores = class_scores(two_of_three)
    assert scores.macro_f1 == pytest.approx(scores.f1[:2].mean())


def test_the_confusion_matrix_is_that_of_scikit_learn(answers: Table) -> None:
    probabilities, labels = answers
    expected = reference.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(7))
    np.testing.assert_array_equal(confusion_matrix(probabilities, labels), expected)


def test_the_reliability_curve_is_that_of_scikit_learn(answers: Table) -> None:
    probabilities, labels = answers
    curve = calibration(probabilities, labels, bins=10)
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=10)
    filled = curve.counts > 0
    np.testing.assert_allclose(curve.accuracy[filled], accuracy)
    np.testing.assert_allclose(curve.confidence[filled], confidence)
    weights = curve.counts[filled] / len(labels)
    assert curve.error == pytest.approx((weights * abs(accuracy - confidence)).sum())


def test_an_overconfident_model_has_the_calibration_error_one_counts_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 6)
    labels = np.array([0, 1, 1, 1] + [0] * 6)
    curve = calibration(probabilities, labels, bins=5)
    assert curve.counts.tolist() == [0, 0, 6, 0, 4]
    assert curve.error == pytest.approx(0.4 * (0.9 - 0.25) + 0.6 * (1.0 - 0.6))


def test_a_score_on_the_bound_of_two_bins_counts_in_the_lower_one() -> None:
    on_the_bound = np.array([[0.5, 0.5], [0.75, 0.25]])
    assert calibration(on_the_bound, np.array([0, 0]), bins=4).counts.tolist() == [0, 1, 1, 0]


def test_a_score_of_exactly_one_stays_in_the_last_bin() -> None:
    assert calibration(PERFECT, np.arange(3), bins=4).counts.tolist() == [0, 0, 0, 3]


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (9915, 10_000), (1, 3)])
def test_the_interval_is_that_of_scipy_also_at_the_ends(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_an_impossible_share_has_no_interval(successes: int, trials: int) -> None:
    with pytest.raises(ModelyardError, match=f"got {successes} of {trials}"):
        wilson_interval(successes, trials)


def test_a_hopeless_answer_costs_much_but_not_infinity() -> None:
    assert label_losses(PERFECT, np.array([0, 1, 0])).mean() == pytest.approx(-math.log(2**-23) / 3)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[np.nan, 1.0]], [0], "finite numbers, got [nan  1.] in row 0"),
        ([[0.5, 0.5], [np.inf, 0.0]], [0, 0], "finite numbers, got [inf  0.] in row 1"),
        ([[1.5, -0.5]], [0], "from 0 to 1, got [ 1.5 -0.5] in row 0"),
        ([[0.5, 0.5], [0.5, 0.4]], [0, 0], "the sum 1 (a softmax), got [0.9] in row 1; 1 such rows"),
        ([0.5, 0.5], [0], "expected the shape (images, classes)"),
        (np.empty((0, 2)), np.empty(0, int), "at least one of each, got (0, 2)"),
        ([[0.5, 0.5]], [0, 1], "expected 1 integers"),
        ([[0.5, 0.5]], [0.0], "got float64 of the shape (1,)"),
        ([[0.5, 0.5]], [2], "expected 0..1, for the model has 2 outputs, got 2 at 0"),
        ([[0.5, 0.5]], [-1], "got -1 at 0"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_row_at_fault(
    probabilities: object, labels: object, message: str
) -> None:
    with pytest.raises(ModelyardError, match=re.escape(message)):
        measure_answers(np.array(probabilities), np.array(labels), bins=5)


def test_no_bins_are_refused() -> None:
    with pytest.raises(ModelyardError, match="at least 1 bin, got 0"):
        calibration(PERFECT, np.arange(3), bins=0)


def test_flat_names_are_the_path_with_slashes() -> None:
    nested = {"test": {"accuracy": 0.5, "class": {"0": {"f1": 1}}}, "size_bytes": 7}
    assert flatten(nested, "/") == {"test/accuracy": 0.5, "test/class/0/f1": 1.0, "size_bytes": 7.0}


def test_a_class_of_any_name_is_a_metric_that_mlflow_takes_and_no_two_are_called_alike() -> None:
    from mlflow.utils.validation import _validate_metric_name

    names = ("T-shirt/top", "Eisbär", "a&b", "a+b", ".", "..", "/x", "x//y", "100 %", "a, b", "c:d")
    called = name_classes(names)
    assert called[:3] == ("T-shirt/top", "Eisbär", "a_b 2")
    assert len(set(called)) == len(names)
    for name in called:
        _validate_metric_name(f"class/{name}/precision")


def test_agreement_counts_first_answers_and_finds_the_largest_difference() -> None:
    served = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]], np.float32)
    source = np.array([[0.6, 0.3, 0.1], [0.41, 0.39, 0.2]], np.float32)
    agreement = measure_agreement(source, served, answered=[0, 1, 2])
    assert agreement == {
        "images": 2,
        "max_difference": pytest.approx(0.11),
        "same_first": 0.5,
        "answers": 1,
    }


def test_agreement_counts_how_many_different_first_answers_the_source_has() -> None:
    assert measure_agreement(PERFECT, PERFECT, answered=[0, 1, 2])["answers"] == 3
    assert measure_agreement(PERFECT, PERFECT, answered=[1, 2])["answers"] == 2


def test_the_answers_are_found_by_name_in_any_order_and_a_missing_one_is_named() -> None:
    answers = dict(zip(("a.jpg", "b.jpg", "b.jpg, part 2"), PERFECT, strict=True))
    np.testing.assert_array_equal(pick_answers(answers, ["b.jpg, part 2", "a.jpg"]), PERFECT[[2, 0]])
    with pytest.raises(ModelyardError, match=r"the source's answer to c\.jpg, .* \(1 are missing\)"):
        pick_answers(answers, ["a.jpg", "c.jpg"])


def test_the_majority_is_the_share_of_the_most_common_label_whatever_is_answered() -> None:
    measured = measure_answers(np.eye(3)[[0, 1, 2, 0]], np.array([2, 2, 2, 0]), bins=5)
    assert measured["majority"] == 0.75
    assert measured["accuracy"] == 0.5


def test_an_output_without_a_label_is_nobody_s_first_answer() -> None:
    source, served = np.array([[0.8, 0.15, 0.05]]), np.array([[0.05, 0.8, 0.15]])
    assert measure_agreement(source, served, answered=[0, 1, 2])["same_first"] == 0
    assert measure_agreement(source, served, answered=[1, 2])["same_first"] == 1


def test_answers_of_another_model_are_not_compared() -> None:
    with pytest.raises(ModelyardError, match=r"source's shape \(3, 3\), the bundle's is \(2, 2\)"):
        measure_agreement(PERFECT, np.eye(2), [0, 1])


def test_a_nan_of_the_served_model_is_no_agreement() -> None:
    with pytest.raises(ModelyardError, match="the bundle's probabilities: expected finite"):
        measure_agreement(PERFECT, np.where(PERFECT > 0, np.nan, 0), [0, 1, 2])


def test_the_answers_of_the_source_are_read_with_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "answers.npz", names=np.array(["a.jpg", "b.jpg", "c.png"]), probabilities=PERFECT)
    answers = read_answers(tmp_path / "answers.npz")
    assert list(answers) == ["a.jpg", "b.jpg", "c.png"]
    np.testing.assert_array_equal(list(answers.values()), PERFECT)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"probabilities": PERFECT}, "with `names` and `probabilities`"),
        ({"probabilities": PERFECT, "names": np.array(["a"])}, r"a name for each of 3 answers, got .*\(1,\)"),
        ({"probabilities": PERFECT * 2, "names": np.array(["a"] * 3)}, "from 0 to 1"),
        ({"probabilities": PERFECT, "names": np.array([None] * 3)}, "with `names` and `probabilities`"),
    ],
)
def test_answers_that_cannot_be_used_are_refused_by_file(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "answers.npz", **arrays)
    with pytest.raises(ModelyardError, match=f"answers.npz: .*{message}"):
        read_answers(tmp_path / "answers.npz")


def test_missing_and_broken_answers_are_refused_by_file(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match=r"answers.npz is missing: packaging"):
        read_answers(tmp_path / "answers.npz")
    (tmp_path / "answers.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ModelyardError, match=r"answers.npz: expected an .npz"):
        read_answers(tmp_path / "answers.npz")
