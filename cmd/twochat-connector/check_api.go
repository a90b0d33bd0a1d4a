package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// accountCheck is the check of one account.
type accountCheck struct {
	*check
	pipeline.Source
	budget  *quota.Budget
	blocked bool // 2Chat reports that the account is blocked
}

// accounts checks each account with its streams, and returns what they cost. learn is for the first that answers.
func (k *check) accounts(ctx context.Context, sources []pipeline.Source, learn bool) []pipeline.Cost {
	var costs []pipeline.Cost
	for _, source := range sources {
		of := &accountCheck{check: k, Source: source, budget: pipeline.IdleBudget(source.Config)}
		rate := pipeline.ConfiguredRate(of.Config)
		if !k.refuses(of.Config.AccountKey("api_key_file")) {
			var asked bool
			if rate, asked = of.api(ctx); learn && asked {
				of.learn(ctx)
				learn = false
			}
		}
		costs = append(costs, pipeline.CostOf(of.Config, rate).Within(of.Config, of.budget, time.Now()))
	}
	return costs
}

func (k *accountCheck) learn(ctx context.Context) {
	findings, err := k.Client.Learn(ctx, k.Config.Streams()[0])
	if err != nil {
		k.add(faultFinding(k.Config, "learn", "learn: ", err))
		return
	}
	for i := range findings {
		findings[i].Thing = "API, " + findings[i].Thing
	}
	k.add(findings...)
}

// api reads the account and page 0 of every stream, as run does, and returns the rate in force. asked is true if a page
// could be read. Only the pages decide, as run works without the account's answer.
func (k *accountCheck) api(ctx context.Context) (rate int, asked bool) {
	named := k.Config.Named()
	rate = pipeline.ConfiguredRate(k.Config)
	info, accountErr := k.Client.Info(ctx)
	if accountErr == nil {
		k.budget.Read(quota.AccountUsage{At: time.Now(), Used: max(1, info.Usage), Max: info.MaxUsage})
		if info.RequestsPerMinute > 0 && k.Config.Poll.RequestsPerMinute == 0 {
			rate = info.RequestsPerMinute
		}
		limit := "the account reports no rate limit"
		if info.RequestsPerMinute > 0 {
			limit = fmt.Sprintf("%d requests a minute", info.RequestsPerMinute)
		}
		usage := ""
		if info.MaxUsage > 0 {
			usage = fmt.Sprintf("; %s of %s calls used this month", text.Thousands(info.Usage), text.Thousands(info.MaxUsage))
		}
		k.ok(named+"API key", "accepted; %s%s", limit, usage)
		if monthly, plan := quota.AbovePlan(k.budget); plan > 0 {
			k.add(connector.Finding{
				Level: connector.FindingWarning, Thing: named + "poll.monthly_credits",
				Text: fmt.Sprintf("%s calls are above the account's plan of %s, whose end they do not prevent",
					text.Thousands(monthly), text.Thousands(plan)),
				Hint: quota.AbovePlanHint,
			})
		}
		if info.RequestsPerMinute > 0 && k.Config.Poll.RequestsPerMinute > info.RequestsPerMinute {
			k.add(connector.Finding{
				Level: connector.FindingWarning, Thing: named + "poll.requests_per_minute",
				Text: fmt.Sprintf("it is above the account's %d", info.RequestsPerMinute),
				Hint: "set it to 0, which uses the account's",
			})
		}
	}
	if k.Config.Poll.WhenSpent == config.SpentStop && k.budget.Status(time.Now()).State == quota.BudgetSpent {
		spent := connector.Finding{
			Level: connector.FindingRefused, Thing: named + "poll.monthly_credits",
			Text: "the month's budget is used up, and poll.when_spent is stop: nothing will be read",
			Hint: "wait until the account's next month begins, raise poll.monthly_credits, or set poll.when_spent: slow",
		}
		var plan *connector.PageError
		if err := k.budget.SpentCause(); errors.As(err, &plan) {
			spent.Thing, spent.Text, spent.Hint = accountThing(k.Config), plan.Err.Error(), plan.Hint
		}
		k.add(spent)
		return rate, false
	}
	k.blocked = info.Blocked
	read := k.streams(ctx, rate, accountErr)
	if changes := k.Client.ShapeChanges(); len(changes) > 0 {
		k.add(connector.Finding{
			Level: connector.FindingWarning, Thing: named + "API", Text: "it has a different shape than is known: " +
				pipeline.ShapeText(changes), Hint: pipeline.ShapeHint,
		})
	}
	if info.Blocked {
		k.addOnce(connector.Finding{
			Level: connector.FindingRefused, Thing: accountThing(k.Config),
			Text: "2Chat reports that it is blocked", Hint: quota.BlockedHint,
		})
	}
	if accountErr != nil && read > 0 {
		finding := faultFinding(k.Config, accountThing(k.Config), "", accountErr)
		finding.Level, finding.Thing = connector.FindingWarning, accountThing(k.Config)
		if !noAnswer(accountErr) {
			finding.Hint = "allow the path /open/info, or set poll.requests_per_minute to what the account allows"
		}
		finding.Text = fmt.Sprintf("its limits and usage cannot be read, so `run` uses %d requests a minute: %s", rate,
			finding.Text)
		k.add(finding)
	}
	return rate, read > 0
}

