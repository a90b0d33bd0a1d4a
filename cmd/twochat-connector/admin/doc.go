// Package admin serves metrics, probes, the status and the page of a running instance, and asks another one for its
// status.
package admin
