"""Files out of an archive that nobody has to trust."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from modelyard.sources import archives
from modelyard.sources.archives import find_all, unpack_archive
from modelyard.sources.choice import WrongContent

GRAPH, WORDS = bytes(range(256)) * 400, b"n02510455\tgiant panda\n"
LIMIT = 1_000_000


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    files = (member("LICENSE"), b"Apache"), (member("graph.pb"), GRAPH), (member("./words.txt"), WORDS)
    return pack(tmp_path / "model.tgz", *files)


def assert_refused(archive: Path, reason: str, max_bytes: int = LIMIT) -> None:
    """Unpack, and see a clear error, no link, and nothing outside the folder."""
    before, into = set(archive.parent.iterdir()), archive.parent / f"out of {archive.name}"
    with pytest.raises(WrongContent, match=reason) as caught:
        unpack_archive(archive, into, max_bytes)
    assert str(caught.value).startswith(f"{archive}: ")
    assert set(archive.parent.iterdir()) - before <= {into}
    assert not any(path.is_symlink() for path in into.rglob("*"))


def test_the_named_files_are_found_among_all_that_are_unpacked(archive: Path, tmp_path: Path) -> None:
    into = tmp_path / "out"
    unpack_archive(archive, into, LIMIT)
    files = find_all(into, ["graph.pb", "words.txt"])
    assert files == {"graph.pb": into / "graph.pb", "words.txt": into / "words.txt"}
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {
        "LICENSE": b"Apache",
        "graph.pb": GRAPH,
        "words.txt": WORDS,
    }


@pytest.mark.parametrize(
    ("suspicious", "reason"),
    [
        (member("../graph.pb"), "points outside"),
        (member("a/../../graph.pb"), "points outside"),
        (member("/etc/graph.pb"), "points outside"),
        (member("words.txt", tarfile.SYMTYPE, "/etc/passwd"), "a link or a device"),
        (member("other", tarfile.SYMTYPE, "../other"), "a link or a device"),
        (member("words.txt", tarfile.LNKTYPE, "graph.pb"), "a link or a device"),
        (member("words.txt", tarfile.CHRTYPE), "a link or a device"),
        (member("words.txt", tarfile.FIFOTYPE), "a link or a device"),
        (member("graph.pb"), "twice or as a folder"),
    ],
)
def test_a_suspicious_member_refuses_the_whole_archive(
    tmp_path: Path, suspicious: tarfile.TarInfo, reason: str
) -> None:
    assert_refused(pack(tmp_path / "m.tgz", (member("graph.pb"), GRAPH), (suspicious, b"")), reason)


@pytest.mark.parametrize("others", [[], [(member("words.txt/deep"), b"")]])
def test_a_missing_file_is_named_and_a_folder_is_none(
    tmp_path: Path, others: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    into = tmp_path / "out"
    unpack_archive(pack(tmp_path / "m.tgz", (member("graph.pb"), GRAPH), *others), into, LIMIT)
    with pytest.raises(WrongContent, match=r"lacks words\.txt$"):
        find_all(into, ["graph.pb", "words.txt"])


def test_an_archive_that_unpacks_into_too_much_is_refused(archive: Path) -> None:
    assert_refused(archive, "unpacks into more than 100,000 bytes", max_bytes=100_000)


def test_what_nobody_asked_for_counts_towards_the_limit(tmp_path: Path) -> None:
    bomb = (member("zeros"), bytes(3_000_000)), (member("graph.pb"), GRAPH), (member("words.txt"), WORDS)
    assert_refused(pack(tmp_path / "m.tgz", *bomb), "unpacks into more than")


@pytest.mark.parametrize("kept_share", [0.2, 0.9, 0.99])
def test_a_truncated_archive_is_damaged(archive: Path, kept_share: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept_share)])
    assert_refused(archive, "expected a whole archive, got a damaged one")


def test_a_flipped_checksum_of_gzip_is_damaged(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1
    archive.write_bytes(content)
    assert_refused(archive, "damaged")


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html></html>", b"PK", b""])
def test_a_file_that_is_no_archive_is_shown_by_its_first_bytes(tmp_path: Path, content: bytes) -> None:
    page = tmp_path / "m.tgz"
    page.write_bytes(content)
    assert_refused(page, "expected a .tar, .tgz or .zip, got a file that starts with")


def test_a_gzip_file_that_holds_no_tar_is_damaged(tmp_path: Path) -> None:
    text = tmp_path / "m.tgz"
    text.write_bytes(gzip.compress(b"no tar at all" * 100))
    assert_refused(text, "damaged")


def pack_zip(path: Path, *members: tuple[str, int, bytes]) -> Path:
    """Write a .zip of names, kinds of files (as in `stat`) and contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, kind, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o644) << 16
            whole.writestr(info, content)
    return path


