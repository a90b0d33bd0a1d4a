package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// shopping is a report of that many live streams; every hundredth has a wrong key.
func shopping(streams int) pipeline.Report {
	now := time.Date(2026, 1, 31, 3, 12, 7, 0, time.UTC)
	r := pipeline.Report{Version: "1", Now: now, Started: now.Add(-time.Hour), Ready: true, Healthy: true}
	r.Sink.Checked, r.Sink.State = true, pipeline.SinkWell
	for i := range streams {
		s := pipeline.StreamReport{Status: poller.Status{
			Stream: fmt.Sprintf("shop-%d", i), State: poller.StateLive, Owned: true, Since: now.Add(-time.Hour),
		}}
		if i%100 == 99 {
			s.State, s.Fault, s.Trouble = poller.StateNoSource, connector.FaultKey, "wrong key"
			s.NextAttempt = now.Add(24 * time.Second)
			r.Ready, r.NotReady = false, append(r.NotReady, s.Trouble)
		}
		r.Streams = append(r.Streams, s)
	}
	return r
}

// shown renders the page of a report.
func shown(t *testing.T, r pipeline.Report, filter string) string {
	t.Helper()
	var page strings.Builder
	if err := WritePage(&page, r, filter); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// The browser runs only the style and the script in the page.
func TestPage_Policy(t *testing.T) {
	handler := Handler(prometheus.NewRegistry(), false, func() pipeline.Report { return shopping(1) })
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/?filter=shop", nil))
	policy, page := recorder.Header().Get("Content-Security-Policy"), recorder.Body.String()
	for _, tag := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(found) != 1 {
			t.Fatalf("%d parts %s", len(found), tag)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		clitest.WantText(t, "the policy", policy, want)
	}
	clitest.WantText(t, "the policy", policy, "default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'")
	if strings.Contains(policy, "unsafe") || regexp.MustCompile(`\s(style|on[a-z]+)=`).MatchString(page) {
		t.Error("something in the page is not in the policy's keeping")
	}
}

// A page for a thousand streams is small: problems are at the top, quiet streams are folded, and the filter finds each.
func TestPage_AThousandStreams(t *testing.T) {
	r := shopping(1000)
	page := shown(t, r, "")
	if len(page) > 300_000 {
		t.Errorf("it has %d bytes", len(page))
	}
	clitest.WantText(t, "the page", page, "1,000 streams", "990 quiet streams", "And 890 more",
		"Not as it should be: wrong key (10 streams: shop-99,", "next attempt in 24 s", "✗ 1 problem")
	if wrong, quiet := strings.Index(page, "shop-999"), strings.Index(page, `data-key="stream shop-0"`); wrong < 0 ||
		quiet < wrong {
		t.Errorf("what is wrong stands at %d, what is quiet at %d", wrong, quiet)
	}
	for filter, want := range map[string]int{"shop-77": 11, "SHOP-777": 1, " wrong key ": 10, "<b>": 0} {
		page := shown(t, r, filter)
		clitest.WantText(t, "filtered by "+filter, page, fmt.Sprintf(">%d found<", want))
		if n := strings.Count(page, `data-key="stream `); n != want {
			t.Errorf("filtered by %q it shows %d streams, want %d", filter, n, want)
		}
		if strings.Contains(page, "<b>\"") {
			t.Error("a filter is taken for markup")
		}
	}
}

// The runbook is at the project's home as given in the chart, and has each section that a problem names.
func TestPage_Runbook(t *testing.T) {
	chart, err := os.ReadFile("../../../deploy/helm/twochat-connector/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	home := regexp.MustCompile(`(?m)^home: (\S+)$`).FindStringSubmatch(string(chart))
	if home == nil || !strings.HasPrefix(runbookPage, home[1]+"/") {
		t.Errorf("the project is at home at %q", home)
	}
	runbook, err := os.ReadFile("../../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections [][]string
	for _, file := range []string{"verdict.go", "state_words.go"} {
		source, err := os.ReadFile("../pipeline/" + file)
		if err != nil {
			t.Fatal(err)
		}
		sections = append(sections,
			regexp.MustCompile(`"(TwochatConnector[A-Za-z]+)"`).FindAllStringSubmatch(string(source), -1)...)
	}
	if len(sections) < 12 {
		t.Errorf("only %d sections are named", len(sections))
	}
	for _, section := range sections {
		if !strings.Contains(string(runbook), "\n### "+section[1]+"\n") {
			t.Errorf("the runbook has no section %s", section[1])
		}
	}
}

// A chart's highest bar is as high as the chart, any count has a visible bar, and the words say the same.
func TestPage_Chart(t *testing.T) {
	now := time.Date(2026, 1, 31, 3, 12, 7, 0, time.UTC)
	if chartOf(nil, time.Time{}, now) != nil {
		t.Error("of nothing there is a chart")
	}
	c := chartOf([]uint32{0, 1, 50_000, 100_000}, time.Time{}, now)
	if c.Bars[0].Height != 0 || c.Bars[1].Height != 2 || c.Bars[2].Height != chartHeight/2 ||
		c.Bars[3].Height != chartHeight || !c.Bars[3].Now || c.Bars[0].Now || c.Bars[2].Y != chartHeight/2 {
		t.Errorf("%+v", c.Bars)
	}
	clitest.WantText(t, "the chart", c.Bars[2].Title+c.Text, "02:00 UTC: 50,000 messages", "150,001 messages in 4 hours")
}
