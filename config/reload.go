package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// reloadable are the keys that a running instance takes over, of `twochat`, of `poll` and of each account. A section
// stands for all that is in it. What is not here needs a restart.
var reloadable = []string{
	"accounts", "start", "log.level", "twochat.api_key_file", "twochat.streams", "poll.min_interval", "poll.max_interval",
	"poll.requests_per_minute", "poll.monthly_credits", "poll.when_spent", "poll.sweep.every",
}

// NeedsRestart lists the keys in which a configuration differs from the one that runs and that a running instance does
// not take over. Without any the whole configuration can be taken over.
func NeedsRestart(c, running *Config) []string {
	if (len(c.Accounts) > 0) != (len(running.Accounts) > 0) {
		return []string{"accounts"} // the metrics' labels are others
	}
	list := differences(c, running, "")
	for _, one := range c.ByAccount() {
		for _, was := range running.ByAccount() {
			if one.account == "" || one.account != was.account {
				continue
			}
			for _, path := range differences(one, was, one.section) {
				if !slices.Contains(list, path) {
					list = append(list, path)
				}
			}
		}
	}
	return list
}

// differences lists the keys that differ and need a restart, as they are named in the configuration of an account.
func differences(a, b *Config, section string) []string {
	now, was := leafValues(a), leafValues(b)
	var list []string
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if slices.Contains(reloadable, path) || reflect.DeepEqual(now[path], was[path]) {
			continue
		}
		list = append(list, accountKeyOf(path, section))
	}
	for path := range was {
		if _, there := now[path]; !there {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// accountKeyOf is the path of a key as it stands in an account's section.
func accountKeyOf(path, section string) string {
	switch {
	case section == "":
		return path
	case strings.HasPrefix(path, "poll."):
		return section + "." + path
	case path == "privacy.key_file":
		return section + ".pseudonym_key_file"
	}
	if key, ok := strings.CutPrefix(path, "twochat."); ok {
		return section + "." + key
	}
	return path
}

// leafValues are the values of all keys that are set, by their paths; a file is known by its path.
func leafValues(c *Config) map[string]any {
	values := map[string]any{}
	walk(reflect.ValueOf(c).Elem(), "", func(path string, value reflect.Value, _ field) {
		if file, ok := value.Interface().(FileSecret); ok {
			values[path] = file.path
			return
		}
		values[path] = value.Interface()
	})
	return values
}
