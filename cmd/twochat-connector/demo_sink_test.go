package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/demo"
	"github.com/twochat-connector/twochat-connector/connector"
)

// Demos in a sink of the user create what is missing, write streams of their own, audit themselves, and leave their
// events there.
func TestDemo_Sinks(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{
		"auto.create.topics.enable": "false", "default.replication.factor": "1",
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	for name, sink := range map[string]string{
		"kafka": "kafka://" + kafka.ListenAddrs()[0] + "/messages",
		"nats":  natsAt(t, "jetstream { store_dir: STORE }"),
		"file":  "file:" + filepath.Join(t.TempDir(), "events.jsonl"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, more := range [][]string{{"--history", "500"}, {"--data", "row"}} {
				stream := []string{"bicycle-shop", "bicycle-shop-2"}[i]
				code, out, errOut := finish(t, append([]string{"demo", "--for", "1s", "--json", "--sink", sink}, more...)...)
				wantCode(t, code, cli.ExitFine)
				lines := strings.Split(strings.TrimSpace(out), "\n")
				var last struct{ Summary demo.Result }
				if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
					t.Fatalf("%v: %s%s", err, out, errOut)
				}
				s := last.Summary
				if s.Wrong() || s.Stream != stream || s.Events < []int{500, 12}[i] || s.Listed < 12 {
					t.Errorf("the summary is %+v", s)
				}
				code, out, _ = finish(t, "tail", "--no-follow", "--json", "--last", "100000", "--stream", stream, "--sink", sink)
				wantCode(t, code, cli.ExitFine)
				if got := strings.Count(out, "\n"); got != s.Events {
					t.Errorf("%d events stay there, of %d", got, s.Events)
				}
				if rows := strings.Count(out, `"kind":"`); (i == 1) != (rows == s.Events) {
					t.Errorf("%d rows among %d events", rows, s.Events)
				}
			}
		})
	}
}

// What a person sees: where the events are, what the lines mean, and how to look at them again.
func TestDemo_ShowsWhereTheyStay(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, errOut := finish(t, "demo", "--for", "1s", "--sink", "file:events.jsonl")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "the demo", out, "the real connector, your sink. Seed ", "\n  file        events.jsonl\n",
		"\n  source      //2chat.co/whatsapp/bicycle-shop\n",
		"\n  ← from a customer   → from the shop   · unknown\n", "\n  LATE  listed below newer messages",
		"\nRead back from the file and compared with what was listed:\n       0  lost\n",
		"\nThe events stay there; this command shows them:\n  twochat-connector tail --no-follow --stream bicycle-shop --sink file:events.jsonl\n")
	if errOut != "" {
		t.Errorf("on the error output: %s", errOut)
	}
}

func TestDemo_RefusesSinks(t *testing.T) {
	t.Chdir(t.TempDir())
	closed := clitest.ClosedPort(t)
	code, _, _ := finish(t, "demo", "--for", "1s", "--sink", "file:again.jsonl")
	wantCode(t, code, cli.ExitFine)
	if err := os.RemoveAll("again.jsonl.checkpoint"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("foreign.jsonl", []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"stdout": {[]string{"--sink", "-"}, cli.ExitUsage, []string{"cannot be read back and audited", "demo --json"}},
		"form":   {[]string{"--sink", "amqp://x"}, cli.ExitUsage, []string{"expected nats://host:4222"}},
		"empty":  {[]string{"--sink", ""}, cli.ExitUsage, []string{"flag --sink: expected a value"}},
		"nobody": {
			[]string{"--sink", "nats://" + closed},
			cli.ExitFailed,
			[]string{"sink jetstream: it cannot be checked", closed, "check that it is running"},
		},
		"no broker": {
			[]string{"--sink", "kafka://" + closed + "/t"},
			cli.ExitFailed,
			[]string{"sink kafka: it cannot be checked", closed, "check that it is running"},
		},
		"no checkpoint": {
			[]string{"--sink", "file:again.jsonl"},
			cli.ExitFailed,
			[]string{"holds events of this stream but no checkpoint\n  → name another file with --sink\n"},
		},
		"foreign": {
			[]string{"--sink", "file:foreign.jsonl"},
			cli.ExitFailed,
			[]string{"a line that is not an event of this connector, at byte 0\n  → name another file with --sink\n"},
		},
		"folder": {
			[]string{"--sink", "file:."},
			cli.ExitFailed,
			[]string{"it is not a regular file\n  → name another file with --sink\n"},
		},
		"history": {[]string{"--history", "-1"}, cli.ExitUsage, []string{"flag --history: expected 0 to 100000"}},
		"data":    {[]string{"--data", "table"}, cli.ExitUsage, []string{"flag --data: expected item or row"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := finish(t, append([]string{"demo", "--for", "1s"}, c.args...)...)
			wantCode(t, code, c.code)
			clitest.WantText(t, "demo", errOut, c.want...)
			if out != "" {
				t.Errorf("it begins all the same: %s", out)
			}
		})
	}
}

// If the reader of the output leaves early, as head does, the program ends without a message.
func TestMain_ReaderLeaves(t *testing.T) {
	t.Parallel()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "events.jsonl")
	reject := `{"id":"reject-x","source":"` + connector.Stream{Name: "s"}.Source() + "\"}\n"
	for name, line := range map[string]string{file: "", file + ".quarantine.jsonl": reject} {
		if err := os.WriteFile(name, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := "quarantine list --sink file:" + file
	for _, command := range []string{
		"demo --for 20s", "demo --for 20s --json", "schema event", list, list + " --json", list + " --show",
	} {
		t.Run(command, func(t *testing.T) {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(executable)
			cmd.Env = append(os.Environ(), roleVariable+"=program "+command)
			var errOut clitest.Output
			cmd.Stdout, cmd.Stderr = writer, &errOut
			// A pipe without a reader: nobody gets the first line.
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := writer.Close(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil || errOut.String() != "" {
				t.Errorf("it ends with %v and says: %s", err, errOut.String())
			}
		})
	}
}
