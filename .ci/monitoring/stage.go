package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// stage is one connector with its fake 2Chat and its broker.
type stage struct {
	ctx       context.Context
	connector string
	folder    string
	config    string
	fake      *twochattest.Fake
	nats      *process
	natsPort  string
	broker    slowBroker
	copies    []*process
	admins    []string // their metrics
	ports     *ports
}

// spare is the number of a stream that only a second copy reads.
const spare = "+15550109999"

// apart is how long a failure is observed. Its counters then go on at the rate at which they grew in that time.
const apart = 15 * time.Second

// record causes a failure, and returns what is shown before and after it.
func (p *programs) record(ctx context.Context, folder, adminPort string, f failure) (recording, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	options := twochattest.Options{
		Seed: 1, Key: "right", Numbers: []string{twochattest.DefaultNumber, spare}, History: 500, RequestsPerMinute: 6000, Credits: 1_000_000, Shapes: twochattest.ShapesLive,
	}
	if f.fake != nil {
		f.fake(&options)
	}
	fake := twochattest.New(options)
	fake.Consume(f.used)
	api, err := fake.Start()
	if err != nil {
		return nil, err
	}
	defer api.Close()
	natsPort, err := p.ports.next(ctx)
	if err != nil {
		return nil, err
	}
	s := &stage{ctx: ctx, connector: p.connector, folder: folder, fake: fake, natsPort: natsPort, ports: &p.ports}
	if s.nats, err = begin(ctx, folder, "nats", p.natsServer, "-a", "127.0.0.1", "-p", s.natsPort, "-js", "-sd",
		filepath.Join(folder, "js")); err != nil {
		return nil, err
	}
	defer s.nats.kill()
	reached := s.natsPort
	if f.slowly {
		if reached, err = p.ports.next(ctx); err != nil {
			return nil, err
		}
		if err := s.broker.listen(ctx, reached, s.natsPort); err != nil {
			return nil, err
		}
	}
	if f.poll == "" {
		f.poll = ", monthly_credits: 1000000"
	}
	s.config = fmt.Sprintf(`twochat: { base_url: %q, streams: [{ number: %q, name: shop }] }
start: beginning
poll: { min_interval: 1s, max_interval: 1s, requests_per_minute: 6000%s }
sink: { jetstream: { url: "nats://127.0.0.1:%s", create: true } }
log: { format: json }
admin: { listen: "127.0.0.1:%%s" }
`, api.URL, twochattest.DefaultNumber, f.poll, reached)
	if err := s.start(adminPort); err != nil {
		return nil, err
	}
	defer func() {
		for _, each := range s.copies {
			each.kill()
		}
	}()
	return p.watch(s, f)
}

// watch records what the copies show.
func (p *programs) watch(s *stage, f failure) (recording, error) {
	before, err := scrapeUntil(s.ctx, s.admins, cmp.Or(f.ready, state("live")))
	if err != nil {
		return nil, err
	}
	if err := p.prometheus.wantScraped(s.ctx, f.name); err != nil {
		return nil, err
	}
	if err := f.happen(s); err != nil {
		return nil, err
	}
	if f.shows == "" {
		// Long enough for Prometheus to see that nothing answers.
		return recording{&shown{before: before[0]}}, wait(s.ctx, apart)
	}
	noticed, err := scrapeUntil(s.ctx, s.admins, f.shows)
	if err != nil {
		return nil, err
	}
	all := make(recording, len(noticed))
	for i := range noticed {
		all[i] = &shown{noticed: noticed[i]}
	}
	all[0].before = before[0]
	if err := wait(s.ctx, cmp.Or(f.look, apart)); err != nil {
		return nil, err
	}
	for i, each := range all {
		if each.later, err = scrape(s.ctx, s.admins[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// start starts a copy of the connector.
func (s *stage) start(port string) error {
	path := filepath.Join(s.folder, "config-"+port+".yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, s.config, port), 0o600); err != nil {
		return err
	}
	each, err := begin(s.ctx, s.folder, "connector-"+port, s.connector, "run", "--config", path)
	if err == nil {
		s.copies = append(s.copies, each)
		s.admins = append(s.admins, "http://127.0.0.1:"+port+"/metrics")
	}
	return err
}

// rewrite changes the configuration file of each copy.
func (s *stage) rewrite(text string) error {
	files, err := filepath.Glob(filepath.Join(s.folder, "config-*.yaml"))
	for _, file := range files {
		err = errors.Join(err, os.WriteFile(file, []byte(text), 0o600))
	}
	return err
}

type process struct{ command *exec.Cmd }

func begin(ctx context.Context, folder, name, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(folder, name+".log"))
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = io.Writer(log), io.Writer(log)
	command.Env = append(os.Environ(), "TWOCHAT_API_KEY=right")
	return &process{command}, command.Start()
}

func (p *process) kill() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
}

// ports hands out each port once. They stay this program's until it ends.
type ports struct {
	mu   sync.Mutex
	held []func()
}

func (p *ports) next(ctx context.Context) (string, error) {
	port, release, err := sinktest.ReservePorts(ctx, 1)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, release)
	return strconv.Itoa(port), nil
}

func (p *ports) release() {
	for _, release := range p.held {
		release()
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
