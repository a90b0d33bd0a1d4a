package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/embedded"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

// sink checks what affects the sink's guarantee, and then whether each stream could be taken over, as run does.
func (k *check) sink(ctx context.Context, sink sinks.Sink, claims []connector.Claim, probe bool) {
	c := k.config.Sink
	thing := "sink " + c.Chosen()[0]
	var checkCreate func(context.Context) error
	if pipeline.WantsCreate(c) {
		checkCreate = sink.CheckCreate
	}
	findings, err := pipeline.AskSink(ctx, sink, claims, checkCreate, cli.QuietLogger())
	lacking := pipeline.OnlyMissing(findings)
	for i := range findings {
		findings[i].Thing = sinkThing(c, findings[i].Thing)
	}
	if err != nil {
		// `run` would fail to create what is missing, for the reason reported next. So the missing things are not reported.
		k.add(slices.DeleteFunc(findings, func(f connector.Finding) bool { return f.Missing })...)
		if ctx.Err() == nil {
			k.addOnce(pipeline.ErrorFinding(thing, err))
		}
		return
	}
	k.add(willBeMade(c, findings)...)
	if !lacking && !refusedAny(findings) {
		k.takeOvers(ctx, sink, claims)
	}
	if probe {
		k.probe(ctx, thing, sink)
	}
}

// judgements is the number of failed judgements after which the remaining streams are skipped.
const judgements = 20

// takeOvers checks whether each stream could be taken over.
func (k *check) takeOvers(ctx context.Context, sink sinks.Sink, claims []connector.Claim) {
	ctx, cancel := context.WithTimeout(ctx, pipeline.PrepareTimeout)
	defer cancel()
	refused := 0
	for _, claim := range claims {
		err := sink.CheckAcquire(ctx, claim)
		if err == nil {
			continue
		}
		// A fault of the sink as a whole, such as that another process has it, is met once for each stream.
		finding := pipeline.ErrorFinding("stream "+claim.Stream.Name, err)
		if !slices.Contains(k.findings, k.hinted(finding)) {
			k.add(finding)
		}
		var refusal *connector.Refusal
		if refused++; refused == judgements || !errors.As(err, &refusal) {
			return
		}
	}
}

// refusedAny reports whether a finding refuses.
func refusedAny(findings []connector.Finding) bool {
	for _, f := range findings {
		if f.Level == connector.FindingRefused {
			return true
		}
	}
	return false
}

// sinkThing returns the full name of a key of the sink's settings.
func sinkThing(c sinks.Config, thing string) string {
	switch thing {
	case "path", "mode", "state", "url", "max_payload", "nats":
		if thing == "nats" {
			return "sink nats"
		}
		return "sink." + c.Chosen()[0] + "." + thing
	}
	return thing
}

func (k *check) probe(ctx context.Context, thing string, sink sinks.Sink) {
	prober, ok := sink.(interface {
		Probe(ctx context.Context) ([]connector.Finding, error)
	})
	if !ok {
		k.ok(thing, "it has nothing to probe")
		return
	}
	findings, err := prober.Probe(ctx)
	k.add(findings...)
	if err != nil && ctx.Err() == nil {
		k.add(pipeline.ErrorFinding(thing, err))
	}
}

// willBeMade accepts missing things that `create: true` creates.
func willBeMade(c sinks.Config, findings []connector.Finding) []connector.Finding {
	if !pipeline.WantsCreate(c) {
		return findings
	}
	for i, f := range findings {
		if f.Missing {
			findings[i] = connector.Finding{Level: connector.FindingOK, Thing: f.Thing, Text: f.Text + "; `run` creates it"}
		}
	}
	return findings
}

// embedded checks the embedded server's folder and address. If another process holds them, it checks the sink through
// that process's server.
func (k *check) embedded(ctx context.Context, claims []connector.Claim) {
	c := *k.config.Sink.Embedded
	sink, err := embedded.OpenForCheck(c, k.config.Encoding())
	switch {
	case err != nil:
		k.add(pipeline.ErrorFinding("sink embedded", err))
		beside, running := pipeline.BesideEmbedded(k.config.Sink)
		if !running || !errors.Is(err, embedded.ErrInUse) { // something else answers there
			return
		}
		k.ok("sink embedded", "a connector's server answers at nats://%s", c.Listen)
		sink, err := sinks.Open(beside, k.config.Encoding(), cli.QuietLogger())
		if err != nil {
			k.add(pipeline.ErrorFinding("sink embedded", err))
			return
		}
		k.sink(ctx, sink, claims, false)
		if err := sink.Close(); err != nil {
			k.add(pipeline.ErrorFinding("sink embedded", err))
		}
	case sink == nil:
		k.ok("sink embedded", "`run` starts its server, at nats://%s", c.Listen)
		for _, finding := range file.CheckState(c.Dir) {
			finding.Thing, finding.Text = "sink.embedded.dir", strings.TrimSuffix(finding.Text, "; `run` creates it")
			if finding.Missing {
				finding = connector.Finding{Level: connector.FindingOK, Thing: finding.Thing, Text: finding.Text +
					"; `run` creates it"}
				if err := file.CanMake(finding.Thing, c.Dir); err != nil {
					finding = pipeline.ErrorFinding(finding.Thing, err)
				}
			}
			k.add(finding)
		}
	default:
		k.ok("sink embedded", "`run` starts its server, at nats://%s", c.Listen)
		k.takeOvers(ctx, sink, claims)
		if err := sink.Close(); err != nil {
			k.add(pipeline.ErrorFinding("sink embedded", err))
		}
	}
}
