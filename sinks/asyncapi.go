package sinks

import (
	"cmp"
	"maps"
	"net"
	"net/url"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/jetstream"
	"github.com/twochat-connector/twochat-connector/sinks/kafka"
	"github.com/twochat-connector/twochat-connector/sinks/nats"
)

// AsyncAPI is the AsyncAPI document (3.0.0) of what the configured sinks contain: channels, messages, and their
// schemas, given by name: message, item, row, checkpoint, reject and erasure. A sink that is a file or the standard output has
// no channels. The document contains no credentials.
func AsyncAPI(c Config, encoding connector.Encoding, schemas map[string]any) map[string]any {
	api := asyncAPI{encoding: encoding, servers: object{}, channels: object{}, operations: object{}}
	switch {
	case c.JetStream != nil:
		api.nats("jetstream", c.JetStream.URL, c.JetStream.Subject, true)
		api.members("jetstream", c.JetStream.Subject)
	case c.Embedded != nil:
		api.nats("embedded", "nats://"+c.Embedded.Listen, jetstream.DefaultSubject, true)
	case c.NATS != nil:
		api.nats("nats", c.NATS.URL, c.NATS.Subject, false)
	}
	if c.Kafka != nil {
		api.kafka(c.Kafka.WithDefaults())
	}
	return object{
		"asyncapi": "3.0.0", "id": "urn:twochat-connector:asyncapi:v1",
		"info": object{
			"title": "twochat-connector", "version": "1.0.0",
			"description": "WhatsApp messages that 2Chat lists, each once, oldest first within its chat, as CloudEvents 1.0.",
			"license":     object{"name": "Apache-2.0"},
		},
		"defaultContentType": "application/cloudevents+json",
		"servers":            api.servers, "channels": api.channels, "operations": api.operations,
		"components": object{"schemas": maps.Clone(schemas)},
	}
}

type object = map[string]any

// asyncAPI is a document under construction.
type asyncAPI struct {
	encoding                      connector.Encoding
	servers, channels, operations object
}

// nats adds the channels of a sink that speaks NATS; with keeps, those of the checkpoints and erasures in JetStream as
// well.
func (a *asyncAPI) nats(server, address, subject string, keeps bool) {
	host, _, _ := strings.Cut(address, ",")
	if u, err := url.Parse(host); err == nil {
		host = u.Host
	}
	a.servers[server] = object{"host": cmp.Or(host, "127.0.0.1:4222"), "protocol": "nats"}
	parameters := object{
		"stream":    object{"description": "the stream's name; what is no letter, digit, _ or - is = and two hex digits"},
		"direction": object{"enum": []string{connector.DirectionReceived, connector.DirectionSent, connector.DirectionNew}},
		"chat":      object{"description": "the chat's token, as the attribute subject"},
	}
	of := object{"stream": parameters["stream"]}
	// The names are made by the same functions that the sink uses for its subjects.
	const any = "STREAM"
	place := func(subject string) string { return strings.Replace(subject, "."+any, ".{stream}", 1) }
	events := strings.TrimSuffix(place(nats.EventsSubject(subject, any)), ">") + "{direction}.{chat}"
	a.channel(server, "events", object{"address": events, "parameters": parameters},
		a.event(nats.HeaderPrefix, nats.StructuredHeaders(), nil,
			nats.MessageIDForm()))
	if keeps {
		checkpoints := object{"address": place(nats.CheckpointSubject(subject, any)), "parameters": of}
		a.channel(server, "checkpoints", checkpoints, whole("checkpoint", nil))
		erasures := object{"address": place(nats.ErasureSubject(subject, any)), "parameters": of}
		a.channel(server, "erasures", erasures, whole("erasure", nil))
	}
	quarantine := object{"address": place(nats.QuarantineSubject(subject, any)), "parameters": of}
	a.channel(server, "quarantine", quarantine, with(whole("reject", nil), nats.MessageIDForm()))
}

