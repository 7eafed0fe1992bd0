package preview

import (
	"slices"

	"nuthatch/internal/config"
)

// A Change is what a reload did, or would do.
type Change struct {
	// Report is the difference between the configuration before and the new one.
	*Report
	// NotApplied are the settings that a running proxy cannot apply.
	NotApplied []NotApplied `json:"not_applied,omitempty"`
}

// NotApplied is a setting that waits for the next start.
type NotApplied struct {
	config.Change
	Pool string `json:"pool,omitempty"`
	Why  string `json:"why"`
}

// Drop removes what is not applied from the report.
func (c *Change) Drop() {
	drop := func(pool string, settings []config.Change) []config.Change {
		return slices.DeleteFunc(settings, func(s config.Change) bool {
			return slices.ContainsFunc(c.NotApplied, func(n NotApplied) bool { return n.Pool == pool && n.Key == s.Key })
		})
	}
	c.Process = drop("", c.Process)
	for i := range c.Pools {
		c.Pools[i].Settings = drop(c.Pools[i].Name, c.Pools[i].Settings)
	}
	c.Pools = slices.DeleteFunc(c.Pools, func(p Pool) bool { return len(p.Settings)+len(p.Servers) == 0 })
}
