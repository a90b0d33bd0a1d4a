package main

import (
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// resources is what run opens before it reads anything. check opens the same, and closes it again.
type resources struct {
	privacy twochat.Privacy
	client  *twochat.Client
	server  *admin.Server
	sink    sinks.Sink
}

// openResources opens what a configuration names: client, admin server and sink. It contacts no other machine. It
// returns all errors that keep run from starting.
func openResources(c *config.Config, openSink func() (sinks.Sink, error)) (*resources, []error) {
	s := &resources{}
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	var err error
	if s.privacy, err = pipeline.PrivacyOf(c); err == nil {
		s.client, err = pipeline.NewClient(c, s.privacy)
	}
	note(err)
	s.server, err = admin.Open(c)
	note(err)
	s.sink, err = openSink()
	note(err)
	return s, wrong
}

// close closes what was opened.
func (s *resources) close() error {
	var err error
	if s.sink != nil {
		err = s.sink.Close()
	}
	if s.server != nil {
		s.server.Close()
	}
	if s.client != nil {
		s.client.Close()
	}
	return err
}
