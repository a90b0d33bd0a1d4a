package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// defaultPaths are where a configuration is looked for if none is named. The first file that exists is used.
var defaultPaths = [...]string{DefaultPath, "/etc/twochat-connector/config.yaml"}

// DefaultPath is the first of them.
const DefaultPath = "twochat-connector.yaml"

// maxFile is far above any configuration: a thousand streams need a tenth of it.
const maxFile = 4 << 20

// Find returns the path of the configuration file that is used if none is named; ok is false if there is none.
func Find() (path string, ok bool) {
	for _, path := range defaultPaths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}

// FoundByDefault reports whether a file is one of those that are looked for if none is named.
func FoundByDefault(path string) bool { return slices.Contains(defaultPaths[:], path) }

// Load reads the file (none if path is empty) and applies the environment, a list of NAME=value as from os.Environ. If
// the configuration is wrong, the error is Problems; if the file cannot be read, it is the cause.
func Load(path string, env []string) (*Config, error) {
	return FromFlags(Flags{Config: path}, env)
}

// FromFlags is Load with the command line applied last.
func FromFlags(flags Flags, env []string) (*Config, error) {
	l := newLoader()
	if flags.Config != "" {
		content, err := readFile(flags.Config)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if !l.readYAML(flags.Config, content) {
			return nil, l.problems
		}
	}
	l.readEnvironment(env)
	l.readFlags(flags)
	settleAccounts(l.config, l.origins)
	l.config.keyless = flags.Keyless
	l.config.validate(l.wrong)
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, l.problems
	}
	return l.config, nil
}

// ReadableAdmin returns what can be read of the admin server's settings in a configuration that is wrong elsewhere, or the
// defaults. It is for asking an instance that still runs with the configuration before. If its own settings are wrong,
// only the address is used, so that no token is sent to a server that may be another one.
func ReadableAdmin(flags Flags, env []string) *Config {
	l := newLoader()
	if content, err := readFile(flags.Config); err == nil {
		l.readYAML(flags.Config, content)
	}
	l.readEnvironment(env)
	l.config.Admin.validate(l.wrong)
	if slices.ContainsFunc(l.problems, func(p Problem) bool { return strings.HasPrefix(p.Path+".", "admin.") }) {
		listen := l.config.Admin.Listen
		l.config.Admin = Default().Admin
		if !l.broken["admin.listen"] {
			l.config.Admin.Listen = listen
		}
	}
	return l.config
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d bytes", maxFile)}
	}
	return content, nil
}

// loader collects a configuration from its origins, each overriding the previous one, and all problems on the way.
type loader struct {
	reporter
	config   *Config
	complete Config // the defaults, with every sink present
}

// reporter remembers where the keys of a configuration were given, and collects what is wrong with them.
type reporter struct {
	// origin is the current origin of values; inside the file, a node's line is added to it.
	origin Origin
	// origins remembers where each key was given, by its dotted path. implied holds the origins of sections that exist
	// only because a variable or a flag gave one of their keys, which does not apply to the other keys.
	origins  map[string]Origin
	implied  map[string]bool
	problems Problems
	// broken holds the paths that have a problem already: a value that could not be read gets no second problem.
	broken map[string]bool
}

func newLoader() *loader {
	config, complete := Default(), Default()
	complete.Sink = sinks.Defaults()
	return &loader{
		config: &config, complete: complete,
		reporter: reporter{origins: map[string]Origin{}, implied: map[string]bool{}, broken: map[string]bool{}},
	}
}

func (l *loader) root() (target, defaults reflect.Value) {
	return reflect.ValueOf(l.config).Elem(), reflect.ValueOf(&l.complete).Elem()
}

func (r *reporter) problem(origin Origin, path, text string) {
	r.problems = append(r.problems, Problem{origin, path, text})
	r.broken[path] = true
}

func (r *reporter) problemAt(n *yaml.Node, path, text string) { r.problem(r.originOf(n), path, text) }

func (r *reporter) originOf(n *yaml.Node) Origin {
	origin := r.origin
	if origin.rank == inFile {
		origin.Line = n.Line
	}
	return origin
}

// wrong reports a value that could be read but is not valid. The origin is that of the key, or of the nearest part
// above it.
func (r *reporter) wrong(path, text string) {
	for part := path; part != ""; part = parent(part) {
		if r.broken[part] {
			return
		}
	}
	for part := path; part != ""; part = parent(part) {
		if origin, ok := r.origins[part]; ok && (part == path || !r.implied[part]) {
			r.problem(origin, path, text)
			return
		}
	}
	origin, ok := r.origins[""]
	if !ok {
		origin = Origin{Name: "configuration", rank: nowhere}
	}
	r.problem(origin, path, text)
}

// parent removes the last key or index from a dotted path.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// readYAML reads the file over the defaults. It returns false if it cannot be used at all.
func (l *loader) readYAML(path string, content []byte) bool {
	l.origin = Origin{Name: path, rank: inFile}
	l.origins[""] = l.origin
	text, ok := l.plainText(content)
	if !ok {
		return false
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF) || err == nil && isNull(document.Content[0]):
		l.problem(l.origin, "", "the file is empty; expected at least twochat.streams and a sink")
		return false
	case err != nil:
		l.syntaxProblem(err)
		return false
	}
	if err := decoder.Decode(&second); err == nil {
		l.problemAt(&second, "", "expected one YAML document, found another")
	} else if !errors.Is(err, io.EOF) {
		l.syntaxProblem(err)
		return false
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		l.problemAt(root, "", "expected keys with values, found "+found(root))
		return false
	}
	target, defaults := l.root()
	l.decode(root, target, defaults, "")
	return true
}

// plainText is the file as UTF-8, which YAML requires, or converted from UTF-16 with a byte order mark. For other
// encodings it reports the line, which the YAML parser does not.
func (l *loader) plainText(content []byte) (text string, ok bool) {
	text, err := secret.Decode(content)
	if err != nil { // it contains NUL
		text = string(content)
	}
	for at, r := range text {
		_, size := utf8.DecodeRuneInString(text[at:])
		wrong := ""
		switch {
		case r == 0:
			wrong = "expected UTF-8, found NUL characters: this is UTF-16 without a byte order mark, or not a text; save the " +
				"file as UTF-8"
		case r == utf8.RuneError && size == 1:
			wrong = "expected UTF-8, found a character in another encoding, such as latin-1 (windows-1252); save the file " +
				"as UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			wrong = "not valid YAML: control characters are not allowed"
		default:
			continue
		}
		origin := l.origin
		origin.Line = 1 + strings.Count(text[:at], "\n")
		l.problem(origin, "", wrong)
		return "", false
	}
	return text, true
}

var (
	syntaxLine = regexp.MustCompile(`line ([0-9]+): `)
	// The parser's own sentences quote names from the file (such as an anchor); only these plain words are passed on.
	syntaxText = regexp.MustCompile(`^[a-z ,-]{1,100}$`)
)

func (l *loader) syntaxProblem(err error) {
	origin, text := l.origin, strings.TrimPrefix(err.Error(), "yaml: ")
	if at := syntaxLine.FindStringSubmatchIndex(text); at != nil {
		if line, err := strconv.Atoi(text[at[2]:at[3]]); err == nil {
			origin.Line = line
		}
		text = text[:at[0]] + text[at[1]:]
	}
	if strings.HasPrefix(text, "unknown anchor ") {
		text = "anchors and aliases are not supported"
	}
	if !syntaxText.MatchString(text) {
		text = "the text is incomplete or mixes its parts"
	}
	l.problem(origin, "", "not valid YAML: "+text)
}
