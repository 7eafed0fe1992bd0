package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"nuthatch/internal/check"
	"nuthatch/internal/cluster"
	"nuthatch/internal/config"
	"nuthatch/internal/sentinel"
	"nuthatch/internal/units"
)

// examine asks the clusters and the sentinels of the file, or of one pool, and writes what
// was found. It reports whether they can be used as they are.
func (f *checkFlags) examine(w io.Writer) (fit bool, err error) {
	conf, err := f.load()
	if err != nil {
		return false, err
	}
	var pools []*config.Pool
	for i := range conf.Pools {
		p := &conf.Pools[i]
		if p.Name == f.pool || f.pool == "" && (check.CanExamine(p) || len(conf.Pools) == 1) {
			pools = append(pools, p)
		}
	}
	switch {
	case len(pools) == 0 && f.pool != "":
		return false, fmt.Errorf("%s has no pool %q", f.confFile, f.pool)
	case len(pools) == 0:
		return false, fmt.Errorf("%s: %w", f.confFile, check.ErrNothing)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	fit = true
	all := make([]*check.Examination, 0, len(pools))
	for _, p := range pools {
		e, err := check.Examine(ctx, p)
		if err != nil {
			return false, fmt.Errorf("pool '%s': %w", p.Name, err)
		}
		fit = fit && e.Fit()
		all = append(all, e)
	}
	if f.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return fit, enc.Encode(all)
	}
	for _, e := range all {
		if err := showExamination(e, w); err != nil {
			return false, err
		}
	}
	return fit, nil
}

// showExamination writes tables, the faults, and a verdict.
func showExamination(e *check.Examination, w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if e.Cluster != nil {
		showCluster(e.Pool, e.Cluster, t)
	} else {
		showSentinels(e.Pool, e.Sentinel, t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	faults := 0
	for _, fault := range e.Faults() {
		kind := "note"
		if !fault.Minor {
			kind = "fault"
			faults++
		}
		fmt.Fprintf(w, "%s: %s: %s\n", kind, fault.Where, fault.What)
	}
	verdict := "nothing is wrong"
	if faults > 0 {
		verdict = units.Count(faults, "fault")
	}
	_, err := fmt.Fprintf(w, "pool '%s': %s\n", e.Pool, verdict)
	return err
}

func showCluster(pool string, c *cluster.Examined, w io.Writer) {
	fmt.Fprintf(w, "pool '%s': a cluster, %d of %d slots have a primary\n", pool, c.Covered, cluster.NumSlots)
	fmt.Fprintln(w, "NODE\tROLE\tSLOTS\tEPOCH\tVERSION\tZONE\tSEED\tANSWERS")
	for i := range c.Nodes {
		n := &c.Nodes[i]
		epoch := "-"
		if n.Epoch >= 0 {
			epoch = fmt.Sprint(n.Epoch)
		}
		fmt.Fprintln(w, strings.Join([]string{n.Address, n.Role, fmt.Sprint(n.Slots), epoch, orDash(n.Version), orDash(n.Zone), yesNo(n.Seed), yesNo(n.Answers)}, "\t"))
	}
}

func showSentinels(pool string, s *sentinel.Examined, w io.Writer) {
	fmt.Fprintf(w, "pool '%s': servers that sentinels know\n", pool)
	fmt.Fprintln(w, "SENTINEL\tVERSION\tANSWERS")
	for i := range s.Sentinels {
		one := &s.Sentinels[i]
		fmt.Fprintf(w, "%s\t%s\t%s\n", one.Address, orDash(one.Version), yesNo(one.Answers))
	}
	fmt.Fprintln(w, "PRIMARY\tADDRESS\tROLE\tEPOCH\tSENTINELS\tQUORUM\tREPLICAS")
	for i := range s.Primaries {
		p := &s.Primaries[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", p.Name, orDash(p.Address), orDash(p.Role), p.Epoch, p.Sentinels, p.Quorum, p.Replicas)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
