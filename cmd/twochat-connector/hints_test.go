package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

// said is a text of the program, and its place.
type said struct{ text, place string }

// sources visits the files of the program's own packages, except for tests and packages that only tests use.
func sources(t *testing.T, visit func(path string, files *token.FileSet, file *ast.File)) {
	t.Helper()
	for _, top := range []string{"../../cmd", "../../config", "../../connector", "../../sinks"} {
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains([]string{"testdata", "simulation", "twochattest", "sinktest", "connectortest"},
				entry.Name()):
				return filepath.SkipDir
			case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, 0)
			if err == nil {
				visit(path, files, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// texts returns every text that the program may print. Parts that are joined with + are one text.
func texts(t *testing.T) []said {
	t.Helper()
	var list []said
	sources(t, func(path string, files *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			expression, ok := n.(ast.Expr)
			if !ok {
				_, tag := n.(*ast.ImportSpec)
				return !tag
			}
			text, ok := joined(expression)
			if ok && text != "" {
				list = append(list, said{text, filepath.Base(path) + ":" + strconv.Itoa(files.Position(n.Pos()).Line)})
			}
			return !ok
		})
	})
	if len(list) < 1000 {
		t.Fatalf("only %d texts", len(list))
	}
	return list
}

// joined returns the text of a literal, or of several joined by +. A dot stands for what is known only at run time.
func joined(n ast.Expr) (string, bool) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if n.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(n.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		if n.Op != token.ADD {
			return "", false
		}
		left, known := joined(n.X)
		right, alsoKnown := joined(n.Y)
		if !known && !alsoKnown {
			return "", false
		}
		if !known {
			left = "…"
		}
		if !alsoKnown {
			right = "…"
		}
		return left + right, true
	}
	return "", false
}

var (
	// planned are words of commands that other versions have. Where a text uses one as a command, it must exist here.
	planned     = []string{"audit", "quarantine", "checkpoint", "erase", "preview", "fake", "init", "schema", "completion"}
	commandSaid = regexp.MustCompile("twochat-connector ([a-z]+)((?: +[^ `;,]+)*)")
	quotedWord  = regexp.MustCompile("`([a-z]+)((?: +--[^`]*)?)`")
	flagSaid    = regexp.MustCompile(`(^| )--([a-z][a-z-]*)`)
	keySaid     = regexp.MustCompile(`\b(?:twochat|poll|seen|events|sink|privacy|admin|traces|log)\.[a-z_]+(?:\.[a-z_]+)*`)
	halfKey     = regexp.MustCompile("`([a-z_]+)(?::[^`]*)?`")
)

// flagsOf returns the flags of a command, or nil if there is no such command.
func flagsOf(t *testing.T, command string) []string {
	t.Helper()
	var out, errOut bytes.Buffer
	if run(t.Context(), &cli.Program{Out: &out, Err: &errOut}, []string{"help", command}) != cli.ExitFine {
		return nil
	}
	flags := []string{"help"}
	for _, found := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(out.String(), -1) {
		flags = append(flags, found[1])
	}
	return flags
}

// Every command and flag in any text of the program or on a page exists.
func TestHints_CommandsExist(t *testing.T) {
	known := map[string][]string{"help": {}}
	for _, c := range commands() {
		known[c.name] = flagsOf(t, c.name)
	}
	all := texts(t)
	for _, path := range pagePaths {
		all = append(all, said{page(t, path), path})
	}
	named := 0
	for _, s := range all {
		check := func(command, rest string) {
			flags, ok := known[command]
			if !ok {
				t.Errorf("%s names the command %s, which is not there: %.200s", s.place, command, s.text)
				return
			}
			named++
			for _, flag := range flagSaid.FindAllStringSubmatch(rest, -1) {
				if !slices.Contains(flags, flag[2]) {
					t.Errorf("%s names %s --%s, which that command does not have", s.place, command, flag[2])
				}
			}
		}
		for _, found := range commandSaid.FindAllStringSubmatch(s.text, -1) {
			if !strings.HasSuffix(s.place, ".md") || known[found[1]] != nil || slices.Contains(planned, found[1]) {
				if known[found[1]] == nil && !strings.Contains(found[2], "--") && !slices.Contains(planned, found[1]) &&
					found[1] != "help" {
					continue // a sentence about the program
				}
				check(found[1], found[2])
			}
		}
		for _, found := range quotedWord.FindAllStringSubmatch(s.text, -1) {
			if _, ok := known[found[1]]; ok && found[2] != "" || slices.Contains(planned, found[1]) {
				check(found[1], found[2])
			}
		}
	}
	if named < 40 {
		t.Errorf("only %d commands are named", named)
	}
}

