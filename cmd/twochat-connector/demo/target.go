package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/embedded"
)

// demoStream is the demo's one stream; a number is appended if the sink has it already.
const demoStream = "bicycle-shop"

// maxDemos limits how many streams of former demos are looked up.
const maxDemos = 1000

// target is where the demo writes.
type target struct {
	url    string // as requested; "" is the embedded server
	config sinks.Config
	sink   sinks.Sink
	stream string
}

// parseTarget reads --sink, as `run` does.
func parseTarget(url string) (target, error) {
	if url == "" {
		return target{stream: demoStream}, nil
	}
	c, err := config.FromFlags(config.Flags{Numbers: []string{twochattest.DefaultNumber}, Sink: url},
		[]string{config.APIKeyVariable + "=demo"})
	if err != nil {
		return target{}, cli.UsageOf(err)
	}
	if c.Sink.Stdout != nil {
		return target{}, cli.UsageOf(cli.Hinted(
			errors.New("flag --sink: what is written to the standard output cannot be read back and audited"),
			"`twochat-connector demo --json` prints the events there"))
	}
	t := target{url: url, config: c.Sink, stream: demoStream}
	if t.config.JetStream != nil {
		t.config.JetStream.Create = true
	}
	if t.config.Kafka != nil {
		t.config.Kafka.Create = true
	}
	return t, nil
}

// open opens the sink. In another sink than the embedded server, it creates what is missing, and chooses a stream that
// the sink does not have.
func (t *target) open(ctx context.Context, c *config.Config, folder string, privacy twochat.Privacy) error {
	if t.url == "" {
		t.config = sinks.Config{Embedded: &embedded.Config{Listen: "127.0.0.1:0", Dir: filepath.Join(folder, "data")}}
	}
	logger := slog.New(slog.DiscardHandler)
	var err error
	if t.sink, err = sinks.Open(t.config, c.Encoding(), logger); err != nil || t.url == "" {
		return err
	}
	var create func(context.Context) error
	if pipeline.WantsCreate(t.config) {
		create = t.sink.Create
	}
	findings, err := pipeline.AskSink(ctx, t.sink, nil, create, logger)
	if err != nil {
		finding := pipeline.ErrorFinding("sink "+t.config.Chosen()[0], err)
		return cli.Hinted(errors.New(finding.Thing+": "+finding.Text), finding.Hint)
	}
	var refused cli.RefusedError
	for _, finding := range findings {
		if finding.Level == connector.FindingRefused {
			if t.config.File != nil { // only the file itself can be wrong
				finding.Hint = t.elsewhere()
			}
			refused = append(refused, finding)
		}
	}
	if refused != nil {
		return refused
	}
	return t.advised(t.choose(ctx, c, privacy))
}

// advised replaces the hint of a refusal, which is about `run` and its configuration, by one for a demo.
func (t *target) advised(err error) error {
	var refusal *connector.Refusal
	if t.url == "" || !errors.As(err, &refusal) {
		return err
	}
	return &connector.Refusal{Thing: refusal.Thing, Cause: refusal.Cause, Hint: t.elsewhere()}
}

// elsewhere is the hint if the sink is not fit for a demo.
func (t *target) elsewhere() string {
	switch {
	case t.config.File != nil:
		return "name another file with --sink"
	case t.config.Kafka != nil:
		return "name another topic with --sink"
	}
	return "name another server with --sink, or omit it to use a server in this process"
}

// choose takes the first name that no former demo used: this fake's list is a new one, and continues none of theirs.
func (t *target) choose(ctx context.Context, c *config.Config, privacy twochat.Privacy) error {
	for n := 1; n <= maxDemos; n++ {
		if n > 1 {
			t.stream = fmt.Sprintf("%s-%d", demoStream, n)
		}
		of := *c
		of.TwoChat.Streams = []config.StreamConfig{{Number: twochattest.DefaultNumber, Name: t.stream}}
		claim := pipeline.ClaimsOf(&of, privacy, "demo", pipeline.Overrides{})[0]
		_, taken, err := pipeline.Peek(ctx, t.sink, claim)
		if err != nil {
			return err
		}
		if !taken {
			return t.sink.CheckAcquire(ctx, claim)
		}
	}
	return cli.Hinted(fmt.Errorf("the sink has the streams of %d demos already", maxDemos),
		"name another topic or file with --sink")
}

// places lists where to look, and how.
func (t *target) places() [][2]string {
	switch {
	case t.url == "":
		server := t.sink.(*embedded.Sink)
		return [][2]string{
			{"NATS", server.URL() + "   stream " + server.Stream()},
			{"events", "nats --server " + server.URL() + " sub 'whatsapp.>'"},
		}
	case t.config.JetStream != nil:
		return [][2]string{
			{"NATS", t.config.JetStream.URL + "   stream " + t.config.JetStream.Stream},
			{"events", "nats --server " + t.config.JetStream.URL + " sub '" + t.subject() + "'"},
		}
	case t.config.Kafka != nil:
		brokers := strings.Join(t.config.Kafka.Brokers, ",")
		return [][2]string{
			{"Kafka", brokers + "   topic " + t.config.Kafka.Topic},
			{"events", "kcat -C -b " + brokers + " -t " + t.config.Kafka.Topic},
		}
	}
	return [][2]string{{"file", t.config.File.Path}}
}

// subject is the filter for the events of the demo's stream in NATS.
func (t *target) subject() string {
	prefix := "whatsapp"
	if t.config.JetStream != nil {
		prefix = t.config.JetStream.Subject
	}
	return prefix + "." + connector.SubjectToken(t.stream) + ".>"
}

// tail is the command that shows what the demo left; "" if it leaves nothing.
func (t *target) tail() string {
	if t.url == "" {
		return ""
	}
	return "twochat-connector tail --no-follow --stream " + t.stream + " --sink " + t.url
}

// reader describes how the events are read back.
func (t *target) reader() string {
	switch {
	case t.config.Kafka != nil:
		return "Read back from the topic, as a consumer of committed records does,"
	case t.config.File != nil:
		return "Read back from the file"
	}
	return "Read back with a plain NATS client"
}
