// Package connectortest provides a message list and a log in memory, for tests. The log fails a test that violates the
// contract of connector.Log.
package connectortest
