package config

import (
	"net/url"
	"reflect"
	"strings"

	"github.com/twochat-connector/twochat-connector/sinks"
)

// Flags are the parts of the configuration from the command line. Empty fields were not given.
type Flags struct {
	// Config is the file to read.
	Config string
	// Numbers replace twochat.streams. If no sink is configured anywhere, they imply the embedded one.
	Numbers []string
	// Sink replaces the whole section sink: nats://host:4222 (JetStream; tls:// as well),
	// kafka://host:9092,host:9092/topic, file:events.jsonl, `-` for stdout.
	Sink string
	// Start replaces start.
	Start string
	// Create sets create in the configured sink. It is a problem if that sink has nothing to create.
	Create bool
	// Keyless means that no request is made to 2Chat, so that no API key is required.
	Keyless bool
}

func (l *loader) readFlags(flags Flags) {
	l.origin = Origin{Name: "flag --number", rank: inFlags}
	if len(flags.Numbers) > 0 {
		l.setText("twochat.streams", strings.Join(flags.Numbers, ","))
	}
	l.origin.Name = "flag --start"
	if flags.Start != "" {
		l.setText("start", flags.Start)
	}
	l.origin.Name = "flag --sink"
	if flags.Sink != "" {
		l.config.Sink = sinks.Config{}
		l.forget("sink")
		l.readSinkURL(flags.Sink)
	} else if len(flags.Numbers) > 0 && len(l.chosen()) == 0 && !l.broken["sink"] {
		l.choose("embedded")
	}
	l.origin.Name = "flag --create"
	// The embedded sink creates what it needs anyway.
	if chosen := l.chosen(); flags.Create && len(chosen) == 1 && chosen[0] != "embedded" {
		if path := "sink." + chosen[0] + ".create"; l.isLeaf(path) {
			l.setText(path, "true")
		} else {
			l.problem(l.origin, "", "the sink "+chosen[0]+" has nothing to create")
		}
	}
}

const sinkForms = "expected nats://host:4222, kafka://host:9092/topic, file:events.jsonl or -"

func (l *loader) readSinkURL(text string) {
	l.origins["sink"] = l.origin
	if text == "-" {
		l.choose("stdout")
		return
	}
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		if rooted, ok := strings.CutPrefix(path, "//"); ok {
			path = rooted
			if !strings.HasPrefix(path, "/") {
				path = ""
			}
		}
		if path == "" {
			l.problem(l.origin, "sink", "expected file:events.jsonl, file:/path or file:///path")
			return
		}
		l.setText("sink.file.path", path)
		return
	}
	// Kafka's brokers are a list, which is not a valid host in a URL.
	scheme, rest, _ := strings.Cut(text, "://")
	hosts, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.ContainsAny(text, "@?#"):
		l.problem(l.origin, "sink",
			"expected neither credentials nor options in the URL: they belong into the configuration file, secrets into "+
				"separate files")
	case hosts == "" || strings.ContainsAny(rest, " \t\r\n"):
		l.problem(l.origin, "sink", sinkForms)
	case (scheme == "nats" || scheme == "tls") && path == "":
		var servers []string
		for host := range strings.SplitSeq(hosts, ",") {
			server := scheme + "://" + host
			if u, err := url.Parse(server); err != nil || u.Hostname() == "" {
				l.problem(l.origin, "sink", sinkForms)
				return
			}
			servers = append(servers, server)
		}
		l.setText("sink.jetstream.url", strings.Join(servers, ","))
	case scheme == "kafka" && !strings.Contains(path, "/"):
		l.setText("sink.kafka.brokers", hosts)
		if path != "" {
			l.setText("sink.kafka.topic", path)
		}
	default:
		l.problem(l.origin, "sink", sinkForms)
	}
}

// chosen lists the sinks that are configured so far.
func (l *loader) chosen() []string { return l.config.Sink.Chosen() }

// choose adds a sink with its defaults.
func (l *loader) choose(name string) {
	_, defaults := l.root()
	from, to := reflect.ValueOf(l.complete.Sink), reflect.ValueOf(&l.config.Sink).Elem()
	f, known := find(fieldsOf(defaults.FieldByName("Sink").Type()), name)
	if !known {
		l.problem(l.origin, "sink", "this program has no sink "+name)
		return
	}
	section := reflect.New(from.FieldByIndex(f.index).Type().Elem())
	section.Elem().Set(from.FieldByIndex(f.index).Elem())
	to.FieldByIndex(f.index).Set(section)
	l.origins["sink."+name] = l.origin
}

func (l *loader) isLeaf(path string) bool {
	for _, leaf := range l.leaves() {
		if leaf == path {
			return true
		}
	}
	return false
}

// forget drops the origins of everything below a path, which is about to be replaced.
func (l *loader) forget(path string) {
	for known := range l.origins {
		if known == path || strings.HasPrefix(known, path+".") || strings.HasPrefix(known, path+"[") {
			delete(l.origins, known)
		}
	}
}
