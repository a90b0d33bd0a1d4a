// Package text writes lengths of time, counts and lines as a person reads them.
package text
