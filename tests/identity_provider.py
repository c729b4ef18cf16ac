"""An identity provider: a key of its own, published over HTTP, and tokens signed with it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER = "https://id.example/realm"


class IdentityProvider:
    """Signs with ES256, for most do not sign with EdDSA."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        keys = json.dumps({"keys": [jwk | {"kid": "one", "alg": "ES256", "use": "sig"}]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.jwks = f"http://127.0.0.1:{self._server.server_port}/keys"

    def __enter__(self) -> IdentityProvider:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, audience: str, scope: str, subject: str | None = "clerk") -> str:
        """A token for a minute."""
        claims = {"iss": ISSUER, "sub": subject, "aud": audience, "scope": scope, "exp": int(time.time()) + 60}
        if subject is None:
            del claims["sub"]
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": "one"})
