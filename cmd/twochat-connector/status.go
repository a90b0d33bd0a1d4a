package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

const aboutStatus = `
Asks a running instance's admin server how its streams are. Ends with 3 where one is not as it should be. With --wait it asks again,
once a second, until all is as it should be or the time has passed.
`

// runStatus is the command status.
func runStatus(ctx context.Context, p *program, args []string) error {
	flags := newFlags(p)
	settings := &config.Flags{}
	flags.StringVar(&settings.Config, "config", "", "configuration `file` whose admin.listen is asked; twochat-connector.yaml here, else /etc/twochat-connector/config.yaml")
	address := flags.String("admin", "", "`URL` of the admin server, such as http://127.0.0.1:8080, instead of the configured one")
	asJSON := flags.Bool("json", false, "print what the server answers")
	patience := flags.Duration("wait", 0, "`how long` to wait until all is as it should be, such as 30s")
	if err := p.parse(flags, args, aboutStatus); err != nil {
		return err
	}
	if *patience < 0 {
		return usage("flag --wait: expected a length of time such as 30s")
	}
	base, err := p.adminURL(*address, settings)
	if err != nil {
		return err
	}
	where := "the admin server at " + base
	if *address != "" {
		where = "the admin server that --admin names" // whatever was written there
	}
	body, r, err := statusWithin(ctx, base, where, *patience)
	if err != nil {
		return err
	}
	if *asJSON {
		_, err = p.out.Write(body)
	} else {
		err = printReport(p.out, r)
	}
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	if !r.Ready || !r.Healthy {
		return errFoundWrong
	}
	return nil
}

// statusWithin asks once, and again until all is as it should be or the time has passed.
func statusWithin(ctx context.Context, base, where string, patience time.Duration) (body []byte, r report, err error) {
	deadline := time.Now().Add(patience)
	for {
		body, r, err = readStatus(ctx, base, where)
		if err == nil && r.Ready && r.Healthy || !time.Now().Before(deadline) || connector.Sleep(ctx, time.Second) != nil {
			return body, r, err
		}
	}
}

func readStatus(ctx context.Context, base, where string) (body []byte, r report, err error) {
	if body, err = askStatus(ctx, base, where); err != nil {
		return nil, r, hinted(err, "see whether the connector runs there, and name its admin server with --admin")
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Version == "" {
		return nil, r, hinted(fmt.Errorf("what answers at %s is not a connector of this version", where), "name the connector's admin server with --admin")
	}
	return body, r, nil
}

// adminURL is where to ask: what is named, else the configuration's admin.listen.
func (p *program) adminURL(named string, settings *config.Flags) (string, error) {
	if named != "" {
		if !strings.Contains(named, "://") {
			named = "http://" + named
		}
		u, err := url.Parse(named)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return "", usage("flag --admin: expected a URL such as http://127.0.0.1:8080")
		case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			return "", usage("flag --admin: expected a URL without user, password, query and fragment, such as http://127.0.0.1:8080")
		}
		return strings.TrimRight(named, "/"), nil
	}
	c, _, err := p.loadKeyless(settings)
	if err != nil {
		return "", err
	}
	return adminAt(c.Admin.Listen), nil
}

// adminAt is the URL of an admin server of this machine.
func adminAt(listen string) string {
	if strings.HasPrefix(listen, ":") || strings.HasPrefix(listen, "0.0.0.0:") || strings.HasPrefix(listen, "[::]:") {
		listen = "127.0.0.1" + listen[strings.LastIndex(listen, ":"):]
	}
	return "http://" + listen
}

// statusTimeout bounds the question, statusBytes the answer (a thousand streams are a megabyte).
const (
	statusTimeout = 5 * time.Second
	statusBytes   = 32 << 20
)

func askStatus(ctx context.Context, base, where string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: it is no address", where)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %s", where, netCause(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, statusBytes))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask %s: %s", where, netCause(err))
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask %s: it answers %d %s", where, response.StatusCode, http.StatusText(response.StatusCode))
	}
	return body, nil
}

