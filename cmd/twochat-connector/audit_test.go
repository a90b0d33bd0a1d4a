package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/audit"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// auditReport runs audit with --json and checks the exit code.
func auditReport(t *testing.T, want int, args ...string) audit.Report {
	t.Helper()
	code, out, errOut := finish(t, append([]string{"audit", "--json"}, args...)...)
	if code != want {
		t.Fatalf("exit code %d, want %d; stdout: %.3000s\nstderr: %.3000s", code, want, out, errOut)
	}
	var r audit.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if !r.DryRun && (r.Calls < r.About.Calls || r.Calls > r.About.CallsMost) {
		t.Errorf("%v took %d calls, reckoned with were %d to %d", args, r.Calls, r.About.Calls, r.About.CallsMost)
	}
	return r
}

// deliver runs the connector, with further flags, until that many events are certified.
func deliver(t *testing.T, path string, certified int, more ...string) {
	t.Helper()
	r := start(t, append([]string{"run", "--config", path}, more...)...)
	admin := r.admin()
	until(t, "the history", func() bool {
		_, body := get(t, admin+"/status")
		return strings.Contains(body, fmt.Sprintf(`"certified": %d`, certified))
	})
	wantCode(t, r.end(), cli.ExitFine)
}

// tampered lists what somebody did to a log without the connector.
type tampered struct{ deleted, doubled, edited []string }

// copied is an event of a log that was tampered with, and which event it was before.
type copied struct {
	of   int
	text []byte
}

// tamper deletes five events of a log, doubles three and edits two.
func tamper(events [][]byte) (after []copied, did tampered) {
	id := func(event []byte) string {
		var e struct{ ID string }
		_ = json.Unmarshal(event, &e)
		return e.ID
	}
	for i, event := range events {
		switch i {
		case 40, 41, 42, 300, 511:
			did.deleted = append(did.deleted, id(event))
			continue
		case 100, 250, 400:
			did.doubled = append(did.doubled, id(event))
			after = append(after, copied{i, event})
		case 60, 450:
			did.edited = append(did.edited, id(event))
			event = bytes.Replace(event, []byte(`"data":{`), []byte(`"data":{"edited":true,`), 1)
		}
		after = append(after, copied{i, event})
	}
	return after, did
}

// wantTampered checks that a report names exactly what was done.
func wantTampered(t *testing.T, s audit.StreamReport, did tampered, restored bool) {
	t.Helper()
	var missing, doubled, changed []string
	for _, m := range s.Findings.Missing {
		missing = append(missing, m.UUID)
	}
	for _, d := range s.Findings.Doubled {
		doubled = append(doubled, d.UUID)
	}
	for _, m := range s.Findings.Changed {
		changed = append(changed, m.UUID)
	}
	want := did.deleted
	if restored {
		want = nil
	}
	for _, list := range [][]string{doubled, did.doubled, changed, did.edited} {
		slices.Sort(list) // a sink of several parts returns them in another order
	}
	if !slices.Equal(missing, want) || !slices.Equal(doubled, did.doubled) || !slices.Equal(changed, did.edited) {
		t.Errorf("missing %v, want %v\ndoubled %v, want %v\nchanged %v, want %v", missing, want, doubled, did.doubled,
			changed, did.edited)
	}
	if s.Counts.OutOfOrder+s.Counts.Unreadable != 0 || s.Counts.Erased != 0 || len(s.Findings.Noted.OnlyInLog) != 0 {
		t.Errorf("beside it: %+v, %+v", s.Counts, s.Findings.Noted)
	}
}

