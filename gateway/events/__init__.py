"""The event gateway: the events of one locality, delivered to whoever stands outside and may know of them."""
