"""The generated pages say what the code says."""

import pytest

from pdp.dev.reference import DOCS, PAGES

pytestmark = pytest.mark.promise("house.docs")


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_matches_the_code(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run make docs"
