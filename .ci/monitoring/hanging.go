package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector/fleet"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// hang announces a further replica that does nothing else, as one whose other parts hang: to it belongs what is read.
func (s *stage) hang() error {
	id, err := s.hung()
	if err != nil {
		return err
	}
	go func() {
		_ = s.atBroker(func(js jetstream.JetStream) error { // without it nothing is noticed
			for {
				_, err := js.PublishMsg(s.ctx, &nats.Msg{
					Subject: natssink.MemberSubject("whatsapp", id),
					Header: nats.Header{
						"Nats-TTL": {fleet.Lifetime.String()}, "Nats-Expected-Stream": {"WHATSAPP"}, "Content-Type": {"application/json"},
					},
					Data: []byte(`{}`),
				})
				if err != nil {
					return err
				}
				if err := wait(s.ctx, fleet.Round); err != nil {
					return err
				}
			}
		})
	}()
	return nil
}

// hung is the ID of another replica in the fleet of the first copy, which owns the stream that both know.
func (s *stage) hung() (string, error) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, strings.TrimSuffix(s.admins[0], "metrics")+"status", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var report struct{ Replicas struct{ Self string } }
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
		return "", err
	}
	self := report.Replicas.Self
	of, _, _ := strings.Cut(self, "/")
	for i := 0; ; i++ {
		if id := fleet.NewID(of, "hung:8080", fmt.Sprint(i)); fleet.Score("shop", id) > fleet.Score("shop", self) {
			return id, nil
		}
	}
}
