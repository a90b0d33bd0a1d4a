package main

import (
	"context"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/schema"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutSchema = `
Prints a schema, for readers of what the connector writes and for editors: schema
event, schema row, schema config or schema asyncapi.

    event     a CloudEvent of the connector: a message, a checkpoint, a reject
              or an erasure (JSON Schema 2020-12)
    row       the data of an event with events.data: row (JSON Schema 2020-12)
    config    the configuration file (JSON Schema 2020-12)
    asyncapi  the channels and their contents (AsyncAPI 3): those of the
              configured sink, with --config or --sink; else those of JetStream
              and Kafka with their default names

The version of a schema is in its $id: what is valid under it stays valid.
`

// schemaNames are the schemas.
var schemaNames = []string{"event", "row", "config", "asyncapi"}

// runSchema is the command schema.
func runSchema(_ context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	words, err := p.ParseWords(flags, args, aboutSchema, strings.Join(schemaNames, "|"))
	if err != nil {
		return err
	}
	name := strings.Join(words, " ")
	switch name {
	case "event":
		return cli.PrintJSON(p.Out, schema.Event())
	case "row":
		return cli.PrintJSON(p.Out, schema.Row())
	case "config":
		return cli.PrintJSON(p.Out, config.Schema())
	case "asyncapi":
		return printAsyncAPI(p, settings)
	}
	return p.WrongWord(name, schemaNames, "`twochat-connector help schema` describes them")
}

func printAsyncAPI(p *cli.Program, settings *config.Flags) error {
	c := new(config.Default())
	c.Sink = sinks.Config{JetStream: sinks.Defaults().JetStream, Kafka: sinks.Defaults().Kafka}
	if settings.Config != "" || settings.Sink != "" {
		var err error
		if c, _, err = p.LoadKeyless(settings); err != nil {
			return err
		}
	}
	if c.Sink.File != nil || c.Sink.Stdout != nil {
		return cli.Usage("sink: a file and the standard output have no channels: each line is one event, " +
			"as `schema event` describes it")
	}
	return cli.PrintJSON(p.Out, sinks.AsyncAPI(c.Sink, c.Encoding(), schema.Parts("#/components/schemas/")))
}