// attempts is how often a page is requested if the failure is temporary.
const attempts = 3

// streams reads page 0 of each stream at the rate in force, and returns how many could be read.
func (k *accountCheck) streams(ctx context.Context, rate int, accountErr error) (read int) {
	limiter := quota.NewLimiter(float64(rate))
	streams := k.Config.Streams()
	for i, stream := range streams {
		thing := "stream " + stream.Name
		page, err := k.pageOf(ctx, limiter, stream, accountErr)
		if ctx.Err() != nil {
			return read
		}
		if err == nil {
			read++
			k.page(thing, page)
			continue
		}
		finding := faultFinding(k.Config, thing, "page 0 of "+thing+" cannot be read: ", err)
		if left := len(streams) - i - 1; left > 0 && finding.Thing != thing {
			finding.Text += fmt.Sprintf("; %d more streams were not tested", left)
			k.add(finding)
			return read
		}
		k.add(finding)
	}
	return read
}

// longestRetryAfter is the longest wait that check accepts if 2Chat asks for one.
const longestRetryAfter = 10 * time.Second

// pageOf reads page 0 of a stream, and tries again after a temporary failure. If the server did not answer the previous
// request either, it tries only once.
func (k *accountCheck) pageOf(ctx context.Context, limiter *quota.Limiter, stream connector.Stream,
	accountErr error,
) (connector.Page, error) {
	for attempt := 1; ; attempt++ {
		if err := limiter.Wait(ctx, quota.Live); err != nil {
			return connector.Page{}, err
		}
		page, err := k.Client.Page(ctx, stream, 0, "")
		err = quota.AsBlocked(err, k.blocked)
		var fault *connector.PageError
		if err == nil || !errors.As(err, &fault) || attempt == attempts || noAnswer(err) && noAnswer(accountErr) {
			return page, err
		}
		switch fault.Fault {
		case connector.FaultTransient, connector.FaultInvalid, connector.FaultRateLimited:
		default:
			return page, err
		}
		if fault.RetryAfter > longestRetryAfter || connector.Sleep(ctx, max(500*time.Millisecond, fault.RetryAfter)) != nil {
			return page, err
		}
	}
}

// noAnswer reports whether no answer came at all.
func noAnswer(err error) bool {
	var fault *connector.PageError
	return errors.As(err, &fault) && fault.Fault == connector.FaultTransient && fault.Status == 0
}

// accountThing names an account in findings.
func accountThing(of *config.Config) string {
	if of.Account() == "" {
		return "account"
	}
	return "account " + of.Account()
}

// faultFinding explains a failed call with an account's key and what to do about it. about precedes a cause that
// concerns the connection to 2Chat.
func faultFinding(of *config.Config, thing, about string, err error) connector.Finding {
	baseURL := of.AccountKey("base_url")
	mends := map[connector.PageFault]string{
		connector.FaultKey: "put the account's API key into the file of " + of.AccountKey("api_key_file") + ", or into " +
			of.KeyVariable(),
		connector.FaultNumber:      "connect the number in 2Chat, or correct " + of.AccountKey("streams"),
		connector.FaultCredits:     "top up the account, or wait until its next month begins; raising poll.monthly_credits does not help",
		connector.FaultRateLimited: "wait a minute and try again; if other programs use the account too, lower poll.requests_per_minute",
		connector.FaultRequest:     "check " + baseURL + " and the number",
		connector.FaultInvalid:     "check that " + baseURL + " is 2Chat's own; `twochat-connector check --learn` shows the shape of an answer",
		connector.FaultTransient:   "check that this machine reaches " + baseURL + " (network, proxy, DNS), and try again",
	}
	finding := connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: err.Error(), Hint: "try again"}
	var fault *connector.PageError
	if !errors.As(err, &fault) {
		return finding
	}
	finding.Text, finding.Hint = fault.Err.Error(), cmp.Or(fault.Hint, mends[fault.Fault])
	if fault.Status != 0 {
		finding.Text += fmt.Sprintf(" (HTTP %d)", fault.Status)
	}
	switch {
	case fault.RetryAfter > 0:
		finding.Text += fmt.Sprintf("; 2Chat asked to wait %s, until %s", fault.RetryAfter.Round(time.Second),
			time.Now().Add(fault.RetryAfter).UTC().Format("15:04:05 UTC"))
		finding.Hint = "wait until then, and try again"
	case fault.Fault == connector.FaultTransient && fault.Status != 0 && fault.Hint == "":
		finding.Hint = "wait some minutes, and try again: 2Chat answers, but has a problem of its own"
	}
	switch {
	case fault.Fault == connector.FaultKey:
		finding.Thing = of.Named() + "API key"
	case fault.Fault == connector.FaultCredits, fault.Fault == connector.FaultRateLimited,
		fault.Fault == connector.FaultBlocked:
		finding.Thing = accountThing(of)
	case fault.Status == 0 || fault.Hint != "":
		finding.Thing, finding.Text = of.Named()+"2Chat API", about+finding.Text
	}
	return finding
}
