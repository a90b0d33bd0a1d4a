package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
)

func TestSchema(t *testing.T) {
	t.Chdir(t.TempDir())
	ids := map[string]string{
		"event": "urn:twochat-connector:schema:event:v1", "row": "urn:twochat-connector:schema:row:v1",
		"config": "urn:twochat-connector:schema:config:v1", "asyncapi": "urn:twochat-connector:asyncapi:v1",
	}
	for _, name := range schemaNames {
		code, out, errOut := finish(t, "schema", name)
		wantCode(t, code, cli.ExitFine)
		var document map[string]any
		if err := json.Unmarshal([]byte(out), &document); err != nil || errOut != "" {
			t.Fatalf("%s: %v, %s", name, err, errOut)
		}
		if document["$id"] != ids[name] && document["id"] != ids[name] {
			t.Errorf("%s has the ids %v and %v", name, document["$id"], document["id"])
		}
	}
	for want, args := range map[string][]string{
		"expected one of event, row, config, asyncapi after schema":                        {"schema"},
		"expected one of event, row, config, asyncapi after schema; the nearest is config": {"schema", "confg"},
		"expected one of event, row, config, asyncapi after schema; the nearest is event":  {"schema", "row", "event"},
		"a file and the standard output":                                                   {"schema", "asyncapi", "--sink", "-"},
	} {
		code, out, errOut := finish(t, args...)
		if code == cli.ExitFine || out != "" {
			t.Errorf("%v ends with %d: %s", args, code, out)
		}
		clitest.WantText(t, strings.Join(args, " "), errOut, want)
	}
	sink := "kafka: { brokers: ['127.0.0.1:1'], topic: mine }"
	path := configure(t, "http://127.0.0.1:1", sink, "events: { mode: binary }")
	code, out, _ := finish(t, "schema", "asyncapi", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "asyncapi", out, `"address": "mine.quarantine"`, `"ce_sequence"`)
	if strings.Contains(out, "jetstream") {
		t.Error("a sink that is not configured has channels")
	}
}
