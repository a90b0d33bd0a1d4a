package main

import (
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// resources is what run opens before it reads anything. check opens the same, and closes it again.
type resources struct {
	sources []pipeline.Source // of the accounts
	server  *admin.Server
	sink    sinks.Sink
}

// openResources opens what a configuration names: clients, admin server and sink. It contacts no other machine. It
// returns all errors that keep run from starting.
func openResources(c *config.Config, openSink func() (sinks.Sink, error)) (*resources, []error) {
	s := &resources{}
	var wrong []error
	s.sources, wrong = pipeline.OpenSources(c)
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	var err error
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
	s.closeClients()
	return err
}

func (s *resources) closeClients() {
	for _, source := range s.sources {
		source.Client.Close()
	}
}
