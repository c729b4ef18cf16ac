"""The edge: one TLS port for gRPC, gRPC-Web and JSON, with Envoy behind it."""
