package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// Options are the settings of a demo.
type Options struct {
	// Seed determines what the fake does.
	Seed uint64
	// JSON prints the events, and the summary last.
	JSON bool
	// Sink is where the events go, in the form of `run --sink`; "" is a JetStream server in this process, for the duration
	// of the demo.
	Sink string
	// History is how many messages the list has at the start.
	History int
	// Rows writes the events' data as rows for a table.
	Rows bool
}

// DefaultHistory is the number of messages of a shop that opened this morning.
const DefaultHistory = 12

// Demo is a fake 2Chat, the connector's pipeline and a JetStream server in one process.
type Demo struct {
	options Options
	began   time.Time
	view    *view
	fake    *twochattest.Fake
	api     *twochattest.Server
	client  *twochat.Client
	folder  string
	target  target
	pipe    *pipeline.Pipeline
	admin   *admin.Server
}

// New starts everything except the pipeline.
func New(ctx context.Context, p *cli.Program, o Options) (d *Demo, err error) {
	d = &Demo{options: o, began: time.Now(), view: newView(p, o.JSON)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	d.fake = twochattest.New(twochattest.Options{
		Seed: o.Seed, Chats: 9, History: o.History, HistoryStep: 45 * time.Second, Drift: demoDrift(), Faults: demoFaults(),
		Latency: 25 * time.Millisecond, RequestsPerMinute: demoRate, Credits: 1_000_000_000,
	})
	if d.target, err = parseTarget(o.Sink); err != nil {
		return d, err
	}
	if d.api, err = d.fake.Start(); err != nil {
		return d, err
	}
	if d.folder, err = os.MkdirTemp("", "twochat-connector-demo-"); err != nil {
		return d, fmt.Errorf("make a folder for the demo: %w", err)
	}
	c := demoConfig(d.api.URL)
	if o.Rows {
		c.Events.Data = config.DataRow
	}
	logger := slog.New(slog.DiscardHandler) // the view shows what happens
	privacy, err := pipeline.PrivacyOf(c)
	if err != nil {
		return d, err
	}
	d.client, err = twochat.New(twochat.Config{
		BaseURL: c.TwoChat.BaseURL, Key: func() (string, error) {
			return "demo", nil
		}, Timeout: c.Poll.Timeout, MaxPageBytes: c.Poll.MaxPageBytes,
		Version: cli.Version(), Privacy: privacy, Rows: o.Rows,
	})
	if err != nil {
		return d, err
	}
	if err = d.target.open(ctx, c, d.folder, privacy); err != nil {
		return d, err
	}
	c.Sink = d.target.config
	c.TwoChat.Streams = []config.StreamConfig{{Number: twochattest.DefaultNumber, Name: d.target.stream}}
	if d.admin, err = admin.Listen(c.Admin.Listen); err != nil {
		return d, err
	}
	registry := admin.NewRegistry()
	d.pipe = pipeline.New(pipeline.Parts{
		Config: c, Sink: d.target.sink, Sources: []pipeline.Source{{Config: c, Client: d.client, Privacy: privacy}},
		Registry: registry, Logger: logger,
	})
	d.admin.Serve(admin.Handler(registry, false, func() pipeline.Report { return d.pipe.Report(time.Now()) }), logger)
	return d, nil
}

// demoRate is far more requests a minute than the demo makes.
const demoRate = 100_000

// demoConfig is a configuration as an operator could write it, except for its short intervals.
func demoConfig(url string) *config.Config {
	c := config.Default()
	c.TwoChat.BaseURL = url
	c.Start = config.Start{Mode: config.StartBeginning}
	c.Poll.MinInterval, c.Poll.MaxInterval, c.Poll.RequestsPerMinute = 400*time.Millisecond, 800*time.Millisecond, demoRate
	c.Poll.Sweep.Every = 0 // the first sweep would come after an hour
	c.Admin.Listen = "127.0.0.1:0"
	return &c
}

// demoDrift is a busy shop that a person can still follow. The bursts are scheduled, so that each demo has one.
func demoDrift() twochattest.Drift {
	return twochattest.Drift{
		Inserts: .6, Late: .1, LateDepth: 6, Backdated: .03,
		Deletes: .03, DeleteDepth: 60, DeleteAge: 15, Edits: .05, Poison: .01,
	}
}

// demoFaults are those after which the connector tries again at once. A redirect is not among them: it is taken for a
// wrong base URL, and waited out for half a minute.
func demoFaults() []twochattest.Chance {
	return slices.DeleteFunc(twochattest.PassingFaults(.08), func(c twochattest.Chance) bool {
		return c.Fault.Kind == twochattest.KindRedirect
	})
}

const (
	// demoReport is how often a line reports what the connector did.
	demoReport = 5 * time.Second
	// demoBurst is the number of reports before a burst. demoBurstSize is the number of its messages: more than two pages
	// between two polls.
	demoBurst, demoBurstSize = 4, 230
	// demoRest limits how long the pipeline may take to come to rest.
	demoRest = 30 * time.Second
)

// Run runs the demo for a while (0: until the context ends), and reports whether its audit found an error.
func (d *Demo) Run(ctx context.Context, length time.Duration) (wrong bool, err error) {
	d.view.begin(d)
	began := time.Now()
	limit := ctx
	if length > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	// The end of the demo does not end the pipeline: it has to come to rest first.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	ended := make(chan error, 2)
	work.Go(func() { ended <- d.pipe.Run(running) })
	work.Go(func() {
		ended <- d.target.sink.Follow(running, connector.FollowOptions{Stream: d.target.stream}, d.view.event)
	})

	report, breath := time.NewTicker(demoReport), time.NewTicker(burstSpan)
	defer report.Stop()
	defer breath.Stop()
	for reports := 0; limit.Err() == nil; {
		select {
		case <-report.C:
			d.view.progress(d.pipe.Statuses()[0], d.fake)
			if reports%demoBurst == 0 {
				d.view.burstComes()
				d.fake.Insert("", demoBurstSize)
			}
			reports++
		case <-breath.C:
			d.view.pause()
		case err := <-ended:
			return false, demoEnded(d.target.advised(err))
		case <-limit.Done():
		}
	}
	d.view.quiet()
	d.fake.Quiet()
	settled, err := d.settle(running, ended)
	if err != nil {
		return false, err
	}
	took := time.Since(began)
	stop()
	work.Wait()
	result, err := d.audit(context.WithoutCancel(ctx))
	if err != nil {
		return false, err
	}
	result.Settled, result.Seconds = settled, took.Seconds()
	return result.Wrong(), d.view.end(result, &d.target)
}

// demoEnded is the error of a pipeline or consumer that ended early.
func demoEnded(err error) error {
	if err == nil {
		err = errors.New("it was not told to")
	}
	return fmt.Errorf("the demo ended early: %w", err)
}

// settle waits until two walks over the list, which stands still, have found everything delivered and certified.
func (d *Demo) settle(ctx context.Context, ended <-chan error) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, demoRest)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	quiet := time.Now()
	var walks int
	var last time.Time
	for walks < 2 {
		select {
		case <-tick.C:
		case err := <-ended:
			return false, demoEnded(d.target.advised(err))
		case <-ctx.Done():
			return false, nil
		}
		status := d.pipe.Statuses()[0]
		// A walk that began before the list stood still does not count, and the first one after that moment may be such a
		// walk.
		if status.Unconfirmed == 0 && status.LastSuccessfulPoll.After(quiet) && status.LastSuccessfulPoll.After(last) {
			if !last.IsZero() {
				walks++
			}
			last = status.LastSuccessfulPoll
		}
	}
	return true, nil
}

// Close ends everything and removes the data.
func (d *Demo) Close() error {
	var errs []error
	if d.admin != nil {
		d.admin.Close()
	}
	if d.target.sink != nil {
		errs = append(errs, d.target.sink.Close())
	}
	if d.client != nil {
		d.client.Close()
	}
	if d.api != nil {
		errs = append(errs, d.api.Close())
	}
	if d.folder != "" {
		errs = append(errs, os.RemoveAll(d.folder))
	}
	return errors.Join(errs...)
}