// keyPaths lists all keys and the sections above them.
func keyPaths() []string {
	var paths []string
	for _, key := range config.Reference() {
		path := strings.ReplaceAll(key.Path, "[]", "")
		for at := range path {
			if path[at] == '.' {
				paths = append(paths, path[:at])
			}
		}
		paths = append(paths, path)
	}
	return paths
}

// notKeys look like keys: a file, the one setting that exists as a variable only, a setting of Kafka.
var notKeys = []string{"events.jsonl", "twochat.api_key", "log.replication.factor"}

// Every key in a text is a whole path, and exists.
func TestHints_KeysExist(t *testing.T) {
	paths := keyPaths()
	var last []string
	for _, key := range config.Reference() {
		last = append(last, key.Path[strings.LastIndex(key.Path, ".")+1:])
	}
	// Words that are keys and something else too: the items of a list and the sinks have no path of their own.
	plain := []string{
		"name", "number", "remote", "nats", "file", "stdout", "kafka", "jetstream", "embedded", "events",
		"log",
	}
	for _, s := range texts(t) {
		for _, key := range keySaid.FindAllString(s.text, -1) {
			if !slices.Contains(paths, key) && !slices.Contains(notKeys, key) && !strings.HasSuffix(key, ".go") {
				t.Errorf("%s names the key %s, which is not there: %.160s", s.place, key, s.text)
			}
		}
		for _, half := range halfKey.FindAllStringSubmatch(s.text, -1) {
			if slices.Contains(last, half[1]) && !slices.Contains(plain, half[1]) && !strings.Contains(s.text, "flag") {
				t.Errorf("%s names a key by its last word, %s: %.160s", s.place, half[1], s.text)
			}
		}
	}
}

// Every refusal and every warning has a hint.
func TestHints_NoneIsEmpty(t *testing.T) {
	refusals := 0
	sources(t, func(path string, files *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			name := ""
			switch kind := literal.Type.(type) {
			case *ast.SelectorExpr:
				name = kind.Sel.Name
			case *ast.Ident:
				name = kind.Name
			}
			fields := map[string]ast.Expr{}
			for i, element := range literal.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok {
						fields[key.Name] = pair.Value
					}
				} else if name == "Refusal" {
					fields[[]string{"Thing", "Cause", "Hint"}[i]] = element
				}
			}
			bad := (name == "Refusal" || name == "Unavailable") && len(fields) > 0
			if level, ok := fields["Level"].(*ast.SelectorExpr); ok && name == "Finding" {
				bad = level.Sel.Name != "FindingOK"
			}
			if !bad {
				return true
			}
			refusals++
			hint, given := fields["Hint"]
			if text, ok := hint.(*ast.BasicLit); !given || ok && text.Value == `""` {
				t.Errorf("%s:%d: a %s without a hint", path, files.Position(n.Pos()).Line, name)
			}
			return true
		})
	})
	if refusals < 60 {
		t.Errorf("only %d refusals found", refusals)
	}
}

// No message prints the type of a value, because people read it.
func TestHints_NoTypes(t *testing.T) {
	for _, s := range texts(t) {
		if strings.Contains(s.text, "%T") || strings.Contains(s.text, "%#v") {
			t.Errorf("%s prints a type: %.120s", s.place, s.text)
		}
	}
}
