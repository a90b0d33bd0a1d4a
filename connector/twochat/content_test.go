package twochat

import (
	"testing"
)

// A row that is listed before its content is distinguished from one that has any.
func TestMessages_EmptyContent(t *testing.T) {
	for message, empty := range map[string]bool{
		``: true, `"message":null`: true, `"message":{}`: true, `"message":{ }`: true, `"message":""`: true,
		`"message":"  "`: true, `"message":[]`: true,
		`"message":{"text":null}`: true, `"message":{"text":""}`: true, `"message":{"text" : "","media":{"url":null}}`: true,
		`"message":{"a\"b":null}`: true, `"message":{"text":"hi"}`: false, `"message":"hi"`: false,
		`"message":{"text":"\""}`:                 false,
		`"message":{"media":{"url":"https://x"}}`: false, `"message":{"order":{"products":[{"name":"x"}]}}`: false,
	} {
		fields := `"uuid":"MSG1","sent_by":"user"`
		if message != "" {
			fields += "," + message
		}
		found, problem := scanPage([]byte(`{"messages":[{`+fields+`}]}`), 0, nil)
		if problem != "" {
			t.Fatal(problem)
		}
		if got := found.items[0].empty([]byte(`{"messages":[{` + fields + `}]}`)); got != empty {
			t.Errorf("%s: empty %t, want %t", fields, got, empty)
		}
	}
}
