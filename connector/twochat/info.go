package twochat

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Info returns the account's limits and usage, which also checks the API key. It costs a call, and probably a credit.
// Its errors are those of Page.
func (c *Client) Info(ctx context.Context) (connector.AccountInfo, error) {
	work := c.borrow()
	defer c.giveBack(work)
	got, err := c.get(ctx, "/open/info", validators{}, work)
	if err != nil {
		return connector.AccountInfo{}, err
	}
	switch got.status {
	case http.StatusOK:
		return parseInfo(unmarked(got.body))
	case http.StatusNotFound:
		return connector.AccountInfo{}, fault(connector.FaultRequest, got.status,
			"there is no 2Chat API at this address; is the base URL right?")
	}
	fault := statusFault(got.status)
	fault.RetryAfter = retryAfter(got.header, c.now())
	return connector.AccountInfo{}, fault
}

func parseInfo(body []byte) (connector.AccountInfo, error) {
	var answer struct {
		Success json.RawMessage
		Error   json.RawMessage
		Account json.RawMessage
		Limits  json.RawMessage
		Usage   json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return connector.AccountInfo{}, fault(connector.FaultInvalid, http.StatusOK, "the account's information is cut off or not a JSON object")
	}
	if string(answer.Success) == "false" || string(answer.Error) == "true" {
		return connector.AccountInfo{}, fault(connector.FaultInvalid, http.StatusOK,
			"the account's information says that the request did not succeed")
	}
	account, limits, usage := members(answer.Account), members(answer.Limits), members(answer.Usage)
	if account == nil && limits == nil && usage == nil {
		return connector.AccountInfo{}, fault(connector.FaultInvalid, http.StatusOK,
			"the answer is not the account's information")
	}
	info := connector.AccountInfo{
		RequestsPerMinute: int(min(count(limits["requests_per_minute"]), math.MaxInt32)),
		Usage:             count(usage["api_request_count"]),
		MaxUsage:          count(usage["max_api_request_count"]),
		Blocked:           string(account["blocked"]) == "true",
		OnTrial:           string(account["on_trial"]) == "true",
	}
	if expires := account["expires_at"]; len(expires) > 0 {
		info.Expires, _ = parseTime(expires)
	}
	return info, nil
}

// members returns the members of an object, or nil if it is not an object.
func members(object json.RawMessage) map[string]json.RawMessage {
	var found map[string]json.RawMessage
	if json.Unmarshal(object, &found) != nil {
		return nil
	}
	return found
}

// count parses a count, also inside a string; 0 if it cannot be parsed.
func count(raw json.RawMessage) int64 {
	if len(raw) > 1 && raw[0] == '"' {
		raw = unquote(raw)
	}
	number, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(number > 0 && number < 1<<53) {
		return 0
	}
	return int64(number)
}
