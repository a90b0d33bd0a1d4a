package audit

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/restore"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Repair is the result of a repair.
type Repair struct {
	// Restored counts messages that were delivered as late, with the sequences from First to Last.
	Restored int    `json:"restored"`
	First    uint64 `json:"first_sequence,omitempty"`
	Last     uint64 `json:"last_sequence,omitempty"`
	// Present counts messages that were in the log by the time of the takeover: another instance had delivered them.
	Present int `json:"present"`
	// Quarantined counts messages that the sink refuses for good.
	Quarantined int `json:"quarantined"`
	// Refused counts messages that are in the quarantine, and that the sink still refuses.
	Refused int `json:"refused"`
	// Left counts messages that are still missing, as not all of them fit into memory at once.
	Left int `json:"left"`
}

// Obstacle is why a repair would be refused now, and what to do before it.
type Obstacle struct {
	Cause string `json:"cause"`
	Hint  string `json:"hint"`
}

// beforeRepair is why the stream could not be taken over for a repair; nil if it could, as far as the sink tells.
func (one *audited) beforeRepair(ctx context.Context, sink sinks.Sink) *Obstacle {
	var refusal *connector.Refusal
	if !errors.As(sink.CheckAcquire(ctx, one.claim), &refusal) {
		return nil
	}
	return &Obstacle{Cause: refusal.Thing + ": " + refusal.Cause, Hint: refusal.Hint}
}

// mayRepair refuses a repair that could not take over its streams, before any page is paid for.
func (a *Engine) mayRepair(ctx context.Context, all []*audited) error {
	if !a.options.Repair || a.options.DryRun {
		return nil
	}
	claims := make([]connector.Claim, len(all))
	for i := range all {
		claims[i] = all[i].claim
	}
	return a.restorer(a.config).Admitted(ctx, claims, a.options.besideRun(a.accounts), a.options.TakeOver)
}

// besideRun reports whether an instance answered that runs with this configuration, and that delivers what is audited.
func (o *Options) besideRun(accounts []*account) bool {
	return !o.History && slices.ContainsFunc(accounts, func(of *account) bool { return of.spare.Beside() })
}

// repairFlags are those of a repair that is not refused: beside an instance that answered, it has to take over. A file
// cannot be taken over, so there the instance is to be stopped first.
func (a *Engine) repairFlags() []string {
	if a.options.besideRun(a.accounts) && a.config.Sink.File == nil {
		return []string{"--repair", "--take-over"}
	}
	return []string{"--repair"}
}

// restorer restores streams of an account.
func (a *Engine) restorer(of *config.Config) *restore.Restorer {
	return &restore.Restorer{Config: of, Sink: a.sink, Logger: a.logger, Word: "repair", Beside: a.options.TakeOver}
}

// restore takes over a stream, checks which messages the log still lacks, and delivers them. It also tries the messages
// in the quarantine that are listed as valid items, as the sink's limit may have been raised.
func (a *Engine) restore(
	ctx context.Context, one *audited, list *Listed, missing, aside []connector.Key,
) (*Repair, error) {
	repair := &Repair{}
	done, err := a.restorer(one.account.Config).Run(ctx, one.claim, func() (lacking []reader.Missing, err error) {
		present := NewLogged()
		if err := a.sink.ReadBack(ctx, one.claim.Stream.Name, present.Add, present.AddReject); err != nil {
			return nil, err
		}
		for _, key := range missing {
			message := list.kept[key]
			_, rejected := present.rejects[key]
			switch {
			case present.Has(key), rejected:
				repair.Present++
			case message.Message.UUID == "": // there was no room to keep it
				repair.Left++
			default:
				lacking = append(lacking, message)
			}
		}
		for _, key := range aside {
			message := list.kept[key]
			if present.Has(key) || message.Message.UUID == "" {
				continue
			}
			message.Refused = func(string) { repair.Refused++ }
			lacking = append(lacking, message)
		}
		return lacking, nil
	})
	if err != nil {
		return nil, err
	}
	repair.Restored, repair.Quarantined = done.Delivered, done.Quarantined
	repair.First, repair.Last = done.First, done.Last
	return repair, nil
}
