//go:build linux

package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// smallDisk mounts a disk of its own, which needs the permission to do so.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("not tried: no disk can be mounted here (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill uses all the space except that many bytes, and returns a function that frees it.
func fill(t *testing.T, disk string, but int64) (free func()) {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(disk, &stat); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(disk, "ballast")
	if err := os.WriteFile(path, make([]byte, int64(stat.Bavail)*stat.Bsize-but), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLog_HealsWhenAFullDiskHasRoomAgain(t *testing.T) {
	disk := smallDisk(t, "16m")
	sink := open(t, Config{Listen: "127.0.0.1:0", Dir: filepath.Join(disk, "data")}, connector.ModeStructured)
	address := sink.URL()
	log := sink.Log(claim("one"))
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := state.Checkpoint
	const piece = 50
	commit := func() error {
		events := sinktest.Events(claim("one").Stream, held.Sequence+1, piece)
		next := sinktest.Next(held, events, nil, held.Sequence+piece)
		if err := log.Commit(t.Context(), events, nil, next); err != nil {
			return err
		}
		held = next
		return nil
	}
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		free := fill(t, disk, int64(400+150*round)<<10)
		for err = nil; err == nil; {
			err = commit()
		}
		t.Log(err)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Commit on a full disk: got %v, want the cause in it", err)
		}
		for range 3 {
			if _, err = log.Acquire(t.Context()); !errors.Is(err, connector.ErrNotNow) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("Acquire on a full disk: got %v, want ErrNotNow and the cause", err)
			}
		}
		free()
		for {
			if state, err = log.Acquire(t.Context()); err == nil {
				break
			}
			if !errors.Is(err, connector.ErrNotNow) {
				t.Fatalf("Acquire once there is room: %v", err)
			}
		}
		if state.Checkpoint.Sequence < held.Sequence || state.Checkpoint.Sequence > held.Sequence+piece {
			t.Fatalf("the log goes on at %d after %d", state.Checkpoint.Sequence, held.Sequence)
		}
		held = state.Checkpoint
		for range 5 {
			if err := commit(); err != nil {
				t.Fatalf("Commit once there is room: %v", err)
			}
		}
	}
	if sink.URL() != address {
		t.Fatalf("clients find the server at %s, it was at %s", sink.URL(), address)
	}
	events := sinktest.Events(claim("one").Stream, 1, int(held.Sequence))
	messages := stored(t, sink, "whatsapp.")
	for i, m := range messages {
		if got := sinktest.Structured(t, m.Data); i >= len(events) || got.ID != events[i].ID || got.Sequence != uint64(i+1) {
			t.Fatalf("event %d is the one with sequence %d", i+1, got.Sequence)
		}
	}
	if len(messages) != len(events) {
		t.Fatalf("%d events are there, want %d", len(messages), len(events))
	}
}

func TestOpen_WaitsForRoomOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "8m")
	c := Config{Listen: "127.0.0.1:0", Dir: filepath.Join(disk, "data")}
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // with nothing in the folder, and with a log
		free := fill(t, disk, 8<<10)
		sink := open(t, c, connector.ModeStructured)
		log := sink.Log(claim("one"))
		if _, err := log.Acquire(t.Context()); !errors.Is(err, connector.ErrNotNow) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("round %d: Acquire on a full disk: got %v, want ErrNotNow and the cause", round, err)
		}
		free()
		for {
			state, err := log.Acquire(t.Context())
			if err == nil {
				if state.Checkpoint.Sequence != uint64(10*round) {
					t.Fatalf("stands at %d", state.Checkpoint.Sequence)
				}
				break
			}
			if !errors.Is(err, connector.ErrNotNow) {
				t.Fatalf("round %d: Acquire once there is room: %v", round, err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, sink, "two", 10)
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
