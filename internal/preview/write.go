package preview

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"nuthatch/internal/config"
)

// maxMoves is how many moves of a pool are shown by themselves; the rest is
// shown as one sum.
const maxMoves = 50

// Write writes the report as text, in aligned tables.
func (r *Report) Write(w io.Writer) error {
	// A tabwriter hands on the error of the writer below at Flush.
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if r.Empty() {
		fmt.Fprintln(t, "nothing changes")
	}
	writeSettings(t, "", r.Process)
	for _, name := range r.Added {
		fmt.Fprintf(t, "pool %s is added\n", name)
	}
	for _, name := range r.Removed {
		fmt.Fprintf(t, "pool %s is removed\n", name)
	}
	for i := range r.Pools {
		r.Pools[i].write(t)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// String is what Write writes.
func (r *Report) String() string {
	var b strings.Builder
	_ = r.Write(&b) // a Builder takes everything
	return b.String()
}

func writeSettings(w io.Writer, indent string, changes []config.Change) {
	if len(changes) == 0 {
		return
	}
	fmt.Fprintf(w, "%ssetting\told\tnew\n", indent)
	for _, c := range changes {
		fmt.Fprintf(w, "%s%s\t%s\t%s\n", indent, c.Key, orNone(c.Old), orNone(c.New))
	}
	fmt.Fprintln(w)
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (p *Pool) write(w io.Writer) {
	const indent = "  "
	fmt.Fprintf(w, "pool %s\n", p.Name)
	writeSettings(w, indent, p.Settings)
	if len(p.Servers) > 0 {
		fmt.Fprintf(w, "%sserver\told\tnew\n", indent)
		for _, s := range p.Servers {
			fmt.Fprintf(w, "%s%s\t%s\t%s\n", indent, s.Name, orNone(s.Old), orNone(s.New))
		}
		fmt.Fprintln(w)
	}
	for _, k := range p.Keys {
		k.write(w, indent)
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(w, "%swarning: %s\n%s  instead: %s\n", indent, warning.What, indent, warning.Instead)
	}
}

func (k *Keys) write(w io.Writer, indent string) {
	fmt.Fprintf(w, "%s%s: %s move (%s)\n", indent, k.Which, Percent(k.Moved), k.How)
	if len(k.Moves) > 0 {
		fmt.Fprintf(w, "%s  share\tfrom\tto\n", indent)
	}
	shown := k.Moves[:min(len(k.Moves), maxMoves)]
	for _, m := range shown {
		fmt.Fprintf(w, "%s  %s\t%s\t%s\n", indent, Percent(m.Share), m.From, m.To)
	}
	rest := 0.0
	for _, m := range k.Moves[len(shown):] {
		rest += m.Share
	}
	if rest > 0 {
		fmt.Fprintf(w, "%s  %s\tin %d smaller moves\n", indent, Percent(rest), len(k.Moves)-len(shown))
	}
	fmt.Fprintln(w)
}
