// Package connectortest is a message list and a log in memory, for tests of whatever reads or delivers. The log fails
// the test that uses it against the contract of connector.Log.
package connectortest