// TestAudit runs the command on each sink in parallel, after somebody has changed the log.
func TestAudit(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"file":               tryAuditFile,
		"JetStream":          tryAuditJetStream,
		"embedded":           tryAuditEmbedded,
		"kafka":              tryAuditKafka,
		"beside a live run":  tryAuditBesideALiveRun,
		"not wrong":          tryAuditNotWrong,
		"refusals":           tryAuditRefusals,
		"floor that is gone": tryAuditFloorThatIsGone,
		"forms":              tryAuditForms,
		"stopped":            tryAuditStopped,
		"unreadable file":    tryAuditUnreadableFile,
		"unreadable stream":  tryAuditUnreadableStream,
		"unreadable topic":   tryAuditUnreadableTopic,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func tryAuditFile(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 31, History: 3000})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, url, "file: { path: "+events+", max_bytes: 1048576 }")
	deliver(t, path, 3000)

	r := auditReport(t, cli.ExitFine, "--config", path, "--all")
	if s := r.Streams[0]; s.Listed != 3000 || s.Events != 3000 || s.LastSequence != 3000 || s.Wrong || r.Calls > 80 {
		t.Fatalf("%+v", r)
	}
	content, err := os.ReadFile(events + ".1")
	if err != nil {
		t.Fatal(err)
	}
	after, did := tamper(bytes.SplitAfter(content, []byte("\n")))
	var lines []byte
	for _, line := range after {
		lines = append(lines, line.text...)
	}
	if err := os.WriteFile(events+".1", lines, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitWrong)
	wantGolden(t, "audit.txt", out)
	r = auditReport(t, cli.ExitWrong, "--config", path, "--all")
	wantTampered(t, r.Streams[0], did, false)
	if got := r.Streams[0].Findings.Missing[3]; got.Sequence != 301 || got.Time.IsZero() {
		t.Errorf("the fourth missing one is %+v", got)
	}

	report := filepath.Join(t.TempDir(), "report")
	code, out, _ = finish(t, "audit", "--config", path, "--all", "--repair", "--report", report+".json")
	wantCode(t, code, cli.ExitWrong)
	found, _, _ := strings.Cut(out, "\n  missing")
	wantGolden(t, "audit_repaired.txt", found+"\n")
	clitest.WantText(t, "audit", out,
		"The report is in "+report+".json and "+report+".html; the SHA-256 of the JSON file is ")
	filed, err := os.ReadFile(report + ".json")
	if err != nil || !bytes.Contains(filed, []byte(did.deleted[0])) {
		t.Errorf("%v: %.300s", err, filed)
	}
	page, err := os.ReadFile(report + ".html")
	if err != nil {
		t.Fatal(err)
	}
	clitest.WantText(t, "page", string(page), did.deleted[4], did.doubled[2], did.edited[1], "5 messages restored")

	r = auditReport(t, cli.ExitWrong, "--config", path, "--all", "--repair")
	wantTampered(t, r.Streams[0], did, true)
	if got := r.Streams[0]; got.Repair != nil || got.Findings.Noted.Restored != 5 || got.Events != 3003 {
		t.Errorf("again: %+v", got)
	}
	deliver(t, path, 3005)
}

// wantGolden compares an output with its file in testdata, as a terminal of 80 columns shows it, except for what differs
// in each run: times, ids of messages, paths.
func wantGolden(t *testing.T, name, out string) {
	t.Helper()
	for _, c := range []struct{ expression, as string }{
		{`MSG[0-9a-f-]{36}`, "MSG…"},
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`, "2026-01-01 00:00:00"},
		{`took \d+ calls`, "took … calls"},
		{`--config /\S+?([\s` + "`" + `])`, "--config FILE$1"},
	} {
		out = regexp.MustCompile(c.expression).ReplaceAllString(out, c.as)
	}
	out = text.Fit(out, terminalColumns)
	wantFits(t, name, out)
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || out != string(want) {
		t.Errorf("%v; the output is\n%s\nwant\n%s", err, out, want)
	}
}

// streamToTamper is a JetStream stream that soon accepts the same message ids again after a message was removed.
func streamToTamper(t *testing.T, server string) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	conn, err := natsgo.Connect(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "WHATSAPP")
	if err != nil {
		t.Fatal(err)
	}
	settings := stream.CachedInfo().Config
	// This takes two changes. After the first, the server may look for expired ids before the new window is in force, and
	// it looks again only after the former window of two minutes.
	for _, window := range []time.Duration{200 * time.Millisecond, 100 * time.Millisecond} {
		settings.Duplicates = window
		if stream, err = js.UpdateStream(t.Context(), settings); err != nil {
			t.Fatal(err)
		}
	}
	return js, stream
}

// tamperWithStream does to a JetStream stream what tamper does, in place, so that the messages keep their order.
func tamperWithStream(t *testing.T, server string) tampered {
	t.Helper()
	js, stream := streamToTamper(t, server)
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"whatsapp.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var messages []jetstream.Msg
	var bodies [][]byte
	for pending := uint64(1); pending > 0; {
		m, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		messages, bodies, pending = append(messages, m), append(bodies, m.Data()), meta.NumPending
	}
	after, did := tamper(bodies)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("whatsapp.>")); err != nil {
		t.Fatal(err)
	}
	for _, e := range after {
		header := maps.Clone(messages[e.of].Headers())
		maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-Batch") })
		m := &natsgo.Msg{Subject: messages[e.of].Subject(), Header: header, Data: e.text}
		until(t, "the stream takes it", func() bool {
			ack, err := js.PublishMsg(t.Context(), m)
			return err == nil && !ack.Duplicate
		})
	}
	return did
}

