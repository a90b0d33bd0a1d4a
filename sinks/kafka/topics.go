package kafka

// topics are the names of the sink's topics.
type topics struct{ events, checkpoints, quarantine string }

func topicsOf(events string) topics {
	return topics{events, events + ".checkpoints", events + ".quarantine"}
}

func (t topics) all() []string { return []string{t.events, t.checkpoints, t.quarantine} }

// CompanionTopics are the names of the topics of checkpoints and quarantine that belong to an events topic.
func CompanionTopics(events string) (checkpoints, quarantine string) {
	all := topicsOf(events)
	return all.checkpoints, all.quarantine
}