// members adds the channel on which the replicas that share a JetStream stream announce themselves.
func (a *asyncAPI) members(server, subject string) {
	const any = "MEMBER"
	a.channel(server, "members", object{
		"address":     strings.Replace(nats.MemberSubject(subject, any), any, "{member}", 1),
		"description": "replicas that share the stream announce themselves every few seconds; a message expires after ten",
		"parameters": object{"member": object{
			"description": "a name of the replica; what is no letter, digit, _ or - is = and two hex digits",
		}},
	}, object{
		"contentType": "application/json",
		"payload": object{
			"type": "object", "properties": object{"id": object{"type": "string", "description": "the name as it is"}},
		},
	})
}

// kafka adds the channels of Kafka.
func (a *asyncAPI) kafka(c kafka.Config) {
	host := "127.0.0.1:9092"
	if len(c.Brokers) > 0 {
		if _, _, err := net.SplitHostPort(c.Brokers[0]); err == nil {
			host = c.Brokers[0]
		}
	}
	a.servers["kafka"] = object{"host": host, "protocol": "kafka"}
	checkpoints, quarantine := kafka.CompanionTopics(c.Topic)
	keyed := func(meaning string) object {
		return object{"kafka": object{"key": object{"type": "string", "description": meaning}, "bindingVersion": "0.5.0"}}
	}
	topic := func(name string) object {
		return object{"address": name, "bindings": object{"kafka": object{"topic": name, "bindingVersion": "0.5.0"}}}
	}
	chat := keyed("the chat's token, as the attribute subject")
	a.channel("kafka", "events", topic(c.Topic), a.event(kafka.HeaderPrefix, kafka.StructuredHeaders(), chat))
	a.channel("kafka", "checkpoints", topic(checkpoints), whole("checkpoint", keyed("the stream's name")))
	a.channel("kafka", "quarantine", topic(quarantine), whole("reject", keyed("the stream's name")))
}

// channel adds a channel of a server and the one message that the connector sends to it.
func (a *asyncAPI) channel(server, name string, channel, message object) {
	id := server + "-" + name
	channel["servers"] = []any{object{"$ref": "#/servers/" + server}}
	channel["messages"] = object{"event": message}
	a.channels[id] = channel
	a.operations["send-"+id] = object{
		"action": "send", "channel": object{"$ref": "#/channels/" + id},
		"messages": []any{object{"$ref": "#/channels/" + id + "/messages/event"}},
	}
}

// event is the message of an event, in the mode of the sink. The names of attribute headers begin with prefix;
// structured are the headers of structured mode, and binary the additional ones of binary mode.
func (a *asyncAPI) event(prefix string, structured []connector.AttributeForm, bindings object,
	binary ...connector.AttributeForm,
) object {
	for _, form := range connector.AttributeForms() {
		if form.Name != "datacontenttype" { // it is the content type
			form.Name = prefix + form.Name
			binary = append(binary, form)
		}
	}
	if a.encoding.Mode != connector.ModeBinary {
		if a.encoding.Headers && prefix == kafka.HeaderPrefix {
			structured = append(structured, binary...)
		}
		return with(whole("message", bindings), structured...)
	}
	message := object{
		"contentType": "application/json",
		"payload": object{"anyOf": []any{
			object{"$ref": "#/components/schemas/row"}, object{"$ref": "#/components/schemas/item"},
		}},
	}
	if bindings != nil {
		message["bindings"] = bindings
	}
	return with(message, binary...)
}

// with names the headers of a message. Clients show the content type as another header.
func with(message object, forms ...connector.AttributeForm) object {
	headers, always := object{}, []string{}
	for _, form := range forms {
		headers[form.Name] = object{"type": "string", "description": form.Doc}
		if form.Always {
			always = append(always, form.Name)
		}
	}
	message["headers"] = object{"type": "object", "properties": headers, "required": always}
	return message
}

// whole is a message in structured mode.
func whole(schema string, bindings object) object {
	message := object{
		"contentType": "application/cloudevents+json", "payload": object{"$ref": "#/components/schemas/" + schema},
	}
	if bindings != nil {
		message["bindings"] = bindings
	}
	return message
}
