"""Where outsiders come in: the edge, the event gateway, and the documents that describe both."""
