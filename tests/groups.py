"""Which tests run in one process, one after the other: those of one page and theme.

Such a process loads the page once. `xdist_group`, which is meant for this, is without
effect, and says nothing, from pytest 9.2 on with pytest-xdist 3.8.
"""

from typing import Any

import pytest


def group(nodeid: str) -> str:
    """Return the page and theme that a test is for, or the test itself."""
    _, _, parameter = nodeid.removesuffix("]").rpartition("[")
    is_of_a_page = parameter.endswith((".html", ".html-light", ".html-dark"))
    return parameter if is_of_a_page else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByPage(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByPage(config, log)