// netCause words why a connection came to nothing, without the addresses that the libraries quote.
func netCause(err error) string {
	var (
		errno   syscall.Errno
		dns     *net.DNSError
		network net.Error
	)
	switch {
	case errors.As(err, &dns):
		return "its name does not resolve"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return "no answer that can be read"
}

// waiting says whether a stream waits for what may pass, so that not all is well though nobody has to act yet.
func waiting(s streamReport) bool {
	switch s.State {
	case connector.StateLive, connector.StateCatchingUp, connector.StateStandby, connector.StateCommitting:
		return false
	}
	return true
}

// Waiting says whether some stream waits for something, though none has waited for so long that it is not ready.
func (r report) Waiting() bool { return slices.ContainsFunc(r.Streams, waiting) }

// printReport prints the record as a table, and what is wrong below it.
func printReport(to io.Writer, r report) error {
	verdict := "all is well"
	switch {
	case !r.Ready || !r.Healthy:
		verdict = "not as it should be"
	case r.Waiting():
		verdict = "ready, but something is waited for"
	}
	fmt.Fprintf(to, "%s: twochat-connector %s, up %s, sink %s, %d requests a minute", verdict, r.Version, span(r.Now.Sub(r.Started)), r.Sink.Kind, r.RequestsPerMinute)
	if a := r.Account; a != nil {
		fmt.Fprintf(to, ", %s of %s calls used this month (asked %s)", groups(a.CallsUsed), groups(a.CallsAllowed), ago(a.Asked, r.Now))
	}
	if r.Budget.Text != "" {
		fmt.Fprintf(to, "\nbudget %s", r.Budget.Text)
	}
	if r.SweepEvery > 0 {
		fmt.Fprintf(to, "\nlate messages are searched for every %s", intervalText(r.SweepEvery))
	}
	fmt.Fprint(to, "\n\n")
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tSTATE\tFOR\tNEWEST MESSAGE\tLAST GOOD WALK\tIN THE LOG\tNOT CERTIFIED\tLATE\tQUARANTINED\tHELD\tCALLS\tINTERVAL")
	for _, s := range r.Streams {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", s.Stream, stateText(s.Status), span(r.Now.Sub(s.Since)), ago(s.NewestMessage, r.Now),
			ago(s.LastSuccessfulPoll, r.Now), s.Sequence, s.Unconfirmed, s.Counters.Late, s.Counters.Rejected, s.Counters.Held, s.Requests, intervalText(s.Interval))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.NotReady)+len(r.Wedged) > 0 {
		fmt.Fprintln(to)
	}
	for _, text := range append(r.Wedged, r.NotReady...) {
		fmt.Fprintln(to, "✗", text)
	}
	for _, s := range r.Streams {
		if s.Counters.Empty > 0 {
			fmt.Fprintf(to, "! stream %s: %s messages were listed before their content, and stand empty in the log\n", s.Stream, groups(s.Counters.Empty))
		}
		if s.Counters.Suppressed > 0 {
			fmt.Fprintf(to, "! stream %s: rows without an id, whose bytes vary or which are too many, were met %s times and not quarantined again\n", s.Stream, groups(s.Counters.Suppressed))
		}
		if s.EndOpen {
			fmt.Fprintf(to, "· stream %s: its list ended below a full page when it first started, and is looked at again for some minutes\n", s.Stream)
		}
		if s.Horizon {
			fmt.Fprintf(to, "! stream %s: all that was delivered is gone from the list; its older part is held, and `run --accept-history` delivers it\n", s.Stream)
		}
		if text := acceptingText(s.Accepting); text != "" {
			fmt.Fprintf(to, "! stream %s: %s\n", s.Stream, text)
		}
	}
	return nil
}

// acceptingText says how far the delivery of held messages has come; nothing where none is under way.
func acceptingText(a *connector.Accepting) string {
	switch {
	case a == nil:
		return ""
	case a.Page == nil:
		return "what is held is being delivered, as `run --accept-history` asks for: none of it so far, from the end of the list upward"
	}
	return fmt.Sprintf("what is held is being delivered, as `run --accept-history` asks for: %s so far, all from page %d of the list down is done", groups(a.Delivered), *a.Page)
}
