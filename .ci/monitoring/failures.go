package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// failure is something that goes wrong, and the alerts that it fires within two hours.
type failure struct {
	name string
	// fake changes the fake 2Chat before the connector starts. poll adds to the configuration's section poll.
	fake func(*twochattest.Options)
	used int
	poll string
	// ready is a line of the metrics that says that all is well before the failure. The default is a live stream.
	ready  string
	happen func(*stage) error
	// slowly: the connector reaches its broker through the slow proxy.
	slowly bool
	// look is how long the failure is observed. The default is apart.
	look time.Duration
	// shows is a line of the metrics, summed over all copies, that says that the failure was noticed. It is empty if
	// nothing answers any more.
	shows string
	fires []string
}

func state(s string) string {
	return `twochat_connector_stream_state{state="` + s + `",stream="shop"} 1`
}

var failures = []failure{
	{name: "nothing is wrong", happen: func(s *stage) error { s.flow(time.Second); return nil }, shows: state("live")},
	{
		name: "wrong key", happen: func(s *stage) error { s.fake.SetKey("another"); return nil }, shows: state("no_source"),
		fires: []string{"TwochatConnectorNothingArrives", "TwochatConnectorPersonNeeded", "TwochatConnectorSourceDown"},
	},
	{
		name: "credits spent", happen: func(s *stage) error { s.fake.SetCredits(1); return nil }, shows: state("no_source"),
		fires: []string{"TwochatConnectorNothingArrives", "TwochatConnectorPersonNeeded", "TwochatConnectorSourceDown"},
	},
	{
		name: "a hard budget is spent", used: 100, poll: ", monthly_credits: 50, when_spent: stop",
		ready: state("spent"), happen: nothing, shows: state("spent"),
		fires: []string{"TwochatConnectorCreditsLow", "TwochatConnectorNothingArrives", "TwochatConnectorSpent"},
	},
	{
		name: "a soft budget is spent", used: 100, poll: ", monthly_credits: 50", happen: nothing, shows: state("live"),
		fires: []string{"TwochatConnectorCreditsLow"},
	},
	{
		name: "dead broker", happen: func(s *stage) error {
			s.nats.kill()
			s.fake.Insert("", 5)
			return nil
		}, shows: state("no_sink"),
		fires: []string{"TwochatConnectorNothingArrives", "TwochatConnectorSinkDown"},
	},
	{
		name: "deleted log", happen: func(s *stage) error {
			defer s.fake.Insert("", 5)
			return s.deleteStream()
		}, shows: state("refused"),
		fires: []string{"TwochatConnectorNothingArrives", "TwochatConnectorStopped"},
	},
	{
		// One copy stands by while the other delivers, as a further replica does.
		name: "a second copy of a busy stream", happen: func(s *stage) error { return s.second(time.Second) },
		shows: `twochat_connector_commits_total{outcome="fenced",stream="shop"} 1`,
	},
	{
		// The messages are further apart than the five polls that the standby waits for the other copy, and no budget makes
		// the polls slower.
		name: "a second copy of a quiet stream", fake: func(o *twochattest.Options) { o.Credits = 1_000_000_000 },
		poll: ", monthly_credits: 1000000000", happen: func(s *stage) error { return s.second(8 * time.Second) },
		shows: `twochat_connector_commits_total{outcome="fenced",stream="shop"} 1`, look: 45 * time.Second,
		fires: []string{"TwochatConnectorTwoCopies"},
	},
	{
		name: "replicas that cannot announce themselves", happen: (*stage).unannounced,
		shows: `twochat_connector_replicas_unseen 1`, fires: []string{"TwochatConnectorReplicasUnseen"},
	},
	{
		name: "a replica that hangs and still announces itself", happen: (*stage).hang,
		shows: `twochat_connector_replicas 2`, fires: []string{"TwochatConnectorStreamsUnread"},
	},
	{
		name: "slow broker", slowly: true, happen: func(s *stage) error {
			s.broker.delay.Store(int64(6 * time.Second))
			s.flow(time.Second)
			return nil
		}, shows: `twochat_connector_commit_duration_seconds_sum{stream="shop"} 25`, look: 25 * time.Second,
		fires: []string{"TwochatConnectorCommitsSlow"},
	},
	{
		name: "restless list", fake: func(o *twochattest.Options) { o.Latency = 150 * time.Millisecond },
		happen: (*stage).restless, shows: `twochat_connector_unconfirmed_events{stream="shop"} 100`,
		fires: []string{"TwochatConnectorNotConfirmed"},
	},
	{
		name: "stalled list", happen: func(s *stage) error {
			s.fake.SetDrift(twochattest.Drift{Bursts: 1, BurstMin: 100, BurstMax: 300})
			return nil
		}, shows: state("stalled"),
		fires: []string{"TwochatConnectorListDoubtful", "TwochatConnectorNothingArrives"},
	},
	{
		name: "changed API", happen: func(s *stage) error {
			s.broken(twochattest.Fault{Kind: twochattest.KindHTML})
			return nil
		}, shows: state("no_source"),
		fires: []string{"TwochatConnectorApiChanged", "TwochatConnectorNothingArrives", "TwochatConnectorSourceDown"},
	},
	{
		name: "items of another shape", happen: func(s *stage) error {
			twochattest.SetShape(s.fake, "", twochattest.Reshape{Drop: []string{"session_key"}})
			return nil
		}, shows: `twochat_connector_api_shape_changes{change="vanished"} 1`,
		fires: []string{"TwochatConnectorShapeChanged"},
	},
	{
		name: "a wrong configuration file", happen: func(s *stage) error { return s.rewrite("twochat: { streams: [] }\n") },
		shows: "twochat_connector_config_last_reload_successful 0", fires: []string{"TwochatConnectorConfigRefused"},
	},
	{
		name: "2Chat down in a backlog", fake: func(o *twochattest.Options) {
			o.History, o.Latency = 300_000, 20*time.Millisecond
		},
		ready: `twochat_connector_backlog_page{stream="shop"} 1`,
		happen: func(s *stage) error {
			s.broken(twochattest.Status(503, twochattest.BodyHTML))
			return nil
		}, shows: state("no_source"),
		fires: []string{"TwochatConnectorBacklogStuck", "TwochatConnectorNothingArrives", "TwochatConnectorSourceDown"},
	},
	{
		name: "messages that cannot become events", happen: func(s *stage) error {
			s.fake.Poison("", twochattest.PoisonBadID)
			s.fake.Late("", 10)
			return nil
		}, shows: `twochat_connector_messages_total{result="rejected",stream="shop"} 1`,
		fires: []string{"TwochatConnectorPutAside"},
	},
	{name: "ended connector", happen: func(s *stage) error {
		s.copies[0].kill()
		return nil
	}, fires: []string{"TwochatConnectorDown"}},
}

