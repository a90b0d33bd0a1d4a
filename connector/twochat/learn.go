package twochat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// farPage is a page that lies past the end of every list.
const farPage = 1_000_000

// Learn checks against the live API which assumptions of this package hold for an account and a stream. It makes about
// five calls, and returns a finding for each assumption and the redacted shape of an answer, for bug reports. No
// finding contains a customer's text, a number or a key. If nothing could be learned it returns an error as Page does.
func (c *Client) Learn(ctx context.Context, s connector.Stream) ([]connector.Finding, error) {
	l := &lesson{client: c, stream: s, shapes: newShapeWatch(c.now)}
	if err := l.account(ctx); err != nil {
		return nil, err
	}
	first, err := l.read(ctx, 0, validators{})
	if err != nil {
		return nil, err
	}
	if first.status != http.StatusOK {
		fault := statusFault(first.status)
		fault.RetryAfter = retryAfter(first.header, c.now())
		return nil, fault
	}
	l.page(first)
	if first.problem != "" && first.problem != problemEcho {
		l.members()
		l.shape(first)
		return l.findings, nil
	}
	l.items(first)
	for _, step := range []func(context.Context, lessonPage) error{l.seam, l.again, l.end} {
		if err := step(ctx, first); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			l.add(connector.FindingWarning, "calls", "a call failed, so not everything could be learned: %v", err)
		}
	}
	l.members()
	l.shape(first)
	return l.findings, nil
}

// lesson collects the findings.
type lesson struct {
	client   *Client
	stream   connector.Stream
	shapes   *shapeWatch
	findings []connector.Finding
}

// lessonPage is one answer in a lesson, scanned as far as it goes.
type lessonPage struct {
	answer
	number  int
	problem string
	found   found
	ids     []string
}

func (l *lesson) add(level connector.FindingLevel, thing, format string, args ...any) {
	finding := connector.Finding{Level: level, Thing: thing, Text: fmt.Sprintf(format, args...)}
	if level != connector.FindingOK {
		finding.Hint = "report it, with the shape below"
	}
	l.findings = append(l.findings, finding)
}

// either adds a finding that is OK if good is true, and otherwise a warning.
func either(good bool) connector.FindingLevel {
	if good {
		return connector.FindingOK
	}
	return connector.FindingWarning
}

func (l *lesson) account(ctx context.Context) error {
	info, err := l.client.Info(ctx)
	var fault *connector.PageError
	switch {
	case err == nil && info.RequestsPerMinute > 0:
		l.add(connector.FindingOK, "rate limit", "%d requests a minute; %d of %d calls used this month",
			info.RequestsPerMinute, info.Usage, info.MaxUsage)
	case err == nil:
		l.add(connector.FindingWarning, "rate limit",
			"the account's information names no limit; 10 requests a minute are assumed")
	case errors.As(err, &fault) && fault.Fault != connector.FaultKey && fault.Fault != connector.FaultCredits:
		l.add(connector.FindingWarning, "rate limit", "the account's information cannot be read: %v", fault)
	default:
		return err
	}
	return nil
}

// read makes one call for a page.
func (l *lesson) read(ctx context.Context, number int, known validators) (lessonPage, error) {
	path, err := pagePath(l.stream, number)
	if err != nil {
		return lessonPage{}, err
	}
	// It uses its own memory, as pages are compared with each other.
	got, err := l.client.get(ctx, path, known, new(scratch))
	if err != nil {
		return lessonPage{}, err
	}
	page := lessonPage{answer: got, number: number}
	if got.status != http.StatusOK {
		return page, nil
	}
	page.found, page.problem = scanPage(got.body, number, nil)
	if page.found.answers {
		l.shapes.page(list{l.stream.Number, l.stream.Remote}, got.body, &page.found.seen)
	}
	for i := range page.found.items {
		it := &page.found.items[i]
		if it.all.found() {
			page.ids = append(page.ids, string(it.usableID(got.body)))
		}
	}
	return page, nil
}

