"""One file over https: resumed where it was stopped, checked, then renamed; all or nothing."""

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from medjepa.data.catalog.checksums import wrong_file
from medjepa.data.catalog.entry import RemoteFile
from medjepa.data.files import check_free_space
from medjepa.errors import DataError

PART = ".part"
_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_MAX_BYTES = 1 << 40
_AGENT = "medjepa"


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    advance: Callable[[int], object] = lambda count: None,
    max_bytes: int = _MAX_BYTES,
    allow_http: bool = False,
) -> bool:
    """Bring a published file into a folder; False where it lay there already, and right.

    An interrupted transfer leaves NAME.part, and the next call asks only for the rest. `advance` is
    told of bytes; `allow_http` is for servers on this machine.

    Raises:
        DataError: the address is not https, the server refuses or cannot be reached, the file
            grows beyond `max_bytes`, is cut short, or is not the published one by its checksum;
            the text says what to do.
    """
    target = folder / file.name
    if target.exists():
        reason = wrong_file(target, file)
        if reason:
            raise DataError(f"{target}: is not the published file ({reason}); move it away")
        return False
    check_address(file.url, allow_http=allow_http)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (file.name + PART)
    if file.size is not None:
        check_free_space(folder, file.size - (part.stat().st_size if part.exists() else 0))
    _receive(file, part, advance, min(max_bytes, file.size or max_bytes))
    reason = wrong_file(part, file)
    if reason:
        part.unlink()
        raise DataError(
            f"{file.url}: what came is not the published file ({reason}); it was removed. Run the "
            "same command again; if it happens again, the publisher has changed the file"
        )
    part.replace(target)
    return True


def check_address(url: str, *, allow_http: bool = False) -> None:
    """Refuse what is not https: neither files of this machine nor unencrypted transfers.

    Raises:
        DataError: the address has another scheme.
    """
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (allow_http and scheme == "http"):
        raise DataError(f"{url or 'no address'}: only https is fetched")


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Check where the answer leads before going there."""
        check_address(newurl, allow_http=urlsplit(req.full_url).scheme == "http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(
    file: RemoteFile, part: Path, advance: Callable[[int], object], max_bytes: int
) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > max_bytes:
        part.unlink()
        have = 0
    try:
        with _open(file.url, have) as answer:
            if have and answer.status != 206:
                have = 0  # the server knows no ranges, or the file has changed: from the beginning
            advance(have)
            with part.open("ab" if have else "wb") as out:
                _copy(answer, out.write, advance, have, max_bytes, file.url)
            expected = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send: the part is whole, or wrong
            advance(have)
            return
        raise DataError(_refused(file.url, error)) from error
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{file.url}: the transfer broke off ({error}); run the same command again, it goes on"
        ) from error
    there = part.stat().st_size
    if expected is not None and there - have != int(expected):
        raise DataError(
            f"{file.url}: the transfer broke off after {there:,} bytes; run the same command "
            "again, it goes on"
        )


def _open(url: str, have: int) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT})  # noqa: S310 - checked
    if have:
        request.add_header("Range", f"bytes={have}-")
    opener = urllib.request.build_opener(_SameScheme)
    answer: HTTPResponse = opener.open(request, timeout=_TIMEOUT_S)
    return answer


def _copy(
    answer: HTTPResponse,
    write: Callable[[bytes], object],
    advance: Callable[[int], object],
    have: int,
    max_bytes: int,
    url: str,
) -> None:
    while chunk := answer.read(_CHUNK):
        have += len(chunk)
        if have > max_bytes:
            raise DataError(f"{url}: sends more than the {max_bytes:,} bytes that it may")
        write(chunk)
        advance(len(chunk))


def _refused(url: str, error: urllib.error.HTTPError) -> str:
    advice = {
        401: "the publisher asks who you are: see the steps of `medjepa data show`",
        403: "the publisher asks who you are: see the steps of `medjepa data show`",
        404: "the file is no longer there: look at the home page of the set",
        429: "too many requests: wait some minutes, then run it again",
    }.get(error.code, "run the same command again later")
    return f"{url}: the server answers {error.code} {error.reason}; {advice}"
