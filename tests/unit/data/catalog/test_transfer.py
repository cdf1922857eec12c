"""A transfer ends with the published file or with nothing that looks like it, and goes on."""

import pytest
from web_server import CONTENT, MD5, SHA256, server

from medjepa.data.catalog.entry import RemoteFile
from medjepa.data.catalog.transfer import check_address, fetch
from medjepa.errors import DataError


def remote(url, **facts):
    return RemoteFile(name="set.zip", url=url, **facts)


def get(file, folder, **options):
    return fetch(file, folder, allow_http=True, **options)


def test_a_file_comes_whole_and_checked(tmp_path):
    seen = []
    with server() as (url, _):
        assert get(remote(url, md5=MD5, size=len(CONTENT)), tmp_path / "new", advance=seen.append)
    assert (tmp_path / "new" / "set.zip").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["set.zip"]
    assert sum(seen) == len(CONTENT)


def test_only_the_rest_is_asked_for(tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:5000])
    with server() as (url, requests):
        assert get(remote(url, sha256=SHA256), tmp_path)
    assert requests[0][1]["Range"] == "bytes=5000-"
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_server_without_ranges_begins_again(tmp_path):
    (tmp_path / "set.zip.part").write_bytes(b"x" * 5000)
    with server(ranges=False) as (url, _):
        assert get(remote(url, sha256=SHA256), tmp_path)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_part_that_is_whole_needs_nothing_more(tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT)
    with server() as (url, _):
        assert get(remote(url, sha256=SHA256), tmp_path)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_broken_transfer_goes_on(tmp_path):
    with server(cut=9000) as (url, _), pytest.raises(DataError, match="it goes on"):
        get(remote(url, md5=MD5), tmp_path)
    part = tmp_path / "set.zip.part"
    assert part.stat().st_size == len(CONTENT) - 9000
    assert not (tmp_path / "set.zip").exists()
    with server() as (url, requests):
        assert get(remote(url, md5=MD5), tmp_path)
    assert requests[0][1]["Range"] == f"bytes={len(CONTENT) - 9000}-"
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("facts", [{"md5": "0" * 32}, {"sha256": "0" * 64}])
def test_another_file_is_not_kept(tmp_path, facts):
    with server() as (url, _), pytest.raises(DataError, match="not the published file"):
        get(remote(url, **facts), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_beyond_its_size_is_stopped(tmp_path):
    with server() as (url, _), pytest.raises(DataError, match="more than the 1,000 bytes"):
        get(remote(url, size=1000), tmp_path)
    assert not (tmp_path / "set.zip").exists()
    with server() as (url, _), pytest.raises(DataError, match="more than the 2,000 bytes"):
        get(remote(url), tmp_path / "other", max_bytes=2000)


@pytest.mark.parametrize(
    ("status", "advice"), [(404, "home page"), (403, "steps"), (429, "wait"), (500, "later")]
)
def test_a_refusal_says_what_to_do(tmp_path, status, advice):
    with server(status=status) as (url, _), pytest.raises(DataError, match=advice):
        get(remote(url), tmp_path)


def test_no_server_says_that_it_goes_on(tmp_path):
    with server() as (url, _):
        pass
    with pytest.raises(DataError, match="run the same command again"):
        get(remote(url), tmp_path)


def test_what_is_there_is_not_fetched_again(tmp_path):
    (tmp_path / "set.zip").write_bytes(CONTENT)
    assert not get(remote("http://127.0.0.1:9/", sha256=SHA256), tmp_path)
    (tmp_path / "set.zip").write_bytes(b"other")
    with pytest.raises(DataError, match="move it away"):
        get(remote("http://127.0.0.1:9/", sha256=SHA256), tmp_path)


@pytest.mark.parametrize("url", ["http://a.org/x", "file:///etc/passwd", "ftp://a.org/x", ""])
def test_only_https_is_fetched(tmp_path, url):
    with pytest.raises(DataError, match="only https"):
        fetch(remote(url), tmp_path)
    with pytest.raises(DataError, match="only https"):
        check_address(url)


def test_a_redirect_leads_to_no_other_scheme(tmp_path):
    with server(location="file:///etc/passwd") as (url, _), pytest.raises(DataError):
        get(remote(url), tmp_path)
    assert not (tmp_path / "set.zip").exists()


def test_nothing_is_sent_but_the_request(tmp_path):
    with server() as (url, requests):
        get(remote(url), tmp_path)
    [(path, headers)] = requests
    assert path == "/set.zip"
    assert set(headers) <= {"Accept-Encoding", "Host", "User-Agent", "Connection"}
    assert headers["User-Agent"] == "medjepa"
