// Command kafka lets the Kafka clients that data teams use read what the connector writes, in every mode, shape and
// codec, with the commands of deploy/consumers/kafka/README.md, and compares what they print with the fake 2Chat.
//
//	go run ./.ci/clients/kafka CONNECTOR BROKER FOLDER
//
// CONNECTOR is the built program, BROKER the address of a fresh Kafka, and FOLDER has a copy of deploy/consumers/kafka.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("expected the connector's program, the broker's address and a folder")
	}
	page := filepath.Join(args[2], "kafka")
	all, err := blocks(filepath.Join(page, "README.md"))
	if err != nil {
		return err
	}
	w, err := openWorld(args[0], args[1], args[2])
	if err != nil {
		return err
	}
	defer w.close()
	for i := range all {
		if !all[i].codecs {
			all[i].prepare(ctx, page) // in parallel
		}
	}
	found, err := w.fill(ctx)
	if err != nil {
		return err
	}
	r := &reader{world: w, found: found, folder: page, turns: make(chan struct{}, 2)}
	special := map[string]bool{} // programs that need packages for other codecs
	for _, b := range all {
		for _, command := range b.read {
			special[program(command)] = special[program(command)] || b.codecs
		}
	}
	err = r.all(ctx, all, false, func(command string) []string {
		if special[program(command)] || uncommitted(command) {
			return []string{modesTopic}
		}
		return []string{modesTopic, codecsTopic}
	})
	for i := range all {
		if all[i].codecs {
			all[i].prepare(ctx, page)
		}
	}
	return errors.Join(err, r.all(ctx, all, true, func(string) []string { return []string{codecsTopic} }))
}

// all runs the commands of the blocks of one kind, each block's in order and two at a time, on their topics.
func (r *reader) all(ctx context.Context, blocks []block, codecs bool, topics func(string) []string) error {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	said := func(text string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
		} else {
			fmt.Println(text)
		}
	}
	for _, b := range blocks {
		if b.codecs != codecs {
			continue
		}
		wait.Go(func() {
			took, err := b.prepared()
			if errors.Is(err, errMissing) {
				said(fmt.Sprintf("SKIPPED: %s: %v", strings.Join(b.programs(), ", "), err), nil)
				return
			}
			if said(fmt.Sprintf("%s: %.1f s", b.fetch, took.Seconds()), err); err != nil {
				return
			}
			for _, command := range b.read {
				for _, topic := range topics(command) {
					said(r.run(ctx, command, topic))
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
