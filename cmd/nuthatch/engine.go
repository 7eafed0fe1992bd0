package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
)

// checkedEngine is the operand of "nuthatch check" that asks for the engine.
const checkedEngine = "engine"

// probedEngine is what the probe has found, as JSON has it.
type probedEngine struct {
	Kernel string `json:"kernel"`
	// Loops is for how many event loops it was looked at.
	Loops    int             `json:"loops"`
	Usable   bool            `json:"usable"`
	Why      string          `json:"why,omitempty"`
	Features []probedFeature `json:"features"`
}

type probedFeature struct {
	Name   string `json:"name"`
	Since  string `json:"since"`
	Needed bool   `json:"needed"`
	Found  bool   `json:"found"`
}

// checkEngine is "nuthatch check engine". It reports whether io_uring can be used here.
func (f *checkFlags) checkEngine(w io.Writer) (usable bool, err error) {
	conf := config.Config{Process: config.DefaultProcess()}
	if f.confFile != defaultConfFile {
		read, err := config.Load(f.confFile)
		if err != nil {
			return false, err
		}
		conf = *read
	}
	loops := conf.Process.Threads
	found := eventloop.Probe(loops)
	shown := probedEngine{Kernel: found.Kernel, Loops: loops, Usable: found.Usable(), Features: []probedFeature{}}
	if found.Why != nil {
		shown.Why = found.Why.Error()
	}
	for _, x := range found.Features {
		shown.Features = append(shown.Features, probedFeature(x))
	}
	if f.json {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return shown.Usable, e.Encode(shown)
	}
	return shown.Usable, shown.write(w)
}

// write writes a table, if there is one, and the verdict.
func (p *probedEngine) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(p.Features) > 0 {
		fmt.Fprintln(t, "IO_URING HAS\tSINCE LINUX\tFOUND\tNEEDED")
	}
	for _, x := range p.Features {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", x.Name, x.Since, yesNo(x.Found), yesNo(x.Needed))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	verdict := fmt.Sprintf("io_uring can be used here, by %d event loops", p.Loops)
	if !p.Usable {
		verdict = "io_uring cannot be used here: " + p.Why
	}
	_, err := fmt.Fprintf(w, "Linux %s: %s\n", p.Kernel, verdict)
	return err
}
