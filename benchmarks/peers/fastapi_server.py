"""FastAPI: the image is the request's body. A digit is answered in the event loop, a photo in a thread."""

import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from trained import HEIGHT, Trained, decode

# An answer within a millisecond costs less than the way to a thread and back.
IN_A_THREAD = HEIGHT > 28

app = FastAPI()
trained = Trained()


@app.post("/predict")
async def predict(request: Request) -> dict[str, str]:
    """Answer one image with its label."""
    content = await request.body()
    return {"label": await run_in_threadpool(_answer, content) if IN_A_THREAD else _answer(content)}


def _answer(content: bytes) -> str:
    return trained.label([decode(content)])[0]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
