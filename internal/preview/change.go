package preview

import (
	"fmt"
	"io"
	"slices"

	"nuthatch/internal/config"
)

// A Change is what a reload did, or would do.
type Change struct {
	// Report is the difference between the configuration before and the new one.
	*Report
	// NotApplied are the settings that a running proxy cannot apply.
	NotApplied []NotApplied `json:"not_applied,omitempty"`
	// Users are the pools whose users differ, after a reload: those of a file, too.
	Users []Users `json:"users,omitempty"`
	// Refused are the blocks of TLS whose files cannot be used, after a reload. What they had
	// before stays in use.
	Refused []Refused `json:"refused,omitempty"`
	// Warnings are, after a reload, about settings of the file in force that are valid and
	// probably not meant.
	Warnings []string `json:"warnings,omitempty"`
}

// Users says which users of a pool differ.
type Users struct {
	Pool string `json:"pool"`
	Text string `json:"text"`
}

// Refused is a block of TLS whose files cannot be used. Pool is empty for the admin listener.
type Refused struct {
	Pool  string `json:"pool,omitempty"`
	Block string `json:"block"`
	Why   string `json:"why"`
}

// Empty reports whether nothing changes.
func (c *Change) Empty() bool { return c.Report.Empty() && len(c.Users) == 0 }

// Write writes what changes, but for what cannot be applied or used.
func (c *Change) Write(w io.Writer) error {
	if c.Empty() || !c.Report.Empty() {
		if err := c.Report.Write(w); err != nil {
			return err
		}
	}
	for _, u := range c.Users {
		if _, err := fmt.Fprintf(w, "pool %s: users: %s\n", u.Pool, u.Text); err != nil {
			return fmt.Errorf("preview: %w", err)
		}
	}
	return nil
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
