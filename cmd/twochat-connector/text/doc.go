// Package text formats durations, counts and lines for people.
package text
