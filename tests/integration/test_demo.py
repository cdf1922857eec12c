"""The whole job, small: synthetic files, store, pre-training, verdict and page."""

import json

import pytest

from medjepa.cli.main import main


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "size"), [("image", ["model=vit_test"]), ("volume", []), ("clip", [])]
)
def test_the_demo_ends_with_a_verdict_and_a_page_that_says_synthetic(tmp_path, capsys, kind, size):
    out = tmp_path / "demo"
    command = ["demo", f"out={out}", f"kind={kind}", "patients=24", "epochs=1", *size]
    assert main(command) == 0
    results = json.loads((out / "run" / "report" / "results.json").read_text(encoding="utf-8"))
    assert results["verdict"]["outcome"] in ("helped", "did not help", "cannot tell")
    page = (out / "run" / "report" / "index.html").read_text(encoding="utf-8")
    body = page[page.index("<body") :]
    assert "ynthetic" in body[:1000]
    assert "http://" not in body.replace("http://www.w3.org", "")
    assert "<script src" not in body
    assert (out / "store" / "private").stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert main(command) == 0
    assert results["verdict"]["sentence"] in capsys.readouterr().out
