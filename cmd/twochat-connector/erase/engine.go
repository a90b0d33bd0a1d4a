package erase

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/backfill"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Options are the options of the command line.
type Options struct {
	Streams []connector.Stream
	// Chat names the chat as given on the command line; it is personal data.
	Chat string
	// DryRun only counts. Yes skips the confirmation.
	DryRun, Yes bool
	// TakeOver erases even if a running instance answers.
	TakeOver bool
	JSON     bool
}

// Engine is one run of the command erase.
type Engine struct {
	program *cli.Program
	config  *config.Config
	options Options
	logger  *slog.Logger

	opened []sinks.Sink
	report Report
	madeOf string // what the token is made of by which the chat was named, if an event tells
}

// New makes a run.
func New(p *cli.Program, c *config.Config, options Options) *Engine {
	return &Engine{
		program: p, config: c, options: options, logger: cli.NewLeveledLogger(p, c.Log, slog.LevelWarn, p.Err),
		report: Report{Sink: c.Sink.Chosen()[0], DryRun: options.DryRun, Streams: []*StreamReport{}},
	}
}

// Run counts what the sink holds of the chat and, unless it is a dry run, erases it. The error is cli.ErrFoundWrong if
// some of it stays, as Kafka's brokers keep it.
func (e *Engine) Run(ctx context.Context) error {
	defer e.close()
	return cli.Stopped(ctx, e.run(ctx), "stopped before the end", "run the same command again: it goes on where it was")
}

func (e *Engine) run(ctx context.Context) error {
	found, err := e.find(ctx)
	if err != nil {
		return err
	}
	if _, can := e.opened[0].(sinks.Eraser); !can {
		return e.leave(ctx, found)
	}
	if counts := e.report.counts(); !e.options.DryRun && counts != (connector.ErasedCounts{}) {
		if err := e.mayErase(ctx, found); err != nil {
			return err
		}
		if n := counts.Events + counts.Rejects; n >= tellFrom && e.config.Sink.File == nil {
			e.logger.Warn("each message is overwritten by itself, which takes a while", "messages", n)
		}
		for _, one := range found {
			if err := e.erase(ctx, one); err != nil {
				return err
			}
		}
	}
	if err := e.report.print(e.program, e.options.JSON); err != nil {
		return err
	}
	if e.report.incomplete() {
		return cli.ErrFoundWrong
	}
	return nil
}

// target is a stream of which the sink holds something, and the chat in it.
type target struct {
	sink  sinks.Sink
	claim connector.Claim
	// checkpoint is the one that was found. formerOf is the stream's present name, if the target is under a former one.
	checkpoint connector.Checkpoint
	formerOf   string
	keys       formerKeys

	chat   *twochat.Chat
	report *StreamReport
}

