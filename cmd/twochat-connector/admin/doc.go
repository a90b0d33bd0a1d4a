// Package admin serves metrics, probes, the status and the status page of a running instance, and reads the status of
// another instance.
package admin
