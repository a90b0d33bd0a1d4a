// Package embedded runs a real NATS server with JetStream inside the process and writes to it as package jetstream
// does. Any NATS client on this machine can read from it. It is for laptops, sidecars and the demo: one replica, on
// loopback, with every commit on disk (fsync) before it is done.
//
// A server whose disk refused one write takes no other until it is started again: the sink does so once there is room,
// and waits with the cause until then. A folder that is removed or exchanged under it is refused by name; how far the
// streams have come is noted beside the folder, so that one that went back between two runs is no first start.
package embedded
