package connector

// AttributeForm describes an attribute of events, for schemas and decoders.
type AttributeForm struct {
	Name string
	// Always is true if every event has it.
	Always bool
	// Boolean is true if it is a Boolean in the JSON format. Headers hold every attribute as text.
	Boolean bool
	// Format is its JSON Schema format, "" for any text; Pattern is a regular expression for its values.
	Format, Pattern string
	Doc             string
}

// attributeForms are all attributes that an event may have, in the order in which Event.AppendJSON writes them.
var attributeForms = [...]AttributeForm{
	{Name: "specversion", Always: true, Pattern: `^1\.0$`, Doc: "the version of CloudEvents"},
	{Name: "id", Always: true, Pattern: `^[!-~]+$`, Doc: "the message's uuid; together with source it identifies an event forever"},
	{Name: "source", Always: true, Format: "uri-reference", Doc: "//2chat.co/whatsapp/ and the stream's name"},
	{
		Name: "type", Always: true, Pattern: `^[a-z0-9.-]+\.message\.(received|sent|new)$`,
		Doc: "whether the business received or sent it",
	},
	{Name: "subject", Always: true, Pattern: `^[!-~]+$`, Doc: "the chat, as a token"},
	{Name: "time", Format: "date-time", Doc: "the message's own time; absent if 2Chat gives no readable time"},
	{Name: "datacontenttype", Always: true, Pattern: `^application/json$`, Doc: "the media type of data"},
	{Name: "dataschema", Format: "uri", Doc: "events.dataschema of the configuration"},
	{Name: "partitionkey", Always: true, Pattern: `^[!-~]+$`, Doc: "the chat, as subject"},
	{Name: "sentby", Pattern: `^[!-~]+$`, Doc: "who sent it, as 2Chat says: user, api, agent, or another word"},
	{Name: "recordedtime", Always: true, Format: "date-time", Doc: "when the connector read it"},
	{Name: "sequence", Pattern: `^[0-9]{20}$`, Doc: "its place in its source: 1, 2, 3, without gap or repeat"},
	{Name: "late", Boolean: true, Doc: "true if it was delivered after a message that the list shows above it"},
	{Name: "repaired", Boolean: true, Doc: "true if U+FFFD replaced escapes that stand for no character"},
	{
		Name: "traceparent", Pattern: `^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`,
		Doc: "the span that committed it, by CloudEvents' extension for distributed tracing; only if traces are on",
	},
}

// AttributeForms returns the attributes that an event may have, in the order in which they are written.
func AttributeForms() []AttributeForm { return append([]AttributeForm(nil), attributeForms[:]...) }
