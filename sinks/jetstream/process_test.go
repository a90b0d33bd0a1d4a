package jetstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
)

// serverProcess is the environment variable with the configuration of the NATS server that this test binary runs
// instead of tests.
const serverProcess = "TWOCHAT_CONNECTOR_TEST_NATS_SERVER"

// serve runs a server until the standard input ends, as happens when the test process ends.
func serve(file string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		fail(err)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		fail(err)
	}
	s.Start()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fail(err)
	}
	s.Shutdown()
	s.WaitForShutdown()
}

// node is a server of a cluster, in a process of its own, which can be stopped at any time.
type node struct {
	name, url string
	process   *os.Process
}

// startNodes runs a cluster of three processes.
func startNodes(t *testing.T) []*node {
	t.Helper()
	ports := freePorts(t, 6)
	var nodes []*node
	for i := range 3 {
		dir := t.TempDir()
		file := filepath.Join(dir, "server.conf")
		text := fmt.Sprintf("server_name: n%d\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q }\ncluster { name: test, listen: 127.0.0.1:%d, routes: [ nats://127.0.0.1:%d, nats://127.0.0.1:%d, nats://127.0.0.1:%d ] }\n",
			i, ports[i], dir, ports[3+i], ports[3], ports[4], ports[5])
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), serverProcess+"="+file)
		var said bytes.Buffer
		command.Stderr = &said
		alive, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			alive.Close()
			if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			_ = command.Wait() // killed
			if said.Len() > 0 && t.Failed() {
				t.Log(said.String())
			}
		})
		nodes = append(nodes, &node{
			name: fmt.Sprint("n", i), url: fmt.Sprintf("nats://127.0.0.1:%d", ports[i]),
			process: command.Process,
		})
	}
	eventually(t, "the servers to listen", func() bool {
		for _, n := range nodes {
			conn, err := natsgo.Connect(n.url)
			if err != nil {
				return false
			}
			conn.Close()
		}
		return true
	})
	return nodes
}

func urls(nodes []*node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.url)
	}
	return strings.Join(list, ",")
}
