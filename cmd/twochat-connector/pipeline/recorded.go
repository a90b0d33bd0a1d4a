package pipeline

import (
	"log/slog"
	"sync"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// recordedState is what a pipeline records of its sink. It may be used by several goroutines.
type recordedState struct {
	logger *slog.Logger

	mu      sync.Mutex
	sinkOK  bool        // the sink was asked and refused nothing
	waiting cli.Problem // why the sink could not be asked yet, and what to do
}

// notReached records and says, once for each cause, why the sink could not be asked.
func (r *recordedState) notReached(err error) {
	now := sinkTrouble(err)
	r.mu.Lock()
	news := r.waiting != now
	r.waiting = now
	r.mu.Unlock()
	if news {
		r.logger.Warn("the sink cannot be reached; nothing is polled until it can", "cause", now.Text, "hint", now.Hint)
	}
}

// judge ends the start where a finding refuses it, and says the warnings once.
func (r *recordedState) judge(findings []connector.Finding) error {
	var refused cli.RefusedError
	for _, finding := range findings {
		switch finding.Level {
		case connector.FindingRefused:
			refused = append(refused, finding)
		case connector.FindingWarning:
			r.logger.Warn("the sink's settings weaken the promise", "thing", finding.Thing, "finding", finding.Text, "hint",
				finding.Hint)
		}
	}
	if refused != nil {
		return refused
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting != (cli.Problem{}) {
		r.logger.Info("the sink is reached")
	}
	r.sinkOK, r.waiting = true, cli.Problem{}
	return nil
}
