package twochattest

import (
	"bytes"
	"regexp"
)

// escapes matches a JSON text's escapes: a pair of surrogates, a surrogate without its other half, a zero, and any
// other.
var escapes = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|` +
	`\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\u0000|\\.`)

// repaired is data as a reader may write it if it replaces escapes that represent no character.
func repaired(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	return escapes.ReplaceAllFunc(data, func(escape []byte) []byte {
		if len(escape) == len(`\u0000`) {
			return []byte(`\ufffd`)
		}
		return escape
	})
}
