"""The doors for outsiders: the edge, the event gateway, the documents of the API."""
