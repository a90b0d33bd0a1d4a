package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/quarantine"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// configured opens the sink of a configuration, and the claims of its streams under an instance's name.
func configured(t *testing.T, path, instance string) (sinks.Sink, []connector.Claim) {
	t.Helper()
	c, err := (&cli.Program{}).Load(&config.Flags{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	sink, _, err := pipeline.OpenSink(c, cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := pipeline.AllClaims(c, instance, pipeline.Overrides{})
	if err != nil {
		sink.Close()
		t.Fatal(err)
	}
	return sink, claims
}

// ownLog takes over the configured stream.
func ownLog(t *testing.T, path, instance string, do func(connector.Log, connector.Checkpoint)) {
	t.Helper()
	sink, claims := configured(t, path, instance)
	defer sink.Close()
	log := sink.Log(claims[0])
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	do(log, state.Checkpoint)
}

// putAside puts messages into the quarantine of the configured stream.
func putAside(t *testing.T, path string, messages ...connector.Message) {
	t.Helper()
	ownLog(t, path, "earlier", func(log connector.Log, next connector.Checkpoint) {
		var rejects []connector.Reject
		at := time.Now().Add(-time.Minute)
		for i := range messages {
			m := &messages[i]
			m.Key = connector.ContentKey(m.Data)
			if m.UUID != "" {
				m.Key = connector.MessageKey(m.UUID)
			}
			at = at.Add(time.Second)
			r := connector.NewReject(m, "an earlier release could not read it", at)
			if m.Empty { // a mark of these tests: all of the item is kept
				r.Raw = m.Data
			}
			rejects = append(rejects, r)
			next.Rejects = append(next.Rejects, m.Key)
			next.Counters.Rejected++
		}
		if err := log.Commit(t.Context(), nil, rejects, next); err != nil {
			t.Fatal(err)
		}
	})
}

// uuidOf is an id of 2Chat's form.
func uuidOf(n int) string { return fmt.Sprintf("MSG%08x-0000-4000-8000-000000000000", n) }

// itemOf is a message of 2Chat's form with a text.
func itemOf(uuid, text string) connector.Message {
	id := ""
	if uuid != "" {
		id = fmt.Sprintf("%q:%q,", "uuid", uuid)
	}
	return connector.Message{UUID: uuid, Data: fmt.Appendf(nil,
		`{%s"session_key":"WW-WPN1-1","message":{"text":%q},"sent_by":"user","timestamp":1790000000}`, id, text)}
}

// logOf reads the events of the configured stream back.
func logOf(t *testing.T, path string) (ids []string, late map[string]string) {
	t.Helper()
	c, err := (&cli.Program{}).Load(&config.Flags{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	sink, _, err := pipeline.OpenSink(c, cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	late = map[string]string{}
	err = sink.ReadBack(t.Context(), "support", func(r connector.StoredRecord) error {
		var e struct {
			ID, Sequence string
			Late         bool
		}
		if err := json.Unmarshal(r.Event, &e); err != nil {
			return err
		}
		if ids = append(ids, e.ID); e.Late {
			late[e.ID] = strings.TrimLeft(e.Sequence, "0")
		}
		return nil
	}, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return ids, late
}

// replayReport runs quarantine replay with --json and checks the exit code.
func replayReport(t *testing.T, want int, args ...string) map[string]quarantine.Replayed {
	t.Helper()
	code, out, errOut := finish(t, append([]string{"quarantine", "replay", "--json"}, args...)...)
	if code != want {
		t.Fatalf("exit code %d, want %d; stdout: %.3000s\nstderr: %.3000s", code, want, out, errOut)
	}
	var r quarantine.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	items := map[string]quarantine.Replayed{}
	for _, i := range r.Streams[0].Items {
		items[i.ID] = i
	}
	return items
}

func rejectID(m connector.Message) string { return "reject-" + connector.HashToken(m.Key) }

// An item that can now become an event is delivered once, as late, unless it is already in the log. The others are
// named. This holds on each sink that keeps its events.
func TestQuarantine_Replay(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 71, History: 300})
	oldest := fake.Truth("")[0].UUID // no checkpoint names it any more
	_, broker := fakeKafka(t)
	dir := t.TempDir()
	for name, sink := range map[string]string{
		"file":      "file: { path: " + filepath.Join(dir, "events.jsonl") + " }",
		"JetStream": "jetstream: { url: '" + embeddedServer(t) + "' }",
		"embedded":  "embedded: { listen: '" + clitest.ClosedPort(t) + "', dir: " + filepath.Join(dir, "data") + " }",
		"kafka":     "kafka: { brokers: ['" + broker + "'], create: true, replicas: 1 }",
	} {
		t.Run(name, func(t *testing.T) {
			path := configure(t, url, sink)
			deliver(t, path, 300)
			cut := itemOf(uuidOf(5), strings.Repeat("x", connector.QuarantineBytes))
			withheld := itemOf(uuidOf(6), "private")
			withheld.Withheld = true
			all := []connector.Message{
				itemOf(uuidOf(1), "first"), itemOf(uuidOf(2), "second"), itemOf(oldest, "delivered"), itemOf("", "no id"), cut,
				withheld,
				{Data: []byte(`{"uuid":"torn`)},
			}
			putAside(t, path, all...)

			items := replayReport(t, cli.ExitWrong, "--config", path, "--dry-run")
			for i, want := range []quarantine.Outcome{
				quarantine.Deliver, quarantine.Deliver, quarantine.InLog, quarantine.NoEvent, quarantine.NotKept,
				quarantine.NotKept, quarantine.NoEvent,
			} {
				if got := items[rejectID(all[i])]; got.Outcome != want || len(items) != len(all) {
					t.Errorf("on a dry run item %d of %d is %+v, want %s", i, len(items), got, want)
				}
			}
			if ids, late := logOf(t, path); len(ids) != 300 || len(late) != 0 {
				t.Errorf("a dry run leaves %d events, %v late", len(ids), late)
			}
			code, out, _ := finish(t, "quarantine", "replay", "--config", path)
			wantCode(t, code, cli.ExitWrong)
			wantGolden(t, "quarantine_replay.txt", out)
			want := map[string]string{all[0].UUID: "301", all[1].UUID: "302"}
			for range 2 {
				ids, late := logOf(t, path)
				if len(ids) != 302 || fmt.Sprint(late) != fmt.Sprint(want) {
					t.Errorf("%d events, late %v, want 302 and %v", len(ids), late, want)
				}
				again := replayReport(t, cli.ExitWrong, "--config", path)
				if got := again[rejectID(all[0])]; got.Outcome != quarantine.InLog || got.Sequence != 0 {
					t.Errorf("again: %+v", got)
				}
			}
			if n := quarantined(t, path, 302); n != 4 {
				t.Errorf("status counts %d in the quarantine, want 4", n)
			}
			_, listed, _ := finish(t, "quarantine", "list", "--config", path)
			clitest.WantText(t, "list", listed, "Stream support: 3 of these are in the log since")
			code, out, _ = finish(t, "quarantine", "replay", "--config", path, "--stream", "support")
			wantCode(t, code, cli.ExitWrong)
			clitest.WantText(t, "again", out, "in the log    3 already")
		})
	}
}

// An item that the sink still refuses is named, and not quarantined again. Once the sink accepts it, it is delivered,
// also beside a running instance.
func TestQuarantine_ReplayOfASinkLimit(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 72, History: 40})
	server := embeddedServer(t)
	listen := clitest.ClosedPort(t)
	path := configure(t, url, "jetstream: { url: '"+server+"' }")
	replace(t, path, "listen: '127.0.0.1:0'", "listen: '"+listen+"'")
	deliver(t, path, 40)
	limit := func(bytes int32) {
		js, stream := streamToTamper(t, server)
		settings := stream.CachedInfo().Config
		settings.MaxMsgSize = bytes
		if _, err := js.UpdateStream(t.Context(), settings); err != nil {
			t.Fatal(err)
		}
	}
	large, small := itemOf(uuidOf(1), strings.Repeat("x", 300_000)), itemOf(uuidOf(2), "small")
	large.Empty = true
	putAside(t, path, large, small)
	large.Key, small.Key = connector.MessageKey(large.UUID), connector.MessageKey(small.UUID)
	limit(256 << 10)
	items := replayReport(t, cli.ExitWrong, "--config", path)
	if got := items[rejectID(large)]; got.Outcome != quarantine.Refused || !strings.Contains(got.Because, "too large") {
		t.Errorf("the large one: %+v", got)
	}
	if got := items[rejectID(small)]; got.Outcome != quarantine.Delivered || got.Sequence != 41 {
		t.Errorf("the small one: %+v", got)
	}
	_, listed, _ := finish(t, "quarantine", "list", "--config", path)
	if !strings.Contains(unfolded(listed), "replay --config "+path+" --stream support` tries again 2 items") || !strings.Contains(listed, "1 of these is in the log since") {
		t.Errorf("in the quarantine are\n%s", listed)
	}

	limit(-1)
	live := liveStream(t, path)
	_, listed, _ = finish(t, "quarantine", "list", "--config", path)
	clitest.WantText(t, "beside a live run", unfolded(listed), "--stream support --take-over` tries again 2 items")
	code, _, errOut := finish(t, "quarantine", "replay", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "beside a live run", errOut, "an instance is running with this configuration", "--take-over")
	replayReport(t, cli.ExitFine, "--config", path, "--dry-run")
	if got := replayReport(t, cli.ExitFine, "--config", path, "--take-over")[rejectID(large)]; got.Sequence != 42 {
		t.Errorf("once it is taken: %+v", got)
	}
	fake.Insert("", 5)
	until(t, "the live run goes on", func() bool {
		ids, _ := logOf(t, path)
		return len(ids) == 47
	})
	wantCode(t, live.end(), cli.ExitFine)
	if _, late := logOf(t, path); len(late) != 2 {
		t.Errorf("late are %v", late)
	}
}

// If the log does not reach back to when an item came in, the item may have been delivered, so it is not delivered
// again.
func TestQuarantine_ReplayOfAnExpiredLog(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 73, History: 30})
	server := embeddedServer(t)
	path := configure(t, url, "jetstream: { url: '"+server+"' }")
	deliver(t, path, 30)
	putAside(t, path, itemOf(uuidOf(1), "once"))
	replayReport(t, cli.ExitFine, "--config", path)
	fake.Insert("", 3)
	deliver(t, path, 34)
	_, stream := streamToTamper(t, server)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("whatsapp.>"), jetstream.WithPurgeKeep(3)); err != nil {
		t.Fatal(err)
	}
	for id, got := range replayReport(t, cli.ExitWrong, "--config", path) {
		if got.Outcome != quarantine.Unknown {
			t.Errorf("%s is %+v", id, got)
		}
	}
	if ids, _ := logOf(t, path); len(ids) != 3 {
		t.Errorf("%d events", len(ids))
	}
}

