package kafka

// HeaderPrefix begins the header of an attribute in binary mode.
const HeaderPrefix = headerPrefix

// Topics returns the topics of checkpoints and of the quarantine that belong to a topic of events.
func Topics(events string) (checkpoints, quarantine string) {
	all := topicsOf(events)
	return all.checkpoints, all.quarantine
}
