"""import: Google's Inception v3 of 2015 with its labels, or the stand-in for it."""

from argparse import Namespace

from modelyard.networks.imported import read_imported
from modelyard.networks.importing import import_pretrained
from modelyard.params import Params
from modelyard.stage import run_stage


def import_network(paths: Namespace, params: Params) -> None:
    """Write the network's folder, and say what came from where."""
    import_pretrained(params.pretrained, paths.out)
    imported = read_imported(paths.out)
    named = sum(label.name is not None for label in imported.labels)
    print(
        f"{imported.name} from {imported.provenance['source']}: {named} labels, "
        f"licence {imported.provenance['licence']}"
    )


if __name__ == "__main__":
    run_stage(import_network, "out")
