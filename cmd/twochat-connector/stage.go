package main

import (
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// stage is what run needs before it reads anything. check sets the same one, and strikes it again.
type stage struct {
	privacy twochat.Privacy
	client  *twochat.Client
	server  *admin.Server
	sink    sinks.Sink
}

// setStage opens and binds what a configuration names, and asks nobody. The errors are all that keep run from starting
// so far.
func setStage(c *config.Config, openSink func() (sinks.Sink, error)) (*stage, []error) {
	s := &stage{}
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
	s.server, err = admin.Listen(c.Admin.Listen)
	note(err)
	if s.server != nil {
		s.server.Hosts = c.Admin.Hosts
	}
	s.sink, err = openSink()
	note(err)
	return s, wrong
}

// strike closes what was opened.
func (s *stage) strike() error {
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
