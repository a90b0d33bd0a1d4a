package twochat

import (
	"encoding/json"
	"strings"
	"testing"
)

// valid reports whether the scanner accepts data as one JSON document.
func valid(data []byte) bool {
	s := scanner{data: data}
	end := s.value(s.space(0), 0)
	return end >= 0 && s.space(end) == len(data)
}

var documents = []string{
	``, ` `, `null`, ` true `, `false`, `nul`, `nulL`, `truefalse`, `true,`, `{}`, `[]`, `{ }`, `[ ]`, `{,}`, `[,]`,
	`[1,]`, `{"a":1,}`,
	`{"a"}`, `{"a":}`, `{a:1}`, `{"a" : 1 , "b":[1, 2 ,{"c":null}]}`, `{"a":1 "b":2}`, `[1 2]`, `{1:2}`, `[}`, `{]`, `[`,
	`{`, `{"a"`, `{"a":`,
	`0`, `-0`, `01`, `-`, `-a`, `1.`, `.1`, `1.0`, `1e`, `1e+`, `1E-2`, `1.5e10`, `+1`, `1a`, `0x1`,
	`12345678901234567890`, `-1.0e-0`, `NaN`,
	`""`, `"`, `"a`, `"a"b`, `"\"`, `"\""`, `"\\"`, `"\/\b\f\n\r\t"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\uD800"`, `"\u00e9"`,
	`"\u`,
	"\"a\tb\"", "\"a\x00\"", "\"\x7f\"", "\"\x80\"", "\"\xff\xfe in a longer text\"", `"héllo wörld, and then some more"`,
	`"1234567\"90"`, `"12345678"`,
	"\"a long text with a control character \x1f at its end\"", "\ufeff{}", "{}\x00", "\v1", " {\"a\":\r\n[\t]} \n",
	`{"a":1}{"b":2}`, `"a" "b"`, `'a'`, `{"a":1/*c*/}`,
	strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat(`{"a":`, 10000) + "1" +
		strings.Repeat("}", 10000),
}

func TestScanner_AcceptsWhatJSONAccepts(t *testing.T) {
	for _, document := range documents {
		if got, want := valid([]byte(document)), json.Valid([]byte(document)); got != want {
			t.Errorf("valid(%.60q) = %v, want %v", document, got, want)
		}
	}
}

// nested is a document with that many levels.
func nested(levels int, inside string) string {
	return strings.Repeat(`[{"a":`, levels/2) + inside + strings.Repeat(`}]`, levels/2)
}

// Beyond the allowed depth a document is scanned in another way, without recursion. It has to find the same ends.
func TestScanner_Deep(t *testing.T) {
	for _, document := range documents {
		if len(document) > 10_000 {
			continue // with its surroundings, it would be too deep for encoding/json
		}
		deep := nested(maxDepth, `{"b":[`+document+`],"c":{}}`)
		s := scanner{data: []byte(deep)}
		got := s.value(0, 0) == len(deep)
		if want := json.Valid([]byte(deep)); got != want {
			t.Errorf("below %d levels, %.60q is valid: %v, want %v", maxDepth, document, got, want)
		}
		if got && !s.deep {
			t.Errorf("below %d levels, %.60q is not found to be deep", maxDepth, document)
		}
	}
	for levels, deep := range map[int]bool{maxDepth - 2: false, maxDepth: false, maxDepth + 2: true, 3_000_000: true} {
		document := nested(levels, "1")
		s := scanner{data: []byte(document)}
		if s.value(0, 0) != len(document) || s.deep != deep {
			t.Errorf("%d levels: deep %v", levels, s.deep)
		}
		s = scanner{data: []byte(document[:len(document)-1])}
		if s.value(0, 0) >= 0 {
			t.Errorf("%d levels, cut, are taken for whole", levels)
		}
	}
}

func TestScanner_EveryCutAndEveryByteChanged(t *testing.T) {
	document := []byte(`{"success":true,"page_number":0,"messages":[{"uuid":"MSG1","timestamp":-1670454681.50e+1,"message":{"text":"a \"quoted\" \u00e9 text"}}, null ]}`)
	for cut := range document {
		if valid(document[:cut]) {
			t.Errorf("cut at %d of %d is taken for whole", cut, len(document))
		}
	}
	changed := make([]byte, len(document))
	for i := range document {
		for c := range 256 {
			copy(changed, document)
			changed[i] = byte(c)
			if got, want := valid(changed), json.Valid(changed); got != want {
				t.Fatalf("byte %d changed to %#x: valid = %v, want %v", i, c, got, want)
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, document := range documents {
		if len(document) < 1000 {
			f.Add([]byte(document))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := valid(data), json.Valid(data); got != want {
			t.Fatalf("valid(%q) = %v, want %v", data, got, want)
		}
	})
}
