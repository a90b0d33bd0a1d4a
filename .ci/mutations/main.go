// Command mutations puts faults into the code, one at a time, and checks that the named test finds each. The *.mut
// files beside it list the faults. They are written by hand, because each stands for a rule that somebody could
// break.
//
//	go run ./.ci/mutations                     all of them
//	go run ./.ci/mutations -file kafka.mut     those of one file
//	go run ./.ci/mutations -sample 30          that many, drawn by a seed that is printed
//	go run ./.ci/mutations -build              whether all of them fit the code and build, without a test
//	go run ./.ci/mutations -fit                whether the code has what they quote and their tests; takes a second
//
// The exit code is 1 if a smaller share than -want is found. An entry that no longer fits the code is named and
// counts as not found.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const folder = ".ci/mutations"

func main() { os.Exit(run()) }

func run() int {
	file := flag.String("file", "", "only this `file` of "+folder)
	only := flag.String("name", "", "only those with this `text` in their name")
	sample := flag.Int("sample", 0, "how `many` to draw; 0 = all")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what the draw begins with")
	jobs := flag.Int("jobs", 1, "how `many` at a time")
	build := flag.Bool("build", false, "build them only")
	fit := flag.Bool("fit", false, "only look whether they fit the code")
	want := flag.Float64("want", 0.9, "the `share` that has to be found")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	list, err := load(*file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if *only != "" {
		kept := list[:0]
		for _, m := range list {
			if strings.Contains(m.name, *only) {
				kept = append(kept, m)
			}
		}
		list = kept
	}
	total := len(list)
	if *sample > 0 && *sample < total {
		rand.New(rand.NewPCG(*seed, 0)).Shuffle(total, func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:*sample]
		fmt.Printf("%d of %d mutations, drawn with -seed %d\n", len(list), total, *seed)
	}
	if len(list) == 0 {
		fmt.Fprintln(os.Stderr, "there is no such mutation")
		return 1
	}
	if *fit {
		return unfit(list)
	}
	if *build {
		return judge(tryAll(ctx, list, *jobs, builds), 1)
	}
	return judge(tryAll(ctx, list, *jobs, tests), *want)
}

// unfit prints the mutations that do not fit the code, and returns the exit code.
func unfit(list []mutation) int {
	bad := 0
	for _, m := range list {
		if err := m.fits(); err != nil {
			bad++
			fmt.Printf("DOES NOT FIT: %s: %s: %v\n", m.source, m.name, err)
		}
	}
	fmt.Printf("%d of %d mutations fit the code\n", len(list)-bad, len(list))
	return min(bad, 1)
}

// judge prints the verdict, and returns the exit code.
func judge(verdicts map[outcome][]mutation, want float64) int {
	for _, m := range verdicts[survived] {
		fmt.Printf("NOT FOUND: %s: %s\n", m.source, m.name)
	}
	for _, m := range verdicts[broken] {
		fmt.Printf("DOES NOT RUN: %s: %s\n", m.source, m.name)
	}
	found, all := len(verdicts[found]), len(verdicts[found])+len(verdicts[survived])+len(verdicts[broken])
	fmt.Printf("%d of %d mutations were found\n", found, all)
	if float64(found) < want*float64(all) {
		return 1
	}
	return 0
}

func tryAll(ctx context.Context, list []mutation, jobs int, ask question) map[outcome][]mutation {
	var mu sync.Mutex
	var work sync.WaitGroup
	verdicts := map[outcome][]mutation{}
	slots := make(chan struct{}, max(1, jobs))
	for _, m := range list {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			what, why := try(ctx, m, ask)
			mu.Lock()
			defer mu.Unlock()
			verdicts[what] = append(verdicts[what], m)
			fmt.Printf("%-12s %5.1fs  %s: %s\n", what, time.Since(began).Seconds(), m.source, m.name)
			if why != "" {
				fmt.Println(why)
			}
		})
	}
	work.Wait()
	return verdicts
}

// mutation is one fault: a text of a file and its replacement.
type mutation struct {
	source, name, file string
	test               []string // arguments of go test
	old, new           string
}

