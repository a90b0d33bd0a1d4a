package simulation

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutations each remove one rule from the code. The worlds that fail without a rule show what it is for.
var mutations = []struct {
	name, file, rule, without string
	worlds                    string // plain, hard
	count                     string // of worlds, and the first seed, if few of them show it
	slow                      bool   // it takes half a minute or more
}{
	{
		"walks stop at what is merely known", "reader/walk.go", "case r.ends.bottom(m.Key):", "case r.known.has(m.Key):",
		"plain", "200", false,
	},
	{
		"every walk certifies", "reader/deliver.go",
		"case r.progress.previous != nil && !w.movedUp && r.progress.agrees(w.order, batch):\n\t\tcertified, agreed = r.progress.previous.certifies, true",
		"default:\n\t\tcertified, agreed = everything, true", "plain", "200", false,
	},
	{
		"pages that contradict each other are ignored", "reader/walk.go", "case fresh || !lists(w.before, m.Key):",
		"case fresh && false:", "plain", "200", false,
	},
	{
		"the window is the newest events, certified or not", "reader/window.go",
		"if oldest.sequence() > w.certified || w.inOrder < w.rules.MinWindow ||\n\t\t\t!oldest.late() && w.inOrder == w.rules.MinWindow {",
		"if false {", "hard", "100", false,
	},
	{
		"the sweep delivers whatever is unknown", "reader/late.go",
		"anchor &&\n\t\t\t(!placed || at.late() || at.sequence() >= r.known.remembered()) {",
		"anchor || true || placed && at == 0 {", "hard", "200", true,
	},
	{
		"a forgotten past above a floor is not minded", "reader/known.go", "return ok && k.window.wholeAbove(at)",
		"return ok && at < 1<<60", "hard", "100", false,
	},
	{
		"batches hold whatever repeats", "reader/parallel.go", "return ok && repeated == grown, nil",
		"return ok && repeated >= 0, nil", "plain", "100", false,
	},
	{
		"an unclear answer is taken for a no", "reader/session.go", "if !LeftUnchanged(err) {",
		"if errors.Is(err, connector.ErrFenced) {", "plain", "50", false,
	},
	{
		"an empty page ends the list at once", "reader/list_state.go",
		`if page, err = l.source.read(ctx, number, ""); err != nil || number == 0 || len(page.Messages) > 0 {`,
		`if page, err = l.source.read(ctx, number, ""); true {`, "gaps", "40", false,
	},
	{
		"an end without ground is believed at once", "reader/list_state.go", "return s.Checks >= rules.Checks",
		"return s.Checks > 0", "lying", "100", false,
	},
	{
		"what was erased on request is forgotten", "reader/window.go", "seen = withErased(seen, state.Erased, tail)",
		"seen = withErased(seen, nil, tail)", "erasing", "100", false,
	},
	{"the log takes commits from anybody", "", "", "", "plain", "100", false},
}

// TestMutations builds the simulation with one rule removed at a time, and expects a world to fail (not the compiler).
func TestMutations(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			if m.slow && !*slow {
				t.Skip("it takes long: -slow runs it, as the gate does")
			}
			t.Parallel()
			args := []string{"test", "-run", "^TestWorlds$/^" + m.worlds + "$", "-count=1"}
			if m.file == "" {
				args = append(args, ".", "-mutation", "unguarded")
			} else {
				args = append(args, "-overlay", overlay(t, m.file, m.rule, m.without), ".", "-mutation", "source")
			}
			out, err := exec.CommandContext(t.Context(), "go",
				append(args, strings.Fields("-worlds "+m.count)...)...).CombinedOutput()
			if err == nil {
				t.Errorf("%s worlds stay green without the rule", m.count)
			} else if !strings.Contains(string(out), "worlds_test.go:") {
				t.Fatalf("it did not run: %s", out)
			}
		})
	}
}

// overlay writes a build overlay (go help build) that changes one place of a file below connector.
func overlay(t *testing.T, file, rule, without string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), rule); n != 1 {
		t.Fatalf("%s holds the rule %q %d times: mend this table", file, rule, n)
	}
	folder := t.TempDir()
	mutated := filepath.Join(folder, filepath.Base(file))
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), rule, without, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
