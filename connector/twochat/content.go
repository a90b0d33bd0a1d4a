package twochat

import "bytes"

// empty reports whether an item is listed without its content: its `message` is missing or null, or holds no text at
// any depth. The API adds the content later under the same id; the connector does not wait for it.
func (it *item) empty(body []byte) bool { return it.object && textless(it.message.of(body)) }

// textless reports whether a JSON value holds no strings other than blank ones and names of members.
func textless(value []byte) bool {
	for i := 0; i < len(value); i++ {
		if value[i] != '"' {
			continue
		}
		begin := i + 1
		for i++; i < len(value) && value[i] != '"'; i++ {
			if value[i] == '\\' {
				i++
			}
		}
		text, next := value[begin:min(i, len(value))], i+1
		for next < len(value) && (value[next] == ' ' || value[next] == '\t' || value[next] == '\n' || value[next] == '\r') {
			next++
		}
		if name := next < len(value) && value[next] == ':'; !name && len(bytes.TrimSpace(text)) > 0 {
			return false
		}
	}
	return true
}