// fits returns nil if the file contains the quoted text exactly once, and the package has the test that has to find
// the mutation.
func (m mutation) fits() error {
	if _, err := m.changed(); err != nil {
		return err
	}
	folder, pattern := m.test[0], ""
	for i, arg := range m.test[:len(m.test)-1] {
		if arg == "-run" {
			pattern = m.test[i+1]
		}
	}
	name, _, _ := strings.Cut(pattern, "/")
	name, whole := strings.CutSuffix(name, "$")
	name = strings.TrimPrefix(name, "^")
	if strings.Trim(name, letters) != "" {
		return nil // a pattern for several tests
	}
	if whole {
		name += "("
	}
	tests, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, path := range tests {
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(source, []byte("\nfunc "+name)) {
			return nil
		}
	}
	return fmt.Errorf("%s has no test %s", folder, pattern)
}

// letters are the characters of a test's name.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

// changed returns the file with the mutation.
func (m mutation) changed() ([]byte, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s holds the old text %d times, not once", m.file, n)
	}
	return bytes.Replace(source, []byte(m.old), []byte(m.new), 1), nil
}

func load(only string) ([]mutation, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.mut"))
	if err != nil {
		return nil, err
	}
	var all []mutation
	for _, path := range paths {
		if only != "" && filepath.Base(path) != filepath.Base(only) {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for i, entry := range strings.Split(string(data), "\n==\n") {
			if strings.TrimSpace(entry) == "" {
				continue
			}
			m, err := parse(entry)
			if err != nil {
				return nil, fmt.Errorf("%s: entry %d: %w", path, i+1, err)
			}
			m.source = filepath.Base(path)
			all = append(all, m)
		}
	}
	return all, nil
}

func parse(entry string) (mutation, error) {
	head, body, ok := strings.Cut(entry, "\n<<<<\n")
	if !ok {
		return mutation{}, errors.New("no line <<<<")
	}
	was, body, ok := strings.Cut(body, "\n====\n")
	if !ok {
		return mutation{}, errors.New("no line ====")
	}
	becomes, _, ok := strings.Cut("\n"+body, "\n>>>>")
	if !ok {
		return mutation{}, errors.New("no line >>>>")
	}
	m := mutation{old: was, new: strings.TrimPrefix(becomes, "\n")}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "name":
			m.name = value
		case "file":
			m.file = value
		case "test":
			m.test = strings.Fields(value)
		case "":
		default:
			return mutation{}, fmt.Errorf("it has no key %q", key)
		}
	}
	if m.name == "" || m.file == "" || len(m.test) == 0 {
		return mutation{}, errors.New("name, file or test is missing")
	}
	return m, nil
}

type outcome string

const (
	found    outcome = "found"
	survived outcome = "NOT FOUND"
	broken   outcome = "DOES NOT RUN"
)

// timeout limits one try. A test that hangs has found the fault.
const timeout = 3 * time.Minute

// question runs one kind of check on a mutation, with an overlay that contains it.
type question func(ctx context.Context, m mutation, overlay string) (outcome, string)

func try(ctx context.Context, m mutation, ask question) (outcome, string) {
	changed, err := m.changed()
	if err != nil {
		return broken, err.Error()
	}
	scratch, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return broken, err.Error()
	}
	defer os.RemoveAll(scratch)
	overlay, err := writeOverlay(scratch, m, changed)
	if err != nil {
		return broken, err.Error()
	}
	return ask(ctx, m, overlay)
}

// tests runs the test that has to find the mutation.
func tests(ctx context.Context, m mutation, overlay string) (outcome, string) {
	args := append([]string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout", timeout.String()}, m.test...)
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	switch text := string(out); {
	case ctx.Err() != nil:
		return broken, "interrupted"
	case strings.Contains(text, "no tests to run"):
		return broken, "its test does not exist"
	case err == nil:
		return survived, ""
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return broken, text
	case strings.Contains(text, "--- FAIL") || strings.Contains(text, "panic:") || strings.Contains(text, "FAIL\t"):
		return found, ""
	default:
		return broken, text
	}
}

// builds compiles the package that the mutation is in.
func builds(ctx context.Context, m mutation, overlay string) (outcome, string) {
	if filepath.Ext(m.file) != ".go" {
		return found, ""
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", os.DevNull,
		"./"+filepath.Dir(m.file)).CombinedOutput()
	if err != nil {
		return broken, string(out)
	}
	return found, ""
}

// writeOverlay writes a build overlay (see `go help build`) that changes one file.
func writeOverlay(scratch string, m mutation, changed []byte) (string, error) {
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	mutated := filepath.Join(scratch, filepath.Base(m.file))
	if err := os.WriteFile(mutated, changed, 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(scratch, "overlay.json")
	return overlay, os.WriteFile(overlay, replace, 0o600)
}
