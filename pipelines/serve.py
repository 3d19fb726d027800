"""serve: the chosen versions from the registry answer the sample pictures."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from modelyard.files import write_json
from modelyard.images.pictures import LIMITS
from modelyard.images.samples import read_label
from modelyard.inference.bundle import Bundle
from modelyard.inference.origin import describe_network, name_network
from modelyard.inference.predictor import Predictor
from modelyard.params import Params
from modelyard.plots.contact_sheet import SIDE, AnsweredPicture, count_right, plot_contact_sheet
from modelyard.plots.thumbnails import shrink
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.versions import resolve_version, use_stand_in
from modelyard.stages.stage import run_stage
from modelyard.tracking.store import open_tracking


def serve(paths: Namespace, params: Params) -> None:
    """Write the ranked answers of each version as JSON, and all of them on one contact sheet."""
    tracking = open_tracking(params.registry.experiment)
    registered = json.loads(paths.registered.read_text())
    stand_ins = {entry["stand_in_for"]: entry["name"] for entry in registered.values()}
    chosen = {params.serve.trained: paths.trained, params.serve.imported: paths.imported}
    told, sections = {}, []
    for asked, samples in chosen.items():
        version = resolve_version(tracking.client, use_stand_in(tracking, asked, stand_ins))
        bundle = fetch_bundle(tracking, version)
        pictures = answer_samples(bundle, samples, params.serve.top_k)
        uri = f"models:/{version.name}/{version.version}"
        print(f"{asked} is {uri}: {len(pictures)} pictures answered")
        told[uri] = {one.name: one.answers for one in pictures}
        sections.append((title_section(bundle, version.version, asked) + count_right(pictures), pictures))
    write_json(paths.predictions, told)
    plot_contact_sheet(paths.sheet, sections)


def answer_samples(bundle: Bundle, samples: Path, top_k: int) -> list[AnsweredPicture]:
    """Let a version answer a folder of pictures."""
    predictor = Predictor(bundle, limits=LIMITS)
    names = [label.name for label in bundle.labels if label.name is not None]
    files = sorted(samples.iterdir())
    images = [file.read_bytes() for file in files]
    answers: list[Any] = predictor.predict(images, top_k=min(top_k, len(names)))
    shown = [shrink(predictor.decode(image), SIDE) for image in images]
    return [
        AnsweredPicture(file.name, pixels, answer, read_label(file.name, names))
        for file, pixels, answer in zip(files, shown, answers, strict=True)
    ]


def title_section(bundle: Bundle, version: str, asked: str) -> str:
    """Name the version, its network, and the alias it was asked for by: `mnist v1, cnn, champion`."""
    network = describe_network(name_network(bundle), bundle.precision, bundle.name)
    alias = asked.partition("@")[2]
    return ", ".join(filter(None, (f"{bundle.name} v{version}", network, alias)))


if __name__ == "__main__":
    run_stage(serve, "registered", "trained", "imported", "predictions", "sheet")