GOOD = ("graph.pb", stat.S_IFREG, GRAPH), ("words.txt", stat.S_IFREG, WORDS)


def test_a_zip_and_a_plain_tar_give_the_named_files_too(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        for name, content in (("graph.pb", GRAPH), ("words.txt", WORDS)):
            info = member(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    for archive in (pack_zip(tmp_path / "m.zip", *GOOD), tmp_path / "m.tar"):
        unpack_archive(archive, tmp_path / archive.suffix, LIMIT)
        files = find_all(tmp_path / archive.suffix, ["graph.pb", "words.txt"])
        assert [path.read_bytes() for path in files.values()] == [GRAPH, WORDS]


@pytest.mark.parametrize(
    ("suspicious", "reason"),
    [
        (("../graph.pb", stat.S_IFREG, b""), "points outside"),
        (("/etc/graph.pb", stat.S_IFREG, b""), "points outside"),
        (("other", stat.S_IFLNK, b"/etc/passwd"), "a link or a device"),
        (("other", stat.S_IFCHR, b""), "a link or a device"),
        (("graph.pb", stat.S_IFREG, GRAPH), "twice or as a folder"),
        (("zeros", stat.S_IFREG, bytes(3_000_000)), "unpacks into more than 1,000,000 bytes"),
    ],
)
def test_a_suspicious_member_refuses_the_whole_zip(
    tmp_path: Path, suspicious: tuple[str, int, bytes], reason: str
) -> None:
    assert_refused(pack_zip(tmp_path / "m.zip", *GOOD, suspicious), reason)


def test_an_encrypted_member_refuses_the_zip(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "m.zip", *GOOD)
    content = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(mark) + place] |= 1
    archive.write_bytes(content)
    assert_refused(archive, "'graph.pb' is encrypted: refused")


@pytest.mark.parametrize("kept_share", [0.2, 0.9, 0.99])
def test_a_truncated_zip_is_damaged(tmp_path: Path, kept_share: float) -> None:
    archive = pack_zip(tmp_path / "m.zip", *GOOD)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept_share)])
    assert_refused(archive, "expected a whole archive, got a damaged one")


def test_a_changed_byte_in_a_zip_is_damaged(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "m.zip", *GOOD)
    content = bytearray(archive.read_bytes())
    content[content.index(b"words.txt") + 20] ^= 1
    archive.write_bytes(content)
    assert_refused(archive, "damaged")


def test_all_files_are_unpacked_with_their_folders(tmp_path: Path) -> None:
    files = (member("top/graph.pb"), GRAPH), (member("top/deep/words.txt"), WORDS)
    unpack_archive(pack(tmp_path / "m.tgz", *files), tmp_path / "out", LIMIT)
    assert (tmp_path / "out/top/graph.pb").read_bytes() == GRAPH
    assert (tmp_path / "out/top/deep/words.txt").read_bytes() == WORDS


