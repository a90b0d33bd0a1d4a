package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

const (
	// VariablePrefix is the prefix of every key's environment variable.
	VariablePrefix = "TWOCHAT_CONNECTOR_"
	// APIKeyVariable holds the API key itself.
	APIKeyVariable = "TWOCHAT_API_KEY"
	// AdminTokenVariable holds the token of the admin server itself.
	AdminTokenVariable = "TWOCHAT_ADMIN_TOKEN"
)

// Variable is the environment variable of a key: TWOCHAT_CONNECTOR_POLL_MIN_INTERVAL for poll.min_interval.
func Variable(path string) string {
	return VariablePrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// Kubernetes sets such variables in every pod beside a Service whose name begins with twochat-connector. No key has
// such a name (a test checks that).
var serviceLink = regexp.MustCompile(`^TWOCHAT_CONNECTOR_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|` +
	`PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// testVariables belong to this module's own tests, whose variables for brokers may be set where the program runs.
const testVariables = VariablePrefix + "TEST_"

// readEnvironment applies the variables in the order of their names. If a name is given twice the last value counts, as
// with os/exec.
func (l *loader) readEnvironment(env []string) {
	values := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			values[name] = value
		}
	}
	if key, ok := l.apiKeyIn(APIKeyVariable, values); ok {
		l.config.apiKey = key
	}
	l.readAdminToken(values[AdminTokenVariable])

	paths := map[string]string{}
	for _, path := range l.leaves() {
		paths[Variable(path)] = path
	}
	var names []string
	for name := range values {
		if strings.HasPrefix(name, VariablePrefix) && !strings.HasPrefix(name, testVariables) &&
			!serviceLink.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		l.origin = Origin{Name: "environment " + name, rank: inEnvironment}
		path, known := paths[name]
		if !known {
			l.unknownVariable(name, paths)
			continue
		}
		l.setText(path, values[name])
	}
	readAccountKeys(l, values)
}

// apiKeyIn takes the key from a variable, without the white space that a shell or a Secret put around it.
func (l *loader) apiKeyIn(variable string, values map[string]string) (key string, ok bool) {
	if values[variable] == "" {
		return "", false
	}
	origin := Origin{Name: "environment " + variable, rank: inEnvironment}
	key, err := secret.Trim([]byte(values[variable]))
	if err != nil {
		l.problem(origin, "", "expected an API key, but the value "+err.Error())
		return "", false
	}
	if flaw := keyFlaw(key); flaw != "" {
		l.problem(origin, "", "expected an API key, but the value "+flaw)
	}
	return key, true
}

func (l *loader) unknownVariable(name string, paths map[string]string) {
	origin := l.origin
	suffix := strings.TrimPrefix(name, VariablePrefix)
	if !plainKey.MatchString(suffix) {
		origin.Name = "environment " + VariablePrefix + "…"
	}
	switch name {
	case Variable("twochat.api_key"):
		l.problem(origin, "", "unknown variable; the API key goes into "+APIKeyVariable)
		return
	case VariablePrefix + "ADMIN_TOKEN":
		l.problem(origin, "", "unknown variable; the token goes into "+AdminTokenVariable)
		return
	}
	var known []string
	for variable := range paths {
		known = append(known, strings.ToLower(strings.TrimPrefix(variable, VariablePrefix)))
	}
	slices.Sort(known)
	text := "unknown variable"
	if near := Nearest(suffix, known); near != "" {
		text += "; the nearest known one is " + VariablePrefix + strings.ToUpper(near)
	}
	l.problem(origin, "", text)
}

// leaves lists the dotted paths of all keys that have a value: lists as a whole, but not sections.
func (l *loader) leaves() []string {
	var list []string
	_, defaults := l.root()
	walk(defaults, "", func(path string, _ reflect.Value, _ field) { list = append(list, path) })
	return list
}

// walk visits every key that has a value, in the order of the structs.
func walk(section reflect.Value, path string, visit func(path string, value reflect.Value, f field)) {
	for _, f := range fieldsOf(section.Type()) {
		value, keyPath := section.FieldByIndex(f.index), join(path, f.name)
		if value.Kind() == reflect.Pointer && isSection(value.Type().Elem()) {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		if isSection(value.Type()) {
			walk(value, keyPath, visit)
			continue
		}
		visit(keyPath, value, f)
	}
}

// setText sets one key to a text from the environment or a flag. A list is given as in YAML ([a, b]) or only with
// commas.
func (l *loader) setText(path, text string) {
	target, defaults := l.root()
	var f field
	done := ""
	for name := range strings.SplitSeq(path, ".") {
		if target.Kind() == reflect.Pointer {
			if target.IsNil() {
				target.Set(reflect.New(target.Type().Elem()))
				target.Elem().Set(defaults.Elem())
			}
			target, defaults = target.Elem(), defaults.Elem()
		}
		f, _ = find(fieldsOf(target.Type()), name)
		target, defaults = target.FieldByIndex(f.index), defaults.FieldByIndex(f.index)
		done = join(done, name)
		if _, given := l.origins[done]; !given || done == path {
			l.origins[done], l.implied[done] = l.origin, done != path
		}
	}
	// A good value here replaces a bad one below. The bad one is still reported, as the file is wrong either way.
	t := target.Type()
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	switch {
	case t.Kind() == reflect.Slice && !isText(t):
		l.forget(path)
		l.origins[path] = l.origin
		node = listNode(text, f.tag.Get("short"))
		if node == nil {
			l.problem(l.origin, path, "expected a list, as in YAML or with commas between its items")
			return
		}
	case t.Kind() == reflect.String || isText(t):
		node.Tag = "!!str"
	}
	l.decode(node, target, defaults, path)
}

// listNode reads a list: as YAML if it begins like one, else as parts between commas. short names the key that a single
// part stands for in a list of sections. nil means that it is not a list.
func listNode(text, short string) *yaml.Node {
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(text), &document); err != nil || document.Content[0].Kind != yaml.SequenceNode {
			return nil
		}
		return document.Content[0]
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		item := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: part}
		if short != "" {
			item = &yaml.Node{
				Kind:    yaml.MappingNode,
				Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: short}, item},
			}
		}
		list.Content = append(list.Content, item)
	}
	return list
}