// page checks the envelope of the answer.
func (l *lesson) page(p lessonPage) {
	if p.problem != "" && p.problem != problemEcho {
		l.findings = append(l.findings, connector.Finding{
			Level: connector.FindingRefused, Thing: "page", Text: "page 0 is no valid page: " + p.problem,
			Hint: "report it, with the shape below",
		})
		return
	}
	l.add(connector.FindingOK, "page", "page 0 is valid and holds %d items", len(p.ids))
	switch {
	case p.problem == problemEcho:
		l.findings = append(l.findings, connector.Finding{
			Level: connector.FindingRefused, Thing: "echo", Text: "page 0 shows another page number",
			Hint: "report it, with the shape below",
		})
	case p.found.number.found():
		l.add(connector.FindingOK, "echo", "the answer for page 0 has its page_number")
	default:
		l.add(connector.FindingWarning, "echo",
			"the answer has no page_number; an ignored parameter shows only by equal pages")
	}
}

// items checks the fields and the order of page 0.
func (l *lesson) items(p lessonPage) {
	n := len(p.ids)
	if n == 0 {
		l.add(connector.FindingWarning, "items", "the list is empty, so nothing could be learned about its items")
		return
	}
	var uuids, ids, equal, usual, unusable, timeless, agree, both, disorder, ties, sessions, empty int
	var created, stamps, chats, senders []string
	for i := range p.found.items {
		it := &p.found.items[i]
		uuid, id := stringAt(p.body, it.uuid), stringAt(p.body, it.id)
		uuids += one(len(uuid) > 0)
		ids += one(len(id) > 0)
		equal += one(len(uuid) > 0 && bytes.Equal(uuid, id))
		usual += one(strings.HasPrefix(p.ids[i], "MSG") && len(p.ids[i]) == 39)
		unusable += one(p.ids[i] == "")
		at := it.time(p.body)
		timeless += one(at.IsZero())
		created, stamps = appendForm(created, p.body, it.created), appendForm(stamps, p.body, it.timestamp)
		if it.created.found() && it.timestamp.found() {
			first, ok := parseTime(it.created.of(p.body))
			second, ok2 := parseTime(it.timestamp.of(p.body))
			both += one(ok && ok2)
			agree += one(ok && ok2 && first.Unix() == second.Unix())
		}
		if i > 0 {
			if above := p.found.items[i-1].time(p.body); !above.IsZero() && !at.IsZero() {
				disorder += one(at.After(above))
				ties += one(at.Equal(above))
			}
		}
		empty += one(it.empty(p.body))
		sessions += one(len(stringAt(p.body, it.session)) > 0)
		chats = appendNew(chats, chatKind(it.chat(p.body)))
		senders = appendNew(senders, senderKind(stringAt(p.body, it.sentBy)))
	}
	l.add(either(unusable == 0), "id", "uuid in %d of %d items, id in %d, equal in %d; %d of the usual form, %d unusable",
		uuids, n, ids, equal, usual, unusable)
	l.add(either(len(compact(p.ids)) == n-unusable), "repeats", "%d different ids among %d items of page 0",
		len(compact(p.ids)), n)
	l.add(either(timeless == 0), "time", "created_at: %s; timestamp: %s; %d of %d items without a readable time",
		forms(created), forms(stamps), timeless, n)
	if both > 0 {
		l.add(either(agree == both), "time zone",
			"created_at (as UTC if it names no zone) and timestamp agree in %d of %d items", agree, both)
	}
	l.add(either(disorder == 0), "order", "%d of %d items of page 0 are newer than the one above, %d of the same time",
		disorder, n, ties)
	l.add(either(sessions == n), "chat", "session_key in %d of %d items; kinds of chats: %s", sessions, n,
		strings.Join(chats, ", "))
	l.add(either(empty == 0), "content",
		"%d of %d items of page 0 are listed without their content; such a message is delivered as it is, and counted", empty,
		n)
	l.add(connector.FindingOK, "sent_by", "%s", strings.Join(senders, ", "))
}

// members reports how the answers differ from the known members.
func (l *lesson) members() {
	changes := l.shapes.all()
	if len(changes) == 0 {
		l.add(connector.FindingOK, "members", "all members are known")
		return
	}
	texts := make([]string, len(changes))
	for i, change := range changes {
		texts[i] = change.String()
	}
	are := "are"
	if len(changes) == 1 {
		are = "is"
	}
	l.add(connector.FindingWarning, "members", "%d %s not as known: %s", len(changes), are, strings.Join(texts, "; "))
}

