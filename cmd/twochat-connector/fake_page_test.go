package main

import (
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
)

// The commands that the program's page shows for the fake work as printed, except for the port.
func TestFake_Page(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl on this machine")
	}
	const address = "127.0.0.1:9900"
	_, section, _ := strings.Cut(page(t, "cmd/twochat-connector/README.md"), "\n## The fake\n")
	section, _, _ = strings.Cut(section, "\n## ")
	lines := regexp.MustCompile(`(?m)^\$ (.*)$`).FindAllStringSubmatch(section, -1)
	if len(lines) < 10 {
		t.Fatalf("the page shows %d commands", len(lines))
	}
	begin, ours := strings.CutPrefix(lines[0][1], "twochat-connector ")
	if !ours || !strings.Contains(begin, address) {
		t.Fatalf("the first command is %s", lines[0][1])
	}
	// The fake fails at random, but not for the requests here.
	fake := start(t, strings.Fields(strings.NewReplacer(address, "127.0.0.1:0", " 0.05", " 0").Replace(begin))...)
	base := ""
	until(t, "the address", func() bool {
		base = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(fake.out.String())
		return base != ""
	})
	for _, line := range lines[1:] {
		command := strings.Replace(line[1], "curl ", curl+" --silent --show-error --fail ", 1)
		out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, address, base)).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "{") {
			t.Errorf("%s: %v\n%.500s", line[1], err, out)
		}
	}
	// The requests in the help exist.
	for _, request := range regexp.MustCompile(`(POST|GET) +(/fake/\S+)`).FindAllStringSubmatch(strings.ReplaceAll(aboutFake, ",", " "), -1) {
		body := strings.NewReader("[]")
		asked, err := http.NewRequestWithContext(t.Context(), request[1], "http://"+base+request[2], body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(asked)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %s", request[1], request[2], response.Status)
		}
	}
	response, err := http.Post("http://"+base+"/fake/apend", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 200)
	n, _ := response.Body.Read(content)
	response.Body.Close()
	clitest.WantText(t, "an unknown request", response.Status+string(content[:n]), "404",
		`{"error":"there is no such request;`)
	http.DefaultClient.CloseIdleConnections()
	wantCode(t, fake.end(), cli.ExitFine)
}