func nothing(*stage) error { return nil }

// broken makes every answer of 2Chat wrong in one way.
func (s *stage) broken(fault twochattest.Fault) {
	s.fake.SetFaults([]twochattest.Chance{{Fault: fault, Rate: 1}})
}

// second starts another copy, and adds a message at each interval so that the first copy notices. It reads one stream
// more, so that the two do not share.
func (s *stage) second(every time.Duration) error {
	more := fmt.Sprintf("name: shop }, { number: %q, name: spare }", spare)
	s.config = strings.Replace(s.config, "name: shop }", more, 1)
	if err := s.another(); err != nil {
		return err
	}
	s.flow(every)
	return nil
}

// another starts another copy, with the configuration as it is now.
func (s *stage) another() error {
	port, err := s.ports.next(s.ctx)
	if err != nil {
		return err
	}
	return s.start(port)
}

// unannounced starts another replica, and takes the subject for announcements from the stream.
func (s *stage) unannounced() error {
	if err := s.another(); err != nil {
		return err
	}
	if _, err := scrapeUntil(s.ctx, s.admins, "twochat_connector_replicas 2"); err != nil {
		return err
	}
	return s.atBroker(func(js jetstream.JetStream) error {
		stream, err := js.Stream(s.ctx, "WHATSAPP")
		if err != nil {
			return err
		}
		config := stream.CachedInfo().Config
		config.Subjects = slices.DeleteFunc(config.Subjects, func(subject string) bool {
			return strings.HasPrefix(subject, "whatsapp-members.")
		})
		_, err = js.UpdateStream(s.ctx, config)
		return err
	})
}

// flow adds a message at each interval.
func (s *stage) flow(every time.Duration) {
	go func() {
		for wait(s.ctx, every) == nil {
			s.fake.Insert("", 1)
		}
	}()
}

// restless adds more messages at once than a page shows, and then deletes one for each that comes in, many times while
// a page is read. No walk can be sure that no message moved from page to page unread.
func (s *stage) restless() error {
	s.fake.Insert("", 150)
	go func() {
		for wait(s.ctx, 20*time.Millisecond) == nil {
			s.fake.Delete("", 40)
			s.fake.Insert("", 1)
		}
	}()
	return nil
}

// deleteStream deletes the log, as somebody at the broker might.
func (s *stage) deleteStream() error {
	return s.atBroker(func(js jetstream.JetStream) error { return js.DeleteStream(s.ctx, "WHATSAPP") })
}

// atBroker does something at the broker with a client of its own.
func (s *stage) atBroker(do func(jetstream.JetStream) error) error {
	conn, err := nats.Connect("nats://127.0.0.1:" + s.natsPort)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return do(js)
}
