package pipeline

import (
	"log/slog"
	"sync"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// recordedState is what a pipeline records about its sink. It is safe for concurrent use.
type recordedState struct {
	logger *slog.Logger

	mu      sync.Mutex
	sinkOK  bool        // the sink answered and refused nothing
	waiting cli.Problem // why the sink did not answer yet, and what to do
}

// notReached records why the sink did not answer, and logs each cause once.
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

// judge ends the start if a finding refuses it, and logs the warnings once.
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
