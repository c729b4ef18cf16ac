"""What outsiders read: OpenAPI, AsyncAPI and a page for people, all made from the contracts."""
