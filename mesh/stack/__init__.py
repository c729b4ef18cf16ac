"""The embedded default: mongod, the NATS hub, a nats-server and the services of each locality as child processes."""
