package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func wantWayOn(t *testing.T, err error, word string) {
	t.Helper()
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Hint, word) || !strings.Contains(refusal.Thing, "data") {
		t.Fatalf("got %v, want a refusal that names the folder, with %q", err, word)
	}
}

func folderConfig(t *testing.T) Config {
	t.Helper()
	return Config{Listen: "127.0.0.1:0", Dir: filepath.Join(t.TempDir(), "data")}
}

// written leaves a folder with a log of ten events, closed or as after a crash.
func written(t *testing.T, c Config, n int) {
	t.Helper()
	sink := open(t, c, connector.ModeStructured)
	write(t, sink, "one", n)
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
}

func acquire(t *testing.T, c Config, claim connector.Claim) (connector.State, error) {
	t.Helper()
	sink := open(t, c, connector.ModeStructured)
	log := sink.Log(claim)
	state, err := log.Acquire(t.Context())
	if err := errors.Join(log.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}
	return state, err
}

func TestLog_FolderThatIsRemovedUnderItIsRefusedUntilItIsBack(t *testing.T) {
	c := folderConfig(t)
	sink := open(t, c, connector.ModeStructured)
	held := write(t, sink, "one", 10)
	log := sink.Log(claim("two"))
	defer log.Close()
	if _, err := log.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	away := c.Dir + ".away"
	for _, exchanged := range []bool{false, true} {
		if err := os.Rename(c.Dir, away); err != nil {
			t.Fatal(err)
		}
		if exchanged {
			if err := os.CopyFS(c.Dir, os.DirFS(away)); err != nil {
				t.Fatal(err)
			}
		}
		events := sinktest.Events(claim("two").Stream, 11, 2)
		wantWayOn(t, log.Commit(t.Context(), events, nil, sinktest.Next(held, events, nil, 10)),
			"--first-start=595981048477:10")
		for range 2 {
			_, err := log.Acquire(t.Context())
			wantWayOn(t, err, "--first-start=595981048477:10")
		}
		if err := errors.Join(os.RemoveAll(c.Dir), os.Rename(away, c.Dir)); err != nil {
			t.Fatal(err)
		}
		state, err := log.Acquire(t.Context())
		if err != nil || state.Checkpoint.Sequence != 10 {
			t.Fatalf("back again: sequence %d, %v", state.Checkpoint.Sequence, err)
		}
	}
}

func TestOpen_FolderThatWentBackBetweenTwoRunsIsNoFirstStart(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, c Config) (found uint64){
		"removed": func(t *testing.T, c Config) uint64 {
			if err := os.RemoveAll(c.Dir); err != nil {
				t.Fatal(err)
			}
			return 0
		},
		"restored": func(t *testing.T, c Config) uint64 {
			copied := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(copied, os.DirFS(c.Dir)); err != nil {
				t.Fatal(err)
			}
			written(t, c, 5)
			if err := errors.Join(os.RemoveAll(c.Dir), os.CopyFS(c.Dir, os.DirFS(copied))); err != nil {
				t.Fatal(err)
			}
			return 10
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := folderConfig(t)
			written(t, c, 10)
			found := harm(t, c)
			last := uint64(10)
			if found > 0 {
				last = 15
			}
			for range 2 { // an orchestrator starts it again and again
				_, err := acquire(t, c, claim("two"))
				wantWayOn(t, err, map[uint64]string{10: "--first-start=595981048477:10", 15: "--first-start=595981048477:15"}[last])
			}
			said := claim("two")
			said.FirstStart, said.After = true, last
			state, err := acquire(t, c, said)
			if err != nil || state.Checkpoint.Sequence != last {
				t.Fatalf("at the operator's word: sequence %d, %v", state.Checkpoint.Sequence, err)
			}
			if state, err = acquire(t, c, claim("three")); err != nil || state.Checkpoint.Sequence != last {
				t.Fatalf("afterwards: sequence %d, %v", state.Checkpoint.Sequence, err)
			}
		})
	}
}

// After a crash the note is a little outdated: numbers that may have been used since then are not used again.
func TestOpen_AfterACrashTheWayOnLeavesRoomForWhatWasNotNoted(t *testing.T) {
	c := folderConfig(t)
	sink := open(t, c, connector.ModeStructured)
	write(t, sink, "one", 10)
	note, err := os.ReadFile(c.Dir + ".reached")
	if err != nil {
		t.Fatal(err)
	}
	write(t, sink, "one", 900)
	write(t, sink, "one", 100)
	if now, err := os.ReadFile(c.Dir + ".reached"); err != nil || slices.Equal(now, note) {
		t.Fatalf("a thousand events later the note says what it said (%v)", err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(c.Dir), os.WriteFile(c.Dir+".reached", note, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = acquire(t, c, claim("two"))
	wantWayOn(t, err, "--first-start=595981048477:2010")
}

func TestOpen_NoteThatIsBrokenIsRefusedByName(t *testing.T) {
	c := folderConfig(t)
	written(t, c, 3)
	path := c.Dir + ".reached"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(contents []byte) {
		if err := os.WriteFile(path, contents, 0o600); err != nil {
			t.Fatal(err)
		}
		var refusal *connector.Refusal
		if _, err := loadReachedFile(c.Dir, nil); !errors.As(err, &refusal) ||
			!strings.Contains(refusal.Hint, "rm '"+path+"'") {
			t.Fatalf("got %v, want a refusal that says how to go on", err)
		}
	}
	for at := range raw {
		for bit := range 8 {
			turned := slices.Clone(raw)
			turned[at] ^= 1 << bit
			try(turned)
		}
		try(raw[:at])
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if state, err := acquire(t, c, claim("two")); err != nil || state.Checkpoint.Sequence != 3 {
		t.Fatalf("without it: sequence %d, %v", state.Checkpoint.Sequence, err)
	}
}