// An item whose bytes were not kept is read from 2Chat again by audit --repair, once.
func TestQuarantine_ReplayOfWhatIsNotKept(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 74, History: 40})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, path, 40)
	uuid := fake.Insert("", 1)[0]
	withheld := itemOf(uuid, "private")
	withheld.Withheld = true
	putAside(t, path, withheld)
	fake.Insert("", 1)
	deliver(t, path, 41)
	for id, got := range replayReport(t, cli.ExitWrong, "--config", path) {
		if got.Outcome != quarantine.NotKept {
			t.Errorf("%s is %+v", id, got)
		}
	}
	r := auditReport(t, cli.ExitFine, "--config", path, "--all", "--repair").Streams[0].Repair
	if r == nil || r.Restored != 1 || r.Last != 42 {
		t.Errorf("the repair is %+v", r)
	}
	replayReport(t, cli.ExitFine, "--config", path)
	if ids, late := logOf(t, path); len(ids) != 42 || late[uuid] != "42" {
		t.Errorf("%d events, late are %v", len(ids), late)
	}
	if r := auditReport(t, cli.ExitFine, "--config", path, "--all", "--repair").Streams[0].Repair; r != nil {
		t.Errorf("again: %+v", r)
	}
}

// quarantined runs the connector until that many events are certified, and returns how many messages its status says to
// be in the quarantine.
func quarantined(t *testing.T, path string, certified int) uint64 {
	t.Helper()
	r := start(t, "run", "--config", path)
	admin := r.admin()
	var report struct {
		Streams []struct{ Certified, Quarantined uint64 }
	}
	until(t, "the status", func() bool {
		_, body := get(t, admin+"/status")
		return json.Unmarshal([]byte(body), &report) == nil && len(report.Streams) == 1 &&
			report.Streams[0].Certified == uint64(certified)
	})
	wantCode(t, r.end(), cli.ExitFine)
	return report.Streams[0].Quarantined
}

