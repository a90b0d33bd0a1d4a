package connector

// FormerSettings are the settings that decided, up to a sequence, what of a message its event holds.
type FormerSettings struct {
	// Settings is the Checkpoint.Settings of that time.
	Settings string `json:"settings"`
	// Last is the last sequence that was delivered so.
	Last uint64 `json:"last"`
}

// MaxFormerSettings is how many changes of the settings a checkpoint remembers. Of more, the oldest are forgotten.
const MaxFormerSettings = 8

// resettled returns the former settings of a stream that is taken over, with those that the claim replaces, if it
// replaces any. What a version wrote that did not record its settings is not among them.
func (c Claim) resettled(held Checkpoint) SettingsHistory {
	last := held.Base
	if n := len(held.FormerSettings); n > 0 {
		last = held.FormerSettings[n-1].Last
	}
	if c.Settings == "" || held.Settings == "" || held.Settings == c.Settings || held.Sequence <= last ||
		held.RenamedTo != "" {
		return held.FormerSettings
	}
	all := append(make(SettingsHistory, 0, len(held.FormerSettings)+1), held.FormerSettings...)
	all = append(all, FormerSettings{Settings: held.Settings, Last: held.Sequence})
	return all[max(0, len(all)-MaxFormerSettings):]
}

// SettingsHistory are the former settings of a stream, oldest first.
type SettingsHistory []FormerSettings

// At returns the former settings with which the event of a sequence was written; ok is false for those in force.
func (h SettingsHistory) At(sequence uint64) (settings string, ok bool) {
	for _, former := range h {
		if sequence <= former.Last {
			return former.Settings, true
		}
	}
	return "", false
}
