package twochat

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

func TestClient_Info(t *testing.T) {
	documented := connector.AccountInfo{
		RequestsPerMinute: 80, Usage: 77112, MaxUsage: 500000, Expires: time.Date(2024, 8, 31, 19, 11, 8, 0, time.UTC),
	}
	for _, test := range []struct {
		name, body string
		want       connector.AccountInfo
	}{
		{"documented", `{ "success": true,
			"account": { "name":"x", "uuid":"ACC1", "on_trial":false, "blocked":false,
				"created_at":"2022-04-21T21:55:37Z", "expires_at":"2024-08-31T19:11:08Z" },
			"limits": { "requests_per_minute": 80 },
			"usage": { "api_request_count":77112, "max_api_request_count":500000,
				"number_check_count":430542, "max_number_check_count":500000 } }`, documented},
		{"other types", `{"account":{"expires_at":1725131468},"limits":{"requests_per_minute":"80"},"usage":{"api_request_count":77112.0,"max_api_request_count":"500000"}}`, documented},
		{"blocked and on trial", `{"account":{"blocked":true,"on_trial":true}}`, connector.AccountInfo{Blocked: true, OnTrial: true}},
		{"nothing usable", `{"account":{"blocked":"no","expires_at":0},"limits":[],"usage":{"api_request_count":-1,"max_api_request_count":null}}`, connector.AccountInfo{}},
	} {
		got, err := serve(t, answerWith(200, test.body)).Info(t.Context())
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, error %v, want %+v", test.name, got, err, test.want)
		}
	}
	for body, status := range map[string]int{
		`{}`: 200, `null`: 200, `<html>`: 200, `{"success":false,"limits":{}}`: 200, `{"error":true,"limits":{}}`: 200,
		`{"limits":{}}x`: 200,
	} {
		_, err := serve(t, answerWith(status, body)).Info(t.Context())
		if pageError(t, err).Fault != connector.FaultInvalid {
			t.Errorf("%s: %v", body, err)
		}
	}
	for status, want := range map[int]connector.PageFault{
		401: connector.FaultKey, 402: connector.FaultCredits,
		404: connector.FaultRequest, 429: connector.FaultRateLimited, 503: connector.FaultTransient,
	} {
		_, err := serve(t, answerWith(status, `{}`, "Retry-After", "9")).Info(t.Context())
		if fault := pageError(t, err); fault.Fault != want || fault.Status != status || status != 404 &&
			fault.RetryAfter != 9*time.Second {
			t.Errorf("%d: %v", status, err)
		}
	}
}
