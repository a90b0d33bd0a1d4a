package connector

// Finding is one result of a check of the sink's or the API's settings.
type Finding struct {
	Level FindingLevel `json:"level"`
	Thing string       `json:"thing"`
	Text  string       `json:"text"`
	// Hint is what to do about it, with a command if there is one; empty if there is nothing to do.
	Hint string `json:"hint,omitempty"`
	// Missing means that the thing merely does not exist yet, and that the sink's Create creates it.
	Missing bool `json:"missing,omitempty"`
}

// FindingLevel is the severity of a finding.
type FindingLevel string

// The levels: all is well; the promise is weaker than it could be; the connector will not run like this.
const (
	FindingOK      FindingLevel = "ok"
	FindingWarning FindingLevel = "warning"
	FindingRefused FindingLevel = "refused"
)
