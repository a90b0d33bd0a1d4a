package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const twoAccounts = `accounts:
  - { name: shop, api_key_file: /etc/twochat/shop, streams: [{ number: "+595981048477" }] }
  - name: bank-de
    base_url: https://eu.2chat.example
    streams: [{ number: "+595981048478", name: bank }, { number: "+595981048477", name: other }]
    poll: { min_interval: 30s, sweep: { every: 2h } }
poll: { min_interval: 5s, monthly_credits: 5000 }
sink: { file: { path: events.jsonl } }
`

// An account takes from poll what it does not set itself, in any order in the file, and from any source.
func TestLoad_AccountsInheritPoll(t *testing.T) {
	c, err := Load(write(t, twoAccounts), []string{
		Variable("poll.timeout") + "=20s", AccountKeyVariable("bank-de") + "= UAK-bank\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	shop, bank := c.Poll, c.Poll
	bank.MinInterval, bank.Sweep.Every = 30*time.Second, 2*time.Hour
	if c.Poll.MinInterval != 5*time.Second || c.Poll.Timeout != 20*time.Second || c.Poll.MonthlyCredits != 5000 {
		t.Errorf("poll is %+v", c.Poll)
	}
	all := c.ByAccount()
	if len(all) != 2 || all[0].Poll != shop || all[1].Poll != bank {
		t.Errorf("the accounts' polls are %+v and %+v", all[0].Poll, all[1].Poll)
	}
	if all[0].Account() != "shop" || all[0].TwoChat.BaseURL != "https://api.p.2chat.io" ||
		all[0].TwoChat.APIKeyFile.path != "/etc/twochat/shop" {
		t.Errorf("the first account is %s with %v", all[0].Account(), all[0].TwoChat)
	}
	if key, err := all[1].APIKey(); err != nil || key != "UAK-bank" {
		t.Errorf("the second account's key is %q, %v", key, err)
	}
	stream := func(name, number, baseURL string) connector.Stream {
		return connector.Stream{Name: name, Number: number, SourceKey: connector.SourceKey(baseURL, number, "")}
	}
	want := []connector.Stream{
		stream("595981048477", "+595981048477", "https://api.p.2chat.io"),
		stream("bank", "+595981048478", "https://eu.2chat.example"),
		stream("other", "+595981048477", "https://eu.2chat.example"),
	}
	if got := c.Streams(); !reflect.DeepEqual(got, want) {
		t.Errorf("streams are %+v", got)
	}
	if got := c.OfStream("other").Account(); got != "bank-de" {
		t.Errorf("stream other is of account %q", got)
	}
	for _, text := range []string{c.String(), c.GoString(), all[1].String()} {
		if strings.Contains(text, "UAK-bank") || strings.Contains(text, "5981048478") {
			t.Errorf("printed: %s", text)
		}
	}
}

// The short form is a single account.
func TestByAccount_OfTheShortForm(t *testing.T) {
	c, err := Load(write(t, small), nil)
	if err != nil {
		t.Fatal(err)
	}
	all := c.ByAccount()
	if len(all) != 1 || all[0] != c || c.Account() != "" || c.Named() != "" ||
		c.AccountKey("streams") != "twochat.streams" || c.OfStream("595981048477") != c {
		t.Errorf("%d accounts, %q", len(all), c.Account())
	}
}

// An account's own key of pseudonyms takes the place of the common one, which may then be missing.
func TestLoad_AccountsPseudonyms(t *testing.T) {
	text := strings.Replace(twoAccounts, `number: "+595981048477" }] }`,
		`number: "+595981048477", name: shop }], pseudonym_key_file: /etc/twochat/shop-pseudonyms }`, 1) +
		"privacy: { identifiers: pseudonymous"
	keyed := []string{AccountKeyVariable("bank-de") + "=UAK"}
	c, err := Load(write(t, text+", key_file: /etc/twochat/pseudonyms }\n"), keyed)
	if err != nil {
		t.Fatal(err)
	}
	all := c.ByAccount()
	if all[0].Privacy.KeyFile.path != "/etc/twochat/shop-pseudonyms" ||
		all[1].Privacy.KeyFile.path != "/etc/twochat/pseudonyms" ||
		all[0].PseudonymKey() != "accounts[0].pseudonym_key_file" || all[1].PseudonymKey() != "privacy.key_file" {
		t.Errorf("%v, %v", all[0].Privacy, all[1].Privacy)
	}
	_, err = Load(write(t, text+" }\n"), keyed)
	if err == nil || strings.Count(err.Error(), "\n") != 0 ||
		!strings.Contains(err.Error(), "accounts[1].pseudonym_key_file: expected a file with a key, here or in privacy.key_file") {
		t.Errorf("without a common key: %v", err)
	}
}

// A key that does not name its account belongs to no account. What is missing is reported by account.
func TestLoad_AccountsKeys(t *testing.T) {
	_, err := Load(write(t, twoAccounts), []string{APIKeyVariable + "=UAK-canary"})
	want := []string{
		"accounts[1].api_key_file: expected a file with the API key, or the key in the environment variable TWOCHAT_API_KEY_BANK_DE",
		"environment TWOCHAT_API_KEY: expected the key in a variable with an account's name, such as TWOCHAT_API_KEY_SHOP, as accounts are configured",
	}
	for _, line := range want {
		if err == nil || !strings.Contains(err.Error(), line) || strings.Contains(err.Error(), "canary") {
			t.Errorf("missing %q in: %v", line, err)
		}
	}
	if _, err := FromFlags(Flags{Config: write(t, twoAccounts), Keyless: true}, nil); err != nil {
		t.Errorf("where no key is needed: %v", err)
	}
	_, err = FromFlags(Flags{Config: write(t, twoAccounts), Keyless: true, Numbers: []string{"+595981048479"}}, nil)
	if err == nil || err.Error() != "flag --number: twochat.streams: expected either twochat, for one account, or "+
		"accounts; move base_url, api_key_file and streams into an item of accounts" {
		t.Errorf("a number beside accounts: %v", err)
	}
}
