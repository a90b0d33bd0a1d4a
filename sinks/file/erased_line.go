package file

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/twochat-connector/twochat-connector/connector"
)

// erasedType is the suffix of the `type` attribute of the line that replaces an erased event or reject.
const erasedType = ".connector.erased"

// isErased reports whether a line replaces an erased one. Only such a line has no data.
func isErased(line []byte) bool {
	return bytes.Contains(line, []byte(erasedType+`"`)) && !bytes.Contains(line, []byte(`,"data":`))
}

// erasedLine is the replacement of a line, of the same length: a CloudEvent with its id and its place in the log, and
// blanks. So whoever follows the file keeps their position.
func erasedLine(line []byte, typePrefix string) ([]byte, error) {
	var kept struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Sequence    string `json:"sequence,omitempty"`
		Late        bool   `json:"late,omitempty"`
	}
	if err := json.Unmarshal(withoutData(line), &kept); err != nil {
		return nil, errForeign
	}
	kept.SpecVersion, kept.Type = "1.0", typePrefix+erasedType
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(kept); err != nil {
		return nil, fmt.Errorf("encode what stays of a line: %w", err)
	}
	short := bytes.TrimSpace(text.Bytes())
	if len(short) > len(line) {
		return nil, fmt.Errorf("encode what stays of a line: its %d bytes are too few", len(line))
	}
	return append(short, bytes.Repeat([]byte(" "), len(line)-len(short))...), nil
}

// erasable reads the key of a line that may be erased: an event or a reject of a stream.
func erasable(line []byte, stream string, reject bool) (connector.Seen, bool) {
	if isErased(line) {
		return connector.Seen{}, false
	}
	if reject {
		of, key, ours := connector.RejectKey(line)
		return connector.Seen{Key: key}, ours && of == stream
	}
	h, err := parseHead(line)
	return h.seen, err == nil && h.stream == stream
}
