"""What we promise, each with its source. Every promise has a test and every test names its promise."""

from typing import NamedTuple


class Promise(NamedTuple):
    """A sentence a user may rely on, and where it comes from."""

    sentence: str
    source: str


PROMISES = {
    "house.promises": Promise("Every promise has a test and every test names its promise.", "issue 3, how we test"),
    "house.form": Promise("The code keeps the house rules that a machine can check.", "architecture, section 1"),
}
