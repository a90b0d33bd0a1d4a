package twochat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/twochat-connector/twochat-connector/connector"
)

// manyItems is the number of items from which a page counts as broken if none of them can be used.
const manyItems = 10

// maxItems is how many items a page may have. The API's pages have 100; a body of 64 MiB could have millions of them,
// and each costs memory beyond its bytes.
const maxItems = 10_000

// plainRequestEvery is the number of conditional requests in a row after which a plain one verifies the server's
// answers.
const plainRequestEvery = 10

// Page implements connector.Pages: it reads one page of a stream.
func (c *Client) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	path, err := pagePath(s, number)
	if err != nil {
		return connector.Page{}, err
	}
	if number != 0 {
		held = ""
	}
	work := c.borrow()
	defer c.giveBack(work)
	known := c.known(s, held)
	got, err := c.get(ctx, path, known, work)
	if err != nil {
		return connector.Page{}, err
	}
	switch {
	case got.status == http.StatusOK:
	case got.status == http.StatusNotModified && known.offered():
		return connector.Page{Unchanged: true, Fingerprint: held, Received: got.received}, nil
	case got.status == http.StatusNotFound && !ownError(got.body):
		return connector.Page{}, fault(connector.FaultTransient, got.status,
			"not found, but not in 2Chat's words: a proxy or load balancer on the way answers, or the base URL leads elsewhere")
	case got.status == http.StatusNotFound && number > 0:
		return connector.Page{Number: number, Missing: true, Fingerprint: emptyPage, Received: got.received}, nil
	default:
		fault := statusFault(got.status)
		fault.RetryAfter = retryAfter(got.header, c.now())
		return connector.Page{}, fault
	}
	if c.sameBody(s, held, got.body) {
		return connector.Page{Unchanged: true, Fingerprint: held, Received: got.received, Bytes: len(got.body)}, nil
	}
	body := work.keep(got.body)
	found, problem := scanPage(body, number, work.items[:0])
	work.items = found.items
	if found.answers {
		c.shapes.page(list{s.Number, s.Remote}, body, &found.seen)
	}
	if problem == "" && !found.messages.found() && !got.whole {
		problem = "it has no messages member, and may be cut off"
	}
	if problem != "" {
		return connector.Page{}, fault(connector.FaultInvalid, got.status, "no valid page: %s", problem)
	}
	list := found.messages.of(body)
	page := connector.Page{Number: number, Fingerprint: emptyPage, Received: got.received, Bytes: len(list)}
	if len(found.items) > 0 {
		page.Fingerprint = fingerprint(list)
	}
	if number == 0 {
		c.remember(s, page.Fingerprint, body, offeredBy(got.header))
	}
	if held != "" && page.Fingerprint == held {
		page.Unchanged = true
		return page, nil
	}
	page.Messages = c.messages(s, body, work)
	if c.rows {
		page.Bytes = toRows(page.Messages, work.items, body, got.received)
	}
	if len(page.Messages) >= manyItems && allFaulty(page.Messages) {
		return connector.Page{}, fault(connector.FaultInvalid, got.status,
			"no valid page: none of its %d items can be used (the first: %s)",
			len(page.Messages), page.Messages[0].Fault)
	}
	return page, nil
}

// pagePath is the path of a page below the base URL. The configuration has checked the numbers; pagePath makes sure
// that no number can lead to another address.
func pagePath(s connector.Stream, number int) (string, error) {
	if !plainNumber(s.Number) || s.Remote != "" && !plainNumber(s.Remote) {
		return "", fault(connector.FaultRequest, 0, "the stream's number or remote number does not have a form that 2Chat lists")
	}
	if number < 0 {
		return "", fault(connector.FaultRequest, 0, "page %d does not exist", number)
	}
	path := "/open/whatsapp/messages/" + url.PathEscape(s.Number)
	if s.Remote != "" {
		path += "/" + url.PathEscape(s.Remote)
	}
	return path + "?page_number=" + strconv.Itoa(number), nil
}

// plainNumber accepts E.164 numbers and WhatsApp's ids (digits@lid, digits-digits@g.us).
func plainNumber(number string) bool {
	if len(number) < 3 || len(number) > 128 || number[0] != '+' && (number[0] < '0' || number[0] > '9') {
		return false
	}
	for i := range len(number) {
		switch c := number[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c == '+' && i == 0, c == '-', c == '@', c == '.':
		default:
			return false
		}
	}
	return true
}

// emptyPage is the fingerprint of every page without messages, whatever its form: the hash of [].
const emptyPage connector.Fingerprint = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"

func fingerprint(messages []byte) connector.Fingerprint {
	sum := sha256.Sum256(messages)
	return connector.Fingerprint(hex.EncodeToString(sum[:]))
}

// known returns the validators for a conditional request: those of the page that the caller holds. Now and then it
// returns none, so that a server whose validators do not change with its list cannot hide messages for long.
func (c *Client) known(s connector.Stream, held connector.Fingerprint) validators {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.lists[list{s.Number, s.Remote}]
	if held == "" || last == nil || last.fingerprint != held || last.untrue || !last.validators.offered() {
		return validators{}
	}
	if last.asked == plainRequestEvery {
		last.asked = 0
		return validators{}
	}
	last.asked++
	return last.validators
}

// sameBody reports whether the body is byte for byte the page 0 that the caller holds, which was validated before.
func (c *Client) sameBody(s connector.Stream, held connector.Fingerprint, body []byte) bool {
	if held == "" {
		return false
	}
	c.mu.Lock()
	last := c.lists[list{s.Number, s.Remote}]
	same := last != nil && last.fingerprint == held
	var sum [sha256.Size]byte
	if same {
		sum = last.body
	}
	c.mu.Unlock()
	return same && sha256.Sum256(body) == sum
}

