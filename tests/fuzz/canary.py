"""A target with two planted faults, one of them behind a few letters: fuzzing that does not find them finds nothing."""

from pdp.query import read_query


def seeds() -> list[bytes]:
    """Return what to begin with."""
    return [b"{}", b'{"caller":{"access_token":"a"},"tool":{"server":"s","name":"n"}}']


def words() -> list[str]:
    """Return what a mutation may put in."""
    return ['"x"', "true"]


def check(data: bytes) -> None:
    """Raise `Rejected` for most, which no real target may, and `ZeroDivisionError` for a query of a certain tool."""
    if read_query(data).tool.name > "nn":
        raise ZeroDivisionError
