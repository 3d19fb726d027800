"""BentoML: images as base64 in JSON, with its adaptive batching."""

import base64

import bentoml

from trained import Trained, decode


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Server:
    """Answers images with their labels."""

    def __init__(self) -> None:
        self._trained = Trained()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=60_000)
    def predict(self, images: list[str]) -> list[str]:
        """Answer `{"images": [BASE64, ...]}` with as many labels; BentoML joins several requests."""
        return self._trained.label([decode(base64.b64decode(image)) for image in images])
