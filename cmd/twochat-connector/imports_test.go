package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/twochat-connector/twochat-connector"

// mayImport lists the packages of this module, and which others of it each may import. Tests may import anything.
var mayImport = map[string][]string{
	"connector":                     nil,
	"connector/reader":              {"connector"},
	"connector/history":             {"connector", "connector/reader"},
	"connector/poller":              {"connector", "connector/quota", "connector/reader"},
	"connector/fleet":               {"connector"},
	"connector/quota":               {"connector"},
	"connector/connectortest":       {"connector"},
	"connector/schema":              {"connector", "connector/twochat"},
	"connector/simulation":          nil,
	"connector/twochat":             {"connector"},
	"connector/twochat/twochattest": nil,
	"sinks/secret":                  nil,
	"sinks/handshake":               nil,
	"sinks/sinktest":                {"connector"},
	"sinks/file":                    {"connector"},
	"sinks/nats":                    {"connector", "sinks/file", "sinks/handshake", "sinks/secret"},
	"sinks/marks":                   nil,
	"sinks/jetstream":               {"connector", "sinks/marks", "sinks/nats"},
	"sinks/kafka":                   {"connector", "sinks/handshake", "sinks/marks", "sinks/secret"},
	"sinks/embedded":                {"connector", "sinks/file", "sinks/jetstream", "sinks/nats"},
	"sinks": {
		"connector", "sinks/embedded", "sinks/file", "sinks/jetstream", "sinks/kafka",
		"sinks/nats",
	},
	"config": {"connector", "sinks", "sinks/secret"},
	// The thin commands: only they import pipeline.
	"cmd/twochat-connector": {
		"cmd/twochat-connector/admin", "cmd/twochat-connector/audit", "cmd/twochat-connector/backfill",
		"cmd/twochat-connector/checkpoint", "cmd/twochat-connector/cli", "cmd/twochat-connector/demo",
		"cmd/twochat-connector/erase", "cmd/twochat-connector/pipeline", "cmd/twochat-connector/quarantine",
		"cmd/twochat-connector/text", "cmd/twochat-connector/traces", "config", "connector", "connector/quota",
		"connector/schema", "connector/twochat", "connector/twochat/twochattest", "sinks", "sinks/embedded", "sinks/file",
	},
	"cmd/twochat-connector/traces": {
		"cmd/twochat-connector/cli", "config", "connector", "connector/reader", "sinks/secret",
	},
	"cmd/twochat-connector/text":    {"config"},
	"cmd/twochat-connector/cli":     {"cmd/twochat-connector/text", "config", "connector"},
	"cmd/twochat-connector/clitest": {"connector", "sinks", "sinks/sinktest"},
	"cmd/twochat-connector/pipeline": {
		"cmd/twochat-connector/cli", "cmd/twochat-connector/text", "config", "connector", "connector/fleet",
		"connector/poller", "connector/quota", "connector/reader", "connector/twochat", "sinks",
	},
	"cmd/twochat-connector/admin": {
		"cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline", "cmd/twochat-connector/text", "config", "connector",
		"sinks/secret",
	},
	"cmd/twochat-connector/backfill": {
		"cmd/twochat-connector/admin", "cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline",
		"cmd/twochat-connector/text", "config", "connector", "connector/history", "connector/poller", "connector/quota",
		"connector/reader", "connector/twochat", "sinks",
	},
	"cmd/twochat-connector/audit": {
		"cmd/twochat-connector/backfill", "cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline",
		"cmd/twochat-connector/restore", "cmd/twochat-connector/text", "config", "connector",
		"connector/history", "connector/reader", "sinks",
	},
	"cmd/twochat-connector/restore": {
		"cmd/twochat-connector/admin", "cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline", "config", "connector",
		"connector/reader", "sinks",
	},
	"cmd/twochat-connector/quarantine": {
		"cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline", "cmd/twochat-connector/restore",
		"cmd/twochat-connector/text", "config", "connector", "connector/reader", "connector/twochat", "sinks",
	},
	"cmd/twochat-connector/checkpoint": {
		"cmd/twochat-connector/admin", "cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline",
		"cmd/twochat-connector/text", "config", "connector", "connector/twochat", "sinks",
	},
	"cmd/twochat-connector/erase": {
		"cmd/twochat-connector/admin", "cmd/twochat-connector/backfill", "cmd/twochat-connector/cli",
		"cmd/twochat-connector/pipeline", "cmd/twochat-connector/text", "config", "connector", "connector/twochat", "sinks",
	},
	"cmd/twochat-connector/demo": {
		"cmd/twochat-connector/admin", "cmd/twochat-connector/cli", "cmd/twochat-connector/pipeline",
		"cmd/twochat-connector/text", "config", "connector", "connector/poller", "connector/twochat",
		"connector/twochat/twochattest", "sinks", "sinks/embedded", "sinks/jetstream",
	},
	"deploy": nil,
	// An example for users, in a module of its own so that its dependencies are not this module's.
	"deploy/consumers/kafka/franz-go": nil,
}