// What was replayed by an earlier version, which did not count it, is counted by the next replay; what was erased
// counts at once.
func TestQuarantine_CountsWhatIsLeft(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 76, History: 40})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	fake.Poison("", twochattest.PoisonNoID)
	deliver(t, path, 40)
	oldest := itemOf(fake.Truth("")[0].UUID, "delivered")
	other := itemOf(uuidOf(1), "other")
	other.Data = bytes.Replace(other.Data, []byte("WW-WPN1-1"), []byte("WW-WPN1-595981999999@c.us"), 1)
	putAside(t, path, oldest, other)
	if n := quarantined(t, path, 40); n != 3 {
		t.Errorf("%d, want 3", n)
	}
	code, _, errOut := finish(t, "erase", "--config", path, "--chat", "+595 981 999 999", "--yes")
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	if n := quarantined(t, path, 40); n != 2 {
		t.Errorf("%d after erase, want 2", n)
	}
	replayReport(t, cli.ExitWrong, "--config", path)
	if n := quarantined(t, path, 40); n != 1 {
		t.Errorf("%d after a replay, want 1", n)
	}
}

// An item of more than 1 MiB can never become an event, whatever is done: no command is suggested for it.
func TestQuarantine_ReplayHintsAreTrue(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 75, History: 40})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	fake.Poison("", twochattest.PoisonTooLarge)
	fake.Insert("", 1)
	deliver(t, path, 41)
	code, out, _ := finish(t, "quarantine", "replay", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "replay", out, "not kept      1: larger than the 1 MiB that an event may have",
		"→ only 2Chat has all of it: no event holds so much")
	_, listed, _ := finish(t, "quarantine", "list", "--config", path)
	clitest.WantText(t, "list", listed, ", larger than an event may be\n", "Stream support: nothing delivers 1 item.")
	if strings.Contains(out+listed, "audit") {
		t.Errorf("a repair is suggested, which delivers nothing:\n%s", out)
	}
	for id, got := range replayReport(t, cli.ExitWrong, "--config", path) {
		if got.Outcome != quarantine.NotKept || got.Hint == "" {
			t.Errorf("%s is %+v", id, got)
		}
	}
}

