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

// unowned refuses a stream that an instance probably reads now. There is no certainty: an instance elsewhere that has
// not committed anything for a while leaves no trace. It is fenced in any case, so the log is safe; the refusal
// protects whoever runs that instance from a surprise.
func (e *Engine) unowned(ctx context.Context, c *connector.Checkpoint, found bool, names ...string) error {
	if e.options.TakeOver {
		return nil
	}
	for _, name := range names {
		if admin.Answers(ctx, e.config, name) {
			return cli.Hinted(fmt.Errorf("an instance is running with this configuration, and reads stream %s", name),
				"stop it first; or use --take-over: it stands down, and continues by itself from what the sink holds then")
		}
	}
	if e.beside {
		return cli.Hinted(errors.New("an instance is running: it serves the embedded server"),
			"stop it first; or use --take-over: it stands down, and continues by itself from what the sink holds then")
	}
	recent := 2 * e.config.Poll.MaxInterval
	since := time.Since(c.Written)
	if found && since < recent && !strings.HasPrefix(c.Owner, ownerPrefix) {
		return cli.Hinted(fmt.Errorf("an instance may be running: stream %s was last written %s ago, by instance %s", c.Stream,
			text.Span(since), brief(c.Owner)),
			fmt.Sprintf("if it was stopped, use --take-over, or wait until that was %s ago", text.Span(recent)))
	}
	return nil
}

// acquire takes a stream over, and waits while the sink does not take anything.
func (e *Engine) acquire(ctx context.Context, log connector.Log) (connector.State, error) {
	told := false
	return pipeline.TakeOver(ctx, log, 0, func(cause error) {
		if !told {
			told = true
			e.logger.Warn("the sink is waited for; it goes on by itself", "cause", cause)
		}
	})
}

// release closes a stream's log.
func (e *Engine) release(log connector.Log) { pipeline.GiveUp(log, e.logger) }
