// Package embedded runs a real NATS server with JetStream inside the process and writes to it as package jetstream does. Any
// NATS client on this machine can read from it. It is for laptops, sidecars and the demo: one replica, on loopback, with
// every commit on disk (fsync) before it is done.
package embedded