func TestQuarantine_ReplayUsage(t *testing.T) {
	dir := t.TempDir()
	path := configure(t, "http://127.0.0.1:1", "file: { path: "+dir+"/events.jsonl }")
	nats := configure(t, "http://127.0.0.1:1", "nats: { url: 'nats://127.0.0.1:1', state: "+dir+" }")
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"replay --config " + path:                                      {cli.ExitFailed, "there is no file"},
		"replay --config " + nats:                                      {cli.ExitUsage, "keeps neither its quarantine nor its events"},
		"replay --config " + path + " --sink -":                        {cli.ExitUsage, "the sink stdout keeps neither"},
		"replay --config " + path + " --sink nats://127.0.0.1:1 x":     {cli.ExitUsage, "only flags after quarantine replay"},
		"replay --sink nats://127.0.0.1:1":                             {cli.ExitUsage, "expected --config FILE"},
		"replay --raw --config " + path:                                {cli.ExitUsage, "flag --raw"},
		"list --dry-run --config " + path:                              {cli.ExitUsage, "only after quarantine replay"},
		"replay --stream x --sink nats://127.0.0.1:1 --config " + path: {cli.ExitUsage, "flag --stream"},
		"replay --sink nats://127.0.0.1:1 --config " + path:            {cli.ExitFailed, "127.0.0.1:1"},
	} {
		code, out, errOut := finish(t, append([]string{"quarantine"}, strings.Fields(args)...)...)
		if code != want.code || !strings.Contains(out+errOut, want.text) {
			t.Errorf("quarantine %s ends with %d, want %d: %s%s", args, code, want.code, out, errOut)
		}
	}
}
