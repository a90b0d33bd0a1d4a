package twochattest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// consumer is a common first attempt: it polls the newest pages and stops at the first message that it knows.
type consumer struct {
	client http.Client
	url    string
	known  map[string]bool
	log    []twochattest.Event
}

func (c *consumer) page(number int) ([]json.RawMessage, error) {
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/open/whatsapp/messages/%s?page_number=%d", c.url,
		twochattest.DefaultNumber, number), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-User-API-Key", "test")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var page struct{ Messages []json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || page.Messages == nil {
		return nil, errors.New("no page")
	}
	return page.Messages, nil
}

func (c *consumer) poll() {
	var fresh []twochattest.Event
	defer func() {
		slices.Reverse(fresh) // oldest first
		c.log = append(c.log, fresh...)
	}()
	for number := 0; ; number++ {
		messages, err := c.page(number)
		if err != nil || len(messages) == 0 {
			return
		}
		for _, message := range messages {
			var item struct{ UUID, ID string }
			if json.Unmarshal(message, &item) != nil {
				continue
			}
			id := item.UUID
			if id == "" {
				id = item.ID
			}
			if c.known[id] {
				return
			}
			c.known[id] = true
			fresh = append(fresh, twochattest.Event{ID: id, Sequence: uint64(len(c.log) + len(fresh) + 1), Data: message})
		}
	}
}

// A consumer is tested by letting it read from a Fake for a while, then making the Fake quiet, and auditing what
// arrived.
func Example() {
	fake := twochattest.New(twochattest.Options{
		Seed: 1, History: 250, Drift: twochattest.HostileDrift(), Faults: twochattest.PassingFaults(.1),
	})
	server, err := fake.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	c := consumer{url: server.URL, known: map[string]bool{}}
	defer c.client.CloseIdleConnections()
	for range 150 {
		c.poll()
	}
	fake.Quiet()
	c.poll()

	var audit twochattest.Audit
	for _, event := range c.log {
		audit.See(event)
	}
	report := audit.Report(fake.Truth(""))
	fmt.Println("clean:", report.Clean())
	fmt.Println("lost some:", report.Lost > 0)
	// Output:
	// clean: false
	// lost some: true
}

// Next scripts a single fault, here the answer to the second request.
func ExampleFake_Next() {
	fake := twochattest.New(twochattest.Options{History: 10})
	server, err := fake.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	c := consumer{url: server.URL}
	defer c.client.CloseIdleConnections()

	fake.Next(twochattest.Fault{}, twochattest.Status(503, twochattest.BodyError))
	for range 3 {
		messages, err := c.page(0)
		fmt.Println(len(messages), err)
	}
	// Output:
	// 10 <nil>
	// 0 no page
	// 10 <nil>
}
