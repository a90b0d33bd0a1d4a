// Command schema checks a dashboard against Grafana's own types. An unknown member is an error, and so is a missing
// one or an invalid value. It is a module of its own, which the part `monitoring` of `.ci/run` creates.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "schema: expected a dashboard's file")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "schema: %s: %s\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	plugins.RegisterDefaultPlugins()
	var board dashboard.Dashboard
	if err := found(board.UnmarshalJSONStrict(content)); err != nil {
		return err
	}
	if err := found(board.Validate()); err != nil {
		return err
	}
	fmt.Printf("%s: %d panels are as Grafana's types have them\n", path, len(board.Panels))
	return nil
}

// found returns nil also for an empty list of errors, which the library returns if all is well.
func found(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}
