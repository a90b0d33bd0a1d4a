package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Account is one of several accounts at 2Chat, each with its own key, rate limit and budget.
type Account struct {
	Name       string         `yaml:"name" doc:"the account's name in status, metrics and logs: lower-case letters, digits and hyphens"`
	BaseURL    string         `yaml:"base_url" doc:"twochat.base_url for this account; https://api.p.2chat.io if omitted"`
	APIKeyFile FileSecret     `yaml:"api_key_file" doc:"file with the account's API key, re-read when it changes; the environment variable TWOCHAT_API_KEY_NAME takes precedence, with the account's name in capitals and _ for each hyphen"`
	Streams    []StreamConfig `yaml:"streams" short:"number" doc:"the message lists to read with this key"`
	Poll       Poll           `yaml:"poll"`
	// PseudonymKeyFile replaces Privacy.KeyFile for this account.
	PseudonymKeyFile FileSecret `yaml:"pseudonym_key_file" doc:"file with the account's key for pseudonymous; privacy.key_file if omitted"`
}

// maxAccounts catches mistakes: nobody has that many accounts.
const maxAccounts = 1000

// accountName is short, and such that no two names share an environment variable.
var accountName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// AccountKeyVariable is the environment variable that holds the API key of an account.
func AccountKeyVariable(name string) string {
	return APIKeyVariable + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// accountPath is the dotted path of an account in the list.
func accountPath(i int) string { return fmt.Sprintf("accounts[%d]", i) }

// ByAccount is the configuration of each account on its own, as `twochat`, `poll` and `privacy` would be if there were
// no other account. With `twochat`, it is only the configuration itself.
func (c *Config) ByAccount() []*Config {
	if len(c.Accounts) == 0 {
		return []*Config{c}
	}
	list := make([]*Config, len(c.Accounts))
	for i, a := range c.Accounts {
		one := *c
		one.Accounts = nil
		one.TwoChat = TwoChat{BaseURL: a.BaseURL, APIKeyFile: a.APIKeyFile, Streams: a.Streams}
		one.Poll = a.Poll
		if a.PseudonymKeyFile.Set() {
			one.Privacy.KeyFile = a.PseudonymKeyFile
			one.pseudonymKey = accountPath(i) + ".pseudonym_key_file"
		}
		one.apiKey, one.apiKeys = c.apiKeys[a.Name], nil
		one.account, one.section = a.Name, accountPath(i)
		list[i] = &one
	}
	return list
}

// OfStream is the configuration of the account that reads a stream; the configuration itself if no account does.
func (c *Config) OfStream(name string) *Config {
	for _, one := range c.ByAccount() {
		for _, s := range one.TwoChat.Streams {
			if s.name() == name {
				return one
			}
		}
	}
	return c
}

// accountScope names the account whose configuration this is. The zero value is for `twochat`.
type accountScope struct{ account, section, pseudonymKey string }

// Account is the name of the account whose configuration this is; empty for `twochat`.
func (s *accountScope) Account() string { return s.account }

// Named is the beginning of a text about an account, which distinguishes it from the others: empty if there is only
// one.
func (s *accountScope) Named() string {
	if s.account == "" {
		return ""
	}
	return "account " + s.account + ": "
}

// AccountKey is the dotted path of a key of the account's section, such as api_key_file.
func (s *accountScope) AccountKey(key string) string {
	if s.section == "" {
		return "twochat." + key
	}
	return s.section + "." + key
}

// PseudonymKey is the dotted path of the key that names the file of pseudonyms.
func (s *accountScope) PseudonymKey() string {
	if s.pseudonymKey == "" {
		return "privacy.key_file"
	}
	return s.pseudonymKey
}

// KeyVariable is the environment variable that holds the account's API key.
func (s *accountScope) KeyVariable() string {
	if s.account == "" {
		return APIKeyVariable
	}
	return AccountKeyVariable(s.account)
}

// settleAccounts fills in what an account omits: the default base URL, and the keys of the common poll section.
func settleAccounts(c *Config, origins map[string]Origin) {
	for i := range c.Accounts {
		a, path := &c.Accounts[i], accountPath(i)
		if _, given := origins[path+".base_url"]; !given {
			a.BaseURL = Default().TwoChat.BaseURL
		}
		inherit(reflect.ValueOf(&a.Poll).Elem(), reflect.ValueOf(&c.Poll).Elem(), path+".poll", origins)
	}
}

// inherit copies the keys of a section that are not set.
func inherit(section, from reflect.Value, path string, origins map[string]Origin) {
	for _, f := range fieldsOf(section.Type()) {
		keyPath := join(path, f.name)
		target, source := section.FieldByIndex(f.index), from.FieldByIndex(f.index)
		if isSection(target.Type()) {
			inherit(target, source, keyPath, origins)
		} else if _, given := origins[keyPath]; !given {
			target.Set(source)
		}
	}
}

// readAccountKeys takes the accounts' API keys from the environment, and refuses a key that belongs to no account.
func readAccountKeys(l *loader, values map[string]string) {
	if len(l.config.Accounts) > 0 {
		l.config.apiKeys = map[string]string{}
	}
	for _, a := range l.config.Accounts {
		if !accountName.MatchString(a.Name) {
			continue
		}
		if key, ok := l.apiKeyIn(AccountKeyVariable(a.Name), values); ok {
			l.config.apiKeys[a.Name] = key
		}
	}
	if len(l.config.Accounts) > 0 && values[APIKeyVariable] != "" {
		l.config.apiKey = ""
		l.problem(Origin{Name: "environment " + APIKeyVariable, rank: inEnvironment}, "",
			"expected the key in a variable with an account's name, such as "+AccountKeyVariable("shop")+
				", as accounts are configured")
	}
}

// validateAccounts checks what only accounts have, and not `twochat`.
func validateAccounts(c *Config, wrong func(path, text string)) {
	if t, beside := c.TwoChat, "expected either twochat, for one account, or accounts; move base_url, api_key_file "+
		"and streams into an item of accounts"; len(t.Streams) > 0 {
		wrong("twochat.streams", beside)
	} else if t.APIKeyFile.Set() {
		wrong("twochat.api_key_file", beside)
	} else if t.BaseURL != "" && t.BaseURL != Default().TwoChat.BaseURL {
		wrong("twochat.base_url", beside)
	}
	if len(c.Accounts) > maxAccounts {
		wrong("accounts", fmt.Sprintf("expected at most %d accounts", maxAccounts))
		return
	}
	names, keys := map[string]int{}, map[[2]string]int{}
	for i, a := range c.Accounts {
		path := accountPath(i)
		if !accountName.MatchString(a.Name) {
			wrong(path+".name", "expected a name of 1 to 32 lower-case letters, digits and hyphens")
		} else if first, taken := names[a.Name]; taken {
			wrong(path+".name", "expected a unique name; "+accountPath(first)+" has the same")
		} else {
			names[a.Name] = i
		}
		if a.APIKeyFile.Set() && c.apiKeys[a.Name] == "" {
			key := [2]string{a.APIKeyFile.path, a.BaseURL}
			if first, taken := keys[key]; taken {
				wrong(path+".api_key_file", "expected a different key; "+accountPath(first)+
					" has the same, so they would share a rate limit and budget: move the streams there")
			} else {
				keys[key] = i
			}
		}
		if a.PseudonymKeyFile.Set() && c.Privacy.Identifiers != Pseudonymous {
			wrong(path+".pseudonym_key_file", "expected no key, as privacy.identifiers is not pseudonymous")
		}
	}
}

// validateSections checks each account's key and intervals.
func validateSections(c *Config, wrong func(path, text string)) {
	common := map[string]string{} // problems of poll itself are reported only there
	c.Poll.validate("poll", func(path, text string) {
		common[path] = text
		wrong(path, text)
	})
	values := func(p *Poll) map[string]any {
		list := map[string]any{}
		walk(reflect.ValueOf(p).Elem(), "poll", func(path string, value reflect.Value, _ field) {
			list[path] = value.Interface()
		})
		return list
	}
	all := values(&c.Poll)
	for _, one := range c.ByAccount() {
		one.TwoChat.validate(one, wrong)
		if one == c {
			continue
		}
		if one.Privacy.Identifiers == Pseudonymous && !one.Privacy.KeyFile.Set() {
			wrong(one.section+".pseudonym_key_file",
				"expected a file with a key, here or in privacy.key_file, as privacy.identifiers is pseudonymous")
		}
		own := values(&one.Poll)
		one.Poll.validate(one.section+".poll", func(path, text string) {
			key := strings.TrimPrefix(path, one.section+".")
			if common[key] == "" || all[key] != own[key] {
				wrong(path, text)
			}
		})
	}
}
