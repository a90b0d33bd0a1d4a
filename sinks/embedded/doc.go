// Package embedded runs a real NATS server with JetStream inside the process and writes to it as package jetstream
// does. Any NATS client on this machine can read from it. It is for laptops, sidecars and the demo: one replica, on
// loopback, with every commit synced to disk before it is acknowledged.
//
// After a failed write to disk the server accepts no others until it is restarted. The sink restarts it once there is
// room, and reports the cause until then. It refuses a folder that is removed or replaced under the running server. A
// file next to the folder records how far each stream has got, so that a folder that went back between two runs is not
// taken for a first start.
package embedded
