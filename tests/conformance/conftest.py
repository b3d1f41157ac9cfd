"""array-api-strict in the version of the standard that is tested."""

import array_api_strict
import pytest

VERSION = "2025.12"


@pytest.fixture(autouse=True, scope="session")
def version_of_the_standard():
    with array_api_strict.ArrayAPIStrictFlags(api_version=VERSION):
        yield
