package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
)

// OpenForCheck opens the existing data of the folder, for CheckAcquire: no client can reach the server, and nothing is
// created or limited. It refuses what Open would: a folder in use, or an address that is taken. If the folder holds no
// data yet, it returns no sink and no error.
func OpenForCheck(c Config, encoding connector.Encoding) (*Sink, error) {
	c = c.withDefaults()
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if err := inUse(c, dir); err != nil {
		return nil, err
	}
	if _, err := free(c.Listen); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return opened(c, encoding, slog.New(slog.DiscardHandler), func(s *Sink, _ context.Context) error {
		return s.serve(server.Options{DontListen: true})
	})
}

// inUse is the refusal if another process uses the folder.
func inUse(c Config, dir string) error {
	path := filepath.Join(dir, "lock")
	if _, err := os.Stat(path); err != nil {
		return nil // Check reports problems of the folder
	}
	held, err := takeLock(path)
	if errors.Is(err, errInUse) {
		return refuseInUse(c)
	}
	if err != nil {
		return nil
	}
	return held.release()
}
