"""The manual pages, by the program that shows them."""

from files import WAYPOST, run


def test_pages_are_clean(tmp_path):
    run(WAYPOST, "man", tmp_path)
    pages = sorted(tmp_path.glob("*.1"))
    assert len(pages) > 10
    for page in pages:
        shown = run("groff", "-Kutf8", "-man", "-Tutf8", "-ww", "-z", page)
        assert not shown.stderr, f"{page.name}: {shown.stderr}"
