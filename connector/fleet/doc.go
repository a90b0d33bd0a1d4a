// Package fleet decides which replica reads which stream. The replicas that share a sink find each other there; each
// stream belongs to the one of them with the highest hash of stream and member. There is no leader and no lease: two
// replicas may count on different members for a while, and then the sink's fence keeps the log right, at the price of
// a few calls.
package fleet