// wantAudited tampers with a log of 1000 messages, and checks that audit names it and repairs what it can.
func wantAudited(t *testing.T, path string, tamper func() tampered) {
	t.Helper()
	auditReport(t, cli.ExitFine, "--config", path, "--all")
	did := tamper()
	r := auditReport(t, cli.ExitWrong, "--config", path, "--all")
	wantTampered(t, r.Streams[0], did, false)
	r = auditReport(t, cli.ExitWrong, "--config", path, "--all", "--repair")
	wantTampered(t, r.Streams[0], did, false)
	if got := r.Streams[0].Repair; got == nil || got.Restored != 5 || got.First != 1001 || got.Last != 1005 {
		t.Errorf("the repair came to %+v", got)
	}
	r = auditReport(t, cli.ExitWrong, "--config", path, "--all", "--repair")
	wantTampered(t, r.Streams[0], did, true)
	if got := r.Streams[0]; got.Repair != nil || got.LastSequence != 1005 {
		t.Errorf("again: %+v", got)
	}
	deliver(t, path, 1005)
}

func tryAuditJetStream(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 32, History: 1000})
	server := embeddedServer(t)
	path := configure(t, url, "jetstream: { url: '"+server+"' }")
	deliver(t, path, 1000)
	wantAudited(t, path, func() tampered { return tamperWithStream(t, server) })
}

func tryAuditEmbedded(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 33, History: 1000})
	listen, dir := clitest.ClosedPort(t), t.TempDir()
	path := configure(t, url, "embedded: { listen: '"+listen+"', dir: "+dir+" }")
	deliver(t, path, 1000)
	wantAudited(t, path, func() tampered {
		c := *sinks.Defaults().Embedded
		c.Listen, c.Dir = listen, dir
		server, err := sinks.Open(sinks.Config{Embedded: &c}, connector.Encoding{TypePrefix: "co.2chat.whatsapp"},
			cli.QuietLogger())
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		return tamperWithStream(t, "nats://"+listen)
	})
}

