package main

import (
	"context"
	"fmt"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

func printVersion(_ context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	asJSON := flags.Bool("json", false, "print it as JSON")
	if err := p.Parse(flags, args, "Prints the version, and what it was built from."); err != nil {
		return err
	}
	b := cli.ThisBuild()
	if *asJSON {
		return cli.PrintJSON(p.Out, b)
	}
	fmt.Fprintf(p.Out, "twochat-connector %s", b.Version)
	if b.Revision != "" {
		fmt.Fprintf(p.Out, " (%s", b.Revision)
		if b.Modified {
			fmt.Fprint(p.Out, ", modified")
		}
		fmt.Fprint(p.Out, ")")
	}
	fmt.Fprintf(p.Out, " %s %s\n", b.Go, b.Platform)
	return nil
}
