// Package history shows the list below a live stream's floor as if it were a list of its own, so that a Reader can
// deliver it as a stream beside the live one.
package history
