// Package demo shows the connector at work on one machine: a fake 2Chat, the real pipeline, a real NATS server, and an
// audit.
package demo
