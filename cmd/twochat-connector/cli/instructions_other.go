//go:build !linux

package cli

// ReleaseInstructions does nothing here.
func ReleaseInstructions() {}