// imports lists what each package of the module imports, by its folder, without tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		folder = filepath.ToSlash(folder)
		if found[folder] = append(found[folder], ""); strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[folder] = append(found[folder], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Imports follow the walls in .github/CONTRIBUTING.md.
func TestImports(t *testing.T) {
	found := imports(t)
	for folder, list := range found {
		allowed, known := mayImport[folder]
		if !known {
			t.Errorf("%s is a package that no wall is drawn for", folder)
		}
		for _, imported := range list {
			own, ok := strings.CutPrefix(imported, modulePath+"/")
			if ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which it may not", folder, own)
			}
		}
	}
	for folder := range mayImport {
		if _, ok := found[folder]; !ok {
			t.Errorf("there is no package %s", folder)
		}
	}
}

// The contract's package may not know brokers, YAML or HTTP.
func TestImports_Contract(t *testing.T) {
	for _, imported := range imports(t)["connector"] {
		for _, foreign := range []string{"github.com/nats-io", "github.com/segmentio", "gopkg.in/yaml", "net/http"} {
			if strings.HasPrefix(imported, foreign) {
				t.Errorf("connector imports %s", imported)
			}
		}
	}
}

// One policy decides all waits between attempts.
func TestImports_OneBackoff(t *testing.T) {
	for folder, list := range imports(t) {
		if slices.ContainsFunc(list, func(imported string) bool {
			return strings.HasPrefix(imported, "github.com/cenkalti/backoff")
		}) != (folder == "connector") {
			t.Errorf("%s: only connector imports the library of waits", folder)
		}
	}
}

// Only one package knows OpenTelemetry, so a program built with the others links none of it.
func TestImports_OneTracer(t *testing.T) {
	for folder, list := range imports(t) {
		if slices.ContainsFunc(list, func(imported string) bool {
			return strings.HasPrefix(imported, "go.opentelemetry.io/")
		}) != (folder == "cmd/twochat-connector/traces") {
			t.Errorf("%s: only cmd/twochat-connector/traces imports OpenTelemetry", folder)
		}
	}
}

// A program built with the packages of reading, or with a sink other than embedded, links no NATS server, not even
// through another module.
func TestImports_NoServer(t *testing.T) {
	t.Parallel()
	links := func(folder string) bool {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", modulePath+"/"+folder).CombinedOutput()
		if err != nil {
			t.Fatalf("go list -deps %s: %v\n%s", folder, err, out)
		}
		return strings.Contains(string(out), "github.com/nats-io/nats-server")
	}
	if !links("sinks/embedded") {
		t.Error("sinks/embedded is not found to link the server: this test looks at nothing")
	}
	for folder := range imports(t) {
		parent := path.Dir(folder)
		if (parent == "sinks" || parent == "connector") && folder != "sinks/embedded" && links(folder) {
			t.Errorf("%s links a NATS server", folder)
		}
	}
}
