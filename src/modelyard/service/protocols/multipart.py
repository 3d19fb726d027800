"""multipart/form-data in memory: files are images, other parts are options."""

import logging

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from modelyard.service.http.refusals import Refusal, too_large

# Its warnings about malformed bodies would fill our stderr; the client is told instead.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())
# Options, and fields that browsers add.
_MOST_FIELDS = 20
_MOST_OPTION_BYTES = 200


class _Parts:
    """Collects parts as the parser reports them; the methods are its callbacks."""

    def __init__(self, max_files: int) -> None:
        self.files: list[bytes] = []
        self.fields: dict[str, str] = {}
        self._max_files = max_files
        self._count = 0
        self._name = self._value = b""
        self._disposition = b""
        self._data = bytearray()

    def begin(self) -> None:
        self._count += 1
        if self._count > self._max_files + _MOST_FIELDS:
            raise too_large(f"more than {self._max_files} images and {_MOST_FIELDS} options")
        self._disposition = b""
        self._data = bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or name in ("image", "images", "file", "files"):
            self.files.append(bytes(self._data))
        elif len(self._data) <= _MOST_OPTION_BYTES and len(self.fields) < _MOST_FIELDS:
            self.fields[name] = self._data.decode("utf-8", "replace")
        else:
            raise Refusal(400, "a part without a filename is neither an image nor an option")
        if len(self.files) > self._max_files:
            raise too_large(f"more than {self._max_files} images, the most that a request may have")


def read_parts(content_type: str, body: bytes, max_files: int) -> tuple[list[bytes], dict[str, str]]:
    """Return the contents of the files in order, and the other parts by name.

    A part is a file if it has a filename, or is called image(s) or file(s). Raises Refusal if the body is
    malformed or cut off (400), or has more files than allowed (413).
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Refusal(400, "multipart/form-data without a boundary")
    parts, ended = _Parts(max_files), []
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_field,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_end": lambda: ended.append(True),
            },
        )
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise Refusal(400, "a broken multipart body") from None
    if not ended:
        raise Refusal(400, "a multipart body that was cut off")
    return parts.files, parts.fields