// remember keeps what is needed to recognise an unchanged page 0 next time.
func (c *Client) remember(s connector.Stream, print connector.Fingerprint, body []byte, offered validators) {
	next := &remembered{fingerprint: print, body: sha256.Sum256(body), validators: offered}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := list{s.Number, s.Remote}
	if last := c.lists[key]; last != nil {
		next.untrue = last.untrue || last.fingerprint != print && offered.offered() && offered == last.validators
	}
	c.lists[key] = next
}

// found is the result of scanning the body of a page.
type found struct {
	success, failed, number, messages span
	isArray                           bool
	answers                           bool // it is complete, and answers the request
	items                             []item
	seen                              membersSeen
}

// problemEcho is the problem of a page that is valid except for its number.
const problemEcho = "it shows another page number than the one asked for"

// scanPage scans the body of a page and checks that it is valid (rule 10); if not, problem is the reason. If a body or
// an item has a member twice, the last one counts, as with encoding/json; names have to match exactly.
func scanPage(body []byte, number int, items []item) (result found, problem string) {
	result.items = items
	if len(body) > math.MaxInt32 {
		return result, "it is too large"
	}
	s := &scanner{data: body}
	i := s.space(len(body) - len(unmarked(body)))
	if i == len(body) {
		return result, "it is empty"
	}
	if body[i] != '{' {
		return result, notAnObject(s, i)
	}
	end := s.object(i, 0, func(key span, value int) int {
		switch string(unquote(key.of(body))) {
		case "messages":
			result.items = result.items[:0]
			result.seen.items, result.seen.any = 0, 0
			end := 0
			if result.isArray = value < len(body) && body[value] == '['; result.isArray {
				end = s.array(value, 1, func(value int) int {
					var it item
					end := s.item(value, &it, &result.seen)
					if len(result.items) < maxItems {
						result.items = append(result.items, it)
						result.seen.item(&it)
					}
					return end
				})
			} else {
				end = s.value(value, 1)
			}
			result.messages = span{int32(value), int32(end)}
			return result.see(s, key, value, end, knownArray)
		case "success":
			return s.keep(&result, key, &result.success, value, knownBool)
		case "error":
			return s.keep(&result, key, &result.failed, value, knownBool)
		case "page_number":
			return s.keep(&result, key, &result.number, value, knownNumber)
		}
		return result.see(s, key, value, s.value(value, 1), 0)
	})
	result.seen.echo = result.number.found()
	switch {
	case end < 0:
		return result, notJSON(body)
	case s.deep:
		return result, "it is nested deeper than " + strconv.Itoa(maxDepth) + " levels"
	case s.space(end) != len(body):
		return result, "something follows its end"
	case len(result.items) == maxItems:
		return result, "it has too many items"
	case string(result.success.of(body)) == "false" || string(result.failed.of(body)) == "true":
		return result, "it says that the request did not succeed"
	}
	result.answers = result.messages.found() || string(result.success.of(body)) == "true"
	switch {
	case !result.messages.found() && string(result.success.of(body)) != "true":
		return result, "it has no messages member"
	case !result.isArray && !noMessages(s, result.messages):
		return result, "its messages member is not an array"
	case !echoes(body, result.number, number):
		return result, problemEcho
	}
	return result, ""
}

// noMessages reports whether a messages member that is no array represents an empty list: null, an empty object, or no
// member in an answer that reports success. Some servers write empty lists this way; the reader believes no single one
// of them.
func noMessages(s *scanner, messages span) bool {
	text := messages.of(s.data)
	empty := len(text) > 1 && text[0] == '{' && s.space(int(messages.from)+1) == int(messages.to)-1
	return len(text) == 0 || string(text) == "null" || empty
}

// notAnObject describes a body that is not an object.
func notAnObject(s *scanner, i int) string {
	switch end := s.value(i, 0); {
	case s.data[i] == '<':
		return "it is HTML or XML"
	case end < 0 || s.space(end) != len(s.data):
		return notJSON(s.data)
	}
	return "it is not a JSON object"
}

// notJSON describes a body that is not JSON.
func notJSON(body []byte) string {
	if mark := string(body[:min(len(body), 2)]); mark == "\xff\xfe" || mark == "\xfe\xff" {
		return "it is in UTF-16, and JSON is UTF-8"
	}
	return "it is cut off or not JSON"
}

// keep scans a value of the envelope and records its position.
func (s *scanner) keep(f *found, key span, place *span, value int, known jsonTypes) int {
	end := s.value(value, 1)
	*place = span{int32(value), int32(end)}
	return f.see(s, key, value, end, known)
}

// see records a member of the envelope that differs from the known ones, and returns the position after it.
func (f *found) see(s *scanner, key span, value, end int, known jsonTypes) int {
	if end > 0 && typeOf[s.data[value]]&known == 0 {
		f.seen.see(s.data, inEnvelope, key, value, known)
	}
	return end
}

// echoes reports whether the page number in the answer, if there is one, is the number asked for.
func echoes(body []byte, echo span, number int) bool {
	text := echo.of(body)
	if len(text) == 0 || string(text) == "null" {
		return true
	}
	if text[0] == '"' {
		text = unquote(text)
	}
	shown, err := strconv.ParseFloat(string(text), 64)
	return err == nil && shown == float64(number)
}

func allFaulty(messages []connector.Message) bool {
	for i := range messages {
		if messages[i].Fault == "" {
			return false
		}
	}
	return true
}
