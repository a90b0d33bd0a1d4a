package main

import (
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// failure is something that goes wrong, and the alerts that it fires within two hours.
type failure struct {
	name string
	// fake is the 2Chat before the connector starts, and poll what its configuration says of polling besides the usual.
	fake func(*twochattest.Options)
	used int
	poll string
	// ready is a line of the metrics that says that all is as it should be before it happens; live unless set.
	ready  string
	happen func(*stage) error
	// shows is a line of the metrics that says that it was noticed; none where nothing answers any more.
	shows string
	fires []string
}

// unfired are alerts that no failure here fires: a broker as slow as that is given up by the connector as one that does not answer, two
// copies do not take a stream from each other twice in so short a time, and what a walk delivers is confirmed before anybody looks.
var unfired = []string{"TwochatConnectorCommitsSlow", "TwochatConnectorTwoCopies", "TwochatConnectorNotConfirmed"}

func state(s string) string {
	return `twochat_connector_stream_state{state="` + s + `",stream="shop"} 1`
}

var failures = []failure{
	{name: "nothing is wrong", happen: func(s *stage) error { s.flow(); return nil }, shows: state("live")},
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
		name: "dead broker", happen: func(s *stage) error { s.nats.kill(); s.fake.Insert("", 5); return nil }, shows: state("no_sink"),
		fires: []string{"TwochatConnectorNothingArrives", "TwochatConnectorSinkDown"},
	},
	{
		name: "deleted log", happen: func(s *stage) error { defer s.fake.Insert("", 5); return s.deleteStream() }, shows: state("refused"),
		fires: []string{"TwochatConnectorNothingArrives", "TwochatConnectorStopped"},
	},
	{
		// Its metrics alone are laid out, so that nothing seems to arrive; the other copy's would say that all is well.
		name: "overtaken by a second copy", happen: (*stage).second, shows: `twochat_connector_commits_total{outcome="fenced",stream="shop"} 1`,
		fires: []string{"TwochatConnectorNothingArrives"},
	},
	{
		name: "stalled list", happen: func(s *stage) error {
			s.fake.SetDrift(twochattest.Drift{Bursts: 1, BurstMin: 100, BurstMax: 300})
			return nil
		}, shows: state("stalled"),
		fires: []string{"TwochatConnectorListDoubtful", "TwochatConnectorNothingArrives"},
	},
	{
		name: "changed API", happen: func(s *stage) error { s.broken(twochattest.Fault{Kind: twochattest.KindHTML}); return nil }, shows: state("no_source"),
		fires: []string{"TwochatConnectorApiChanged", "TwochatConnectorNothingArrives", "TwochatConnectorSourceDown"},
	},
	{
		name: "2Chat down in a backlog", fake: func(o *twochattest.Options) { o.History, o.Latency = 300_000, 20*time.Millisecond },
		ready:  `twochat_connector_backlog_page{stream="shop"} 1`,
		happen: func(s *stage) error { s.broken(twochattest.Status(503, twochattest.BodyHTML)); return nil }, shows: state("no_source"),
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
	{name: "ended connector", happen: func(s *stage) error { s.others[0].kill(); return nil }, fires: []string{"TwochatConnectorDown"}},
}

func nothing(*stage) error { return nil }

// broken lets every answer of 2Chat be wrong in one way.
func (s *stage) broken(fault twochattest.Fault) {
	s.fake.SetFaults([]twochattest.Chance{{Fault: fault, Rate: 1}})
}

// second starts another copy, and lets messages flow so that the first notices.
func (s *stage) second() error {
	if err := s.start(s.ports.next()); err != nil {
		return err
	}
	s.flow()
	return nil
}

// flow lets a message come in each second.
func (s *stage) flow() {
	go func() {
		for wait(s.ctx, time.Second) == nil {
			s.fake.Insert("", 1)
		}
	}()
}

// deleteStream takes the log away as somebody at the broker would.
func (s *stage) deleteStream() error {
	conn, err := nats.Connect("nats://127.0.0.1:" + s.natsPort)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return js.DeleteStream(s.ctx, "WHATSAPP")
}
