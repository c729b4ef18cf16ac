"""Services on a runtime from which a check of the marks was taken. Only child processes may import this.

`LIENTHONG_TEST_MUTANT` says which; the witness itself is the one of every other test.
"""

from __future__ import annotations