// Nothing can be removed from a log in Kafka, so the missing messages are late ones that no sweep looked for.
func tryAuditKafka(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 34, History: 1000})
	_, broker := fakeKafka(t)
	path := configure(t, url, "kafka: { brokers: ['"+broker+"'], create: true, replicas: 1 }")
	deliver(t, path, 1000)
	wantAudited(t, path, func() (did tampered) {
		for i := range 5 {
			did.deleted = append(did.deleted, fake.Late("", 900-100*i))
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("whatsapp.messages"),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for records := 0; records < 1000; {
			for _, r := range client.PollFetches(t.Context()).Records() {
				records++
				edited := records == 60 || records == 450
				if !edited && records != 100 && records != 250 && records != 400 {
					continue
				}
				var e struct{ ID string }
				if err := json.Unmarshal(r.Value, &e); err != nil {
					t.Fatal(err)
				}
				again := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
				did.doubled = append(did.doubled, e.ID)
				if edited {
					did.edited = append(did.edited, e.ID)
					again.Value = bytes.Replace(r.Value, []byte(`"data":{`), []byte(`"data":{"edited":true,`), 1)
				}
				if err := client.ProduceSync(t.Context(), again).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		return did
	})
}

// A list that moves is compared with a log that grows, beside a running instance. The audit reports nothing that is
// not wrong.
func tryAuditBesideALiveRun(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 35, History: 2500})
	server := embeddedServer(t)
	listen := clitest.ClosedPort(t)
	path := configure(t, url, "jetstream: { url: '"+server+"' }")
	replace(t, path, "listen: '127.0.0.1:0'", "listen: '"+listen+"'")
	live := liveStream(t, path)
	fake.SetDrift(twochattest.Drift{Inserts: .2, Bursts: .002, BurstMax: 150, Deletes: .02})

	code, out, _ := finish(t, "audit", "--config", path, "--all", "--dry-run")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "audit", out, "messages, which take", "calls (credits)")
	r := auditReport(t, cli.ExitFine, "--config", path, "--all")
	if s := r.Streams[0]; s.Listed < 2400 || s.Events < 2400 {
		t.Errorf("%+v", r)
	}
	r = auditReport(t, cli.ExitFine, "--config", path, "--since", "1h")
	if s := r.Streams[0]; s.Listed < 150 || len(s.Findings.Noted.OnlyInLog) > s.Listed/4 {
		t.Errorf("%+v", r)
	}

	code, _, errOut := finish(t, "audit", "--config", path, "--all", "--repair")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", errOut, "an instance is running with this configuration", "--take-over")
	code, out, _ = finish(t, "audit", "--config", path, "--all", "--repair", "--dry-run")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "audit", out, "messages, which take")
	fake.Quiet()
	until(t, "all is delivered", func() bool {
		s := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
		return s.Findings.Noted.NotYet == 0
	})
	did := deleteFrom(t, server, 40, 41, 700)
	_, out, _ = finish(t, "audit", "--config", path, "--all")
	clitest.WantText(t, "beside a live run", unfolded(out), "--repair --take-over` restores what is missing")
	r = auditReport(t, cli.ExitFine, "--config", path, "--all", "--repair", "--take-over")
	if s := r.Streams[0]; s.Repair == nil || s.Repair.Restored != 3 || s.Findings.Missing[0].UUID != did.deleted[0] {
		t.Errorf("%+v", s)
	}
	fake.Insert("", 5)
	until(t, "the live run goes on", func() bool {
		s := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
		return s.Findings.Noted.NotYet == 0 && s.LastSequence == r.Streams[0].Repair.Last+5
	})
	wantCode(t, live.end(), cli.ExitFine)
}

// deleteFrom deletes events of a JetStream stream by their positions among the stream's messages.
func deleteFrom(t *testing.T, server string, places ...uint64) (did tampered) {
	t.Helper()
	_, stream := streamToTamper(t, server)
	for _, place := range places {
		m, err := stream.GetMsg(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ ID string }
		if err := json.Unmarshal(m.Data, &e); err != nil {
			t.Fatal(err)
		}
		did.deleted = append(did.deleted, e.ID)
		if err := stream.DeleteMsg(t.Context(), place); err != nil {
			t.Fatal(err)
		}
	}
	return did
}

// Messages that are not to be delivered are not missing: those listed before the first start, and those in the
// quarantine.
func tryAuditNotWrong(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 36, History: 450})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	replace(t, path, "start: beginning", "start: now")
	live := liveStream(t, path)
	fake.Insert("", 120)
	fake.Poison("", twochattest.PoisonNoID)
	fake.Insert("", 30)
	until(t, "what came", func() bool {
		_, body := get(t, live.admin()+"/status")
		return strings.Contains(body, `"certified": 150`)
	})
	r := auditReport(t, cli.ExitFine, "--config", path, "--all")
	if s := r.Streams[0]; s.Listed != 150 || s.Findings.Noted.BeforeStart != 0 {
		t.Errorf("%+v", s)
	}
	code, _, errOut := finish(t, "audit", "--config", path, "--all", "--repair")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", errOut, "another process is writing here", "stop that process", "`run` end")
	wantCode(t, live.end(), cli.ExitFine)
	r = auditReport(t, cli.ExitFine, "--config", path, "--since", "2000h")
	if s := r.Streams[0]; s.Listed != 150 {
		t.Errorf("%+v", s)
	}
	fake.Delete("", 3)
	fake.Insert("", 7)
	r = auditReport(t, cli.ExitFine, "--config", path, "--all")
	if n := r.Streams[0].Findings.Noted; n.NotYet != 7 || len(n.OnlyInLog) != 1 {
		t.Errorf("%+v", n)
	}
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFine)
	wantGolden(t, "audit_fine.txt", out)
}

