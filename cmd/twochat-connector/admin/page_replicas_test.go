package admin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
)

// The page says what a replica waits for, and else which replicas share the streams.
func TestPage_Replicas(t *testing.T) {
	for want, of := range map[string]*pipeline.ReplicasReport{
		"<p>Known once the sink is reached.</p>":                  {Waiting: true, Unreached: true},
		"<p>This one waits until the others have noticed it.</p>": {Waiting: true},
		"<li>host:8080, this one: 3 streams ": {
			Self: "f/host:8080.AAAA1", Members: []pipeline.MemberReport{{ID: "f/host:8080.AAAA1", Streams: 3}},
		},
	} {
		var out bytes.Buffer
		if err := WritePage(&out, pipeline.Report{Replicas: of}, ""); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			_, section, _ := strings.Cut(out.String(), `<h2 id="replicas">`)
			t.Errorf("the page lacks %q: %.300s", want, section)
		}
	}
}
