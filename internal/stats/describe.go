package stats

import (
	"fmt"
	"io"
	"strings"
)

// Describe writes what nutcracker's statistics are, laid out as `nutcracker -D` lays
// them out after its version lines: same headings, names, order and columns;
// the help texts are nuthatch's own. A write that fails ends the listing, as
// there is nobody left to tell.
func Describe(w io.Writer) {
	out := []byte("pool stats:\n")
	for _, f := range PoolFields[:NutcrackerPoolFields] {
		out = f.appendDescription(out)
	}
	out = append(out, "\nserver stats:\n"...)
	for _, f := range ServerFields[:NutcrackerServerFields] {
		out = f.appendDescription(out)
	}
	_, _ = w.Write(out)
}

func (f Field) appendDescription(dst []byte) []byte {
	return fmt.Appendf(dst, "  %-20s\"%s\"\n", f.Name, f.Help)
}

// PromHelp is Help for the metric, which is in base units.
func (f Field) PromHelp() string {
	return strings.Replace(f.Help, "in microseconds since", "in seconds since", 1)
}
