"""serve: the chosen versions from the registry answer the sample pictures."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.files import write_json
from modelyard.images.pictures import LIMITS
from modelyard.images.samples import read_label
from modelyard.inference.predictor import Predictor
from modelyard.params import Params
from modelyard.plots.contact_sheet import SIDE, plot_contact_sheet
from modelyard.plots.gallery import AnsweredPicture
from modelyard.plots.thumbnails import shrink
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.versions import resolve_version, use_stand_in
from modelyard.stage import run_stage
from modelyard.tracking.store import Tracking, open_tracking


def serve(paths: Namespace, params: Params) -> None:
    """Write the ranked answers of each version as JSON, and all of them on one contact sheet."""
    tracking = open_tracking(params.registry.experiment)
    registered = json.loads(paths.registered.read_text())
    stand_ins = {entry["stand_in_for"]: entry["name"] for entry in registered.values()}
    chosen = {params.serve.trained: paths.trained, params.serve.imported: paths.imported}
    answered = [
        answer_samples(tracking, use_stand_in(tracking, uri, stand_ins), samples, params.serve.top_k)
        for uri, samples in chosen.items()
    ]
    told = {uri: {one.name: one.answers for one in pictures} for uri, pictures in answered}
    write_json(paths.predictions, told)
    titles = [title_section(uri, asked, shown) for asked, (uri, shown) in zip(chosen, answered, strict=True)]
    plot_contact_sheet(paths.sheet, list(zip(titles, [shown for _, shown in answered], strict=True)))


def answer_samples(
    tracking: Tracking, uri: str, samples: Path, top_k: int
) -> tuple[str, list[AnsweredPicture]]:
    """Let the version that `uri` names answer a folder of pictures; return its own URI, and the answers."""
    version = resolve_version(tracking.client, uri)
    bundle = fetch_bundle(tracking, version)
    predictor = Predictor(bundle, limits=LIMITS)
    names = [label.name for label in bundle.labels if label.name is not None]
    files = sorted(samples.iterdir())
    images = [file.read_bytes() for file in files]
    answers: list[Any] = predictor.predict(images, top_k=min(top_k, len(names)))
    number = f"models:/{version.name}/{version.version}"
    print(f"{uri} is {number}: {len(files)} pictures answered")
    shown = [shrink(predictor.decode(image), SIDE) for image in images]
    return number, [
        AnsweredPicture(file.name, pixels, answer, read_label(file.name, names))
        for file, pixels, answer in zip(files, shown, answers, strict=True)
    ]


def title_section(uri: str, asked: str, pictures: Sequence[AnsweredPicture]) -> str:
    """Name the version, and count its right answers: `mnist v1 (champion): 10 of 10 right`."""
    name, _, number = uri.removeprefix("models:/").partition("/")
    alias = f" ({asked.partition('@')[2]})" if "@" in asked else ""
    known = [one for one in pictures if one.label is not None]
    right = sum(one.answers[0]["label"] == one.label for one in known)
    return f"{name} v{number}{alias}" + (f": {right} of {len(known)} right" if known else "")


if __name__ == "__main__":
    run_stage(serve, "registered", "trained", "imported", "predictions", "sheet")
