package main

import (
	"context"
	"fmt"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

const aboutStatus = `
Shows the state of a running instance, from its admin server: the verdict and
what to do first, then the streams, the worst first. The exit code is 3 if
anything is not as it should be; what is only to be looked at, such as messages in
the quarantine or a changed configuration file that is refused, leaves it 0. With
--wait it asks again, once a second, until
all is as it should be or the time has passed.

If the configuration file is wrong, status asks the instance that still runs with
the one before, at the admin.listen that can be read of the file, else at the
default address, and reports on the standard error what is wrong with the file.
`

// runStatus is the command status.
func runStatus(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := &config.Flags{}
	flags.StringVar(&settings.Config, "config", "",
		"configuration `file` whose admin.listen is asked; by default twochat-connector.yaml in this folder, else /etc/twochat-connector/config.yaml")
	named := admin.TargetFlags(flags)
	asJSON := flags.Bool("json", false, "print the server's answer")
	all := flags.Bool("all", false, "list all streams; else the worst 20")
	patience := flags.Duration("wait", 0, "`how long` to wait until all is as it should be, such as 30s")
	if err := p.Parse(flags, args, aboutStatus); err != nil {
		return err
	}
	if *patience < 0 {
		return cli.Usage("flag --wait: expected a duration such as 30s")
	}
	target, err := admin.TargetOf(p, named, settings)
	if err != nil {
		return err
	}
	body, r, err := target.StatusWithin(ctx, *patience)
	if err != nil {
		return err
	}
	if target.Broken != nil {
		for _, problem := range cli.Problems(target.Broken) {
			p.TellProblem(problem)
		}
		p.TellProblem(cli.Problem{Text: "the configuration is wrong; " + target.Where +
			" was asked, for an instance that runs with the one before"})
		fmt.Fprintln(p.Err)
	}
	if *asJSON {
		_, err = p.Out.Write(body)
	} else {
		err = printReport(p.Out, r, *all)
	}
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	if !r.Ready || !r.Healthy {
		return cli.ErrFoundWrong
	}
	return nil
}
