package quarantine

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/restore"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Options are the options of the command line.
type Options struct {
	// Stream is the name of the one stream to replay; "" means all that are configured.
	Stream string
	// DryRun reports what would be delivered, and takes nothing over.
	DryRun bool
	// TakeOver replays even if a running instance answers.
	TakeOver bool
	JSON     bool
}

// Replay is one run of quarantine replay.
type Replay struct {
	program *cli.Program
	config  *config.Config
	options Options
	logger  *slog.Logger
	sink    sinks.Sink
	room    int // bytes of items that may still be held
}

// mostHeld bounds how many bytes of items are held in memory; if there are more, they are replayed in several runs.
const mostHeld = 64 << 20

// NewReplay makes a run.
func NewReplay(p *cli.Program, c *config.Config, o Options) *Replay {
	logger := cli.NewLeveledLogger(p, c.Log, slog.LevelWarn, p.Err)
	return &Replay{program: p, config: c, options: o, logger: logger, room: mostHeld}
}

// Run reads the quarantine, and delivers what can become an event now and is not in the log. The error is
// cli.ErrFoundWrong if anything is left that cannot be delivered.
func (r *Replay) Run(ctx context.Context) error {
	return cli.Stopped(ctx, r.run(ctx), "stopped before the end",
		"run the same command again: it delivers what is left, and nothing twice")
}

func (r *Replay) run(ctx context.Context) error {
	if chosen := r.config.Sink; chosen.NATS != nil || chosen.Stdout != nil {
		return cli.Usage("the sink %s keeps neither its quarantine nor its events, so nothing can be read again; quarantine replay needs jetstream, kafka, embedded or file", chosen.Chosen()[0])
	}
	sources, wrong := pipeline.OpenSources(r.config)
	defer func() {
		for _, source := range sources {
			source.Client.Close()
		}
	}()
	if len(wrong) > 0 {
		return wrong[0]
	}
	var err error
	if r.sink, _, err = pipeline.OpenSink(r.config, r.logger); err != nil {
		return err
	}
	defer func() {
		if err := r.sink.Close(); err != nil {
			r.logger.Warn("close the sink", "cause", err)
		}
	}()
	var all []*replayed
	var claims []connector.Claim // of streams to which something is to be delivered
	instance := "replay-" + rand.Text()
	for _, source := range sources {
		for _, claim := range pipeline.ClaimsOf(source.Config, source.Privacy, instance, pipeline.Overrides{}) {
			if r.options.Stream != "" && claim.Stream.Name != r.options.Stream {
				continue
			}
			one := &replayed{source: source, claim: claim}
			if err := r.read(ctx, one); err != nil {
				return r.failed(err)
			}
			all = append(all, one)
			if one.toDo() {
				claims = append(claims, claim)
			}
		}
	}
	if !r.options.DryRun && len(claims) > 0 {
		if err := r.deliver(ctx, all, claims); err != nil {
			return r.failed(err)
		}
	}
	return r.print(all)
}

// failed adds what to do to an error that has no hint.
func (r *Replay) failed(err error) error {
	var with *cli.HintedError
	if _, told := connector.DiagnosticOf(err); told || errors.As(err, &with) || errors.Is(err, context.Canceled) {
		return err
	}
	return cli.Hinted(err, "run the same command again: nothing is delivered twice; `twochat-connector check` says what is wrong with the sink")
}