// find looks for the chat in each stream, and in the history of each that backfill delivered.
func (e *Engine) find(ctx context.Context) ([]*target, error) {
	sink, _, err := pipeline.OpenSink(e.config, e.logger)
	if err != nil {
		return nil, err
	}
	e.opened = append(e.opened, sink)
	if err := e.identify(ctx, sink); err != nil {
		return nil, err
	}
	var found []*target
	for _, account := range e.config.ByAccount() {
		if !slices.ContainsFunc(account.Streams(), e.wants) {
			continue // problems of another account do not matter
		}
		some, err := e.findIn(ctx, account, sink)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	if len(found) == 0 {
		return nil, cli.Hinted(errors.New("the sink holds no checkpoint of any of these streams, so nothing can be erased"),
			"name the sink that `twochat-connector run` writes to")
	}
	return found, nil
}

// wants reports whether a stream is one to erase from.
func (e *Engine) wants(stream connector.Stream) bool {
	return slices.ContainsFunc(e.options.Streams, func(s connector.Stream) bool { return s.Name == stream.Name })
}

// findIn looks for the chat in the streams of one account, whose chats have tokens of their own.
func (e *Engine) findIn(ctx context.Context, account *config.Config, sink sinks.Sink) ([]*target, error) {
	privacy, err := pipeline.PrivacyOf(account)
	if err != nil {
		return nil, err
	}
	var found []*target
	for _, claim := range pipeline.ClaimsOf(account, privacy, rand.Text(), pipeline.Overrides{}) {
		if !e.wants(claim.Stream) {
			continue
		}
		history := claim
		history.Stream = connector.HistoryStream(claim.Stream)
		beside, err := e.historySink(sink, history.Stream)
		if err != nil {
			return nil, err
		}
		var live connector.FormerKeys // of the live stream, whose tokens the history has
		for _, one := range []*target{{sink: sink, claim: claim}, {sink: beside, claim: history}} {
			if one.sink == nil {
				continue
			}
			one.keys.others = live
			// A history was read for the live stream, so its chats have the same tokens.
			if one.chat, err = twochat.NewChat(privacy, claim.Stream, e.options.Chat); err != nil {
				return nil, cli.UsageOf(err)
			}
			if e.madeOf != "" {
				one.chat.Also(e.madeOf)
			}
			there, err := e.count(ctx, one)
			if err != nil {
				return nil, err
			}
			if !there {
				continue
			}
			live = one.checkpoint.FormerKeys
			former, err := e.findFormer(ctx, one)
			if err != nil {
				return nil, err
			}
			found = append(append(found, one), former...)
		}
	}
	return found, nil
}

// historySink is the sink with what backfill delivered; nil if there is none.
func (e *Engine) historySink(live sinks.Sink, history connector.Stream) (sinks.Sink, error) {
	if e.config.Sink.File == nil {
		return live, nil
	}
	own := *e.config.Sink.File
	own.Path = backfill.FileBeside(own.Path, history.Name)
	if _, err := os.Stat(own.Path); err != nil {
		return nil, nil
	}
	sink, err := sinks.Open(sinks.Config{File: &own}, e.config.Encoding(), e.logger)
	if err == nil {
		e.opened = append(e.opened, sink)
	}
	return sink, err
}

// count learns the chat's tokens and counts what belongs to it. there is false if the stream has no checkpoint.
func (e *Engine) count(ctx context.Context, one *target) (there bool, err error) {
	name := one.claim.Stream.Name
	const look = "`twochat-connector check` says what is wrong with the sink"
	checkpoint, there, err := pipeline.Peek(ctx, one.sink, one.claim)
	if err != nil {
		return false, cli.Hinted(fmt.Errorf("read the checkpoint of stream %s: %w", name, err), look)
	}
	if !there {
		return false, nil
	}
	one.keys.learn(one, checkpoint)
	if one.formerOf != "" && checkpoint.RenamedTo != "" {
		one.claim = one.claim.ForFormerName(checkpoint)
	}
	if err := one.claim.Admit(checkpoint); err != nil {
		return false, err
	}
	one.checkpoint = checkpoint
	r := &StreamReport{
		Stream: name, FormerNameOf: one.formerOf, Elsewhere: checkpoint.Elsewhere.Count(1, checkpoint.Sequence),
	}
	if r.Elsewhere > 0 {
		r.ElsewhereSink = checkpoint.ImportedFrom
	}
	one.report, e.report.Streams = r, append(e.report.Streams, r)
	read := func(event func(connector.StoredRecord) error, reject func([]byte) error) error {
		err := one.sink.ReadBack(ctx, name, event, reject)
		var refusal *connector.Refusal
		if err == nil || ctx.Err() != nil || errors.As(err, &refusal) {
			return err
		}
		return cli.Hinted(err, look)
	}
	if one.chat.ByContents() {
		err = read(func(stored connector.StoredRecord) error {
			one.chat.Learn(stored.Event)
			return nil
		}, func([]byte) error { return nil })
		if err != nil {
			return false, err
		}
	}
	chats := make(map[string]struct{})
	err = read(func(stored connector.StoredRecord) error {
		if stored.Fault != nil {
			e.report.unreadable(stored.Position)
			return nil
		}
		r.Events.Looked++
		ours := one.chat.Event(stored.Event)
		one.keys.see(stored, ours)
		if ours {
			r.Events.Found++
			chats[subjectOf(stored.Event)] = struct{}{}
			r.place(stored)
		}
		return nil
	}, func(reject []byte) error {
		r.Rejects.Looked++
		if one.chat.Reject(reject) {
			r.Rejects.Found++
		}
		return nil
	})
	r.Chats, r.Unreachable, r.ByToken = len(chats), one.keys.unreachable(), one.keys.blind
	return true, err
}

// subjectOf is the token of an event's chat.
func subjectOf(event []byte) string {
	var e struct{ Subject string }
	_ = json.Unmarshal(event, &e) // it was read before
	return e.Subject
}

// mayErase returns an error if the streams could not be taken over, and asks for confirmation.
func (e *Engine) mayErase(ctx context.Context, found []*target) error {
	if e.config.Sink.File == nil && !e.options.TakeOver && admin.Answers(ctx, e.config, e.options.Streams[0].Name) {
		return cli.Hinted(errors.New("an instance that runs with this configuration answers, and erasing takes its streams over"),
			"stop it; or say --take-over: it stands down meanwhile, and goes on by itself after a few intervals")
	}
	for _, one := range found {
		if err := one.sink.CheckAcquire(ctx, one.claim); err != nil {
			return fmt.Errorf("erase from stream %s: %w", one.claim.Stream.Name, err)
		}
	}
	if e.options.Yes {
		return nil
	}
	if err := e.report.ask(e.program.Err); err != nil {
		return err
	}
	answer := make([]byte, 16)
	n, err := e.program.In.Read(answer)
	if err != nil || strings.TrimSpace(string(answer[:n])) != "yes" {
		return cli.Hinted(errors.New("nothing was erased: the answer was not yes"), "say --yes where nobody is to be asked")
	}
	return nil
}

// tellFrom is the number of messages from which the command announces that it takes a while: about 10 ms each.
const tellFrom = 500

// acquireWithin is how long the command tries to take a stream over.
const acquireWithin = time.Minute

// erase takes a stream over, and erases the chat from it.
func (e *Engine) erase(ctx context.Context, one *target) error {
	name := one.claim.Stream.Name
	log := one.sink.Log(one.claim)
	logger := e.logger.With("stream", name)
	defer pipeline.GiveUp(log, logger)
	const again = "run the same command again: it goes on where it was"
	taken, err := pipeline.TakeOver(ctx, log, acquireWithin, logger)
	if err != nil {
		return cli.Hinted(fmt.Errorf("take stream %s over: %w", name, err), again)
	}
	eraser, can := one.sink.(sinks.Eraser)
	if !can {
		return fmt.Errorf("stream %s: its sink cannot erase", name)
	}
	erased, err := eraser.Erase(ctx, one.claim, connector.Choice{Event: one.chat.Event, Reject: one.chat.Reject})
	var refusal *connector.Refusal
	if err != nil && (ctx.Err() != nil || errors.As(err, &refusal)) {
		return err
	}
	if err != nil {
		return cli.Hinted(fmt.Errorf("stream %s: %w", name, err), again)
	}
	one.report.Erased = erased
	// Another owner that has taken the stream over meanwhile may not know of the erasure: another take-over makes it read
	// the stream again.
	now, _, err := log.Peek(ctx)
	if err == nil && now.Epoch != taken.Checkpoint.Epoch {
		_, err = pipeline.TakeOver(ctx, log, acquireWithin, nil)
	}
	if err != nil {
		return cli.Hinted(fmt.Errorf("the chat is erased from stream %s; tell another owner: %w", name, err), again)
	}
	if e.options.TakeOver {
		pipeline.HandBack(ctx, one.sink, one.claim, e.logger)
	}
	return nil
}

func (e *Engine) close() {
	for _, sink := range e.opened {
		if err := sink.Close(); err != nil {
			e.logger.Warn("close the sink", "cause", err)
		}
	}
}
