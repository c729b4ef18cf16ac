"""Where `CI` is true, a skip is a failure, except for missing real data."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from tests import skips

def test_without_a_tool():
    pytest.skip("no such tool")

@pytest.mark.skipif(True, reason="not here")
def test_not_here():
    pass

def test_without_real_data():
    skips.real_data("no-such-file.csv")

@pytest.mark.xfail
def test_known_to_fail():
    assert False
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> pytest.Pytester:
    """A folder with tests that skip."""
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath), prepend=":")
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(TESTS)
    return pytester


def outcomes(run: pytest.Pytester) -> dict[str, int]:
    """Runs the tests in a process of their own."""
    return run.runpytest_subprocess("-p", "tests.skips", "-p", "no:pytest_nameko").parseoutcomes()


def test_a_developer_may_skip(run: pytest.Pytester) -> None:
    """Without `CI` nothing fails."""
    assert outcomes(run) == {"skipped": 3, "xfailed": 1}


def test_ci_may_not(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only real data may be missing."""
    monkeypatch.setenv("CI", "true")

    assert outcomes(run) == {"failed": 1, "errors": 1, "skipped": 1, "xfailed": 1}