// deliver takes over one stream after the other, and delivers to it.
func (r *Replay) deliver(ctx context.Context, all []*replayed, claims []connector.Claim) error {
	restorer := r.restorer(r.config)
	if err := restorer.Admitted(ctx, claims, restorer.Answers(ctx, claims), r.options.TakeOver); err != nil {
		if !slices.ContainsFunc(all, func(s *replayed) bool { return len(s.candidates()) > 0 }) {
			return nil // only a count is to be corrected, which can wait
		}
		return err
	}
	for _, one := range all {
		if !one.toDo() {
			continue
		}
		if err := r.deliverStream(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// restorer restores streams of an account.
func (r *Replay) restorer(of *config.Config) *restore.Restorer {
	return &restore.Restorer{Config: of, Sink: r.sink, Logger: r.logger, Word: "replay", Beside: r.options.TakeOver}
}

func (r *Replay) deliverStream(ctx context.Context, one *replayed) error {
	var tried []*candidate
	restorer := r.restorer(one.source.Config)
	restorer.Left = one.left
	done, err := restorer.Run(ctx, one.claim, func() (missing []reader.Missing, err error) {
		// Somebody may have delivered one in the meantime, so the log is read again.
		if err := one.lookFor(ctx, r.sink); err != nil {
			return nil, err
		}
		tried = one.candidates()
		for _, c := range tried {
			missing = append(missing, reader.Missing{
				Message: c.message, Received: c.item.Recorded, Refused: func(reason string) {
					c.outcome, c.because = Refused, reason
				},
			})
		}
		return missing, nil
	})
	if err != nil {
		return err
	}
	last := done.Last // of those that were tried last, as there may have been several attempts
	for _, c := range slices.Backward(tried) {
		if c.outcome == Deliver {
			c.outcome, c.sequence = Delivered, last
			last--
		}
	}
	return nil
}

func (r *Replay) print(all []*replayed) error {
	report := &Report{DryRun: r.options.DryRun}
	for _, one := range all {
		of := one.report(r.options.TakeOver)
		for i := range of.Items {
			of.Items[i].Hint = r.program.Hint(of.Items[i].Hint)
		}
		of.ElsewhereHint = r.program.Hint(of.ElsewhereHint)
		report.Streams = append(report.Streams, of)
	}
	var err error
	if r.options.JSON {
		err = cli.PrintJSON(r.program.Out, report)
	} else {
		err = report.print(r.program)
	}
	if err == nil && report.left() {
		err = cli.ErrFoundWrong
	}
	return err
}

// replayed is a stream whose quarantine is replayed.
type replayed struct {
	source     pipeline.Source // its client only decodes, and makes no requests
	claim      connector.Claim
	checkpoint connector.Checkpoint
	names      pipeline.Names
	erased     []connector.Seen // on request
	items      []*candidate
}

// candidate is an item of the quarantine, and what is known about it so far.
type candidate struct {
	item     Item // without its bytes
	message  connector.Message
	outcome  Outcome
	because  string
	sequence uint64
}

// left is how many items stay in the quarantine that are not in the log.
func (s *replayed) left() (left uint64) {
	for _, c := range s.items {
		if !slices.Contains([]Outcome{Delivered, Deliver, InLog, Erased}, c.outcome) {
			left++
		}
	}
	return left
}

// toDo reports whether something is to be delivered, or the checkpoint counts items that are settled: by an earlier
// version, which did not count them, or by the quarantine's retention.
func (s *replayed) toDo() bool {
	counted := s.checkpoint.Counters.InQuarantine(s.erased)
	return len(s.candidates()) > 0 || counted != s.left()
}

// hint is what to do about an item that stays in the quarantine, beside a running instance or not.
func (c *candidate) hint(beside bool) string {
	switch {
	case c.outcome != NotKept:
		return hintOf(c.outcome)
	case c.item.Way() == NoWay:
		return "only 2Chat has all of it: no event holds so much"
	}
	repair := "twochat-connector audit --all --repair"
	if beside {
		repair += " --take-over"
	}
	return "`" + repair + "` reads it from 2Chat again, and delivers it if it can become an event now; if the sink refused " +
		"it, raise its limit first"
}

// candidates returns those that are to be delivered.
func (s *replayed) candidates() []*candidate {
	var list []*candidate
	for _, c := range s.items {
		if c.outcome == Deliver {
			list = append(list, c)
		}
	}
	return list
}

func (s *replayed) report(beside bool) StreamReport {
	report := StreamReport{
		Stream: s.claim.Stream.Name, Items: []Replayed{}, Elsewhere: s.checkpoint.Counters.Elsewhere,
	}
	if report.Elsewhere > 0 {
		report.ElsewhereHint = s.names.Elsewhere()
	}
	for _, c := range s.items {
		report.Items = append(report.Items, Replayed{
			ID: c.item.ID, Recorded: c.item.Recorded, Reason: c.item.Reason, Outcome: c.outcome, Because: c.because,
			Hint: c.hint(beside), Sequence: c.sequence,
		})
	}
	return report
}
