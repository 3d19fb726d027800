"""LitServe: the image as base64 in JSON, requests of one millisecond answered together."""

import base64
import sys

import litserve
import numpy as np
from numpy.typing import NDArray

from trained import Trained, decode


class Server(litserve.LitAPI):
    """Decodes each image, and answers what came together in one batch."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the network, in the worker."""
        self._trained = Trained()

    def decode_request(self, request: dict[str, str]) -> NDArray[np.uint8]:
        """Take `{"image": BASE64}`."""
        return decode(base64.b64decode(request["image"]))

    def predict(self, x: NDArray[np.uint8]) -> list[str]:
        """Answer a batch."""
        return self._trained.label(x)

    def encode_response(self, output: str) -> dict[str, str]:
        """Give `{"label": LABEL}`."""
        return {"label": output}


if __name__ == "__main__":
    server = litserve.LitServer(Server(max_batch_size=8, batch_timeout=0.001), accelerator="cpu", timeout=60)
    quiet = {"log_level": "warning", "access_log": False, "generate_client_file": False}
    server.run(host="127.0.0.1", port=int(sys.argv[1]), **quiet)
