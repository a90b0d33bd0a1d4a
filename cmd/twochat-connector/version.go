package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is set by the linker (-X main.version=1.2.3).
var version string

// build is what is known of how the program was built.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value[:min(12, len(setting.Value))]
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	return b
}

func versionText() string { return thisBuild().Version }

func printVersion(_ context.Context, p *program, args []string) error {
	flags := newFlags(p)
	asJSON := flags.Bool("json", false, "print it as JSON")
	if err := p.parse(flags, args, "Prints the version, and from what it was built."); err != nil {
		return err
	}
	b := thisBuild()
	if *asJSON {
		return printJSON(p.out, b)
	}
	fmt.Fprintf(p.out, "twochat-connector %s", b.Version)
	if b.Revision != "" {
		fmt.Fprintf(p.out, " (%s", b.Revision)
		if b.Modified {
			fmt.Fprint(p.out, ", modified")
		}
		fmt.Fprint(p.out, ")")
	}
	fmt.Fprintf(p.out, " %s %s\n", b.Go, b.Platform)
	return nil
}

func printJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}
