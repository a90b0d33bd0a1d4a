package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

// ownerPrefix begins the owner's name that this command uses while it writes. No running instance has such a name.
const ownerPrefix = "checkpoint-"

// guard is an Engine that refuses what would surprise whoever runs an instance.
type guard struct {
	*Engine
	// aftermath is what becomes of an instance that runs while its streams are taken over.
	aftermath string
}

// unowned refuses a stream that an instance probably reads now. There is no certainty: an instance elsewhere that has
// not committed anything for a while leaves no trace. It is fenced in any case, so the log is safe; the refusal
// protects whoever runs that instance from a surprise. A sink that is locked by who writes to it needs no guess: its
// own check refuses.
func (e *guard) unowned(ctx context.Context, c *connector.Checkpoint, found bool, names ...string) error {
	if err := e.unanswered(ctx, names...); err != nil || e.locked() {
		return err
	}
	return e.quiet(c, found)
}

// locked reports whether only one process at a time can have the sink open.
func (e *guard) locked() bool {
	chosen := e.config.Sink
	return chosen.File != nil || chosen.Stdout != nil || chosen.NATS != nil || chosen.Embedded != nil && !e.beside
}

// unanswered refuses the streams of an instance that answers.
func (e *guard) unanswered(ctx context.Context, names ...string) error {
	hint := "stop it first, and run the same command again"
	if !e.locked() {
		hint = "stop it first; or use --take-over: " + e.aftermath
	}
	if e.options.TakeOver {
		return nil
	}
	for _, name := range names {
		if admin.Answers(ctx, e.config, name) {
			return cli.Hinted(fmt.Errorf("an instance is running with this configuration, and reads stream %s", name), hint)
		}
	}
	if e.beside {
		return cli.Hinted(errors.New("an instance is running: it serves the embedded server"), hint)
	}
	return nil
}

// quiet refuses a stream to which an instance has written a short time ago.
func (e *guard) quiet(c *connector.Checkpoint, found bool) error {
	recent := 2 * e.config.Poll.MaxInterval
	since := time.Since(c.Written)
	if !e.options.TakeOver && found && since < recent && !strings.HasPrefix(c.Owner, ownerPrefix) {
		return cli.Hinted(fmt.Errorf("an instance may be running: stream %s was last written %s ago, by instance %s", c.Stream,
			text.Span(since), brief(c.Owner)),
			fmt.Sprintf("if it was stopped, use --take-over, or wait until that was %s ago", text.Span(recent)))
	}
	return nil
}

// inUse refuses a stream that an instance reads now, although nothing is taken over, so that the sink itself refuses
// nothing. The lock of a sink that only one process can have open, and what replicas announce, tell that for certain:
// who was stopped has given up either. Elsewhere the last commit has to tell.
func (e *guard) inUse(ctx context.Context, c *connector.Checkpoint) error {
	if e.options.TakeOver {
		return nil
	}
	if lockable, ok := e.sink.(interface{ InUse() error }); ok {
		return lockable.InUse()
	}
	if e.locked() {
		return nil // this process has it
	}
	if present, known := pipeline.Present(ctx, e.sink); known {
		if len(present) == 0 {
			return nil
		}
		return cli.Hinted(fmt.Errorf("an instance is running on this sink: %s", present[0]),
			"stop it first; or use --take-over: "+e.aftermath)
	}
	return e.quiet(c, true)
}

// What becomes of an instance that runs while its streams are taken over.
const (
	goesOn    = "it stands down, and continues by itself from what the sink holds then"
	isRefused = "it is refused from then on, until it is started with the configuration of this command"
	isLeftOut = "what it delivers from now on is not in the file"
	isRenamed = "it is refused from then on, until it is started with the stream's new name"
)

// samePrivacy refuses a privacy mode or a key under which chats would get other tokens, unless that is accepted. run
// does the same; but its flag would not help here.
func (e *guard) samePrivacy(claim connector.Claim, found *connector.Checkpoint) error {
	if found.Privacy == claim.Privacy || found.RenamedTo != "" || e.options.Rekey {
		return nil
	}
	return cli.Hinted(fmt.Errorf("the events of stream %s were written with privacy %q, but the configuration has %q, "+
		"which would move chats to other keys", found.Stream, found.Privacy, claim.Privacy),
		"set the former mode and key again, or accept it with --rekey")
}

// acquire takes a stream over, and waits while the sink does not take anything.
func (e *Engine) acquire(ctx context.Context, log connector.Log) (connector.State, error) {
	return pipeline.TakeOver(ctx, log, 0, e.logger)
}

// release closes a stream's log.
func (e *Engine) release(log connector.Log) { pipeline.GiveUp(log, e.logger) }
