package kafka

// HeaderPrefix begins the header of an attribute in binary mode.
const HeaderPrefix = headerPrefix

// Topics are those that lie beside the one of the events.
func Topics(events string) (checkpoints, quarantine string) {
	all := topicsOf(events)
	return all.checkpoints, all.quarantine
}