@pytest.mark.parametrize("second", ["graph.pb", "graph.pb/inside"])
def test_two_files_in_one_place_refuse_the_archive(tmp_path: Path, second: str) -> None:
    archive = pack(tmp_path / "m.tgz", (member("graph.pb"), GRAPH), (member(second), WORDS))
    with pytest.raises(WrongContent, match="twice or as a folder"):
        unpack_archive(archive, tmp_path / "out", LIMIT)


# What an archive asks for beside its contents


def grow(kind: bytes, size: int, start: bytes = b"") -> bytes:
    """Return a header of `kind` that is `size` bytes long."""
    return _header(kind, size) + start.ljust(-(-size // 512) * 512, b"0")


def _header(kind: bytes, size: int, name: str = "a") -> bytes:
    info = member(name, kind)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def pax(**values: str) -> bytes:
    info = member("a")
    info.pax_headers = values
    return info.tobuf(tarfile.PAX_FORMAT)[:-512]


SPARSE = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "a",
    "GNU.sparse.realsize": "9",
}


@pytest.mark.parametrize(
    "headers",
    [
        grow(tarfile.XHDTYPE, 500_000),
        grow(tarfile.XGLTYPE, 500_000),
        grow(tarfile.GNUTYPE_LONGNAME, 500_000),
        grow(tarfile.GNUTYPE_LONGLINK, 500_000),
        pax(**SPARSE) + grow(tarfile.REGTYPE, 500_000, b"999999\n" + b"0\n" * 200_000),
        pax(a="b") * 200,
    ],
    ids=["pax", "global pax", "long name", "long link", "map of a sparse file", "two hundred in a row"],
)
def test_a_large_header_is_refused_before_it_is_read(tmp_path: Path, headers: bytes) -> None:
    archive = tmp_path / "m.tgz"
    archive.write_bytes(gzip.compress(headers + bytes(1024)))
    assert_refused(archive, "has a header of more than 16,384 bytes")


def test_many_large_headers_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "m.tgz"
    large = pax(a="b" * 12_000)
    members = b"".join(large + _header(tarfile.REGTYPE, 0, str(number)) for number in range(700))
    archive.write_bytes(gzip.compress(members, 1))
    assert_refused(archive, "has more than 8,388,608 bytes of headers", max_bytes=10_000_000)


def test_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 100)
    members = b"".join(_header(tarfile.REGTYPE, 0, str(number)) for number in range(101))
    (tmp_path / "m.tar").write_bytes(members)
    assert_refused(tmp_path / "m.tar", "has more than 100 members")
    zipped = pack_zip(tmp_path / "m.zip", *((str(number), stat.S_IFREG, b"") for number in range(101)))
    assert_refused(zipped, "has more than 100 members")


def test_a_large_directory_of_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as whole:
        for number in range(70):
            info = zipfile.ZipInfo(str(number))
            info.comment = bytes(65_000)
            whole.writestr(info, b"")
    assert_refused(tmp_path / "m.zip", "has a header of more than 4,194,304 bytes", max_bytes=10_000_000)


@pytest.mark.parametrize(
    "name", ["a" * 256, "é" * 128, "/".join("a" * 51), "/".join(["a" * 250] * 4), "", "a\0b"]
)
def test_a_name_that_no_file_should_have_is_refused(tmp_path: Path, name: str) -> None:
    tar = tmp_path / "m.tar"
    tar.write_bytes(pax(path=name) + _header(tarfile.REGTYPE, 0) + bytes(1024))
    assert_refused(tar, "a name that is too long or none|damaged")
    if name and "\0" not in name:
        zipped = pack_zip(tmp_path / "m.zip", (name, stat.S_IFREG, b""))
        assert_refused(zipped, "a name that is too long or none")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_members_unpack_whole_blocks_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", method) as whole:
        whole.writestr("graph.pb", bytes(1000))
    assert_refused(tmp_path / "m.zip", "'graph.pb' is not packed by deflate")
