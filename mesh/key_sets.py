"""Where the keys of an issuer come from: a file, or the issuer's own address."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from jwt import PyJWKClient

from mesh import jwks
from mesh.jwks import VerifyingKey
from mesh.watched_file import WatchedFile

_FETCH_TIMEOUT_S: Final = 5.0
_REFRESH_S: Final = 300.0
_GAP_S: Final = 5.0

_logger = logging.getLogger(__name__)


class KeySet:
    """Keys of one issuer."""

    def __init__(self, keys: Iterable[VerifyingKey] = ()) -> None:
        self._keys = tuple(keys)

    def find(self, id: str) -> VerifyingKey | None:
        """The key of that id; without an id the only key there is."""
        if not id:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.id == id), None)

    @property
    def fetching(self) -> bool:
        """Whether what is not found now may be found in a moment."""
        return False

    def close(self) -> None:
        """Ends what keeps it up to date."""


class FileKeys(KeySet):
    """Keys in a file; whoever rotates them replaces it."""

    def __init__(self, file: Path) -> None:
        """Raises ConfigurationError."""
        self._file = WatchedFile(file, jwks.read)
        super().__init__(self._file())

    def find(self, id: str) -> VerifyingKey | None:
        """As `KeySet.find`; for a key it does not know it looks at the file, which may have been replaced just now."""
        self._keys = self._file()
        found = super().find(id)
        if found is None:
            self._keys = self._file.look()
            found = super().find(id)
        return found


class RemoteKeys(KeySet):
    """Keys at an issuer's address, fetched by a thread of its own so that no call waits for the issuer.

    What was fetched last stays in force while the issuer is away.
    """

    def __init__(
        self,
        url: str,
        *,
        refresh_s: float = _REFRESH_S,
        gap_s: float = _GAP_S,
        fetch: Callable[[], Any] | None = None,
    ) -> None:
        """They are fetched every `refresh_s`, and for a key that is not known, but never twice within `gap_s`."""
        super().__init__()
        self._url = url
        self._refresh_s, self._gap_s = refresh_s, gap_s
        self._fetch = fetch or PyJWKClient(url, cache_jwk_set=False, timeout=_FETCH_TIMEOUT_S).fetch_data
        self._wanted = threading.Event()
        self._wanted.set()
        self._may_ask_at = 0.0
        self._closed = False
        threading.Thread(target=self._keep_fresh, name=f"keys of {url}", daemon=True).start()

    def find(self, id: str) -> VerifyingKey | None:
        """As `KeySet.find`; a key it does not know makes it ask the issuer soon."""
        found = super().find(id)
        if found is None and time.monotonic() >= self._may_ask_at:
            self._may_ask_at = math.inf  # until this fetch is done
            self._wanted.set()
        return found

    @property
    def fetching(self) -> bool:
        """Whether the issuer is being asked, or has not answered once."""
        return self._wanted.is_set() or not self._keys

    def close(self) -> None:
        """Ends the thread, at the latest when the fetch under way has."""
        self._closed = True
        self._wanted.set()

    def _keep_fresh(self) -> None:
        while not self._closed:
            fetched = self._try_fetch()
            self._may_ask_at = time.monotonic() + self._gap_s
            self._wanted.clear()
            if not self._closed:
                self._wanted.wait(self._refresh_s if fetched else self._gap_s)

    def _try_fetch(self) -> bool:
        try:
            self._keys = jwks.parse(self._fetch())
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must try again
            _logger.warning("the keys of %s cannot be had: %s", self._url, type(error).__name__)
            return False
        return True


def key_set(place: str) -> KeySet:
    """The keys in a file or at an address, as the setting `auth.issuers` names it. Raises ConfigurationError."""
    return RemoteKeys(place) if "://" in place else FileKeys(Path(place))
