"""import: a network that somebody else trained, with its labels, or its stand-in."""

from argparse import Namespace

from modelyard.networks.importing.imported import read_imported
from modelyard.networks.importing.importing import import_pretrained
from modelyard.params import Params
from modelyard.stages.stage import run_stage


def import_network(paths: Namespace, params: Params) -> None:
    """Write the network's folder; print its origin, and whether it was proved."""
    import_pretrained(params.pretrained, paths.out)
    imported = read_imported(paths.out)
    about = imported.provenance
    named = sum(label.name is not None for label in imported.labels)
    found = about["recognised"]
    proof = "unproved" if found is None else f"{found['photo']} is {found['label']} ({found['score']})"
    print(f"{imported.name} from {about['source']}: {named} labels, licence {about['licence']}, {proof}")


if __name__ == "__main__":
    run_stage(import_network, "out")
