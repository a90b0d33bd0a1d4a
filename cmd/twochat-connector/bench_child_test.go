//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// roleVariable makes the test binary another program. A benchmark must not share its process with 2Chat's fake and the
// broker, or their work would be measured too.
const roleVariable = "TWOCHAT_CONNECTOR_BENCH_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		flag.Parse()
		// Parallel tests here mostly wait for other processes, so a few more of them than processors do not disturb each
		// other.
		if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
			if err := parallel.Value.Set("5"); err != nil {
				log.Fatal(err)
			}
		}
		goleak.VerifyTestMain(m)
		return
	}
	if err := play(role); err != nil {
		log.Fatal(err)
	}
}

// apiRole is a fake 2Chat whose lists stand still. /polls returns when each page 0 was requested since the last call
// of /polls.
type apiRole struct {
	Numbers []string
	History int // messages of each number
	Latency time.Duration
	Quoted  int // bytes of a quoted message in each item; 0 means none
}

// quoting makes each item quote another message of that many bytes, with the address of a file.
func quoting(bytes int) twochattest.Reshape {
	if bytes == 0 {
		return twochattest.Reshape{}
	}
	message, err := json.Marshal(map[string]any{
		"text":  "Gracias, ya lo vi. Lo confirmo mañana.",
		"media": map[string]string{"url": "https://files.2chat.invalid/" + strings.Repeat("a1", 60), "type": "image"},
		"quoted_msg": map[string]string{
			"id": "MSGffffffff-0000-4000-8000-000000000000", "text": strings.Repeat("¿Está listo el pedido? ", bytes/24),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	return twochattest.Reshape{Add: map[string]json.RawMessage{"message": message}}
}

// natsRole is a NATS server with JetStream and default settings.
type natsRole struct{ Dir string }

// pollLog records the times of polls.
type pollLog struct {
	next http.Handler

	mu sync.Mutex
	at []time.Time
}

func (l *pollLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if r.URL.Path == "/polls" {
		noted := l.at
		l.at = nil
		l.mu.Unlock()
		_ = json.NewEncoder(w).Encode(noted) // the caller sees what is missing
		return
	}
	if r.FormValue("page_number") == "0" {
		l.at = append(l.at, time.Now())
	}
	l.mu.Unlock()
	l.next.ServeHTTP(w, r)
}

// polls asks a fake that runs as apiRole when it was polled since the last time.
func polls(b testing.TB, api string) []time.Time {
	b.Helper()
	response, err := http.Get(api + "/polls")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	var at []time.Time
	if err := json.NewDecoder(response.Body).Decode(&at); err != nil {
		b.Fatal(err)
	}
	return at
}

// play serves until the standard input ends, which happens when the process that started it ends.
func play(role string) error {
	name, settings, _ := strings.Cut(role, " ")
	var url string
	switch name {
	case "2chat":
		var r apiRole
		if err := json.Unmarshal([]byte(settings), &r); err != nil {
			return err
		}
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		url = "http://" + listener.Addr().String()
		fake := twochattest.New(twochattest.Options{
			Numbers: r.Numbers, History: r.History, HistoryStep: time.Minute, Latency: r.Latency, RequestsPerMinute: 1_000_000,
			Credits: 1_000_000_000,
		})
		for _, number := range r.Numbers {
			twochattest.SetShape(fake, number, quoting(r.Quoted))
		}
		s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &pollLog{next: fake}}
		go func() { log.Fatal(s.Serve(listener)) }()
	case "nats":
		var r natsRole
		if err := json.Unmarshal([]byte(settings), &r); err != nil {
			return err
		}
		s, err := server.NewServer(&server.Options{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true,
			StoreDir: r.Dir, NoSigs: true, NoLog: true,
		})
		if err != nil {
			return err
		}
		s.Start()
		if !s.ReadyForConnections(time.Minute) {
			return fmt.Errorf("the NATS server is not ready")
		}
		url = s.ClientURL()
	case "program":
		os.Args = append(os.Args[:1], strings.Split(settings, " ")...)
		if err := os.Unsetenv(roleVariable); err != nil {
			return err
		}
		main()
	default:
		return fmt.Errorf("no role is called %q", name)
	}
	fmt.Println(url)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// child starts a role and returns its URL. The role ends with the benchmark, or when end is called.
func child(b testing.TB, name string, settings any) (url string, end func()) {
	b.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		b.Fatal(err)
	}
	executable, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), roleVariable+"="+name+" "+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("role %s: %v", name, err)
		}
	}
	b.Cleanup(end)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("role %s says nothing: %v", name, err)
	}
	return strings.TrimSpace(line), end
}
