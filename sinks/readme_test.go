package sinks_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/jetstream"
	"github.com/twochat-connector/twochat-connector/sinks/nats"
)

// The page lists every sink, and no other, in the tables of promises, names and ways to read.
func TestREADME_EverySink(t *testing.T) {
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([a-z]+)`")
	for _, section := range []string{"Promise", "Names", "Reading it back"} {
		_, text, found := strings.Cut(string(content), "\n## "+section+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		if !found {
			t.Errorf("the page has no section %s", section)
		}
		var named []string
		for row := range strings.Lines(text) {
			if first, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|"); strings.HasPrefix(row, "| `") {
				for _, name := range quoted.FindAllStringSubmatch(first, -1) {
					named = append(named, name[1])
				}
			}
		}
		want := slices.Sorted(slices.Values(sinks.Names()))
		if slices.Sort(named); !slices.Equal(named, want) {
			t.Errorf("section %s has %v, want %v", section, named, want)
		}
	}
}

// The names given on the page are those used in the code.
func TestREADME_Names(t *testing.T) {
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	all := sinks.Defaults()
	prefix := all.JetStream.Subject
	for _, name := range []string{
		jetstream.DefaultStream, prefix + ".<stream>.<direction>.<chat>", nats.EventsSubject(prefix, ""),
		strings.TrimSuffix(nats.CheckpointSubject(prefix, "x"), "x") + "<stream>",
		strings.TrimSuffix(nats.QuarantineSubject(prefix, "x"), "x") + "<stream>",
		all.Kafka.Topic, all.Kafka.Topic + ".checkpoints", all.Kafka.Topic + ".quarantine", all.File.Path,
	} {
		if !strings.Contains(string(content), "`"+name+"`") {
			t.Errorf("the page does not name %s", name)
		}
	}
	if all.NATS.Subject != prefix {
		t.Error("core NATS and JetStream have other subjects, and the page gives one")
	}
}
