package checkpoint

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// An exported file is read unchanged, by this release and by later ones.
func TestFile(t *testing.T) {
	text, err := os.ReadFile("testdata/version_1.json")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := checkpointIn(text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Stream != "support" || c.Sequence != 3 || c.Certified != 2 || c.Epoch != 4 || len(c.Tail) != 3 ||
		c.Tail[2] != connector.MessageKey("MSG00000003-0000-4000-8000-000000000000") || c.Counters.Late != 1 {
		t.Errorf("%+v", c)
	}
	c.Sink = json.RawMessage(`{"partitions":6}`)
	file, err := fileOf(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(file, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := checkpointIn(again)
	if c.Sink = nil; err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v comes back as\n%+v, %v", c, got, err)
	}
	for change, want := range map[[2]string]string{
		{`"sequence":3`, `"sequence":4`}:                  "it was changed",
		{`"version": 1`, `"version": 2`}:                  "use the newer version",
		{`"twochat-connector checkpoint"`, `"something"`}: "it is no exported checkpoint",
	} {
		_, _, err := checkpointIn([]byte(strings.Replace(string(text), change[0], change[1], 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", change, err, want)
		}
	}
}

// A file that contradicts itself, or whose checkpoint is newer or of a stream that never started, is refused.
func TestFile_Contents(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":1,"stream":"a","started":true,"sequence":1,"certified":2}`: "contradicts itself",
		`{"version":99,"stream":"a","started":true}`:                           "newer version",
		`{"version":1,"stream":"a","sequence":0}`:                              "never started",
	} {
		sum, err := digest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		file, err := json.Marshal(File{Format: fileFormat, Version: 1, Checkpoint: []byte(text), SHA256: sum})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := checkpointIn(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