func tryAuditRefusals(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 37, History: 20})
	dir := t.TempDir()
	path := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	if err := os.WriteFile(filepath.Join(dir, "there.html"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{cli.ExitUsage, "--config " + path, "expected --all, or --since with an age"},
		{cli.ExitUsage, "--config " + path + " --all --since 1h", "expected either --all or --since, not both"},
		{cli.ExitUsage, "--config " + path + " --since never", "flag --since: expected an age"},
		{cli.ExitUsage, "--config " + path + " --all --take-over", "flag --take-over: expected only together with --repair"},
		{cli.ExitUsage, "--config " + path + " --all --stream x", "flag --stream: expected the name of a configured stream: support"},
		{cli.ExitUsage, "--config " + path + " --since 2999-01-01T00:00:00Z", "flag --since: expected a time in the past"},
		{cli.ExitFailed, "--config " + path + " --all --report " + dir + "/there", "there.html exists already"},
		{cli.ExitFailed, "--config " + path + " --all --report " + dir + "/no/where", "flag --report: "},
		{cli.ExitFailed, "--config " + path + " --all", "stream support has not started yet"},
		{cli.ExitUsage, "--config " + configure(t, url, "stdout: {}") + " --all", "the sink stdout keeps no events"},
		{cli.ExitUsage, "--config " + configure(t, url, "nats: { url: 'nats://127.0.0.1:1', state: /tmp/x }") + " --all", "the sink nats keeps no events"},
	} {
		code, _, errOut := finish(t, append([]string{"audit"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit code %d, want %d: %s", c.args, code, c.code, errOut)
		}
	}
	_, help, _ := finish(t, "audit", "--help")
	clitest.WantText(t, "audit --help", unfolded(help), "The exit code is 0 if nothing is wrong, also after a repair that",
		"3 if anything is wrong that was not restored", "1 if the audit or the repair failed", "2 if the command line")
	if left, err := filepath.Glob(filepath.Join(dir, "there.*")); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	deliver(t, path, 20)
	replace(t, path, "monthly_credits: 1000000000", "monthly_credits: 1")
	code, _, errOut := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", errOut, "calls only the reserve", "raise poll.monthly_credits",
		"it starts again")
	replace(t, path, "monthly_credits: 1", "monthly_credits: 1000000000")
}

// If nothing that was listed at the first start is listed any more, the list is read to its end.
func tryAuditFloorThatIsGone(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 38, History: 450})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	replace(t, path, "start: beginning", "start: now")
	live := liveStream(t, path)
	fake.Insert("", 130)
	until(t, "what came", func() bool {
		_, body := get(t, live.admin()+"/status")
		return strings.Contains(body, `"certified": 130`)
	})
	wantCode(t, live.end(), cli.ExitFine)
	for range 110 {
		fake.Delete("", 130)
	}
	s := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
	if s.Listed != 470 || s.Findings.Noted.BeforeStart != 340 || s.Events != 130 {
		t.Errorf("%+v", s)
	}
	fake.Clear("")
	s = auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
	if s.Listed != 0 || len(s.Findings.Noted.OnlyInLog) != 130 {
		t.Errorf("%+v", s)
	}
}

// Events are read back in whatever form they were written, and a change of form is reported.
func tryAuditForms(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 39, History: 160})
	_, broker := fakeKafka(t)
	kafka := "kafka: { brokers: ['" + broker + "'], create: true, replicas: 1 }"
	file := "file: { path: " + filepath.Join(t.TempDir(), "events.jsonl") + " }"
	for _, c := range []struct{ sink, events string }{
		{kafka, "events: { mode: binary }"},
		{"jetstream: { url: '" + embeddedServer(t) + "' }", "events: { mode: binary, data: row }"},
		{file, "events: { data: row }"},
	} {
		path := configure(t, url, c.sink, c.events)
		deliver(t, path, 160)
		s := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
		if s.Listed != 160 || s.Events != 160 || s.Findings.Noted.Incomparable != 0 {
			t.Errorf("%s: %+v", c.events, s)
		}
	}
	s := auditReport(t, cli.ExitFine, "--config", configure(t, url, file), "--all").Streams[0]
	if s.Findings.Noted.Incomparable != 160 {
		t.Errorf("%+v", s)
	}
}