// seam reads page 1 and compares it with page 0.
func (l *lesson) seam(ctx context.Context, first lessonPage) error {
	if len(first.ids) == 0 {
		return nil
	}
	p, err := l.read(ctx, 1, validators{})
	if err != nil {
		return err
	}
	switch {
	case p.status == http.StatusNotFound:
		l.add(connector.FindingOK, "page 1", "404: the list may end with page 0")
	case p.status != http.StatusOK:
		return statusFault(p.status)
	case p.problem != "":
		l.add(connector.FindingWarning, "page 1", "no valid page: %s", p.problem)
	case slices.Equal(p.ids, first.ids):
		l.add(connector.FindingWarning, "page 1", "it is the same as page 0: page_number is ignored")
	default:
		repeated, leading := 0, 0
		for i, id := range p.ids {
			if id != "" && slices.Contains(first.ids, id) {
				repeated++
				leading += one(leading == i)
			}
		}
		newer := 0
		if last := first.found.items[len(first.ids)-1].time(first.body); len(p.ids) > 0 && !last.IsZero() {
			newer = one(p.found.items[0].time(p.body).After(last))
		}
		l.add(either(repeated == leading && newer == 0), "page 1",
			"%d items; %d of them were on page 0 before, %d of these at its top; its first is newer than the last of page 0: %v",
			len(p.ids), repeated, leading, newer == 1)
	}
	return nil
}

// again reads page 0 a second time, with the validators that the first answer offered.
func (l *lesson) again(ctx context.Context, first lessonPage) error {
	offered := offeredBy(first.header)
	p, err := l.read(ctx, 0, offered)
	if err != nil {
		return err
	}
	kinds := "no validators"
	if offered.offered() {
		kinds = strings.Trim(strings.Repeat("ETag ", one(offered.etag != ""))+strings.Repeat("Last-Modified",
			one(offered.modified != "")), " ")
	}
	switch {
	case p.status == http.StatusNotModified:
		l.add(connector.FindingOK, "unchanged page", "%s; asked with them, the server answers 304", kinds)
	case p.status != http.StatusOK:
		return statusFault(p.status)
	case bytes.Equal(p.body, first.body):
		l.add(connector.FindingOK, "unchanged page", "%s; page 0 read again is the same to the byte", kinds)
	case p.problem == "" && bytes.Equal(p.found.messages.of(p.body), first.found.messages.of(first.body)):
		l.add(connector.FindingOK, "unchanged page", "%s; page 0 read again has the same messages in another envelope", kinds)
	case slices.Equal(p.ids, first.ids):
		l.add(connector.FindingWarning, "unchanged page",
			"%s; page 0 read again has the same ids but other bytes: no poll will be cheap", kinds)
	default:
		l.add(connector.FindingOK, "unchanged page", "%s; the list moved meanwhile, so nothing can be said", kinds)
	}
	return nil
}

// end reads a page far past the end.
func (l *lesson) end(ctx context.Context, first lessonPage) error {
	p, err := l.read(ctx, farPage, validators{})
	if err != nil {
		return err
	}
	switch {
	case p.status == http.StatusNotFound:
		l.add(connector.FindingOK, "past the end", "404")
	case p.status != http.StatusOK:
		l.add(connector.FindingWarning, "past the end", "status %d, which is not known as the end of a list", p.status)
	case p.problem != "":
		l.add(connector.FindingWarning, "past the end", "no valid page: %s", p.problem)
	case len(p.ids) == 0:
		l.add(connector.FindingOK, "past the end", "200 with no items")
	case slices.Equal(p.ids, first.ids):
		l.add(connector.FindingWarning, "past the end", "page 0 again: a walk cannot see the end of the list")
	default:
		l.add(connector.FindingWarning, "past the end", "%d items on page %d", len(p.ids), farPage)
	}
	return nil
}

// shape adds the shape of an answer.
func (l *lesson) shape(p lessonPage) {
	text := fmt.Sprintf("not JSON, %d bytes", len(p.body))
	s := &scanner{data: p.body}
	if end := s.value(s.space(0), 0); end >= 0 && s.space(end) == len(p.body) {
		text = redactedShape(p.body)
	}
	l.findings = append(l.findings, connector.Finding{Level: connector.FindingOK, Thing: "shape", Text: text})
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
