package preview

import (
	"slices"

	"nuthatch/internal/config"
)

// A Change is what a reload did, or would do.
type Change struct {
	// Report is the difference between the configuration before and the new one.
	*Report
	// NotApplied are the settings that a running proxy cannot take on.
	NotApplied []NotApplied `json:"not_applied,omitempty"`
}

// NotApplied is a setting that waits for the next start.
type NotApplied struct {
	config.Change
	Pool string `json:"pool,omitempty"`
	Why  string `json:"why"`
}

// Drop takes what is not applied out of the report of the process's changes.
func (c *Change) Drop() {
	c.Process = slices.DeleteFunc(c.Process, func(p config.Change) bool {
		return slices.ContainsFunc(c.NotApplied, func(n NotApplied) bool { return n.Pool == "" && n.Key == p.Key })
	})
}