// wantUnreadable checks that a report names the places of records that are no events, and nothing else.
func wantUnreadable(t *testing.T, path string, places ...string) {
	t.Helper()
	s := auditReport(t, cli.ExitWrong, "--config", path, "--all").Streams[0]
	if s.Counts != (audit.Counts{Unreadable: len(places)}) || !slices.Equal(s.Findings.UnreadableAt, places) {
		t.Errorf("%+v at %q, want %q", s.Counts, s.Findings.UnreadableAt, places)
	}
	code, out, errOut := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "audit", out, "records among the events that are not events", places[0])
	if strings.Contains(errOut, "not an event") {
		t.Errorf("the log says it too: %s", errOut)
	}
}

// Lines that are no events, and damaged events, are unreadable. A line that another process is just writing is not.
func tryAuditUnreadableFile(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 41, History: 20})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, url, "file: { path: "+events+" }")
	deliver(t, path, 20)
	content, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(content, '\n') + 1
	content = slices.Insert(content, first, []byte("garbage line \xff\n\n")...)
	content = append(content, `{"specversion":"1.0","id":`...)
	if err := os.WriteFile(events, content, 0o600); err != nil {
		t.Fatal(err)
	}
	wantUnreadable(t, path, fmt.Sprint(events, ", byte ", first), fmt.Sprint(events, ", byte ", first+15))
}

func tryAuditUnreadableStream(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 42, History: 20})
	server := embeddedServer(t)
	path := configure(t, url, "jetstream: { url: '"+server+"' }")
	deliver(t, path, 20)
	js, _ := streamToTamper(t, server)
	var places []string
	for _, m := range []*natsgo.Msg{
		{Data: []byte("hello")},
		{Data: []byte("null"), Header: natsgo.Header{"Content-Type": {connector.StructuredType}}},
		{Data: []byte(`{"specversion":`), Header: natsgo.Header{"Content-Type": {connector.StructuredType}}},
		{Data: []byte(`{}`), Header: natsgo.Header{"Content-Type": {connector.StructuredType}}},
	} {
		m.Subject = "whatsapp.support.a.b"
		ack, err := js.PublishMsg(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, fmt.Sprint("JetStream stream WHATSAPP, sequence ", ack.Sequence))
	}
	marker := &natsgo.Msg{Subject: "whatsapp.support.a.c", Header: natsgo.Header{jetstream.MarkerReasonHeader: {"MaxAge"}}}
	if _, err := js.PublishMsg(t.Context(), marker); err != nil { // as the server writes it when a subject has expired
		t.Fatal(err)
	}
	wantUnreadable(t, path, places...)
}

func tryAuditUnreadableTopic(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 43, History: 20})
	_, broker := fakeKafka(t)
	path := configure(t, url, "kafka: { brokers: ['"+broker+"'], create: true, replicas: 1 }")
	deliver(t, path, 20)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic("whatsapp.messages"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r, err := client.ProduceSync(t.Context(), kgo.StringRecord("hello")).First()
	if err != nil {
		t.Fatal(err)
	}
	wantUnreadable(t, path, fmt.Sprintf("topic whatsapp.messages, partition %d, offset %d", r.Partition, r.Offset))
}

// An audit may be stopped at any time.
func tryAuditStopped(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 40, History: 300})
	report := filepath.Join(t.TempDir(), "report")
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, path, 300)
	before := fake.PageRequests("")
	fake.SetLatency(5 * time.Second)
	r := start(t, "audit", "--config", path, "--all", "--report", report)
	until(t, "it reads", func() bool { return strings.Contains(r.err.String(), "audit reads the list") })
	if there, err := filepath.Glob(report + "*"); err != nil || len(there) != 0 {
		t.Errorf("while it reads, %v, %v", there, err) // and would stay, were it killed
	}
	wantCode(t, r.end(), cli.ExitFailed)
	clitest.WantText(t, "audit", r.err.String(), "stopped before the end", "it starts from the beginning")
	if left, err := filepath.Glob(report + "*"); err != nil || len(left) != 0 || fake.PageRequests("") > before+2 {
		t.Errorf("%v, %v", left, err)
	}
}
