package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

const aboutFake = `
Serves the fake 2Chat on its own on loopback, for tests in any language, and as
an API for a connector or for a reader that you write: GET
/open/whatsapp/messages/{number}[/{remote}]?page_number=N and GET /open/info,
with any API key. Numbers, people and conversations are invented. One item in
six is unusual in some way. Some items have members that are not known, which a
connector's status names.

It is controlled over HTTP. ?number= selects one of its numbers, with %2B for the
plus sign; by default the first one is meant.

    POST /fake/append?count=3       messages on top
    POST /fake/late?depth=5         a message with depth others above it
    POST /fake/backdated            a message on top with an old time
    POST /fake/skeleton             one without content, which an edit fills in
    POST /fake/edit?position=0      changes the content of the first message
                                    from a position down that has some
    POST /fake/delete?position=0    deletes that message
    POST /fake/poison?kind=no+id    an item that cannot become an event
    POST /fake/replace?count=50     replaces this list by another one
    POST /fake/clear                an empty list
    POST /fake/next                 the next answers:
        [{"kind":"status","status":503},{"kind":"truncated"},{}]
    POST /fake/shape                changes members from now on, as another
                                    release of the API might, on items and
                                    around them; {} ends it:
        {"add":{"colour":"red"},"drop":["session_key"],"around":{"next":1}}
    POST /fake/faults?rate=0.2      random faults
    POST /fake/quiet                stops drift, random faults and the
                                    messages of --rate
    POST /fake/resume               starts them again
    GET  /fake/numbers              its numbers
    GET  /fake/truth                every message that was ever listed, a JSON
                                    object a line

It ends at ctrl-c.
`

// numberRoom is how many numbers a fake may have: 555-0100 to 555-0199, which no area code assigns to subscribers.
const numberRoom = 1000

// runFake is the command fake.
func runFake(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	listen := flags.String("listen", "127.0.0.1:9900", "`address` on loopback; port 0 picks a free one")
	numbers := flags.Int("numbers", 1, "`how many` connected numbers it has")
	history := flags.Int("history", 250, "`how many` messages each number has from the start")
	rate := flags.Float64("rate", 1, "`how many` messages come in a second, over all numbers; 0 for none")
	faults := flags.Float64("faults", 0, "`share` of answers that are wrong, from 0 to 1")
	drift := flags.Bool("drift", false,
		"the lists change before each request: messages come late or hundreds at once, are edited and deleted")
	seed := flags.Uint64("seed", 0, "`number` that determines what it does; 0 is a new one each time")
	if err := p.Parse(flags, args, aboutFake); err != nil {
		return err
	}
	switch {
	case !onLoopback(*listen):
		return cli.Usage("flag --listen: expected an address on loopback, such as 127.0.0.1:9900, as the fake has no access control")
	case *numbers < 1 || *numbers > numberRoom:
		return cli.Usage("flag --numbers: expected 1 to %d", numberRoom)
	case *history < 0 || *history > 10_000_000:
		return cli.Usage("flag --history: expected 0 to 10000000")
	case !(*rate >= 0 && *rate <= 10_000):
		return cli.Usage("flag --rate: expected 0 to 10000")
	case !(*faults >= 0 && *faults <= 1):
		return cli.Usage("flag --faults: expected 0 to 1")
	}
	if *seed == 0 {
		*seed = uint64(rand.Uint32()) + 1
	}
	options := twochattest.Options{
		Seed: *seed, History: *history, Faults: twochattest.PassingFaults(*faults), RequestsPerMinute: 6000,
	}
	for i := range *numbers {
		options.Numbers = append(options.Numbers, fmt.Sprintf("+1%03d55501%02d", 555+i/100, i%100))
	}
	if *drift {
		options.Drift = twochattest.LivelyDrift()
		options.Drift.Inserts = 0 // --rate sets their number
	}
	return serveFake(ctx, p, twochattest.New(options), options.Numbers, *listen, *rate)
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// serveFake serves until the context ends.
func serveFake(
	ctx context.Context, p *cli.Program, fake *twochattest.Fake, numbers []string, listen string, rate float64,
) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return cli.Hinted(fmt.Errorf("flag --listen: %s cannot be used", listen),
			"name another port, or 127.0.0.1:0 for a free one")
	}
	mux := http.NewServeMux()
	mux.Handle("/", fake)
	mux.Handle("/fake/", twochattest.Control(fake))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	base := "http://" + listener.Addr().String()
	said := fmt.Sprintf("a fake 2Chat at %s, with the numbers %s", base, strings.Join(numbers[:min(len(numbers), 5)], " "))
	if len(numbers) > 5 {
		said += fmt.Sprintf(" … (%d)", len(numbers))
	}
	said += fmt.Sprintf("\nread it with: `TWOCHAT_API_KEY=any TWOCHAT_CONNECTOR_TWOCHAT_BASE_URL=%s "+
		"twochat-connector run --number %s`\n", base, numbers[0])
	if err := p.Print(said); err != nil {
		return err
	}

	arrive(ctx, fake, numbers, rate)
	err = server.Close()
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("serve the fake 2Chat: %w", err)
	}
	return nil
}

// arrive adds messages to the lists, one number after the other, until the context ends. It adds none while the fake is
// quiet.
func arrive(ctx context.Context, fake *twochattest.Fake, numbers []string, rate float64) {
	if rate == 0 {
		<-ctx.Done()
		return
	}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fake.Arrive(numbers[i%len(numbers)])
		}
	}
}
