"""Answers as the process that records gets them."""

from multiprocessing import Pipe

from modelyard.service.recording.answered import Answered
from modelyard.service.recording.delivery.messages import Batch, read
from modelyard.service.recording.delivery.packing import pack_requests, send


def deliver(*answered: Answered) -> list[Batch]:
    """Send what requests left through a pipe, which holds a few small images at a time."""
    delivered = []
    reading, giving = Pipe(duplex=False)
    with reading, giving:
        for packed in pack_requests(answered):
            send(giving, packed)
            batch = read(reading)
            assert isinstance(batch, Batch)
            delivered.append(batch)
    return delivered
