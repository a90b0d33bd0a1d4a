package connector

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestMessageKey(t *testing.T) {
	const usual = "MSG0b0c1d2e-3f40-4152-8637-48596a7b8c9d"
	const packed = "0b0c1d2e3f404152863748596a7b8c9d"
	tests := []struct {
		name, uuid string
		packs      bool
	}{
		{"usual", usual, true},
		{"upper case", "MSG" + strings.ToUpper(usual[3:]), false},
		{"one upper-case digit", strings.Replace(usual, "c9d", "C9d", 1), false},
		{"other prefix", "msg" + usual[3:], false},
		{"no prefix", usual[3:], false},
		{"dash moved", "MSG0b0c1d2-e3f40-4152-8637-48596a7b8c9d", false},
		{"no digit", strings.Replace(usual, "8c9d", "8c9g", 1), false},
		{"longer", usual + "0", false},
		{"a number", "4711", false},
		{"empty", "", false},
	}
	keys := map[Key]string{}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key := MessageKey(test.uuid)
			if packs := hex.EncodeToString(key[:]) == packed; packs != test.packs {
				t.Errorf("%s has key %x, packed: %v", test.uuid, key, packs)
			}
			if !test.packs && key != ContentKey([]byte(test.uuid)) {
				t.Errorf("%s has key %x, which is not its hash", test.uuid, key)
			}
			if other, twice := keys[key]; twice {
				t.Errorf("%q and %q have the same key", test.uuid, other)
			}
			keys[key] = test.uuid
		})
	}
}

func TestContentKey_IsTheHeadOfSHA256(t *testing.T) {
	key := ContentKey([]byte("abc"))
	if got := hex.EncodeToString(key[:]); got != "ba7816bf8f01cfea414140de5dae2223" { // FIPS 180-2, B.1
		t.Error(got)
	}
}

func FuzzKeys_RoundTrip(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 16))
	f.Add([]byte(strings.Repeat("0123456789abcdef", 3)))
	f.Fuzz(func(t *testing.T, packed []byte) {
		var keys, back Keys
		for chunk := range slices.Chunk(packed, 16) {
			if len(chunk) == 16 {
				keys = append(keys, Key(chunk))
			}
		}
		text, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &back); err != nil || !slices.Equal(keys, back) {
			t.Errorf("%x comes back as %x (%v)", keys, back, err)
		}
	})
}

func FuzzKeys_UnmarshalJSON(f *testing.F) {
	for _, s := range []string{`""`, `null`, `"AAAAAAAAAAAAAAAAAAAAAA=="`, `"AAAA"`, `"#"`, `[1]`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var keys Keys
		if err := keys.UnmarshalJSON(text); err != nil && len(keys) > 0 {
			t.Errorf("%s gives %d keys and an error: %v", text, len(keys), err)
		}
	})
}

func TestKeys_RefusesPartsOfKeys(t *testing.T) {
	var keys Keys
	err := json.Unmarshal([]byte(`"AAAA"`), &keys)
	if err == nil || !strings.Contains(err.Error(), "3 bytes are not a whole number of keys") {
		t.Error(err)
	}
}

func TestSourceKey_TellsListsApart(t *testing.T) {
	const base = "https://api.p.2chat.io"
	key := SourceKey(base, "+595981048477", "")
	if len(key) != 32 || SourceKey(base+"/", "+595981048477", "") != key {
		t.Errorf("key %q does not survive a slash", key)
	}
	for _, other := range []string{
		SourceKey("https://other.example", "+595981048477", ""), SourceKey(base, "+595981048478", ""),
		SourceKey(base, "+595981048477", "+1"),
	} {
		if other == key {
			t.Error("two lists have the same key")
		}
	}
}
